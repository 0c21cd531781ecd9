"""Observed: one QuantizedModel with everything that decides about it, frozen; built by quantizedmodel.observe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from trtllm_api.contract import ProgressLine
from trtllm_api.quantizedmodel import QuantizedModelSpec, QuantizedModelStatus
from trtllm_operator.children.identity import Owner
from trtllm_operator.children.objects import Object
from trtllm_operator.children.settings import BuilderSettings


@dataclass(frozen=True)
class Sibling:
    """Another QuantizedModel of the namespace, as far as it matters to this one."""

    name: str
    leads: bool
    """It is older: of two that ask for the same, the older one does the work."""
    working: bool
    """Neither failed, suspended nor on its way out."""
    same_source: bool
    same_request: bool
    status: QuantizedModelStatus


@dataclass(frozen=True)
class Observed:
    """A snapshot; nothing in it changes while it is judged."""

    owner: Owner
    generation: int
    spec: QuantizedModelSpec | None
    """None: it does not parse; see spec_error."""
    spec_error: str
    status: QuantizedModelStatus
    """As last written."""
    deleting: bool
    retry: str
    """Value of the user's retry annotation."""
    jobs: tuple[Object, ...]
    pods: tuple[Object, ...]
    store_exists: bool
    config_maps: Mapping[str, Object | None]
    """The user's ConfigMaps that the spec names; None for one that does not exist."""
    siblings: tuple[Sibling, ...]
    progress: ProgressLine | None
    """Last progress line of the running pod."""
    settings: BuilderSettings
    now: datetime
    source_digest: str = ""
    """Identity of the source as asked for."""
    request_digest: str | None = None
    """Identity of the whole request; None while a data set is missing."""
    missing_dataset: str = ""

    def pods_of(self, job_name: str) -> tuple[Object, ...]:
        """The pods that a Job controls."""
        return tuple(
            pod
            for pod in self.pods
            if any(ref.get("name") == job_name for ref in (pod.get("metadata") or {}).get("ownerReferences") or ())
        )
