"""A fake trtllm-llmapi-launch whose ranks really speak MPI, over the network between nodes.

Like the real one, rank 0 starts the server without MPI's variables, and the others end only after one that ended well.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

NOTES = Path(os.environ["FAKE_SERVE"])


def constant(library: ctypes.CDLL, name: str) -> ctypes.c_void_p:
    """Open MPI's handles are addresses of its own variables."""
    return ctypes.c_void_p(ctypes.addressof(ctypes.c_char.in_dll(library, name)))


def sum_of_ranks(library: ctypes.CDLL, rank: int) -> int:
    """Every rank hears of all others."""
    own, total = ctypes.c_int(rank), ctypes.c_int()
    handles = [constant(library, name) for name in ("ompi_mpi_int", "ompi_mpi_op_sum", "ompi_mpi_comm_world")]
    assert library.MPI_Allreduce(ctypes.byref(own), ctypes.byref(total), 1, *handles) == 0
    return total.value


def main() -> None:
    rank, ended = int(os.environ["OMPI_COMM_WORLD_RANK"]), NOTES.with_name("ended")
    library = ctypes.CDLL("libmpi.so.40", mode=ctypes.RTLD_GLOBAL)
    library.MPI_Init(None, None)
    says = {"rank": rank, "sum": sum_of_ranks(library, rank), "host": socket.gethostname(), "user": os.geteuid()}
    with Path(f"{NOTES}.calls").open("a") as file:
        file.write(json.dumps(["rank", says]) + "\n")
    server = None
    if rank == 0:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMPI_", "PMIX_"))}
        server = subprocess.Popen(sys.argv[1:], env=environment)
    while not ended.exists():
        if server is not None and server.poll() == 0:
            ended.touch()
        time.sleep(0.1)
    library.MPI_Finalize()


main()
