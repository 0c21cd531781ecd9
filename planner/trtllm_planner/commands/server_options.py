"""Judges serving.options before a GPU is used: names, types, runtime and version, and values that LlmArgs refuses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from trtllm_api.enginebuild import Runtime
from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal, warning
from trtllm_planner.commands.flags import assumed, label
from trtllm_planner.commands.llm_args import TOP, Known, class_of, fits, known, since, words
from trtllm_planner.commands.serve import OWNED_OPTIONS
from trtllm_planner.tensorrt_llm.versions import Version

FIELD = "serving.options"
_SPECULATION = "speculative_config"
_TYPE = "decoding_type"
_DECODING: Mapping[str, str] = {"AUTO": "AutoDecodingConfig", "SaveState": "SaveHiddenStatesDecodingConfig"}
"""Classes of speculative_config that are not named after their decoding_type."""
_ENGINES_ONLY, _PYTORCH_ONLY = (
    frozenset({"Medusa", "Lookahead"}),
    frozenset({"MTP", "NGram", "DraftTarget", "UserProvided", "AUTO", "SaveState", "Eagle3"}),
)
_DRAFTED = frozenset({"Eagle", "Eagle3", "DraftTarget"})
"""Decoding types that need weights of their own."""


@dataclass(frozen=True)
class _Range:
    """Numbers that a field takes."""

    least: float
    most: float | None = None
    above: bool = False
    """`least` itself is too small."""

    def takes(self, value: Any) -> bool:
        number = float(value)
        return (number > self.least or (number == self.least and not self.above)) and (
            self.most is None or number <= self.most
        )

    def __str__(self) -> str:
        if self.most is not None:
            return f"a number from {self.least:g} to {self.most:g}"
        return f"more than {self.least:g}" if self.above else f"{self.least:g} or more"


_RANGES: Mapping[str, _Range] = {
    "stream_interval": _Range(0, above=True),
    "batch_wait_timeout_ms": _Range(0),
    "batch_wait_timeout_iters": _Range(0),
    "batch_wait_max_tokens_ratio": _Range(0, 1),
    "cuda_graph_config.max_batch_size": _Range(0),
    "kv_cache_config.free_gpu_memory_fraction": _Range(0, 1),
    "kv_cache_config.max_gpu_total_bytes": _Range(0),
    "kv_cache_config.max_util_for_resume": _Range(0, 1),
    "attention_dp_config.batching_wait_iters": _Range(0),
    "attention_dp_config.timeout_iters": _Range(0),
    "torch_compile_config.max_num_streams": _Range(1),
}
_POSITIVE_LISTS = ("kv_cache_config.max_attention_window", "torch_compile_config.capture_num_tokens")
_RAY = ("ray_worker_extension_cls", "ray_placement_config")


def judge_options(options: Mapping[str, Any], runtime: Runtime, version: Version | None) -> Iterator[Verdict]:
    """Judge the user's part of the file of options."""
    question = _Question(runtime, known(assumed(version)), label(version))
    for key, value in options.items():
        owner = OWNED_OPTIONS.get(key)
        if owner is not None:
            operator = owner == "operator"
            yield question.refusal(
                f"{FIELD}: {key} is set by " + ("the operator" if operator else f"spec.{owner}"),
                "leave it out" if operator else f"set spec.{owner} instead",
            )
        else:
            yield from question.field(TOP[runtime], key, value, "")
    yield from question.combinations(options)


@dataclass(frozen=True)
class _Question:
    """Runtime and version whose options are judged."""

    runtime: Runtime
    known: Known
    version: str

    def refusal(self, message: str, remedy: str) -> Verdict:
        return refusal(Reason.INVALID_OPTIONS, message, remedy, {"version": self.version})

    def field(self, name: str, key: str, value: Any, prefix: str) -> Iterator[Verdict]:
        """Judge one field of a class; prefix: the path of the object that holds it."""
        fields, path = self.known.fields(name), f"{prefix}{key}"
        if fields is None:
            yield from self._value(path, value)
            return
        kind = fields.get(key)
        if kind is None:
            yield self._unknown(name, key, path, fields)
        elif key == "load_format" and isinstance(value, str) and fits(value.upper(), kind):
            return  # it is compared without regard to case
        elif not fits(value, kind):
            yield self.refusal(f"{FIELD}.{path} takes {words(kind)}, not {value!r:.80}", f"write {words(kind)}")
        elif (nested := class_of(kind)) is not None and isinstance(value, dict):
            yield from self.mapping(nested, value, f"{path}.")
        else:
            yield from self._value(path, value)

    def mapping(self, name: str, value: Mapping[str, Any], prefix: str) -> Iterator[Verdict]:
        """Judge the fields of a nested object."""
        for key, item in value.items():
            yield from self.field(name, key, item, prefix)

    def combinations(self, options: Mapping[str, Any]) -> Iterator[Verdict]:
        """Judge rules about more than one field, and values that only one runtime refuses."""
        cache, graphs = _mapping(options, "kv_cache_config"), _mapping(options, "cuda_graph_config")
        if self.runtime is Runtime.TENSORRT and cache.get("dtype", "auto") != "auto":
            yield self.refusal(
                f"{FIELD}.kv_cache_config.dtype is refused by the TensorRT runtime, whose engines have the format that "
                "they were built with",
                "set convert.kvCache, or leave it out",
            )
        sizes, most = graphs.get("batch_sizes"), graphs.get("max_batch_size")
        if isinstance(sizes, list) and most and most != max(sizes, default=0):
            yield self.refusal(
                f"{FIELD}.cuda_graph_config has batch_sizes and a max_batch_size {most} that is not their largest",
                "set one of the two",
            )
        if _mapping(options, "peft_cache_config").get("lora_prefetch_dir") is not None:
            yield self.refusal(
                f"{FIELD}.peft_cache_config.lora_prefetch_dir is not supported by TensorRT-LLM", "leave it out"
            )
        if options.get("orchestrator_type") != "ray":
            for key in _RAY:
                if options.get(key) is not None:
                    yield self.refusal(
                        f"{FIELD}.{key} needs orchestrator_type ray", f"leave {key} out, or set orchestrator_type"
                    )
        if isinstance(options.get(_SPECULATION), dict):
            yield from self._speculation(options[_SPECULATION])

    def _speculation(self, value: Mapping[str, Any]) -> Iterator[Verdict]:
        kind, types = value.get(_TYPE), self.known.decoding_types()
        path = f"{FIELD}.{_SPECULATION}"
        if kind not in types:
            if not self.known.newer:
                yield self.refusal(
                    f"{path}.{_TYPE} is {kind!r:.80}, and TensorRT-LLM {self.version} takes {', '.join(types)}",
                    f"set {_TYPE} to one of these",
                )
            return
        if kind in (_PYTORCH_ONLY if self.runtime is Runtime.TENSORRT else _ENGINES_ONLY):
            other = next(item for item in TOP if item is not self.runtime)
            yield self.refusal(
                f"{path}.{_TYPE} {kind} is not supported by the {self.runtime} runtime",
                f"use runtime {other}, or another {_TYPE}",
            )
        weights = {key for key in value if key.startswith("speculative_model") or key == "pytorch_eagle_weights_path"}
        if kind in _DRAFTED and not weights:
            yield self.refusal(
                f"{path} of {_TYPE} {kind} names no draft model", "set speculative_model to its directory in the pod"
            )
        rest = {key: item for key, item in value.items() if key != _TYPE}
        yield from self.mapping(_DECODING.get(kind, f"{kind}DecodingConfig"), rest, f"{_SPECULATION}.")

    def _unknown(self, name: str, key: str, path: str, fields: Mapping[str, str]) -> Verdict:
        message, first = f"TensorRT-LLM {self.version} has no option {path}", since(name, key)
        other = next(item for item in TOP if item is not self.runtime)
        if name == TOP[self.runtime]:
            message = f"the {self.runtime} runtime of {message}"
        near = get_close_matches(key, fields, n=2, cutoff=0.75)
        if name == TOP[self.runtime] and key in (self.known.fields(TOP[other]) or {}):
            remedy = f"leave it out; it belongs to runtime {other}"
        elif near:
            remedy = f"did you mean {' or '.join(near)}?"
        else:
            remedy = f"use an image of {first} or newer, or leave it out" if first else "leave it out"
        if self.known.newer or self.known.ignores:
            known = "may have it, but is newer than its documentation here" if self.known.newer else "ignores it"
            return warning(Reason.INVALID_OPTIONS, f"{FIELD}: {message}, or {known}", remedy)
        return self.refusal(f"{FIELD}: {message}", remedy)

    def _value(self, path: str, value: Any) -> Iterator[Verdict]:
        allowed = _RANGES.get(path)
        if allowed is not None and isinstance(value, int | float) and not allowed.takes(value):
            yield self.refusal(f"{FIELD}.{path} must be {allowed}, not {value!r:.80}", f"use {allowed}")
        if path in _POSITIVE_LISTS and isinstance(value, list) and (not value or min(map(float, value)) <= 0):
            yield self.refusal(f"{FIELD}.{path} must hold positive numbers, not {value!r:.80}", "use positive numbers")


def _mapping(options: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = options.get(key)
    return value if isinstance(value, dict) else {}
