"""Entry point `python -m trtllm_builder run|serve|launch`, for the operator's pods and for a terminal."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from threading import Event
from types import FrameType

_imported = Event()
"""Set when the stage is imported. Before, a signal has nothing to clean up."""


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["serve"]:
        from trtllm_builder.serve import main as serve

        _imported.set()
        return serve(arguments[1:])
    if arguments[:1] == ["launch"]:
        from trtllm_builder.launch.main import main as launch

        _imported.set()
        return launch(arguments[1:])
    from trtllm_api.contract import REQUEST_PATH, SOURCE_PATH, STORE_PATH, TERMINATION_PATH

    parser = argparse.ArgumentParser(prog="trtllm_builder", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve an artifact; see `serve --help`")
    commands.add_parser("launch", help="start trtllm-serve; see `launch --help`")
    run = commands.add_parser("run", help="run one BuildRequest")
    run.add_argument("--request", type=Path, default=Path(REQUEST_PATH))
    run.add_argument("--store", type=Path, default=Path(STORE_PATH))
    run.add_argument("--source", type=Path, default=Path(SOURCE_PATH))
    run.add_argument("--termination-log", type=Path, default=Path(os.environ.get("TERMINATION_LOG", TERMINATION_PATH)))
    parsed = parser.parse_args(arguments)
    from trtllm_builder.run import run as run_request

    _imported.set()
    return run_request(parsed.request, parsed.store, parsed.source, parsed.termination_log)


def _leave(number: int, _frame: FrameType | None) -> None:
    """End at once if the stage is not imported yet; afterwards the stage's own handler is responsible."""
    if not _imported.is_set():
        os._exit(128 + number)


if __name__ == "__main__":
    # A container's first process ignores SIGTERM without a handler: a pod that is deleted during the import would keep
    # its GPUs for the whole grace period.
    signal.signal(signal.SIGTERM, _leave)
    sys.exit(main())
