r"""Names of modules in quantization configs: whole names, globs, and a safe part of regular expressions.

config.json is foreign text, and Python's regular expressions can take exponential time. The subset that is read here
takes time in proportion to the name: text, `.`, `.*`, `\d+`, classes of characters, and alternatives in groups without
repetition.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

REGULAR = "re:"
"""Prefix of a regular expression in compressed-tensors."""
_LONGEST = 512
_MOST_ALTERNATIVES = 4096
_MOST_PATTERNS = 256
_ATOM = re.compile(r"\\[.\-_dw]|\[[^\[\]\\]+\]|[A-Za-z0-9_\-/]|\.")
_OPEN, _CLOSE = re.compile(r"\((?:\?:)?"), re.compile(r"\)")


class Names:
    """A set of patterns that match modules by name."""

    def __init__(self, patterns: Iterable[object], *, below: bool = False) -> None:
        """Compile the patterns; with `below`, they also match modules inside a match, and their names at any depth."""
        texts = [str(item) for item in patterns if isinstance(item, str)]
        self._exact = frozenset(item for item in texts if not item.startswith(REGULAR) and "*" not in item)
        others = [item for item in texts if item not in self._exact][:_MOST_PATTERNS]
        self._others = tuple(found for found in map(_expression, others) if found is not None)
        self._below = below

    def __bool__(self) -> bool:
        """Whether there is a pattern."""
        return bool(self._exact or self._others)

    def match(self, name: str) -> bool:
        """Whether one of the patterns matches the module of this name."""
        if name in self._exact or any(item.match(name) for item in self._others):
            return True
        if not self._below:
            return False
        steps = name.split(".")
        parents = (".".join(steps[:end]) for end in range(1, len(steps)))
        tails = (".".join(steps[start:]) for start in range(1, len(steps)))
        inner = any(step in self._exact for step in steps)
        return inner or any(part in self._exact for part in (*parents, *tails))


@lru_cache(maxsize=1024)
def _expression(pattern: str) -> re.Pattern[str] | None:
    """The compiled pattern; None if it is outside the subset that is read."""
    if len(pattern) > _LONGEST:
        return None
    if not pattern.startswith(REGULAR):
        pieces = [re.escape(piece) for piece in pattern.split("*")]
        return _joined(pieces, whole=True, below=True)
    pattern = pattern.removeprefix(REGULAR).removeprefix("^")
    whole = pattern.endswith("$")
    pieces, alternatives = [], 1
    for piece in pattern.removesuffix("$").split(".*"):
        translated = _piece(piece)
        if translated is None:
            return None
        pieces.append(translated[0])
        alternatives *= translated[1]
    return _joined(pieces, whole=whole, below=False) if alternatives <= _MOST_ALTERNATIVES else None


def _joined(pieces: list[str], *, whole: bool, below: bool) -> re.Pattern[str]:
    """The pieces as one expression without backtracking: each matches where it first occurs after the one before."""
    first, *others = pieces
    middle = "".join(f"(?>.*?{piece})" for piece in others[:-1])
    last = f".*{others[-1]}" if others else ""
    end = r"(?:\..*)?\Z" if below else r"\Z" if whole else ""
    return re.compile(f"{first}{middle}{last}{end}")


def _piece(text: str) -> tuple[str, int] | None:
    """An expression without `.*`, and its number of alternatives; None if it is outside the subset that is read."""
    made, depth, ways, here, index = "", 0, 1, 1, 0
    while index < len(text):
        opened = _OPEN.match(text, index)
        atom = _ATOM.match(text, index)
        if opened is not None and depth == 0:
            made, depth, here, index = made + "(?:", 1, 1, opened.end()
        elif text[index] == ")" and depth == 1:
            made, depth, ways, index = made + ")", 0, ways * here, index + 1
        elif text[index] == "|" and depth == 1:
            made, here, index = made + "|", here + 1, index + 1
        elif atom is not None:
            made, index = made + atom.group(), atom.end()
            if text[index : index + 1] == "+":
                made, index = made + "++", index + 1
        else:
            return None
    return (made, ways) if depth == 0 else None
