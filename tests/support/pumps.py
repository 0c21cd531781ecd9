"""Strings that make a regular expression slow, derived from the expression itself; tests of diagnosis use them.

An expression is slow where a repeat can begin at many places and what follows it never comes. So each repeat gives
strings that repeat its body, alone and with what comes before or after it, and that end in what does not match.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

_PARSER: Any = re._parser  # type: ignore[attr-defined]
_OP: Any = re._constants  # type: ignore[attr-defined]
_REPEATS = (_OP.MAX_REPEAT, _OP.MIN_REPEAT, _OP.POSSESSIVE_REPEAT)
_FEW = 4
"""Repeats of at most so many are none that matter."""
_SAMPLE = "a0 _-./:'\"([{,=%<\tA\u00e9"
_PRINTED = "".join(map(chr, range(32, 127)))
_UNMATCHED = "\0"

Tree = Sequence[tuple[Any, Any]]
Pump = tuple[str, str, str]
"""Prefix, what is repeated, suffix."""


def pumped(pump: Pump, size: int) -> str:
    """A text of about that size."""
    prefix, body, suffix = pump
    return prefix + body * max(1, (size - len(prefix) - len(suffix)) // len(body)) + suffix


def pumps(expression: re.Pattern[str]) -> list[Pump]:
    """All pumps of the expression, each once."""
    tree = _PARSER.parse(expression.pattern, expression.flags)
    return [pump for pump in dict.fromkeys(_pumps(tree)) if pump[1]]


def endless(expression: re.Pattern[str]) -> bool:
    """Whether some repeat has no end, although the expression may begin anywhere."""
    tree = _PARSER.parse(expression.pattern, expression.flags)
    anchored = len(tree) and tree[0] == (_OP.AT, _OP.AT_BEGINNING)
    return not anchored and _without_end(tree)


def _without_end(tree: Tree) -> bool:
    return any(
        (op in _REPEATS and value[1] == _OP.MAXREPEAT) or any(map(_without_end, _children(op, value)))
        for op, value in tree
    )


def _pumps(tree: Tree) -> Iterator[Pump]:
    for whole in _examples(tree)[:40]:
        yield from (("", whole, ""), ("", whole[:-1], ""), ("", whole[: max(1, len(whole) // 2)], ""))
    for before, bodies, near, after, most in _repeats(tree, "", ""):
        if most < _FEW:
            continue
        unmatched = after[:-1] + _UNMATCHED
        yield ("", near, _UNMATCHED)
        for body in bodies[:12]:
            yield from (("", body + near, _UNMATCHED), (before, near + body, _UNMATCHED))
            yield from ((before, body, _UNMATCHED), ("", body, unmatched), ("", before + body, ""))
            yield from ((before, body + after[:-1], _UNMATCHED), (before, body + after[:1], _UNMATCHED))
            yield from (("", before + body + after[:-1], _UNMATCHED), ("", before + body + " ", _UNMATCHED))
        yield from ((before, one + other, _UNMATCHED) for one, other in pairwise(bodies[:7]))


def _repeats(tree: Tree, before: str, after: str) -> Iterator[tuple[str, list[str], str, str, int]]:
    """Each repeat: what comes before it, its bodies, what follows in its group and in all, how often it may repeat."""
    for at, (op, value) in enumerate(tree):
        left, right = before + _example(tree[:at]), _example(tree[at + 1 :]) + after
        if op in _REPEATS:
            yield left, _examples(value[2]), _example(tree[at + 1 :]), right, value[1]
        for child in _children(op, value):
            yield from _repeats(child, left, right)


def _children(op: Any, value: Any) -> list[Tree]:
    if op in _REPEATS:
        return [value[2]]
    if op is _OP.SUBPATTERN:
        return [value[3]]
    if op is _OP.ATOMIC_GROUP:
        return [value]
    if op in (_OP.ASSERT, _OP.ASSERT_NOT):
        return [value[1]]
    if op is _OP.BRANCH:
        return list(value[1])
    if op is _OP.GROUPREF_EXISTS:
        return [child for child in value[1:] if child is not None]
    return []


def _examples(tree: Tree) -> list[str]:
    """Texts that match: one, and for each part every other branch or kind of character."""
    found = [_example(tree)]
    for at, (op, value) in enumerate(tree):
        if op in (_OP.IN, _OP.ANY):
            parts = _members(value)[:12] if op is _OP.IN else list("a0 _'")
        elif op in (_OP.ASSERT, _OP.ASSERT_NOT):
            parts = []
        else:
            least = max(value[0], 1) if op in _REPEATS else 1
            parts = [text * least for child in _children(op, value) for text in _examples(child)[:8]]
        found += [_example(tree[:at]) + part + _example(tree[at + 1 :]) for part in parts]
    return list(dict.fromkeys(found))


def _example(tree: Tree) -> str:
    """The shortest text that matches, as far as it can be told without running the expression."""
    return "".join(_one(op, value) for op, value in tree)


def _one(op: Any, value: Any) -> str:
    if op is _OP.LITERAL:
        return chr(value)
    if op is _OP.NOT_LITERAL:
        return "b" if value == ord("a") else "a"
    if op is _OP.ANY:
        return "a"
    if op is _OP.IN:
        return _members(value)[0]
    if op in _REPEATS:
        return _example(value[2]) * value[0]
    if op is _OP.ASSERT_NOT or (op is _OP.ASSERT and value[0] != 1):
        return ""
    return _example(children[0]) if (children := _children(op, value)) else ""


def _members(items: Any) -> list[str]:
    """Characters of a set, of each kind one."""
    found = [character for character in _SAMPLE if _in(items, character)]
    return found or [character for character in _PRINTED if _in(items, character)][:3]


def _in(items: Any, character: str) -> bool:
    negated = items[0][0] is _OP.NEGATE
    return negated != any(_is(op, value, character) for op, value in items)


def _is(op: Any, value: Any, character: str) -> bool:
    if op is _OP.LITERAL:
        return ord(character) == value
    if op is _OP.RANGE:
        return bool(value[0] <= ord(character) <= value[1])
    word = character.isalnum() or character == "_"
    return {
        _OP.CATEGORY_DIGIT: character.isdigit(),
        _OP.CATEGORY_NOT_DIGIT: not character.isdigit(),
        _OP.CATEGORY_SPACE: character.isspace(),
        _OP.CATEGORY_NOT_SPACE: not character.isspace(),
        _OP.CATEGORY_WORD: word,
        _OP.CATEGORY_NOT_WORD: not word,
    }.get(value, False)
