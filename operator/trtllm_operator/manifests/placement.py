"""Nodes that a pod may run on: those with its engine's GPU, and away from its siblings; pure.

The user's podTemplate.affinity stays: the operator's requirements are added to it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trtllm_operator.kube.objects import Manifest, dig, items

PRODUCT_LABEL = "nvidia.com/gpu.product"
MAJOR_LABEL = "nvidia.com/gpu.compute.major"
MINOR_LABEL = "nvidia.com/gpu.compute.minor"
NODE_KEY = "kubernetes.io/hostname"
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


@dataclass(frozen=True)
class GpuBinding:
    """The GPU that a pod must find on its node."""

    product: str
    """Exactly as the node label nvidia.com/gpu.product has it."""
    compute_capability: str
    """The compute capability, such as "9.0"."""


@dataclass(frozen=True)
class Apart:
    """No two pods with these labels on one node."""

    labels: Mapping[str, str]
    same: tuple[str, ...] = ()
    """Keys of labels whose value must agree, too: pods of other groups may share the node."""


def affinity(gpu: GpuBinding | None, apart: Apart | None, user: Mapping[str, Any] | None) -> Manifest:
    """The pod's affinity; empty when nobody asks for any."""
    merged: Manifest = copy.deepcopy(dict(user or {}))
    if gpu is not None:
        required = dict(dig(merged, "nodeAffinity", _REQUIRED) or {})
        # a node may satisfy any one of the terms: each of them must ask for the GPU
        terms = items(required, "nodeSelectorTerms") or [{}]
        required["nodeSelectorTerms"] = [
            {**term, "matchExpressions": [*items(term, "matchExpressions"), *_expressions(gpu)]} for term in terms
        ]
        merged["nodeAffinity"] = {**(dig(merged, "nodeAffinity") or {}), _REQUIRED: required}
    if apart is not None:
        anti = dict(dig(merged, "podAntiAffinity") or {})
        anti[_REQUIRED] = [*items(anti, _REQUIRED), _apart_term(apart)]
        merged["podAntiAffinity"] = anti
    return merged


def _expressions(gpu: GpuBinding) -> list[Manifest]:
    major, _, minor = gpu.compute_capability.partition(".")
    wanted = {PRODUCT_LABEL: gpu.product, MAJOR_LABEL: major, MINOR_LABEL: minor or "0"}
    return [{"key": key, "operator": "In", "values": [value]} for key, value in wanted.items()]


def _apart_term(apart: Apart) -> Manifest:
    term: Manifest = {"labelSelector": {"matchLabels": dict(apart.labels)}, "topologyKey": NODE_KEY}
    if apart.same:
        term["matchLabelKeys"] = list(apart.same)
    return term
