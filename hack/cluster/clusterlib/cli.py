"""Command line of hack/cluster: up, down, images, kubectl, status, volume."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

from clusterlib.client import Client, Cluster
from clusterlib.images import DOUBLE_VERSIONS
from clusterlib.local import LocalCluster
from clusterlib.problem import Problem
from clusterlib.providers import ExistingCluster, KindCluster, docker_answers
from clusterlib.settings import Settings
from clusterlib.show import say


def main() -> None:
    """Parse and run the command line. If something is missing, print one sentence."""
    arguments = _parser().parse_args()
    settings = Settings(
        name=arguments.name, index=arguments.index, nodes=arguments.nodes, gpus_per_node=arguments.gpus_per_node
    )
    try:
        sys.exit(_run(arguments, provider(settings), settings))
    except Problem as problem:
        say(str(problem))
        sys.exit(1)


def _run(arguments: argparse.Namespace, cluster: Cluster, settings: Settings) -> int:
    started = time.monotonic()
    match arguments.command:
        case "up":
            cluster.up()
            say(
                f"✓ cluster {settings.name} is up  {time.monotonic() - started:.1f} s  KUBECONFIG={settings.kubeconfig}"
            )
        case "down":
            cluster.down()
            say(f"✓ cluster {settings.name} is removed  {time.monotonic() - started:.1f} s")
        case "images":
            references = {} if arguments.double else cluster.images()
            for version in arguments.double:
                if not isinstance(cluster, LocalCluster):
                    raise Problem("The double of NVIDIA's image needs CLUSTER_PROVIDER=local.")
                references[f"tensorrt-llm-double:{version}"] = cluster.double(version)
            print(json.dumps(references))
        case "status":
            print(cluster.status())
        case "volume":
            if not isinstance(cluster, LocalCluster):
                raise Problem("Volumes of a given size need CLUSTER_PROVIDER=local.")
            cluster.sized_volume(arguments.volume, arguments.size)
        case "kubectl":
            client = Client(cluster, settings)
            command = [str(client.program), *arguments.arguments]
            return subprocess.run(command, env=client.environment, check=False).returncode
    return 0


def provider(settings: Settings) -> Cluster:
    """Provider of CLUSTER_PROVIDER; by default kind if Docker answers, otherwise local."""
    wanted = os.environ.get("CLUSTER_PROVIDER") or ("kind" if docker_answers() else "local")
    match wanted:
        case "local":
            return LocalCluster(settings)
        case "kind":
            return KindCluster(settings)
        case "current":
            return ExistingCluster()
    raise Problem(f"CLUSTER_PROVIDER is {wanted}. Set it to local, kind or current.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hack/cluster/cluster", description=__doc__)
    parser.add_argument("--name", default=os.environ.get("CLUSTER_NAME", "trtllm"), help="name of the cluster")
    parser.add_argument(
        "--index",
        type=int,
        default=int(os.environ.get("CLUSTER_INDEX", "0")),
        help="number, 0 to 9, that selects addresses and ports; clusters side by side need different ones",
    )
    parser.add_argument("--nodes", type=int, default=int(os.environ.get("CLUSTER_NODES", "1")))
    parser.add_argument("--gpus-per-node", type=int, default=0, help="number of simulated GPUs")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start the cluster, if it does not run; --nodes 0 is a control plane on loopback")
    commands.add_parser("down", help="stop the cluster and remove everything")
    build = commands.add_parser(
        "images", help="build and push the project's images, and print their references as JSON"
    )
    build.add_argument(
        "--double",
        action="append",
        default=[],
        choices=DOUBLE_VERSIONS,
        help="build only the double of NVIDIA's image of this version",
    )
    commands.add_parser("status", help="what runs")
    volume = commands.add_parser("volume", help="create a volume of class local-sized that is full at its size")
    volume.add_argument("volume")
    volume.add_argument("--size", required=True)
    kubectl = commands.add_parser("kubectl", help="run kubectl as the cluster's administrator")
    kubectl.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser
