"""Publishing and verifying an engine against `sha256sum` on the same file, in turns; run.py calls it.

Every reader finds the file's pages dropped, so that a disk slower than the hash shows on both sides.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from figure import Figure

from trtllm_api.contract import PublishRequest
from trtllm_api.digest import digest_of
from trtllm_builder.engine.pods import ENGINE, PodReport, Stamp, engine_file
from trtllm_builder.engine.publish import run_publish
from trtllm_builder.progress import Progress
from trtllm_builder.store import Store, read_artifact

MEBIBYTES = 1024
_TURNS = 4
_GOAL = 0.8
_STAMP = Stamp("NVIDIA-H100-80GB-HBM3", "9.0", "1.2.1")
_CONFIG = {
    "version": _STAMP.version,
    "pretrained_config": {"mapping": {"world_size": 1, "tp_size": 1, "pp_size": 1}},
    "build_config": dict.fromkeys(
        ("max_batch_size", "max_input_len", "max_seq_len", "max_num_tokens", "max_beam_width"), 1
    ),
}


def measure(mebibytes: int = MEBIBYTES) -> list[Figure]:
    """MB/s of both sides, and their ratio."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory:
        root = Path(directory)
        file, size = root / "engine", mebibytes * 2**20
        with file.open("wb") as out:
            for _ in range(mebibytes):
                out.write(os.urandom(2**20))
            out.flush()
            os.fsync(out.fileno())
        # the first of two readers may warm caches below this machine's own
        _sha256sum(file)
        turns = [_turn(file, root / f"store{turn}", first=turn % 2 == 0) for turn in range(_TURNS)]
    theirs, published, verified = (statistics.median(side) for side in zip(*turns, strict=True))
    return [
        Figure("sha256sum of the same file", f"{size / theirs / 1e6:.0f} MB/s", "", True),
        *(
            Figure(
                f"{what}, against sha256sum",
                f"{size / ours / 1e6:.0f} MB/s, {theirs / ours:.2f}x",
                f">= {_GOAL}x",
                theirs / ours >= _GOAL,
            )
            for what, ours in (("an engine published", published), ("an artifact verified", verified))
        ),
    ]


def _turn(file: Path, store: Path, *, first: bool) -> tuple[float, float, float]:
    """sha256sum, publishing, verifying; sha256sum before or after the others."""
    before = _sha256sum(file) if first else None
    ours = _publish_and_verify(file, store)
    return before or _sha256sum(file), *ours


def _sha256sum(file: Path) -> float:
    return _timed(file, lambda: subprocess.run(["sha256sum", file], check=True, stdout=subprocess.DEVNULL))


def _publish_and_verify(file: Path, root: Path) -> tuple[float, float]:
    store, digest = Store(root), digest_of({"turn": root.name})
    engine = store.work(digest) / ENGINE
    engine.mkdir()
    os.link(file, engine / engine_file(0))
    (engine / "config.json").write_text(json.dumps(_CONFIG))
    sizes = {path.name: path.stat().st_size for path in engine.iterdir()}
    PodReport(0, _STAMP, (0,), sizes).write(engine)
    request = PublishRequest(inputs={"model": "m"}, world=1, pods=1, tensor=1, pipeline=1)
    with Path(os.devnull).open("w") as nowhere:
        published = _timed(file, lambda: run_publish(request, store, Progress(nowhere), digest))
    (artifact,) = (root / "engines").iterdir()
    verified = _timed(file, lambda: read_artifact(artifact, thorough=True))
    shutil.rmtree(root)
    return published, verified


def _timed(file: Path, call: Callable[[], object]) -> float:
    descriptor = os.open(file, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
