"""`trtllm_builder launch`: starts trtllm-serve and watches it until SIGTERM or its end."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from trtllm_builder.launch.launcher import Launcher
from trtllm_builder.launch.output import Output
from trtllm_builder.launch.settings import parse


def main(argv: list[str]) -> int:
    """Run the launcher and return its exit code."""
    launcher = Launcher(parse(argv), Output(sys.stdout))

    def stop(_signum: int, _frame: FrameType | None) -> None:
        launcher.stop.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        return launcher.run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
