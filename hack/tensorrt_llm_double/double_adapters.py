"""LoRA adapters of requests, as lora_manager of TensorRT-LLM loads them.

An adapter is what the model's linear layers add to their own outputs while the thread of its request computes:
(alpha / rank) B A x. There is one model, whatever the number of adapters.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn

from double_engine import read_config
from trtllm_builder.checkpoint.linear import QuantizedLinear
from trtllm_planner.tensorrt_llm.versions import Version

MODULES: Mapping[str, str] = {
    "attn_q": "q_proj",
    "attn_k": "k_proj",
    "attn_v": "v_proj",
    "attn_dense": "o_proj",
    "mlp_h_to_4h": "gate_proj",
    "mlp_4h_to_h": "down_proj",
    "mlp_gate": "up_proj",
    "mlp_gate_up": "gate_up_proj",
    "moe_h_to_4h": "w1",
    "moe_4h_to_h": "w2",
    "moe_gate": "w3",
    "moe_router": "gate",
}
"""TensorRT-LLM's and Hugging Face's names of the modules that adapters may change."""
MODULES_UNTOLD = (
    "lora_target_modules is empty. Please specify lora_target_modules or provide lora_dir to infer lora_target_modules."
)
_KEY = re.compile(r".*\.layers\.(\d+)\.(\w+)\.(\w+)\.(?:lora_([AB])\.weight|lora_(magnitude)_vector)$")
_ATTENTION = ("attn_q", "attn_k", "attn_v")
_FLAT = Version(0, 21, 0, 0)

Terms = Mapping[str, tuple[Tensor, Tensor]]
"""A and scaled B by the name of the linear layer."""


@dataclass(frozen=True)
class Enabled:
    """LoRA settings of the server."""

    max_rank: int
    modules: frozenset[str]


class Adapters:
    """Adapters of one server, loaded when a request first names them. Several threads may use it."""

    def __init__(self, model: nn.Module, enabled: Enabled | None) -> None:
        self._enabled, self._lock, self._active = enabled, threading.Lock(), threading.local()
        self._loaded: dict[int, Terms] = {}
        self._shapes: dict[str, tuple[int, int]] = {}
        layers = model.get_submodule("model").named_modules(prefix="model") if enabled else ()
        for name, module in layers:
            if name.rpartition(".")[2] in MODULES.values() and hasattr(module, "weight"):
                self._shapes[name] = _shape(module)
                module.register_forward_hook(self._hook(name))

    def find(self, asked: Any) -> Terms | None:
        """Adapter of a request's lora_request. Raises ValueError with the server's message.

        The first request of an id decides which adapter it means. A server without LoRA answers as if none were named.
        """
        if asked is None:
            return None
        name, number, path = _fields(asked)
        if path is None or not Path(path).exists():
            raise ValueError(f"lora_path ({path or ''}) does not exist.")
        if self._enabled is None:
            return None
        with self._lock:
            if number not in self._loaded:
                self._loaded[number] = self._load(Path(path), self._enabled)
                print(f"[TRT-LLM] [I] LoRA adapter {name} of id {number} is loaded from {path}", flush=True)
            return self._loaded[number]

    @contextlib.contextmanager
    def active(self, terms: Terms | None) -> Iterator[None]:
        """Apply an adapter to the computations of this thread."""
        self._active.terms = terms
        try:
            yield
        finally:
            self._active.terms = None

    def _hook(self, name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor | None]:
        def add(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
            term = (getattr(self._active, "terms", None) or {}).get(name)
            if term is None:
                return None
            low, high = (part.to(output.dtype) for part in term)
            added: Tensor = (inputs[0].to(output.dtype) @ low.t()) @ high.t()
            return output + added

        return add

    def _load(self, directory: Path, enabled: Enabled) -> Terms:
        config, tensors = _read(directory)
        rank = int(config["r"])
        if rank > enabled.max_rank:
            raise ValueError(
                f"[TensorRT-LLM][ERROR] Assertion failed: Invalid low_rank ({rank}). low_rank must be smaller than "
                f"mMaxLowRank ({enabled.max_rank})"
            )
        scale = float(config["lora_alpha"]) / (math.sqrt(rank) if config.get("use_rslora") else rank)
        halves: dict[str, dict[str, Tensor]] = {}
        for module, half, tensor in _parts(tensors):
            if half == "magnitude":
                raise ValueError("the double computes no DoRA")
            # what the server was not started for is left out without a word
            if _trtllm_name(module) in enabled.modules:
                halves.setdefault(module, {})[half] = tensor.float()
        found = {module: (pair["A"], pair["B"] * scale) for module, pair in halves.items()}
        for module, (low, high) in found.items():
            if (high.shape[0], low.shape[1]) != self._shapes.get(module):
                raise ValueError(
                    f"[TensorRT-LLM][ERROR] Assertion failed: lora_weights has to few values for {_trtllm_name(module)}"
                )
        return found


def of_options(options: Mapping[str, Any], version: Version) -> Enabled | None:
    """LoRA settings of a PyTorch server. Raises the errors that the runtime raises at its start."""
    config = options.get("lora_config")
    if config is None:
        return None
    directories, modules = config.get("lora_dir") or [], list(config.get("lora_target_modules") or [])
    if not directories and not modules and version >= _FLAT:
        modules = list(MODULES)
    if len(directories) == 1:
        modules = modules or modules_of(Path(directories[0]))
    elif not modules:
        raise AssertionError("Expecting at least one lora target module")
    return Enabled(int(config.get("max_lora_rank", 64)), _whole(modules))


def of_engine(directory: Path) -> Enabled | None:
    """LoRA settings of an engine."""
    build = read_config(directory)["build_config"]
    if build["plugin_config"].get("lora_plugin") is None:
        return None
    config = build["lora_config"]
    return Enabled(int(config["max_lora_rank"]), _whole(config["lora_target_modules"]))


def modules_of(directory: Path) -> list[str]:
    """TensorRT-LLM's names of the modules that an adapter changes. Raises the loader's errors."""
    modules = sorted({_trtllm_name(module) for module, *_ in _parts(_read(directory)[1])})
    if not modules:
        raise ValueError(MODULES_UNTOLD)
    return modules


def _shape(module: Any) -> tuple[int, int]:
    """Numbers of outputs and inputs of a linear layer, quantized or not."""
    if not isinstance(module, QuantizedLinear):
        return module.out_features, module.in_features
    weight = module.dequantized() if module.unpacked is None else module.unpacked
    return weight.shape[0], weight.shape[1]


def _fields(asked: Any) -> tuple[str, int, str | None]:
    """Fields of a LoRARequest. Raises ValueError if they are not valid."""
    given = asked if isinstance(asked, dict) else {}
    for name, kind in (("lora_name", str), ("lora_int_id", int)):
        if not isinstance(given.get(name), kind):
            problem = f"Input should be a valid {kind.__name__}" if name in given else "Field required"
            raise ValueError(f"1 validation error: ('body', 'lora_request', '{name}'): {problem}")  # noqa: TRY004
    return given["lora_name"], given["lora_int_id"], given.get("lora_path")


def _read(directory: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    weights, config = directory / "adapter_model.safetensors", directory / "adapter_config.json"
    if not weights.is_file():
        raise ValueError(f"adapter_model file does not exist in {directory}")
    if not config.is_file():
        raise ValueError(f"{config} does not exist")
    return json.loads(config.read_text(encoding="utf-8")), load_file(weights)


def _parts(tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, str, Tensor]]:
    """Each linear layer with `A`, `B` or `magnitude`, and the tensor."""
    for key, tensor in tensors.items():
        match = _KEY.match(key)
        if match is None:
            if "lm_head" not in key and "embed_tokens" not in key:
                raise ValueError(f"unsupported key {key} from HF LoRA weights")
            continue
        layer, parent, module, half, magnitude = match.groups()
        if module not in MODULES.values():
            raise ValueError(f"hf_module {module} is not in supported list {set(MODULES.values())}")
        yield f"model.layers.{layer}.{parent}.{module}", half or magnitude, tensor


def _trtllm_name(module: str) -> str:
    return next(name for name, theirs in MODULES.items() if theirs == module.rpartition(".")[2])


def _whole(modules: list[str]) -> frozenset[str]:
    """The modules, with all of query, key and value if one of them is adapted."""
    return frozenset(modules) | (frozenset(_ATTENTION) if set(modules) & set(_ATTENTION) else frozenset())
