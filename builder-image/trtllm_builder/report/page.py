"""The quality report as one HTML page, for people. Written by the quantize stage into the artifact.

The page needs nothing but itself: style sheet and charts are inline, there is no script, and a policy forbids every
request. Whatever came from a user, a model or a tool is escaped where it enters the markup.
"""

from __future__ import annotations

from html import escape

from trtllm_api.modelstatus import Verdict
from trtllm_builder.gate import CanaryOutcome, change
from trtllm_builder.report.charts import Tone, draw
from trtllm_builder.report.comparisons import comparisons
from trtllm_builder.report.markup import section, table
from trtllm_builder.report.model import Report, human_bytes, human_seconds
from trtllm_builder.report.numbers import NONE, agreement, canary_count, divergence, fixed
from trtllm_builder.report.refusals import refusals
from trtllm_builder.report.style import STYLE

_TONES = {
    Verdict.PASSED: Tone.GOOD,
    Verdict.WARNED: Tone.WARN,
    Verdict.REFUSED: Tone.BAD,
    Verdict.FAILED: Tone.BAD,
}


def report_html(report: Report) -> str:
    """The whole page; the same report gives the same text."""
    sections = [
        _headline(report),
        _figures(report),
        _candidates(report),
        _charts(report),
        refusals(report),
        _canaries(report),
        _answers(report),
        _timings(report),
        _details(report),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>Quality report: {escape(report.model)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        "<main>\n" + "\n".join(section for section in sections if section) + "\n</main>\n</body>\n</html>\n"
    )


def _headline(report: Report) -> str:
    """What was chosen and why: the first thing on the page."""
    winner = report.winner
    if winner is not None:
        title, verdict, why = f"{winner.name} is published", winner.verdict, winner.message
    else:
        title, verdict, why = "Nothing is published", *_why_nothing(report)
    before = [
        f"<li><strong>{escape(candidate.name)}</strong> {_badge(candidate.verdict)} {escape(candidate.message)}</li>"
        for index, candidate in enumerate(report.candidates)
        if index != report.chosen and not (winner is None and len(report.candidates) == 1)
    ]
    others = f'<h2 class="small">{"Also tried" if winner else "Tried"}</h2><ul class="tried">{"".join(before)}</ul>'
    return (
        f'<header class="hero {_TONES[verdict].value}">'
        f'<p class="eyebrow">Quality report <span>{escape(report.date)}</span></p>'
        f'<p class="model">{escape(report.model)}</p>'
        f"<h1>{escape(title)} {_badge(verdict)}</h1>"
        f'<p class="why">{escape(_sentence(why))}</p>'
        f"{others if before else ''}</header>"
    )


def _why_nothing(report: Report) -> tuple[Verdict, str]:
    """The verdict over all candidates when none is published, and a sentence for it."""
    if not report.candidates:
        return Verdict.FAILED, "There was no candidate to try."
    failed = all(candidate.verdict is Verdict.FAILED for candidate in report.candidates)
    if len(report.candidates) == 1:
        only = report.candidates[0]
        return only.verdict, f"{only.name} was the only candidate: {only.message}"
    count = len(report.candidates)
    if failed:
        return Verdict.FAILED, f"None of the {count} candidates could be measured"
    return Verdict.REFUSED, f"None of the {count} candidates passed the quality gate"


def _figures(report: Report) -> str:
    """The winner's numbers, large."""
    winner = report.winner
    if winner is None or winner.measures is None:
        return ""
    measures = winner.measures
    figures = [
        (
            change(report.reference, measures),
            "perplexity",
            f"{fixed(report.reference.perplexity)} to {fixed(measures.perplexity)}",
        )
    ]
    if measures.kl_divergence is not None:
        figures.append((divergence(measures), "KL divergence", "mean over the evaluated tokens, in nats"))
    if measures.top_token_agreement is not None:
        figures.append((agreement(measures), "top-token agreement", "positions with the same most likely token"))
    if winner.size is not None:
        smaller = ""
        if report.reference_size > 0:
            smaller = f"{100 * winner.size / report.reference_size:.0f} % of {human_bytes(report.reference_size)}"
        figures.append((human_bytes(winner.size), "on disk", smaller))
    cards = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}<small>{escape(more)}</small></dd></div>"
        for value, name, more in figures
    )
    return f'<dl class="figures">{cards}</dl>'


def _candidates(report: Report) -> str:
    rows = [
        [
            ("th", "Source model"),
            ("td", NONE),
            ("num", escape(fixed(report.reference.perplexity))),
            ("num", NONE),
            ("num", NONE),
            ("num", NONE),
            ("num", escape(canary_count(report.reference))),
            ("num", escape(human_bytes(report.reference_size))),
        ]
    ]
    for index, candidate in enumerate(report.candidates):
        measures = candidate.measures
        chosen = ' <span class="tag">published</span>' if index == report.chosen else ""
        options = f"<small>{escape(candidate.options)}</small>" if candidate.options else ""
        rows.append(
            [
                ("th", f"{escape(candidate.name)}{chosen}{options}"),
                ("td", f"{_badge(candidate.verdict)}<small>{escape(candidate.reason)}</small>"),
                ("num", NONE if measures is None else escape(fixed(measures.perplexity))),
                ("num", NONE if measures is None else escape(change(report.reference, measures))),
                ("num", NONE if measures is None else escape(divergence(measures))),
                ("num", NONE if measures is None else escape(agreement(measures))),
                ("num", NONE if measures is None else escape(canary_count(measures))),
                ("num", NONE if candidate.size is None else escape(human_bytes(candidate.size))),
            ]
        )
    heads = ("Model", "Verdict", "Perplexity", "Change", "KL divergence", "Agreement", "Canaries", "Size")
    return section("Candidates", table("The source and every candidate, in the order tried", heads, rows, numeric=2))


def _charts(report: Report) -> str:
    drawn = "".join(
        f"<figure><figcaption><h3>{escape(chart.title)}</h3><p>{escape(chart.description)}</p></figcaption>"
        f"{draw(chart)}</figure>"
        for chart in comparisons(report)
    )
    return section("Against the limits", f'<div class="charts">{drawn}</div>') if drawn else ""


def _canaries(report: Report) -> str:
    asked = report.reference.canaries or next(
        (item.measures.canaries for item in report.candidates if item.measures is not None and item.measures.canaries),
        (),
    )
    blocks = []
    for index, canary in enumerate(asked):
        rows = []
        if index < len(report.reference.canaries):
            rows.append(_canary_row("Source model", report.reference.canaries[index]))
        rows += [
            _canary_row(candidate.name, candidate.measures.canaries[index])
            for candidate in report.candidates
            if candidate.measures is not None and index < len(candidate.measures.canaries)
        ]
        blocks.append(
            f'<article><h3>Canary {index + 1}</h3><p class="prompt">{escape(canary.prompt)}</p>'
            f"<p>The answer must contain <q>{escape(canary.expected)}</q>.</p>"
            + table(f"Answers to canary {index + 1}", ("Model", "Verdict", "Answer"), rows)
            + "</article>"
        )
    return section("Canaries", "".join(blocks)) if blocks else ""


def _canary_row(name: str, canary: CanaryOutcome) -> list[tuple[str, str]]:
    return [
        ("th", escape(name)),
        ("td", _badge(Verdict.PASSED) if canary.passed else _badge(Verdict.REFUSED, "Wrong")),
        ("td", _answer(canary.answer)),
    ]


def _answers(report: Report) -> str:
    """Free answers of the source and all candidates, prompt by prompt."""
    prompts: dict[str, list[tuple[str, str]]] = {}
    for candidate in report.candidates:
        for answer in candidate.answers:
            shown = prompts.setdefault(answer.prompt, [("Source model", answer.source)])
            shown.append((candidate.name, answer.candidate))
    blocks = [
        f'<article><p class="prompt">{escape(prompt)}</p>'
        + table(
            f"Answers to prompt {number}",
            ("Model", "Answer"),
            [[("th", escape(name)), ("td", _answer(text))] for name, text in shown],
        )
        + "</article>"
        for number, (prompt, shown) in enumerate(prompts.items(), start=1)
    ]
    return section("Free answers", "".join(blocks)) if blocks else ""


def _timings(report: Report) -> str:
    stages = list(dict.fromkeys(stage for candidate in report.candidates for stage in candidate.seconds))
    if not stages:
        return ""
    rows = [
        [
            ("th", escape(candidate.name)),
            *(
                ("num", human_seconds(candidate.seconds[stage]) if stage in candidate.seconds else NONE)
                for stage in stages
            ),
            ("num", human_seconds(sum(candidate.seconds.values()))),
        ]
        for candidate in report.candidates
    ]
    heads = ("Model", *(escape(stage) for stage in stages), "Total")
    return section("Durations", table("How long each stage took", heads, rows, numeric=1))


def _details(report: Report) -> str:
    """Everything needed to repeat the measurement."""
    gate = report.gate
    facts = [
        ("Source digest", f"<code>{escape(report.source_digest)}</code>"),
        ("Source revision", f"<code>{escape(report.source_revision or NONE)}</code>"),
        ("Calibration", escape(report.calibration)),
        ("Evaluation", escape(report.evaluation)),
        (
            "Evaluated tokens",
            f"{report.reference.tokens:,}".replace(",", " ") + f" (asked: {gate.tokens:,})".replace(",", " "),
        ),
        ("Perplexity increase", f"at most {escape(gate.max_perplexity_increase)}"),
        ("KL divergence", f"at most {escape(gate.max_kl_divergence)}" if gate.max_kl_divergence else "no limit"),
        ("Top-token agreement", f"at least {escape(gate.min_top_token_agreement)}"),
        ("When the gate refuses", escape(gate.on_failure.value)),
        ("Machine", escape(report.machine)),
        *((escape(tool), f"<code>{escape(version)}</code>") for tool, version in sorted(report.tools.items())),
    ]
    rows = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts)
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    why = f'<h3>Why these candidates</h3><ul class="notes">{notes}</ul>' if notes else ""
    return section("Details", f'<dl class="facts">{rows}</dl>{why}')


def _badge(verdict: Verdict, text: str | None = None) -> str:
    """A verdict in its colour and in words: colour alone says nothing to many readers."""
    return f'<span class="badge {_TONES[verdict].value}">{escape(text or verdict.value)}</span>'


def _answer(text: str) -> str:
    return f"<pre>{escape(text)}</pre>" if text.strip() else "<em>(empty)</em>"


def _sentence(text: str) -> str:
    """A message as a sentence: capital first, full stop last."""
    stripped = text.strip()
    if not stripped:
        return ""
    return stripped[0].upper() + stripped[1:] + ("" if stripped[-1] in ".!?…" else ".")
