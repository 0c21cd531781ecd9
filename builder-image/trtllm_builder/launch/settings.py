"""Command line of `trtllm_builder launch`. In a pod the defaults are right."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from trtllm_api.contract import CONTROL_PORT, LAUNCH_PATH, SERVE_PORT


@dataclass(frozen=True)
class Settings:
    """Paths, ports and time limits of the launcher."""

    request: Path
    host: str
    serve_port: int
    control_port: int
    scratch: Path
    poll_seconds: float
    health_timeout_seconds: float
    unhealthy_seconds: float
    canary_seconds: float
    canary_timeout_seconds: float
    probe_timeout_seconds: float
    gather_seconds: float
    lost_seconds: float
    rendezvous_seconds: float
    appear_seconds: float
    leave_seconds: float


def parse(argv: list[str]) -> Settings:
    """Parse the command line. argparse ends the process if it is wrong."""
    parser = argparse.ArgumentParser(prog="trtllm_builder launch", description="Start trtllm-serve and watch it.")
    add = parser.add_argument
    add("--request", type=Path, default=Path(LAUNCH_PATH), help="file with the LaunchRequest")
    add("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104
    add("--serve-port", type=int, default=SERVE_PORT, help="port of trtllm-serve")
    add("--control-port", type=int, default=CONTROL_PORT, help="port of /health/live and /health/ready")
    add("--scratch", type=Path, default=Path("/tmp"), help="writable directory")  # noqa: S108
    add("--poll-seconds", type=float, default=5.0, help="pause between two checks of the server")
    add("--health-timeout-seconds", type=float, default=5.0, help="time limit for an answer to /health")
    add(
        "--unhealthy-seconds",
        type=float,
        default=30.0,
        help="time of errors from a ready server's /health before it is restarted",
    )
    add("--canary-seconds", type=float, default=30.0, help="pause between two generations of one token")
    add(
        "--canary-timeout-seconds",
        type=float,
        default=60.0,
        help="time limit for that token; the server is restarted after three misses",
    )
    add("--probe-timeout-seconds", type=float, default=600.0, help="time limit for the answer to the known prompt")
    add("--gather-seconds", type=float, default=1800.0, help="time limit for the pods of a group to find each other")
    add("--lost-seconds", type=float, default=60.0, help="time without an answer from a pod before its group restarts")
    add("--rendezvous-seconds", type=float, default=1.0, help="pause between two polls of the leader by a worker")
    add("--appear-seconds", type=float, default=120.0, help="time limit for MPI to start the server")
    add(
        "--leave-seconds", type=float, default=5.0, help="time limit for MPI and the other pods to end after the server"
    )
    return Settings(**vars(parser.parse_args(argv)))
