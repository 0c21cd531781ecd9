"""`make bench`: every figure with its goal, the machine and the date; exit status 1 when a goal is missed."""

from __future__ import annotations

import os
import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPOSITORY / "hack" / "cluster"), str(Path(__file__).parent)]

import command_line  # noqa: E402 - they lie beside this file
import diagnosis  # noqa: E402
import engine_publish  # noqa: E402
import estimator  # noqa: E402
import operator_speed  # noqa: E402
import pipeline  # noqa: E402
import planner  # noqa: E402

SUITES = {
    "operator": operator_speed.measure,
    "pipeline": pipeline.measure,
    "diagnosis": diagnosis.measure,
    "planner": planner.measure,
    "estimator": estimator.measure,
    "command-line": command_line.measure,
    "engine-publish": engine_publish.measure,
}


def main() -> int:
    """Run the suites that are named, or all."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} processors ({platform.machine()}), {memory:.0f} GiB")
    missed = False
    for name in sys.argv[1:] or SUITES:
        for figure in SUITES[name]():
            missed |= not figure.reached
            goal = f"goal {figure.goal}" if figure.goal else ""
            print(f"{'✓' if figure.reached else '✗'} {figure.name:<46} {figure.value:<34} {goal}".rstrip())
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
