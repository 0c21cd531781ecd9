"""Command lines and environment of the programs that the launcher starts."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from trtllm_api.contract import LaunchRequest
from trtllm_builder.launch.agent import SOCKET_ENV
from trtllm_builder.launch.place import Place
from trtllm_builder.launch.settings import Settings

SERVER: Final = "trtllm-serve"
_PASSED: Final = ("HOME", "PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR")
_PASSED_PREFIXES: Final = ("NCCL_", "UCX_", "TLLM_", "TRTLLM_")
_USER: Final = "trtllm"
_CACHES: Final = {"HF_HOME": "huggingface", "TRITON_CACHE_DIR": "triton", "XDG_CACHE_HOME": "cache"}


def write_options(request: LaunchRequest, scratch: Path) -> Path:
    """Write the file of options: JSON, which is valid YAML."""
    path = scratch / "trtllm-serve-options.yaml"
    path.write_text(json.dumps(request.options, indent=1, ensure_ascii=False), encoding="utf-8")
    return path


def served_path(request: LaunchRequest, scratch: Path) -> str:
    """Create a link to the model with the served name: trtllm-serve uses the last part of the path as the name.

    Every pod of a replica needs the link at the same path. Newer versions have a flag for the whole name.
    """
    name = request.served_model_name.rpartition("/")[2]
    if name in {"", ".", ".."} or Path(request.model_path).name == name:
        return request.model_path
    link = scratch / "served" / name
    link.parent.mkdir(exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(request.model_path)
    return str(link)


def serve_command(request: LaunchRequest, settings: Settings) -> list[str]:
    """Command line of trtllm-serve on one node, which starts the other ranks of the node itself."""
    return [
        SERVER,
        served_path(request, settings.scratch),
        *("--tokenizer", request.tokenizer_path),
        *("--host", settings.host),
        *("--port", str(settings.serve_port)),
        *request.arguments,
        *(request.options_flag, str(write_options(request, settings.scratch))),
    ]


def mpi_command(
    request: LaunchRequest, settings: Settings, place: Place, environment: Mapping[str, str], interface: str = ""
) -> list[str]:
    """Command line of trtllm-serve through mpirun, with a rank for each GPU of the group.

    MPI uses this network interface, if one is named.
    """
    between = ("oob_tcp_if_include", "btl_tcp_if_include") if interface else ()
    names, server = [socket.gethostname(), *place.workers], serve_command(request, settings)
    passed = [name for name in sorted(environment) if name in _PASSED or name.startswith(_PASSED_PREFIXES)]
    return [
        "mpirun",
        *(["--allow-run-as-root"] if os.geteuid() == 0 else []),
        *("--mca", "plm", "rsh"),
        *("--mca", "plm_rsh_agent", f"{sys.executable} -m trtllm_builder.launch.agent"),
        # the leader starts every daemon, and a daemon stays the child of its pod's launcher
        *("--mca", "plm_rsh_no_tree_spawn", "1"),
        *("--mca", "orte_leave_session_attached", "1"),
        # only the launcher uses the workers' names, and not all of them resolve
        *("--mca", "if_base_do_not_resolve", "1"),
        *(word for name in between for word in ("--mca", name, interface)),
        *("--host", ",".join(f"{name}:{request.gpus_per_node}" for name in names)),
        *("-np", str(request.world)),
        *("--map-by", "slot", "--bind-to", "none"),
        *(word for name in passed if name != SOCKET_ENV for word in ("-x", name)),
        "trtllm-llmapi-launch",
        *server,
    ]


def environment_of(settings: Settings, given: Mapping[str, str], socket_path: Path | None = None) -> dict[str, str]:
    """The pod's environment, with writable directories for home, caches and MPI's files."""
    scratch = settings.scratch
    environment = {
        "OMPI_MCA_orte_tmpdir_base": str(scratch),
        "TMPDIR": str(scratch),
        # a user without an entry in /etc/passwd has neither
        "USER": _USER,
        "LOGNAME": _USER,
        "SHELL": "/bin/bash",
        **{name: str(scratch / directory) for name, directory in _CACHES.items()},
        "PYTHONUNBUFFERED": "1",
        # Open MPI counts processor cores as slots, and a pod may have fewer of them than ranks
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "TRTLLM_NO_USAGE_STATS": "1",
        **given,
    }
    home = given.get("HOME", "")
    if not home or not os.access(home, os.W_OK):
        environment["HOME"] = str(scratch)
    if os.geteuid() == 0:
        environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    if socket_path is not None:
        environment[SOCKET_ENV] = str(socket_path)
    return environment
