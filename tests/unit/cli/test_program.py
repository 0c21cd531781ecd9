"""The program as a whole: how it starts, what it imports, its names, its completion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from cli_runs import H100S, Ran, engine, written

from trtllm_cli.completion import SCRIPTS, candidates, for_kubectl
from trtllm_cli.options import COMMANDS

Run = Callable[..., Ran]
REPOSITORY = Path(__file__).parents[3]
DIRECTORIES = ("cli", "crds", "diagnosis", "planner", "report")
PROJECT = tomllib.loads((REPOSITORY / "cli" / "pyproject.toml").read_text())["project"]


def _program(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str(REPOSITORY / name) for name in DIRECTORIES)
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_a_plan_imports_nothing_heavy(model: Callable[..., str]) -> None:
    code = (
        "import sys, json; from trtllm_cli.main import main; code = main(sys.argv[1:]); "
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr); sys.exit(code)"
    )
    arguments = ("plan", "-f", written(engine()), "--model", model("Llama-3-8B"), "--gpus", H100S)
    done = _program(code, *arguments)
    assert done.returncode == 0, done.stderr
    heavy = {
        "torch",
        "transformers",
        "kubernetes",
        "kopf",
        "rich",
        "trtllm_operator",
        "trtllm_builder",
        "asyncio",
        "jinja2",
    }
    assert not heavy & set(json.loads(done.stderr))


def test_help_needs_neither_pydantic_nor_yaml() -> None:
    code = (
        "import sys; from trtllm_cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(sorted({'pydantic', 'yaml'} & set(sys.modules)), file=sys.stderr)"
    )
    assert _program(code).stderr == "[]\n"


def test_a_reader_that_has_enough_is_no_error(model: Callable[..., str]) -> None:
    arguments = f"plan -f {written(engine())} --model {model('Llama-3-8B')} --gpus {H100S}"
    code = "import sys; from trtllm_cli.main import main; sys.exit(main(sys.argv[1:]))"
    line = f"'{sys.executable}' -c '{code}' {arguments} | /bin/true"
    path = os.pathsep.join(str(REPOSITORY / name) for name in DIRECTORIES)
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(["/bin/sh", "-c", line], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_half_a_character_is_printed_as_an_escape() -> None:
    file = Path("engine.json")
    file.write_text(json.dumps({**engine(), "metadata": {"name": "\ud800"}}))
    done = _program(
        "import sys; from trtllm_cli.main import main; sys.exit(main(sys.argv[1:]))", "plan", "-f", str(file)
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "EngineBuild \\ud800 (engine.json, document 1): refused" in done.stdout


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("plan -f nothing.yaml", "nothing.yaml cannot be read: No such file or directory."),
        ("report smollm2", "smollm2 is not the name of a resource. Write qm/NAME or eb/NAME."),
        ("status qm/smollm2", "PATH has no kubectl. Install it, or use options that need no cluster."),
        ("plan -f engine.yaml --gpus 8xH200X", "--gpus 8xH200X: unknown product. Use NVIDIA-H200"),
    ],
)
def test_an_error_is_sentences_of_cause_and_remedy(run: Run, words: str, error: str) -> None:
    written(engine())
    ran = run(*words.split())
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {error}")
    assert ran.err.endswith(".\n")


def test_every_script_of_the_distribution_exists() -> None:
    assert set(PROJECT["scripts"]) == {"trtllm", "kubectl-trtllm", "kubectl_complete-trtllm"}
    for entry in PROJECT["scripts"].values():
        module, _, name = entry.partition(":")
        assert callable(getattr(import_module(module), name))


def test_kubectls_plugin_calls_itself_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/kubectl-trtllm"])
    assert run("--help").out.startswith("usage: kubectl trtllm ")


def test_the_version_is_the_distributions(run: Run) -> None:
    assert run("--version").out == f"trtllm {PROJECT['version']}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(run: Run, command: str) -> None:
    ran = run(command, "--help")
    assert ran.code == 0
    assert all(option in ran.out for option in COMMANDS[command].long)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([""], [*COMMANDS, "--help", "--version"]),
        (["pl"], ["plan"]),
        (["plan", "--g"], ["--gpus"]),
        (["plan", "-o", ""], ["text", "json", "yaml"]),
        (["plan", "-f", ""], []),
        (["completion", "b"], ["bash"]),
        (["diagnose", ""], []),
        (["status", ""], []),
    ],
)
def test_completion_knows_commands_options_and_choices(words: list[str], found: list[str]) -> None:
    assert candidates(words) == found


def test_completion_names_resources_of_the_namespace(cluster: Callable[..., None], run: Run) -> None:
    cluster("qm", {"items": [{"metadata": {"name": "llama"}}]})
    cluster("eb", {"items": [{"metadata": {"name": "llama"}}, {"metadata": {"name": "qwen"}}]})
    assert candidates(["status", "-n", "team", ""]) == ["qm/llama", "eb/llama", "eb/qwen"]
    assert run("__complete", "report", "eb/q").out == "eb/qwen\n"
    assert '"--namespace=team"' in Path("answers/calls").read_text()


def test_kubectl_completes_the_plugin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-trtllm", "dia"])
    assert for_kubectl() == 0
    assert capsys.readouterr().out == "diagnose\n:4\n"


@pytest.mark.parametrize("shell", SCRIPTS)
def test_every_shell_has_a_script(run: Run, shell: str) -> None:
    ran = run("completion", shell)
    assert ran.code == 0
    assert "trtllm __complete" in ran.out


def test_bash_completes(tmp_path: Path) -> None:
    program = tmp_path / "trtllm"
    program.write_text(f"#!{sys.executable}\nimport sys\nfrom trtllm_cli.main import main\nsys.exit(main())\n")
    program.chmod(0o755)
    script = f"{SCRIPTS['bash']}\nCOMP_WORDS=(trtllm plan -o y); COMP_CWORD=3; _trtllm; echo ${{COMPREPLY[@]}}"
    path = os.pathsep.join(str(REPOSITORY / name) for name in DIRECTORIES)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": path}
    done = subprocess.run(["/bin/bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "yaml\n"
