"""checkpoint.format TensorRTLLM of families whose layers have biases, or other names: cut right, and whole again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from support import roundtrip
from trtllm_api.modelstatus import CandidatePlan
from trtllm_api.quantization import Method
from trtllm_builder.checkpoint import load_model
from trtllm_builder.checkpoint.tensorrtllm import read_config
from trtllm_builder.quantize.evaluation import measure, measure_source

from .conftest import ranked


def _family(tmp_path: Path, source: Path, config: Any) -> Path:
    """Another family's model with the tiny one's tokenizer; its weights are noise."""
    torch.manual_seed(11)
    model: Any = transformers.AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
    directory = Path(shutil.copytree(source, tmp_path / "family"))
    (directory / "model.safetensors").unlink()
    model.to(torch.bfloat16).save_pretrained(directory)
    return directory


_SHAPE = {
    "vocab_size": 1024,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
    "bos_token_id": 0,
    "eos_token_id": 1,
    "tie_word_embeddings": False,
}


_QWEN2 = transformers.Qwen2Config(**_SHAPE)
_MISTRAL = transformers.MistralConfig(**_SHAPE, head_dim=64)
_BIASED = transformers.LlamaConfig(**_SHAPE, attention_bias=True, mlp_bias=True)


@pytest.mark.parametrize(
    ("config", "said", "method", "tensor"),
    [
        (_QWEN2, {"qwen_type": "qwen2"}, Method.FP8, 4),
        (_MISTRAL, {"attn_bias": False, "head_size": 64}, Method.INT4_AWQ, 2),
        (_BIASED, {"attn_bias": True, "mlp_bias": True}, Method.INT8_WEIGHT_ONLY, 4),
        (_BIASED, {"attn_bias": True, "mlp_bias": True}, Method.NONE, 2),
    ],
    ids=["Qwen2", "Mistral", "Llama with biases", "Llama with biases, whole"],
)
def test_every_family_is_cut_right(
    source: Path, tmp_path: Path, config: Any, said: dict[str, object], method: Method, tensor: int
) -> None:
    shop = roundtrip.workshop(_family(tmp_path, source, config), "cpu")
    plan = CandidatePlan(method=method, group_size=64 if method is Method.INT4_AWQ else None)
    model = shop.quantized(plan, ranked(tensor))
    predicted = model if method is Method.NONE else roundtrip.merged(model)
    reference = measure_source(predicted, shop.evaluation, roundtrip.quiet_step())
    directory = shop.ship(model, plan, ranked(tensor), tmp_path / "out")
    told = read_config(directory)
    assert {key: told[key] for key in said} == said
    assert told["rotary_base"] == 1e6
    scores = measure(load_model(directory, "cpu"), shop.evaluation, reference, roundtrip.quiet_step())
    assert scores.kl_divergence < 5e-4
