"""Models that somebody made to do harm, through a fetch Job: always a result with a reason, never a traceback."""

from __future__ import annotations

import json
import os
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trtllm_api.contract import BuildRequest, BuildResult, ExitCode, FetchRequest, Stage
from trtllm_api.reasons import Reason
from trtllm_api.source import Source, VolumeSource
from trtllm_builder.run import run

from .conftest import CONFIG, LLAMA, write_checkpoint

_MEMORY = "/dev/shm"  # noqa: S108 - a directory of its own is made there
"""A thousand small models are written faster there."""
_TRIED: dict[str, int] = {}
"""Inputs by what was changed; printed at the end."""


def fetch(claim: Path, path: str = "model", *, trust: bool = False) -> BuildResult:
    """Run the fetch Job over a claim; a traceback in its log fails the test."""
    request = BuildRequest(
        stage=Stage.FETCH,
        namespace="ml",
        name="small",
        request_digest="sha256:" + "ef" * 32,
        fetch=FetchRequest(
            source=Source(persistent_volume_claim=VolumeSource(claim_name="models", path=path)),
            trust_remote_code=trust,
        ),
    )
    with tempfile.TemporaryDirectory(dir=_MEMORY) as name:
        root = Path(name)
        (root / "store").mkdir()
        (root / "request.json").write_text(json.dumps(request.to_wire()))
        code = run(root / "request.json", root / "store", claim, root / "termination")
        encoded = (root / "termination").read_bytes()
    assert len(encoded) <= 4096
    result = BuildResult.model_validate_json(encoded)
    assert result.exit_code == code
    return result


def write_header(path: Path, header: dict[str, Any] | bytes, data: bytes = b"\0" * 4) -> None:
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data)


@pytest.fixture
def model(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Any:
    yield write_checkpoint(tmp_path / "claim" / "model")
    captured = capfd.readouterr()
    assert "Traceback" not in captured.out + captured.err


def refused(model: Path, reason: Reason, *, trust: bool = False) -> str:
    result = fetch(model.parent, trust=trust)
    assert (result.exit_code, result.reason) == (ExitCode.BAD_MODEL, reason)
    assert result.remedy
    return result.message


@pytest.mark.parametrize(("field", "digits"), [("hidden_size", 31), ("vocab_size", 11), ("num_hidden_layers", 5)])
def test_a_number_that_no_model_has_is_refused_before_it_reaches_status(model: Path, field: str, digits: int) -> None:
    (model / "config.json").write_text(json.dumps({**CONFIG, field: 10 ** (digits - 1)}))
    assert f"as a number of {digits} digits" in refused(model, Reason.SOURCE_CORRUPT)


def test_a_number_of_more_digits_than_python_reads_is_refused(model: Path) -> None:
    (model / "config.json").write_text('{"hidden_size":' + "9" * 5000 + "}")
    assert "a number of more than 4300 digits" in refused(model, Reason.SOURCE_CORRUPT)


def test_a_tensor_larger_than_its_bytes_is_refused_with_both_sizes(model: Path) -> None:
    write_header(model / "model.safetensors", {"a": {"dtype": "F32", "shape": [4096, 4096], "data_offsets": [0, 4]}})
    assert refused(model, Reason.SOURCE_CORRUPT) == (
        "In model.safetensors the tensor a has 4 bytes, but its shape [4096, 4096] of F32 takes 67108864."
    )


@pytest.mark.parametrize(
    "entries",
    [
        {"a": ([2**62, 2**62], 0, 4)},
        {"a": ([1], 4, 0), "b": ([1], 0, 4)},
        {"a": ([1], 0, 4), "b": ([1], 0, 4)},
        {"a": ([-1, -1], 0, 4)},
        {"a": ([0, 10**30], 0, 0), "b": ([1], 0, 4)},
        {"a": ([1] * 100, 0, 4)},
        {"a": ([1], 0, 4), "b": ([1], 8, 12)},
    ],
)
def test_tensors_that_do_not_lie_one_after_the_other_are_refused(
    model: Path, entries: dict[str, tuple[list[int], int, int]]
) -> None:
    header = {
        name: {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}
        for name, (shape, begin, end) in entries.items()
    }
    write_header(model / "model.safetensors", header, b"\0" * max(end for _, _, end in entries.values()))
    assert "model.safetensors" in refused(model, Reason.SOURCE_CORRUPT)


def test_a_type_that_safetensors_does_not_have_is_named(model: Path) -> None:
    write_header(model / "model.safetensors", {"a": {"dtype": "F\u202e7", "shape": [4], "data_offsets": [0, 4]}})
    assert "has the type F\ufffd7, which safetensors does not define" in refused(model, Reason.SOURCE_CORRUPT)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "hf_quant_config.json"])
def test_json_nested_without_end_is_refused(model: Path, name: str) -> None:
    (model / name).write_text('{"a":' * 200_000 + "1" + "}" * 200_000)
    assert "levels of objects and lists" in refused(model, Reason.SOURCE_CORRUPT)


def test_a_header_nested_without_end_is_refused(model: Path) -> None:
    write_header(model / "model.safetensors", b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
    assert "header of model.safetensors" in refused(model, Reason.SOURCE_CORRUPT)


def test_a_configuration_of_many_megabytes_is_not_read(model: Path) -> None:
    with (model / "config.json").open("r+b") as file:
        file.truncate(1 << 34)
    assert "17179869184 bytes, more than the limit of 16777216" in refused(model, Reason.SOURCE_CORRUPT)


def test_a_mapping_of_more_ranks_than_any_cluster_has_is_refused(model: Path) -> None:
    config = {"architecture": "LlamaForCausalLM", "mapping": {"tp_size": 10**6, "pp_size": 10**6}}
    (model / "config.json").write_text(json.dumps(config))
    assert "more than 65536 ranks" in refused(model, Reason.SOURCE_CORRUPT)


@pytest.mark.parametrize("names", [[5], ['x\n{"progress": {"stage": "Owned"}}\n'], ["a", None]])
def test_only_the_name_of_a_class_is_an_architecture(model: Path, names: list[object]) -> None:
    (model / "config.json").write_text(json.dumps({**CONFIG, "architectures": names}))
    assert "is not a valid name of an architecture" in refused(model, Reason.SOURCE_CORRUPT)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("config.json", {**CONFIG, "text_config": {"auto_map": {"AutoConfig": "x.Y"}}}),
        ("config.json", {**CONFIG, "model_type": "own", "auto_map": "x.Y"}),
        ("processor_config.json", {"auto_map": {"AutoProcessor": "x.Y"}}),
        ("generation_config.json", {"nested": [{"auto_map": ["x.Y"]}]}),
    ],
)
def test_code_of_the_model_is_found_in_every_configuration(model: Path, file: str, content: object) -> None:
    (model / file).write_text(json.dumps(content))
    assert "contains Python code" in refused(model, Reason.CUSTOM_CODE_NOT_TRUSTED)
    assert fetch(model.parent, trust=True).exit_code == ExitCode.OK


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("NOTICE", "/proc/self/environ"),
        ("special_tokens_map.json", "/etc/hostname"),
        ("config.json", "/etc/passwd"),
        ("model.safetensors", "../../outside"),
        ("added_tokens.json", "/nowhere/at/all"),
    ],
)
def test_a_link_out_of_the_claim_is_refused(model: Path, name: str, target: str) -> None:
    (model.parent.parent / "outside").write_bytes((model / "model.safetensors").read_bytes())
    (model / name).unlink(missing_ok=True)
    (model / name).symlink_to(target)
    assert refused(model, Reason.SOURCE_CORRUPT) == (
        f"{name} is a symbolic link to a file outside the volume of the model."
    )


def test_links_within_the_claim_are_followed_as_the_hubs_cache_has_them(model: Path) -> None:
    blobs = model.parent / "blobs"
    blobs.mkdir()
    for path in model.iterdir():
        path.rename(blobs / path.name)
        path.symlink_to(f"../blobs/{path.name}")
    assert fetch(model.parent).exit_code == ExitCode.OK


def test_a_link_to_nothing_is_refused(model: Path) -> None:
    (model / "LICENSE").symlink_to("absent")
    assert refused(model, Reason.SOURCE_CORRUPT) == "LICENSE is a symbolic link to a file that does not exist."


@pytest.mark.parametrize("name", ["config.json", "notes.txt"])
def test_a_pipe_without_a_writer_is_refused_and_not_awaited(model: Path, name: str) -> None:
    (model / name).unlink(missing_ok=True)
    os.mkfifo(model / name)
    assert refused(model, Reason.SOURCE_CORRUPT) == f"{name} is not a regular file."


def test_a_source_that_is_a_link_out_of_its_claim_is_not_found(model: Path) -> None:
    elsewhere = write_checkpoint(model.parent.parent / "elsewhere")
    (model.parent / "link").symlink_to(elsewhere)
    result = fetch(model.parent, "link")
    assert (result.exit_code, result.reason) == (ExitCode.INPUT_MISSING, Reason.SOURCE_NOT_FOUND)
    assert result.message == "link of the claim models is a symbolic link out of the claim."


@pytest.mark.parametrize("shard", ["../../etc/passwd", ".hidden.safetensors", "weights.bin"])
def test_an_index_names_only_files_that_become_part_of_the_model(model: Path, shard: str) -> None:
    (model / ".hidden.safetensors").write_bytes((model / "model.safetensors").read_bytes())
    (model / "weights.bin").write_bytes((model / "model.safetensors").read_bytes())
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": shard}}))
    assert shard in refused(model, Reason.SOURCE_INCOMPLETE)


@pytest.mark.parametrize(
    "changed",
    [
        {"quantization_config": {"quant_method": "fp8", "weight_block_size": [None]}},
        {"rope_scaling": {"rope_type": "yarn", "factor": float("inf")}},
        {"rope_scaling": {"rope_type": "yarn", "factor": float("nan")}},
        {"rope_scaling": {"rope_type": "yarn", "factor": -4}},
        {
            "quantization_config": {
                "quant_method": "compressed-tensors",
                "config_groups": {"a": {"weights": {"actorder": [], "num_bits": 4, "type": "int"}}},
            }
        },
    ],
)
def test_a_value_of_another_kind_than_the_fields_is_not_believed(model: Path, changed: dict[str, Any]) -> None:
    (model / "config.json").write_text(json.dumps({**CONFIG, **changed}))
    result = fetch(model.parent)
    assert result.exit_code == ExitCode.OK
    assert result.fetch is not None
    assert result.fetch.facts.details.positions in {None, CONFIG["max_position_embeddings"]}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**40), max_value=10**40)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["\ud800", "\x1b[2J", "x" * 5000, "awq", "gptq", "compressed-tensors", "modelopt", "fp8"]),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=8,
)
_FIELDS = [
    *CONFIG,
    *("text_config", "rope_scaling", "rope_parameters", "layer_types", "quantization_config", "auto_map", "moe"),
    *("architecture", "mapping", "quantization", "torch_dtype", "head_dim", "num_local_experts", "n_embd", "n_head"),
]
_QUANTIZATION = [
    *("quant_method", "bits", "w_bit", "group_size", "q_group_size", "weight_block_size", "config_groups", "desc_act"),
    *("quant_algo", "kv_cache_quant_algo", "has_zero_point", "zero_point", "sym", "version"),
]
quantizations = st.dictionaries(st.sampled_from(_QUANTIZATION), json_values, max_size=6)
configurations = st.builds(
    lambda changed, quantization: {
        **CONFIG,
        **changed,
        **({"quantization_config": quantization} if quantization else {}),
    },
    st.dictionaries(st.sampled_from(_FIELDS), json_values, max_size=6),
    st.none() | quantizations,
)
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "BF16", "U8", "I32", "F4", "BOOL", "?"]) | json_values,
        "shape": st.lists(st.integers(-2, 2**66), max_size=4) | json_values,
        "data_offsets": st.tuples(st.integers(-1, 64), st.integers(-1, 64)).map(list) | json_values,
    }
)
headers = (
    st.dictionaries(st.sampled_from([*LLAMA, "a.qweight", "b.weight_packed", "__metadata__", "\ud800"]), entries).map(
        lambda header: json.dumps(header).encode()
    )
    | st.binary(max_size=200)
    | json_values.map(lambda value: json.dumps(value).encode())
)


def _holds(what: str, change: Callable[[Path], None]) -> None:
    _TRIED[what] = _TRIED.get(what, 0) + 1
    with tempfile.TemporaryDirectory(dir=_MEMORY) as name:
        claim = Path(name)
        change(write_checkpoint(claim / "model"))
        result = fetch(claim)
    assert (result.exit_code == ExitCode.OK) is (result.reason is None)
    assert result.reason is not Reason.INTERNAL_ERROR, result.message
    assert (result.message + result.remedy).isprintable()


many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module", autouse=True)
def _numbers_of_inputs() -> Any:
    yield
    print(f"\ninputs tried: {', '.join(f'{number} of {what}' for what, number in _TRIED.items())}")


@pytest.fixture
def no_traceback(capfd: pytest.CaptureFixture[str]) -> Any:
    yield
    captured = capfd.readouterr()
    assert "Traceback" not in captured.out + captured.err


@many
@given(configurations)
def test_any_config_json_ends_in_a_result(no_traceback: None, config: dict[str, Any]) -> None:
    _holds("config.json", lambda model: (model / "config.json").write_text(json.dumps(config)) and None)


@many
@given(st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_as_config_json_end_in_a_result(no_traceback: None, content: bytes) -> None:
    _holds("bytes as config.json", lambda model: (model / "config.json").write_bytes(content) and None)


@many
@given(quantizations)
def test_any_hf_quant_config_json_ends_in_a_result(no_traceback: None, content: dict[str, Any]) -> None:
    _holds(
        "hf_quant_config.json",
        lambda model: (model / "hf_quant_config.json").write_text(json.dumps({"quantization": content})) and None,
    )


@many
@given(headers, st.integers(0, 80))
def test_any_safetensors_header_ends_in_a_result(no_traceback: None, header: bytes, size: int) -> None:
    _holds("safetensors header", lambda model: write_header(model / "model.safetensors", header, b"\0" * size))


@many
@given(json_values)
def test_any_tokenizer_config_json_ends_in_a_result(no_traceback: None, value: object) -> None:
    _holds(
        "tokenizer_config.json",
        lambda model: (model / "tokenizer_config.json").write_text(json.dumps(value)) and None,
    )
