"""Settings of the double, which tests set through the environment.

TRTLLM_DOUBLE_VERSION           version of TensorRT-LLM that it is a double of; the image sets it
TRTLLM_DOUBLE_GPUS              file that describes the node's GPUs, instead of /run/simulated-gpus.json
TRTLLM_DOUBLE_SECONDS           seconds that trtllm-build takes for each rank; half of its file is written before them
TRTLLM_DOUBLE_LEAVE_OUT         a rank that trtllm-build does not write, although it ends with exit code 0
TRTLLM_DOUBLE_LOAD_SECONDS      seconds that trtllm-serve takes before it answers
TRTLLM_DOUBLE_GENERATE_SECONDS  seconds that every token takes
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trtllm_planner.tensorrt_llm.versions import Version

PREFIX = "TRTLLM_DOUBLE_"
TENSORRT = {"0.20": "10.10.0.31", "1.0": "10.11.0.33", "1.2": "10.14.1.48"}
"""Version of TensorRT in each version of TensorRT-LLM."""


def version_text() -> str:
    """Value of `tensorrt_llm.__version__`."""
    return os.environ.get(f"{PREFIX}VERSION", "1.2.1")


def version() -> Version:
    """Version as a key for tables. Ends the program if the image has none."""
    # here, because ranks that only load need neither tables nor pydantic
    from trtllm_planner.tensorrt_llm.versions import parse_version

    found = parse_version(version_text())
    if found is None:
        raise SystemExit(f"the double: {PREFIX}VERSION is {version_text()!r}, which is no version")
    return found


def tensorrt_version(text: str) -> str:
    """Version of TensorRT in a version of TensorRT-LLM."""
    return TENSORRT.get(".".join(text.split(".")[:2]), f"10.0.{text}")


def seconds(name: str) -> float:
    """Number in TRTLLM_DOUBLE_<name>; 0 if it is not set."""
    return float(os.environ.get(f"{PREFIX}{name}", "0"))


def left_out() -> int | None:
    """Rank that is not written."""
    said = os.environ.get(f"{PREFIX}LEAVE_OUT", "")
    return int(said) if said else None
