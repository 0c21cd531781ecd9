#!/usr/bin/env python3
"""Runs checks and tests in stages with a time for each; `make check`, `test`, `bench` and `lock` call it.

Exit status 0 only when every stage passed; the last line is the sum over pytest's own summaries.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "hack" / "cluster"))

from clusterlib.environments import builder_tools, lock_requirements, tools_environment  # noqa: E402
from clusterlib.prepare import prepare  # noqa: E402
from clusterlib.problem import Problem  # noqa: E402
from clusterlib.show import say  # noqa: E402

TOOLS = REPOSITORY / ".venv" / "bin"
BUILDER = REPOSITORY / ".venv-builder" / "bin"
DOUBLE = REPOSITORY / "hack" / "tensorrt_llm_double"
UNIT = ("tests/unit/api", "tests/unit/diagnosis", "tests/unit/planner", "tests/unit/operator", "tests/unit/cli")
_TYPED = ("api", "diagnosis", "planner", "operator", "cli")
_COUNT = re.compile(r"(\d+) (passed|failed|error|errors|skipped)")


@dataclass(frozen=True)
class Stage:
    """A command; `counts` for pytest's."""

    name: str
    command: Sequence[str | Path]
    counts: bool = False


CHECK = (
    Stage("format", [TOOLS / "ruff", "format", "--check", "--quiet", "."]),
    Stage("lint", [TOOLS / "ruff", "check", "--quiet", "."]),
    Stage(
        "types of what runs without torch",
        [
            TOOLS / "mypy",
            "-p",
            "trtllm_api",
            "-p",
            "trtllm_diagnosis",
            "-p",
            "trtllm_planner",
            "-p",
            "trtllm_operator",
            "-p",
            "trtllm_cli",
        ],
    ),
    Stage("types of hack", [TOOLS / "mypy", "hack/cluster/clusterlib", "hack/test/run.py", "hack/demo/demo.py"]),
    Stage("types of the builder", [BUILDER / "mypy", "-p", "trtllm_builder"]),
    Stage("types of NVIDIA's double", [BUILDER / "mypy", *sorted(DOUBLE.glob("*.py")), DOUBLE / "tensorrt_llm"]),
    Stage("imports", [TOOLS / "lint-imports", "--no-cache", "--no-logo"]),
    Stage("unit tests of what runs without torch", [TOOLS / "pytest", "-q", *UNIT], counts=True),
)
BESIDE = (
    (Stage("unit tests of the builder", [BUILDER / "pytest", "-q", "tests/unit/builder"], counts=True),),
    (
        # a run of their own: the double is importable there, and the builder's tests must not find it
        Stage("unit tests of NVIDIA's double", [BUILDER / "pytest", "-q", "tests/unit/double"], counts=True),
        Stage("tests on a real API server", [TOOLS / "pytest", "-q", "tests/api"], counts=True),
    ),
)
"""Two lanes at the same time: each keeps hardly more than one processor busy."""
TEST = (
    *CHECK,
    Stage("generated files", ["make", "--no-print-directory", "verify"]),
    BESIDE,
    Stage("tests on a real cluster", [TOOLS / "pytest", "-v", "tests/cluster"], counts=True),
)


def main() -> int:
    """Run what the argument names; the whole test without one."""
    what = sys.argv[1] if len(sys.argv) > 1 else "test"
    started = time.monotonic()
    try:
        match what:
            case "environments":
                tools_environment()
                return 0
            case "lock":
                lock_requirements()
                return 0
            case "bench":
                prepare(local=True)
                return _run([Stage("benchmarks", [TOOLS / "python", "benchmarks/run.py"])], started)
            case "check":
                tools_environment()
                builder_tools()
                return _run(CHECK, started)
            case "test":
                prepare(local=True)
                return _run(TEST, started)
    except Problem as problem:
        say(str(problem))
        return 1
    say(f"{what} is none of test, check, bench, lock, environments")
    return 2


@dataclass
class _Sum:
    """What the stages have come to; lanes add to it in turn."""

    totals: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def add(self, stage: Stage, status: int, output: str) -> None:
        """Pytest's own numbers, or one for a command."""
        found = [("1", "failed" if status else "passed")]
        if stage.counts:
            found = _COUNT.findall(output.strip().splitlines()[-1] if output.strip() else "")
        for number, word in found:
            kind = "failed" if word.startswith("error") else word
            self.totals[kind] = self.totals.get(kind, 0) + int(number)
        if status:
            self.broken.append(stage.name)


def _run(stages: Sequence[Stage | Sequence[Sequence[Stage]]], started: float) -> int:
    total = _Sum()
    for item in stages:
        if isinstance(item, Stage):
            _one(item, total, shown=True)
            continue
        with ThreadPoolExecutor(len(item)) as lanes:
            for lane in [lanes.submit(_lane, lane, total) for lane in item]:
                lane.result()
    totals, broken = total.totals, total.broken
    if broken:
        say(f"did not pass: {', '.join(broken)}")
        totals.setdefault("failed", len(broken))
    summary = ", ".join(f"{totals[kind]} {kind}" for kind in ("passed", "failed", "skipped") if kind in totals)
    print(f"{summary} in {time.monotonic() - started:.0f} s", flush=True)
    return 1 if broken else 0


def _lane(stages: Sequence[Stage], total: _Sum) -> None:
    for stage in stages:
        _one(stage, total, shown=False)


def _one(stage: Stage, total: _Sum, *, shown: bool) -> None:
    """Run it; what it prints comes as it is printed, or as a whole at its end, where others run beside it."""
    begun = time.monotonic()
    say(f"── {stage.name}")
    status, output = _execute(stage, shown=shown)
    with total.lock:
        if not shown:
            print(output, end="", flush=True)
        total.add(stage, status, output)
        say(f"{'✗' if status else '✓'} {stage.name}  {time.monotonic() - begun:.1f} s")


def _execute(stage: Stage, *, shown: bool) -> tuple[int, str]:
    process = subprocess.Popen(
        [str(part) for part in stage.command],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={
            **os.environ,
            "MYPYPATH": "crds:diagnosis:planner:operator:cli:builder-image:hack/cluster:hack/tensorrt_llm_double",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    )
    lines: list[str] = []
    for line in process.stdout or ():
        if shown:
            sys.stdout.write(line)
            sys.stdout.flush()
        lines.append(line)
    return process.wait(), "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
