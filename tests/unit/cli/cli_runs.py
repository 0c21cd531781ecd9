"""What a command did, documents to run it on, and golden outputs; the tests beside import it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from trtllm_api import API_VERSION

GOLDEN = Path(__file__).parent / "golden"
IMAGE = "nvcr.io/nvidia/tensorrt-llm/release:1.2.1"
H100S = "2x8xNVIDIA-H100-80GB-HBM3"


@dataclass(frozen=True)
class Ran:
    """One run of the program."""

    code: int
    out: str
    err: str


def engine(name: str = "engine", *, namespace: str = "", **spec: Any) -> dict[str, Any]:
    """An EngineBuild of a model on the hub, unless the spec names a QuantizedModel."""
    given_by = {} if "modelRef" in spec else {"source": {"huggingFace": {"repo": "org/model"}}}
    wanted = {"runtime": "TensorRT", "image": IMAGE, **given_by, **spec}
    return {"apiVersion": API_VERSION, "kind": "EngineBuild", "metadata": _metadata(name, namespace), "spec": wanted}


def quantized(name: str = "model", method: str = "FP8", *, namespace: str = "", **spec: Any) -> dict[str, Any]:
    """A QuantizedModel of a model on the hub."""
    wanted = {"source": {"huggingFace": {"repo": "org/model"}}, "quantization": {"method": method}, **spec}
    return {"apiVersion": API_VERSION, "kind": "QuantizedModel", "metadata": _metadata(name, namespace), "spec": wanted}


def _metadata(name: str, namespace: str) -> dict[str, str]:
    return {"name": name, "namespace": namespace} if namespace else {"name": name}


def written(*documents: Mapping[str, Any], name: str = "engine.yaml") -> str:
    """A file of documents in the working directory."""
    Path(name).write_text(yaml.safe_dump_all(documents))
    return name


def assert_golden(name: str, output: str) -> None:
    """The output as it is kept; GOLDEN=write keeps it anew."""
    file = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":
        file.write_text(output)
    assert output == file.read_text()
