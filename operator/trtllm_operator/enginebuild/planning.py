"""preflight: the question to the planner, and its answer, which is decided once for a spec; pure."""

from __future__ import annotations

from dataclasses import dataclass

from trtllm_api.digest import digest_of
from trtllm_api.enginebuild import EngineBuildSpec, Runtime
from trtllm_api.enginestatus import EnginePlan
from trtllm_api.verdict import Verdict, judge, refusals
from trtllm_operator.enginebuild.checkpoint import Subject
from trtllm_operator.enginebuild.digests import engine_digest, engine_inputs
from trtllm_operator.enginebuild.observed import Observed
from trtllm_operator.kube.objects import dig
from trtllm_planner.decide import Decision, decide
from trtllm_planner.inventory import GpuKind, narrow
from trtllm_planner.question import EngineQuestion, EngineStamp
from trtllm_planner.rules import ENGINE_RULES
from trtllm_planner.spec_question import asked_layout, engine_question
from trtllm_planner.tensorrt_llm.gpus import product_named
from trtllm_planner.tensorrt_llm.layout import Layout

_LOOKS = ("replicas", "servedModelName", "service", "podTemplate", "maxConcurrentRequests", "sharedMemory")
"""Fields of spec.serving that decide nothing about GPUs."""


@dataclass(frozen=True)
class Preflight:
    """All verdicts; a plan unless one of them is a refusal."""

    plan: EnginePlan | None
    verdicts: tuple[Verdict, ...]
    would_fit: tuple[str, ...] = ()

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """The refusals, where there is no plan."""
        return refusals(self.verdicts) if self.plan is None else ()


def preflight(observed: Observed, spec: EngineBuildSpec, subject: Subject) -> Preflight:
    """The plan in status while all that it was decided from is the same, whatever nodes came or went; else a new one.

    The rules are judged anew all the same: what decides nothing about GPUs may still be wrong.
    """
    inputs, known = _inputs(spec, subject), observed.status.plan
    if known is not None and known.inputs == inputs:
        question = _question(observed, spec, subject, known)
        verdicts = judge(ENGINE_RULES, question)
        return Preflight(None if refusals(verdicts) else known, verdicts)
    question = _question(observed, spec, subject, None)
    found = decide(question, asked_layout(spec, subject.artifact), observed.inventory, spec.gpu)
    if isinstance(found, Decision):
        return Preflight(found.status(inputs), found.warnings)
    return Preflight(None, found.verdicts, found.would_fit)


def layout_of(plan: EnginePlan) -> Layout:
    """The plan's parallelism as the planner writes it."""
    return Layout(plan.tensor, plan.pipeline, plan.context, plan.moe_tensor, plan.moe_expert)


def _inputs(spec: EngineBuildSpec, subject: Subject) -> str:
    wire = spec.to_wire()
    parts = ("runtime", "image", "imageVersion", "gpu", "parallelism", "limits", "convert", "build")
    serving = wire.get("serving")
    if serving is not None and spec.runtime is Runtime.TENSORRT:
        # an engine is built for spec.limits: how it is served must not divide it anew
        serving = {"maxSequenceLength": serving.get("maxSequenceLength")}
    elif serving is not None:
        serving = {key: value for key, value in serving.items() if key not in _LOOKS}
    return digest_of({"model": subject.digest, "serving": serving, **{part: wire.get(part) for part in parts}})


def _question(observed: Observed, spec: EngineBuildSpec, subject: Subject, plan: EnginePlan | None) -> EngineQuestion:
    candidate = subject.candidate
    modes = dig(observed.claim, "spec", "accessModes") or [spec.storage.access_mode]
    return engine_question(
        spec,
        subject.facts,
        artifact=subject.artifact,
        kv_cache=candidate.kv_cache if candidate else None,
        exclude_modules=candidate.exclude_modules if candidate else (),
        access_mode="ReadWriteMany" if "ReadWriteMany" in modes else str(modes[0]),
        layout=layout_of(plan) if plan else None,
        gpu=_gpu(observed, spec, plan) if plan else None,
        gpus_per_node=plan.gpus_per_node if plan else None,
        stamp=_stamp(observed, spec, subject, plan) if plan else None,
    )


def _gpu(observed: Observed, spec: EngineBuildSpec, plan: EnginePlan) -> GpuKind | None:
    """The planned GPU as the cluster has it; from NVIDIA's table where its nodes are gone for now."""
    for kind in narrow(observed.inventory, spec.gpu).kinds():
        if kind.product == plan.product:
            return kind
    known = product_named(plan.product)
    return GpuKind(plan.product, known.memory_mib, known.capability) if known else None


def _stamp(observed: Observed, spec: EngineBuildSpec, subject: Subject, plan: EnginePlan) -> EngineStamp | None:
    """The stamp of the engine of this request, once it exists."""
    engine = observed.status.engine
    wanted = engine_digest(engine_inputs(observed, spec, subject, plan)) if engine is not None else None
    if engine is None or engine.request_digest != wanted:
        return None
    major, _, minor = engine.compute_capability.partition(".")
    return EngineStamp(
        version=engine.version,
        product=engine.product,
        capability=(int(major), int(minor or 0)),
        world=engine.world,
        rank_files=engine.world,
        limits=engine.limits,
    )
