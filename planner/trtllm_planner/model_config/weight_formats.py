"""Format of every layer of a quantized checkpoint, from the configs that different tools write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trtllm_api.facts import CheckpointFacts
from trtllm_planner.model_config.patterns import Names
from trtllm_planner.model_config.section import Config
from trtllm_planner.tensorrt_llm.shards import is_expert, is_kept
from trtllm_planner.tensorrt_llm.versions import Algorithm, algorithm_named

SHORT = 256
"""Longest text of the API's ShortText, in characters."""
_GROUP_CLASS = "Linear"
_PREFIXES = ("", "model.language_model.", "language_model.model.", "model.")
"""Prefixes of `layers.0. ...` in the checkpoints of models with towers."""
_EXPERTS_ONLY = frozenset({"mxfp4"})
"""Methods that quantize only routed experts."""
_NO_NAMES = Names(())


@dataclass(frozen=True)
class Group:
    """Modules of one format."""

    algorithm: Algorithm | None
    """Format of the modules; None if TensorRT-LLM has no name for it."""
    bits: int
    size: int | None
    names: Names


@dataclass(frozen=True)
class WeightFormats:
    """A checkpoint's formats, module by module."""

    checkpoint: CheckpointFacts | None = None
    """Quantization of the checkpoint; None if nothing is quantized."""
    groups: tuple[Group, ...] = ()
    """Groups of a checkpoint with several formats."""
    kept: Names = field(default=_NO_NAMES)
    """Modules in full precision."""

    def of(self, module: str) -> Algorithm | None:
        """Format of a module: NONE for full precision, None for a format without a known name."""
        checkpoint = self.checkpoint
        if checkpoint is None:
            return Algorithm.NONE
        names = _spellings(module)
        if any(map(self.kept.match, names)):
            return Algorithm.NONE
        if not self.groups:
            if is_kept(module, ()) or (checkpoint.method in _EXPERTS_ONLY and not is_expert(module)):
                return Algorithm.NONE
            return algorithm_named(checkpoint.algorithm)
        found = next((group for group in self.groups if any(map(group.names.match, names))), None)
        if found is not None:
            return found.algorithm
        general = next((group for group in self.groups if not group.names), None)
        return Algorithm.NONE if general is None or is_kept(module, ()) else general.algorithm


def _spellings(module: str) -> tuple[str, ...]:
    if not module.startswith("model.layers."):
        return (module,)
    rest = module.removeprefix("model.")
    return tuple(dict.fromkeys(prefix + rest for prefix in _PREFIXES))


def weight_formats(config: Config, beside: Mapping[str, Config] | None = None) -> WeightFormats:
    """Formats from config.json and the files beside it, by file name; hf_quant_config.json wins over config.json."""
    files = beside or {}
    own = files.get("hf_quant_config.json", {}).get("quantization")
    if isinstance(own, Mapping) and (own.get("quant_algo") or own.get("kv_cache_quant_algo")):
        return _modelopt({**files.get("quant_cfg.json", {}), **own})
    found = config.get("quantization_config")
    for name, method in (("quantize_config.json", "gptq"), ("quant_config.json", "awq")):
        old = files.get(name)
        if not isinstance(found, Mapping) and old and _number(old, "bits", "w_bit"):
            found = {"quant_method": method, **old}  # AutoGPTQ and AutoAWQ, before transformers knew them
    if not isinstance(found, Mapping):
        text = config.get("text_config")
        found = text.get("quantization_config") if isinstance(text, Mapping) else None
    if not isinstance(found, Mapping) or not found.get("quant_method"):
        return WeightFormats()
    method = str(found["quant_method"]).lower()
    if method.startswith("modelopt"):
        return _modelopt(found)
    if method == "compressed-tensors":
        return _compressed(found)
    return WeightFormats(_other(found, method), kept=Names(_excluded(found), below=True))


def _excluded(found: Config) -> list[object]:
    """Modules that stay in full precision, under every name that tools have for the list."""
    keys = ("modules_to_not_convert", "ignored_layers", "ignore", "exclude_modules", "llm_int8_skip_modules")
    return [item for key in keys if isinstance(found.get(key), list) for item in found[key]]


def _modelopt(found: Config) -> WeightFormats:
    """Formats from `quantization` of hf_quant_config.json, or from the same keys in config.json."""
    algorithm = _short(found.get("quant_algo"))
    layers = found.get("quantized_layers")
    groups: tuple[Group, ...] = ()
    if algorithm == Algorithm.MIXED and isinstance(layers, Mapping):
        named: dict[tuple[str, int | None], list[str]] = {}
        for name, entry in layers.items():
            if isinstance(entry, Mapping) and entry.get("quant_algo"):
                named.setdefault((str(entry["quant_algo"]), _number(entry, "group_size") or None), []).append(name)
        groups = tuple(
            Group(algorithm_named(name), 0, size, Names(modules, below=True)) for (name, size), modules in named.items()
        )
    checkpoint = CheckpointFacts(
        method="modelopt",
        algorithm=algorithm,
        formats=_formats(groups),
        bits=None if algorithm_named(algorithm) is not None else _bits_named(algorithm),
        group_size=_number(found, "group_size") or None,
        symmetric=not found.get("has_zero_point"),
        kv_cache=_short(found.get("kv_cache_quant_algo")) or _kv_cache(found),
    )
    return WeightFormats(checkpoint, groups, Names(_excluded(found), below=True))


def _bits_named(algorithm: str | None) -> int | None:
    """Bits of a weight from the name of a format that no table here has, such as W4A8_MXFP4_FP8 or MXFP8."""
    digits = re.match(r"W(\d+)A|MXFP(\d+)|NVFP(\d+)|FP(\d+)|INT(\d+)", algorithm or "")
    return int(next(filter(None, digits.groups()))) if digits is not None else None


def _kv_cache(found: Config) -> str | None:
    """Format of the KV cache from compressed-tensors' kv_cache_scheme."""
    scheme = found.get("kv_cache_scheme")
    if not isinstance(scheme, Mapping):
        return None
    bits = _number(scheme, "num_bits")
    if bits == 8:
        return "FP8" if scheme.get("type") == "float" else "INT8"
    return "NVFP4" if bits == 4 and scheme.get("type") == "float" else None


def _compressed(found: Config) -> WeightFormats:
    listed = found.get("config_groups")
    entries = [item for item in listed.values() if isinstance(item, Mapping)] if isinstance(listed, Mapping) else []
    groups = tuple(_group(item, str(found.get("format") or "")) for item in entries)
    several = len({(group.algorithm, group.bits, group.size) for group in groups}) > 1
    weights: Any = entries[0].get("weights") if entries else None
    first = groups[0] if groups else None
    weights = weights if isinstance(weights, Mapping) else {}
    checkpoint = CheckpointFacts(
        method="compressed-tensors",
        algorithm=Algorithm.MIXED if several else first.algorithm if first is not None else None,
        formats=_formats(groups) if several else (),
        group_size=first.size if first is not None and not several else None,
        bits=(first.bits or None) if first is not None and first.algorithm is None else None,
        act_order=weights.get("actorder") in ["group", True],
        integer=any(_integer(item) for item in entries),
        symmetric=weights.get("symmetric") is not False,
        kv_cache=_kv_cache(found),
    )
    return WeightFormats(checkpoint, groups if several else (), Names(_excluded(found), below=True))


def _integer(entry: Config) -> bool:
    weights = entry.get("weights")
    return isinstance(weights, Mapping) and weights.get("type") != "float"


def _group(entry: Config, form: str) -> Group:
    weights = entry.get("weights")
    weights = weights if isinstance(weights, Mapping) else {}
    targets = entry.get("targets")
    names = Names(item for item in targets if item != _GROUP_CLASS) if isinstance(targets, list) else Names(())
    bits, size = _number(weights, "num_bits"), _number(weights, "group_size") or None
    return Group(_compressed_algorithm(weights, str(entry.get("format") or form)), bits, size, names)


def _compressed_algorithm(weights: Config, form: str) -> Algorithm | None:
    bits, strategy = _number(weights, "num_bits"), str(weights.get("strategy"))
    if weights.get("type") != "float":
        return None
    if bits == 4:
        mx = form == "mxfp4-pack-quantized" or _number(weights, "group_size") == 32
        return Algorithm.MXFP4 if mx else Algorithm.NVFP4
    kinds = {"channel": Algorithm.FP8_ROWWISE, "block": Algorithm.FP8_BLOCK}
    return kinds.get(strategy, Algorithm.FP8) if bits == 8 else None


def _formats(groups: tuple[Group, ...]) -> tuple[str, ...]:
    """Names of all formats, each once; a format without a name is described by its bits."""
    names = (group.algorithm or (f"{group.bits} bits" if group.bits else "unknown") for group in groups)
    return tuple(dict.fromkeys(str(name)[:32] for name in names))[:8]


def _other(found: Config, method: str) -> CheckpointFacts:
    group = _number(found, "group_size", "q_group_size") or None
    if found.get("group_size", found.get("q_group_size")) == -1:
        group = 0  # a scale for each channel
    blocks = found.get("weight_block_size")
    if isinstance(blocks, list) and blocks and isinstance(blocks[-1], int):
        name = Algorithm.FP8_BLOCK if method == "fp8" else None
        return CheckpointFacts(method=method[:SHORT], algorithm=name, group_size=blocks[-1], bits=None if name else 8)
    bits = _number(found, "bits", "w_bit", "weight_bits") or _BITS.get(method, 0)
    if method == "bitsandbytes":
        bits = 4 if found.get("load_in_4bit") or found.get("_load_in_4bit") else 8
    algorithm = _ALGORITHMS.get((method, bits))
    return CheckpointFacts(
        method=method[:SHORT],
        algorithm=algorithm,
        group_size=group,
        bits=bits or None if algorithm is None else None,
        act_order=bool(found.get("desc_act")),
        symmetric=not found.get("zero_point", True) if method == "awq" else found.get("sym") is not False,
        dynamic=method == "fp8" and found.get("activation_scheme") != "static",
    )


_BITS: Mapping[str, int] = {"mxfp4": 4, "nvfp4": 4, "fp8": 8, "fbgemm_fp8": 8, "mxfp8": 8, "eetq": 8, "bitnet": 2}
_ALGORITHMS: Mapping[tuple[str, int], Algorithm] = {
    ("awq", 4): Algorithm.W4A16_AWQ,
    ("gptq", 4): Algorithm.W4A16_GPTQ,
    ("gptq", 8): Algorithm.W8A16_GPTQ,
    ("mxfp4", 4): Algorithm.MXFP4,
    ("nvfp4", 4): Algorithm.NVFP4,
    ("fp8", 8): Algorithm.FP8,
    ("fbgemm_fp8", 8): Algorithm.FP8_ROWWISE,
}


def _short(value: object) -> str | None:
    return str(value)[:SHORT] if value else None


def _number(config: Config, *names: str) -> int:
    for name in names:
        value = config.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 40:
            return value
    return 0
