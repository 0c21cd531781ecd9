"""Runs groups of stages, as many at a time as there are processors, and prints counts and the slowest tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock

from clusterlib.show import say
from stages import REPOSITORY, Group, Stage

_COUNT = re.compile(r"(\d+) (passed|failed|error|errors|skipped)")
_DURATION = re.compile(r"^(\d+\.\d+)s (call|setup|teardown) +(\S.*)$", re.MULTILINE)
_PATH = "crds:diagnosis:planner:report:operator:cli:builder-image:hack/cluster:hack/tensorrt_llm_double"
_SLOWEST = 10


@dataclass
class Totals:
    """Results of the stages. Stages that run side by side add to it one at a time."""

    counts: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    tests: list[tuple[float, str]] = field(default_factory=list)
    """Seconds and name of each test in pytest's lists of slowest tests."""
    lock: Lock = field(default_factory=Lock)

    def add(self, stage: Stage, status: int, output: str) -> None:
        """Add pytest's numbers, or one for a command."""
        found = [("1", "failed" if status else "passed")]
        if stage.tests:
            found = _COUNT.findall(output.strip().splitlines()[-1] if output.strip() else "")
            self.tests += [(float(seconds), f"{part} {test}") for seconds, part, test in _DURATION.findall(output)]
        for number, word in found:
            kind = "failed" if word.startswith("error") else word
            self.counts[kind] = self.counts.get(kind, 0) + int(number)
        if status:
            self.broken.append(stage.name)

    def slowest(self) -> list[str]:
        """Slowest tests of all stages."""
        return [f"{seconds:7.1f} s  {test}" for seconds, test in sorted(self.tests, reverse=True)[:_SLOWEST]]


def run(groups: Sequence[Group], budget: float | None = None) -> int:
    """Run the groups one by one. Returns 0 only if every stage passed; `budget` is in seconds."""
    begun, totals = time.monotonic(), Totals()
    for group in groups:
        with ThreadPoolExecutor(max(2, os.cpu_count() or 1)) as pool:
            for ended in [pool.submit(_one, stage, totals) for stage in group]:
                ended.result()
    seconds = time.monotonic() - begun
    if totals.tests:
        say("\n".join(["Slowest tests:", *totals.slowest()]))
    if totals.broken:
        say(f"Failed: {', '.join(totals.broken)}")
        totals.counts.setdefault("failed", len(totals.broken))
    if budget and seconds > budget:
        say(f"OVER BUDGET: {seconds:.0f} s instead of {budget:.0f} s. The slowest tests are above.")
    counted = (f"{totals.counts[kind]} {kind}" for kind in ("passed", "failed", "skipped") if kind in totals.counts)
    print(f"{', '.join(counted)} in {seconds:.0f} s", flush=True)
    return 1 if totals.broken else 0


def _one(stage: Stage, totals: Totals) -> None:
    begun = time.monotonic()
    say(f"── {stage.name}")
    status, output = _execute(stage)
    with totals.lock:
        if not stage.shown:
            print(output, end="", flush=True)
        totals.add(stage, status, output)
        say(f"{'✗' if status else '✓'} {stage.name}  {time.monotonic() - begun:.1f} s")


def _execute(stage: Stage) -> tuple[int, str]:
    environment = {**os.environ, "MYPYPATH": _PATH}
    # a run starts dozens of Python programs, which share the compiled files
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    process = subprocess.Popen(
        [str(part) for part in stage.command],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
    )
    lines: list[str] = []
    for line in process.stdout or ():
        if stage.shown:
            sys.stdout.write(line)
            sys.stdout.flush()
        lines.append(line)
    return process.wait(), "".join(lines)
