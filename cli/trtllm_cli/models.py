"""ModelFacts of a document's model, read from a directory, from config.json alone, or from the hub."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trtllm_api.facts import ModelFacts
from trtllm_api.source import Source
from trtllm_cli.key import Key
from trtllm_cli.problem import Unreadable
from trtllm_cli.texts import load_json, read_bytes
from trtllm_planner.model_config.custom_code import own_tokenizer
from trtllm_planner.model_config.facts import facts_from_config
from trtllm_planner.model_config.section import UnreadableConfig

CONFIG = "config.json"
TOKENIZER = "tokenizer_config.json"
BESIDE = ("hf_quant_config.json", "quant_cfg.json", "quantize_config.json", "quant_config.json")
"""Other files that may say how a checkpoint was quantized."""
_OLD_TOOLS = ("gptq", "awq")
"""Words in the names of repositories whose config.json may not say that they are quantized."""


@dataclass
class Models:
    """Reads models, each once: from the path of --model if there is one, otherwise from the source."""

    paths: Mapping[Key | None, str] = field(default_factory=dict)
    """Paths of --model by document; the key None is for every document without a path of its own."""
    _read: dict[object, ModelFacts] = field(default_factory=dict)

    def facts(self, document: Key, source: Source) -> ModelFacts:
        """ModelFacts of this document's source."""
        path = self.paths.get(document, self.paths.get(None))
        hub = source.hugging_face
        if path is not None:
            key: object = path
        elif hub is not None:
            key = (hub.repo, hub.revision)
        else:
            raise Unreadable(
                f"{document}: spec.source is not on the hub",
                f"name a directory or {CONFIG} with --model {document.name}=PATH",
            )
        if key not in self._read:
            self._read[key] = (
                facts_of_path(path)
                if path is not None or hub is None  # the same as key, for the type checker
                else facts_of_hub(hub.repo, hub.revision)
            )
        return self._read[key]


def paths_of(arguments: Iterable[str], documents: Collection[Key]) -> dict[Key | None, str]:
    """Paths of --model PATH and --model [KIND/][NAMESPACE/]NAME=PATH; `documents` are those that name a model."""
    found: dict[Key | None, str] = {}
    for argument in arguments:
        document, path = _assigned(argument, documents)
        if document in found:
            raise Unreadable(f"--model is given twice for {document or 'every document'}", "write --model NAME=PATH")
        found[document] = path
    return found


def _assigned(argument: str, documents: Collection[Key]) -> tuple[Key | None, str]:
    selector, equals, path = argument.partition("=")
    chosen = [key for key in documents if equals and key.matches(selector)]
    if len(chosen) > 1:
        shown = ", ".join(map(str, chosen))
        raise Unreadable(
            f"--model {selector}: {len(chosen)} documents have this name ({shown})",
            f"write --model NAMESPACE/{chosen[0].name}=PATH or --model KIND/{chosen[0].name}=PATH",
        )
    if chosen:
        return chosen[0], path
    if equals and not Path(argument).exists():
        known = ", ".join(map(str, documents)) or "none"
        raise Unreadable(f"--model {argument}: no document has this name and a source (documents with one: {known})")
    return None, argument


def facts_of_path(path: str | None) -> ModelFacts:
    """ModelFacts of a model's directory, or of its config.json alone."""
    place = Path(path or "")
    file = place / CONFIG if place.is_dir() else place
    names = BESIDE if file.name == CONFIG else ()
    beside = {name: read_bytes(file.parent / name) for name in names if (file.parent / name).is_file()}
    facts = _facts(read_bytes(file), beside, str(file))
    if not place.is_dir():
        return facts
    weights = sum(item.stat().st_size for item in place.glob("*.safetensors"))
    if weights:
        facts = facts.model_copy(update={"bytes": weights})
    tokenizer = place / TOKENIZER
    return _with_tokenizer(facts, _object(read_bytes(tokenizer), str(tokenizer))) if tokenizer.is_file() else facts


def _with_tokenizer(facts: ModelFacts, tokenizer: Mapping[str, Any]) -> ModelFacts:
    """The facts, with the custom code that tokenizer_config.json names."""
    if not tokenizer.get("auto_map"):
        return facts
    details = facts.details.model_copy(update={"own_tokenizer": own_tokenizer(tokenizer)})
    return facts.model_copy(update={"custom_code": True, "details": details})


def facts_of_hub(repo: str, revision: str) -> ModelFacts:
    """ModelFacts from the configuration files on the hub. Those of old tools are read only if needed."""
    from trtllm_cli.hub import hub_file  # imported late: imports take most of the start time

    config = hub_file(repo, revision, CONFIG)
    if config is None:
        raise Unreadable(f"the hub has no {CONFIG} of {repo} at revision {revision}", "check the name and the revision")
    name = f"{repo}'s {CONFIG}"
    old = any(tool in repo.lower() for tool in _OLD_TOOLS) and "quantization_config" not in _object(config, name)
    found = {item: hub_file(repo, revision, item) for item in (BESIDE if old else BESIDE[:1])}
    facts = _facts(config, {item: content for item, content in found.items() if content is not None}, name)
    tokenizer = hub_file(repo, revision, TOKENIZER) if facts.custom_code else None
    return facts if tokenizer is None else _with_tokenizer(facts, _object(tokenizer, TOKENIZER))


def _facts(config: bytes, beside: Mapping[str, bytes], name: str) -> ModelFacts:
    more = {item: _object(content, item) for item, content in beside.items()}
    try:
        return facts_from_config(_object(config, name), more)
    except UnreadableConfig as error:
        raise Unreadable(f"{name}: {error}") from None
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError):
        raise Unreadable(f"{name} contains values that are not valid for a model") from None


def _object(content: bytes, name: str) -> Mapping[str, Any]:
    found = load_json(content, name)
    if not isinstance(found, dict):
        raise Unreadable(f"{name} is not a JSON object")
    return found
