"""The `trtllm` program as a user starts it: `plan` from start to answer, `diagnose` on a large file. For run.py."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from diagnosis import log
from figure import Figure
from planner import CONFIG

REPOSITORY = Path(__file__).resolve().parents[1]
RUNS = 7
MEGABYTES = 200
GOAL_SECONDS = 1.0
GOAL_RATE = 200
GOAL_MEMORY = 128
DOCUMENT = {
    "apiVersion": "trtllm.dev/v1alpha1",
    "kind": "EngineBuild",
    "metadata": {"name": "large"},
    "spec": {
        "source": {"huggingFace": {"repo": "org/model"}},
        "runtime": "PyTorch",
        "image": "nvcr.io/nvidia/tensorrt-llm/release:1.2.1",
        "serving": {},
    },
}


def measure(megabytes: int = MEGABYTES) -> list[Figure]:
    """Seconds of the plan of a model of 100 layers and 256 experts; MB of log a minute, and the memory for it."""
    with tempfile.TemporaryDirectory() as scratch:
        directory = Path(scratch)
        return [*_plan(directory), *_diagnose(directory, megabytes)]


def _plan(directory: Path) -> list[Figure]:
    (directory / "config.json").write_text(json.dumps(CONFIG))
    (directory / "engine.yaml").write_text(yaml.safe_dump(DOCUMENT))
    arguments = ["plan", "-f", "engine.yaml", "--model", "config.json", "--gpus", "8x8xNVIDIA-H200,4x8xNVIDIA-B200"]
    _run(directory, arguments)  # compiles
    runs = [_run(directory, arguments) for _ in range(RUNS)]
    wall, used = (statistics.median(run[index] for run in runs) for index in (0, 1))
    shown = f"{wall:.2f} s, {used:.2f} s of a processor"
    return [Figure("trtllm plan: start to answer", shown, f"<= {GOAL_SECONDS:.0f} s", used <= GOAL_SECONDS)]


def _diagnose(directory: Path, megabytes: int) -> list[Figure]:
    file = directory / "build.log"
    with file.open("w") as stream:
        stream.writelines(log(megabytes))
    size = file.stat().st_size / 1e6
    _, used = _run(directory, ["diagnose", file.name])
    rate = size / used * 60
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return [
        Figure("trtllm diagnose: log a minute", f"{rate:.0f} MB", f">= {GOAL_RATE} MB", rate >= GOAL_RATE),
        Figure("trtllm: memory at most", f"{memory:.0f} MiB", f"<= {GOAL_MEMORY} MiB", memory <= GOAL_MEMORY),
    ]


def _run(directory: Path, arguments: list[str]) -> tuple[float, float]:
    """Seconds on the wall and of a processor."""
    path = os.pathsep.join(str(REPOSITORY / name) for name in ("cli", "crds", "diagnosis", "planner"))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(directory / "compiled")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "trtllm_cli", *arguments]
    subprocess.run(command, cwd=directory, env=environment, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    for figure in measure(int(sys.argv[1]) if len(sys.argv) > 1 else MEGABYTES):
        print(f"{figure.name:32} {figure.value:>32} {figure.goal:>12} {'ok' if figure.reached else 'MISSED'}")
