"""Tries the candidates in order until the gate accepts one. Of a refused candidate only the measurements remain."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from pathlib import Path

import torch

from trtllm_api.base import Device
from trtllm_api.contract import ArtifactResult, ExitCode, QuantizeRequest, QuantizeResult
from trtllm_api.digest import digest_of, short
from trtllm_api.modelstatus import CandidatePlan, Verdict
from trtllm_api.quantization import Method
from trtllm_api.reasons import Reason
from trtllm_builder.checkpoint import load_tokenizer
from trtllm_builder.datasets import load_texts
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.gate import GateDecision, decide, to_measures
from trtllm_builder.progress import Progress
from trtllm_builder.quantize import modelopt_adapter
from trtllm_builder.quantize.attempt import Files, Run, measured_of, publish
from trtllm_builder.quantize.candidate import Bench, measure_reference
from trtllm_builder.quantize.evaluation import Reference
from trtllm_builder.quantize.evidence import Evidence, Measured, Tried
from trtllm_builder.quantize.finished import finished, keep
from trtllm_builder.quantize.refusals import look_into, mixed
from trtllm_builder.quantize.reporting import HEX, write_report
from trtllm_builder.quantize.threads import use_all_processors
from trtllm_builder.quantize.windows import Windows, cut
from trtllm_builder.store import Store, read_artifact


def run_quantize(
    request: QuantizeRequest, store: Store, progress: Progress, request_digest: str, title: str
) -> QuantizeResult:
    """Measure the source, try the candidates, and publish the first accepted one; `title` is the report's.

    Raises BuilderFailure QualityRefused with all measurements if none is accepted, and the last candidate's failure if
    none could be made.
    """
    known = finished(store, request_digest)
    if known is not None:
        progress.say("An equal request was finished before. Its artifact is used.")
        return known
    use_all_processors()
    work = store.work(request_digest)
    bench = _bench(request, progress)
    run = Run(request, request_digest, title, store, work, bench, Evidence(work), progress)
    source = _measure_source(run)
    tried: list[Tried] = []
    best: _Kept | None = None
    failure: BuilderFailure | None = None
    for number, asked in enumerate(request.candidates):
        try:
            files, attempt = _try(run, source, asked, tried)
        except BuilderFailure as error:
            if error.exit_code is ExitCode.TRANSIENT:
                raise
            failure = error
            tried.append(Tried(asked, GateDecision(Verdict.FAILED, error.reason, error.message), None))
            continue
        progress.say(f"{attempt.plan.method}: {attempt.decision.verdict}: {attempt.decision.message}")
        if attempt.usable:
            tried.append(attempt)
            result = _finish(run, source, tried, publish(attempt, files))
            keep(store, request_digest, result)
            return result
        mix = any(later.method is Method.MIXED for later in request.candidates[number + 1 :])
        tried.append(look_into(files.refused(attempt, source), mix=mix))
        best = _better(best, _Kept(len(tried) - 1, files, _divergence(tried[-1])))
    if best is not None:
        tried[best.index] = look_into(best.files.refused(tried[best.index], source), mix=True)
        best.files.remove()
    result = _finish(run, source, tried, None)
    if failure is not None and all(attempt.measured is None for attempt in tried):
        failure.quantize = result
        raise failure
    raise _refused(run, tried, result)


def _try(run: Run, source: Measured, asked: CandidatePlan, tried: list[Tried]) -> tuple[Files, Tried]:
    """Make the candidate and decide on it. Raises BuilderFailure if it cannot be made."""
    plan, kept = mixed(tried) if asked.method is Method.MIXED else (asked, ())
    files = Files(run, plan)
    try:
        measured = measured_of(files, source)
    except BuilderFailure as error:
        if error.exit_code is not ExitCode.TRANSIENT:
            files.remove()
        raise
    return files, Tried(plan, decide(source.measures, measured.measures, run.request.gate), measured, kept)


def _bench(request: QuantizeRequest, progress: Progress) -> Bench:
    source = Path(request.source_path)
    manifest = Path(request.source_manifest).parent
    files_at = None if source == manifest else source
    read_artifact(manifest, files_at=files_at, progress=progress, step="VerifyingSource")
    device = "cuda" if request.device is Device.GPU else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise BuilderFailure(
            ExitCode.TRANSIENT,
            Reason.INTERNAL_ERROR,
            "spec.device is GPU, but the pod has no usable GPU.",
            "Check the node's driver and device plugin, or set spec.device to CPU. The Job is retried.",
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
        # report an unusable dataset before any computation
        calibration_windows()
    return Bench(request, source, device, tokenizer, evaluation, calibration_windows, progress)


def _measure_source(run: Run) -> Measured:
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


@dataclass(frozen=True)
class _Kept:
    """A refused candidate whose files are kept until the end, for a mix of it."""

    index: int
    files: Files
    divergence: float


def _divergence(attempt: Tried) -> float:
    value = attempt.measured.measures.kl_divergence if attempt.measured else None
    return value if value is not None and math.isfinite(value) and attempt.explanation else math.inf


def _better(best: _Kept | None, new: _Kept) -> _Kept | None:
    """The candidate with the smaller divergence; the files of the other one are removed."""
    if new.divergence == math.inf or (best is not None and best.divergence <= new.divergence):
        new.files.remove()
        return best
    if best is not None:
        best.files.remove()
    new.files.run.spare[:] = [new.files.directory]
    return new


def _finish(run: Run, source: Measured, tried: list[Tried], artifact: ArtifactResult | None) -> QuantizeResult:
    report = write_report(
        run.store, run.digest, run.title, run.request, source, tuple(tried), run.bench.evaluation.name
    )
    run.store.finish(run.digest)
    return QuantizeResult(
        reference=to_measures(source.measures),
        candidates=tuple(attempt.status(source.measures) for attempt in tried),
        artifact=artifact and artifact.model_copy(update={"report": report}),
    )


def _refused(run: Run, tried: list[Tried], result: QuantizeResult) -> BuilderFailure:
    decisions = "; ".join(f"{attempt.plan.method}: {attempt.decision.message}" for attempt in tried)
    return BuilderFailure(
        ExitCode.QUALITY_REFUSED,
        Reason.QUALITY_REFUSED,
        f"The quality gate refused every candidate. {decisions}",
        "Choose a method with less loss or a smaller groupSize, add spec.quality.fallbacks, or relax the limits in "
        f"spec.quality. The report is reports/{short(run.digest, HEX)}/report.html on the claim.",
        quantize=result,
    )
