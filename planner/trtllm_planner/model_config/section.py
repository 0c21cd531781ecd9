"""One part of config.json with the defaults of its class: the language model, a tower, or the whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

Config = Mapping[str, Any]
_TEXT_PARTS = ("text_config", "llm_config", "language_config", "thinker_config", "text_model_config")
"""Names under which a model of several parts keeps its language model."""
_MOST = 1e6
"""Bound of fractions; larger ones, infinity and NaN are ignored."""


class UnreadableConfig(ValueError):
    """config.json lacks what a plan needs, or has a number that no model can have."""


def bounded(name: str, value: int, most: int) -> int:
    """The value; raises UnreadableConfig if it exceeds `most`."""
    if value > most:
        digits = len(str(value))
        raise UnreadableConfig(f"config.json gives {name} as a number of {digits} digits, and {most} is the maximum")
    return value


@lru_cache(maxsize=1)
def class_defaults() -> Mapping[str, Mapping[str, Any]]:
    """Defaults of transformers by model type, for fields that config.json does not have (class_defaults.json)."""
    found = json.loads(files(__package__).joinpath("class_defaults.json").read_text(encoding="utf-8"))
    return {name: entry for name, entry in found.items() if isinstance(entry, dict)}


class Section:
    """Fields of one part. A missing field has its class's default; one that is null has none."""

    def __init__(self, values: Config, kind: str, assumed: Config | None = None) -> None:
        self.values = values
        self.kind = kind
        """Model type whose class has the defaults."""
        entry = class_defaults().get(kind, {})
        self._assumed = {**entry.get("values", {}), **(assumed or {})}
        self._names: Mapping[str, str] = entry.get("names", {})
        self._parts: Mapping[str, Mapping[str, Any]] = entry.get("parts", {})

    def field(self, name: str) -> Any:
        """The field's value, under either of its names; None if it is null or unknown."""
        for own in self._own(name):
            if own in self.values:
                return self.values[own]
        return next((self._assumed[own] for own in self._own(name) if own in self._assumed), None)

    def says(self, name: str) -> bool:
        """Whether config.json itself has the field."""
        return any(own in self.values for own in self._own(name))

    def number(self, *names: str) -> int:
        """The first of these fields that config.json has, else the first that the class has; 0 for none."""
        said = [name for name in names if self.says(name) and self.field(name) is not None]
        for name in said or [name for name in names if not self.says(name)]:
            value = self.field(name)
            if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
                return value
        return 0

    def real(self, name: str) -> float:
        """A field that may be a fraction; 0 for none."""
        value = self.field(name)
        known = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MOST
        return float(value) if known else 0.0

    def flag(self, name: str, default: bool = False) -> bool:
        """A field that is true or false."""
        value = self.field(name)
        return value if isinstance(value, bool) else default

    def listed(self, name: str) -> tuple[Any, ...]:
        """A field that is a list; empty for none."""
        value = self.field(name)
        return tuple(value) if isinstance(value, list) else ()

    def part(self, *names: str) -> Section | None:
        """The first of these parts that config.json has, else that the class has."""
        for name in names:
            value = self.values.get(name)
            if isinstance(value, Mapping):
                own = self._parts.get(name, {}).get("type", "")
                return Section(value, _known(str(value.get("model_type") or ""), own))
        for name in names:
            if name in self._parts and name not in self.values:
                part = self._parts[name]
                return Section({}, part["type"], part.get("values"))
        return None

    def text(self) -> Section:
        """The language model: a part of its own, or the fields beside those of the towers."""
        for name in _TEXT_PARTS:
            value = self.values.get(name)
            if isinstance(value, Mapping):
                found = self.part(name)
                return found.text() if found is not None else self
        kinds = (self._parts[name]["type"] for name in _TEXT_PARTS if name in self._parts)
        kind = next(kinds, "")
        return Section(self.values, kind) if kind else self

    def _own(self, name: str) -> Iterable[str]:
        yield name
        if name in self._names:
            yield self._names[name]
        yield from (standard for standard, own in self._names.items() if own == name)


def whole(config: Config) -> Section:
    """All of config.json."""
    return Section(config, str(config.get("model_type") or ""))


def _known(said: str, own: str) -> str:
    """The model type that a part names if the table has it, else the one of its class."""
    return said if said in class_defaults() or not own else own
