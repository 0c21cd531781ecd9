"""Whether loading a model runs Python code of its checkpoint, or transformers has the classes itself.

Many checkpoints keep an auto_map from the time before transformers had their class. AutoConfig then uses its own class
and needs no trust.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any

from trtllm_api.facts import ModelFacts
from trtllm_planner.tensorrt_llm.versions import Version

_TRANSFORMERS: tuple[tuple[Version, str], ...] = (
    (Version(0, 0), "4.51.3"),
    (Version(1, 0, 0, 0), "4.53.1"),
    (Version(1, 1, 0, 0), "4.56.0"),
    (Version(1, 2, 0, 0), "4.57.3"),
    (Version(1, 3, 0, 10), "5.5.4"),
)
"""Releases of transformers in TensorRT-LLM's images by first version (its release notes and requirements)."""
_OWN_CLASSES: Mapping[str, Version] = {
    "kimi_k2": Version(1, 2, 0, 0),
    "deepseek_v32": Version(1, 2, 0, 0),
    "glm_moe_dsa": Version(1, 3, 0, 0),
    "laguna": Version(1, 3, 0, 0),
    "kimi_linear": Version(1, 3, 0, 0),
    "qwen3_5": Version(1, 3, 0, 0),
    "qwen3_5_moe": Version(1, 3, 0, 0),
}
"""Model types that TensorRT-LLM itself has a configuration class for (_torch/pyexecutor/config_utils.py)."""


@lru_cache(maxsize=1)
def _known() -> tuple[tuple[frozenset[str], ...], tuple[str, ...], frozenset[str]]:
    """Model types of each release, the releases, and tokenizer classes of the newest."""
    found = json.loads(files(__package__).joinpath("known_to_transformers.json").read_text(encoding="utf-8"))
    releases = tuple(found["model_types"])
    sets: list[frozenset[str]] = []
    for release in releases:
        sets.append((sets[-1] if sets else frozenset()) | frozenset(found["model_types"][release]))
    return tuple(sets), releases, frozenset(found["tokenizers"])


def transformers_of(version: Version | None) -> str:
    """Release of transformers in an image of TensorRT-LLM; the newest known one if the version is not known."""
    if version is None:
        return _known()[1][-1]
    return next(release for since, release in reversed(_TRANSFORMERS) if since <= version)


def has_class(model_type: str, version: Version | None = None) -> bool:
    """Whether transformers or TensorRT-LLM has a class for this model type; without a version, in the newest image."""
    sets, releases, _ = _known()
    own = _OWN_CLASSES.get(model_type)
    if own is not None and version is not None and own <= version:
        return True
    return model_type in sets[releases.index(transformers_of(version))]


def own_tokenizer(tokenizer_config: Mapping[str, Any]) -> bool:
    """Whether tokenizer_config.json names Python code, and no class that transformers has."""
    maps = tokenizer_config.get("auto_map")
    if not maps:
        return False
    name = str(tokenizer_config.get("tokenizer_class") or "").removesuffix("Fast")
    known = _known()[2]
    return not (name and (name in known or f"{name}Fast" in known))


def runs_own_code(facts: ModelFacts, version: Version | None = None) -> bool:
    """Whether loading the model runs code of the checkpoint."""
    return facts.custom_code and (facts.details.own_tokenizer or not has_class(facts.model_type, version))
