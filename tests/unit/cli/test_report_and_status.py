"""`trtllm report` and `trtllm status`, on what a stand-in for kubectl answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Ran, assert_golden
from public_models import facts

from support.html_reader import Page
from trtllm_cli.status import view
from trtllm_cli.terminal import Terminal

Run = Callable[..., Ran]
Answer = Callable[..., None]
DIGEST = "sha256:" + "a" * 64
TIME = "2026-11-25T12:00:00Z"


def condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": TIME}


def model(*conditions: Mapping[str, Any], generation: int = 1, **status: Any) -> dict[str, Any]:
    return {
        "kind": "QuantizedModel",
        "metadata": {"name": "smollm2", "namespace": "team", "generation": generation},
        "spec": {"quality": {"maxPerplexityIncrease": "10%", "maxKLDivergence": "0.2", "minTopTokenAgreement": "80%"}},
        "status": {"observedGeneration": 1, "conditions": list(conditions), **status},
    }


READY = condition("Ready", "True", "ArtifactReady", "INT8WeightOnly at artifacts/a")
STALLED = (condition("Ready", "False", "QualityRefused", "all refused"), condition("Stalled", "True", "QualityRefused"))
BUSY = (condition("Ready", "False", "Quantizing", "being quantized"), condition("SourceReady", "True", "Fetched"))
MEASURED: dict[str, Any] = {
    "modelFacts": facts("SmolLM2-135M").to_wire(),
    "plan": {"candidates": [], "why": ["INT4WeightOnly: group size 64: 128 does not divide 576"]},
    "quality": {
        "reference": {"perplexity": "17.79", "canaries": "1/1"},
        "candidates": [
            {
                "method": "INT4WeightOnly",
                "groupSize": 64,
                "measures": {
                    "perplexity": "25.64",
                    "klDivergence": "0.6218",
                    "topTokenAgreement": "61.6%",
                    "canaries": "1/1",
                },
                "perplexityChange": "+44.1%",
                "bytes": 116391936,
                "verdict": "Refused",
                "reason": "Perplexity",
                "message": "perplexity rose by 44.1%, more than 10% <allowed>",
            },
            {
                "method": "INT8WeightOnly",
                "measures": {
                    "perplexity": "17.92",
                    "klDivergence": "0.004712",
                    "topTokenAgreement": "95.8%",
                    "canaries": "1/1",
                },
                "perplexityChange": "+0.8%",
                "bytes": 163577856,
                "verdict": "Passed",
                "reason": "Passed",
            },
            {"method": "FP8", "verdict": "Failed", "reason": "NotANumber"},
        ],
    },
    "artifact": {
        "requestDigest": DIGEST,
        "digest": DIGEST,
        "claimName": "trtllm-store",
        "path": "artifacts/a",
        "bytes": 163577856,
        "method": "INT8WeightOnly",
    },
}


def test_the_report_is_the_golden_table(run: Run, cluster: Answer) -> None:
    cluster("quantizedmodels/smollm2", model(READY, **MEASURED))
    ran = run("report", "qm/smollm2", "-n", "team")
    assert ran.code == 0
    assert_golden("report.text", ran.out)
    assert "--namespace=team" in Path("answers/calls").read_text()


def test_the_report_of_an_engine_is_its_models(run: Run, cluster: Answer) -> None:
    cluster("enginebuilds/chat", {"spec": {"modelRef": {"name": "smollm2"}}})
    cluster("quantizedmodels/smollm2", model(READY, **MEASURED))
    assert "INT8WeightOnly" in run("report", "eb/chat").out


def test_the_report_as_json_is_statuss_quality(run: Run, cluster: Answer) -> None:
    cluster("quantizedmodels/smollm2", model(READY, **MEASURED))
    found = json.loads(run("report", "quantizedmodel.trtllm.dev/smollm2", "-o", "json").out)
    assert [candidate["verdict"] for candidate in found["candidates"]] == ["Refused", "Passed", "Failed"]


def test_what_a_refusal_was_explained_with_and_the_mix_that_passes_are_printed_and_on_the_page(
    run: Run, cluster: Answer
) -> None:
    explained = json.loads(json.dumps(MEASURED))
    refused, _, mixed = explained["quality"]["candidates"]
    refused["explanation"] = "the KL divergence comes, by layer 89 % from layers.2"
    measures = {"perplexity": "18.2", "klDivergence": "0.08"}
    refused["proposal"] = {"excludeModules": ["layers.2"], "measures": measures, "bytes": 130000000}
    mixed |= {"method": "INT4WeightOnly", "excludeModules": ["layers.2"]}
    cluster("quantizedmodels/smollm2", model(READY, **explained))
    said = " ".join(run("report", "qm/smollm2", "--html", "report.html").out.split())
    assert "INT4WeightOnly: The KL divergence comes, by layer 89 % from layers.2" in said
    assert "With excludeModules [layers.2] it passes (perplexity 18.2, KL 0.08, 124.0 MiB)." in said
    assert "INT4WeightOnly mixed" in said
    page = Page(Path("report.html").read_text()).text
    assert "The KL divergence comes, by layer 89 % from layers.2." in page
    assert "INT4WeightOnly without layers.2 18.2 – 0.08 – – 124.0 MiB" in page
    assert "INT4WeightOnly mixed" in page


def test_the_page_says_what_status_says(run: Run, cluster: Answer) -> None:
    cluster("quantizedmodels/smollm2", model(READY, **MEASURED))
    assert run("report", "qm/smollm2", "--html", "report.html").code == 0
    page = Path("report.html").read_text()
    text = Page(page).text
    for expected in (
        "QuantizedModel team/smollm2", TIME, "INT8WeightOnly is published", "INT4WeightOnly, groups of 64",
        "17.79 to 17.92", "+44.1%", "25.64", "0.6218", "61.6%", "95.8%", "111.0 MiB", "256.6 MiB", "1/1",
        "at most 10%", "at most 0.2", "at least 80%", "Perplexity rose by 44.1%, more than 10% <allowed>.",
        "True, ArtifactReady: INT8WeightOnly at artifacts/a", "LlamaForCausalLM, 135M parameters",
        "artifacts/a on claim trtllm-store", DIGEST, "INT4WeightOnly: group size 64: 128 does not divide 576.",
    ):  # fmt: skip
        assert expected in text, expected
    assert page.count("<svg") == 4
    assert page.count('<line class="limit"') == 3


def test_without_a_candidate_that_passed_nothing_is_published(run: Run, cluster: Answer) -> None:
    refused = json.loads(json.dumps(MEASURED))
    del refused["artifact"], refused["quality"]["candidates"][1]
    cluster("quantizedmodels/smollm2", model(*STALLED, **refused))
    assert run("report", "qm/smollm2", "--html", "report.html").code == 0
    text = Page(Path("report.html").read_text()).text
    assert "Nothing is published Refused None of the 2 candidates passed the quality gate." in text
    assert "False, QualityRefused: all refused" in text


def test_a_page_that_cannot_be_written_is_one_sentence(run: Run, cluster: Answer) -> None:
    cluster("quantizedmodels/smollm2", model(READY, **MEASURED))
    ran = run("report", "qm/smollm2", "--html", "missing/report.html")
    assert ran.code == 2
    assert "cannot be written" in ran.err


def test_fields_of_a_newer_operator_are_left_out(run: Run, cluster: Answer) -> None:
    newer = json.loads(json.dumps(MEASURED))
    newer["quality"]["candidates"][0]["measures"]["surprise"] = 1
    cluster("quantizedmodels/smollm2", model(READY, **newer, surprise={}))
    assert "INT8WeightOnly" in run("report", "qm/smollm2").out


def test_a_status_that_makes_no_sense_is_one_sentence(run: Run, cluster: Answer) -> None:
    cluster("quantizedmodels/smollm2", model(READY, quality={"candidates": 1}))
    ran = run("report", "qm/smollm2")
    assert ran.code == 2
    assert "status.quality.candidates is not valid for this version of trtllm" in ran.err


@pytest.mark.parametrize(
    ("resource", "says"),
    [
        ("qm/other", "not found"),
        ("smollm2", "Write qm/NAME or eb/NAME."),
        ("pod/a", "Write qm/NAME or eb/NAME."),
        ("qm/", "Write qm/NAME or eb/NAME."),
        ("qm/smollm2", "has not been measured yet"),
        ("eb/source", "its checkpoint is spec.source, which is not measured"),
    ],
)
def test_a_report_that_there_is_not_is_exit_code_2(run: Run, cluster: Answer, resource: str, says: str) -> None:
    cluster("quantizedmodels/smollm2", model(*BUSY, stage="Quantize"))
    cluster("enginebuilds/source", {"spec": {"source": {}}})
    ran = run("report", resource)
    assert ran.code == 2
    assert says in ran.err


def test_without_kubectl_it_says_so(run: Run) -> None:
    ran = run("status", "qm/smollm2")
    assert ran.code == 2
    assert "PATH has no kubectl. Install it" in ran.err


def progress(percent: int) -> dict[str, Any]:
    return {"stage": "Calibrate", "percent": percent, "detail": "samples 12 of 128", "etaSeconds": 300}


def test_without_a_terminal_each_change_is_one_line_until_ready(run: Run, cluster: Answer) -> None:
    busy = model(*BUSY, stage="Quantize", progress=progress(10))
    further = model(*BUSY, stage="Quantize", progress=progress(20))
    cluster("quantizedmodels/smollm2", busy, busy, further, model(READY, stage="Ready"))
    ran = run("status", "qm/smollm2", "--interval", "0.01")
    assert ran.code == 0
    lines = [line.split("  ", 1)[1] for line in ran.out.splitlines()]
    assert lines == [
        "Quantize  Calibrate, 10%, samples 12 of 128, about 5 min left  Quantizing: being quantized",
        "Quantize  Calibrate, 20%, samples 12 of 128, about 5 min left  Quantizing: being quantized",
        "Ready  ArtifactReady: INT8WeightOnly at artifacts/a",
    ]


def test_stalled_is_exit_code_1(run: Run, cluster: Answer) -> None:
    cluster("quantizedmodels/smollm2", model(*STALLED))
    assert run("status", "qm/smollm2").code == 1


def test_ready_of_an_older_spec_is_not_ready(run: Run, cluster: Answer) -> None:
    cluster("quantizedmodels/smollm2", model(READY, generation=2))
    assert run("status", "qm/smollm2", "--once").code == 3
    assert run("status", "qm/smollm2", "--timeout", "0.01", "--interval", "0.02").code == 3


def test_once_shows_the_whole_view(run: Run, cluster: Answer) -> None:
    cluster("quantizedmodels/smollm2", model(*BUSY, stage="Quantize", progress=progress(42)))
    ran = run("status", "qm/smollm2", "--once")
    assert ran.code == 3
    assert_golden("status.text", ran.out)


def test_a_view_outlasts_an_api_server_that_is_gone_for_a_moment(run: Run, cluster: Answer) -> None:
    busy = model(*BUSY, stage="Quantize")
    cluster("quantizedmodels/smollm2", busy, {"error": "connection refused"}, model(READY, stage="Ready"))
    ran = run("status", "qm/smollm2", "--interval", "0.01")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 2


def test_a_resource_that_is_deleted_ends_the_view(run: Run, cluster: Answer) -> None:
    cluster("quantizedmodels/smollm2", model(*BUSY), {"error": "Error from server (NotFound): not found"})
    ran = run("status", "qm/smollm2", "--interval", "0.01")
    assert ran.code == 2
    assert "NotFound" in ran.err


def test_what_is_not_done_yet_is_marked_as_failed_only_when_it_has_failed() -> None:
    waiting = condition("ArtifactReady", "False", "NotReached")
    assert "  · ArtifactReady: NotReached" in view(model(*BUSY, waiting), Terminal())
    assert "  ✗ ArtifactReady: NotReached" in view(model(*STALLED, waiting), Terminal())


def test_servers_have_a_bar_of_their_own() -> None:
    resource = model(READY, serving={"replicas": 4, "readyReplicas": 1, "url": "http://chat.team"})
    lines = view(resource, Terminal())
    assert any("1 of 4 servers ready" in line for line in lines)
    assert lines[-1].strip() == "http://chat.team"


def test_a_terminal_is_drawn_over(run: Run, cluster: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    busy = model(*BUSY, stage="Quantize", progress=progress(10))
    cluster("quantizedmodels/smollm2", busy, model(READY))
    ran = run("status", "qm/smollm2", "--interval", "0.01")
    assert ran.code == 0
    assert "\x1b[4F\x1b[J" in ran.out
    assert "█" in ran.out
