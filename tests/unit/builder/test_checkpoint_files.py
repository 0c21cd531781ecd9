"""checkpoint_files.py, safetensors_header.py and model_facts.py: what is accepted, what is refused and why."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from trtllm_api.contract import BuildResult, ExitCode, FetchResult, Stage
from trtllm_api.reasons import Reason
from trtllm_builder.checkpoint_files import inspect, model_files
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.model_facts import model_facts

from .conftest import CONFIG, LLAMA, failure_of, write_checkpoint, write_safetensors, write_sharded

_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 15000000000\n"
_SHARD = "model-00002-of-00002.safetensors"


def _with_header(header: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header


def _refusal(directory: Path, reason: Reason, *, trust_remote_code: bool = False) -> BuilderFailure:
    failure = failure_of(lambda: inspect(directory, trust_remote_code=trust_remote_code))
    assert (failure.exit_code, failure.reason) == (ExitCode.BAD_MODEL, reason)
    return failure


def test_a_whole_checkpoint_is_accepted_in_one_file_and_in_shards(tmp_path: Path) -> None:
    one = inspect(write_checkpoint(tmp_path / "one"), trust_remote_code=False)
    two = inspect(write_sharded(tmp_path / "two"), trust_remote_code=False)
    assert set(one.tensors) == set(two.tensors) == set(LLAMA)
    assert one.weight_bytes == (tmp_path / "one" / "model.safetensors").stat().st_size


def test_a_git_lfs_pointer_instead_of_a_shard_is_called_one(tmp_path: Path) -> None:
    directory = write_sharded(tmp_path / "model")
    (directory / _SHARD).write_bytes(_POINTER)
    failure = _refusal(directory, Reason.SOURCE_CORRUPT)
    assert f"{_SHARD} is a Git-LFS pointer of {len(_POINTER)} bytes" in failure.message
    assert "git lfs pull" in failure.remedy


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_a_git_lfs_pointer_is_found_in_small_files_too(tmp_path: Path, name: str) -> None:
    directory = write_checkpoint(tmp_path / "model")
    (directory / name).write_bytes(_POINTER)
    assert f"{name} is a Git-LFS pointer" in _refusal(directory, Reason.SOURCE_CORRUPT).message


@pytest.mark.parametrize(("change", "word"), [(-1000, "truncated"), (10, "too long")])
def test_a_shard_of_another_size_than_its_header_says_is_named_with_both_sizes(
    tmp_path: Path, change: int, word: str
) -> None:
    directory = write_sharded(tmp_path / "model")
    whole = (directory / _SHARD).read_bytes()
    (directory / _SHARD).write_bytes((whole + b"\0" * 10)[: len(whole) + change])
    failure = _refusal(directory, Reason.SOURCE_CORRUPT)
    assert (
        failure.message
        == f"{_SHARD} is {word}: it has {len(whole) + change} bytes, but its header describes {len(whole)}."
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"<!DOCTYPE html><html>an error page of a proxy</html>",
        _with_header(b"[12]"),
        _with_header(b"{nojs"),
        _with_header(b"\xff\xfe"),
        _with_header(b'{"a": 1}'),
        _with_header(b'{"a": {"x": 1}}'),
        _with_header(b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": []}}'),
        _with_header(b'{"a": {"dtype": "F32", "shape": ["x"], "data_offsets": [0, 4]}}'),
    ],
)
def test_a_file_that_is_no_safetensors_file_is_corrupt_and_no_fault_of_the_builder(
    tmp_path: Path, content: bytes
) -> None:
    directory = write_checkpoint(tmp_path / "model")
    (directory / "model.safetensors").write_bytes(content)
    assert "model.safetensors" in _refusal(directory, Reason.SOURCE_CORRUPT).message


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    directory = write_checkpoint(tmp_path / "model")
    write_safetensors(directory / "model.safetensors", {})
    assert "contains no tensors" in _refusal(directory, Reason.SOURCE_CORRUPT).message


def test_an_index_that_names_a_missing_shard_counts_and_names_it(tmp_path: Path) -> None:
    directory = write_sharded(tmp_path / "model")
    (directory / _SHARD).unlink()
    failure = _refusal(directory, Reason.SOURCE_INCOMPLETE)
    assert "1 of 2 shards in model.safetensors.index.json are missing" in failure.message
    assert _SHARD in failure.message


def test_an_index_may_not_lead_out_of_the_directory(tmp_path: Path) -> None:
    directory = write_sharded(tmp_path / "model")
    write_safetensors(tmp_path / "outside.safetensors", LLAMA)
    index = directory / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"lm_head.weight": "../outside.safetensors"}}))
    assert "../outside.safetensors" in _refusal(directory, Reason.SOURCE_INCOMPLETE).message


@pytest.mark.parametrize("index", ["{}", '{"weight_map": []}', '{"weight_map": {"lm_head.weight": 7}}'])
def test_an_index_without_a_weight_map_is_corrupt(tmp_path: Path, index: str) -> None:
    directory = write_sharded(tmp_path / "model")
    (directory / "model.safetensors.index.json").write_text(index)
    assert "weight_map" in _refusal(directory, Reason.SOURCE_CORRUPT).message


def test_a_tensor_of_the_index_that_no_shard_holds_is_named(tmp_path: Path) -> None:
    directory = write_sharded(tmp_path / "model")
    path = directory / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["model.layers.9.mlp.up_proj.weight"] = _SHARD
    path.write_text(json.dumps(index))
    failure = _refusal(directory, Reason.SOURCE_CORRUPT)
    assert "model.layers.9.mlp.up_proj.weight" in failure.message


def test_a_missing_tokenizer_is_incomplete(tmp_path: Path) -> None:
    directory = write_checkpoint(tmp_path / "model")
    (directory / "tokenizer.json").unlink()
    failure = _refusal(directory, Reason.SOURCE_INCOMPLETE)
    assert "The model has no tokenizer" in failure.message
    assert "save_pretrained" in failure.remedy


def test_a_missing_config_is_answered_with_what_the_directory_holds(tmp_path: Path) -> None:
    directory = write_checkpoint(tmp_path / "model")
    (directory / "config.json").unlink()
    failure = _refusal(directory, Reason.SOURCE_INCOMPLETE)
    assert "The source has no config.json" in failure.message
    assert "model.safetensors" in failure.message


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ("{", Reason.SOURCE_CORRUPT),
        ("[]", Reason.SOURCE_CORRUPT),
        ('{"model_type": "llama"}', Reason.SOURCE_INCOMPLETE),
        ('{"model_type": "llama", "architectures": []}', Reason.SOURCE_INCOMPLETE),
        ('{"model_type": "llama", "architectures": "LlamaForCausalLM"}', Reason.SOURCE_INCOMPLETE),
        ('{"architectures": ["LlamaForCausalLM"]}', Reason.SOURCE_INCOMPLETE),
    ],
)
def test_a_config_that_describes_no_model_is_refused(tmp_path: Path, config: str, reason: Reason) -> None:
    directory = write_checkpoint(tmp_path / "model")
    (directory / "config.json").write_text(config)
    assert "config.json" in _refusal(directory, reason).message


def test_weights_in_another_format_are_named_with_the_way_to_convert_them(tmp_path: Path) -> None:
    directory = write_checkpoint(tmp_path / "model")
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    failure = _refusal(directory, Reason.SOURCE_INCOMPLETE)
    assert "but pytorch_model.bin" in failure.message
    assert "save_pretrained" in failure.remedy


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json"])
def test_custom_code_is_refused_until_it_is_trusted(tmp_path: Path, file: str) -> None:
    directory = write_checkpoint(tmp_path / "model")
    own = {"model_type": "own", "auto_map": {"AutoModelForCausalLM": "modeling.Own"}}
    (directory / file).write_text(json.dumps(json.loads((directory / file).read_text()) | own))
    failure = _refusal(directory, Reason.CUSTOM_CODE_NOT_TRUSTED)
    assert "AutoModelForCausalLM" in failure.message
    facts = model_facts(inspect(directory, trust_remote_code=True))
    assert (facts.custom_code, facts.details.own_tokenizer) == (True, file == "tokenizer_config.json")


def test_code_beside_a_class_that_transformers_has_needs_no_trust(tmp_path: Path) -> None:
    directory = write_checkpoint(tmp_path / "model")
    files = {
        "config.json": {"auto_map": {"AutoModelForCausalLM": "modeling.Own"}},
        "tokenizer_config.json": {
            "tokenizer_class": "LlamaTokenizerFast",
            "auto_map": {"AutoTokenizer": ["own", None]},
        },
    }
    for file, more in files.items():
        (directory / file).write_text(json.dumps(json.loads((directory / file).read_text()) | more))
    facts = model_facts(inspect(directory, trust_remote_code=False))
    assert (facts.custom_code, facts.details.own_tokenizer) == (True, False)


def test_the_identity_of_a_model_leaves_out_what_is_no_part_of_it(tmp_path: Path) -> None:
    directory = write_checkpoint(tmp_path / "model")
    for name in ("README.md", "manifest.json", ".hidden.json", "consolidated.safetensors", "pytorch_model.bin"):
        (directory / name).write_text("x")
    (directory / "nested.json").mkdir()
    assert [path.name for path in model_files(directory)] == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


def test_the_facts_of_a_llama_model_are_those_of_its_config_and_its_headers(tmp_path: Path) -> None:
    facts = model_facts(inspect(write_sharded(tmp_path / "model"), trust_remote_code=False))
    assert facts.architecture == "LlamaForCausalLM"
    assert facts.model_type == "llama"
    assert facts.dtype == "bfloat16"
    assert (facts.layers, facts.hidden_size, facts.intermediate_size) == (2, 64, 160)
    assert (facts.heads, facts.key_value_heads, facts.head_dim) == (4, 2, 16)
    assert (facts.vocabulary_size, facts.max_position_embeddings) == (96, 512)
    layer = 64 + 2 * 64 * 64 + 2 * 32 * 64 + 3 * 160 * 64
    assert facts.parameters == 2 * 96 * 64 + 64 + 2 * layer
    assert facts.bytes == sum(path.stat().st_size for path in (tmp_path / "model").glob("*.safetensors"))
    assert facts.chat_template
    assert not facts.tied_embeddings
    assert not facts.custom_code
    assert facts.quantization is None
    shapes = {linear.name: (linear.out_features, linear.in_features, linear.count) for linear in facts.linears}
    assert shapes == {
        "lm_head": (96, 64, 1),
        "model.layers.*.mlp.down_proj": (64, 160, 2),
        "model.layers.*.mlp.gate_proj": (160, 64, 2),
        "model.layers.*.mlp.up_proj": (160, 64, 2),
        "model.layers.*.self_attn.k_proj": (32, 64, 2),
        "model.layers.*.self_attn.o_proj": (64, 64, 2),
        "model.layers.*.self_attn.q_proj": (64, 64, 2),
        "model.layers.*.self_attn.v_proj": (32, 64, 2),
    }


def test_embeddings_without_a_head_are_tied_when_the_config_does_not_say(tmp_path: Path) -> None:
    config = {key: value for key, value in CONFIG.items() if key != "tie_word_embeddings"}
    headless = {name: shape for name, shape in LLAMA.items() if name != "lm_head.weight"}
    tied = write_checkpoint(tmp_path / "tied", config=config, shapes=headless)
    own = write_checkpoint(tmp_path / "own", config=config)
    assert model_facts(inspect(tied, trust_remote_code=False)).tied_embeddings
    assert not model_facts(inspect(own, trust_remote_code=False)).tied_embeddings


def test_the_text_model_of_a_multimodal_config_is_the_one_that_counts(tmp_path: Path) -> None:
    nested = {"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": CONFIG}
    facts = model_facts(inspect(write_checkpoint(tmp_path / "model", config=nested), trust_remote_code=False))
    assert (facts.model_type, facts.layers, facts.hidden_size) == ("gemma3", 2, 64)


def test_experts_are_counted_and_their_layers_folded_into_one_shape(tmp_path: Path) -> None:
    experts = {
        f"model.layers.{layer}.mlp.experts.{expert}.w1.weight": (16, 64) for layer in range(2) for expert in range(8)
    }
    directory = write_checkpoint(tmp_path / "moe", config=CONFIG | {"num_local_experts": 8}, shapes=LLAMA | experts)
    facts = model_facts(inspect(directory, trust_remote_code=False))
    assert facts.experts == 8
    folded = [linear for linear in facts.linears if linear.name == "model.layers.*.mlp.experts.*.w1"]
    assert [(one.out_features, one.in_features, one.count) for one in folded] == [(16, 64, 16)]


def test_a_checkpoint_that_is_quantized_already_says_how(tmp_path: Path) -> None:
    config = CONFIG | {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    directory = write_checkpoint(tmp_path / "model", config=config)
    assert model_facts(inspect(directory, trust_remote_code=False)).quantization == "gptq"


@pytest.mark.parametrize(
    "odd",
    [
        {"hidden_size": -1, "num_attention_heads": -4},
        {"hidden_size": "64", "vocab_size": None},
        {"quantization_config": "none"},
        {"text_config": []},
        {"architectures": ["X" * 1000], "model_type": "y" * 1000},
    ],
)
def test_odd_values_in_a_config_never_stop_the_builder(tmp_path: Path, odd: dict[str, object]) -> None:
    directory = write_checkpoint(tmp_path / "model", config=CONFIG | odd)
    assert model_facts(inspect(directory, trust_remote_code=False)).parameters > 0


def test_the_heaviest_linears_are_kept_so_that_the_result_always_fits(tmp_path: Path) -> None:
    many = {f"{'tower_' * 30}{index:03d}.weight": (8 + index, 64) for index in range(60)}
    directory = write_checkpoint(tmp_path / "model", shapes=LLAMA | many)
    facts = model_facts(inspect(directory, trust_remote_code=False))
    assert "model.layers.*.mlp.down_proj" in {linear.name for linear in facts.linears}
    assert [linear.name for linear in facts.linears] == sorted(linear.name for linear in facts.linears)
    digest = "sha256:" + "0" * 64
    fetched = FetchResult(
        digest=digest, revision="f" * 40, path="p" * 60, manifest_path="p" * 80, bytes=10**13, facts=facts
    )
    encoded = BuildResult(stage=Stage.FETCH, exit_code=0, fetch=fetched).to_termination_message()
    assert 2000 < len(encoded) <= 4096
