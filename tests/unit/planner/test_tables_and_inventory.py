"""Versions, the table of algorithms, and GPUs from node labels: numbers compared as numbers, names exactly."""

from __future__ import annotations

import itertools

import pytest
from public_models import A100, B200, ENGINE_IMAGE, H100, L4

from trtllm_api.quantization import Method
from trtllm_planner.inventory import GpuKind, GpuNode, gpu_node, inventory
from trtllm_planner.tensorrt_llm.architectures import ARCHITECTURES
from trtllm_planner.tensorrt_llm.gpus import PRODUCTS, product_named
from trtllm_planner.tensorrt_llm.versions import (
    ALGORITHM_OF,
    BITS,
    TABLES,
    Algorithm,
    EngineRuntime,
    Version,
    image_info,
    parse_version,
    table_for,
    usable_algorithms,
)

PRODUCT, MEMORY, COUNT = "nvidia.com/gpu.product", "nvidia.com/gpu.memory", "nvidia.com/gpu.count"
MAJOR, MINOR = "nvidia.com/gpu.compute.major", "nvidia.com/gpu.compute.minor"
H100_LABELS = {PRODUCT: "NVIDIA-H100-80GB-HBM3", MEMORY: "81559", COUNT: "8", MAJOR: "9", MINOR: "0"}


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.2.1", Version(1, 2, 1)),
        ("v0.20.0", Version(0, 20, 0)),
        ("1.3.0rc20", Version(1, 3, 0, 20)),
        ("1.3.0.rc20", Version(1, 3, 0, 20)),
        ("1.2.1-ubuntu24.04", Version(1, 2, 1)),
        ("latest", None),
        ("1.2.x", None),
        ("", None),
    ],
)
def test_a_version_is_read_from_a_tag(text: str, version: Version | None) -> None:
    assert parse_version(text) == version


def test_a_candidate_comes_before_its_release_and_ten_after_nine() -> None:
    ordered = ["0.9.0", "0.20.0", "1.2.1", "1.3.0rc3", "1.3.0rc20", "1.3.0rc21", "1.3.0"]
    versions = [parse_version(text) for text in ordered]
    assert all(one < other for one, other in itertools.pairwise(versions) if one and other)
    assert [str(version) for version in versions] == ordered


@pytest.mark.parametrize(
    ("reference", "version", "backend"),
    [
        ("nvcr.io/nvidia/tensorrt-llm/release:1.2.1", None, True),
        ("registry:5000/trtllm:1.3.0rc20@sha256:00", None, True),
        ("registry:5000/trtllm:1.3.0rc21", None, False),
        ("registry:5000/trtllm", None, None),
        ("registry:5000/trtllm:ours", "1.2.1", True),
        ("registry:5000/trtllm:1.2.1", "1.4.0", False),
    ],
)
def test_an_image_has_the_engine_backend_up_to_its_last_version(
    reference: str, version: str | None, backend: bool | None
) -> None:
    assert image_info(reference, version).has_engine_backend is backend


def test_every_table_knows_every_algorithm_and_every_method_has_one() -> None:
    assert all(set(table.algorithms) == set(Algorithm) for table in TABLES)
    assert set(BITS) == set(Algorithm)
    assert set(ALGORITHM_OF) == set(Method)
    assert table_for(None) is TABLES[-1]
    assert all(ARCHITECTURES[runtime] for runtime in EngineRuntime)


def test_blackwell_is_newer_than_hopper_though_its_text_is_smaller() -> None:
    assert B200.capability > H100.capability
    assert Algorithm.NVFP4 in usable_algorithms(ENGINE_IMAGE, EngineRuntime.PYTORCH, B200.capability)
    assert Algorithm.NVFP4 not in usable_algorithms(ENGINE_IMAGE, EngineRuntime.PYTORCH, H100.capability)
    assert Algorithm.FP8 not in usable_algorithms(ENGINE_IMAGE, EngineRuntime.PYTORCH, A100.capability)
    assert L4.sm == "SM89"


def test_products_are_found_by_their_whole_name() -> None:
    assert product_named("NVIDIA-A10") != product_named("NVIDIA-A100-SXM4-80GB")
    assert product_named("NVIDIA-A1") is None
    assert len({product.name for product in PRODUCTS}) == len(PRODUCTS)
    assert list(PRODUCTS) == sorted(PRODUCTS, key=lambda product: product.memory_mib)


def test_a_node_is_what_its_labels_say() -> None:
    assert gpu_node("a", H100_LABELS) == GpuNode("a", H100, 8, None)


def test_broken_gpus_are_not_offered() -> None:
    found = gpu_node("a", H100_LABELS, allocatable=7)
    assert found is not None
    assert found.count == 7


def test_a_known_product_needs_no_other_label() -> None:
    assert gpu_node("a", {PRODUCT: "NVIDIA-L4", COUNT: "1"}) == GpuNode("a", L4, 1)


def test_the_labels_overrule_the_table() -> None:
    found = gpu_node("a", {**H100_LABELS, MEMORY: "65247"})
    assert found is not None
    assert found.gpu.memory_mib == 65247


@pytest.mark.parametrize(
    "labels",
    [
        {},
        {COUNT: "8"},
        {PRODUCT: "NVIDIA-A1000000", COUNT: "8"},
        {PRODUCT: "NVIDIA-A100-SXM4-80GB-MIG-1g.10gb", COUNT: "7"},
        {PRODUCT: "NVIDIA-Unheard-Of", MEMORY: "many", MAJOR: "9", MINOR: "0"},
    ],
)
def test_a_node_that_does_not_say_what_it_has_is_left_out(labels: dict[str, str]) -> None:
    assert gpu_node("a", labels) is None


def test_a_mig_slice_has_its_own_memory_and_joins_no_other() -> None:
    labels = {**H100_LABELS, PRODUCT: "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb", MEMORY: "9984", COUNT: "7"}
    found = gpu_node("a", labels)
    assert found is not None
    assert (found.gpu.mig, found.gpu.whole, found.gpu.usable_mib, found.count) == (True, False, 9984, 7)


@pytest.mark.parametrize(("replicas", "usable", "offered"), [("4", 20389, 32), (None, 40779, 16)])
def test_a_shared_gpu_promises_a_share_of_its_memory(replicas: str | None, usable: int, offered: int) -> None:
    labels = {**H100_LABELS, PRODUCT: "NVIDIA-H100-80GB-HBM3-SHARED"}
    if replicas:
        labels["nvidia.com/gpu.replicas"] = replicas
    found = gpu_node("a", labels)
    assert found is not None
    assert (found.gpu.whole, found.gpu.usable_mib, found.count) == (False, usable, offered)


def test_an_inventory_has_each_kind_once_smallest_first() -> None:
    found = inventory(
        [
            ("a", H100_LABELS, None),
            ("b", H100_LABELS, 4),
            ("c", {PRODUCT: "NVIDIA-L4", COUNT: "1"}, None),
            ("cpu", {"kubernetes.io/arch": "amd64"}, None),
            ("d", H100_LABELS, 0),
        ]
    )
    assert found.kinds() == (L4, H100)
    assert found.counts(H100) == (8, 4)
    assert found.counts(GpuKind("NVIDIA-H100", 81559, (9, 0))) == ()
