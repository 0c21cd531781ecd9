"""tokenizer.py: an engine has its model's tokenizer and configuration with it, and none of its weights."""

from __future__ import annotations

import json
from pathlib import Path

from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.store import read_artifact

from .conftest import Claim, failure_of


def model(directory: Path, **files: str) -> str:
    directory.mkdir()
    for name, text in {"config.json": "{}", "model.safetensors": "weights", **files}.items():
        (directory / name).write_text(text)
    return str(directory)


def test_all_of_the_model_but_its_weights_goes_with_the_engine(built: Claim, tmp_path: Path) -> None:
    path = model(
        tmp_path / "model",
        **{"tokenizer.json": "t", "chat_template.jinja": "c", "model.safetensors.index.json": "{}", "report.html": "h"},
    )
    result = built.publish(tokenizer_path=path)
    artifact = read_artifact(built.store.root / result.path)
    names = {file.path for file in artifact.manifest.files if file.path.startswith("tokenizer/")}
    assert names == {"tokenizer/config.json", "tokenizer/tokenizer.json", "tokenizer/chat_template.jinja"}


def test_beside_a_tensorrt_llm_checkpoint_the_models_own_config_is_taken(built: Claim, tmp_path: Path) -> None:
    path = model(tmp_path / "model", **{"tokenizer.json": "t", "hf_config.json": json.dumps({"model_type": "llama"})})
    result = built.publish(tokenizer_path=path)
    config = built.store.root / result.path / "tokenizer" / "config.json"
    assert json.loads(config.read_text()) == {"model_type": "llama"}


def test_a_model_without_a_tokenizer_is_told_before_anything_is_published(built: Claim, tmp_path: Path) -> None:
    path = model(tmp_path / "model")
    failure = failure_of(lambda: built.publish(tokenizer_path=path))
    assert (failure.exit_code, failure.reason) == (ExitCode.BAD_MODEL, Reason.SOURCE_INCOMPLETE)
    assert "has no tokenizer" in failure.message
    assert not list(built.store.root.glob("engines/*"))
