"""Rank that mpirun or the server started: loads its shard on its GPU, sends it, and waits for the end."""

from __future__ import annotations

import json
from pathlib import Path

import tensorrt_llm  # noqa: F401 - for its banner
from double_load import FAILED, LOADED, shard_of
from double_mpi import Mpi


def main() -> None:
    """Run until mpirun ends the job."""
    mpi = Mpi()
    while True:
        task = json.loads(mpi.receive(0))
        if task is None:
            break
        try:
            shard = shard_of(Path(task["model"]), mpi.rank, mpi.size, mpi.rank % task["gpus_per_node"])
        except RuntimeError as error:
            mpi.send(FAILED + str(error).encode(), 0)
            continue
        mpi.send(LOADED + shard, 0)
        print(f"[TensorRT-LLM] rank {mpi.rank} of {mpi.size} has loaded {len(shard)} bytes", flush=True)
    mpi.finish()


if __name__ == "__main__":
    main()
