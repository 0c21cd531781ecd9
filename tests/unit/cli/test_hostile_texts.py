"""Whatever a file holds, a command ends soon, in bounded memory, with one sentence.

One process with limits of its own runs all commands: a fault of this kind would take the tests' own memory and time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml
from cli_runs import engine, quantized

_MEMORY = 2 * 1024**3
_SECONDS = 30
"""Of processor time, for all commands together; about 3 are needed."""
_VALUES = 20_000
"""In place of the million that the commands take, which needs 2 s of processor time for each case."""
_RUN = """
import contextlib, io, json, resource, sys
from trtllm_cli import yamlvalues
from trtllm_cli.main import main
yamlvalues.MOST_VALUES = {values}
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds}))
found = {{}}
for name, arguments in json.load(sys.stdin).items():
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        code = main(arguments)
    found[name] = (code, out.getvalue()[:30000], err.getvalue()[:30000])
print(json.dumps(found))
"""
HEAD = "apiVersion: trtllm.dev/v1alpha1\nkind: QuantizedModel\nmetadata: {name: a}\n"
_TEN = ", ".join(["*{}"] * 10)
BOMB = "x0: &x0 {k: lol}\n" + "".join(f"x{i}: &x{i} [{_TEN.replace('{}', f'x{i - 1}')}]\n" for i in range(1, 20))
MERGES = "x0: &x0 {k: lol}\n" + "".join(
    f"x{i}: &x{i} {{<<: [{_TEN.replace('{}', f'x{i - 1}')}]}}\n" for i in range(1, 20)
)
BLOCKS = "".join(f"{' ' * depth}a:\n" for depth in range(900))
FIELDS = "".join(f"  f{number}: 1\n" for number in range(9_000))
UNREADABLE: dict[str, tuple[str, str]] = {
    "aliases of aliases": (HEAD + BOMB, "more than 20000 values after aliases are expanded"),
    "aliases of a long text": (
        HEAD + f"spec:\n  a: &a {'x' * 1_000_000}\n  b: [{'*a, ' * 1_000}]\n",
        "more than 20000 values",
    ),
    "merges of merges": (HEAD + MERGES, "more than 20000 values after aliases are expanded"),
    "an alias of itself": (HEAD + "spec: &a {b: *a}\n", "the alias *a has no anchor before it"),
    "deep lists": (HEAD + "spec: " + "[" * 100_000, "exceeded maximum nesting depth"),
    "lists as deep as the parser takes": (HEAD + "spec: " + "[" * 900 + "]" * 900, "nested more than 100 levels deep"),
    "deep blocks": (HEAD + f"spec:\n{BLOCKS}", "nested more than 100 levels deep"),
    "deep JSON": (
        '{"kind": "QuantizedModel", "apiVersion": "trtllm.dev/v1alpha1", "spec": ' + '{"a":' * 99_999,
        "nested",
    ),
    "many values": (HEAD + "spec:\n" + "- a: b\n" * 8_000, "more than 20000 values"),
    "many documents": ("---\n" * 21_000, "more than 20000 values"),
    "many resources": (
        "---\n".join(HEAD.replace("a}", f"a{number}}}") for number in range(1001)),
        "more than 1000 resources. Plan them in several runs.",
    ),
    "a large file": (HEAD + "#" * (17 * 1024**2), "is larger than 16 MiB"),
    "a kind that is no text": (
        "apiVersion: trtllm.dev/v1alpha1\nkind: {a: b}\n",
        "apiVersion and kind must be strings",
    ),
}
REFUSED: dict[str, tuple[str, str]] = {
    "many unknown fields": (HEAD + f"spec:\n{FIELDS}", "spec.f0: unknown field"),
    "a number of many digits": (HEAD + f"spec: {{checkpoint: {'1' * 1_000_000}}}\n", "spec.checkpoint: must be a map"),
    "a number to base 60": (HEAD + f"spec: {{checkpoint: 1{':1' * 500_000}}}\n", "spec.checkpoint: must be a map"),
    "a name of many characters": (HEAD.replace("a}", "a" * 1_000_000 + "}"), "metadata.name: 1000000 characters"),
    "half a character": (
        json.dumps({**quantized(), "metadata": {"name": "\ud800"}}),
        'metadata.name: "\\ud800" is not a valid Kubernetes name',
    ),
    "a value that JSON does not have": (HEAD + "spec: {x: .nan}\n", "contains a value that JSON cannot represent"),
}  # fmt: skip


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str, str]]:
    """Exit code, output and errors of every command."""
    directory = tmp_path_factory.mktemp("hostile")
    commands: dict[str, list[str]] = {}
    for name, (text, _) in {**UNREADABLE, **REFUSED}.items():
        file = directory / f"{name}.yaml"
        file.write_text(text)
        commands[name] = ["plan", "-f", str(file)]
    (directory / "good.yaml").write_text(yaml.safe_dump(engine()))
    good = ["plan", "-f", str(directory / "good.yaml")]
    (directory / "deep.json").write_text('{"architectures":' + "[" * 100_000)
    (directory / "nested.json").write_text(json.dumps({"a": json.loads("[" * 200 + "]" * 200)}))
    (directory / "bomb.yaml").write_text(BOMB)
    (directory / "pods.yaml").write_text(f"apiVersion: v1\nkind: List\n{BOMB}")
    commands["an endless file"] = ["plan", "-f", "/dev/zero"]
    commands["an endless model"] = [*good, "--model", "/dev/zero"]
    commands["a deep model"] = [*good, "--model", str(directory / "deep.json")]
    commands["a nested model"] = [*good, "--model", str(directory / "nested.json")]
    commands["deep nodes"] = [*good, "--model", "x", "--inventory", str(directory / "deep.json")]
    commands["nodes of aliases"] = [*good, "--model", "x", "--inventory", str(directory / "bomb.yaml")]
    commands["pods of aliases"] = ["diagnose", str(directory / "pods.yaml")]
    done = subprocess.run(
        [sys.executable, "-c", _RUN.format(memory=_MEMORY, seconds=_SECONDS, values=_VALUES)],
        input=json.dumps(commands), capture_output=True, text=True, check=False, cwd=directory,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path), "HF_ENDPOINT": "http://127.0.0.1:1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, tuple[int, str, str]] = {name: tuple(end) for name, end in json.loads(done.stdout).items()}
    return found


@pytest.mark.parametrize("case", UNREADABLE)
def test_what_costs_too_much_to_read_is_one_sentence_and_exit_code_2(ends: dict[str, Any], case: str) -> None:
    code, out, err = ends[case]
    assert (code, out, err.count("\n")) == (2, "", 1), err[:500]
    assert UNREADABLE[case][1] in err
    assert len(err) < 500


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_read_and_wrong_is_refused_in_a_few_lines(ends: dict[str, Any], case: str) -> None:
    code, out, err = ends[case]
    assert (code, err) == (1, "")
    assert REFUSED[case][1] in " ".join(out.split())
    assert len(out) < 30_000


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("an endless file", "/dev/zero is larger than 16 MiB"),
        ("an endless model", "/dev/zero is larger than 16 MiB"),
        ("a deep model", "nested more than 100 levels deep"),
        ("a nested model", "nested more than 100 levels deep"),
        ("deep nodes", "exceeded maximum nesting depth"),
        ("nodes of aliases", "more than 20000 values"),
        ("pods of aliases", "more than 20000 values"),
    ],
)
def test_files_beside_the_manifests_are_bounded_too(ends: dict[str, Any], case: str, says: str) -> None:
    code, out, err = ends[case]
    assert (code, out, err.count("\n")) == (2, "", 1), err[:500]
    assert says in err
