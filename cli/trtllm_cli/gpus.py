"""The GPUs to plan on: from --gpus, from a file of nodes, or from the cluster; called by the plan command."""

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
"""As Kubernetes has them."""
EXAMPLE: Final = "2x8xNVIDIA-H100-80GB-HBM3"
_GPUS: Final = re.compile(
    r"(?:(?P<nodes>\d{1,4})x)?(?P<count>\d{1,3})x(?P<product>[A-Za-z][^:]*)"
    r"(?::(?P<memory>\d+(?:Mi|Gi|M|G))(?::(?P<major>\d+)\.(?P<minor>\d+))?)?"
)


def nodes_of_flag(values: Iterable[str]) -> Nodes:
    """NODESxCOUNTxPRODUCT, one after another with commas; :MEMORY:COMPUTE_CAPABILITY for a product of no table."""
    return tuple(node for value in values for part in value.split(",") for node in _nodes(part.strip()))


def nodes_of_file(name: str) -> Nodes:
    """What `kubectl get nodes --output=json` (or yaml) has printed."""
    documents = load_documents(read_text(name), name)
    return nodes_with_gpus(documents[0] if len(documents) == 1 else documents, name)


def nodes_with_gpus(found: Any, name: str) -> Nodes:
    """A list of Nodes, of which some have GPUs."""
    if isinstance(found, Mapping):
        found = found.get("items") if "items" in found else [found]
    try:
        nodes, kinds = tuple(found), gpu_inventory(found).kinds()
    except (TypeError, KeyError, AttributeError, ValueError):
        raise Unreadable(f"{name} is no list of nodes: print one with kubectl get nodes --output=json") from None
    if not kinds:
        raise Unreadable(
            f"{name}: none of {len(nodes)} nodes has GPUs: their labels (nvidia.com/gpu.product, ...) come from "
            f"NVIDIA's gpu-feature-discovery; or say what there is with --gpus {EXAMPLE}"
        )
    return nodes


def _nodes(text: str) -> Iterator[Mapping[str, Any]]:
    match = _GPUS.fullmatch(text)
    if match is None or not int(match["count"]) or match["nodes"] == "0":
        raise Unreadable(f"--gpus {text}: write NODESxCOUNTxPRODUCT, such as {EXAMPLE}")
    product, labels = match["product"].replace(" ", "-"), {}
    if match["memory"] is None:
        product = _known(text, product)
    else:
        labels["nvidia.com/gpu.memory"] = str(quantity_bytes(match["memory"]) >> 20)
    if match["major"] is not None:
        labels["nvidia.com/gpu.compute.major"], labels["nvidia.com/gpu.compute.minor"] = match["major"], match["minor"]
    labels |= {"nvidia.com/gpu.product": product, "nvidia.com/gpu.count": match["count"]}
    if gpu_node(product, labels) is None:
        raise Unreadable(f"--gpus {text}: the compute capability is not known: write {text}:9.0")
    for index in range(int(match["nodes"] or 1)):
        metadata = {"name": f"{product}-{index}", "labels": labels}
        yield {"metadata": metadata, "status": {"allocatable": {"nvidia.com/gpu": match["count"]}}}


def _known(text: str, product: str) -> str:
    """As NVIDIA's label spells it."""
    if "-MIG-" in product:
        raise Unreadable(f"--gpus {text}: a slice needs its memory: write {text}:20Gi")
    base = product.removesuffix("-SHARED")
    name = {item.name.lower(): item.name for item in PRODUCTS}.get(base.lower())
    if name is None:
        raise Unreadable(_unknown(text, product))
    return name + product[len(base) :]


def _unknown(text: str, product: str) -> str:
    names = [item.name for item in PRODUCTS]
    word = product.lower().removeprefix("nvidia-")
    near = [name for name in names if re.search(rf"(?:^|-){re.escape(word)}(?:-|$)", name.lower())]
    near = near or get_close_matches(product, names, n=3, cutoff=0.5) or names
    return f"--gpus {text}: no product of that name is known: did you mean {', '.join(near)}? Or add :MEMORY:CAPABILITY"
