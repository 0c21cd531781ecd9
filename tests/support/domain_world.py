"""A small world for the domain's tests: resources and children as dicts, reconciled by the controllers' own code.

It plays the reconcile loop, and what Kubernetes does to Jobs and Deployments when a test says so; it decides nothing.
"""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from trtllm_api.contract import ArtifactResult, BuildResult, FetchResult, ProgressLine, QuantizeResult
from trtllm_api.contract import Stage as JobStage
from trtllm_api.facts import LinearShape, ModelFacts
from trtllm_api.modelstatus import CandidateStatus, Measures, Verdict
from trtllm_api.quantization import Method
from trtllm_api.reasons import Reason
from trtllm_operator.enginebuild import controller as enginebuild
from trtllm_operator.kube.client import KubeClient
from trtllm_operator.kube.resources import Resource
from trtllm_operator.loop.cache import Cache
from trtllm_operator.loop.controller import AnyController
from trtllm_operator.loop.world import World as LoopWorld
from trtllm_operator.manifests.builder_settings import BuilderSettings
from trtllm_operator.outcomes.evidence import Evidence
from trtllm_operator.quantizedmodel import controller as quantizedmodel
from trtllm_operator.shared.steps import Apply, Delete, ReadLogs, Scale

SETTINGS = BuilderSettings(image="registry.example/trtllm-builder:1")
SMOLLM2 = ModelFacts(
    architecture="LlamaForCausalLM",
    model_type="llama",
    parameters=134_515_008,
    bytes=269_060_552,
    dtype="bfloat16",
    layers=30,
    hidden_size=576,
    intermediate_size=1536,
    heads=9,
    key_value_heads=3,
    head_dim=64,
    vocabulary_size=49152,
    max_position_embeddings=8192,
    tied_embeddings=True,
    chat_template=True,
    linears=(
        LinearShape(name="model.layers.*.self_attn.q_proj", out_features=576, in_features=576, count=30),
        LinearShape(name="model.layers.*.self_attn.k_proj", out_features=192, in_features=576, count=30),
        LinearShape(name="model.layers.*.self_attn.v_proj", out_features=192, in_features=576, count=30),
        LinearShape(name="model.layers.*.self_attn.o_proj", out_features=576, in_features=576, count=30),
        LinearShape(name="model.layers.*.mlp.gate_proj", out_features=1536, in_features=576, count=30),
        LinearShape(name="model.layers.*.mlp.up_proj", out_features=1536, in_features=576, count=30),
        LinearShape(name="model.layers.*.mlp.down_proj", out_features=576, in_features=1536, count=30),
    ),
)
DIGEST_A = "sha256:" + "a" * 64
DIGEST_B = "sha256:" + "b" * 64
REFERENCE = Measures(perplexity="25.9812", canaries="1/1")
INT4 = CandidateStatus(
    method=Method.INT4_WEIGHT_ONLY,
    group_size=64,
    measures=Measures(perplexity="39.1534", kl_divergence="0.43", top_token_agreement="71.2%", canaries="1/1"),
    perplexity_change="+50.7%",
    bytes=98_000_000,
    verdict=Verdict.REFUSED,
    reason="PerplexityTooHigh",
    message="perplexity 39.15 against 25.98",
)
INT8 = CandidateStatus(
    method=Method.INT8_WEIGHT_ONLY,
    measures=Measures(perplexity="26.0841", kl_divergence="0.002", top_token_agreement="97.9%", canaries="1/1"),
    perplexity_change="+0.4%",
    bytes=163_000_000,
    verdict=Verdict.PASSED,
    reason="Passed",
)


def fetch_result(facts: ModelFacts = SMOLLM2) -> BuildResult:
    return BuildResult(
        stage=JobStage.FETCH,
        exit_code=0,
        fetch=FetchResult(
            digest=DIGEST_A,
            path="smollm2-135m-instruct",
            manifest_path="sources/aaaa/manifest.json",
            bytes=269_060_552,
            facts=facts,
        ),
    )


def quantize_result(*candidates: CandidateStatus, digest: str = DIGEST_B) -> BuildResult:
    shipped = next(c for c in candidates if c.verdict in {Verdict.PASSED, Verdict.WARNED})
    return BuildResult(
        stage=JobStage.QUANTIZE,
        exit_code=0,
        quantize=QuantizeResult(
            reference=REFERENCE,
            candidates=candidates,
            artifact=ArtifactResult(
                digest=digest,
                path=f"artifacts/{digest[7:19]}",
                bytes=163_000_000,
                method=shipped.method,
                group_size=shipped.group_size,
                report=f"artifacts/{digest[7:19]}/report.html",
            ),
        ),
    )


def refused_result(*candidates: CandidateStatus) -> BuildResult:
    return BuildResult(
        stage=JobStage.QUANTIZE,
        exit_code=66,
        reason=Reason.QUALITY_REFUSED,
        message="the quality gate refused every candidate",
        remedy="loosen quality, or add fallbacks",
        quantize=QuantizeResult(reference=REFERENCE, candidates=candidates),
    )


CONTROLLERS: dict[str, AnyController] = {
    "QuantizedModel": quantizedmodel.QuantizedModelController(),
    "EngineBuild": enginebuild.EngineBuildController(),
}
INDEXES = {"QuantizedModel": quantizedmodel.INDEXES, "EngineBuild": enginebuild.INDEXES}


class _ApiServer:
    """Answers the reads that a pass makes, from the world's objects."""

    def __init__(self, objects: dict[tuple[str, str], dict[str, Any]], *, groups_served: bool) -> None:
        self._objects = objects
        self._groups_served = groups_served

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        found = self._objects.get((resource.kind, name))
        return None if found is None else {"kind": resource.kind, **found}

    async def serves(self, resource: Resource) -> bool:
        return self._groups_served

    async def list(self, *_: Any, **__: Any) -> AsyncIterator[dict[str, Any]]:
        for event in ():
            yield event

    async def log_tail(self, *_: Any) -> str:
        return ""


def _finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing: an event loop for each pass would cost more than the pass."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return ended.value
    raise AssertionError("it waits")


@dataclass
class World:
    now: datetime = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    settings: BuilderSettings = SETTINGS
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """By kind and name."""
    groups_served: bool = True
    """The cluster knows LeaderWorkerSets."""
    progress: ProgressLine | None = None
    evidence: Evidence = field(default_factory=Evidence)
    steps: tuple[Any, ...] = ()
    """Of the last pass."""
    created: list[tuple[str, str]] = field(default_factory=list)
    deleted: list[tuple[str, str]] = field(default_factory=list)

    # -- objects ------------------------------------------------------------------------------------------------
    def of(self, kind: str) -> list[dict[str, Any]]:
        return [obj for (k, _), obj in self.objects.items() if k == kind]

    def get(self, kind: str, name: str) -> dict[str, Any]:
        return self.objects[(kind, name)]

    def put(self, kind: str, obj: dict[str, Any]) -> dict[str, Any]:
        meta = obj["metadata"]
        old = self.objects.get((kind, meta["name"]))
        meta.setdefault("namespace", "default")
        meta.setdefault("uid", f"uid-{kind}-{meta['name']}")
        meta.setdefault("creationTimestamp", self.now.strftime("%Y-%m-%dT%H:%M:%SZ"))
        meta["generation"] = (old["metadata"]["generation"] + 1) if old else 1
        self.objects[(kind, meta["name"])] = obj
        return obj

    def model(self, name: str = "smollm2", **spec: Any) -> dict[str, Any]:
        wanted = {
            "source": {"persistentVolumeClaim": {"claimName": "smollm2", "path": "smollm2-135m-instruct"}},
            "device": "CPU",
            "quantization": {"method": "INT4WeightOnly"},
            "quality": {"fallbacks": ["INT8WeightOnly"]},
            **spec,
        }
        return self.put("QuantizedModel", {"metadata": {"name": name}, "spec": wanted})

    def engine(self, name: str = "smollm2", **spec: Any) -> dict[str, Any]:
        wanted = {"modelRef": {"name": "smollm2"}, "device": "CPU", "serving": {}, **spec}
        return self.put("EngineBuild", {"metadata": {"name": name}, "spec": wanted})

    def change(self, kind: str, name: str = "smollm2", **spec: Any) -> None:
        obj = self.get(kind, name)
        obj["spec"] = {**obj["spec"], **spec}
        obj["metadata"]["generation"] += 1

    # -- the reconcile loop's part --------------------------------------------------------------------------------
    def observe(self, kind: str, name: str = "smollm2") -> Any:
        """The snapshot that the controller itself makes, of a cache and an API server that hold these objects."""
        cache = Cache(INDEXES)
        for (its_kind, _), obj in self.objects.items():
            cache.put({"kind": its_kind, **obj})
        api = _ApiServer(self.objects, groups_served=self.groups_served)
        seen = LoopWorld(cache, cast("KubeClient", api), self.settings)
        resource = cache.get(kind, "default", name)
        assert resource is not None
        gathered = _finished(CONTROLLERS[kind].gather(resource, seen, self.now))
        own = {"progress": self.progress} if self.progress is not None else {}
        children = replace(gathered.children, evidence=self.evidence, **own)
        return CONTROLLERS[kind].observe(replace(gathered, children=children))

    def reconcile(self, name: str = "smollm2", kind: str = "QuantizedModel") -> dict[str, Any]:
        """One pass: steps taken, status written. Returns the status."""
        controller = CONTROLLERS[kind]
        observed = self.observe(kind, name)
        state = controller.determine_state(observed)
        self.steps = controller.steps(observed, state)
        wire = controller.compute_status(observed, state, self.now).to_wire()
        for step in self.steps:
            if isinstance(step, Apply):
                made = copy.deepcopy(step.manifest)
                key = (made["kind"], made["metadata"]["name"])
                old = self.objects.get(key, {})
                if "status" in old:
                    made["status"] = old["status"]
                self.put(made["kind"], made)
                self.created.append(key)
            if isinstance(step, Scale):
                self.get(step.kind, step.name)["spec"]["replicas"] = step.replicas
            if isinstance(step, Delete):
                self.objects.pop((step.kind, step.name), None)
                self.deleted.append((step.kind, step.name))
                for pod in [p for p in self.of("Pod") if _controller_of(p) == step.name]:
                    del self.objects[("Pod", pod["metadata"]["name"])]
        status: dict[str, Any] = json.loads(json.dumps(wire))
        self.get(kind, name)["status"] = status
        return status

    def settle(self, name: str = "smollm2", kind: str = "QuantizedModel") -> dict[str, Any]:
        """Passes until nothing is applied or deleted and the status stays as it is."""
        for _ in range(10):
            before = copy.deepcopy(self.get(kind, name).get("status"))
            after = self.reconcile(name, kind)
            if after == before and not any(isinstance(s, Apply | Delete | Scale) for s in self.steps):
                return after
        raise AssertionError(f"does not settle: {self.steps}")

    # -- what Kubernetes and the builder do ---------------------------------------------------------------------
    def job(self, stage: str, name: str = "smollm2") -> dict[str, Any]:
        found = [j for j in self.of("Job") if j["metadata"]["name"].startswith(f"{name}-{stage}-")]
        assert len(found) == 1, [j["metadata"]["name"] for j in self.of("Job")]
        return found[0]

    def pod(self, job: dict[str, Any], phase: str = "Running", **status: Any) -> dict[str, Any]:
        name = f"{job['metadata']['name']}-{len(self.of('Pod'))}"
        spec = copy.deepcopy(job["spec"]["template"]["spec"])
        labels = job["spec"]["template"]["metadata"]["labels"]
        meta = {"name": name, "labels": labels, "ownerReferences": [controlled_by(job)]}
        return self.put("Pod", {"metadata": meta, "spec": spec, "status": {"phase": phase, **status}})

    def end_pod(self, pod: dict[str, Any], code: int, message: str = "", reason: str = "") -> None:
        end = {"exitCode": code, "message": message, "reason": reason or ("Completed" if code == 0 else "Error")}
        name = pod["spec"]["containers"][0]["name"]
        pod["status"] = {
            "phase": "Succeeded" if code == 0 else "Failed",
            "containerStatuses": [{"name": name, "state": {"terminated": end}}],
        }

    def end_job(self, job: dict[str, Any], kind: str, message: str = "") -> None:
        when = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {"type": kind, "status": "True", "lastTransitionTime": when, "message": message}
        job["status"] = {"conditions": [condition]}

    def finish(self, stage: str, result: BuildResult, name: str = "smollm2") -> None:
        """The stage's Job ends with this result."""
        job = self.job(stage, name)
        self.end_pod(self.pod(job), result.exit_code, result.to_termination_message().decode())
        self.end_job(job, "Complete" if result.exit_code == 0 else "Failed")

    def make_ready(self, name: str = "smollm2", digest: str = DIGEST_B) -> dict[str, Any]:
        self.settle(name)
        if any(j["metadata"]["name"].startswith(f"{name}-fetch-") and "status" not in j for j in self.of("Job")):
            self.finish("fetch", fetch_result(), name)
            self.settle(name)
        self.finish("quantize", quantize_result(INT4, INT8, digest=digest), name)
        return self.settle(name)

    def roll_out(self, ready: int, *, complete: bool = True, name: str = "smollm2-serve") -> None:
        """The Deployment's controller has done its work."""
        deployment = self.get("Deployment", name)
        wanted = deployment["spec"]["replicas"]
        deployment["status"] = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": wanted,
            "readyReplicas": ready,
            "availableReplicas": ready,
            "updatedReplicas": wanted if complete else 0,
        }

    def later(self, **delta: float) -> None:
        self.now += timedelta(**delta)

    def log_pods(self) -> list[str]:
        return [step.pod for step in self.steps if isinstance(step, ReadLogs)]


def controlled_by(obj: dict[str, Any]) -> dict[str, Any]:
    """The ownerReference of what the object controls."""
    return {"kind": "Any", "name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"], "controller": True}


def _controller_of(pod: dict[str, Any]) -> str | None:
    return next((ref["name"] for ref in pod["metadata"].get("ownerReferences") or ()), None)


def has(status: dict[str, Any], kind: str) -> bool:
    """There is a condition of that type."""
    return any(c["type"] == kind for c in status["conditions"])


def condition(status: dict[str, Any], kind: str) -> tuple[str, str, str]:
    """Status, reason and message of a condition that must be there."""
    (found,) = [c for c in status["conditions"] if c["type"] == kind]
    return found["status"], found["reason"], found.get("message", "")
