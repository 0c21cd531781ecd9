"""Bytes of a linear layer in each format, with its scales: in files, and on a GPU."""

from __future__ import annotations

from trtllm_planner.tensorrt_llm.versions import BITS, GROUPED, Algorithm

PADDED = 128
"""Number whose multiples both sides of an MXFP4 weight are on a GPU."""


def gpu_bytes(inputs: int, outputs: int, algorithm: Algorithm, group: int) -> float:
    """Bytes of one layer's weights and scales in GPU memory."""
    if algorithm is Algorithm.MXFP4 and outputs > 1:
        inputs, outputs = _padded(inputs), _padded(outputs)
    return file_bytes(inputs, outputs, algorithm, group)


def file_bytes(inputs: int, outputs: int, algorithm: Algorithm, group: int) -> float:
    """Bytes of one layer's weights and scales in a checkpoint's files."""
    weights = inputs * outputs
    size = weights * BITS[algorithm] / 8
    if algorithm in GROUPED:
        size += weights / group * 2.5  # a 16-bit scale and a 4-bit zero point
    elif algorithm is Algorithm.NVFP4:
        size += weights / 16
    elif algorithm is Algorithm.MXFP4:
        size += weights / 32
    elif algorithm is Algorithm.FP8_BLOCK:
        size += weights / (128 * 128) * 4
    elif algorithm is not Algorithm.NONE:
        size += outputs * 4
    return size


def _padded(side: int) -> int:
    return -(-side // PADDED) * PADDED
