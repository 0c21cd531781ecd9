"""Nodes with GPUs to plan on: from --gpus, from --inventory, or from the cluster."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from trtllm_cli.problem import Unreadable
from trtllm_cli.texts import load_documents, read_text
from trtllm_planner.inventory import gpu_inventory, gpu_node, quantity_bytes
from trtllm_planner.tensorrt_llm.gpus import PRODUCTS

Nodes = tuple[Mapping[str, Any], ...]
"""Node objects of Kubernetes."""
EXAMPLE: Final = "2x8xNVIDIA-H100-80GB-HBM3"
_GPUS: Final = re.compile(
    r"(?:(?P<nodes>\d{1,4})x)?(?P<count>\d{1,3})x(?P<product>[A-Za-z][^:]*)"
    r"(?::(?P<memory>\d+(?:Mi|Gi|M|G))(?::(?P<major>\d+)\.(?P<minor>\d+))?)?"
)


def nodes_of_flag(values: Iterable[str]) -> Nodes:
    """Nodes of --gpus: NODESxCOUNTxPRODUCT, separated by commas; :MEMORY:COMPUTE_CAPABILITY for an unknown product."""
    return tuple(node for value in values for part in value.split(",") for node in _nodes(part.strip()))


def nodes_of_file(name: str) -> Nodes:
    """Nodes of a file that holds the output of `kubectl get nodes --output=json` (or yaml)."""
    documents = load_documents(read_text(name), name)
    return nodes_with_gpus(documents[0] if len(documents) == 1 else documents, name)


def nodes_with_gpus(found: Any, name: str) -> Nodes:
    """The list of Nodes; Unreadable if none of them has GPUs."""
    if isinstance(found, Mapping):
        found = found.get("items") if "items" in found else [found]
    try:
        nodes, kinds = tuple(found), gpu_inventory(found).kinds()
    except (TypeError, KeyError, AttributeError, ValueError):
        raise Unreadable(f"{name} is not a list of nodes", "print one with kubectl get nodes --output=json") from None
    if not kinds:
        raise Unreadable(
            f"{name}: none of {len(nodes)} nodes has the GPU labels (nvidia.com/gpu.product, ...)",
            f"install NVIDIA's gpu-feature-discovery, which sets them, or name the GPUs with --gpus {EXAMPLE}",
        )
    return nodes


def _nodes(text: str) -> Iterator[Mapping[str, Any]]:
    match = _GPUS.fullmatch(text)
    if match is None or not int(match["count"]) or match["nodes"] == "0":
        raise Unreadable(f"--gpus {text} is not NODESxCOUNTxPRODUCT", f"write, for example, {EXAMPLE}")
    product, labels = match["product"].replace(" ", "-"), {}
    if match["memory"] is None:
        product = _known(text, product)
    else:
        labels["nvidia.com/gpu.memory"] = str(quantity_bytes(match["memory"]) >> 20)
    if match["major"] is not None:
        labels["nvidia.com/gpu.compute.major"], labels["nvidia.com/gpu.compute.minor"] = match["major"], match["minor"]
    labels |= {"nvidia.com/gpu.product": product, "nvidia.com/gpu.count": match["count"]}
    if gpu_node(product, labels) is None:
        raise Unreadable(f"--gpus {text}: the compute capability is unknown", f"add it, for example {text}:9.0")
    for index in range(int(match["nodes"] or 1)):
        metadata = {"name": f"{product}-{index}", "labels": labels}
        yield {"metadata": metadata, "status": {"allocatable": {"nvidia.com/gpu": match["count"]}}}


def _known(text: str, product: str) -> str:
    """The product as NVIDIA's label spells it."""
    if "-MIG-" in product:
        raise Unreadable(f"--gpus {text}: the memory of a MIG slice is unknown", f"add it, for example {text}:20Gi")
    base = product.removesuffix("-SHARED")
    name = {item.name.lower(): item.name for item in PRODUCTS}.get(base.lower())
    if name is None:
        raise _unknown(text, product)
    return name + product[len(base) :]


def _unknown(text: str, product: str) -> Unreadable:
    names = [item.name for item in PRODUCTS]
    word = product.lower().removeprefix("nvidia-")
    near = [name for name in names if re.search(rf"(?:^|-){re.escape(word)}(?:-|$)", name.lower())]
    near = near or get_close_matches(product, names, n=3, cutoff=0.5) or names
    remedy = f"use {', '.join(near)}; or add :MEMORY:COMPUTE_CAPABILITY"
    return Unreadable(f"--gpus {text}: unknown product", remedy)
