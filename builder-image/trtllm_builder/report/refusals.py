"""Why candidates were refused, as a section of the report's page: where their error comes from, and which mix passes.

page.py calls it.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from trtllm_builder.gate import change
from trtllm_builder.report.markup import section, table
from trtllm_builder.report.model import Mix, Report, ReportCandidate, human_bytes
from trtllm_builder.report.numbers import agreement, canary_count, divergence, fixed

_SHOWN = 10


def refusals(report: Report) -> str:
    """Empty where nothing was looked into."""
    blocks = [_block(report, candidate) for candidate in report.candidates if candidate.explanation]
    return section("Where the error comes from", "".join(blocks)) if blocks else ""


def _block(report: Report, candidate: ReportCandidate) -> str:
    tables = "".join(_shares(candidate, heading, shares) for heading, shares in candidate.shares.items())
    mix = _mix(report, candidate, candidate.mix) if candidate.mix else ""
    return f"<article><h3>{escape(candidate.name)}</h3><p>{escape(candidate.explanation)}</p>{mix}{tables}</article>"


def _shares(candidate: ReportCandidate, heading: str, shares: Mapping[str, float]) -> str:
    """The largest: what of the divergence goes away when a part alone has full precision."""
    largest = sorted(shares.items(), key=lambda item: item[1], reverse=True)[:_SHOWN]
    rows = [[("th", escape(name)), ("num", f"{100 * share:.1f} %")] for name, share in largest]
    caption = f"{candidate.name}: share of the KL divergence by {heading}"
    return table(caption, (escape(heading.capitalize()), "Share"), rows, numeric=1) if rows else ""


def _mix(report: Report, candidate: ReportCandidate, mix: Mix) -> str:
    modules = ", ".join(f"<code>{escape(pattern)}</code>" for pattern in mix.exclude_modules)
    cells = [
        ("th", f"{escape(candidate.label)} without {modules}"),
        ("num", escape(fixed(mix.measures.perplexity))),
        ("num", escape(change(report.reference, mix.measures))),
        ("num", escape(divergence(mix.measures))),
        ("num", escape(agreement(mix.measures))),
        ("num", escape(canary_count(mix.measures))),
        ("num", escape(human_bytes(mix.size))),
    ]
    heads = ("Model", "Perplexity", "Change", "KL divergence", "Agreement", "Canaries", "Size")
    told = (
        "With these modules in full precision it was measured to pass: they are for excludeModules, or fallback Mixed."
    )
    return f"<p>{told}</p>" + table(f"A mix of {candidate.name} that passes", heads, [cells], numeric=1)
