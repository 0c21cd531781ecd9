"""Foreign text costs bounded time: it makes no expression, line or log slow. Times are of this thread's CPU."""

from __future__ import annotations

import importlib
import pkgutil
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import trtllm_diagnosis
from trtllm_diagnosis import Diagnosis, Limits, Scanner, diagnose
from trtllm_diagnosis.bounded import bounded, compiled
from trtllm_diagnosis.catalogue import CATALOGUE
from trtllm_diagnosis.entry import Pattern
from trtllm_diagnosis.kinds import HINTS
from trtllm_diagnosis.limits import LONGEST
from trtllm_diagnosis.matching import literals

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))

from pumps import Pump, endless, pumped, pumps

WHOLE = 1600
"""Characters that an expression sees at most."""
EXPRESSION_SECONDS = 0.015
LINE_SECONDS = 0.05
TRIES = 4
"""The machine may be busy: the best time of so many counts."""


def expressions() -> dict[str, re.Pattern[str]]:
    """All of the package, by where they stand."""
    found: dict[str, re.Pattern[str]] = {}
    for entry in CATALOGUE:
        for number, pattern in enumerate(entry.patterns):
            found[f"{entry.id}[{number}]"] = pattern.regex
            if pattern.within_regex is not None:
                found[f"{entry.id}[{number}] within"] = pattern.within_regex
    for hint in HINTS:
        found |= {f"hint {hint.about} {number}": one for number, one in enumerate(hint.expressions)}
    for module in pkgutil.walk_packages(trtllm_diagnosis.__path__, "trtllm_diagnosis."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, re.Pattern):
                found[f"{module.name}.{name}"] = value
    return found


EXPRESSIONS = expressions()
MATCHED_AT_A_PLACE = {"trtllm_diagnosis.lines._PREFIX", "trtllm_diagnosis.lines._LOGGER"}
"""Never searched for, only matched where a line begins."""


def some(choices: list[Pump], count: int) -> list[Pump]:
    return random.Random(len(choices)).sample(choices, min(count, len(choices)))  # noqa: S311 - a sample that is the same each time


def seconds(work: Callable[[], object], budget: float) -> float:
    """The least time of a few tries; the first within the budget is enough."""
    least = float("inf")
    for _ in range(TRIES):
        start = time.thread_time()
        work()
        least = min(least, time.thread_time() - start)
        if least <= budget:
            break
    return least


def test_every_expression_is_found() -> None:
    assert len(EXPRESSIONS) > sum(len(entry.patterns) for entry in CATALOGUE) + len(HINTS)


def test_no_repeat_of_the_catalogue_is_without_an_end() -> None:
    own = {name: one for name, one in EXPRESSIONS.items() if not name.startswith("trtllm_diagnosis.")}
    assert [name for name, expression in own.items() if endless(expression)] == []
    assert endless(re.compile(r"a.*b"))


def slow(expression: re.Pattern[str], search: Callable[[str], object], count: int) -> list[tuple[Pump, float]]:
    texts = [(pump, pumped(pump, WHOLE)) for pump in some(pumps(expression), count)]
    times = [(pump, seconds(lambda text=text: search(text), EXPRESSION_SECONDS)) for pump, text in texts]  # type: ignore[misc]
    return [(pump, took) for pump, took in times if took > EXPRESSION_SECONDS]


def test_no_expression_is_slow_on_text_that_is_pumped_from_itself() -> None:
    wrong = {}
    for name, expression in EXPRESSIONS.items():
        search = expression.match if name in MATCHED_AT_A_PLACE else expression.search
        if found := slow(expression, search, 12):
            wrong[name] = found[0]
    assert wrong == {}


@pytest.mark.parametrize(
    "expression",
    [
        r"(?:LlmArgs|\w*Config)\S*\(?\)? got an unexpected keyword argument '(?P<key>\w+)'",
        r"(?:Error|unexpected|missing|not found).*[\w.]*\.?(?P<layer>qweight)",
        r"ephemeral local storage usage exceeds.*?(?P<limit>\d+\w*)?\.?$",
    ],
)
def test_the_pumps_find_expressions_that_are_slow(expression: str) -> None:
    found = re.compile(expression, re.IGNORECASE)
    for pump in pumps(found):
        start = time.thread_time()
        found.search(pumped(pump, WHOLE // 2))
        if time.thread_time() - start > EXPRESSION_SECONDS:
            return
    pytest.fail("no pump was slow")


def lines() -> Iterator[tuple[str, str]]:
    """Long lines, each full of one pattern's own words."""
    for entry in CATALOGUE:
        pattern = entry.patterns[0]
        for pump in some(pumps(pattern.regex), 1):
            yield entry.id, f"error: not {pattern.literal} {pumped(pump, LONGEST)} {pattern.literal}"


def test_no_line_that_is_pumped_from_a_pattern_is_slow() -> None:
    wrong = [
        (name, line[:80], took)
        for name, line in lines()
        if (took := seconds(lambda line=line: diagnose([line], 1), LINE_SECONDS)) > LINE_SECONDS  # type: ignore[misc]
    ]
    assert wrong == []


WORDS = "error: not " + " ".join(literals())


@pytest.mark.parametrize(
    "line",
    [
        WORDS,
        " ".join(reversed(WORDS.split(" "))) + " not",
        WORDS * 1000,
        f"[E] {WORDS * 2}",
        "a" * 10_000_000,
        "error\r" * 2_000_000,
        " " * 10_000_000,
        "ERROR " * 50,
        "ERROR " * 2_000_000,
        "[a] " * 2_000_000,
        '{"a":' * 2_000_000,
        '{"log":' + "[" * 4000,
        '{"log": "error", "n": ' + "1" * 8000 + "}",
        "error \x1b[" * 1_000_000,
        "TypeError: unexpected keyword argument" + "Config" * 260,
        'INFO:     10.0.0.9:41234 - "GET /qweight' + "Error" * 300 + ' HTTP/1.1" 404 Not Found',
        'INFO:     10.0.0.9:41234 - "GET /qweight?http://x/' + "Error" * 300 + ' HTTP/1.1" 404 Not Found',
    ],
    ids=lambda line: f"{line[:24]}-{len(line)}",
)
def test_no_line_of_any_length_is_slow(line: str) -> None:
    assert seconds(lambda: diagnose([line], 1), LINE_SECONDS) <= LINE_SECONDS


def test_random_text_of_the_catalogues_words_is_not_slow() -> None:
    chance = random.Random(7)  # noqa: S311 - the same each time
    words = [*literals(), "error", "not", "0", "1234", "'", '"', "(", "[", ".", "/", "\t", "=", "Config", "é", "  "]
    for _ in range(60):
        few = chance.choices(words, k=chance.randint(1, 6))
        line = "".join(chance.choices(few, k=chance.randint(100, 1500)))
        took = seconds(lambda line=line: diagnose([line], 1), LINE_SECONDS)  # type: ignore[misc]
        assert took <= LINE_SECONDS, line[:200]


def test_the_repeats_that_an_author_leaves_open_get_an_end() -> None:
    assert bounded(r"a.*?b\.*c[^]a*]+(?:\w+ )*\*\d{2}") == (
        r"a.{0,200}?b\.{0,20}c[^]a*]{1,200}(?:\w{1,60} ){0,8}\*\d{2}"
    )


def test_a_look_ahead_from_the_beginning_sees_the_whole_line() -> None:
    text = "not " + "x" * 1000 + " reuse"
    assert compiled(r"(?=.*not)(?:reuse)").search(text)
    assert compiled(r"^(?!.*without).*reuse").search(text)
    assert not compiled(r"^(?!.*reuse).*not").search(text)


def test_expressions_of_the_catalogue_still_match_what_stands_at_a_distance() -> None:
    assert Pattern("a", r"ask.*got").regex.search("ask " + "x" * 150 + " got")
    assert not Pattern("a", r"ask.*got").regex.search("ask " + "x" * 500 + " got")


CAUSE = "ValueError: Config name is missing."


def test_a_very_long_line_is_read_at_its_beginning_and_its_end() -> None:
    for line in (CAUSE + " x" * 500_000, "x " * 500_000 + CAUSE):
        found = diagnose([line], 1)
        assert found is not None
        assert found.id == "Q4"
        assert "Config name is missing" in found.evidence
        assert len(found.evidence) <= 400
    middle = diagnose(["x " * 500_000 + CAUSE + " x" * 500_000], 1)
    assert middle is not None
    assert middle.id != "Q4"


SMALL = Limits(head=64 << 10, tail=32 << 10)


def noise(count: int) -> list[str]:
    return [f"frob {number} is well" for number in range(count)]


def test_the_head_and_the_tail_of_a_long_log_are_read_and_the_drop_is_said() -> None:
    many = 100_000
    for log, line in (([CAUSE, *noise(many)], 1), ([*noise(many), CAUSE, *noise(100)], many + 1)):
        found = diagnose(log, 1, SMALL)
        assert found is not None
        assert (found.id, found.line) == ("Q4", line)
        assert "Only the first 64 KiB and the last 32 KiB of the log were read." in found.sentence
    found = diagnose([*noise(many), CAUSE, *noise(many)], 1, SMALL)
    assert found is not None
    assert found.reason == "Unknown"
    assert "Only the first" in found.message


def test_nothing_is_said_of_a_drop_when_all_was_read() -> None:
    found = diagnose([*noise(500), CAUSE, *noise(500)], 1, SMALL)
    assert found is not None
    assert "Only the first" not in found.sentence


def test_short_lines_count_so_that_their_number_is_bounded() -> None:
    fed = 0

    def lines() -> Iterator[str]:
        nonlocal fed
        for _ in range(1_000_000):
            fed += 1
            yield "x"

    scanner = Scanner(Limits(head=1 << 16, tail=1 << 16))
    for line in lines():
        scanner.feed(line)
    assert fed == 1_000_000
    assert len(scanner._tail) <= 1024


def test_the_tail_of_a_scanner_may_be_read_twice() -> None:
    scanner = Scanner(SMALL)
    for line in [*noise(20_000), CAUSE]:
        scanner.feed(line)
    first, second = scanner.result(1), scanner.result(1)
    assert first == second
    assert first is not None
    assert first.line == 20_001


def test_a_diagnosis_ends_when_its_time_is_over_with_what_it_knows_by_then() -> None:
    asked = 0

    def out_of_time() -> bool:
        nonlocal asked
        asked += 1
        return asked > 30

    log = [CAUSE, *(f"error: frob {n} failed" for n in range(1_000_000))]
    found = diagnose(iter(log), 1, Limits(out_of_time=out_of_time))
    assert found is not None
    assert found.id == "Q4"
    assert found.message.endswith("Reading the log stopped at its time limit.")
    assert asked < 100
    unread = diagnose(log, 1, Limits(out_of_time=lambda: True))
    assert unread is not None
    assert unread.reason == "Unknown"
    assert "time limit" in unread.message


def test_hostile_lines_cost_no_more_time_than_the_limit_allows() -> None:
    start = time.thread_time()
    log = [f"{WORDS} {number}" for number in range(1000)]
    diagnose(log, 1, Limits(out_of_time=lambda: time.thread_time() - start > 0.3))
    assert time.thread_time() - start < 1.5


def test_threads_do_not_disturb_each_other() -> None:
    logs = [[*noise(50), f"ValueError: Only {n} GPUs are available, but 16 are required."] for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        found: list[Diagnosis | None] = list(pool.map(lambda log: diagnose(log, 1), logs))
    assert [one is not None and f"sees {n} GPUs" in one.message for n, one in enumerate(found)] == [True] * 24


@pytest.mark.parametrize(
    "line",
    [
        '{"log": ' + "[" * 5000 + "]" * 5000 + "}",
        '{"log": ' + '{"a":' * 1500 + "1" + "}" * 1500 + "}",
        '{"n": ' + "9" * 6000 + "}",
        '{"n": 1e999999, "log": "x"}',
        '{"log": "\\ud800 ValueError: Config name is missing."}',
        '{"level": {"a": [1]}, "log": "ValueError: Config name is missing."}',
    ],
    ids=["lists", "objects", "number", "infinite", "surrogate", "level"],
)
def test_strange_json_breaks_nothing(line: str) -> None:
    found = diagnose(["error: frob", line], 1)
    assert found is not None
    found.sentence.encode()
    found.evidence.encode()
    assert found.id == ("Q4" if "Config" in line else "unknown")
