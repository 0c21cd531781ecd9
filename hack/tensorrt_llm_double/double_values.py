"""Values of options that LlmArgs refuses although name and type are right.

The cases are coded here, by the text that the facts have for each; whether a release has the check, and its words, come
from the facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from double_upstream import Program

_Values = Mapping[str, Any]
_Case = Callable[[_Values], _Values | None]
_ENGINES = frozenset({"Medusa", "Lookahead"})
_TORCH = frozenset({"MTP", "NGram", "DraftTarget", "UserProvided", "AUTO", "SaveState"})


class Values:
    """Checks of one release's runtime."""

    def __init__(self, serve: Program, top: str, *, pytorch: bool) -> None:
        self._serve, self._top, self._pytorch = serve, top, pytorch

    def check(self, options: _Values) -> None:
        """Raise the first refusal, in the form of a pydantic validator's error."""
        for when, values in self._cases(options):
            check = self._serve.check(when)
            if check is None or values is None:
                continue
            error = check.raised({"backend": "pytorch" if self._pytorch else "tensorrt", **values})
            kind = "Assertion failed" if isinstance(error, AssertionError) else "Value error"
            if not isinstance(error, ValueError | AssertionError):
                raise error
            raise ValueError(f"1 validation error for {self._top}\n  {kind}, {error} [type=value_error]")

    def _cases(self, options: _Values) -> Iterator[tuple[str, _Values | None]]:
        """Each case with the values of its message; None if the case does not apply."""
        for when, path, wrong in _NUMBERS:
            value = _at(options, path)
            yield when, {"value": value} if isinstance(value, int | float) and wrong(float(value)) else None
        cache, graphs = options.get("kv_cache_config") or {}, options.get("cuda_graph_config") or {}
        windows = cache.get("max_attention_window")
        yield "kv_cache_config.max_attention_window is an empty list", {} if windows == [] else None
        some = "kv_cache_config.max_attention_window has a number <= 0"
        yield some, {} if any(window <= 0 for window in windows or ()) else None
        dtype = cache.get("dtype", "auto") != "auto" and not self._pytorch
        yield "kv_cache_config.dtype other than auto with the TensorRT runtime", {} if dtype else None
        sizes, most = graphs.get("batch_sizes"), graphs.get("max_batch_size")
        both = sizes and most and most != max(sizes)
        yield "cuda_graph_config.batch_sizes and max_batch_size contradict", {} if both else None
        tokens = (options.get("torch_compile_config") or {}).get("capture_num_tokens") or ()
        negative = any(number <= 0 for number in tokens)
        yield "torch_compile_config.capture_num_tokens has a number <= 0", {} if negative else None
        adapters = (options.get("peft_cache_config") or {}).get("lora_prefetch_dir")
        yield "peft_cache_config.lora_prefetch_dir given", None if adapters is None else {"dir": adapters}
        data = (options.get("attention_dp_config") or {}).get("batching_wait_iters", 0)
        yield "attention_dp_config.enable_balance with a negative number", {} if data < 0 else None
        balancer = (options.get("moe_config") or {}).get("load_balancer")
        lost = isinstance(balancer, str) and not Path(balancer).is_file()
        yield "moe_config.load_balancer names no file", {"path": balancer} if lost else None
        yield from self._words(options)
        yield from self._speculation(options.get("speculative_config") or {})

    def _words(self, options: _Values) -> Iterator[tuple[str, _Values | None]]:
        load = options.get("load_format", "auto")
        formats = {"AUTO", "DUMMY", "VISION_ONLY"}
        unknown = self._pytorch and str(load).upper() not in formats
        yield "load_format unknown (PyTorch)", {"value": load} if unknown else None
        modes = {"NONE", "SHARDING_ALONG_VOCAB", "SHARDING_ALONG_HIDDEN"}
        mode = options.get("embedding_parallel_mode", "NONE")
        yield "embedding_parallel_mode unknown", None if mode in modes else {"value": mode}
        for name in ("ray_worker_extension_cls", "ray_placement_config"):
            alone = options.get(name) is not None and options.get("orchestrator_type") != "ray"
            yield f"{name} without orchestrator_type ray", {} if alone else None
        divided = any(options.get(f"{name}_parallel_size", 1) > 1 for name in ("tensor", "pipeline"))
        planned = options.get("auto_parallel") and divided
        yield "auto_parallel with tensor or pipeline parallelism", {} if planned else None

    def _speculation(self, config: _Values) -> Iterator[tuple[str, _Values | None]]:
        kind = config.get("decoding_type")
        lacking = kind in (_ENGINES if self._pytorch else _TORCH)
        yield "speculative_config of a kind that the runtime lacks", {"type": kind} if lacking else None
        third = kind == "Eagle3" and not self._pytorch
        yield "decoding_type Eagle3 with the TensorRT runtime", {} if third else None
        weights = any("model" in key or "weights" in key for key in config)
        bare = kind in {"Eagle", "Eagle3"} and not weights
        yield "eagle without weights, at the configuration itself", {} if bare else None
        yield "draft target without weights", {} if kind == "DraftTarget" and not weights else None


_NUMBERS: tuple[tuple[str, str, Callable[[float], bool]], ...] = (
    ("stream_interval <= 0", "stream_interval", lambda value: value <= 0),
    ("batch_wait_timeout_ms < 0", "batch_wait_timeout_ms", lambda value: value < 0),
    ("batch_wait_timeout_iters < 0", "batch_wait_timeout_iters", lambda value: value < 0),
    (
        "batch_wait_max_tokens_ratio outside 0..1",
        "batch_wait_max_tokens_ratio",
        lambda value: not 0 <= value <= 1,
    ),
    ("cuda_graph_config.max_batch_size < 0", "cuda_graph_config.max_batch_size", lambda value: value < 0),
    ("kv_cache_config.max_gpu_total_bytes < 0", "kv_cache_config.max_gpu_total_bytes", lambda value: value < 0),
    (
        "kv_cache_config.free_gpu_memory_fraction outside 0..1",
        "kv_cache_config.free_gpu_memory_fraction",
        lambda value: not 0 <= value <= 1,
    ),
    (
        "kv_cache_config.max_util_for_resume outside 0..1",
        "kv_cache_config.max_util_for_resume",
        lambda value: not 0 <= value <= 1,
    ),
    ("torch_compile_config.max_num_streams < 1", "torch_compile_config.max_num_streams", lambda value: value < 1),
)


def _at(options: _Values, path: str) -> Any:
    value: Any = options
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
