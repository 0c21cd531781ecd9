"""Double of NVIDIA's package, as far as the operator's containers use it."""

from __future__ import annotations

from double_settings import version_text

__version__ = version_text()
print(f"[TensorRT-LLM] TensorRT-LLM version: {__version__} (a double)", flush=True)
