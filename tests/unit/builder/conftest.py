"""What the builder's tests share: a checkpoint on disk, a hub, a store, and a progress that can be read."""

from __future__ import annotations

import io
import json
import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.hub_server import served
from trtllm_api.contract import ProgressLine
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.progress import Progress
from trtllm_builder.store import Store

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
"""Torch's threads, and those of programs that tests start, wait for each other without spinning."""

_ITEM_BYTES = {"BF16": 2, "F16": 2, "F32": 4, "I32": 4, "I8": 1, "U8": 1, "F8_E4M3": 1}

CONFIG: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 96,
    "max_position_embeddings": 512,
    "tie_word_embeddings": False,
}

LLAMA: dict[str, tuple[int, ...]] = {
    "model.embed_tokens.weight": (96, 64),
    "model.norm.weight": (64,),
    "lm_head.weight": (96, 64),
    **{
        f"model.layers.{layer}.{name}.weight": shape
        for layer in range(2)
        for name, shape in {
            "input_layernorm": (64,),
            "self_attn.q_proj": (64, 64),
            "self_attn.k_proj": (32, 64),
            "self_attn.v_proj": (32, 64),
            "self_attn.o_proj": (64, 64),
            "mlp.gate_proj": (160, 64),
            "mlp.up_proj": (160, 64),
            "mlp.down_proj": (64, 160),
        }.items()
    },
}


def write_safetensors(path: Path, shapes: dict[str, tuple[int, ...]], dtype: str = "BF16") -> None:
    """A safetensors file as the format's specification has it; every byte of the tensors is the same."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape in shapes.items():
        size = _ITEM_BYTES[dtype]
        for extent in shape:
            size *= extent
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + b"\x01" * offset)


def write_checkpoint(
    directory: Path, *, config: dict[str, Any] | None = None, shapes: dict[str, tuple[int, ...]] | None = None
) -> Path:
    """A directory as save_pretrained leaves it."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config or CONFIG))
    (directory / "tokenizer.json").write_text(json.dumps({"version": "1.0", "model": {"type": "BPE"}}))
    (directory / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    write_safetensors(directory / "model.safetensors", shapes or LLAMA)
    return directory


def write_sharded(directory: Path) -> Path:
    """The same model in two shards with an index."""
    write_checkpoint(directory)
    (directory / "model.safetensors").unlink()
    names = sorted(LLAMA)
    halves = {
        "model-00001-of-00002.safetensors": names[: len(names) // 2],
        "model-00002-of-00002.safetensors": names[len(names) // 2 :],
    }
    for shard, held in halves.items():
        write_safetensors(directory / shard, {name: LLAMA[name] for name in held})
    weight_map = {name: shard for shard, held in halves.items() for name in held}
    (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return directory


def read_lines(stream: io.StringIO) -> list[ProgressLine]:
    """The progress lines of a log; every line of it must be JSON."""
    values = [json.loads(line) for line in stream.getvalue().splitlines()]
    return [ProgressLine.model_validate(value["progress"]) for value in values if "progress" in value]


def failure_of(call: Callable[[], object]) -> BuilderFailure:
    """The failure that the call raises."""
    with pytest.raises(BuilderFailure) as caught:
        call()
    return caught.value


@dataclass(frozen=True)
class Log:
    """A progress and what was written to it."""

    stream: io.StringIO = field(default_factory=io.StringIO)

    @property
    def progress(self) -> Progress:
        return Progress(self.stream)

    def lines(self) -> list[ProgressLine]:
        return read_lines(self.stream)


@dataclass(frozen=True)
class Hub:
    """A running stand-in and the directory that it serves."""

    root: Path
    server: Any

    def repository(self, name: str, **settings: object) -> Path:
        """A repository with a small model in it."""
        directory = write_checkpoint(self.root / name)
        if settings:
            (directory / ".hub.json").write_text(json.dumps(settings))
        return directory

    def downloads(self) -> list[str]:
        """Files that were asked for with their bodies, by name, in order."""
        bodies = (path for method, path, _ in self.server.log if method == "GET" and "/resolve/" in path)
        return [path.rpartition("/")[2] for path in bodies]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    root = tmp_path / "hub"
    root.mkdir()
    with served(root) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setenv("TRTLLM_TOKEN_ORIGINS", server.url)
        monkeypatch.setenv("TRTLLM_SOURCE_NETWORKS", "127.0.0.0/8")
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield Hub(root, server)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    root = tmp_path / "store"
    root.mkdir()
    return Store(root)


@pytest.fixture
def log() -> Log:
    return Log()
