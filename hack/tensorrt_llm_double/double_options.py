"""Reads and checks the options file of trtllm-serve (LlmArgs) as a release does, by facts about its classes.

Names and types are held by pydantic models that are made from the facts, so that their errors are pydantic's own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Union

import yaml  # type: ignore[import-untyped, unused-ignore]
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, create_model

from double_upstream import program, read
from double_values import Values

_PLAIN: Mapping[str, Any] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": bool,
    "None": type(None),
    "Path": Path,
    "dict": dict,
    "Any": Any,
    "object": Any,
}
_CONTAINERS: Mapping[str, Any] = {"list": list, "set": set, "dict": dict}
_CONTAINER = re.compile(r"(list|set|dict)\[(.*)\]$")
_NOT_BY_TYPE = ("speculative_config", "sparse_attention_config")
"""Unions of classes, which a key of the object selects from."""
_CLASS = {"AUTO": "AutoDecodingConfig", "SaveState": "SaveHiddenStatesDecodingConfig"}
_LORA = "LoraConfig"


class Options:
    """Options of one release's runtime."""

    def __init__(self, version: str, *, pytorch: bool) -> None:
        self._serve, facts = program("trtllm-serve", version), read("llmargs", version)
        self._classes, self._types = facts["classes"], facts["speculative_decoding_types"]
        self.top = "TorchLlmArgs" if pytorch else "TrtLlmArgs"
        self._class = self.top if self.top in self._classes else "LlmArgs"
        self._ignores = self._classes[self._class]["extra"] == "allow"
        self._values = Values(self._serve, self.top, pytorch=pytorch)
        self._models: dict[str, type[BaseModel]] = {}

    def read(self, path: str | None) -> dict[str, Any]:
        """Options in a file. Raises the server's errors."""
        if path is None:
            return {}
        options = yaml.safe_load(Path(path).read_text(encoding="utf-8")) or {}
        if not isinstance(options, dict):
            raise ValueError(f"{path} is not a mapping of options")  # noqa: TRY004 - one kind of failure
        return self.checked(options)

    def checked(self, options: dict[str, Any]) -> dict[str, Any]:
        """Raise the errors of LlmArgs for these options."""
        self._sections(options)
        unknown = [key for key in options if key not in self._names(self._class)]
        if unknown and not self._ignores:
            self._serve.refuse("option file has a top-level key that the runtime's class lacks", {"key": unknown[0]})
        known = {key: value for key, value in options.items() if key not in unknown}
        self._model(self._class).model_validate({"model": "/model", **known})
        self._speculation(options.get("speculative_config"))
        self._values.check(known)
        return known

    def _sections(self, options: Mapping[str, Any]) -> None:
        """Classes that are created before LlmArgs, when the file is read."""
        first = (
            "option file has an unknown key in moe_config or attention_dp_config (1.3.0rc3: also nvfp4_gemm_config, "
        )
        for when, names in (
            (f"{first}calib_config)", ("moe_config", "attention_dp_config")),
            ("option file has an unknown key in kv_cache_config", ("kv_cache_config",)),
        ):
            check = self._serve.check(when)
            for name in names if check is not None and check.stage == "reading the option file" else ():
                self._section(name, options.get(name))
        for key in options.get("lora_config") or {}:
            if key not in self._names(_LORA):
                self._serve.refuse("option file has an unknown key in lora_config", {"key": key})

    def _section(self, name: str, value: Any) -> None:
        kind = self._classes[self._class]["fields"].get(name, {}).get("type", "").removesuffix(" | None")
        if isinstance(value, dict) and kind in self._classes:
            self._model(kind).model_validate(value)

    def _speculation(self, value: Any) -> None:
        if not isinstance(value, dict):
            return
        kind = value.get("decoding_type")
        if kind not in self._types:
            self._serve.refuse("speculative_config.decoding_type unknown", {"type": kind})
        name = _CLASS.get(str(kind), f"{kind}DecodingConfig")
        if name in self._classes:
            self._model(name).model_validate({key: item for key, item in value.items() if key != "decoding_type"})

    def _names(self, name: str) -> set[str]:
        fields = self._classes.get(name, {}).get("fields", {})
        return {spelling for field, facts in fields.items() for spelling in _spellings(field, facts)}

    def _model(self, name: str) -> type[BaseModel]:
        """Pydantic model of a class. It ignores what the release ignores."""
        if name not in self._models:
            self._models[name] = self._made(name)
        return self._models[name]

    def _made(self, name: str) -> type[BaseModel]:
        facts = self._classes[name]
        extra: Literal["forbid", "allow", "ignore"] = "ignore"
        if facts.get("extra") in {"forbid", "allow"}:
            extra = facts["extra"]
        fields: dict[str, Any] = {}
        for field, item in facts["fields"].items():
            kind = Any if field in _NOT_BY_TYPE else self._annotation(item.get("type", "Any"), item.get("allowed"))
            alias = AliasChoices(*_spellings(field, item))
            # pydantic reserves some names for its own methods
            fields[f"{field}_"] = (kind, Field(default=None, validation_alias=alias))
        config = ConfigDict(extra=extra, protected_namespaces=())
        return create_model(name, __config__=config, **fields)

    def _annotation(self, kind: str, allowed: list[str] | None = None) -> Any:
        parts = [self._part(part, allowed) for part in re.split(r" \| (?![^\[]*\])", kind)]
        return Union[tuple(parts)] if len(parts) > 1 else parts[0]  # noqa: UP007 - made at run time

    def _part(self, kind: str, allowed: list[str] | None) -> Any:
        if kind in _PLAIN:
            return _PLAIN[kind]
        if kind.startswith("Literal["):
            return Literal[tuple(ast.literal_eval(kind.removeprefix("Literal")))]
        container = _CONTAINER.match(kind)
        if container is not None:
            inner = tuple(self._annotation(part) for part in re.split(r", (?![^\[]*\])", container[2]))
            return _CONTAINERS[container[1]][inner if len(inner) > 1 else inner[0]]
        if kind in self._classes and kind != _LORA:
            return self._model(kind)
        if allowed is not None:
            return Literal[tuple(allowed)]
        return dict[str, Any] if kind.endswith("Config") else Any


def _spellings(field: str, facts: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(re.findall(r"'(\w+)'", facts.get("alias", ""))) or (field,)
