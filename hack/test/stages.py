"""Stages of `make check` and `make test`: commands, in groups that may run side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS = REPOSITORY / ".venv" / "bin"
BUILDER = REPOSITORY / ".venv-builder" / "bin"
TYPES = REPOSITORY / ".mypy_cache" / "stages"
_DOUBLE = REPOSITORY / "hack" / "tensorrt_llm_double"
_LIGHT = (
    "crds/trtllm_api",
    "diagnosis/trtllm_diagnosis",
    "planner/trtllm_planner",
    "report/trtllm_report",
    "operator/trtllm_operator",
    "cli/trtllm_cli",
)
"""Packages that run without torch."""


@dataclass(frozen=True)
class Stage:
    """A command. Its output is printed line by line (`shown`) or at its end."""

    name: str
    command: Sequence[str | Path]
    tests: bool = False
    """True for pytest, which counts and times its tests."""
    shown: bool = False


Group = Sequence[Stage]
"""Stages that may run side by side, in the order of their start."""


def _tests(name: str, python: Path, *what: str, shown: bool = False) -> Stage:
    command = [python / "pytest", "-v" if shown else "-q", "--durations=10", *what]
    return Stage(name, command, tests=True, shown=shown)


def _types(name: str, python: Path, *what: str | Path) -> Stage:
    # a cache per environment, because versions of packages differ
    return Stage(f"types of {name}", [python / "mypy", "--cache-dir", TYPES / name.split()[-1], *what])


CHECK: Group = (
    _tests(
        "unit tests: API, diagnosis, report, command line",
        TOOLS,
        *(f"tests/unit/{it}" for it in ("api", "diagnosis", "report", "cli")),
    ),
    _types("builder", BUILDER, "builder-image/trtllm_builder", *sorted(_DOUBLE.glob("*.py")), _DOUBLE / "tensorrt_llm"),
    _types("the rest", TOOLS, *_LIGHT, "hack/cluster/clusterlib", "hack/chart", "hack/test", "hack/demo/demo.py"),
    Stage("imports", [TOOLS / "lint-imports", "--no-cache", "--no-logo"]),
    Stage("format", [TOOLS / "ruff", "format", "--check", "--quiet", "."]),
    Stage("lint", [TOOLS / "ruff", "check", "--quiet", "."]),
    _tests("unit tests: planner, operator", TOOLS, "tests/unit/planner", "tests/unit/operator"),
)
GENERATED: Group = (Stage("generated files", ["make", "--no-print-directory", "verify"]),)
"""Group of its own, because it rewrites files that other stages read."""
BESIDE: Group = (
    _tests("tests on a real API server", TOOLS, "tests/api"),
    _tests("unit tests of the builder", BUILDER, "tests/unit/builder"),
    # a separate run: the double is importable there, and the builder's tests must not find it
    _tests("unit tests of NVIDIA's double", BUILDER, "tests/unit/double"),
)
ON_A_CLUSTER: Group = (_tests("tests on a real cluster", TOOLS, "-n", "3", "tests/cluster", shown=True),)
"""Group of its own, because some of these tests measure seconds."""
TEST: Sequence[Group] = (CHECK, GENERATED, BESIDE, ON_A_CLUSTER)
