"""Sets torch's threads to the container's processors: by default torch counts those of the node."""

from __future__ import annotations

import os
from pathlib import Path

import torch

_V2 = Path("/sys/fs/cgroup/cpu.max")
_V1 = (Path("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"), Path("/sys/fs/cgroup/cpu/cpu.cfs_period_us"))


def use_all_processors() -> int:
    """Set torch's threads to the cgroup's quota or to the processors of the process, and return the number."""
    threads = min(len(os.sched_getaffinity(0)), _quota() or os.cpu_count() or 1)
    torch.set_num_threads(threads)
    return threads


def _quota() -> int | None:
    try:
        if _V2.exists():
            quota, period = _V2.read_text().split()
        else:
            quota, period = (path.read_text().strip() for path in _V1)
        return None if quota in {"max", "-1"} else max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):
        return None
