"""The page says what was chosen and why, needs nothing but itself, and takes any text."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib.resources import files
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.html_reader import Page
from trtllm_api.modelstatus import Verdict
from trtllm_report import Answer, Canary, Candidate, Fact, Limit, Limits, Measures, Mix, Number, Report
from trtllm_report.charts import Bar, Chart, Tone, draw
from trtllm_report.numbers import human_bytes, human_seconds
from trtllm_report.page import report_html

EVIL = "<script>alert('\"x\"')</script>&amp;{{ 7 * 7 }}"
PARIS = Canary("The capital of France is", "Paris", " Paris.", True)
REFUSED = Candidate(
    "INT4WeightOnly",
    Verdict.REFUSED,
    "PerplexityTooHigh",
    "perplexity 39.15 is 50.7 % above the source's 25.98 (at most 10 %)",
    group_size=128,
    options="kvCache FP8",
    measures=Measures(
        Number("39.15", 39.15),
        Number("+50.7%", 50.7),
        Number("0.412", 0.412),
        Number("61.3%", 61.3),
        "0/1",
        (replace(PARIS, answer=" Lyon.", passed=False),),
    ),
    size=80,
    seconds={"Quantizing": 12.5, "Evaluating": 185.0},
    answers=(Answer("Once upon a time", " there was a king.", " there was a queen."),),
)
PASSED = Candidate(
    "INT4AWQ",
    Verdict.PASSED,
    "QualityPassed",
    "Perplexity 26.40 is 1.6 % above the source's 25.98 (at most 10 %)",
    group_size=64,
    options="kvCache FP8",
    measures=Measures(
        Number("26.40", 26.4), Number("+1.6%", 1.6), Number("0.021", 0.021), Number("97.1%", 97.1), "1/1", (PARIS,)
    ),
    size=90_000_000,
    seconds={"Quantizing": 12.5, "Evaluating": 185.0},
    answers=(Answer("Once upon a time", " there was a king.", " there was a prince."),),
)
BROKEN = Candidate("NVFP4", Verdict.FAILED, "QuantizationNotSupported", "not here")
REPORT = Report(
    title="example/tiny-model",
    date="2025-01-31 12:00 UTC",
    candidates=(REFUSED, PASSED, BROKEN),
    chosen=1,
    reference=Measures(Number("25.98", 25.98), canaries="1/1", canary_answers=(PARIS,)),
    reference_size=270_000_000,
    limits=Limits(Limit(10.0, "at most 10%"), Limit(0.2, "at most 0.2"), Limit(80.0, "at least 80%")),
    facts=(Fact("Source digest", "sha256:" + "ab" * 32, identifier=True), Fact("Machine", "1 GPU with 80 GiB")),
    notes=("INT4AWQ is next because it keeps important columns precise",),
)
EXPLAINED = replace(
    REFUSED,
    explanation="the KL divergence comes, by layer 89 % from layers.2",
    shares={"layer": {"layers.0": -0.02, "layers.2": 0.891}, "kind": {"mlp.down_proj": 0.93}},
    mix=Mix(
        ("layers.2", "*.mlp.down_proj"),
        Measures(Number("26.90", 26.9), Number("+3.5%", 3.5), Number("0.08", 0.08), Number("91.0%", 91.0)),
        120_000_000,
    ),
)


def _header(page: str) -> str:
    return page[page.index("<header") : page.index("</header>")]


def test_the_first_thing_on_the_page_is_what_was_chosen_and_why() -> None:
    header = _header(report_html(REPORT))
    assert "<h1>INT4AWQ, groups of 64 is published" in header
    assert "Perplexity 26.40 is 1.6 % above the source&#39;s 25.98 (at most 10 %).</p>" in header
    assert header.index("is published") < header.index("Also tried") < header.index("INT4WeightOnly, groups of 128")
    assert header.count("INT4AWQ") == 1


@pytest.mark.parametrize(
    ("candidates", "tone", "says"),
    [
        ((REFUSED, BROKEN), "bad", "None of the 2 candidates passed the quality gate."),
        ((BROKEN, BROKEN), "bad", "None of the 2 candidates could be measured."),
        ((REFUSED,), "bad", "INT4WeightOnly, groups of 128 was the only candidate: perplexity 39.15"),
        ((), "bad", "There was no candidate to try."),
    ],
)
def test_without_a_winner_the_page_says_why(candidates: tuple[Candidate, ...], tone: str, says: str) -> None:
    page = report_html(replace(REPORT, candidates=candidates, chosen=None))
    assert f'<header class="hero {tone}">' in page
    assert "<h1>Nothing is published" in page
    assert says in _header(page)
    Page(page)


def test_a_warned_winner_is_not_shown_as_passed() -> None:
    page = report_html(replace(REPORT, candidates=(replace(REFUSED, verdict=Verdict.WARNED),), chosen=0))
    assert '<header class="hero warn">' in page
    assert '<span class="badge warn">Warned</span>' in _header(page)


def test_the_page_shows_numbers_limits_facts_and_answers() -> None:
    text = Page(report_html(REPORT)).text
    for expected in (
        "+50.7%", "+1.6%", "97.1%", "0.021", "at most 10%", "at most 0.2", "at least 80%", "257.5 MiB", "85.8 MiB",
        "33 % of 257.5 MiB", "25.98 to 26.40", "sha256:abab", "1 GPU with 80 GiB", "Lyon.",
        "there was a king.", "Canary 1",
        "there was a queen.", "there was a prince.", "3 min 5 s", "3 min 18 s", "not measured",
        "INT4AWQ is next because it keeps important columns precise.",
    ):  # fmt: skip
        assert expected in text, expected


def test_verdicts_are_words_and_not_only_colours() -> None:
    badges = re.findall(r'<span class="badge (\w+)">([^<]+)</span>', report_html(REPORT))
    assert {("good", "Passed"), ("bad", "Refused"), ("bad", "Failed"), ("bad", "Wrong")} == set(badges)


def test_a_refused_candidate_has_its_shares_the_largest_first_and_the_mix_that_passes() -> None:
    page = report_html(replace(REPORT, candidates=(EXPLAINED, replace(PASSED, mixed=True), BROKEN)))
    text = Page(page).text
    for shown in (
        "Where the error comes from", "The KL divergence comes, by layer 89 % from layers.2.", "89.1 %", "93.0 %",
        "-2.0 %", "*.mlp.down_proj", "26.90", "0.08", "91.0%", "114.4 MiB", "INT4AWQ mixed, groups of 64",
    ):  # fmt: skip
        assert shown in text, shown
    assert text.index("89.1 %") < text.index("-2.0 %")


def test_only_the_ten_largest_shares_are_shown() -> None:
    shares = {f"layers.{number}": number / 100 for number in range(12)}
    text = Page(
        report_html(replace(REPORT, candidates=(replace(EXPLAINED, shares={"layer": shares}),), chosen=None))
    ).text
    assert "11.0 %" in text
    assert "2.0 %" in text
    assert "1.0 %" not in text.replace("11.0 %", "")


def test_what_is_empty_has_no_section() -> None:
    page = report_html(Report("m", "today", (BROKEN,), None))
    assert re.findall(r"<h2>([^<]*)</h2>", page) == ["Candidates"]
    assert "<svg" not in page
    Page(page)


def test_the_page_asks_nothing_from_outside() -> None:
    page = report_html(REPORT)
    read = Page(page)
    assert not read.names & {"script", "link", "img", "iframe", "object", "use", "a"}
    assert not [value for _, attrs in read.tags for name, value in attrs.items() if name in {"src", "href"}]
    for word in ("url(", "@import", "http://", "https://"):
        assert word not in page
    assert "default-src 'none'" in page


def test_the_whole_style_sheet_is_on_the_page() -> None:
    style = files("trtllm_report").joinpath("templates", "style.css").read_text()
    assert style in report_html(REPORT)
    assert "prefers-color-scheme:dark" in style


def test_every_class_on_the_page_has_a_style() -> None:
    page = report_html(replace(REPORT, candidates=(EXPLAINED, PASSED, BROKEN)))
    style = files("trtllm_report").joinpath("templates", "style.css").read_text()
    classes = {word for _, attrs in Page(page).tags for word in (attrs.get("class") or "").split()}
    assert classes == {word for word in classes if f".{word}" in style}


def test_every_table_has_a_caption_headers_with_scope_and_whole_rows() -> None:
    page = report_html(replace(REPORT, candidates=(EXPLAINED, PASSED, BROKEN)))
    tables = re.findall(r"<table[ >].*?</table>", page, re.DOTALL)
    assert len(tables) == page.count("<caption>") == 7
    assert all(attrs.get("scope") in {"row", "col"} for tag, attrs in Page(page).tags if tag == "th")
    for table in tables:
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
        assert "INT4AWQ (64): " in str(root.findtext("desc"))
        assert [text.text for text in root.iter("text") if text.attrib["class"] == "label"][-3:] == [
            "INT4WeightOnly (128)", "INT4AWQ (64)", "NVFP4",
        ]  # fmt: skip


def test_a_bar_has_the_colour_of_its_limit_and_not_of_the_verdict() -> None:
    over = replace(REFUSED, verdict=Verdict.WARNED, measures=replace(PASSED.measures, change=Number("+12%", 12.0)))
    page = report_html(replace(REPORT, candidates=(over,), chosen=0))
    tones = [re.findall(r'class="bar (\w+)"', chart) for chart in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]
    assert tones == [["warn"], ["good"], ["good"], ["plain", "plain"]]


def test_without_a_limit_the_chart_has_no_line() -> None:
    page = report_html(replace(REPORT, limits=replace(REPORT.limits, divergence=None)))
    lines = ['class="limit"' in chart for chart in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]
    assert lines == [True, False, True, False]


def test_a_measurement_that_no_candidate_has_is_no_chart() -> None:
    plain = replace(PASSED, measures=Measures(Number("26.40", 26.4)), size=None)
    assert "<svg" not in report_html(replace(REPORT, candidates=(plain,), chosen=0))


def _evil() -> Report:
    canary = Canary(EVIL, EVIL, EVIL, False)
    number = Number(EVIL, 1.0)
    measures = Measures(number, number, number, number, EVIL, (canary,))
    candidate = Candidate(
        EVIL, Verdict.REFUSED, EVIL, EVIL, 16, False, EVIL, measures, 1, {EVIL: 1.0},
        (Answer(EVIL, EVIL, EVIL),), EVIL, {EVIL: {EVIL: 0.5}}, Mix((EVIL,), measures, 1),
    )  # fmt: skip
    limit = Limit(1.0, EVIL)
    return Report(
        EVIL, EVIL, (candidate, candidate), 0, measures, 1, Limits(limit, limit, limit),
        (Fact(EVIL, EVIL), Fact(EVIL, EVIL, identifier=True)), (EVIL,),
    )  # fmt: skip


def test_whatever_users_models_and_tools_write_is_escaped() -> None:
    page = report_html(_evil())
    assert "<script" not in page
    assert "script" not in Page(page).names
    assert "&lt;script&gt;" in page
    assert "{{ 7 * 7 }}" in page
    assert not [attrs for _, attrs in Page(page).tags if "onload" in attrs]


@given(st.text())
def test_any_text_leaves_the_page_well_formed(text: str) -> None:
    evil = replace(PASSED, label=text, options=text, message=text, answers=(Answer(text, text, text),))
    Page(report_html(replace(REPORT, title=text, candidates=(evil,), chosen=0)))


def test_the_same_report_is_written_the_same_way_every_time() -> None:
    assert report_html(REPORT) == report_html(replace(REPORT))


@pytest.mark.parametrize("chosen", [-1, 3])
def test_a_choice_that_names_no_candidate_is_an_error(chosen: int) -> None:
    with pytest.raises(ValueError, match="there are 3 candidates"):
        replace(REPORT, chosen=chosen)


@given(
    st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), max_size=9),
    st.none() | st.floats(min_value=0, max_value=1e6),
)
def test_bars_and_limits_stay_inside_the_drawing(values: list[float | None], limit: float | None) -> None:
    bars = tuple(Bar("FP8", value, "text", Tone.BAD) for value in values)
    drawing = draw(Chart("key", "title", "what", bars, None if limit is None else Limit(limit, "limit")))
    for row in drawing.rows:
        assert row.length is None or 2 <= row.length <= 258
        assert 0 < row.middle < drawing.height
    assert drawing.line is None or 190 <= drawing.line.x <= 448


def test_a_bar_far_beyond_its_limit_is_cut_and_leaves_the_others_readable() -> None:
    bars = (Bar("a", 5000.0, "5000%", Tone.BAD), Bar("b", 8.0, "8%", Tone.GOOD))
    drawing = draw(Chart("key", "title", "what", bars, Limit(10.0, "at most 10%")))
    assert [(row.cut, row.length) for row in drawing.rows] == [(True, 258.0), (False, pytest.approx(51.6))]


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
