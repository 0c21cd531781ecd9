"""GPUs from a flag and from nodes, and models from a directory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from public_models import CONFIGS

from trtllm_cli.gpus import nodes_of_flag, nodes_with_gpus
from trtllm_cli.models import facts_of_path
from trtllm_cli.problem import Unreadable
from trtllm_planner.inventory import gpu_inventory


@pytest.mark.parametrize(
    ("flag", "counts", "product", "memory", "capability"),
    [
        ("2x8xNVIDIA-H100-80GB-HBM3", (8, 8), "NVIDIA-H100-80GB-HBM3", 81559, (9, 0)),
        ("4xnvidia-l4", (4,), "NVIDIA-L4", 23034, (8, 9)),
        ("1x2xNVIDIA B200", (2,), "NVIDIA-B200", 183359, (10, 0)),
        ("1x1xNVIDIA-NEXT:96Gi:11.0", (1,), "NVIDIA-NEXT", 98304, (11, 0)),
        ("1x7xNVIDIA-H100-80GB-HBM3-MIG-1g.10gb:10Gi", (7,), "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", 10240, (9, 0)),
    ],
)
def test_a_flag_says_what_nodes_there_are(
    flag: str, counts: tuple[int, ...], product: str, memory: int, capability: tuple[int, int]
) -> None:
    found = gpu_inventory(nodes_of_flag([flag]))
    (kind,) = found.kinds()
    assert (kind.product, kind.memory_mib, kind.capability) == (product, memory, capability)
    assert found.counts(kind) == counts


def test_flags_add_up() -> None:
    found = gpu_inventory(nodes_of_flag(["1x8xNVIDIA-H200,2x4xNVIDIA-L4", "1x1xTesla-T4"]))
    assert [kind.product for kind in found.kinds()] == ["Tesla-T4", "NVIDIA-L4", "NVIDIA-H200"]


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("8xH100", "unknown product. Use NVIDIA-H100-80GB-HBM3, NVIDIA-H100-PCIe, NVIDIA-H100-NVL"),
        ("NVIDIA-L4", "is not NODESxCOUNTxPRODUCT"),
        ("0x8xNVIDIA-L4", "is not NODESxCOUNTxPRODUCT"),
        ("1x0xNVIDIA-L4", "is not NODESxCOUNTxPRODUCT"),
        ("1x1xNVIDIA-NEXT:96Gi", "the compute capability is unknown"),
        ("1x7xNVIDIA-H100-80GB-HBM3-MIG-1g.10gb", "the memory of a MIG slice is unknown"),
    ],
)
def test_a_flag_that_says_nothing_clear_is_corrected(flag: str, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        nodes_of_flag([flag])


@pytest.mark.parametrize("found", [1, {"items": [1]}, {"items": [{"spec": {}}]}, None])
def test_what_is_no_list_of_nodes_is_said_so(found: object) -> None:
    with pytest.raises(Unreadable, match="is not a list of nodes"):
        nodes_with_gpus(found, "nodes.json")


def test_nodes_without_gpus_are_said_so() -> None:
    with pytest.raises(Unreadable, match="none of 1 nodes has the GPU labels"):
        nodes_with_gpus({"items": [{"metadata": {"name": "cpu"}}]}, "nodes.json")


def test_a_directory_says_more_than_its_config(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS["Llama-3-8B"]))
    (tmp_path / "model-1.safetensors").write_bytes(b"x" * 100)
    (tmp_path / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["own.py", null]}}')
    facts = facts_of_path(str(tmp_path))
    assert facts.bytes == 100
    assert (facts.custom_code, facts.details.own_tokenizer) == (True, True)
    assert facts_of_path(str(tmp_path / "config.json")).bytes > 100
