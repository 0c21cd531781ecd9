"""Runs commands in this process, public models' config.json as files, and a stand-in for kubectl on PATH."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "planner"))
sys.path.insert(0, str(Path(__file__).parents[2] / "api"))

from cli_runs import Ran
from public_models import CONFIGS

from trtllm_cli.main import main


@pytest.fixture(autouse=True)
def _no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A terminal of a known width, no colours, no hub, nobody logged in, no kubectl, an empty directory."""
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    for name in ("HF_TOKEN", "HF_TOKEN_PATH", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    monkeypatch.setattr("trtllm_cli.hub.library_is_installed", lambda: False)
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))
    monkeypatch.setattr(sys, "argv", ["trtllm"])
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command; argparse's own exits count as exit codes."""

    def run(*arguments: str) -> Ran:
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., str]:
    """The directory of a public model, which holds config.json alone; `more` changes it."""

    def model(name: str, **more: Any) -> str:
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        (directory / "config.json").write_text(json.dumps({**CONFIGS[name], **more}))
        return str(directory)

    return model


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Mapping[str, Any]], None]:
    """Tells kubectl's stand-in what to answer: `nodes`, `quantizedmodels/NAME`; one answer after another."""
    programs, answers = tmp_path / "programs", tmp_path / "answers"
    programs.mkdir()
    answers.mkdir()
    program = programs / "kubectl"
    program.write_text(f"#!{sys.executable}\n{Path(__file__).with_name('kubectl_standin.py').read_text()}")
    program.chmod(0o755)
    monkeypatch.setenv("KUBECTL_STANDIN_ANSWERS", str(answers))

    def answer(what: str, *found: Mapping[str, Any]) -> None:
        (answers / f"{what.replace('/', '-')}.json").write_text(json.dumps(found))

    return answer
