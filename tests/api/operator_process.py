"""The operator as a process on the tests' API server, and waiting for what it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from control_plane import KUBECONFIG

from support.ports import free_port


class Operator:
    """One replica."""

    def __init__(self, identity: str, *options: str) -> None:
        self.health, self.metrics = free_port(), free_port()
        command = [
            *(sys.executable, "-m", "trtllm_operator", "--builder-image=localhost/none:1", "--bind=127.0.0.1"),
            *(f"--health-port={self.health}", f"--metrics-port={self.metrics}", "--log-format=plain", *options),
        ]
        environment = {**os.environ, "KUBECONFIG": str(KUBECONFIG), "POD_NAME": identity}
        self.process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)

    def answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health}{path}", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def numbers(self) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=5) as answer:
            return str(answer.read().decode())


@contextmanager
def operator(identity: str = "one", *options: str) -> Iterator[Operator]:
    running = Operator(identity, *options)
    try:
        eventually(lambda: running.answers("/readyz"), "the operator", 120)
        yield running
    finally:
        running.process.send_signal(signal.SIGCONT)
        running.process.terminate()
        running.process.wait(20)


def eventually(true: Callable[[], object], what: str, timeout: float = 20) -> None:
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"{what} did not come within {timeout:.0f} s"
        time.sleep(0.1)
