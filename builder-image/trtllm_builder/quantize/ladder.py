"""The ladder: candidates in their order until the gate lets one ship; what is refused leaves only its measurements."""

from __future__ import annotations

import functools
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from trtllm_api.base import Device
from trtllm_api.contract import ArtifactResult, ExitCode, FailureReason, QuantizeRequest, QuantizeResult
from trtllm_api.digest import digest_of, short
from trtllm_api.manifest import ArtifactKind
from trtllm_api.quantizedmodel import CandidatePlan, CheckpointFormat, Method, Verdict
from trtllm_builder.checkpoint import load_tokenizer
from trtllm_builder.datasets import load_texts
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.gate import GateDecision, decide, to_measures
from trtllm_builder.progress import Progress
from trtllm_builder.quantize import modelopt_adapter
from trtllm_builder.quantize.candidate import Bench, examine, make, measure_reference
from trtllm_builder.quantize.evaluation import Reference
from trtllm_builder.quantize.evidence import Evidence, Measured, Tried
from trtllm_builder.quantize.reporting import HEX, write_report
from trtllm_builder.quantize.threads import use_all_processors
from trtllm_builder.quantize.windows import Windows, cut
from trtllm_builder.store import Store, read_artifact

_RECIPE = 1
"""Raised with every change here that makes other bytes from the same inputs."""
_SEARCH = 2
"""Likewise, of Auto's search alone."""
_EXPORT_PERCENT = 110
"""A candidate is never larger than its source; a little room for scales and metadata."""
_RANKS_PERCENT = 250
"""Of a TensorRT-LLM checkpoint: its head is not tied, and weight-only layers are exported twice."""


@dataclass(frozen=True)
class _Run:
    """One request's places and parts."""

    request: QuantizeRequest
    digest: str
    title: str
    store: Store
    work: Path
    bench: Bench
    evidence: Evidence
    progress: Progress


def run_quantize(
    request: QuantizeRequest, store: Store, progress: Progress, request_digest: str, title: str
) -> QuantizeResult:
    """Measure the source, try the candidates, publish the first that may ship; `title` heads the report.

    Raises BuilderFailure QualityRefused with everything measured when none may, and the last candidate's own failure
    when none could be made.
    """
    use_all_processors()
    work = store.work(request_digest)
    bench = _bench(request, progress)
    run = _Run(request, request_digest, title, store, work, bench, Evidence(work), progress)
    source = _measure_source(run)
    tried: list[Tried] = []
    failure: BuilderFailure | None = None
    for plan in request.candidates:
        inputs = _inputs(run, plan)
        directory = work / short(digest_of(inputs), 16)
        try:
            measured, reused = _measure(run, source, plan, inputs, directory)
        except BuilderFailure as error:
            if error.exit_code is ExitCode.TRANSIENT:
                raise
            failure = error
            decision = GateDecision(Verdict.FAILED, str(error.reason), error.message)
            tried.append(Tried(plan, decision, None))
            shutil.rmtree(directory, ignore_errors=True)
            continue
        tried.append(Tried(plan, decide(source.measures, measured.measures, request.gate), measured))
        progress.say(f"{plan.method}: {tried[-1].decision.verdict}: {tried[-1].decision.message}")
        if tried[-1].usable:
            artifact = _publish(run, tried[-1], inputs, directory, reused=reused)
            return _finish(run, source, tried, artifact)
        shutil.rmtree(directory, ignore_errors=True)
    result = _finish(run, source, tried, None)
    if failure is not None and all(attempt.measured is None for attempt in tried):
        failure.quantize = result
        raise failure
    raise _refused(run, tried, result)


def _bench(request: QuantizeRequest, progress: Progress) -> Bench:
    source = Path(request.source_path)
    with progress.step("VerifyingSource"):
        read_artifact(Path(request.source_manifest).parent, files_at=source)
    device = "cuda" if request.device is Device.GPU else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise BuilderFailure(
            ExitCode.TRANSIENT,
            FailureReason.INTERNAL_ERROR,
            "The pod has no usable GPU, although spec.device is GPU.",
            "Check the node's driver and device plugin, or set spec.device: CPU. It is tried again.",
        )
    tokenizer = load_tokenizer(source, trust_remote_code=request.trust_remote_code)
    gate, calibration = request.gate, request.calibration
    length = min(gate.sequence_length, gate.tokens)
    evaluation = cut(
        load_texts(gate.dataset, "evaluation"),
        tokenizer,
        count=gate.tokens // length,
        length=length,
        purpose="evaluation",
    )

    @functools.cache
    def calibration_windows() -> Windows:
        return cut(
            load_texts(calibration.dataset, "calibration"),
            tokenizer,
            count=calibration.samples,
            length=calibration.sequence_length,
            purpose="calibration",
        )

    if any(modelopt_adapter.needs_calibration(plan) for plan in request.candidates):
        # an unusable dataset is told before anything is computed
        calibration_windows()
    return Bench(request, source, device, tokenizer, evaluation, calibration_windows, progress)


def _measure_source(run: _Run) -> Measured:
    name = "source-" + short(digest_of(run.bench.evaluation.identity), 16)
    path = run.work / f"{name}.safetensors"
    known, reference = run.evidence.load(name), Reference.load(path)
    if known is not None and reference is not None:
        run.bench.reference = reference
        return known
    measured = measure_reference(run.bench)
    if run.bench.reference is not None:
        run.bench.reference.save(path)
    run.evidence.save(name, measured)
    return measured


def _inputs(run: _Run, plan: CandidatePlan) -> dict[str, object]:
    """Everything that changes the artifact's bytes; not the gate, which only decides whether they ship."""
    calibration = run.bench.calibration().identity if modelopt_adapter.needs_calibration(plan) else None
    checkpoint = run.request.checkpoint
    # artifacts of the usual format keep the digests that they had before there were others
    other = {} if checkpoint.format is CheckpointFormat.HUGGING_FACE else {"checkpoint": checkpoint.to_wire()}
    if plan.method is Method.AUTO:
        other["search"] = {"version": _SEARCH}
    return {
        "recipe": _RECIPE,
        "source": run.request.source_digest,
        "candidate": plan.to_wire(),
        "calibration": calibration and {**calibration, "batchSize": run.request.calibration.batch_size},
        "device": str(run.request.device),
        "tools": modelopt_adapter.versions(),
        **other,
    }


def _measure(
    run: _Run, source: Measured, plan: CandidatePlan, inputs: dict[str, object], directory: Path
) -> tuple[Measured, bool]:
    """The candidate's measurements, and whether its files were published before."""
    published = run.store.lookup(digest_of(inputs), ArtifactKind.QUANTIZED_CHECKPOINT)
    known = run.evidence.load(directory.name)
    if known is not None and (published is not None or directory.exists()):
        return known, published is not None
    if published is not None:
        measured = examine(run.bench, source, published.directory, {})
    else:
        percent = _RANKS_PERCENT if run.request.checkpoint.format is CheckpointFormat.TENSORRT_LLM else _EXPORT_PERCENT
        run.store.require_space(source.bytes * percent // 100, f"A {plan.method} candidate")
        seconds = make(run.bench, plan, directory)
        measured = examine(run.bench, source, directory, seconds)
    run.evidence.save(directory.name, measured)
    return measured, published is not None


def _publish(run: _Run, tried: Tried, inputs: dict[str, object], directory: Path, *, reused: bool) -> ArtifactResult:
    if tried.measured is None:
        raise ValueError("only what was measured is published")
    digest = digest_of(inputs)
    kind = ArtifactKind.QUANTIZED_CHECKPOINT
    if not reused:
        files = [path for path in directory.iterdir() if not path.name.startswith(".")]
        with run.progress.step("Publishing"), run.store.publish(inputs, kind) as draft:
            draft.probe = tried.measured.probe
            for path in files:
                path.rename(draft.directory / path.name)
    target = run.store.directory(digest, kind)
    return ArtifactResult(
        digest=digest,
        path=run.store.relative(target),
        bytes=read_artifact(target).bytes,
        method=tried.plan.method,
        group_size=tried.plan.group_size,
        report="",
        reused=reused,
    )


def _finish(run: _Run, source: Measured, tried: list[Tried], artifact: ArtifactResult | None) -> QuantizeResult:
    report = write_report(
        run.store, run.digest, run.title, run.request, source, tuple(tried), run.bench.evaluation.name
    )
    run.store.finish(run.digest)
    return QuantizeResult(
        reference=to_measures(source.measures),
        candidates=tuple(attempt.status(source.measures) for attempt in tried),
        artifact=artifact and artifact.model_copy(update={"report": report}),
    )


def _refused(run: _Run, tried: list[Tried], result: QuantizeResult) -> BuilderFailure:
    told = "; ".join(f"{attempt.plan.method}: {attempt.decision.message}" for attempt in tried)
    return BuilderFailure(
        ExitCode.QUALITY_REFUSED,
        FailureReason.QUALITY_REFUSED,
        f"The quality gate refused every candidate. {told}",
        "Choose a gentler method or a smaller group size, name fallbacks, or raise the limits in spec.quality; "
        f"the report is reports/{short(run.digest, HEX)}/report.html on the claim.",
        quantize=result,
    )
