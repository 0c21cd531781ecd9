"""`make generate` runs this: it writes tests/unit/operator/golden/*.yaml anew, to be read in the diff.

Every manifest that the operator makes for a few resources: the demo's, one with all that a user may set, engines.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

from support.domain_world import INT8, World, fetch_result, quantize_result
from support.engine_world import IMAGE, engine_of_source, make_engine, nodes, unquantized
from trtllm_operator.manifests.builder_settings import BuilderSettings

GOLDEN = Path(__file__).resolve().parents[1] / "unit" / "operator" / "golden"
_SERVER_FIELDS = ("creationTimestamp", "generation")


def demo() -> World:
    """The model of examples/smollm2, on a CPU."""
    world = World()
    world.model()
    world.engine()
    world.make_ready()
    world.settle(kind="EngineBuild")
    return world


def everything() -> World:
    """A GPU, a hub source with a token, data sets, a pod template, an air-gapped installation."""
    settings = BuilderSettings(
        image="registry.example/trtllm-builder:1",
        pull_policy="Always",
        pull_secrets=("installation",),
        env=(("HF_ENDPOINT", "http://hub.example"),),
        storage_class="fast",
    )
    world = World(settings=settings)
    world.put("ConfigMap", {"metadata": {"name": "texts"}, "data": {"ours.txt": "hello"}})
    template = {
        "labels": {"kueue.x-k8s.io/queue-name": "gpus", "trtllm.dev/resource": "not-yours"},
        "annotations": {"example.com/team": "llm"},
        "nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "resources": {"requests": {"memory": "64Gi"}, "limits": {"nvidia.com/gpu": "2"}},
        "env": [{"name": "OMP_NUM_THREADS", "value": "8"}],
        "priorityClassName": "batch",
        "runtimeClassName": "nvidia",
        "serviceAccountName": "builder",
        "imagePullSecrets": [{"name": "mine"}],
    }
    world.model(
        device="GPU",
        source={"huggingFace": {"repo": "org/model", "tokenSecretRef": {"name": "hf", "key": "token"}}},
        quantization={"method": "FP8", "kvCache": "FP8"},
        calibration={"dataset": {"configMap": {"name": "texts", "key": "ours.txt"}}, "samples": 64},
        quality={
            "evaluation": {"dataset": {"huggingFace": {"repo": "org/held-out", "tokenSecretRef": {"name": "hf"}}}},
            "canaries": [{"prompt": "What is the capital of France?", "contains": "Paris"}],
        },
        storage={"claimName": "models", "size": "1Ti", "accessMode": "ReadWriteOnce"},
        podTemplate=template,
    )
    world.settle()
    world.finish("fetch", fetch_result())
    world.settle()
    world.finish("quantize", quantize_result(INT8))
    world.settle()
    serving = {"replicas": 2, "servedModelName": "chat", "maxConcurrentRequests": 16, "podTemplate": template}
    world.engine(device="GPU", serving={**serving, "service": {"type": "NodePort", "port": 8080}})
    world.settle(kind="EngineBuild")
    return world


def two_nodes() -> World:
    """An engine of sixteen ranks: three Jobs, and servers of two nodes each."""
    world = World()
    nodes(world, 2)
    build = {"plugins": {"gemm": "auto"}, "kvCacheType": "Paged", "tokensPerBlock": 64, "gatherContextLogits": True}
    serving = {"chunkedPrefill": True, "kvCacheFraction": "0.85", "servedModelName": "chat"}
    storage = {"claimName": "engines", "size": "1Ti", "accessMode": "ReadWriteMany"}
    parallelism = {"tensor": 8, "pipeline": 2}
    convert = {"weightOnly": "INT8"}
    engine_of_source(world, parallelism=parallelism, storage=storage, convert=convert, build=build, serving=serving)
    make_engine(world, 16)
    return world


def pytorch() -> World:
    """trtllm-serve on a QuantizedModel's artifact, on one GPU."""
    world = World()
    nodes(world)
    unquantized(world)
    world.created.clear()
    serving = {"lora": {"adapters": [{"name": "legal", "claimName": "adapters", "path": "legal"}]}}
    world.engine(device="GPU", runtime="PyTorch", image=IMAGE, parallelism={"tensor": 1}, serving=serving)
    world.settle(kind="EngineBuild")
    return world


WORLDS = {"demo": demo, "everything": everything, "two-nodes": two_nodes, "pytorch": pytorch}


def manifests(world: World) -> dict[str, str]:
    """File names and contents of what the operator created."""
    return {f"{kind.lower()}-{name}.yaml": _text(world.get(kind, name)) for kind, name in world.created}


def _text(obj: dict[str, Any]) -> str:
    manifest = copy.deepcopy(obj)
    manifest.pop("status", None)
    manifest["metadata"] = {
        key: value for key, value in manifest["metadata"].items() if key not in _SERVER_FIELDS and key != "uid"
    }
    return yaml.safe_dump(manifest, sort_keys=False, width=120)


def main() -> None:
    """Write every world's directory; files that no world makes any more go."""
    for name, make in WORLDS.items():
        directory = GOLDEN / name
        directory.mkdir(parents=True, exist_ok=True)
        wanted = manifests(make())
        for old in directory.glob("*.yaml"):
            if old.name not in wanted:
                old.unlink()
        for file, text in wanted.items():
            (directory / file).write_text(text)


if __name__ == "__main__":
    main()
