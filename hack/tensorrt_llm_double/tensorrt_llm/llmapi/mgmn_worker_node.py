"""Every rank but the first: loads its own shard on its own GPU, sends it to rank 0, and stays until the job ends."""

from __future__ import annotations

import json
import os
from pathlib import Path

import tensorrt_llm  # noqa: F401 - for its banner
from double_load import shard_of
from double_mpi import Mpi


def main() -> None:
    """Until mpirun ends the job."""
    mpi = Mpi()
    while True:
        task = json.loads(mpi.receive(0))
        if task is None:
            break
        local = int(os.environ["OMPI_COMM_WORLD_LOCAL_RANK"])
        shard = shard_of(Path(task["model"]), mpi.rank, mpi.size, local)
        mpi.send(shard, 0)
        print(f"[TensorRT-LLM] rank {mpi.rank} of {mpi.size} has loaded {len(shard)} bytes", flush=True)
    mpi.finish()


if __name__ == "__main__":
    main()
