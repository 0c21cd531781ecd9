"""Makes a transformers model from the shards of all ranks."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from safetensors.torch import load, save_file

from double_checkpoints import load_merged
from double_engine import is_engine, read_config
from trtllm_builder.checkpoint import load_model


def model_of(directory: Path, shards: list[bytes]) -> Any:
    """The model of the shards, on a CPU. Raises for faults of the shards."""
    ranks = [load(shard) for shard in shards]
    if is_engine(directory):
        return load_merged(ranks, read_config(directory)["pretrained_config"])
    with tempfile.TemporaryDirectory() as scratch:
        # transformers reads directories: one with the tensors of all ranks in one file
        target = Path(scratch)
        for path in directory.iterdir():
            if path.is_file() and path.suffix in {".json", ".jinja"} and ".safetensors" not in path.name:
                shutil.copyfile(path, target / path.name)
        tensors = {name: tensor for rank in ranks for name, tensor in rank.items()}
        save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
        return load_model(target, "cpu")
