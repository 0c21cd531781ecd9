"""GPUs of a container, and the double of nvidia-smi (`main`, started by bin/nvidia-smi).

The device plugin double of hack/cluster describes a node's GPUs in a file and gives a container some by their UUIDs in
NVIDIA_VISIBLE_DEVICES; there is no device behind them.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from double_settings import PREFIX

FILE = "/run/simulated-gpus.json"
_NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
    "Make sure that the latest NVIDIA driver is installed and running.\n"
)
_NO_DRIVER_STATUS, _NO_DEVICE_STATUS, _BAD_ARGUMENT_STATUS = 9, 6, 2


@dataclass(frozen=True)
class Gpu:
    """A GPU of the node."""

    uuid: str
    name: str
    compute: str
    memory_mib: int
    driver: str

    @property
    def capability(self) -> tuple[int, int]:
        """Compute capability as numbers."""
        major, minor = self.compute.split(".")
        return int(major), int(minor)


def visible() -> list[Gpu] | None:
    """GPUs that the driver shows to this container; None without a driver."""
    path = Path(os.environ.get(f"{PREFIX}GPUS", FILE))
    if not path.exists():
        return None
    told = json.loads(path.read_text())
    given = os.environ.get("NVIDIA_VISIBLE_DEVICES", "void")
    gpus = [
        Gpu(uuid, told["product"], told["compute_cap"], told["memory_mib"], told["driver"]) for uuid in told["uuids"]
    ]
    if given == "all":
        return gpus
    wanted = given.split(",")
    return [gpu for gpu in gpus if gpu.uuid in wanted]


def devices() -> list[Gpu]:
    """GPUs that CUDA shows to this process."""
    gpus = visible() or []
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return gpus
    found: list[Gpu] = []
    for word in filter(None, (word.strip() for word in chosen.split(","))):
        match = [gpu for at, gpu in enumerate(gpus) if word == str(at) or gpu.uuid.startswith(word)]
        if not match:
            # CUDA takes what comes before the first that it does not know
            break
        found.append(match[0])
    return found


def device(number: int) -> Gpu:
    """The GPU of an index, as cudaSetDevice chooses it."""
    gpus = devices()
    if not gpus:
        raise RuntimeError("No CUDA GPUs are available")
    if number >= len(gpus):
        raise RuntimeError(f"CUDA error: invalid device ordinal (device {number} of {len(gpus)})")
    return gpus[number]


def main(argv: list[str]) -> int:
    """Run `nvidia-smi`, `nvidia-smi -L` or `nvidia-smi --query-gpu=... --format=csv[,noheader][,nounits]`."""
    gpus = visible()
    if gpus is None:
        sys.stdout.write(_NO_DRIVER)
        return _NO_DRIVER_STATUS
    if not gpus:
        sys.stdout.write("No devices were found\n")
        return _NO_DEVICE_STATUS
    if argv in ([], ["-L"]):
        for number, gpu in enumerate(gpus):
            sys.stdout.write(f"GPU {number}: {gpu.name} (UUID: {gpu.uuid})\n")
        return 0
    options = dict(word.partition("=")[::2] for word in argv)
    formats = options.get("--format", "").split(",")
    if set(options) != {"--query-gpu", "--format"} or formats[0] != "csv" or set(formats[1:]) - {"noheader", "nounits"}:
        sys.stdout.write(f'Invalid combination of input arguments. Please run "nvidia-smi -h" for help.\n{argv}\n')
        return _BAD_ARGUMENT_STATUS
    return _query(gpus, options["--query-gpu"].split(","), formats[1:])


def _query(gpus: list[Gpu], columns: list[str], formats: list[str]) -> int:
    unit = "" if "nounits" in formats else " MiB"
    rows = []
    for number, gpu in enumerate(gpus):
        known = {
            "index": str(number),
            "count": str(len(gpus)),
            "name": gpu.name,
            "uuid": gpu.uuid,
            "compute_cap": gpu.compute,
            "memory.total": f"{gpu.memory_mib}{unit}",
            "memory.used": f"0{unit}",
            "memory.free": f"{gpu.memory_mib}{unit}",
            "driver_version": gpu.driver,
        }
        for column in columns:
            if column not in known:
                sys.stdout.write(f'Field "{column}" is not a valid field to query.\n\n')
                return _BAD_ARGUMENT_STATUS
        rows.append(", ".join(known[column] for column in columns))
    if "noheader" not in formats:
        rows.insert(0, ", ".join(f"{name} [MiB]" if name.startswith("memory.") else name for name in columns))
    sys.stdout.write("".join(f"{row}\n" for row in rows))
    return 0
