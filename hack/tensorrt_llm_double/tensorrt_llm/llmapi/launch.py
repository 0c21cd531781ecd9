"""Double of trtllm-llmapi-launch: rank 0 runs the program, and the other ranks wait for the model to load."""

from __future__ import annotations

import os
import sys

from double_mpi import worker_program, world_size

SPAWN_ENV = "TLLM_SPAWN_PROXY_PROCESS"


def main() -> None:
    """Run the program, or a worker."""
    program = sys.argv[1:]
    if not program:
        raise SystemExit("usage: trtllm-llmapi-launch PROGRAM [ARGUMENTS...]")
    if world_size() is None:
        raise SystemExit("trtllm-llmapi-launch must be run by mpirun or srun: there is no OMPI_COMM_WORLD_SIZE")
    os.environ[SPAWN_ENV] = "1"
    if os.environ["OMPI_COMM_WORLD_RANK"] != "0":
        program = worker_program()
    os.execvp(program[0], program)  # noqa: S606 - as the real one, which is a shell script
