"""The quality report as a page of trtllm_report: numbers as texts, and values for charts."""

from __future__ import annotations

import trtllm_report as page
from trtllm_builder.gate import ModelMeasures, agreement_percent, change, percent, perplexity_increase
from trtllm_builder.report.model import Mix, Report, ReportCandidate
from trtllm_builder.report.numbers import agreement, canary_count, divergence, finite, fixed
from trtllm_report.numbers import NONE
from trtllm_report.page import report_html as page_html


def report_html(report: Report) -> str:
    """The page as HTML. Equal reports give equal texts."""
    return page_html(as_page(report))


def as_page(report: Report) -> page.Report:
    """The report with numbers as texts."""
    return page.Report(
        title=report.model,
        date=report.date,
        candidates=tuple(_candidate(report, candidate) for candidate in report.candidates),
        chosen=report.chosen,
        reference=_measures(report.reference, None),
        reference_size=report.reference_size,
        limits=_limits(report),
        facts=tuple(_facts(report)),
        notes=report.notes,
    )


def _candidate(report: Report, candidate: ReportCandidate) -> page.Candidate:
    measures = candidate.measures
    return page.Candidate(
        label=candidate.label,
        verdict=candidate.verdict,
        reason=candidate.reason,
        message=candidate.message,
        group_size=candidate.group_size,
        mixed=candidate.mixed,
        options=candidate.options,
        measures=_measures(measures, report.reference) if measures is not None else None,
        size=candidate.size,
        seconds=candidate.seconds,
        answers=tuple(page.Answer(item.prompt, item.source, item.candidate) for item in candidate.answers),
        explanation=candidate.explanation,
        shares=candidate.shares,
        mix=_mix(report, candidate.mix) if candidate.mix is not None else None,
    )


def _mix(report: Report, mix: Mix) -> page.Mix:
    return page.Mix(mix.exclude_modules, _measures(mix.measures, report.reference), mix.size)


def _measures(measures: ModelMeasures, reference: ModelMeasures | None) -> page.Measures:
    """Measures of a candidate, compared with the reference if there is one."""
    increase = perplexity_increase(reference, measures) if reference is not None else None
    share = agreement_percent(measures)
    return page.Measures(
        perplexity=page.Number(fixed(measures.perplexity), finite(measures.perplexity)),
        change=page.Number(change(reference, measures), None if increase is None else float(increase))
        if reference is not None
        else None,
        divergence=page.Number(divergence(measures), finite(measures.kl_divergence))
        if measures.kl_divergence is not None
        else None,
        agreement=page.Number(agreement(measures), None if share is None else float(share))
        if measures.top_token_agreement is not None
        else None,
        canaries=canary_count(measures),
        canary_answers=tuple(
            page.Canary(canary.prompt, canary.expected, canary.answer, canary.passed) for canary in measures.canaries
        ),
    )


def _limits(report: Report) -> page.Limits:
    gate = report.gate
    return page.Limits(
        page.Limit(float(percent(gate.max_perplexity_increase)), f"at most {gate.max_perplexity_increase}"),
        None
        if gate.max_kl_divergence is None
        else page.Limit(float(gate.max_kl_divergence), f"at most {gate.max_kl_divergence}"),
        page.Limit(float(percent(gate.min_top_token_agreement)), f"at least {gate.min_top_token_agreement}"),
    )


def _facts(report: Report) -> list[page.Fact]:
    """Facts that are needed to repeat the measurement."""
    gate = report.gate
    evaluated = f"{report.reference.tokens:,} of at most {gate.tokens:,}".replace(",", " ")
    return [
        page.Fact("Source digest", report.source_digest, identifier=True),
        page.Fact("Source revision", report.source_revision or NONE, identifier=True),
        page.Fact("Calibration", report.calibration),
        page.Fact("Evaluation", report.evaluation),
        page.Fact("Evaluated tokens", evaluated),
        page.Fact("Perplexity increase", f"at most {gate.max_perplexity_increase}"),
        page.Fact("KL divergence", f"at most {gate.max_kl_divergence}" if gate.max_kl_divergence else "no limit"),
        page.Fact("Top-token agreement", f"at least {gate.min_top_token_agreement}"),
        page.Fact("When the gate refuses", gate.on_failure.value),
        page.Fact("Machine", report.machine),
        *(page.Fact(tool, version, identifier=True) for tool, version in sorted(report.tools.items())),
    ]
