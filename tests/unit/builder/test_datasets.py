"""datasets.py: texts from mounts and of the builder's own, and windows.py's count of them."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trtllm_api.contract import DatasetRequest, ExitCode
from trtllm_api.quality import HubDataset
from trtllm_api.reasons import Reason
from trtllm_builder.datasets import Purpose, TextSet, load_texts
from trtllm_builder.failure import BuilderFailure

from .conftest import failure_of


def _load(path: Path) -> TextSet:
    return load_texts(DatasetRequest(path=str(path)), "evaluation")


def _unusable(path: Path) -> BuilderFailure:
    failure = failure_of(lambda: _load(path))
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.DATASET_UNUSABLE)
    return failure


def test_lines_of_a_text_file_are_texts_and_blank_ones_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_text("one\n\n  \ntwo\n", encoding="utf-8")
    loaded = _load(tmp_path / "own.txt")
    assert loaded.texts == ("one", "two")
    assert (loaded.name, loaded.own) == ("own.txt", False)


def test_json_lines_hold_texts_with_every_character_that_json_allows(tmp_path: Path) -> None:
    texts = ["plain", "two\nlines", "a line separator\u2028inside", "next\u0085line"]
    rows = [json.dumps({"text": text, "id": 7}, ensure_ascii=False) for text in texts]
    (tmp_path / "own.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    assert _load(tmp_path / "own.jsonl").texts == tuple(texts)


def test_rows_without_a_text_are_left_out_and_not_called_none(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": null}\n{"text": "x"}\n')
    pq.write_table(pa.table({"text": ["y", None]}), tmp_path / "b.parquet")
    assert _load(tmp_path).texts == ("x", "y")


def test_a_directory_is_read_in_a_stable_order(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("b")
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "notes.md").write_text("not a text")
    loaded = _load(tmp_path)
    assert loaded.texts == ("a", "b")
    assert loaded.name == "2 files"


def test_the_identity_is_that_of_the_texts_and_not_of_the_file(tmp_path: Path) -> None:
    for name, text in (("a.txt", "same"), ("b.txt", "same\n\n"), ("c.txt", "other")):
        (tmp_path / name).write_text(text)
    first, second, third = (_load(tmp_path / f"{name}.txt").digest for name in "abc")
    assert first == second
    assert first != third


@pytest.mark.parametrize("name", ["empty.txt", "empty.jsonl"])
def test_an_empty_file_is_unusable_and_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("\n \n")
    assert f"evaluation dataset {name} is empty" in _unusable(tmp_path / name).message


def test_a_path_without_a_file_is_unusable(tmp_path: Path) -> None:
    assert "missing.txt" in _unusable(tmp_path / "missing.txt").message
    assert "no .txt, .jsonl or .parquet file" in _unusable(tmp_path).message


@pytest.mark.parametrize("row", ["{", "[]", '"text"', '{"content": "x"}', "7"])
def test_a_line_that_is_no_object_with_a_text_is_unusable(tmp_path: Path, row: str) -> None:
    (tmp_path / "own.jsonl").write_text(f'{{"text": "x"}}\n{row}\n')
    assert '{"text": "..."}' in _unusable(tmp_path / "own.jsonl").remedy


def test_a_file_in_another_encoding_is_unusable(tmp_path: Path) -> None:
    (tmp_path / "own.txt").write_bytes("Übung".encode("latin-1"))
    assert "UTF-8" in _unusable(tmp_path / "own.txt").message


def test_a_parquet_file_without_the_column_names_the_columns_it_has(tmp_path: Path) -> None:
    pq.write_table(pa.table({"content": ["x"]}), tmp_path / "own.parquet")
    assert "no column `text`. Its columns are content" in _unusable(tmp_path / "own.parquet").message
    (tmp_path / "own.parquet").write_bytes(b"not parquet at all")
    assert "not a Parquet file" in _unusable(tmp_path / "own.parquet").message


@pytest.mark.parametrize("purpose", ["calibration", "evaluation"])
def test_the_builder_has_texts_of_its_own(purpose: Purpose) -> None:
    loaded = load_texts(None, purpose)
    assert loaded.own
    assert all(text.strip() for text in loaded.texts)
    assert sum(map(len, loaded.texts)) > 10_000


def test_what_calibrates_is_not_what_evaluates() -> None:
    calibration, evaluation = load_texts(None, "calibration"), load_texts(None, "evaluation")
    assert not set(calibration.texts) & set(evaluation.texts)


def test_a_hub_that_does_not_answer_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        endpoint = f"http://127.0.0.1:{taken.getsockname()[1]}"
    for name in ("datasets.config.HF_ENDPOINT", "huggingface_hub.constants.ENDPOINT"):
        monkeypatch.setattr(name, endpoint)
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setenv("TRTLLM_SOURCE_NETWORKS", "127.0.0.0/8")
    request = DatasetRequest(hugging_face=HubDataset(repo="acme/texts", split="test"))
    failure = failure_of(lambda: load_texts(request, "evaluation"))
    assert (failure.exit_code, failure.reason) == (ExitCode.TRANSIENT, Reason.DATASET_UNUSABLE)
    assert "acme/texts" in failure.message


def test_a_datasets_token_goes_only_to_the_origins_that_the_installation_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("TRTLLM_DATASET_TOKEN", "hf_secret")
    request = DatasetRequest(hugging_face=HubDataset(repo="acme/texts", split="test"))
    failure = failure_of(lambda: load_texts(request, "evaluation"))
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.SOURCE_ACCESS_DENIED)
