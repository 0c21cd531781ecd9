"""Regular expressions whose repeats end: entry.py and kind.py compile theirs with `compiled`.

A log is foreign text. A repeat without an end makes an expression as slow as the square of a line, two of them as slow
as its cube. Authors write `.*`; it reaches as far as this module says.
"""

from __future__ import annotations

import re
from typing import Final

_REACH: Final = {
    r"\d": 20,
    r"\D": 60,
    r"\w": 60,
    r"\W": 20,
    r"\s": 8,
    r"\S": 200,
    ".": 200,
    "[": 200,
    "(": 8,
}
"""How often the part before a `*` or `+` may repeat, by what kind of part it is."""
_OTHER: Final = 20
"""The same for a single character."""


def compiled(expression: str) -> re.Pattern[str]:
    """The expression without regard to case, each repeat bounded; look-aheads over the whole line are tried once."""
    anchored = _anchored(expression)
    head = _over_the_line(anchored)
    return re.compile(anchored[:head] + bounded(anchored[head:]), re.IGNORECASE)


def bounded(expression: str) -> str:
    """The expression with a number in place of each `*` and `+`."""
    out: list[str] = []
    part, at = "", 0
    while at < len(expression):
        character = expression[at]
        if character in "*+" and part:
            out.append(f"{{{'*+'.index(character)},{_REACH.get(part, _OTHER)}}}")
            part, at = "", at + 1
            continue
        part, end = _part(expression, at)
        out.append(expression[at:end])
        at = end
    return "".join(out)


def _part(expression: str, at: int) -> tuple[str, int]:
    """The kind of the part that ends next, and where it ends."""
    character = expression[at]
    if character == "\\":
        return expression[at : at + 2], at + 2
    if character == "[":
        end = at + 1 + (expression[at + 1] == "^")
        end += expression[end] == "]"
        while expression[end] != "]":
            end += 1 + (expression[end] == "\\")
        return "[", end + 1
    if character == ")":
        return "(", at + 1
    # what follows these is a quantifier already, or none may follow
    return ("" if character in "(|^?}" else character), at + 1


def _anchored(expression: str) -> str:
    """An expression that looks ahead over the whole line does so once, not from every position."""
    if not expression.startswith("(?=.*"):
        return expression
    end = _ahead(expression, 0)
    return f"^{expression[:end]}.*?(?:{expression[end:]})"


def _over_the_line(expression: str) -> int:
    """Where the look-aheads from the beginning of a line end: they are tried once, so they may see all of it."""
    if not expression.startswith(("^(?=", "^(?!")):
        return 0
    at = _ahead(expression, 1)
    return at + next(len(rest) for rest in (".*?", ".*", "") if expression.startswith(rest, at))


def _ahead(expression: str, at: int) -> int:
    """Where the look-aheads that begin there end."""
    while expression.startswith(("(?=", "(?!"), at):
        at = _closed(expression, at)
    return at


def _closed(expression: str, at: int) -> int:
    """Where the group that begins there ends."""
    depth, end = 0, at
    while True:
        depth += {"(": 1, ")": -1}.get(expression[end], 0)
        _, end = _part(expression, end)
        if depth == 0:
            return end
