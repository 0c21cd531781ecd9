"""EngineBuilds of the engine tests: small, on simulated GPUs, of a model that sixteen ranks can share."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from support.cluster_world import World, eventually

SOURCE = {"persistentVolumeClaim": {"claimName": "engine-models", "path": "tiny"}}
STORE = {"claimName": "store-engines", "size": "2Gi", "accessMode": "ReadWriteMany"}
LIMITS = {"maxBatchSize": 4, "maxInputLength": 256, "maxSequenceLength": 512}
SMALL = {"requests": {"cpu": "20m", "memory": "300Mi"}, "limits": {"memory": "6Gi"}}
EB = "EngineBuild"


def build(
    world: World, name: str, image: str, *, seconds: int = 0, env: dict[str, str] | None = None, **spec: Any
) -> None:
    variables = {"TRTLLM_DOUBLE_SECONDS": str(seconds), **(env or {})}
    template = {"resources": SMALL, "env": [{"name": key, "value": value} for key, value in variables.items()]}
    wanted = {
        "source": SOURCE,
        "storage": STORE,
        "runtime": "TensorRT",
        "image": image,
        "limits": LIMITS,
        "podTemplate": template,
        **spec,
    }
    wanted = {key: value for key, value in wanted.items() if value is not None}
    if "serving" in wanted:
        wanted["serving"] = {"podTemplate": {"resources": SMALL}, **wanted["serving"]}
    world.apply("eb", "trtllm.dev/v1alpha1", EB, name, spec=wanted)


def running(world: World, name: str, stage: str) -> list[dict[str, Any]]:
    return [pod for pod in world.pods(name, stage) if pod["status"].get("phase") == "Running"]


def answer(world: World, name: str) -> str:
    """Once the Service's rules know of the servers, which may take a moment longer than their readiness."""
    eventually(lambda: _answers(world, name), f"an answer of {name}", 20)
    body = {"model": name, "prompt": "The licence", "max_tokens": 8, "temperature": 0}
    text: str = json.loads(world.ask(f"{name}-serve", "/v1/completions", body))["choices"][0]["text"]
    return text


def _answers(world: World, name: str) -> bool:
    with contextlib.suppress(OSError):
        return bool(world.ask(f"{name}-serve", "/v1/models"))
    return False


@contextlib.contextmanager
def engine(world: World, name: str, image: str, **spec: Any) -> Iterator[None]:
    """It is gone afterwards, with the GPUs that it held."""
    build(world, name, image, **spec)
    with released(world, name):
        yield


@contextlib.contextmanager
def released(world: World, *names: str) -> Iterator[None]:
    """EngineBuilds that were made before, side by side: they are gone afterwards, with the GPUs that they held."""
    try:
        yield
    finally:
        for name in names:
            world.delete("eb", name)
