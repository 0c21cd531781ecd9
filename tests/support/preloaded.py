"""A Python whose programs begin with the imports done: importing torch takes longer than most tests of its users.

`Preloaded(directory, modules)` starts a process that imports the modules once. `python` is then a program that takes
arguments as Python does (a script, `-m MODULE` or `-c CODE`). It has that process fork, and stands for the fork: it
passes signals on, ends as the fork ends, and the fork ends with it.
"""

from __future__ import annotations

import array
import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

_PROGRAM = """#!{python} -IS
import array, json, os, signal, socket, sys

parent = socket.socket(socket.AF_UNIX)
parent.connect({address!r})
passed_on = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
for number in passed_on:
    signal.signal(number, lambda number, _: parent.send(bytes([number])))
wish = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
streams = array.array("i", [0, 1, 2])
parent.sendmsg([len(wish).to_bytes(4, "big")], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, streams)])
parent.sendall(wish)
status = int.from_bytes(parent.recv(4), "big", signed=True)
if status < 0:
    for number in passed_on:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


class Preloaded:
    """The process with the modules, and the program that has it fork."""

    def __init__(self, directory: Path, *modules: str) -> None:
        address = directory / "parent"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(address))
        listener.listen(64)
        self.python = directory / "python3"
        self.python.write_text(_PROGRAM.format(python=sys.executable, address=str(address)))
        self.python.chmod(0o755)
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno()), *modules],
            pass_fds=[listener.fileno()],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        listener.close()

    def close(self) -> None:
        """End the process; forks that still run go on."""
        self._process.terminate()
        self._process.wait()


def _serve(listener: socket.socket) -> None:
    """Fork for each connection; the kernel collects what is forked."""
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _keep(connection)
        connection.close()


def _keep(connection: socket.socket) -> None:
    """Fork the program, pass signals on to it, and tell the other side how it ended; it ends with the other side."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    streams = array.array("i")
    head, ancillary, _, _ = connection.recvmsg(4, socket.CMSG_SPACE(3 * streams.itemsize))
    streams.frombytes(ancillary[0][2])
    wish = b""
    while len(wish) < int.from_bytes(head, "big"):
        wish += connection.recv(1 << 16)
    pid = os.fork()
    if pid == 0:
        connection.close()
        _run(*json.loads(wish), streams=list(streams))
    for stream in streams:
        os.close(stream)
    process = os.pidfd_open(pid)
    while process not in (ready := select.select([process, connection], [], [])[0]):
        assert ready
        for number in connection.recv(16) or [signal.SIGKILL]:
            os.kill(pid, number)
    with contextlib.suppress(OSError):
        connection.send(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]).to_bytes(4, "big", signed=True))
    os._exit(0)


def _run(arguments: list[str], environment: dict[str, str], directory: str, streams: list[int]) -> NoReturn:
    """Be Python, with these arguments."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", buffering=1)  # noqa: SIM115
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        exec(arguments[1], {"__name__": "__main__"})  # noqa: S102 - as Python does
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
        runpy.run_path(arguments[0], run_name="__main__")
    sys.exit()


if __name__ == "__main__":
    for _module in sys.argv[2:]:
        importlib.import_module(_module)
    _serve(socket.socket(fileno=int(sys.argv[1])))
