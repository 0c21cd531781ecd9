"""Quantizes a source: measures it, then tries the candidates until the gate accepts one.

Importing this package imports torch and transformers.
"""

from __future__ import annotations

from trtllm_builder.quantize.ladder import run_quantize

__all__ = ["run_quantize"]
