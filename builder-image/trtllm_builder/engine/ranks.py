"""Build: one pod of the Indexed Job builds its ranks of the engine with trtllm-build."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from trtllm_api.contract import ExitCode, RanksRequest
from trtllm_api.reasons import Reason
from trtllm_builder.engine.causes import failure_of
from trtllm_builder.engine.checkpoint import CONFIG, Unusable, check_checkpoint, read_config
from trtllm_builder.engine.convert import CHECKPOINT
from trtllm_builder.engine.identity import look, require_program
from trtllm_builder.engine.pods import ENGINE, PodReport, Stamp, built_files, engine_file, ranks_of, size_of
from trtllm_builder.engine.process import run_program
from trtllm_builder.engine.rank_driver import EVENT, Task
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.files import describe, sync_directory
from trtllm_builder.progress import Progress, Step
from trtllm_builder.store import Store

INDEX_ENV = "JOB_COMPLETION_INDEX"
_PROGRAM = "trtllm-build"
_DRIVER = "trtllm_builder.engine.rank_driver"
_REPEAT_SECONDS = 1.0


def run_ranks(request: RanksRequest, store: Store, progress: Progress, request_digest: str) -> None:
    """Build this pod's ranks and write its report to the work directory. Complete ranks are not built again."""
    pod = _index(request)
    work = store.work(request_digest)
    directory = work / ENGINE
    directory.mkdir(exist_ok=True)
    identity = look(request.gpu, request.version, work)
    require_program(_PROGRAM, identity.version)
    checkpoint = _checkpoint(request, work)
    stamp = Stamp(identity.product, identity.compute_capability, identity.version)
    ranks = ranks_of(pod, request.pods, request.world)
    missing = tuple(rank for rank in ranks if built_files(directory, rank, stamp) is None)
    if missing:
        _build(request, store, progress, _Job(pod, checkpoint, directory, ranks, missing, identity.gpus, stamp))
    files: dict[str, int] = {}
    for rank in ranks:
        built = built_files(directory, rank, stamp)
        if built is None:
            raise _incomplete(directory, rank, request.world)
        files |= built
    sync_directory(directory)
    digests = {file.path: file.sha256 for file in describe(directory, [directory / name for name in files])}
    PodReport(pod, stamp, tuple(ranks), files, digests).write(directory)


@dataclass(frozen=True)
class _Job:
    """Inputs of the build."""

    pod: int
    checkpoint: Path
    directory: Path
    ranks: range
    missing: tuple[int, ...]
    """Ranks that are not complete yet."""
    gpus: int
    stamp: Stamp


class _Follower:
    """Turns the output of the driver and of trtllm-build into progress."""

    def __init__(self, step: Step, job: _Job, world: int) -> None:
        self._step, self._world = step, world
        self._done = len(job.ranks) - len(job.missing)
        self._has_output, self._written = True, 0.0

    def watch(self, line: str) -> bool:
        """True for the driver's progress lines, which are not logged."""
        self._has_output = True
        at = line.find(EVENT)
        if at < 0:
            return False
        event = json.loads(line[at + len(EVENT) :])
        self._done += event["state"] == "built"
        self._step.reach(self._done, f"rank {event['rank']} of {self._world}")
        return True

    def tick(self) -> None:
        """Write the progress again after new output: the operator reads only the log's last lines."""
        if self._has_output and time.monotonic() - self._written >= _REPEAT_SECONDS:
            self._step.write()
            self._has_output, self._written = False, time.monotonic()


def _build(request: RanksRequest, store: Store, progress: Progress, job: _Job) -> None:
    task = job.directory / f".task-{job.pod}.json"
    Task(job.missing, job.stamp.to_wire()).write(task)
    made = job.directory / f".timing-{job.pod}.cache"
    cache = store.timing_cache(job.stamp.version, job.stamp.product)
    workers = min(request.workers, request.gpus_per_pod, job.gpus, len(job.missing))
    # TensorRT-LLM ignores a missing input cache, and writes ./model.cache if no output cache is named
    timing = ["--input_timing_cache", str(cache)] if request.timing_cache else []
    with (
        progress.step("Building", len(job.ranks), "ranks") as step,
        _with_node_size(job.checkpoint, request.node_size) as checkpoint,
    ):
        follower = _Follower(step, job, request.world)
        ended = run_program(
            [
                *(sys.executable, "-m", _DRIVER, str(task), "--"),
                *("--checkpoint_dir", str(checkpoint)),
                *("--output_dir", str(job.directory)),
                *("--workers", str(max(1, workers))),
                *timing,
                *("--output_timing_cache", str(made)),
                *request.arguments,
            ],
            directory=job.directory,
            watch=follower.watch,
            tick=follower.tick,
        )
        if ended.exit_code != 0:
            raise failure_of(_PROGRAM, ended, Reason.ENGINE_BUILD_FAILED)
    task.unlink()
    if request.timing_cache and 0 in job.ranks and size_of(made):
        cache.parent.mkdir(exist_ok=True)
        made.rename(cache)
    made.unlink(missing_ok=True)


@contextmanager
def _with_node_size(checkpoint: Path, size: int | None) -> Iterator[Path]:
    """Yield a copy of the checkpoint, made of links, whose config.json has another mapping.gpus_per_node.

    Images up to 1.1 have a flag for it, which takes precedence. A published checkpoint is never changed.
    """
    if size is None:
        yield checkpoint
        return
    config = read_config(checkpoint)
    with TemporaryDirectory() as scratch:
        view = Path(scratch)
        for path in checkpoint.iterdir():
            if path.name != CONFIG:
                (view / path.name).symlink_to(path)
        config["mapping"] = {**config["mapping"], "gpus_per_node": size}
        (view / CONFIG).write_text(json.dumps(config, indent=4), encoding="utf-8")
        yield view


def _index(request: RanksRequest) -> int:
    index = os.environ.get(INDEX_ENV, "0")
    if index.isdecimal() and int(index) < request.pods:
        return int(index)
    raise BuilderFailure(
        ExitCode.BAD_REQUEST,
        Reason.BAD_REQUEST,
        f"{INDEX_ENV} is {index!r}, but the Job must be Indexed, with {request.pods} completions.",
        "Use the operator and the builder image of one release.",
    )


def _checkpoint(request: RanksRequest, work: Path) -> Path:
    """Directory of the checkpoint, checked before a GPU is used; raises BuilderFailure."""
    published = request.checkpoint_path
    directory = work / CHECKPOINT if published is None else Path(published)
    try:
        mapping = check_checkpoint(directory)
    except Unusable as fault:
        raise BuilderFailure(
            ExitCode.BAD_MODEL,
            Reason.CONVERSION_FAILED if published is None else Reason.ARTIFACT_CORRUPT,
            f"No engine can be built from the TensorRT-LLM checkpoint: {fault}.",
            "Set the annotation trtllm.dev/retry to convert the model again."
            if published is None
            else "Publish the complete checkpoint again; then set the annotation trtllm.dev/retry.",
        ) from fault
    if mapping.world != request.world:
        raise BuilderFailure(
            ExitCode.BAD_MODEL,
            Reason.ENGINE_BUILD_FAILED,
            f"The TensorRT-LLM checkpoint has {mapping.world} ranks ({mapping}), but the engine needs {request.world}.",
            "Set spec.parallelism to the parallelism of the checkpoint, or export the checkpoint again.",
        )
    return directory


def _incomplete(directory: Path, rank: int, world: int) -> BuilderFailure:
    size = size_of(directory / engine_file(rank))
    found = "is missing" if size is None else "is empty" if size == 0 else "is incomplete"
    return BuilderFailure(
        ExitCode.NOT_SUPPORTED,
        Reason.ENGINE_BUILD_FAILED,
        f"{_PROGRAM} ended with exit code 0, but {engine_file(rank)} (rank {rank} of {world}) {found}.",
        "Read its output in the pod's log. Options such as --dry_run build no engine.",
    )
