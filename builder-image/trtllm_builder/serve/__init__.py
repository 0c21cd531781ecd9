"""Serves one artifact over OpenAI's HTTP API with transformers: `python -m trtllm_builder serve`."""

from __future__ import annotations

from trtllm_builder.serve.main import main

__all__ = ["main"]
