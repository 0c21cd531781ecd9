"""Lists, shares and removes mounts of a cluster."""

from __future__ import annotations

import subprocess
from pathlib import Path


def mounts_below(directory: Path) -> list[Path]:
    """Mount points at the directory and below it, in the order of mounting."""
    mounts = (Path(line.split()[1]) for line in Path("/proc/self/mounts").read_text().splitlines())
    return [mount for mount in mounts if mount.is_relative_to(directory)]


def share_mounts(directory: Path) -> None:
    """Share mounts below the directory with the mount namespaces of the kubelets, in both directions."""
    directory.mkdir(parents=True, exist_ok=True)
    if directory not in mounts_below(directory):  # Path.is_mount does not see a bind mount
        subprocess.run(["mount", "--bind", str(directory), str(directory)], check=True)
        subprocess.run(["mount", "--make-shared", str(directory)], check=True)


def unmount_below(directory: Path) -> None:
    """Unmount everything at and below the directory, even if it is in use."""
    for mount in reversed(mounts_below(directory)):
        subprocess.run(["umount", "-l", str(mount)], check=False, capture_output=True)
