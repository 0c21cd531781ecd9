"""Loads the shards of trtllm-serve and its other ranks.

An engine's shard is its rank's file; of a Hugging Face checkpoint every rank reads a share of the tensors. Shards are
safetensors files in memory, and nothing here needs torch: double_model.py makes a model of them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from double_engine import engine_name, is_engine, join, read_config, read_engine, split
from double_gpus import device, devices
from double_mpi import Mpi, worker_program, world_size
from double_upstream import Program

LOADED, FAILED = b"+", b"-"
"""First byte of a rank's answer: its shard follows, or the reason why it could not load it."""
_REFUSED_METHODS = ("awq", "gptq", "bitsandbytes")
_LIMITS = ("max_batch_size", "max_num_tokens", "max_seq_len", "max_beam_width")


class Layout:
    """Parallelism from flags and options, or from the engine."""

    def __init__(self, tensor: int, pipeline: int, context: int, gpus_per_node: int | None = None) -> None:
        self.tensor, self.pipeline, self.context = tensor, pipeline, context
        self.gpus_per_node = gpus_per_node or max(1, len(devices()))

    @property
    def world(self) -> int:
        """Number of ranks."""
        return self.tensor * self.pipeline * self.context

    def check_machine(self, serve: Program) -> None:
        """Raise the runtime's errors for the numbers of processes and GPUs."""
        ranks, visible = world_size(), len(devices())
        if ranks is not None and ranks != self.world:
            raise RuntimeError(f"MPI size {ranks} != TP size {self.tensor} * PP size {self.pipeline}")
        if self.world // -(-self.world // self.gpus_per_node) > visible:
            when = "world_size_per_node of the (engine's) mapping exceeds the visible GPUs"
            serve.refuse(when, {"visible": visible, "world_size": self.world})


def check_engine(
    directory: Path, layout: Layout, asked: Mapping[str, int | None], serve: Program
) -> tuple[Layout, dict[str, int]]:
    """Layout and limits of the engine. Raises if flags do not agree with them."""
    config = read_config(directory)
    mapping = {"cp_size": 1, "gpus_per_node": 8, **config["pretrained_config"]["mapping"]}
    for when, name, size in (
        ("--tp_size is neither 1 nor the engine's", "tp_size", layout.tensor),
        ("--pp_size is neither 1 nor the engine's", "pp_size", layout.pipeline),
        ("context_parallel_size is neither 1 nor the engine's", "cp_size", layout.context),
    ):
        if size not in (1, mapping[name]):
            serve.refuse(when, {"given": size, "engine's": mapping[name]})
    built = {name: int(config["build_config"][name]) for name in (*_LIMITS, "max_input_len")}
    for name, usual in (("max_batch_size", 2048), ("max_num_tokens", 8192)):
        wanted = asked.get(name)
        if (wanted or usual) > built[name]:
            serve.refuse(
                f"--{name} (default {usual}) above the engine's", {"given": wanted or usual, "engine's": built[name]}
            )
        built[name] = min(wanted or usual, built[name])
    for name in ("max_seq_len", "max_beam_width"):
        if asked.get(name) not in (None, built[name]):
            _warn(f"{name} [{asked[name]}] is overridden by build_config.{name} [{built[name]}] in build_config")
    sizes = (mapping["tp_size"], mapping["pp_size"], mapping["cp_size"], mapping["gpus_per_node"])
    return Layout(*sizes), built


def check_chunks(directory: Path) -> None:
    """Raise the runtime's assertions about chunked prefill."""
    plugins = read_config(directory)["build_config"]["plugin_config"]
    if not plugins["use_paged_context_fmha"]:
        raise RuntimeError(
            "[TensorRT-LLM][ERROR] Assertion failed: Chunked context requires context FMHA, paged kv_cache and paged "
            "context FMHA all enabled at the same time."
        )


def check_hugging_face(directory: Path, layout: Layout) -> int:
    """Length of the longest sequence. Raises the PyTorch runtime's errors for a checkpoint that it does not load."""
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    architecture = (config.get("architectures") or [None])[0]
    if architecture is None or "model_type" not in config:
        raise ValueError(f"Unknown architecture for AutoModelForCausalLM: {config.get('architecture')}")
    method = (config.get("quantization_config") or {}).get("quant_method")
    if method in _REFUSED_METHODS and not (directory / "hf_quant_config.json").exists():
        raise NotImplementedError(f"Unsupported quantization_config: {config['quantization_config']}.")
    heads = config["num_attention_heads"]
    if heads % (layout.tensor * layout.context):
        raise AssertionError(f"attention.py: num_attention_heads {heads} % (tp_size * cp_size) != 0")
    kept = config.get("num_key_value_heads") or heads
    if kept % layout.tensor and layout.tensor % kept:
        raise AssertionError(f"attention.py: num_key_value_heads {kept} and tp_size {layout.tensor}")
    return int(config["max_position_embeddings"])


def shard_of(model: Path, rank: int, world: int, local: int) -> bytes:
    """Shard of one rank, read by the process of that rank, on its GPU."""
    gpu = device(local)
    if not is_engine(model):
        return _share(model, rank, world)
    built = read_config(model)["pretrained_config"]["mapping"]["world_size"]
    if built != world:
        raise RuntimeError(f"Engine world size ({built}) != Runtime world size ({world})")
    return read_engine(model / engine_name(rank), gpu)


class Ranks:
    """Processes that load a model together: mpirun's, or those that this process spawns."""

    def __init__(self) -> None:
        self._mpi = None if world_size() is None else Mpi()
        self._others: range = range(1, self._mpi.size) if self._mpi is not None else range(0)

    def shards(self, model: Path, layout: Layout) -> list[bytes]:
        """Shards of all ranks, each loaded by its own process; a single rank is this process."""
        if layout.world == 1:
            return [shard_of(model, 0, 1, 0)]
        own = self._mpi is not None
        if self._mpi is None:
            self._mpi, self._others = Mpi(), range(layout.world)
            self._mpi.spawn(worker_program(), layout.world)
        self._tell({"model": str(model), "gpus_per_node": layout.gpus_per_node})
        found = [shard_of(model, 0, layout.world, 0)] if own else []
        answers = [self._mpi.receive(rank) for rank in self._others]
        failed = [answer.removeprefix(FAILED).decode() for answer in answers if answer.startswith(FAILED)]
        if failed:
            self.finish()
            raise RuntimeError(failed[0])
        return found + [answer.removeprefix(LOADED) for answer in answers]

    def finish(self) -> None:
        """End the other processes."""
        if self._mpi is not None:
            self._tell(None)
            self._mpi.finish()

    def _tell(self, task: dict[str, Any] | None) -> None:
        if self._mpi is not None:
            for rank in self._others:
                self._mpi.send(json.dumps(task).encode(), rank)


def _share(model: Path, rank: int, world: int) -> bytes:
    """Every world-th tensor by name."""
    files = sorted(model.glob("*.safetensors"))
    headers = {path: _split_header(path) for path in files}
    names = sorted((name, path) for path in files for name in headers[path][0])
    if not names:
        raise FileNotFoundError(f"Could not find any .safetensors or .bin files in {model}")
    header: dict[str, Any] = {}
    data = bytearray()
    for name, path in names[rank::world]:
        tensors, begin = headers[path]
        start, end = tensors[name]["data_offsets"]
        header[name] = {**tensors[name], "data_offsets": [len(data), len(data) + end - start]}
        with path.open("rb") as file:
            file.seek(begin + start)
            data += file.read(end - start)
    return join(header, bytes(data))


def _split_header(path: Path) -> tuple[dict[str, Any], int]:
    """Tensors of a safetensors file, and where their bytes begin."""
    with path.open("rb") as file:
        prefix = file.read(8)
        size = int.from_bytes(prefix, "little")
        header, _ = split(prefix + file.read(size))
    header.pop("__metadata__", None)
    return header, 8 + size


def _warn(what: str) -> None:
    sys.stdout.write(f"[TRT-LLM] [W] {what}\n")
