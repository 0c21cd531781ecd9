"""The quality report of a status as one HTML page without scripts or outside references; called by report.py.

The builder's own page, with answers and timings, lies beside the artifact; this one has what status holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from html import escape
from typing import Any

from trtllm_api.modelstatus import CandidateStatus, QuantizedModelStatus, Verdict
from trtllm_cli.quality import candidate_row, named, remarks, rows
from trtllm_cli.terminal import size

_TONES = {Verdict.PASSED: "good", Verdict.WARNED: "warn", Verdict.REFUSED: "bad", Verdict.FAILED: "bad"}
_STYLE = """
:root{color-scheme:light dark;--page:#f7f8f9;--card:#fff;--ink:#17202b;--soft:#56636f;--line:#dde2e8;--good:#146c38;
--warn:#855000;--bad:#b0251d;--rule:#3a6aa2}
@media(prefers-color-scheme:dark){:root{--page:#10151b;--card:#19212a;--ink:#e7ecf2;--soft:#a4afbb;--line:#2d3843;
--good:#62cf8c;--warn:#f0b84f;--bad:#ff8b81;--rule:#80b2ec}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,sans-serif}
main{max-width:1040px;margin:0 auto;padding:40px 24px 80px}h1{margin:0 0 4px;font-size:1.8rem;line-height:1.2}
h2{margin:44px 0 14px;font-size:1.15rem}p{margin:6px 0;max-width:80ch;overflow-wrap:anywhere}.soft{color:var(--soft)}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:11px 16px;text-align:left;border-top:1px solid var(--line);white-space:nowrap}
thead th{border-top:0;color:var(--soft);font-size:.82rem}td.n,th.n{text-align:right}
.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}td strong{font-weight:650}
svg{display:block;width:100%;max-width:640px;height:auto;font-size:13px}text{fill:var(--ink);dominant-baseline:central}
rect{fill:var(--rule)}rect.good{fill:var(--good)}rect.warn{fill:var(--warn)}rect.bad{fill:var(--bad)}
line{stroke:var(--ink);stroke-dasharray:4 3}li{margin:6px 0;overflow-wrap:anywhere}
"""
_HEAD = (
    '<thead><tr><th>candidate</th><th class="n">perplexity</th><th class="n">KL divergence</th>'
    '<th class="n">same top token</th><th class="n">canaries</th><th class="n">size</th><th>verdict</th></tr></thead>'
)
_LABEL, _PLOT, _ROW = 190, 330, 30


def page(name: str, resource: Mapping[str, Any], status: QuantizedModelStatus) -> str:
    """The whole page."""
    quality = status.quality
    if quality is None:
        raise ValueError("nothing was measured")
    spec = resource.get("spec") or {}
    limits = spec.get("quality") or {}
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Quality of {escape(name)}</title>',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<style>{_STYLE}</style></head><body><main>",
        f"<h1>{escape(name)}</h1>",
        *_summary(status),
        '<h2>What was measured</h2><div class="scroll"><table>',
        _HEAD,
        "<tbody>",
        *_rows(status),
        "</tbody></table></div>",
        *_charts(quality.candidates, limits),
        *_reasons(status),
        "</main></body></html>\n",
    ]
    return "\n".join(parts)


def _summary(status: QuantizedModelStatus) -> Iterator[str]:
    ready = next((item for item in status.conditions if item.type == "Ready"), None)
    facts = status.model_facts
    if facts is not None:
        what = f"{facts.architecture}, {facts.parameters / 1e9:.2f}B parameters, {facts.dtype}"
        yield f'<p class="soft">{escape(what)}</p>'
    if ready is not None:
        tone = "good" if ready.status == "True" else "bad"
        yield f'<p><strong class="{tone}">{escape(ready.reason)}</strong> {escape(ready.message)}</p>'


def _rows(status: QuantizedModelStatus) -> Iterator[str]:
    quality, source = status.quality, status.model_facts
    if quality is None:
        return
    reference = rows(quality.model_copy(update={"candidates": ()}), source.bytes if source is not None else None)
    for cells in reference:
        yield _row(cells, "")
    for candidate in quality.candidates:
        yield _row(candidate_row(candidate), _TONES[candidate.verdict])


def _row(cells: tuple[str, ...], tone: str) -> str:
    first, *numbers, verdict = (escape(cell) for cell in cells)
    middle = "".join(f'<td class="n">{number}</td>' for number in numbers)
    return f'<tr><td><strong>{first}</strong></td>{middle}<td class="{tone}"><strong>{verdict}</strong></td></tr>'


def _charts(candidates: tuple[CandidateStatus, ...], limits: Mapping[str, Any]) -> Iterator[str]:
    """Perplexity, divergence and agreement of every candidate, with the limit as a line."""
    measured = [(candidate, candidate.measures) for candidate in candidates if candidate.measures is not None]
    if not measured:
        return
    drawn: list[tuple[str, list[str | None], str, str]] = [
        ("Perplexity increase", [item.perplexity_change for item, _ in measured], "at most", "maxPerplexityIncrease"),
        ("KL divergence", [found.kl_divergence for _, found in measured], "at most", "maxKLDivergence"),
        ("Same top token", [found.top_token_agreement for _, found in measured], "at least", "minTopTokenAgreement"),
    ]
    for title, texts, word, field in drawn:
        if any(texts):
            limit = limits.get(field)
            said = f" ({word} {limit})" if limit is not None else ""
            yield f"<h2>{title}{escape(said)}</h2>"
            yield _chart(title, [item for item, _ in measured], texts, str(limit) if limit is not None else None)


def _chart(title: str, candidates: list[CandidateStatus], texts: list[str | None], limit: str | None) -> str:
    values = [_number(text) for text in texts]
    line = _number(limit)
    # what is wrong by orders of magnitude would press the others flat: the axis ends at four times the limit
    largest = max((value for value in values if value is not None), default=0.0)
    scale = max(min(largest, 4 * line), 1.25 * line) if line else largest
    scale = min(scale, 100.0) if title == "Same top token" else scale
    height = _ROW * len(candidates) + 8
    parts = [f'<svg viewBox="0 0 640 {height}" role="img"><title>{escape(title)}</title>']
    for index, (candidate, text, value) in enumerate(zip(candidates, texts, values, strict=True)):
        middle = _ROW * index + _ROW // 2 + 4
        long = max(2.0, _PLOT * min(1.0, max(0.0, value or 0.0) / (scale or 1.0)))
        parts.append(f'<text x="{_LABEL - 10}" y="{middle}" text-anchor="end">{escape(named(candidate))}</text>')
        if value is not None:
            tone = _TONES[candidate.verdict]
            parts.append(f'<rect class="{tone}" x="{_LABEL}" y="{middle - 8}" width="{long:.1f}" height="16"/>')
        parts.append(f'<text x="{_LABEL + _PLOT + 12}" y="{middle}">{escape(text or "not measured")}</text>')
    if line and scale:
        x = _LABEL + _PLOT * min(1.0, line / scale)
        parts.append(f'<line x1="{x:.1f}" y1="2" x2="{x:.1f}" y2="{height - 2}"/>')
    return "".join([*parts, "</svg>"])


def _number(text: str | None) -> float | None:
    try:
        value = Decimal(text.strip("%+")) if text else None
    except InvalidOperation:
        return None
    return float(value) if value is not None and value.is_finite() else None


def _reasons(status: QuantizedModelStatus) -> Iterator[str]:
    quality, artifact = status.quality, status.artifact
    told = [*remarks(quality.candidates if quality else ())]
    told += [f"planned: {why}" for why in (status.plan.why if status.plan is not None else ())]
    if artifact is not None:
        where = f"{artifact.path} on claim {artifact.claim_name}"
        told.append(f"shipped: {artifact.method}, {size(artifact.bytes)}, at {where} ({artifact.digest})")
    if told:
        yield "<h2>Why</h2><ul>"
        yield from (f"<li>{escape(line)}</li>" for line in told)
        yield "</ul>"
