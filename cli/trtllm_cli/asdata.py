"""Answers of `trtllm plan` as JSON and YAML. The fields have the names that they have in status."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from trtllm_api.digest import digest_of
from trtllm_api.problem import as_sentence
from trtllm_api.verdict import Verdict
from trtllm_cli.judge import Answer
from trtllm_planner.decide import Decision


def as_data(answers: Sequence[Answer], *, strict: bool) -> dict[str, Any]:
    """All answers, and the result of the whole run."""
    return {
        "result": "Refused" if any(failed(answer, strict=strict) for answer in answers) else "Accepted",
        "documents": [_answer(answer, strict=strict) for answer in answers],
    }


def failed(answer: Answer, *, strict: bool) -> bool:
    """True for a refusal and, with `strict`, for a warning."""
    return answer.refused or (strict and bool(answer.verdicts))


def as_json(data: dict[str, Any]) -> str:
    """The data as indented JSON."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def as_yaml(data: dict[str, Any]) -> str:
    """The data as YAML."""
    import yaml

    return str(yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120))


def _answer(answer: Answer, *, strict: bool) -> dict[str, Any]:
    document, facts = answer.document, answer.facts
    namespace = {"namespace": document.key.namespace} if document.key.namespace else {}
    found: dict[str, Any] = {
        "kind": document.key.kind,
        **namespace,
        "name": document.key.name,
        "where": document.where,
        "result": "Refused" if failed(answer, strict=strict) else "Accepted",
        "verdicts": [_verdict(verdict) for verdict in answer.verdicts],
    }
    if facts is not None:
        wire = facts.to_wire()
        found["model"] = {key: wire[key] for key in ("architecture", "parameters", "bytes", "dtype", "layers")}
    if answer.quantization is not None:
        found["plan"] = answer.quantization.to_wire()
    if answer.decision is not None:
        found["plan"] = _decision(answer.decision)
    if answer.would_fit:
        found["wouldFit"] = list(answer.would_fit)
    if answer.note:
        found["note"] = answer.note
    return found


def _verdict(verdict: Verdict) -> dict[str, Any]:
    reason, severity = verdict.reason.value, verdict.severity.value
    found: dict[str, Any] = {"reason": reason, "severity": severity, "message": as_sentence(verdict.message)}
    if verdict.remedy:
        found["remedy"] = as_sentence(verdict.remedy)
    if verdict.numbers:
        found["numbers"] = dict(verdict.numbers)
    return found


def _decision(decision: Decision) -> dict[str, Any]:
    """status.plan, and the resources that Jobs would request."""
    wire = decision.status(digest_of("planned without a cluster")).to_wire()
    del wire["inputs"]
    wire["buildPods"], wire["buildGpusPerPod"] = decision.build_pods, decision.build_gpus
    host = decision.host
    needs = {"hostMemoryBytes": host.memory, "diskBytes": host.disk, "calibrationGpuBytes": host.gpu_memory}
    wire["needs"] = {name: size for name, size in needs.items() if size}
    return wire
