"""The quality report says what was chosen and why, as a page for people and as JSON for programs."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtllm_api.contract import GateRequest
from trtllm_api.modelstatus import Verdict
from trtllm_api.quality import OnFailure
from trtllm_builder.gate import CanaryOutcome, ModelMeasures, decide
from trtllm_builder.report import FreeAnswer, Mix, Report, ReportCandidate, report_html, report_json
from trtllm_builder.report.charts import Bar, Chart, Limit, Tone, draw
from trtllm_builder.report.model import human_bytes, human_seconds

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
VOID = {"meta", "br", "hr", "img", "link", "input"}
EVIL = "<script>alert('\"x\"')</script>&amp;"


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


class Reader(HTMLParser):
    """Checks that tags nest, and keeps tags, attributes and visible text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text.append(data)


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def test_the_first_thing_on_the_page_is_what_was_chosen_and_why() -> None:
    page = report_html(REPORT)
    header = page[page.index("<header") : page.index("</header>")]
    assert "<h1>INT4AWQ, groups of 64 is published" in header
    assert "Perplexity 26.40 is 1.6 % above the source&#x27;s 25.98 (at most 10 %)" in header
    assert "INT4WeightOnly, groups of 128" in header
    assert header.index("is published") < header.index("INT4WeightOnly")


def test_without_a_winner_the_page_says_that_nothing_is_published() -> None:
    page = report_html(replace(REPORT, candidates=(REFUSED, BROKEN), chosen=None))
    assert "Nothing is published" in page
    assert "None of the 2 candidates passed the quality gate." in page


def test_a_single_refused_candidate_is_explained_in_the_headline() -> None:
    page = report_html(replace(REPORT, candidates=(REFUSED,), chosen=None))
    assert "INT4WeightOnly, groups of 128 was the only candidate: perplexity 39.15" in page


def test_candidates_that_all_failed_are_told_from_refused_ones() -> None:
    page = report_html(replace(REPORT, candidates=(BROKEN, BROKEN), chosen=None))
    assert "None of the 2 candidates could be measured." in page


def test_a_report_without_candidates_is_still_a_page() -> None:
    page = report_html(replace(REPORT, candidates=(), chosen=None))
    assert "There was no candidate to try." in page
    read(page)


def test_a_warned_winner_is_not_shown_as_passed() -> None:
    warned = replace(REFUSED, verdict=Verdict.WARNED)
    page = report_html(replace(REPORT, candidates=(warned,), chosen=0))
    assert '<span class="badge warn">Warned</span>' in page[: page.index("</header>")]


def test_the_page_shows_numbers_limits_versions_and_answers() -> None:
    text = " ".join(read(report_html(REPORT)).text)
    for expected in (
        "+50.7%",
        "+1.6%",
        "97.1%",
        "0.021",
        "at most 10%",
        "at most 0.2",
        "at least 80%",
        "257.5 MiB",
        "85.8 MiB",
        "modelopt",
        "0.33.0",
        "sha256:abab",
        "0123456789abcdef",
        "1 GPU with 80 GiB",
        "128 built-in texts of 512 tokens",
        " Lyon.",
        " there was a king.",
        " there was a queen.",
        "3 min 5 s",
        "not measured",
        "INT4AWQ is next because",
    ):
        assert expected in text, expected


def test_verdicts_are_words_and_not_only_colours() -> None:
    page = report_html(REPORT)
    for badge in ("good", "bad"):
        assert re.search(rf'<span class="badge {badge}">[A-Z][a-z]+</span>', page)


EXPLAINED = replace(
    REFUSED,
    explanation="the KL divergence comes, by layer 89 % from layers.2",
    shares={"layer": {"layers.2": 0.891, "layers.0": -0.02}, "kind": {"mlp.down_proj": 0.93}},
    mix=Mix(("layers.2", "*.mlp.down_proj"), ModelMeasures(26.9, 0.08, 0.91, 4096, (PARIS,)), 120_000_000),
)
MIXED = replace(PASSED, label="INT4WeightOnly", mixed=True)


def test_a_refused_candidate_is_shown_with_where_its_error_comes_from_and_the_mix_that_passes() -> None:
    page = read(report_html(replace(REPORT, candidates=(EXPLAINED, MIXED, BROKEN))))
    text = "".join(page.text)
    for shown in (
        "Where the error comes from",
        "by layer 89 % from layers.2",
        "89.1 %",
        "93.0 %",
        "-2.0 %",
        "*.mlp.down_proj",
        "26.90",
        "0.08",
        "91.0%",
        "114.4 MiB",
        "INT4WeightOnly mixed, groups of 64",
    ):
        assert shown in text, shown


def test_without_an_explanation_there_is_no_section_for_it() -> None:
    assert "Where the error comes from" not in report_html(REPORT)


def test_the_json_has_every_share_and_the_mix() -> None:
    found = json.loads(report_json(replace(REPORT, candidates=(EXPLAINED, MIXED, BROKEN))))["candidates"]
    assert found[0]["shares"] == {"layer": {"layers.2": 0.891, "layers.0": -0.02}, "kind": {"mlp.down_proj": 0.93}}
    assert found[0]["mix"]["excludeModules"] == ["layers.2", "*.mlp.down_proj"]
    assert (found[0]["mix"]["bytes"], found[0]["mix"]["measures"]["klDivergence"]) == (120_000_000, 0.08)
    assert (found[1]["mixed"], found[1]["mix"], found[1]["shares"]) == (True, None, {})


def test_the_page_asks_nothing_from_outside() -> None:
    page = report_html(REPORT)
    reader = read(page)
    assert not {tag for tag, _ in reader.tags} & {"script", "link", "img", "iframe", "object", "use", "a"}
    assert not [value for _, attrs in reader.tags for name, value in attrs.items() if name in {"src", "href"}]
    assert "url(" not in page
    assert "@import" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert "default-src 'none'" in page


def test_the_page_has_a_dark_and_a_light_side() -> None:
    assert "prefers-color-scheme:dark" in report_html(REPORT)


def test_every_table_has_a_caption_and_headers_with_scope() -> None:
    page = report_html(REPORT)
    assert page.count("<table>") == page.count("<caption>") > 2
    reader = read(page)
    assert all(attrs.get("scope") in {"row", "col"} for tag, attrs in reader.tags if tag == "th")


def test_every_table_has_as_many_cells_in_each_row_as_headers() -> None:
    for table in re.findall(r"<table>.*?</table>", report_html(REPORT), re.DOTALL):
        counts = {len(re.findall(r"<t[hd][ >]", row)) for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)}
        assert len(counts) == 1


def test_every_chart_is_well_formed_and_described() -> None:
    page = report_html(REPORT)
    charts = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(charts) == 4
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for chart in charts:
        root = ET.fromstring(chart)  # noqa: S314 - our own text
        assert root.attrib["role"] == "img"
        assert all(name in ids for name in root.attrib["aria-labelledby"].split())
        assert root.findtext("title")
        assert "INT4AWQ" in str(root.findtext("desc"))


def test_charts_tell_group_sizes_apart() -> None:
    chart = re.findall(r"<svg.*?</svg>", report_html(REPORT), re.DOTALL)[0]
    assert ">INT4WeightOnly (128)</text>" in chart
    assert ">INT4AWQ (64)</text>" in chart


def test_whatever_users_models_and_tools_write_is_escaped() -> None:
    canary = CanaryOutcome(EVIL, EVIL, EVIL, False)
    measures = ModelMeasures(26.0, 0.1, 0.9, 4096, (canary,), EVIL)
    evil = ReportCandidate(
        EVIL, 16, EVIL, measures, 1, {EVIL: 1.0}, Verdict.REFUSED, EVIL, EVIL, (FreeAnswer(EVIL, EVIL, EVIL),)
    )
    evil = replace(evil, explanation=EVIL, shares={EVIL: {EVIL: 0.5}}, mix=Mix((EVIL,), measures, 1))
    report = Report(
        EVIL, EVIL, EVIL, EVIL, {EVIL: EVIL}, EVIL, EVIL, EVIL, GATE, replace(SOURCE, canaries=(canary,)), 1, (evil,),
        0, (EVIL,),
    )  # fmt: skip
    page = report_html(report)
    assert "<script" not in page
    assert "script" not in {tag for tag, _ in read(page).tags}
    assert "&lt;script&gt;" in page


@given(st.text())
def test_any_text_leaves_the_page_well_formed(text: str) -> None:
    evil = replace(PASSED, label=text, options=text, message=text, answers=(FreeAnswer(text, text, text),))
    read(report_html(replace(REPORT, model=text, candidates=(evil,), chosen=0)))


def test_numbers_that_are_none_are_named_and_break_nothing() -> None:
    measures = ModelMeasures(math.nan, math.inf, math.nan, 4096)
    lost = candidate("FP8", None, measures, 5)
    report = replace(REPORT, candidates=(lost,), chosen=None)
    page = report_html(report)
    read(page)
    assert "not a number" in page
    assert not re.search(r'(?:x|x1|x2|width)="(?:nan|inf)', page)
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


def test_without_limits_and_measures_charts_are_left_out() -> None:
    page = report_html(replace(REPORT, candidates=(BROKEN,), chosen=None))
    assert "<svg" not in page


def test_without_a_divergence_limit_the_chart_has_no_line() -> None:
    page = report_html(replace(REPORT, gate=GATE.model_copy(update={"max_kl_divergence": None})))
    chart = page[page.index('aria-labelledby="divergence') :]
    assert 'class="limit"' not in chart[: chart.index("</svg>")]


@given(
    st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), max_size=9),
    st.none() | st.floats(min_value=0, max_value=1e6),
)
def test_bars_and_limits_stay_inside_the_drawing(values: list[float | None], limit: float | None) -> None:
    bars = tuple(Bar("FP8", value, "text", Tone.BAD) for value in values)
    drawing = draw(Chart("key", "title", "what", bars, None if limit is None else Limit(limit, "limit")))
    root = ET.fromstring(drawing)  # noqa: S314 - our own text
    for bar in root.iter("rect"):
        assert float(bar.attrib["width"]) > 0
        assert float(bar.attrib["x"]) + float(bar.attrib["width"]) <= 560
    for line in root.iter("line"):
        assert 0 <= float(line.attrib["x1"]) <= 560


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (270_000_000, "257.5 MiB"), (5 << 40, "5.0 TiB")],
)
def test_sizes_are_written_for_people(size: int, text: str) -> None:
    assert human_bytes(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.21, "4.2 s"), (59.99, "1 min 0 s"), (185, "3 min 5 s"), (7800, "2 h 10 min")]
)
def test_durations_are_written_for_people(seconds: float, text: str) -> None:
    assert human_seconds(seconds) == text
