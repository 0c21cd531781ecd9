"""A domain_world with GPU nodes, and what an engine's Jobs leave: for stories of the runtimes PyTorch and TensorRT."""

from __future__ import annotations

from typing import Any

from support.domain_world import DIGEST_B, World, fetch_result
from trtllm_api.contract import ArtifactResult, BuildResult, EngineResult, QuantizeResult
from trtllm_api.contract import Stage as JobStage
from trtllm_api.enginestatus import EngineLimits
from trtllm_api.modelstatus import CandidateStatus, Measures, Verdict
from trtllm_api.quantization import Method
from trtllm_planner.model_config.facts import facts_from_config

H100 = "NVIDIA-H100-80GB-HBM3"
L4 = "NVIDIA-L4"
IMAGE = "nvcr.io/nvidia/tensorrt-llm/release:1.2.1"
KIND = "EngineBuild"
DIGEST_E = "sha256:" + "e" * 64
LLAMA_70B = facts_from_config(
    {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "bfloat16",
        "num_hidden_layers": 80,
        "hidden_size": 8192,
        "intermediate_size": 28672,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "vocab_size": 128256,
        "max_position_embeddings": 8192,
    }
)
LIMITS = EngineLimits(
    max_batch_size=8, max_input_length=1024, max_sequence_length=2048, max_tokens=8192, max_beam_width=1
)


def nodes(
    world: World, count: int = 1, *, product: str = H100, gpus: int = 8, compute: str = "9.0", mib: int = 81559
) -> None:
    """GPU nodes as feature discovery labels them; those of before are gone."""
    for node in world.of("Node"):
        del world.objects[("Node", node["metadata"]["name"])]
    major, minor = compute.split(".")
    labels = {
        "nvidia.com/gpu.product": product,
        "nvidia.com/gpu.count": str(gpus),
        "nvidia.com/gpu.memory": str(mib),
        "nvidia.com/gpu.compute.major": major,
        "nvidia.com/gpu.compute.minor": minor,
    }
    for number in range(count):
        status = {"allocatable": {"nvidia.com/gpu": str(gpus)}}
        world.put("Node", {"metadata": {"name": f"gpu-{number}", "labels": labels}, "status": status})


def engine_of_source(world: World, name: str = "llama", **spec: Any) -> dict[str, Any]:
    """runtime TensorRT on an unquantized source."""
    wanted = {
        "source": {"persistentVolumeClaim": {"claimName": "weights", "path": "llama"}},
        "runtime": "TensorRT",
        "image": IMAGE,
        "device": "GPU",
        "limits": {"maxBatchSize": 8, "maxInputLength": 1024, "maxSequenceLength": 2048},
        "serving": {},
        **spec,
    }
    wanted = {key: value for key, value in wanted.items() if value is not None}
    return world.put(KIND, {"metadata": {"name": name}, "spec": wanted})


def unquantized(world: World, name: str = "smollm2") -> None:
    """A QuantizedModel of method None is ready."""
    world.model(name, device="GPU", quantization={"method": "None"}, quality={})
    world.settle(name)
    world.finish("fetch", fetch_result(), name)
    world.settle(name)
    passed = CandidateStatus(
        method=Method.NONE,
        measures=Measures(perplexity="25.98"),
        bytes=269_000_000,
        verdict=Verdict.PASSED,
        reason="Passed",
    )
    artifact = ArtifactResult(
        digest=DIGEST_B,
        path="artifacts/bbbb",
        bytes=269_000_000,
        method=Method.NONE,
        report="artifacts/bbbb/report.html",
    )
    result = QuantizeResult(reference=Measures(perplexity="25.98"), candidates=(passed,), artifact=artifact)
    world.finish("quantize", BuildResult(stage=JobStage.QUANTIZE, exit_code=0, quantize=result), name)
    world.settle(name)


def settled(world: World, name: str = "llama") -> dict[str, Any]:
    return world.settle(name, KIND)


def end_stage(world: World, stage: str, name: str = "llama", result: BuildResult | None = None) -> dict[str, Any]:
    """The stage's Job completes; an Indexed Job with all its pods."""
    job = next(j for j in world.of("Job") if j["metadata"]["name"].startswith(f"{name}-{stage}-") and "status" not in j)
    done = result or BuildResult(stage=JobStage(stage.capitalize()), exit_code=0)
    for index in range(job["spec"].get("completions", 1)):
        pod = world.pod(job)
        pod["metadata"]["annotations"] = {"batch.kubernetes.io/job-completion-index": str(index)}
        world.end_pod(pod, done.exit_code, done.to_termination_message().decode())
    world.end_job(job, "Complete" if done.exit_code == 0 else "Failed")
    return job


def published(world_size: int, digest: str = DIGEST_E, product: str = H100, compute: str = "9.0") -> BuildResult:
    engine = EngineResult(
        digest=digest,
        path=f"engines/{digest[7:39]}",
        bytes=142_000_000_000,
        version="1.2.1",
        product=product,
        compute_capability=compute,
        world=world_size,
        limits=LIMITS,
    )
    return BuildResult(stage=JobStage.PUBLISH, exit_code=0, engine=engine)


def make_engine(
    world: World, ranks: int, name: str = "llama", digest: str = DIGEST_E, **published_as: Any
) -> dict[str, Any]:
    """All Jobs of an engine, whatever is left of them, end well."""
    settled(world, name)
    for stage in ("fetch", "convert", "build", "publish"):
        if any(j["metadata"]["name"].startswith(f"{name}-{stage}-") and "status" not in j for j in world.of("Job")):
            result = {"fetch": fetch_result(LLAMA_70B), "publish": published(ranks, digest, **published_as)}.get(stage)
            end_stage(world, stage, name, result)
            settled(world, name)
    return settled(world, name)


def groups_ready(world: World, ready: int = 1, name: str = "llama") -> None:
    """The LeaderWorkerSet's controller has done its work, and the leaders answer."""
    lws = world.get("LeaderWorkerSet", f"{name}-servers")
    template = lws["spec"]["leaderWorkerTemplate"]["leaderTemplate"]
    wanted = lws["spec"]["replicas"]
    lws["status"] = {"replicas": wanted, "readyReplicas": ready, "updatedReplicas": wanted}
    for number in range(wanted):
        answers = {"type": "Ready", "status": "True" if number < ready else "False"}
        labels = {**template["metadata"]["labels"], "leaderworkerset.sigs.k8s.io/name": f"{name}-servers"}
        meta = {"name": f"{name}-servers-{number}", **template["metadata"], "labels": labels}
        world.put(
            "Pod", {"metadata": meta, "spec": template["spec"], "status": {"phase": "Running", "conditions": [answers]}}
        )
