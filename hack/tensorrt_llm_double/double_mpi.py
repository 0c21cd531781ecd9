"""MPI calls that the ranks need, through ctypes on the distribution's Open MPI.

A process of a job that mpirun started talks to MPI_COMM_WORLD. One that nothing started may spawn its ranks
(MPI_Comm_spawn), as the real server does on a single node: they and it talk through an intercommunicator. Ranks that
wait sleep between looks: Open MPI itself would spin, and the processors are few.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

_LIBRARY = "libmpi.so.40"
_CHUNK = 64 << 20
_POLL_SECONDS = 0.05
_STATUS_BYTES = 64
"""Bytes for MPI_Status, more than any Open MPI needs."""


class Mpi:
    """Communicator of a process in a job."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(_LIBRARY, mode=ctypes.RTLD_GLOBAL)
        self._byte = self._symbol("ompi_mpi_byte")
        self._call("MPI_Init", None, None)
        world = self._symbol("ompi_mpi_comm_world")
        self.rank, self.size = self._number("MPI_Comm_rank", world), self._number("MPI_Comm_size", world)
        parent = ctypes.c_void_p()
        self._call("MPI_Comm_get_parent", ctypes.byref(parent))
        nobody = ctypes.addressof(ctypes.c_char.in_dll(self._library, "ompi_mpi_comm_null"))
        self._spawned = parent.value not in (None, nobody)
        self._between: Any = parent if self._spawned else world

    def spawn(self, program: Sequence[str], ranks: int) -> None:
        """Start ranks of a program. Open MPI ends this process if it has fewer free slots than ranks."""
        command, *arguments = [word.encode() for word in program]
        words = (ctypes.c_char_p * (len(arguments) + 1))(*arguments, None)
        info, alone = self._symbol("ompi_mpi_info_null"), self._symbol("ompi_mpi_comm_self")
        between = ctypes.c_void_p()
        self._call("MPI_Comm_spawn", command, words, ranks, info, 0, alone, ctypes.byref(between), None)
        self._between, self._spawned = between, True

    def send(self, data: bytes, to: int) -> None:
        """Send data to a rank, and wait until it is sent."""
        for piece in (len(data).to_bytes(8, "big"), *_pieces(data)):
            self._call("MPI_Send", piece, len(piece), self._byte, to, 0, self._between)

    def receive(self, source: int) -> bytes:
        """Receive data that a rank sent."""
        size = int.from_bytes(self._take(source, 8), "big")
        data = bytearray()
        while len(data) < size:
            data += self._take(source, min(_CHUNK, size - len(data)))
        return bytes(data)

    def finish(self) -> None:
        """Leave the job. Every rank must call this."""
        if self._spawned:
            self._call("MPI_Comm_disconnect", ctypes.byref(self._between))
        self._call("MPI_Finalize")

    def _take(self, source: int, size: int) -> bytes:
        status, flag = ctypes.create_string_buffer(_STATUS_BYTES), ctypes.c_int(0)
        while True:
            self._call("MPI_Iprobe", source, 0, self._between, ctypes.byref(flag), status)
            if flag.value:
                break
            time.sleep(_POLL_SECONDS)
        buffer = ctypes.create_string_buffer(size)
        self._call("MPI_Recv", buffer, size, self._byte, source, 0, self._between, status)
        return buffer.raw

    def _number(self, name: str, communicator: Any) -> int:
        value = ctypes.c_int(0)
        self._call(name, communicator, ctypes.byref(value))
        return value.value

    def _symbol(self, name: str) -> Any:
        return ctypes.byref(ctypes.c_char.in_dll(self._library, name))

    def _call(self, name: str, *arguments: object) -> None:
        code = getattr(self._library, name)(*arguments)
        if code:
            raise RuntimeError(f"{name} failed with {code}")


def world_size() -> int | None:
    """Ranks of the job that mpirun started this process for; None if mpirun did not start it."""
    said = os.environ.get("OMPI_COMM_WORLD_SIZE")
    return int(said) if said else None


def worker_program() -> list[str]:
    """Program of every rank except the server's."""
    return [sys.executable, "-m", "tensorrt_llm.llmapi.mgmn_worker_node"]


def _pieces(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), _CHUNK):
        yield data[at : at + _CHUNK]
