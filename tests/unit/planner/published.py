"""Record of a public model: its config.json, its published size, and the bytes that it keeps of a token.

Fields as published, those that change neither shapes nor caches left out. Parameters are those that the model's page on
Hugging Face or its paper says, layers that only predict further tokens left out (the page of DeepSeek-V3 says 671B and
14B of them). Bytes of a token's keys and values, in 16 bits, are counted by hand from the model's own description.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Published:
    """A public model."""

    config: dict[str, Any]
    billions: float
    """Parameters."""
    token: int
    """Bytes in the KV cache: layers x heads x (key + value) x 2, as the comment says."""
    source: str
