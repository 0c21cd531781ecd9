"""The double is as strict as NVIDIA's programs: flags per version, checkpoints, GPUs, engines, options."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tensorrt_llm.commands import build
from trtllm_api.reasons import Reason
from trtllm_diagnosis import diagnose

from .conftest import A100, H100, L4, WITHIN, Machine, make_engine, refused_load, run_build, run_serve

Change = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="session")
def converted(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of two ranks."""
    from double_checkpoints import write_checkpoint

    target = tmp_path_factory.mktemp("converted") / "checkpoint"
    write_checkpoint(model, target, tp=2)
    return target


@pytest.fixture
def checkpoint(converted: Path, tmp_path: Path) -> Path:
    """One to be damaged."""
    import shutil

    return Path(shutil.copytree(converted, tmp_path / "checkpoint"))


@pytest.fixture
def engine(machine: Machine, checkpoint: Path) -> Path:
    """Two ranks for at most four requests of 64 tokens."""
    return make_engine(machine, checkpoint, "--max_batch_size", "4", "--max_seq_len", "64")


def edit(path: Path, change: Change) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def reason_of(error: BaseException) -> Reason | None:
    """What the operator makes of a traceback that ends with this error."""
    import traceback

    found = diagnose("".join(traceback.format_exception(error)).splitlines(), 1)
    return None if found is None else found.reason


@pytest.mark.parametrize(
    ("version", "argument", "taken"),
    [
        ("0.20.0", "--auto_parallel=2", True),
        ("1.0.0", "--auto_parallel=2", True),
        ("1.2.1", "--auto_parallel=2", False),
        ("1.2.1", "--max_output_len=5", False),
        ("1.2.1", "--kv_cache_type=ring", False),
        ("1.2.1", "--gemm_plugin=int8", False),
        ("1.2.1", "--max_batch_size=many", False),
        ("1.2.1", "--gemm_plugin=nvfp4", True),
    ],
)
def test_trtllm_build_takes_the_flags_of_its_version(
    machine: Machine, capfd: pytest.CaptureFixture[str], version: str, argument: str, taken: bool
) -> None:
    machine.set(TRTLLM_DOUBLE_VERSION=version)
    parser = build.parse_arguments()
    if taken:
        parser.parse_args([argument])
        return
    with pytest.raises(SystemExit) as ended:
        parser.parse_args([argument])
    assert ended.value.code == 2
    assert "trtllm-build: error:" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("version", "arguments", "taken"),
    [
        ("0.20.0", ("--backend", "tensorrt"), False),
        ("0.20.0", ("--backend", "trt"), False),
        ("1.0.0", ("--backend", "trt"), True),
        ("1.0.0", ("--backend", "tensorrt"), False),
        ("1.1.0", ("--backend", "trt"), True),
        ("1.1.0", ("--reasoning_parser", "qwen3"), False),
        ("1.2.1", ("--tool_parser", "hermes"), False),
        ("1.0.0", ("--tensor_parallel_size", "1"), False),
        ("1.2.1", ("--tensor_parallel_size", "1"), True),
        ("1.2.1", ("--served_model_name", "me"), False),
        ("1.2.1", ("--no-telemetry",), False),
        ("1.2.1", ("--tp_size", "one"), False),
        ("1.2.1", ("extra",), False),
    ],
)
def test_trtllm_serve_takes_the_flags_of_its_version(
    machine: Machine, capfd: pytest.CaptureFixture[str], version: str, arguments: tuple[str, ...], taken: bool
) -> None:
    machine.set(TRTLLM_DOUBLE_VERSION=version)
    if taken:
        with pytest.raises(OSError, match="there is no directory nowhere"):
            run_serve(machine, Path("nowhere"), *arguments)
        return
    with pytest.raises(SystemExit) as ended:
        run_serve(machine, Path("nowhere"), *arguments)
    assert ended.value.code == 2
    assert "Error:" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("version", "backend", "options", "refused"),
    [
        ("1.2.1", "pytorch", {"return_perf_metrics": True, "enable_iter_perf_stats": True}, None),
        ("1.0.0", "pytorch", {"return_perf_metrics": True}, "return_perf_metrics"),
        ("0.20.0", "pytorch", {"enable_iter_perf_stats": True, "nonsense": 1}, None),
        ("0.20.0", "pytorch", {"pytorch_backend_config": {"enable_iter_perf_stats": True}}, None),
        ("1.2.1", "tensorrt", {"enable_iter_perf_stats": True}, "LLM got invalid argument: enable_iter_perf_stats"),
        ("1.2.1", "pytorch", {"kv_cache_config": {"free_fraction": 0.5}}, "kv_cache_config.free_fraction"),
        ("1.2.1", "pytorch", {"kv_cache_config": {"free_gpu_memory_fraction": 1.5}}, "between 0 and 1"),
        ("0.20.0", "pytorch", {"kv_cache_config": {"dtype": "fp8"}}, None),
        ("1.2.1", "tensorrt", {"kv_cache_config": {"dtype": "fp8"}}, "dtype is not supported by the TensorRT backend"),
        ("1.2.1", "pytorch", {"stream_interval": 0}, "stream_interval must be positive, got 0"),
        ("1.2.1", "pytorch", {"stream_interval": "often"}, "Input should be a valid integer"),
        ("1.2.1", "pytorch", {"speculative_config": {"decoding_type": "Magic"}}, "Invalid decoding type: Magic"),
        ("1.1.0", "pytorch", {"lora_config": {"ranks": 8}}, "got an unexpected keyword argument 'ranks'"),
        ("1.2.1", "tensorrt", {"return_perf_metrics": True}, "crashes this version's server"),
    ],
)
def test_trtllm_serve_takes_the_options_of_its_version_and_runtime(
    machine: Machine, version: str, backend: str, options: dict[str, Any], refused: str | None
) -> None:
    machine.set(TRTLLM_DOUBLE_VERSION=version)
    path = machine.root / "options.yaml"
    path.write_text(json.dumps(options))
    empty = machine.root / "model"
    empty.mkdir()
    name = {"0.20.0": None, "1.0.0": "trt"}.get(version, backend) if backend == "tensorrt" else backend
    arguments = (*(("--backend", name) if name else ()), "--extra_llm_api_options", str(path))
    # an accepted file is followed by the next thing that is wrong
    with pytest.raises((ValueError, RuntimeError, TypeError, FileNotFoundError)) as caught:
        run_serve(machine, empty, *arguments)
    assert (refused or "config.json") in str(caught.value)
    if refused is not None and "Extra inputs" in str(caught.value):
        assert reason_of(caught.value) is Reason.INVALID_OPTIONS


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda config: config.pop("architecture"), "'architecture'"),
        (lambda config: config.pop("mapping"), "'mapping'"),
        (lambda config: config.update(architecture="TomorrowForCausalLM"), "Unsupported model architecture: Tomorrow"),
        (lambda config: config["mapping"].update(world_size=3), "world_size must equal to tp_size"),
        (lambda config: config["quantization"].update(quant_algo="INT3"), "'INT3' is not a valid QuantAlgo"),
        (lambda config: config.update(dtype="float16"), "is BF16, but config.json says float16"),
        (lambda config: config.update(num_hidden_layers=5), "Required but not provided tensors"),
        (lambda config: config.update(intermediate_size=1024), "not the same shape as the original"),
    ],
)
def test_a_wrong_checkpoint_is_not_built(machine: Machine, checkpoint: Path, change: Change, said: str) -> None:
    edit(checkpoint / "config.json", change)
    with pytest.raises((KeyError, RuntimeError, ValueError, AssertionError)) as caught:
        run_build(machine, checkpoint, machine.root / "engine")
    assert said in str(caught.value)


def test_a_missing_rank_is_a_bare_assertion(machine: Machine, checkpoint: Path) -> None:
    (checkpoint / "rank1.safetensors").unlink()
    with pytest.raises(AssertionError) as caught:
        run_build(machine, checkpoint, machine.root / "engine")
    assert reason_of(caught.value) is Reason.WORLD_SIZE_MISMATCH


def test_nothing_is_built_without_a_gpu_or_on_one_that_lacks_the_kernels(machine: Machine, checkpoint: Path) -> None:
    machine.set(CUDA_VISIBLE_DEVICES="")
    with pytest.raises(RuntimeError, match="No CUDA GPUs are available") as caught:
        run_build(machine, checkpoint, machine.root / "engine")
    assert reason_of(caught.value) is Reason.NO_GPU
    machine.monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    edit(checkpoint / "config.json", lambda config: config["quantization"].update(quant_algo="FP8"))
    machine.gpus(A100, 1)
    with pytest.raises(RuntimeError, match="Networks with FP8 precision require hardware with FP8 support"):
        run_build(machine, checkpoint, machine.root / "engine")


def test_options_that_exclude_each_other_are_not_built(machine: Machine, checkpoint: Path) -> None:
    for arguments, said in (
        (("--multiple_profiles=enable", "--opt_num_tokens=8"), "multiple_profiles is enabled, while opt_num_tokens"),
        (("--gather_context_logits", "--max_draft_len=4"), "Gather context logits is not support with draft len > 0"),
        (("--gemm_swiglu_plugin=fp8", "--use_fused_mlp=disable"), "GemmSwiGLU plugin requires --use_fused_mlp flag"),
        (("--streamingllm=enable",), "StreamingLLM is no longer supported"),
        (("--speculative_decoding_mode=eagle", "--max_draft_len=63"), "^$"),
    ):
        with pytest.raises((RuntimeError, AssertionError), match=said):
            run_build(machine, checkpoint, machine.root / "engine", *arguments)


def test_an_engine_has_the_limits_that_it_was_built_for(machine: Machine, engine: Path) -> None:
    config = json.loads((engine / "config.json").read_text())
    assert config["version"] == "1.2.1"
    assert config["pretrained_config"]["mapping"]["tp_size"] == 2
    limits = {name: config["build_config"][name] for name in ("max_batch_size", "max_seq_len", "max_input_len")}
    assert limits == {"max_batch_size": 4, "max_seq_len": 64, "max_input_len": 64}
    assert config["build_config"]["max_num_tokens"] == 4 * 64
    assert config["build_config"]["plugin_config"]["use_paged_context_fmha"] is True


@pytest.mark.parametrize(
    ("kind", "count", "version", "said"),
    [
        (H100, 1, "1.2.1", "Only 1 GPUs are available, but 2 are required."),
        (H100, 0, "1.2.1", "No GPU devices found on the node"),
        (L4, 2, "1.2.1", "expecting compute 8.9 got compute 9.0"),
        (H100, 2, "1.0.0", "not compatible with this version of TensorRT, expecting library version"),
    ],
)
def test_an_engine_is_loaded_where_it_was_built_for(
    machine: Machine,
    engine: Path,
    model: Path,
    kind: dict[str, Any],
    count: int,
    version: str,
    said: str,
) -> None:
    machine.gpus(kind, count)
    machine.set(TRTLLM_DOUBLE_VERSION=version)
    backend = "trt" if version == "1.0.0" else "tensorrt"
    assert said in refused_load(machine, engine, "--backend", backend, "--tokenizer", model, "--tp_size", "2", *WITHIN)


def test_trtllm_serve_must_agree_with_the_engine(machine: Machine, engine: Path, model: Path) -> None:
    common = ("--backend", "tensorrt", "--tokenizer", model, *WITHIN)
    for arguments, said in (
        (("--tp_size", "4"), "tp_size 4 is not consistent with the engine's tp_size 2"),
        (("--pp_size", "2"), "pp_size 2 is not consistent"),
        (("--max_batch_size", "8"), r"max_batch_size \[8\] is greater than build_config.max_batch_size \[4\]"),
    ):
        with pytest.raises(ValueError, match=said):
            run_serve(machine, engine, *common, *arguments)
    with pytest.raises(ValueError, match=r"max_batch_size \[2048\] is greater than"):
        run_serve(machine, engine, "--backend", "tensorrt", "--tokenizer", model)
    assert "okenizer" in refused_load(machine, engine, "--backend", "tensorrt", *WITHIN)
    (engine / "rank1.engine").write_bytes((engine / "rank1.engine").read_bytes()[:-1])
    assert "Failed to deserialize cuda engine" in refused_load(machine, engine, *common)
    (engine / "rank1.engine").unlink()
    assert "rank1.engine does not exist" in refused_load(machine, engine, *common)


def test_the_pytorch_runtime_refuses_what_it_does_not_load(machine: Machine, model: Path, engine: Path) -> None:
    import shutil

    copy = Path(shutil.copytree(model, machine.root / "copy"))
    edit(copy / "config.json", lambda config: config.update(quantization_config={"quant_method": "awq", "bits": 4}))
    with pytest.raises(NotImplementedError, match="Unsupported quantization_config") as caught:
        run_serve(machine, copy)
    assert reason_of(caught.value) is Reason.CHECKPOINT_NOT_SUPPORTED
    with pytest.raises(AssertionError, match="num_attention_heads 8"):
        run_serve(machine, model, "--tp_size", "3")
    with pytest.raises(ValueError, match="Unknown architecture for AutoModelForCausalLM"):
        run_serve(machine, engine)


def test_what_the_double_builds_is_what_it_can_serve() -> None:
    from double_weights import ALGORITHMS, ARCHITECTURES
    from trtllm_builder.checkpoint import tensorrtllm

    assert set(tensorrtllm.ARCHITECTURES) == ARCHITECTURES
    assert tensorrtllm.SUPPORTED == ALGORITHMS
