"""Quantize a source: measure it, then try the candidates until the gate passes one; run.py calls `run_quantize`.

Importing this package imports torch and transformers.
"""

from __future__ import annotations

from trtllm_builder.quantize.ladder import run_quantize

__all__ = ["run_quantize"]
