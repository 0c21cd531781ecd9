"""Writes a request's report, as JSON and as a page, to reports/<request> on the claim.

Reports are not inside artifacts, because a refused request has a report as well, and a digest does not cover it.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch

from trtllm_api.contract import QuantizeRequest
from trtllm_api.digest import short
from trtllm_api.modelstatus import CandidatePlan
from trtllm_api.quantizedmodel import Checkpoint, CheckpointFormat
from trtllm_builder.quantize import modelopt_adapter
from trtllm_builder.quantize.evidence import Measured, Tried
from trtllm_builder.report import FreeAnswer, Mix, Report, ReportCandidate, report_html, report_json
from trtllm_builder.store import Store

HEX = 32


def report_directory(store: Store, request_digest: str) -> Path:
    """Directory of a request's report."""
    return store.root / "reports" / short(request_digest, HEX)


def write_report(
    store: Store,
    request_digest: str,
    title: str,
    request: QuantizeRequest,
    source: Measured,
    tried: Sequence[Tried],
    evaluation: str,
) -> str:
    """Write the report, and return the page's path relative to the claim."""
    directory = report_directory(store, request_digest)
    directory.mkdir(parents=True, exist_ok=True)
    report = _report(title, request, source, tried, evaluation)
    write_whole(directory / "report.json", report_json(report))
    write_whole(directory / "report.html", report_html(report))
    return store.relative(directory / "report.html")


def write_whole(path: Path, text: str) -> None:
    """Write under a temporary name and rename, so that readers never see an incomplete file."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.rename(path)


def _report(title: str, request: QuantizeRequest, source: Measured, tried: Sequence[Tried], evaluation: str) -> Report:
    gate, calibration = request.gate, request.calibration
    length = min(gate.sequence_length, gate.tokens)
    calibrated = any(modelopt_adapter.needs_calibration(attempt.plan) for attempt in tried)
    return Report(
        model=title,
        source_digest=request.source_digest,
        source_revision=None,
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        tools=modelopt_adapter.versions(),
        machine=_machine(),
        calibration=f"{calibration.samples} x {calibration.sequence_length} tokens" if calibrated else "not needed",
        evaluation=f"{source.measures.tokens} tokens of {evaluation}, {length} at a time",
        gate=gate,
        reference=source.measures,
        reference_size=source.bytes,
        candidates=tuple(_candidate(attempt, source, request.checkpoint) for attempt in tried),
        chosen=next((index for index, attempt in enumerate(tried) if attempt.usable), None),
    )


def _candidate(attempt: Tried, source: Measured, checkpoint: Checkpoint) -> ReportCandidate:
    measured, plan = attempt.measured, attempt.plan
    found, mix = attempt.explanation, attempt.proposal
    extra = {"explain": found.seconds} if found else {}
    extra |= {"mix": mix.seconds} if mix else {}
    question = measured.probe.prompt if measured and measured.probe else ""
    return ReportCandidate(
        label=str(plan.method),
        group_size=plan.group_size,
        options=_options(plan, checkpoint),
        measures=measured.measures if measured else None,
        size=measured.bytes if measured else None,
        seconds={**(measured.seconds if measured else {}), **extra},
        verdict=attempt.decision.verdict,
        reason=attempt.decision.reason,
        message=attempt.decision.message,
        answers=(FreeAnswer(question, source.free_text, measured.free_text),) if measured else (),
        mixed=bool(attempt.kept),
        explanation=attempt.explained,
        shares={"layer": found.layers, "kind": found.kinds} if found else {},
        mix=_mix(attempt),
    )


def _mix(attempt: Tried) -> Mix | None:
    proposal = attempt.proposal
    if proposal is None or proposal.measures is None:
        return None
    return Mix((*attempt.kept, *proposal.patterns), proposal.measures, proposal.bytes)


def _options(plan: CandidatePlan, checkpoint: Checkpoint) -> str:
    options = [
        f"kvCache {plan.kv_cache}" if plan.kv_cache else "",
        f"smoothQuantAlpha {plan.smooth_quant_alpha}" if plan.smooth_quant_alpha else "",
        f"{plan.auto.effective_bits} effective bits" if plan.auto else "",
        f"{', '.join(plan.exclude_modules)} excluded" if plan.exclude_modules else "",
        f"{checkpoint.format}, tensor {checkpoint.tensor}, pipeline {checkpoint.pipeline}"
        if checkpoint.format is CheckpointFormat.TENSORRT_LLM
        else "",
    ]
    return ", ".join(part for part in options if part)


def _machine() -> str:
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    return f"{torch.get_num_threads()} CPU threads, {platform.machine()}"
