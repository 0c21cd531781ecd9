"""The report's charts: each measurement of all candidates against its limit; page.py draws them."""

from __future__ import annotations

from trtllm_api.modelstatus import Verdict
from trtllm_builder.gate import agreement_percent, change, percent
from trtllm_builder.report.charts import Bar, Chart, Limit, Tone
from trtllm_builder.report.model import Report, ReportCandidate, human_bytes
from trtllm_builder.report.numbers import NOT_MEASURED, agreement, divergence, finite


def comparisons(report: Report) -> tuple[Chart, ...]:
    """The charts that have something to show."""
    charts: list[Chart | None] = []
    if any(candidate.measures is not None for candidate in report.candidates):
        charts += [_perplexity_chart(report), _divergence_chart(report), _agreement_chart(report)]
    if any(candidate.size is not None for candidate in report.candidates):
        charts.append(_size_chart(report))
    return tuple(chart for chart in charts if chart is not None)


def _perplexity_chart(report: Report) -> Chart:
    limit = percent(report.gate.max_perplexity_increase)
    bars = []
    for candidate in report.candidates:
        increase = report.increase(candidate)
        text = NOT_MEASURED if candidate.measures is None else change(report.reference, candidate.measures)
        within = increase is not None and increase <= limit
        bars.append(
            Bar(candidate.short_name, None if increase is None else float(increase), text, _tone(candidate, within))
        )
    return Chart(
        "perplexity",
        "Perplexity increase",
        "How much worse each candidate predicts the evaluation texts than the source. Shorter is better.",
        tuple(bars),
        Limit(float(limit), f"at most {report.gate.max_perplexity_increase}"),
    )


def _divergence_chart(report: Report) -> Chart | None:
    asked = report.gate.max_kl_divergence
    values = [None if item.measures is None else item.measures.kl_divergence for item in report.candidates]
    if all(value is None for value in values):
        return None
    bars = []
    for candidate, value in zip(report.candidates, values, strict=True):
        text = NOT_MEASURED if candidate.measures is None else divergence(candidate.measures)
        within = value is not None and (asked is None or value <= float(asked))
        bars.append(Bar(candidate.short_name, finite(value), text, _tone(candidate, within)))
    return Chart(
        "divergence",
        "KL divergence",
        "How far each candidate's next-token distribution is from the source's, in nats. Shorter is better.",
        tuple(bars),
        None if asked is None else Limit(float(asked), f"at most {asked}"),
    )


def _agreement_chart(report: Report) -> Chart | None:
    values = [None if item.measures is None else item.measures.top_token_agreement for item in report.candidates]
    if all(value is None for value in values):
        return None
    least = percent(report.gate.min_top_token_agreement)
    bars = []
    for candidate in report.candidates:
        text = NOT_MEASURED if candidate.measures is None else agreement(candidate.measures)
        share = None if candidate.measures is None else agreement_percent(candidate.measures)
        tone = _tone(candidate, share is not None and share >= least)
        bars.append(Bar(candidate.short_name, None if share is None else float(share), text, tone))
    return Chart(
        "agreement",
        "Top-token agreement",
        "Share of positions where candidate and source prefer the same next token. Longer is better.",
        tuple(bars),
        Limit(float(least), f"at least {report.gate.min_top_token_agreement}"),
        full_scale=100.0,
    )


def _size_chart(report: Report) -> Chart:
    bars = [Bar("Source model", float(report.reference_size), human_bytes(report.reference_size), Tone.PLAIN)]
    bars += [
        Bar(
            candidate.short_name,
            None if candidate.size is None else float(candidate.size),
            NOT_MEASURED if candidate.size is None else human_bytes(candidate.size),
            Tone.PLAIN,
        )
        for candidate in report.candidates
    ]
    return Chart("size", "Size", "The files of the source and of each candidate. Shorter is better.", tuple(bars))


def _tone(candidate: ReportCandidate, within: bool) -> Tone:
    """A bar's colour tells about this limit, not about the whole candidate; beyond it a warning stays a warning."""
    if within:
        return Tone.GOOD
    return Tone.WARN if candidate.verdict is Verdict.WARNED else Tone.BAD
