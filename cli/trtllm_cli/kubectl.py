"""The current cluster through kubectl, a program of its own: `get`, called by plan, report, status and completion."""

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
    """What kubectl is told; its own defaults where nothing is."""

    namespace: str | None = None
    context: str | None = None

    def get(self, *what: str) -> Object:
        """`kubectl get ... --output=json`."""
        command = ["kubectl", "get", *what, "--output=json"]
        command += [f"--namespace={self.namespace}"] if self.namespace else []
        command += [f"--context={self.context}"] if self.context else []
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS)
        except FileNotFoundError:
            raise Unreadable("kubectl is not on PATH: install it, or use what needs no cluster") from None
        except subprocess.TimeoutExpired:
            raise Unreadable(f"kubectl has not answered for {_SECONDS} s") from None
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise Unreadable(f"kubectl get {' '.join(what)}: {said[-1] if said else f'exit code {done.returncode}'}")
        found = load_json(done.stdout, f"the answer of kubectl get {' '.join(what)}")
        if not isinstance(found, dict):
            raise Unreadable(f"kubectl get {' '.join(what)} did not answer with an object")
        return found

    def resource(self, kind: str, name: str) -> Object:
        """A QuantizedModel or an EngineBuild."""
        plural = qm.PLURAL if kind == qm.KIND else eb.PLURAL
        return self.get(f"{plural}.{GROUP}", name)


def named(resource: str) -> tuple[str, str]:
    """Kind and name of `qm/NAME`, `eb/NAME` or what `kubectl get -o name` prints."""
    kind, slash, name = resource.partition("/")
    known = kind_of(kind)
    if known is None or not slash or not name:
        raise Unreadable(f"{resource} names no resource: write qm/NAME or eb/NAME")
    return known, name
