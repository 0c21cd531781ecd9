"""Command line of `trtllm_builder serve`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trtllm_api.contract import SERVE_PORT


@dataclass(frozen=True)
class Options:
    """Options of the command line."""

    artifact: Path
    served_model_name: str
    host: str
    port: int
    max_concurrent_requests: int
    max_queued_requests: int
    device: str
    drain_seconds: float


def parse(argv: list[str]) -> Options:
    """Parse the command line. argparse ends the process if it is wrong."""
    parser = argparse.ArgumentParser(
        prog="trtllm_builder serve", description="Serve one artifact over OpenAI's HTTP API."
    )
    parser.add_argument("--artifact", type=Path, required=True, help="directory with manifest.json")
    parser.add_argument("--served-model-name", required=True, help="value of `model` in requests")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104
    parser.add_argument("--port", type=int, default=SERVE_PORT)
    parser.add_argument("--max-concurrent-requests", type=_at_least(1), default=4)
    parser.add_argument("--max-queued-requests", type=_at_least(0), default=256)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--drain-seconds", type=float, default=25.0, help="time limit for running requests after SIGTERM"
    )
    return Options(**vars(parser.parse_args(argv)))


def _at_least(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if int(text) < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}")
        return int(text)

    return number
