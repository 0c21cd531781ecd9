"""The command line of `trtllm_builder launch`; main.py reads it. In a pod the defaults are right."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from trtllm_api.contract import CONTROL_PORT, LAUNCH_PATH, SERVE_PORT


@dataclass(frozen=True)
class Settings:
    """Where to listen, and how patient to be."""

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
    """Read the command line; argparse ends the process on a wrong one."""
    parser = argparse.ArgumentParser(prog="trtllm_builder launch", description="Start trtllm-serve and watch it.")
    add = parser.add_argument
    add("--request", type=Path, default=Path(LAUNCH_PATH), help="a LaunchRequest")
    add("--host", default="0.0.0.0", help="the pod's network by default")  # noqa: S104
    add("--serve-port", type=int, default=SERVE_PORT, help="of trtllm-serve")
    add("--control-port", type=int, default=CONTROL_PORT, help="of /health/live and /health/ready")
    add("--scratch", type=Path, default=Path("/tmp"), help="a directory that can be written")  # noqa: S108
    add("--poll-seconds", type=float, default=5.0, help="between two looks at the server")
    add("--health-timeout-seconds", type=float, default=5.0, help="for an answer about its health")
    add("--unhealthy-seconds", type=float, default=30.0, help="of 503 after it was ready that end it")
    add("--canary-seconds", type=float, default=30.0, help="between two one-token generations")
    add("--canary-timeout-seconds", type=float, default=60.0, help="for one token; three in a row end it")
    add("--probe-timeout-seconds", type=float, default=600.0, help="for the answer to the known prompt")
    add("--gather-seconds", type=float, default=1800.0, help="for the pods of a group to find each other")
    add("--lost-seconds", type=float, default=60.0, help="of a pod's silence that end its group")
    add("--rendezvous-seconds", type=float, default=1.0, help="between two questions of a worker to its leader")
    add("--appear-seconds", type=float, default=120.0, help="for MPI to start the server")
    add("--leave-seconds", type=float, default=5.0, help="for MPI and the group's other pods once the server is gone")
    return Settings(**vars(parser.parse_args(argv)))
