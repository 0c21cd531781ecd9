"""Models of the cluster tests, made once for their sources: tiny, foreign, spoilt; and a hub that has some."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusterlib.cache import cached, key_of
from clusterlib.environments import builder_tools

from support.cluster_world import TEXTS

_SUPPORT = Path(__file__).parent
FOREIGN: dict[str, dict[str, Any]] = {
    "autoawq-32": {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"},
    "compressed": {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "config_groups": {
            "group_0": {
                "targets": ["Linear"],
                "weights": {"num_bits": 4, "type": "int", "group_size": 64, "strategy": "group", "symmetric": True},
            }
        },
        "ignore": ["lm_head"],
    },
}
"""Configurations of checkpoints that nothing here reads: they are judged by these alone."""


@dataclass(frozen=True)
class Hub:
    """The stand-in for the Hugging Face hub, as pods see it."""

    endpoint: str

    def holds(self, repo: str, secret: str | None = None, revision: str = "main") -> dict[str, Any]:
        """What a QuantizedModel says to get a repository from it."""
        source: dict[str, Any] = {"repo": repo, "revision": revision}
        if secret:
            source["tokenSecretRef"] = {"name": secret, "key": "token"}
        return {
            "source": {"huggingFace": source},
            "podTemplate": {
                "env": [{"name": "HF_ENDPOINT", "value": self.endpoint}],
                "resources": {"requests": {"cpu": "100m", "memory": "200Mi"}},
            },
        }


def tiny_model() -> Path:
    """The tiny model."""
    return _made("tiny-model")


def engine_model() -> Path:
    """One that eight GPUs and two stages can share."""
    return _made("engine-model", "--heads", "8", "--key-value-heads", "2", "--layers", "4")


def engine_models() -> Path:
    """That model, as quantizers of others than NVIDIA leave one, and two LoRA adapters of it."""
    tiny, program, adapter = engine_model(), _SUPPORT / "packed_model.py", _SUPPORT / "lora_adapter.py"

    def build(target: Path) -> None:
        target.mkdir()
        shutil.copytree(tiny, target / "tiny")
        for name, *how in (("gptq", "gptq"), ("gptq-reordered", "gptq", "--desc-act"), ("autoawq", "awq")):
            _run(program, "--model", str(tiny), "--output", str(target / name), "--tool", *how)
        for seed in ("1", "2"):
            place = str(target / "adapters" / seed)
            _run(adapter, "--model", str(tiny), "--output", place, "--rank", "4", "--seed", seed)
        for name, quantization in FOREIGN.items():
            shutil.copytree(target / "autoawq", target / name)
            path = target / name / "config.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": quantization}))

    return cached("engine-models", key_of(tiny / "model.safetensors", program, adapter, Path(__file__)), build)


def variants(root: Path) -> None:
    """The tiny model, and what users bring by mistake."""
    model = tiny_model()
    for name in ("tiny", "lfs-pointer", "truncated", "no-tokenizer", "unknown-architecture"):
        shutil.copytree(model, root / name)
    (root / "texts").mkdir()
    (root / "texts" / "held-out.txt").write_text((TEXTS / "evaluation" / "Apache-2.0.txt").read_text())
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 269060552\n"
    (root / "lfs-pointer" / "model.safetensors").write_text(pointer)
    weights = root / "truncated" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    (root / "no-tokenizer" / "tokenizer.json").unlink()
    path = root / "unknown-architecture" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "model_type": "tomorrow", "architectures": ["TomorrowForCausalLM"]}))


def hub_repositories(root: Path) -> None:
    """What the stand-in of the hub has: one model for everybody, one behind a gate."""
    shutil.copytree(tiny_model(), root / "acme" / "tiny")
    shutil.copytree(tiny_model(), root / "acme" / "gated")
    (root / "acme" / "gated" / ".hub.json").write_text(
        json.dumps({"gated": True, "token": "hf_right", "other_tokens": ["hf_other"]})
    )


def _made(name: str, *options: str) -> Path:
    program = _SUPPORT / "tiny_model.py"
    key = key_of(program, _SUPPORT / "drawn.py")
    return cached(name, key, lambda target: _run(program, "--output", str(target), *options))


def _run(program: Path, *options: str) -> None:
    """In the builder's environment, which has torch."""
    subprocess.run([str(builder_tools() / "bin" / "python"), str(program), *options], check=True, capture_output=True)
