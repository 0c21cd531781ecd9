"""The quality report as JSON for programs, with the same content as the page.

JSON has no NaN and no infinity: such measurements are null here, and the candidate's reason says NotANumber.
"""

from __future__ import annotations

import json
import math

from trtllm_builder.gate import CanaryOutcome, ModelMeasures, change
from trtllm_builder.report.model import Report, ReportCandidate

FORMAT = "trtllm-quality-report/1"


def report_json(report: Report) -> str:
    """The report as indented JSON with a final newline. Equal reports give equal texts."""
    document = {
        "format": FORMAT,
        "model": report.model,
        "date": report.date,
        "source": {
            "digest": report.source_digest,
            "revision": report.source_revision,
            "bytes": report.reference_size,
            "measures": _measures(report.reference),
        },
        "chosen": report.chosen,
        "candidates": [_candidate(report, candidate) for candidate in report.candidates],
        "gate": report.gate.to_wire(),
        "calibration": report.calibration,
        "evaluation": report.evaluation,
        "machine": report.machine,
        "tools": dict(sorted(report.tools.items())),
        "notes": list(report.notes),
    }
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _candidate(report: Report, candidate: ReportCandidate) -> dict[str, object]:
    measures = candidate.measures
    return {
        "method": candidate.label,
        "groupSize": candidate.group_size,
        "options": candidate.options,
        "verdict": candidate.verdict.value,
        "reason": candidate.reason,
        "message": candidate.message,
        "bytes": candidate.size,
        "measures": None if measures is None else _measures(measures),
        "perplexityChange": None if measures is None else change(report.reference, measures),
        "mixed": candidate.mixed,
        "explanation": candidate.explanation,
        "shares": {heading: dict(shares) for heading, shares in candidate.shares.items()},
        "mix": None
        if candidate.mix is None
        else {
            "excludeModules": list(candidate.mix.exclude_modules),
            "bytes": candidate.mix.size,
            "measures": _measures(candidate.mix.measures),
        },
        "seconds": {stage: round(seconds, 3) for stage, seconds in candidate.seconds.items()},
        "answers": [
            {"prompt": answer.prompt, "source": answer.source, "candidate": answer.candidate}
            for answer in candidate.answers
        ],
    }


def _measures(measures: ModelMeasures) -> dict[str, object]:
    return {
        "perplexity": _finite(measures.perplexity),
        "klDivergence": _finite(measures.kl_divergence),
        "topTokenAgreement": _finite(measures.top_token_agreement),
        "tokens": measures.tokens,
        "canaries": [_canary(canary) for canary in measures.canaries],
        "degenerate": measures.degenerate,
    }


def _canary(canary: CanaryOutcome) -> dict[str, object]:
    return {
        "prompt": canary.prompt,
        "expected": canary.expected,
        "answer": canary.answer,
        "passed": canary.passed,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
