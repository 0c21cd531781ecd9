"""The command line: flags become Settings, main.run does the work."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
from collections.abc import Sequence

from trtllm_operator import __version__
from trtllm_operator.logs import set_up_logs
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.settings import LeaseSettings, Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to stop; 0 after an orderly stop."""
    settings = parse(argv)
    set_up_logs(settings.log_level, settings.log_format)
    # kopf and the Kubernetes client take a second to import: --help should not
    from trtllm_operator.main import run

    return asyncio.run(run(settings))


def parse(argv: Sequence[str] | None = None) -> Settings:
    """Settings from the command line."""
    arguments = _parser().parse_args(argv)
    identity = os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}"
    lease = (
        LeaseSettings(arguments.lease_name, arguments.lease_namespace, identity) if arguments.lease_namespace else None
    )
    return Settings(
        builder=BuilderSettings(
            image=arguments.builder_image,
            pull_policy=arguments.builder_pull_policy,
            pull_secrets=tuple(arguments.builder_pull_secret),
            env=tuple(arguments.builder_env),
            storage_class=arguments.storage_class,
            drain_seconds=arguments.drain_seconds,
        ),
        lease=lease,
        namespaces=tuple(arguments.namespace),
        metrics_port=arguments.metrics_port,
        health_port=arguments.health_port,
        bind=arguments.bind,
        workers=arguments.workers,
        resync_seconds=arguments.resync_seconds,
        log_level=arguments.log_level,
        log_format=arguments.log_format,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="trtllm-operator", description="Quantizes, checks and serves models.")
    add = parser.add_argument
    add("--version", action="version", version=__version__)
    add("--builder-image", required=True, help="image of the builder Jobs and the servers")
    add("--builder-pull-policy", default="IfNotPresent", choices=("Always", "IfNotPresent", "Never"))
    add("--builder-pull-secret", action="append", default=[], help="Secret in the resources' namespaces; repeatable")
    add("--builder-env", action="append", default=[], type=_variable, metavar="NAME=VALUE", help="repeatable")
    add("--storage-class", default=None, help="of claims whose resource names none")
    add("--drain-seconds", type=int, default=120, help="how long a server may finish its running requests")
    add("--namespace", action="append", default=[], help="watch this namespace only; repeatable")
    add("--lease-name", default="trtllm-operator")
    add("--lease-namespace", default="", help="namespace of the Lease; without it there is no leader election")
    add("--metrics-port", type=int, default=9090)
    add("--health-port", type=int, default=8080)
    add("--bind", default="", help="address of both ports; all of them by default")
    add("--workers", type=int, default=16, help="resources worked on at the same time")
    add("--resync-seconds", type=float, default=300.0, help="everything is listed anew that often")
    add("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    add("--log-format", default="json", choices=("json", "plain"))
    return parser


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value
