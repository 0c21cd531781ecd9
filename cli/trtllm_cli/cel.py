"""The part of CEL that the custom resources' rules are written in, so that they hold without an API server.

Called by schema.py with the rules as they stand in trtllm_api: has(), size(), double(), matches(), replace(), logic,
comparisons, sums, `in`, `?:`, lists and literals. Anything else is a NotCel, which a test over all rules would meet.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

Value = Any
Evaluated = Callable[[Mapping[str, Value]], Value]
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<text>'[^']*'|\"[^\"]*\")|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>&&|\|\||[=!<>]=|[-+!<>?:.,()\[\]]))"
)
_COMPARISONS: Final[Mapping[str, Callable[[Value, Value], Value]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "in": lambda item, items: item in items,
}
_FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {"size": len, "double": float, "int": int, "string": str}
_METHODS: Final[Mapping[str, Callable[..., Value]]] = {
    "matches": lambda text, pattern: re.search(pattern, text) is not None,
    "replace": lambda text, old, new: text.replace(old, new),
    "startsWith": lambda text, prefix: text.startswith(prefix),
    "endsWith": lambda text, suffix: text.endswith(suffix),
    "contains": lambda text, part: part in text,
    "size": len,
}
_CONSTANTS: Final = {"true": True, "false": False, "null": None}


class NotCel(ValueError):
    """An expression that this part of CEL does not have."""


def holds(rule: str, own: Mapping[str, Value]) -> bool:
    """Whether a rule is true of `self`, an object as it stands in JSON with its defaults filled in."""
    return bool(_compiled(rule)({"self": own}))


@cache
def _compiled(rule: str) -> Evaluated:
    parser = _Parser(rule)
    found = parser.choice()
    parser.end()
    return found


class _Parser:
    """Recursive descent, one method for each level of precedence."""

    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._tokens = list(_tokens(rule))
        self._at = 0

    def choice(self) -> Evaluated:
        condition = self._any()
        if not self._take("?"):
            return condition
        yes = self.choice()
        self._need(":")
        no = self.choice()
        return lambda scope: yes(scope) if condition(scope) else no(scope)

    def end(self) -> None:
        if self._at < len(self._tokens):
            raise NotCel(f"{self._tokens[self._at]} is left over in {self._rule}")

    def _any(self) -> Evaluated:
        parts = [self._all()]
        while self._take("||"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else lambda scope: any(part(scope) for part in parts)

    def _all(self) -> Evaluated:
        parts = [self._comparison()]
        while self._take("&&"):
            parts.append(self._comparison())
        return parts[0] if len(parts) == 1 else lambda scope: all(part(scope) for part in parts)

    def _comparison(self) -> Evaluated:
        left = self._sum()
        for sign, compare in _COMPARISONS.items():
            if self._take(sign):
                right = self._sum()
                return lambda scope: compare(left(scope), right(scope))
        return left

    def _sum(self) -> Evaluated:
        found = self._unary()
        while True:
            if self._take("+"):
                found = _two(operator.add, found, self._unary())
            elif self._take("-"):
                found = _two(operator.sub, found, self._unary())
            else:
                return found

    def _unary(self) -> Evaluated:
        if self._take("!"):
            inner = self._unary()
            return lambda scope: not inner(scope)
        return self._member()

    def _member(self) -> Evaluated:
        found = self._primary()
        while self._take("."):
            name = self._name()
            if self._take("("):
                found = _call(self._known(_METHODS, name), [found, *self._arguments(")")])
            else:
                found = _field(found, name)
        return found

    def _primary(self) -> Evaluated:
        kind, text = self._next()
        if kind == "number":
            number = float(text) if "." in text else int(text)
            return lambda _: number
        if kind == "text":
            return lambda _: text[1:-1]
        if text == "(":
            inner = self.choice()
            self._need(")")
            return inner
        if text == "[":
            items = self._arguments("]")
            return lambda scope: [item(scope) for item in items]
        if kind != "name":
            raise NotCel(f"{text} is not expected in {self._rule}")
        if text in _CONSTANTS:
            return lambda _: _CONSTANTS[text]
        if not self._take("("):
            return lambda scope: scope[text]
        if text == "has":
            return self._has()
        return _call(self._known(_FUNCTIONS, text), self._arguments(")"))

    def _has(self) -> Evaluated:
        """has(self.a.b): every part is there."""
        root, names = self._name(), []
        while self._take("."):
            names.append(self._name())
        self._need(")")

        def present(scope: Mapping[str, Value]) -> bool:
            value = scope[root]
            for name in names:
                if not isinstance(value, Mapping) or name not in value:
                    return False
                value = value[name]
            return True

        return present

    def _arguments(self, close: str) -> list[Evaluated]:
        found: list[Evaluated] = []
        while not self._take(close):
            found.append(self.choice())
            if not self._take(","):
                self._need(close)
                break
        return found

    def _known(self, table: Mapping[str, Callable[..., Value]], name: str) -> Callable[..., Value]:
        if name not in table:
            raise NotCel(f"{name}() is not known, in {self._rule}")
        return table[name]

    def _name(self) -> str:
        kind, text = self._next()
        if kind != "name":
            raise NotCel(f"a name is expected, not {text}, in {self._rule}")
        return text

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise NotCel(f"{self._rule} ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _take(self, text: str) -> bool:
        found = self._at < len(self._tokens) and self._tokens[self._at][1] == text
        self._at += found
        return found

    def _need(self, text: str) -> None:
        if not self._take(text):
            raise NotCel(f"{text} is missing in {self._rule}")


def _tokens(rule: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(rule.rstrip()):
        match = _TOKEN.match(rule, at)
        if match is None or match.lastgroup is None:
            raise NotCel(f"{rule[at:].strip()} cannot be read, in {rule}")
        found.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    return found


def _two(function: Callable[[Value, Value], Value], left: Evaluated, right: Evaluated) -> Evaluated:
    return lambda scope: function(left(scope), right(scope))


def _call(function: Callable[..., Value], arguments: list[Evaluated]) -> Evaluated:
    return lambda scope: function(*(argument(scope) for argument in arguments))


def _field(holder: Evaluated, name: str) -> Evaluated:
    return lambda scope: holder(scope)[name]
