"""The models and adapters that tests compare answers of: the same everywhere, and far from a tie."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from support import lora_adapter, roundtrip, tiny_model
from trtllm_builder.checkpoint import load_model


def _digest(path: Path) -> str:
    """12 hex digits over the tensors, whatever wrote the file."""
    digest = hashlib.sha256()
    for name, tensor in sorted(load_file(path).items()):
        digest.update(name.encode() + tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def test_models_and_adapters_are_the_same_on_every_machine(source: Path, wide_source: Path, tmp_path: Path) -> None:
    tiny_model.make(tmp_path / "loud", knowledge=False, heads=8, key_value_heads=2, layers=4)
    lora_adapter.make(wide_source, tmp_path / "adapter", rank=4)
    files = {
        "source": source / "model.safetensors",
        "wide": wide_source / "model.safetensors",
        "loud": tmp_path / "loud" / "model.safetensors",
        "adapter": tmp_path / "adapter" / "adapter_model.safetensors",
    }
    # on an Intel Xeon with AVX-512, AVX2 and neither, with torch 2.15 and 2.11; other numbers need other digests
    assert {name: _digest(path) for name, path in files.items()} == {
        "source": "c150a3120f6c",
        "wide": "8b861ae08a26",
        "loud": "60545a7ac8b9",
        "adapter": "45fc7abc15a8",
    }


@pytest.mark.parametrize("name", ["source", "wide_source"])
def test_the_likeliest_token_is_far_ahead_of_the_next(request: pytest.FixtureRequest, name: str) -> None:
    model: Path = request.getfixturevalue(name)
    with torch.inference_mode():
        logits = load_model(model, "cpu")(roundtrip.windows(model, "evaluation").rows).logits
    first, second = logits.topk(2).values.unbind(-1)
    assert float((first - second).min()) > 1
