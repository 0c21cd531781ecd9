"""The few calls of MPI that the ranks need, on the distribution's Open MPI through ctypes.

Ranks that wait sleep between looks: Open MPI itself would spin, and the processors are few.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator

_LIBRARY = "libmpi.so.40"
_CHUNK = 64 << 20
_POLL_SECONDS = 0.05
_STATUS_BYTES = 64
"""More than MPI_Status has in any Open MPI."""


class Mpi:
    """MPI_COMM_WORLD."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(_LIBRARY, mode=ctypes.RTLD_GLOBAL)
        self._world = ctypes.byref(ctypes.c_char.in_dll(self._library, "ompi_mpi_comm_world"))
        self._byte = ctypes.byref(ctypes.c_char.in_dll(self._library, "ompi_mpi_byte"))
        self._call("MPI_Init", None, None)
        self.rank, self.size = self._number("MPI_Comm_rank"), self._number("MPI_Comm_size")

    def send(self, data: bytes, to: int) -> None:
        """Blocks until the data has left."""
        for piece in (len(data).to_bytes(8, "big"), *_pieces(data)):
            self._call("MPI_Send", piece, len(piece), self._byte, to, 0, self._world)

    def receive(self, source: int) -> bytes:
        """What `send` sent."""
        size = int.from_bytes(self._take(source, 8), "big")
        data = bytearray()
        while len(data) < size:
            data += self._take(source, min(_CHUNK, size - len(data)))
        return bytes(data)

    def finish(self) -> None:
        """All ranks must come here."""
        self._call("MPI_Finalize")

    def _take(self, source: int, size: int) -> bytes:
        status, flag = ctypes.create_string_buffer(_STATUS_BYTES), ctypes.c_int(0)
        while True:
            self._call("MPI_Iprobe", source, 0, self._world, ctypes.byref(flag), status)
            if flag.value:
                break
            time.sleep(_POLL_SECONDS)
        buffer = ctypes.create_string_buffer(size)
        self._call("MPI_Recv", buffer, size, self._byte, source, 0, self._world, status)
        return buffer.raw

    def _number(self, name: str) -> int:
        value = ctypes.c_int(0)
        self._call(name, self._world, ctypes.byref(value))
        return value.value

    def _call(self, name: str, *arguments: object) -> None:
        code = getattr(self._library, name)(*arguments)
        if code:
            raise RuntimeError(f"{name} failed with {code}")


def world_size() -> int | None:
    """Ranks of the job that mpirun started this process for; None where it did not."""
    said = os.environ.get("OMPI_COMM_WORLD_SIZE")
    return int(said) if said else None


def _pieces(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), _CHUNK):
        yield data[at : at + _CHUNK]
