"""`python -m trtllm_builder.launch.agent HOST COMMAND...`: mpirun calls it instead of ssh (plm_rsh_agent).

It gives the command to the leader's launcher, waits until the worker reports the end, and ends with the same status.
It imports nothing but the standard library, because mpirun starts one for each worker.
"""

from __future__ import annotations

import json
import os
import socket
import sys

SOCKET_ENV = "TRTLLM_LAUNCH_SOCKET"
LOST = 255
"""Exit code of ssh if it cannot reach a host."""


def main(argv: list[str]) -> int:
    """Run the remote command and return its exit code."""
    path = os.environ.get(SOCKET_ENV, "")
    if len(argv) < 2 or not path:
        sys.stderr.write(
            f"{SOCKET_ENV} or the command is missing. Only mpirun, started by the launcher, calls this program.\n"
        )
        return LOST
    host, *words = argv
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            # mpirun has already quoted the words for a remote shell
            connection.sendall(json.dumps({"host": host, "command": " ".join(words)}).encode() + b"\n")
            reply = connection.makefile().readline().strip()
    except OSError as error:
        sys.stderr.write(f"The launcher of this pod does not answer on {path}: {error.strerror}.\n")
        return LOST
    return int(reply) if reply.isdecimal() else LOST


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
