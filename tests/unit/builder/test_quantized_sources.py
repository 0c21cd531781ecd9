"""checkpoint_files.py, model_facts.py and logical_shapes.py on checkpoints that somebody else quantized or split."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from trtllm_api.contract import ExitCode, FetchRequest
from trtllm_api.facts import CheckpointFacts, ModelFacts
from trtllm_api.reasons import Reason
from trtllm_api.source import Source, VolumeSource
from trtllm_builder.checkpoint_files import inspect
from trtllm_builder.fetch import run_fetch
from trtllm_builder.model_facts import model_facts
from trtllm_builder.store import Store

from .conftest import CONFIG, LLAMA, Log, failure_of, write_checkpoint, write_safetensors

_MODULES = {name.removesuffix(".weight"): shape for name, shape in LLAMA.items() if "_proj" in name}
_LINEARS = {
    "lm_head": (96, 64, 1),
    "model.layers.*.mlp.down_proj": (64, 160, 2),
    "model.layers.*.mlp.gate_proj": (160, 64, 2),
    "model.layers.*.mlp.up_proj": (160, 64, 2),
    "model.layers.*.self_attn.k_proj": (32, 64, 2),
    "model.layers.*.self_attn.o_proj": (64, 64, 2),
    "model.layers.*.self_attn.q_proj": (64, 64, 2),
    "model.layers.*.self_attn.v_proj": (32, 64, 2),
}
_Shapes = dict[str, tuple[tuple[int, ...], str]]


def _write(directory: Path, packed: _Shapes, quantization: dict[str, Any] | None) -> Path:
    """A checkpoint whose linears are packed; one file for each type of number."""
    config = CONFIG | {"torch_dtype": "float16"} | ({"quantization_config": quantization} if quantization else {})
    write_checkpoint(directory, config=config)
    (directory / "model.safetensors").unlink()
    rest: _Shapes = {name: (shape, "F16") for name, shape in LLAMA.items() if "_proj" not in name}
    tensors = rest | packed
    for dtype in sorted({dtype for _, dtype in tensors.values()}):
        shapes = {name: shape for name, (shape, kind) in tensors.items() if kind == dtype}
        write_safetensors(directory / f"model-{dtype}.safetensors", shapes, dtype)
    return directory


def _awq(out: int, inner: int) -> _Shapes:
    return {
        "qweight": ((inner, out // 8), "I32"),
        "qzeros": ((inner // 32, out // 8), "I32"),
        "scales": ((inner // 32, out), "F16"),
    }


def _awq_gemv(out: int, inner: int) -> _Shapes:
    return {**_awq(out, inner), "qweight": ((out, inner // 8), "I32")}


def _gptq(out: int, inner: int) -> _Shapes:
    return {
        "qweight": ((inner // 8, out), "I32"),
        "qzeros": ((inner // 32, out // 8), "I32"),
        "scales": ((inner // 32, out), "F16"),
        "g_idx": ((inner,), "I32"),
    }


def _gptq8(out: int, inner: int) -> _Shapes:
    return {"qweight": ((inner // 4, out), "I32"), "scales": ((inner // 32, out), "F16")}


def _packed(out: int, inner: int) -> _Shapes:
    return {
        "weight_packed": ((out, inner // 8), "I32"),
        "weight_scale": ((out, inner // 32), "F16"),
        "weight_shape": ((2,), "I32"),
    }


def _packed_nvfp4(out: int, inner: int) -> _Shapes:
    return {"weight_packed": ((out, inner // 2), "U8"), "weight_scale": ((out, inner // 16), "F8_E4M3")}


def _modelopt_nvfp4(out: int, inner: int) -> _Shapes:
    return {
        "weight": ((out, inner // 2), "U8"),
        "weight_scale": ((out, inner // 16), "F8_E4M3"),
        "weight_scale_2": ((), "F32"),
    }


def _modelopt_awq(out: int, inner: int) -> _Shapes:
    return {"weight": ((out // 2, inner), "U8"), "weight_scale": ((out, inner // 32), "F16")}


def _fp8(out: int, inner: int) -> _Shapes:
    return {"weight": ((out, inner), "F8_E4M3"), "weight_scale": ((), "F32")}


def _compressed(bits: int, kind: str, **more: object) -> dict[str, Any]:
    weights = {"num_bits": bits, "type": kind, "group_size": 32, "strategy": "group", **more}
    return {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights": weights}}}


_CASES: list[tuple[Any, dict[str, Any], CheckpointFacts]] = [
    (
        _awq,
        {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"},
        CheckpointFacts(method="awq", algorithm="W4A16_AWQ", group_size=32, symmetric=False),
    ),
    (
        _awq_gemv,
        {"quant_method": "awq", "w_bit": 4, "q_group_size": 32, "zero_point": True, "version": "GEMV"},
        CheckpointFacts(method="awq", algorithm="W4A16_AWQ", group_size=32, symmetric=False),
    ),
    (
        _gptq,
        {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": True, "sym": True},
        CheckpointFacts(method="gptq", algorithm="W4A16_GPTQ", group_size=32, act_order=True),
    ),
    (
        _gptq8,
        {"quant_method": "gptq", "bits": 8, "group_size": 32, "desc_act": False, "sym": False},
        CheckpointFacts(method="gptq", algorithm="W8A16_GPTQ", group_size=32, symmetric=False),
    ),
    (
        _packed,
        _compressed(4, "int", symmetric=True),
        CheckpointFacts(method="compressed-tensors", bits=4, group_size=32, integer=True),
    ),
    (
        _packed_nvfp4,
        _compressed(4, "float", group_size=16),
        CheckpointFacts(method="compressed-tensors", algorithm="NVFP4", group_size=16),
    ),
    (
        _modelopt_nvfp4,
        {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16},
        CheckpointFacts(method="modelopt", algorithm="NVFP4", group_size=16),
    ),
    (
        _modelopt_awq,
        {"quant_method": "modelopt", "quant_algo": "W4A16_AWQ", "group_size": 32},
        CheckpointFacts(method="modelopt", algorithm="W4A16_AWQ", group_size=32),
    ),
    (_fp8, {"quant_method": "modelopt", "quant_algo": "FP8"}, CheckpointFacts(method="modelopt", algorithm="FP8")),
]


def _facts(directory: Path) -> ModelFacts:
    return model_facts(inspect(directory, trust_remote_code=False))


@pytest.mark.parametrize(("pack", "quantization", "expected"), _CASES)
def test_a_packed_checkpoint_is_described_and_its_linears_have_their_real_shapes(
    tmp_path: Path, pack: Any, quantization: dict[str, Any], expected: CheckpointFacts
) -> None:
    packed = {f"{name}.{part}": value for name, shape in _MODULES.items() for part, value in pack(*shape).items()}
    facts = _facts(_write(tmp_path / "model", packed, quantization))
    assert facts.details.checkpoint == expected
    assert facts.quantization == expected.method
    shapes = {item.name: (item.out_features, item.in_features, item.count) for item in facts.linears}
    assert shapes == _LINEARS
    plain = _facts(write_checkpoint(tmp_path / "plain"))
    assert facts.parameters == plain.parameters
    assert facts.dtype == ("float8_e4m3fn" if pack is _fp8 else "float16")
    assert facts.bytes < plain.bytes * 1.2


def test_hf_quant_config_wins_over_config(tmp_path: Path) -> None:
    packed = {f"{name}.{part}": value for name, shape in _MODULES.items() for part, value in _fp8(*shape).items()}
    directory = _write(tmp_path / "model", packed, None)
    quantization = {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}
    (directory / "hf_quant_config.json").write_text(json.dumps({"quantization": quantization}))
    expected = CheckpointFacts(method="modelopt", algorithm="FP8", kv_cache="FP8")
    assert _facts(directory).details.checkpoint == expected


def test_weights_packed_in_an_unknown_way_have_no_shape_rather_than_a_wrong_one(tmp_path: Path) -> None:
    packed: _Shapes = {f"{name}.weight": ((64, 1), "U8") for name in _MODULES}
    facts = _facts(_write(tmp_path / "model", packed, {"quant_method": "bitsandbytes", "load_in_4bit": True}))
    assert facts.quantization == "bitsandbytes"
    assert [item.name for item in facts.linears] == ["lm_head"]


def test_a_config_of_odd_bits_never_stops_the_builder(tmp_path: Path) -> None:
    packed = {f"{name}.{part}": value for name, shape in _MODULES.items() for part, value in _awq(*shape).items()}
    for bits in (None, 0, 3, "4"):
        directory = _write(tmp_path / f"bits-{bits}", packed, {"quant_method": "awq", "bits": bits})
        assert [item.name for item in _facts(directory).linears] == ["lm_head"]


def _ranks(directory: Path, **config: object) -> Path:
    directory.mkdir(parents=True)
    value = {
        "architecture": "LlamaForCausalLM",
        "dtype": "bfloat16",
        "num_hidden_layers": 2,
        "hidden_size": 64,
        "intermediate_size": 160,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_size": 16,
        "vocab_size": 96,
        "max_position_embeddings": 512,
        "mapping": {"world_size": 4, "tp_size": 2, "pp_size": 2},
        "quantization": {"quant_algo": "W4A16_AWQ", "kv_cache_quant_algo": "INT8", "group_size": 128},
        **config,
    }
    (directory / "config.json").write_text(json.dumps(value))
    for rank in range(4):
        name = "lm_head.weight" if rank >= 2 else "transformer.vocab_embedding.weight"
        write_safetensors(directory / f"rank{rank}.safetensors", {name: (48, 64)})
    return directory


def test_a_tensorrt_llm_checkpoint_is_recognised_by_its_own_config(tmp_path: Path) -> None:
    facts = _facts(_ranks(tmp_path / "ranks"))
    assert facts.details.checkpoint == CheckpointFacts(
        method="tensorrt_llm", algorithm="W4A16_AWQ", group_size=128, kv_cache="INT8"
    )
    assert (facts.architecture, facts.model_type, facts.dtype) == ("LlamaForCausalLM", "llama", "bfloat16")
    assert (facts.layers, facts.heads, facts.key_value_heads, facts.head_dim) == (2, 4, 2, 16)
    assert facts.quantization == "tensorrt_llm"
    assert facts.bytes == sum(path.stat().st_size for path in (tmp_path / "ranks").glob("*.safetensors"))
    assert facts.linears == ()
    assert not facts.tied_embeddings


def test_an_unquantized_tensorrt_llm_checkpoint_has_no_algorithm(tmp_path: Path) -> None:
    facts = _facts(_ranks(tmp_path / "ranks", quantization={"quant_algo": None}, moe={"num_experts": 8, "top_k": 2}))
    assert facts.details.checkpoint == CheckpointFacts(method="tensorrt_llm")
    assert (facts.experts, facts.details.experts_per_token) == (8, 2)


def test_a_tensorrt_llm_checkpoint_is_fetched_in_place(tmp_path: Path, store: Store, log: Log) -> None:
    _ranks(tmp_path / "claim" / "ranks")
    source = Source(persistent_volume_claim=VolumeSource(claim_name="models", path="ranks"))
    request = FetchRequest(source=source)
    result = run_fetch(request, store, log.progress, "sha256:" + "0" * 64, tmp_path / "claim")
    assert result.facts.quantization == "tensorrt_llm"
    manifest = json.loads((store.root / result.manifest_path).read_text())
    assert [file["path"] for file in manifest["files"]] == ["config.json", *(f"rank{n}.safetensors" for n in range(4))]


def test_a_missing_rank_of_a_source_is_named_before_a_gpu_is_asked_for(tmp_path: Path) -> None:
    directory = _ranks(tmp_path / "ranks")
    (directory / "rank3.safetensors").unlink()
    failure = failure_of(lambda: inspect(directory, trust_remote_code=False))
    assert (failure.exit_code, failure.reason) == (ExitCode.BAD_MODEL, Reason.SOURCE_INCOMPLETE)
    assert "1 of 4 rank files are missing (tensor 2, pipeline 2, context 1), the first one is rank3.safetensors" in (
        failure.message
    )


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({"world_size": 3, "tp_size": 2, "pp_size": 2}, "has world_size 3, but its mapping"),
        ({"tp_size": "2"}, "a mapping without valid sizes"),
        ({"tp_size": 0}, "a mapping without valid sizes"),
    ],
)
def test_a_mapping_that_is_none_is_corrupt(tmp_path: Path, mapping: dict[str, object], says: str) -> None:
    directory = _ranks(tmp_path / "ranks", mapping=mapping)
    failure = failure_of(lambda: inspect(directory, trust_remote_code=False))
    assert (failure.exit_code, failure.reason) == (ExitCode.BAD_MODEL, Reason.SOURCE_CORRUPT)
    assert says in failure.message


def test_a_truncated_rank_of_a_source_is_corrupt_and_named(tmp_path: Path) -> None:
    directory = _ranks(tmp_path / "ranks")
    path = directory / "rank1.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    failure = failure_of(lambda: inspect(directory, trust_remote_code=False))
    assert failure.reason is Reason.SOURCE_CORRUPT
    assert "rank1.safetensors is truncated" in failure.message
