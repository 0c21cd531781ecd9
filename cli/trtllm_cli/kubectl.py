"""Reads the current cluster by running kubectl."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trtllm_api import GROUP
from trtllm_api import enginebuild as eb
from trtllm_api import quantizedmodel as qm
from trtllm_cli.key import kind_of
from trtllm_cli.problem import Unreadable
from trtllm_cli.texts import load_json

Object = Mapping[str, Any]
_SECONDS = 60


@dataclass(frozen=True)
class Cluster:
    """Namespace and context for kubectl; None keeps kubectl's default."""

    namespace: str | None = None
    context: str | None = None

    def get(self, *what: str) -> Object:
        """The object that `kubectl get ... --output=json` prints."""
        command = ["kubectl", "get", *what, "--output=json"]
        command += [f"--namespace={self.namespace}"] if self.namespace else []
        command += [f"--context={self.context}"] if self.context else []
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS)
        except FileNotFoundError:
            raise Unreadable("PATH has no kubectl", "install it, or use options that need no cluster") from None
        except subprocess.TimeoutExpired:
            raise Unreadable(f"no answer from kubectl within {_SECONDS} s") from None
        if done.returncode:
            errors = done.stderr.decode(errors="replace").strip().splitlines()
            cause = errors[-1] if errors else f"exit code {done.returncode}"
            raise Unreadable(f"`kubectl get {' '.join(what)}` failed: {cause}")
        found = load_json(done.stdout, f"the output of `kubectl get {' '.join(what)}`")
        if not isinstance(found, dict):
            raise Unreadable(f"`kubectl get {' '.join(what)}` did not print an object")
        return found

    def resource(self, kind: str, name: str) -> Object:
        """A QuantizedModel or an EngineBuild."""
        plural = qm.PLURAL if kind == qm.KIND else eb.PLURAL
        return self.get(f"{plural}.{GROUP}", name)


def named(resource: str) -> tuple[str, str]:
    """Kind and name from `qm/NAME`, `eb/NAME` or the output of `kubectl get -o name`."""
    kind, slash, name = resource.partition("/")
    known = kind_of(kind)
    if known is None or not slash or not name:
        raise Unreadable(f"{resource} is not the name of a resource", "write qm/NAME or eb/NAME")
    return known, name
