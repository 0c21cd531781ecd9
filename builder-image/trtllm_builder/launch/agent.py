"""`python -m trtllm_builder.launch.agent HOST COMMAND...`: what mpirun calls instead of ssh (plm_rsh_agent).

Hands the command to the leader's launcher and stays until that worker reports its end, whose status it ends with.
It imports nothing of ours: mpirun starts one for each worker.
"""

from __future__ import annotations

import json
import os
import socket
import sys

SOCKET_ENV = "TRTLLM_LAUNCH_SOCKET"
LOST = 255
"""As ssh ends when it cannot reach a host."""


def main(argv: list[str]) -> int:
    """The remote command's status."""
    path = os.environ.get(SOCKET_ENV, "")
    if len(argv) < 2 or not path:
        sys.stderr.write(f"{SOCKET_ENV} or the command is missing: mpirun calls this, started by the launcher.\n")
        return LOST
    host, *words = argv
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            # mpirun has quoted the words for a remote shell already, as for ssh
            connection.sendall(json.dumps({"host": host, "command": " ".join(words)}).encode() + b"\n")
            reply = connection.makefile().readline().strip()
    except OSError as error:
        sys.stderr.write(f"The launcher of this pod does not answer on {path}: {error.strerror}.\n")
        return LOST
    return int(reply) if reply.isdecimal() else LOST


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
