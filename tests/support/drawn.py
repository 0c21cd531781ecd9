"""Numbers for the weights of test models: the same to the bit on every machine, which torch.randn does not promise."""

from __future__ import annotations

import hashlib
import math

import torch


def drawn(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """Numbers from -1 to below 1 in steps of 1/128, evenly spread; SHAKE-256 of the name gives them."""
    stream = bytearray(hashlib.shake_256(name.encode()).digest(math.prod(shape)))
    return torch.frombuffer(stream, dtype=torch.int8).reshape(shape).float() / 128
