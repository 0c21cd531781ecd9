"""Runs trtllm-build's own `main`, and builds only the ranks of this pod.

trtllm-build has no flag for single ranks. This program replaces only its loop over ranks; its flags stay the same.
Usage: `python3 -m trtllm_builder.engine.rank_driver TASK.json -- arguments of trtllm-build`.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = "tensorrt_llm.commands.build"
EVENT = "trtllm-operator: "
"""Prefix of progress lines: JSON {"rank": 3, "state": "begun" or "built"} follows."""


@dataclass(frozen=True)
class Task:
    """Input of the driver."""

    ranks: tuple[int, ...]
    stamp: dict[str, str]
    """GPU and version of the pod; written to the mark of every rank."""

    def write(self, path: Path) -> None:
        """Write the task to the file."""
        path.write_text(json.dumps({"ranks": self.ranks, "stamp": self.stamp}))

    @classmethod
    def read(cls, path: Path) -> Task:
        """Read the task from the file."""
        value = json.loads(path.read_text())
        return cls(tuple(value["ranks"]), dict(value["stamp"]))


def mark_of(directory: Path, rank: int) -> Path:
    """Path of the mark of a complete rank: its files with their sizes, and the stamp."""
    return directory / f".rank-{rank}.json"


def main(argv: list[str]) -> int:
    """Build the task's ranks with trtllm-build's own main."""
    task, arguments = Task.read(Path(argv[0])), argv[2:]
    command: Any = importlib.import_module(COMMAND)

    def parallel_build(
        model_config: Any,
        ckpt_dir: str | None,
        build_config: Any,
        output_dir: str,
        workers: int = 1,
        log_level: str = "info",
        model_cls: Any = None,
        **kwargs: Any,
    ) -> None:
        rest = (model_config, model_cls, kwargs)
        _build_all(task, workers, (ckpt_dir, build_config, output_dir, log_level, *rest))

    command.parallel_build = parallel_build
    sys.argv = ["trtllm-build", *arguments]
    command.main()
    return 0


_Arguments = tuple[str | None, Any, str, str, Any, Any, dict[str, Any]]


def _build_all(task: Task, workers: int, arguments: _Arguments) -> None:
    """Build the ranks one by one, or in `workers` processes. The first error is raised after all ranks ended."""
    if workers <= 1 or len(task.ranks) <= 1:
        for rank in task.ranks:
            _build_rank(rank, 0, task.stamp, arguments)
        return
    # CUDA cannot be used after a fork
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = [
            pool.submit(_build_rank, rank, position % workers, task.stamp, arguments)
            for position, rank in enumerate(task.ranks)
        ]
        errors = [error for future in as_completed(futures) if (error := future.exception()) is not None]
    if errors:
        raise errors[0]


def _build_rank(rank: int, gpu: int, stamp: dict[str, str], arguments: _Arguments) -> None:
    checkpoint, build_config, output, log_level, model_config, model_class, options = arguments
    build_and_save: Callable[..., Any] = importlib.import_module(COMMAND).build_and_save
    directory = Path(output)
    partial = directory / f".rank-{rank}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    _report(rank, "begun")
    build_and_save(rank, gpu, checkpoint, build_config, str(partial), log_level, model_config, model_class, **options)
    _keep(rank, partial, directory, stamp)
    _report(rank, "built")


def _keep(rank: int, partial: Path, directory: Path, stamp: dict[str, str]) -> None:
    """Move the rank's files to the engine's directory and write its mark last. Shared files come from rank 0."""
    sizes: dict[str, int] = {}
    own = (f"rank{rank}.", f"rank{rank}_")
    for path in sorted(partial.iterdir()):
        if rank != 0 and not path.name.startswith(own):
            continue
        target = directory / path.name
        if target.is_dir():
            shutil.rmtree(target)
        path.rename(target)
        found = [target] if target.is_file() else sorted(item for item in target.rglob("*") if item.is_file())
        sizes |= {str(item.relative_to(directory)): item.stat().st_size for item in found}
    shutil.rmtree(partial, ignore_errors=True)
    unfinished = directory / f".rank-{rank}.unfinished"
    unfinished.write_text(json.dumps({"files": sizes, **stamp}))
    unfinished.rename(mark_of(directory, rank))


def _report(rank: int, state: str) -> None:
    # a single write, because other workers write to the same pipe
    sys.stdout.write(EVENT + json.dumps({"rank": rank, "state": state}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
