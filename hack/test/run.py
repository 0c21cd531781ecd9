#!/usr/bin/env python3
"""Runs checks and tests in stages with a time for each: `make check`, `test`, `bench` and `lock`.

The exit code is 0 only if every stage passed. The last line is the sum of pytest's own summaries.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "hack" / "cluster"))

from clusterlib.cache import cached, key_of  # noqa: E402
from clusterlib.environments import LOCKS, builder_tools, lock_requirements, tools_environment  # noqa: E402
from clusterlib.prepare import prepare  # noqa: E402
from clusterlib.problem import Problem  # noqa: E402
from clusterlib.settings import cache_directory  # noqa: E402
from clusterlib.show import say  # noqa: E402
from running import run  # noqa: E402
from stages import CHECK, TEST, TOOLS, TYPES, Group, Stage  # noqa: E402

_CHECK_SECONDS = 45
_TEST_SECONDS = 20 * 60
"""Budgets in seconds on two processors with a filled cache. A run that takes longer prints a warning."""


def main() -> int:
    """Run the stages of the argument; without one, all tests."""
    what = sys.argv[1] if len(sys.argv) > 1 else "test"
    try:
        match what:
            case "environments":
                tools_environment()
                return 0
            case "builder-environment":
                builder_tools()
                return 0
            case "lock":
                lock_requirements()
                return 0
            case "bench":
                prepare(local=True)
                return run([[Stage("benchmarks", [TOOLS / "python", "benchmarks/run.py"], shown=True)]])
            case "check":
                tools_environment()
                builder_tools()
                return _with_known_types([CHECK], _CHECK_SECONDS)
            case "test":
                prepare(local=True)
                return _with_known_types(TEST, _TEST_SECONDS)
    except Problem as problem:
        say(str(problem))
        return 1
    say(f"Unknown argument {what}. Use test, check, bench, lock, environments or builder-environment.")
    return 2


def _with_known_types(groups: Sequence[Group], budget: float) -> int:
    """Run the stages. A new clone gets mypy's cache of the packages from an earlier one, to save time."""
    key = key_of(*(LOCKS / f"{name}.txt" for name in ("dev", "operator", "builder", "builder-dev")))
    known = cache_directory() / f"types-{key}"
    if known.exists() and not TYPES.exists():
        shutil.copytree(known, TYPES)
    status = run(groups, budget)
    if status == 0:
        cached("types", key, _keep_types)
    return status


def _keep_types(target: Path) -> None:
    shutil.copytree(TYPES, target)


if __name__ == "__main__":
    sys.exit(main())
