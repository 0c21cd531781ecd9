"""NVIDIA's data-center and workstation GPUs: their names in a cluster's labels, memory and compute capability.

The table is read if labels do not describe a GPU, and for remedies that name larger GPUs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from trtllm_planner.tensorrt_llm.versions import Capability


class GpuSource(StrEnum):
    """Source of a product's name and memory."""

    LABELS = "nvidia.com/gpu.product and gpu.memory of nodes in public issues and documents"
    DYNAMO = "the list of gpu-feature-discovery's names in NVIDIA Dynamo; memory from nvidia-smi in public logs"
    SMI = "name and memory from nvidia-smi in public logs; blanks become hyphens, as gpu-feature-discovery does"


@dataclass(frozen=True)
class GpuProduct:
    """A data-center or workstation GPU."""

    name: str
    """Name that gpu-feature-discovery writes, without suffixes."""
    memory_mib: int
    capability: Capability
    source: GpuSource

    @property
    def common(self) -> bool:
        """Whether it is widely sold for servers, so that remedies name it."""
        return self.name in _COMMON


_COMMON = frozenset(
    {
        *("NVIDIA-A10", "NVIDIA-L4", "NVIDIA-A100-SXM4-40GB", "NVIDIA-L40S", "NVIDIA-A100-SXM4-80GB"),
        *("NVIDIA-H100-80GB-HBM3", "NVIDIA-H100-NVL", "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", "NVIDIA-H200"),
        *("NVIDIA-B200", "NVIDIA-GB200", "NVIDIA-B300-SXM6-AC", "NVIDIA-GB300"),
    }
)


def _rows(source: GpuSource, capability: Capability, *products: tuple[str, int]) -> tuple[GpuProduct, ...]:
    return tuple(GpuProduct(name, memory, capability, source) for name, memory in products)


_LABELS, _DYNAMO, _SMI = GpuSource.LABELS, GpuSource.DYNAMO, GpuSource.SMI
_ALL = (
    *_rows(_DYNAMO, (7, 0), ("Tesla-V100-SXM2-16GB", 16384), ("Tesla-V100-PCIE-32GB", 32768)),
    *_rows(_SMI, (7, 0), ("Tesla-V100-SXM2-32GB", 32768), ("Tesla-V100-PCIE-16GB", 16384)),
    *_rows(_LABELS, (7, 5), ("Tesla-T4", 15360)),
    *_rows(_DYNAMO, (7, 5), ("Quadro-RTX-6000", 24576), ("Quadro-RTX-8000", 49152)),
    *_rows(
        _LABELS,
        (8, 0),
        ("NVIDIA-A100-SXM4-40GB", 40960),
        ("NVIDIA-A100-PCIE-40GB", 40960),
        ("NVIDIA-A100-SXM4-80GB", 81920),
        ("NVIDIA-A100-80GB-PCIe", 81920),
    ),
    *_rows(_DYNAMO, (8, 0), ("NVIDIA-A30", 24576)),
    *_rows(_SMI, (8, 0), ("NVIDIA-A800-SXM4-80GB", 81920), ("NVIDIA-A800-80GB-PCIe", 81920)),
    *_rows(_SMI, (8, 0), ("NVIDIA-A800-40GB-Active", 40960)),
    *_rows(_LABELS, (8, 6), ("NVIDIA-A10", 23028), ("NVIDIA-A10G", 23028), ("NVIDIA-A40", 46068)),
    *_rows(_DYNAMO, (8, 6), ("NVIDIA-A2", 15356), ("NVIDIA-A16", 15356)),
    *_rows(_DYNAMO, (8, 6), ("NVIDIA-RTX-A4000", 16376), ("NVIDIA-RTX-A5000", 24564), ("NVIDIA-RTX-A6000", 49140)),
    *_rows(_SMI, (8, 6), ("NVIDIA-RTX-A4500", 20470), ("NVIDIA-RTX-A5500", 24564)),
    *_rows(_LABELS, (8, 9), ("NVIDIA-L4", 23034), ("NVIDIA-L40S", 46068)),
    *_rows(
        _DYNAMO,
        (8, 9),
        ("NVIDIA-L2", 23034),
        ("NVIDIA-L20", 46068),
        ("NVIDIA-L40", 46068),
        ("NVIDIA-L40G", 23034),
    ),
    *_rows(
        _DYNAMO,
        (8, 9),
        ("NVIDIA-RTX-4500-Ada-Generation", 24570),
        ("NVIDIA-RTX-5000-Ada-Generation", 32760),
        ("NVIDIA-RTX-6000-Ada-Generation", 49140),
        ("NVIDIA-GeForce-RTX-4090", 24564),
    ),
    *_rows(_SMI, (8, 9), ("NVIDIA-RTX-4000-Ada-Generation", 20475)),
    *_rows(
        _LABELS,
        (9, 0),
        ("NVIDIA-H100-80GB-HBM3", 81559),
        ("NVIDIA-H100-PCIe", 81559),
        ("NVIDIA-H100-NVL", 95830),
        ("NVIDIA-H200", 143771),
    ),
    *_rows(
        _DYNAMO,
        (9, 0),
        ("NVIDIA-H20", 97871),
        ("NVIDIA-H20-3e", 143771),
        ("NVIDIA-H200-NVL", 143771),
        ("NVIDIA-GH200-120GB", 97871),
        ("NVIDIA-GH200-480GB", 97871),
    ),
    *_rows(_SMI, (9, 0), ("NVIDIA-H800", 81559), ("NVIDIA-GH200-144G-HBM3e", 147123)),
    *_rows(_LABELS, (10, 0), ("NVIDIA-GB200", 189471)),
    *_rows(_DYNAMO, (10, 0), ("NVIDIA-B200", 183359)),
    *_rows(_SMI, (10, 3), ("NVIDIA-B300-SXM6-AC", 275040), ("NVIDIA-GB300", 284208)),
    *_rows(_DYNAMO, (12, 0), ("NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", 97887)),
    *_rows(_DYNAMO, (12, 0), ("NVIDIA-RTX-PRO-4500-Blackwell-Server-Edition", 32623)),
    *_rows(
        _DYNAMO,
        (12, 0),
        ("NVIDIA-RTX-PRO-2000-Blackwell", 16311),
        ("NVIDIA-RTX-PRO-6000-Blackwell-Workstation-Edition", 97887),
        ("NVIDIA-GeForce-RTX-5090", 32607),
    ),
    *_rows(
        _SMI,
        (12, 0),
        ("NVIDIA-RTX-PRO-4000-Blackwell", 24467),
        ("NVIDIA-RTX-PRO-4500-Blackwell", 32623),
        ("NVIDIA-RTX-PRO-5000-Blackwell", 48935),
        ("NVIDIA-RTX-PRO-6000-Blackwell-Max-Q-Workstation-Edition", 97887),
    ),
)
PRODUCTS: tuple[GpuProduct, ...] = tuple(sorted(_ALL, key=lambda item: (item.memory_mib, item.name)))
"""Known products, the smallest memory first; memory in MiB, as nvidia-smi reports it."""


def product_named(name: str) -> GpuProduct | None:
    """The product of exactly this name; None if the table has none."""
    return next((product for product in PRODUCTS if product.name == name), None)
