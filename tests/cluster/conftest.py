"""One real cluster of two nodes for all tests here: images, the operator from its chart, models on a claim."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "hack" / "cluster"))
sys.path.insert(0, str(Path(__file__).parent))

from clusterlib.cache import cached, key_of  # noqa: E402 - the packages lie beside
from clusterlib.client import Client  # noqa: E402
from clusterlib.environments import builder_tools, demo_model  # noqa: E402
from clusterlib.install import copy_to_claim, install_operator  # noqa: E402
from clusterlib.local import LocalCluster  # noqa: E402
from clusterlib.prepare import prepare  # noqa: E402
from clusterlib.settings import Settings  # noqa: E402
from leaderworkerset_double import custom_resource_definition  # noqa: E402
from world import MODELS, NAMESPACE, World  # noqa: E402

TEXTS = REPOSITORY / "builder-image" / "trtllm_builder" / "texts"
SUPPORT = REPOSITORY / "tests" / "support"
FOREIGN = {
    "autoawq-32": {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"},
    "compressed": {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "config_groups": {
            "group_0": {
                "targets": ["Linear"],
                "weights": {"num_bits": 4, "type": "int", "group_size": 64, "strategy": "group", "symmetric": True},
            }
        },
        "ignore": ["lm_head"],
    },
}
"""Configurations of checkpoints that nothing here reads: they are judged by these alone."""
SETTINGS = Settings(name="trtllm-test", index=1, nodes=2, gpus_per_node=8)


HUB_ENDPOINT = f"http://{SETTINGS.host_address}:8088"


@dataclass(frozen=True)
class Hub:
    """The stand-in for the Hugging Face hub, as pods see it."""

    endpoint: str
    root: Path


@pytest.fixture(scope="session")
def cluster() -> Iterator[LocalCluster]:
    prepare(local=True)
    cluster = LocalCluster(SETTINGS)
    cluster.down()
    cluster.up()
    yield cluster
    cluster.down()


@pytest.fixture(scope="session")
def images(cluster: LocalCluster) -> dict[str, str]:
    return cluster.images()


@pytest.fixture(scope="session")
def world(cluster: LocalCluster, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> World:
    client = Client(cluster, SETTINGS)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    for name in (NAMESPACE, "trtllm-system"):
        meta = {"name": name, "labels": labels}
        client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    # the stand-ins for hub and web server are inside the cluster's private network
    limits = {"TRTLLM_TOKEN_ORIGINS": HUB_ENDPOINT, "TRTLLM_SOURCE_NETWORKS": f"{SETTINGS.host_address}/32"}
    install_operator(client, images, *(f"builderImage.env.{name}={value}" for name, value in limits.items()))
    variants = tmp_path_factory.mktemp("variants")
    make_variants(tiny_model(), variants)
    copy_to_claim(client, MODELS, variants, "", images["operator"], namespace=NAMESPACE)
    return World(client)


@pytest.fixture(scope="session")
def engines(world: World, images: dict[str, str]) -> World:
    world.client.apply(custom_resource_definition())
    copy_to_claim(world.client, "engine-models", engine_models(), "", images["operator"], namespace=NAMESPACE)
    return world


@pytest.fixture(scope="session")
def double(cluster: LocalCluster) -> str:
    """NVIDIA's image, played."""
    return cluster.double("1.2.1")


@pytest.fixture(scope="session")
def smollm2(world: World, images: dict[str, str]) -> Path:
    model = demo_model()
    copy_to_claim(world.client, "smollm2", model, "smollm2-135m-instruct", images["operator"], namespace=NAMESPACE)
    return model


@pytest.fixture(scope="session")
def hub(cluster: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    root = tmp_path_factory.mktemp("hub")
    shutil.copytree(tiny_model(), root / "acme" / "tiny")
    shutil.copytree(tiny_model(), root / "acme" / "gated")
    (root / "acme" / "gated" / ".hub.json").write_text(
        json.dumps({"gated": True, "token": "hf_right", "other_tokens": ["hf_other"]})
    )
    program = REPOSITORY / "hack" / "hub_standin" / "hub_standin.py"
    command = [sys.executable, str(program), "--root", str(root), "--host", SETTINGS.host_address]
    arguments = ["--port", HUB_ENDPOINT.rpartition(":")[2], "--print-port"]
    process = subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    yield Hub(HUB_ENDPOINT, root)
    process.terminate()
    process.wait()


@pytest.fixture(scope="session")
def web(cluster: LocalCluster) -> Iterator[str]:
    """A plain web server with the tiny model's files."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(tiny_model()))
    server = ThreadingHTTPServer((SETTINGS.host_address, 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://{SETTINGS.host_address}:{server.server_port}/"
    server.shutdown()


def tiny_model() -> Path:
    """The tiny model, made once for these sources."""
    return _made("tiny-model")


def engine_model() -> Path:
    """One that eight GPUs and two stages can share."""
    return _made("engine-model", "--heads", "8", "--key-value-heads", "2", "--layers", "4")


def engine_models() -> Path:
    """That model, as quantizers of others than NVIDIA leave one, and two LoRA adapters of it."""
    tiny, program, adapter = engine_model(), SUPPORT / "packed_model.py", SUPPORT / "lora_adapter.py"

    def build(target: Path) -> None:
        target.mkdir()
        shutil.copytree(tiny, target / "tiny")
        for name, *how in (("gptq", "gptq"), ("gptq-reordered", "gptq", "--desc-act"), ("autoawq", "awq")):
            _run(program, "--model", str(tiny), "--output", str(target / name), "--tool", *how)
        for seed in ("1", "2"):
            place = str(target / "adapters" / seed)
            _run(adapter, "--model", str(tiny), "--output", place, "--rank", "4", "--seed", seed)
        for name, how in FOREIGN.items():
            shutil.copytree(target / "autoawq", target / name)
            path = target / name / "config.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": how}))

    return cached("engine-models", key_of(tiny / "model.safetensors", program, adapter, Path(__file__)), build)


def _made(name: str, *options: str) -> Path:
    program = SUPPORT / "tiny_model.py"
    return cached(
        name, key_of(program, SUPPORT / "drawn.py"), lambda target: _run(program, "--output", str(target), *options)
    )


def _run(program: Path, *options: str) -> None:
    """In the builder's environment, which has torch."""
    subprocess.run([str(builder_tools() / "bin" / "python"), str(program), *options], check=True, capture_output=True)


def make_variants(model: Path, root: Path) -> None:
    """The model, and what users bring by mistake."""
    for name in ("tiny", "lfs-pointer", "truncated", "no-tokenizer", "unknown-architecture"):
        shutil.copytree(model, root / name)
    (root / "texts").mkdir()
    (root / "texts" / "held-out.txt").write_text((TEXTS / "evaluation" / "Apache-2.0.txt").read_text())
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 269060552\n"
    (root / "lfs-pointer" / "model.safetensors").write_text(pointer)
    weights = root / "truncated" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])
    (root / "no-tokenizer" / "tokenizer.json").unlink()
    path = root / "unknown-architecture" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "model_type": "tomorrow", "architectures": ["TomorrowForCausalLM"]}))
