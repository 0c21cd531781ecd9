"""Observed: one QuantizedModel with everything that decides about it, frozen; built by quantizedmodel.observe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from trtllm_api.modelstatus import MethodLadder, QuantizedModelStatus
from trtllm_api.quantizedmodel import QuantizedModelSpec
from trtllm_operator.kube.objects import Object
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.manifests.identity import Owner
from trtllm_operator.shared.children import Children


@dataclass(frozen=True)
class Sibling:
    """Another QuantizedModel of the namespace, as far as it matters to this one."""

    name: str
    leads: bool
    """It is older: of two that ask for the same, the older one does the work."""
    working: bool
    """It is neither failed, suspended nor being deleted."""
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
    """The status as last written."""
    deleting: bool
    retry: str
    """Value of the user's retry annotation."""
    children: Children
    store_exists: bool
    config_maps: Mapping[str, Object | None]
    """The user's ConfigMaps that the spec names; None for one that does not exist."""
    siblings: tuple[Sibling, ...]
    settings: BuilderSettings
    now: datetime
    source_digest: str = ""
    """Identity of the source as asked for."""
    request_digest: str | None = None
    """Identity of the whole request; None while a data set, or the GPU that methods are planned for, is missing."""
    missing_dataset: str = ""
    ladder: MethodLadder | None = None
    """The methods to try where the spec names none; None while there is no GPU to plan methods for."""
