"""The quality report as JSON for programs; its page gets every number as the gate writes it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from support.html_reader import Page
from trtllm_api.contract import GateRequest
from trtllm_api.modelstatus import Verdict
from trtllm_api.quality import OnFailure
from trtllm_builder.gate import CanaryOutcome, ModelMeasures, decide
from trtllm_builder.report import FreeAnswer, Mix, Report, ReportCandidate, report_html, report_json
from trtllm_builder.report.as_page import as_page

GATE = GateRequest(
    max_perplexity_increase="10%",
    max_kl_divergence="0.2",
    min_top_token_agreement="80%",
    tokens=4096,
    sequence_length=512,
    on_failure=OnFailure.FALLBACK,
)
PARIS = CanaryOutcome("The capital of France is", "Paris", " Paris.", True)
SOURCE = ModelMeasures(25.98, None, None, 4096, (PARIS,))


def candidate(label: str, group_size: int | None, measures: ModelMeasures, size: int) -> ReportCandidate:
    decision = decide(SOURCE, measures, GATE)
    return ReportCandidate(
        label=label,
        group_size=group_size,
        options="kvCache FP8",
        measures=measures,
        size=size,
        seconds={"Quantizing": 12.5, "Evaluating": 185.0},
        verdict=decision.verdict,
        reason=decision.reason,
        message=decision.message,
        answers=(FreeAnswer("Once upon a time", " there was a king.", " there was a queen."),),
    )


REFUSED = candidate(
    "INT4WeightOnly",
    128,
    ModelMeasures(39.15, 0.412, 0.613, 4096, (replace(PARIS, answer=" Lyon.", passed=False),)),
    80,
)
PASSED = candidate("INT4AWQ", 64, ModelMeasures(26.4, 0.021, 0.971, 4096, (PARIS,)), 90_000_000)
BROKEN = ReportCandidate("NVFP4", None, "", None, None, {}, Verdict.FAILED, "QuantizationNotSupported", "not here")
REPORT = Report(
    model="example/tiny-model",
    source_digest="sha256:" + "ab" * 32,
    source_revision="0123456789abcdef",
    date="2025-01-31 12:00 UTC",
    tools={"modelopt": "0.33.0", "torch": "2.7.1"},
    machine="1 GPU with 80 GiB",
    calibration="128 built-in texts of 512 tokens",
    evaluation="8 held-out texts of 512 tokens",
    gate=GATE,
    reference=SOURCE,
    reference_size=270_000_000,
    candidates=(REFUSED, PASSED, BROKEN),
    chosen=1,
    notes=("INT4AWQ is next because it keeps important columns precise.",),
)


EXPLAINED = replace(
    REFUSED,
    explanation="the KL divergence comes, by layer 89 % from layers.2",
    shares={"layer": {"layers.2": 0.891, "layers.0": -0.02}, "kind": {"mlp.down_proj": 0.93}},
    mix=Mix(("layers.2", "*.mlp.down_proj"), ModelMeasures(26.9, 0.08, 0.91, 4096, (PARIS,)), 120_000_000),
)
MIXED = replace(PASSED, label="INT4WeightOnly", mixed=True)


def test_the_json_has_every_share_and_the_mix() -> None:
    found = json.loads(report_json(replace(REPORT, candidates=(EXPLAINED, MIXED, BROKEN))))["candidates"]
    assert found[0]["shares"] == {"layer": {"layers.2": 0.891, "layers.0": -0.02}, "kind": {"mlp.down_proj": 0.93}}
    assert found[0]["mix"]["excludeModules"] == ["layers.2", "*.mlp.down_proj"]
    assert (found[0]["mix"]["bytes"], found[0]["mix"]["measures"]["klDivergence"]) == (120_000_000, 0.08)
    assert (found[1]["mixed"], found[1]["mix"], found[1]["shares"]) == (True, None, {})


def test_the_page_has_every_number_as_the_gate_writes_it() -> None:
    text = Page(report_html(replace(REPORT, candidates=(EXPLAINED, PASSED, BROKEN)))).text
    for expected in (
        "+50.7%", "+1.6%", "97.1%", "0.021", "at most 10%", "at most 0.2", "at least 80%", "257.5 MiB", "85.8 MiB",
        "modelopt", "0.33.0", "sha256:abab", "0123456789abcdef", "1 GPU with 80 GiB",
        "128 built-in texts of 512 tokens", "Lyon.", "there was a king.", "there was a queen.", "3 min 5 s",
        "4 096 of at most 4 096",
        "26.90", "+3.5%", "0.08", "91.0%", "114.4 MiB", "89.1 %", "Fallback",
        "INT4AWQ is next because it keeps important columns precise.",
    ):  # fmt: skip
        assert expected in text, expected


def test_the_page_says_what_the_gate_decided() -> None:
    page = report_html(REPORT)
    header = page[page.index("<header") : page.index("</header>")]
    assert "<h1>INT4AWQ, groups of 64 is published" in header
    assert "Perplexity 26.40 is 1.6 % above the source&#39;s 25.98 (at most 10 %)" in header


def test_charts_draw_what_was_measured_against_the_gates_limits() -> None:
    shown = as_page(REPORT)
    first, second, third = shown.candidates
    assert first.measures is not None
    assert second.measures is not None
    assert third.measures is None
    assert first.measures.change is not None
    assert first.measures.change.value == pytest.approx(100 * (39.15 / 25.98 - 1))
    assert second.measures.agreement is not None
    assert second.measures.agreement.value == pytest.approx(97.1)
    limits = [shown.limits.change, shown.limits.divergence, shown.limits.agreement]
    assert [limit.value for limit in limits if limit is not None] == [10.0, 0.2, 80.0]
    unlimited = as_page(replace(REPORT, gate=GATE.model_copy(update={"max_kl_divergence": None})))
    assert unlimited.limits.divergence is None
    assert ("KL divergence", "no limit") in {(fact.name, fact.value) for fact in unlimited.facts}


def test_numbers_that_are_none_are_named_and_break_nothing() -> None:
    measures = ModelMeasures(math.nan, math.inf, math.nan, 4096)
    lost = candidate("FP8", None, measures, 5)
    report = replace(REPORT, candidates=(lost,), chosen=None)
    text = Page(report_html(report)).text
    assert "not a number" in text
    assert "infinite" in text
    (shown,) = as_page(report).candidates
    assert shown.measures is not None
    numbers = [shown.measures.perplexity, shown.measures.change, shown.measures.divergence, shown.measures.agreement]
    assert [number.value for number in numbers if number is not None] == [None] * 4
    written = json.loads(report_json(report))
    assert written["candidates"][0]["measures"]["perplexity"] is None
    assert written["candidates"][0]["reason"] == "NotANumber"


def test_the_json_has_the_decision_and_every_measurement() -> None:
    written = json.loads(report_json(REPORT))
    assert written["format"] == "trtllm-quality-report/1"
    assert written["chosen"] == 1
    assert written["source"]["measures"]["perplexity"] == 25.98
    assert written["gate"]["maxPerplexityIncrease"] == "10%"
    refused, passed, broken = written["candidates"]
    assert (refused["verdict"], refused["perplexityChange"]) == ("Refused", "+50.7%")
    assert passed["measures"]["topTokenAgreement"] == 0.971
    assert passed["answers"][0]["candidate"] == " there was a queen."
    assert broken["measures"] is None


def test_the_same_report_is_written_the_same_way_every_time() -> None:
    turned = replace(REPORT, tools=dict(reversed(list(REPORT.tools.items()))))
    assert report_json(turned) == report_json(REPORT)
    assert report_html(turned) == report_html(REPORT)


@pytest.mark.parametrize("chosen", [-1, 3])
def test_a_choice_that_names_no_candidate_is_an_error(chosen: int) -> None:
    with pytest.raises(ValueError, match="there are 3 candidates"):
        replace(REPORT, chosen=chosen)
