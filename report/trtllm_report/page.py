"""The report as one HTML page: `report_html`.

The page is one file: style sheet and charts are inline, there is no script, and a content policy forbids all requests.
jinja2 escapes every text that enters the markup.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from trtllm_api.modelstatus import Verdict
from trtllm_api.problem import as_sentence
from trtllm_report.charts import BAR, LABEL_WIDTH, TONES, TOP, WIDTH, charts
from trtllm_report.model import Canary, Candidate, Report
from trtllm_report.numbers import NONE, human_bytes, human_seconds

_SHOWN_SHARES: Final = 10


@dataclass(frozen=True)
class Headline:
    """The first thing on the page: what was chosen, and why."""

    title: str
    verdict: Verdict
    why: str
    others: tuple[Candidate, ...]
    """Other candidates that were tried."""


@dataclass(frozen=True)
class AnsweredCanary:
    """A canary and every model's answer to it."""

    prompt: str
    expected: str
    answers: tuple[tuple[str, Canary], ...]


def report_html(report: Report) -> str:
    """The whole page; the same report gives the same text."""
    return (
        _environment()
        .get_template("page.html")
        .render(
            report=report,
            headline=headline(report),
            drawings=charts(report),
            canaries=_canaries(report),
            prompts=_prompts(report),
            stages=list(dict.fromkeys(stage for candidate in report.candidates for stage in candidate.seconds)),
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("trtllm_report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "duration": human_seconds,
        "largest": _largest,
        "sentence": as_sentence,
        "size": human_bytes,
    }
    environment.globals |= {
        "bar": BAR,
        "left": LABEL_WIDTH,
        "none_text": NONE,
        "tones": TONES,
        "top": TOP,
        "width": WIDTH,
    }
    return environment


def headline(report: Report) -> Headline:
    """The choice and its reason; without a choice, the verdict over all candidates."""
    winner = report.winner
    others = tuple(candidate for index, candidate in enumerate(report.candidates) if index != report.chosen)
    if winner is not None:
        return Headline(f"{winner.name} is published", winner.verdict, winner.message, others)
    title, count = "Nothing is published", len(report.candidates)
    if count == 0:
        return Headline(title, Verdict.FAILED, "There was no candidate to try", ())
    if count == 1:
        only = report.candidates[0]
        return Headline(title, only.verdict, f"{only.name} was the only candidate: {only.message}", ())
    if all(candidate.verdict is Verdict.FAILED for candidate in report.candidates):
        return Headline(title, Verdict.FAILED, f"None of the {count} candidates could be measured", others)
    return Headline(title, Verdict.REFUSED, f"None of the {count} candidates passed the quality gate", others)


def _canaries(report: Report) -> list[AnsweredCanary]:
    """Canaries in the request's order, each with the answers of the source and of every measured candidate."""
    models = [("Source model", report.reference)] + [(item.name, item.measures) for item in report.candidates]
    answered = [(name, measures.canary_answers) for name, measures in models if measures is not None]
    asked = next((answers for _, answers in answered if answers), ())
    return [
        AnsweredCanary(
            canary.prompt,
            canary.expected,
            tuple((name, answers[index]) for name, answers in answered if index < len(answers)),
        )
        for index, canary in enumerate(asked)
    ]


def _prompts(report: Report) -> dict[str, list[tuple[str, str]]]:
    """Free answers of the source and all candidates by prompt."""
    prompts: dict[str, list[tuple[str, str]]] = {}
    for candidate in report.candidates:
        for given in candidate.answers:
            prompts.setdefault(given.prompt, [("Source model", given.source)]).append((candidate.name, given.candidate))
    return prompts


def _largest(shares: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(shares.items(), key=lambda item: item[1], reverse=True)[:_SHOWN_SHARES]
