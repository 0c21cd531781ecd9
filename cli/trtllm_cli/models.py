"""ModelFacts of what a document names: from a directory, from config.json, from the hub; called by the plan command."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trtllm_api.facts import ModelFacts
from trtllm_api.source import Source
from trtllm_cli.problem import Unreadable
from trtllm_planner.model_config import UnreadableConfig, facts_from_config

CONFIG = "config.json"
QUANTIZED = "hf_quant_config.json"


@dataclass
class Models:
    """Where to look for models: what --model says first, then the source itself; each is read once."""

    paths: Mapping[str, str] = field(default_factory=dict)
    """By the document's name; "" for all others."""
    _read: dict[object, ModelFacts] = field(default_factory=dict)

    def facts(self, name: str, source: Source) -> ModelFacts:
        """Of the source of the document of this name."""
        path = self.paths.get(name, self.paths.get(""))
        hub = source.hugging_face
        if path is not None:
            key: object = path
        elif hub is not None:
            key = (hub.repo, hub.revision)
        else:
            raise Unreadable(
                f"{name}: its source is not on a hub: name a directory or {CONFIG} with --model {name}=PATH"
            )
        if key not in self._read:
            self._read[key] = (
                facts_of_path(path)
                if path is not None or hub is None  # the same as key, for the type checker
                else facts_of_hub(hub.repo, hub.revision)
            )
        return self._read[key]


def paths_of(arguments: Iterable[str], names: Iterable[str]) -> dict[str, str]:
    """--model PATH, and --model NAME=PATH where NAME is a document's."""
    known, found = frozenset(names), {}
    for argument in arguments:
        name, equals, path = argument.partition("=")
        if not (equals and name in known):
            name, path = "", argument
        if name in found:
            raise Unreadable(f"--model is given twice for {name or 'every document'}: write --model NAME=PATH")
        found[name] = path
    return found


def facts_of_path(path: str | None) -> ModelFacts:
    """Of a model's directory, or of its config.json alone."""
    place = Path(path or "")
    file = place / CONFIG if place.is_dir() else place
    quantized = file.parent / QUANTIZED if file.name == CONFIG else None
    has_more = quantized is not None and quantized.is_file()
    facts = _facts(_content(file), _content(quantized) if has_more and quantized is not None else None, str(file))
    if not place.is_dir():
        return facts
    changes: dict[str, Any] = {}
    weights = sum(item.stat().st_size for item in place.glob("*.safetensors"))
    if weights:
        changes["bytes"] = weights
    tokenizer = place / "tokenizer_config.json"
    if tokenizer.is_file() and "auto_map" in _object(_content(tokenizer), str(tokenizer)):
        changes["custom_code"] = True
    return facts.model_copy(update=changes)


def facts_of_hub(repo: str, revision: str) -> ModelFacts:
    """From the two configuration files alone."""
    from trtllm_cli.hub import hub_file  # most of a start's time goes into imports

    config = hub_file(repo, revision, CONFIG)
    if config is None:
        raise Unreadable(f"the hub has no {CONFIG} of {repo} at revision {revision}: check the name and the revision")
    return _facts(config, hub_file(repo, revision, QUANTIZED), f"{repo}'s {CONFIG}")


def _facts(config: bytes, quantized: bytes | None, name: str) -> ModelFacts:
    more = _object(quantized, QUANTIZED) if quantized is not None else None
    try:
        return facts_from_config(_object(config, name), more)
    except UnreadableConfig as error:
        raise Unreadable(f"{name}: {error}") from None
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError):
        raise Unreadable(f"{name} holds values that no model has") from None


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Unreadable(f"{file} cannot be read: {error.strerror}") from None


def _object(content: bytes, name: str) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        raise Unreadable(f"{name} is not JSON") from None
    if not isinstance(found, dict):
        raise Unreadable(f"{name} is not a JSON object")
    return found
