"""memory.py: both versions of control groups, and a peak that is told while it grows."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from trtllm_builder.memory import ContainerMemory, MemoryPeak, container_memory

from .conftest import Log

_MIB = 1 << 20


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)


def second_version(root: Path, used: int, limit: str = "4294967296") -> Path:
    if not (root / "memory.max").exists():
        (root / "memory.max").write_text(f"{limit}\n")
    if not (root / "memory.events").exists():
        (root / "memory.events").write_text("low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 1\n")
    # the kernel's file is never half written
    (root / "new").write_text(f"anon {used - _MIB}\nfile 99999999999\nkernel 5\nshmem {_MIB}\n")
    (root / "new").rename(root / "memory.stat")
    return root


def first_version(root: Path, limit: int = 4 << 30) -> Path:
    (root / "memory").mkdir()
    (root / "memory" / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (root / "memory" / "memory.stat").write_text(f"cache 99999\nrss 1\ntotal_rss {3 * _MIB}\ntotal_shmem {_MIB}\n")
    (root / "memory" / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    return root


def test_both_versions_of_control_groups_are_read(tmp_path: Path) -> None:
    for name, make in (("v1", first_version), ("v2", lambda root: second_version(root, 4 * _MIB))):
        (tmp_path / name).mkdir()
        assert container_memory(make(tmp_path / name)) == ContainerMemory(4 * _MIB, 4 << 30, 2)


def test_no_limit_is_none_in_both(tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    unlimited = [first_version(tmp_path / "v1", 9223372036854771712), second_version(tmp_path, 4 * _MIB, "max")]
    assert [memory.limit for root in unlimited if (memory := container_memory(root))] == [None, None]


@pytest.mark.parametrize("broken", ["absent", "torn"])
def test_what_cannot_be_read_is_none(tmp_path: Path, broken: str) -> None:
    if broken == "torn":
        second_version(tmp_path, _MIB)
        (tmp_path / "memory.stat").write_text("anon\n")
    assert container_memory(tmp_path) is None


def test_the_peak_is_told_when_it_grows_and_not_when_it_shrinks(tmp_path: Path) -> None:
    told: list[int | None] = []
    peak = MemoryPeak(lambda: told.append(peak.read()), second_version(tmp_path, 100 * _MIB))
    for used, wanted in ((100, [100]), (300, [100, 300]), (50, [100, 300]), (301, [100, 300])):
        second_version(tmp_path, used * _MIB)
        _wait_for(lambda wanted=wanted: len(told) >= len(wanted))  # type: ignore[misc]
        time.sleep(0.7 if used in {50, 301} else 0)
        assert told == [number * _MIB for number in wanted]
    peak.stop()
    assert peak.read() == 301 * _MIB


def test_a_line_of_progress_tells_the_peak_and_is_said_again_when_it_grows(log: Log, tmp_path: Path) -> None:
    second_version(tmp_path, 100 * _MIB)
    progress = log.progress
    with progress.with_memory(tmp_path), progress.step("Quantizing", 30, "layers"):
        second_version(tmp_path, 900 * _MIB)
        _wait_for(lambda: len(log.lines()) >= 3)
    starting, first, again, *rest = log.lines()
    assert [line.memory_peak for line in (starting, first, again)] == [100 * _MIB, 100 * _MIB, 900 * _MIB]
    assert (starting.stage, again.stage, again.done) == ("Starting", "Quantizing", 0)
    assert rest[-1].memory_peak == 900 * _MIB


def test_outside_a_container_nothing_is_told(log: Log, tmp_path: Path) -> None:
    progress = log.progress
    with progress.with_memory(tmp_path), progress.step("Quantizing", 30):
        pass
    assert {line.memory_peak for line in log.lines()} == {None}
