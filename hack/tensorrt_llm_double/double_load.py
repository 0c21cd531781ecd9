"""What trtllm-serve and its other ranks load, each rank its shard; serve.py and mgmn_worker_node.py call it.

An engine's shard is its rank's file; of a Hugging Face checkpoint every rank reads a share of the tensors. Shards are
safetensors files in memory, and nothing here needs torch: double_model.py makes a model of them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from double_engine import engine_name, is_engine, join, read_config, read_engine, split
from double_gpus import device, devices
from double_mpi import Mpi, world_size

_REFUSED_METHODS = ("awq", "gptq", "bitsandbytes")
_LIMITS = ("max_batch_size", "max_num_tokens", "max_seq_len", "max_beam_width")


class Layout:
    """Parallelism as flags and options say it."""

    def __init__(self, tensor: int, pipeline: int, context: int) -> None:
        self.tensor, self.pipeline, self.context = tensor, pipeline, context

    @property
    def world(self) -> int:
        """Ranks."""
        return self.tensor * self.pipeline * self.context

    def check_machine(self) -> None:
        """Whether there are as many processes and GPUs; raises what the runtime raises."""
        ranks, visible = world_size(), len(devices())
        if not visible:
            raise RuntimeError("No CUDA GPUs are available")
        if ranks is not None and ranks != self.world:
            raise RuntimeError(f"MPI size {ranks} != TP size {self.tensor} * PP size {self.pipeline}")
        here = int(os.environ.get("OMPI_COMM_WORLD_LOCAL_SIZE", self.world))
        if here > visible:
            raise RuntimeError(f"Only {visible} GPUs are available, but {here} are required.")


def check_engine(directory: Path, layout: Layout, asked: Mapping[str, int | None]) -> tuple[Layout, dict[str, int]]:
    """The engine's own layout and limits; raises where flags do not agree with them."""
    config = read_config(directory)
    mapping = config["pretrained_config"]["mapping"]
    sizes = {"tp_size": layout.tensor, "pp_size": layout.pipeline, "cp_size": layout.context}
    for name, size in sizes.items():
        own = mapping.get(name, 1)
        if size not in (1, own):
            raise ValueError(f"{name} {size} is not consistent with the engine's {name} {own}")
    built = {name: int(config["build_config"][name]) for name in (*_LIMITS, "max_input_len")}
    for name in _LIMITS:
        wanted = asked.get(name)
        if wanted is not None and wanted > built[name]:
            raise ValueError(
                f"{name} [{wanted}] should be less than or equal to the {name} in engine build_config [{built[name]}]"
            )
    limits = built | {name: value for name, value in asked.items() if value is not None}
    return Layout(mapping["tp_size"], mapping["pp_size"], mapping.get("cp_size", 1)), limits


def check_hugging_face(directory: Path, layout: Layout) -> int:
    """The longest sequence; raises what the PyTorch runtime raises for a checkpoint that it does not load."""
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
    """One rank's shard, read by the process that has that rank, on the GPU of that process."""
    gpu = device(local)
    if not is_engine(model):
        return _share(model, rank, world)
    built = read_config(model)["pretrained_config"]["mapping"]["world_size"]
    if built != world:
        raise RuntimeError(f"Engine world size ({built}) != Runtime world size ({world})")
    return read_engine(model / engine_name(rank), gpu)


class Ranks:
    """The processes that load a model together; this one has rank 0."""

    def __init__(self) -> None:
        self._mpi = None if world_size() is None else Mpi()

    def shards(self, model: Path, layout: Layout) -> list[bytes]:
        """All ranks'; other processes are asked for theirs."""
        if self._mpi is None:
            return [shard_of(model, rank, layout.world, rank) for rank in range(layout.world)]
        self._tell({"model": str(model)})
        own = shard_of(model, 0, self._mpi.size, int(os.environ["OMPI_COMM_WORLD_LOCAL_RANK"]))
        return [own, *(self._mpi.receive(rank) for rank in range(1, self._mpi.size))]

    def finish(self) -> None:
        """Let the others end."""
        if self._mpi is not None:
            self._tell(None)
            self._mpi.finish()

    def _tell(self, task: dict[str, str] | None) -> None:
        if self._mpi is not None:
            for rank in range(1, self._mpi.size):
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
