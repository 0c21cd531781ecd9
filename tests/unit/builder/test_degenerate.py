"""Garbage is recognised by its shape; language, code and data are left alone."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trtllm_builder.degenerate import newly_degenerate, why_degenerate

PROSE = (
    "The river rises in the mountains and runs west through three valleys before it reaches the plain. "
    "In spring, when the snow melts, it floods the meadows; in late summer one can wade across it."
)
CODE = """def add(left, right):
    \"\"\"Add two numbers.\"\"\"
    return left + right


for index in range(10):
    print(index, add(index, index))
"""
NUMBERED = "\n".join(
    f"{index}. Step number {index}: do the thing called {name}." for index, name in enumerate("abcdefgh", 1)
)
DATA = json.dumps([{"id": index, "name": f"item {index}", "tags": ["a", "b"]} for index in range(6)], indent=2)


def tokens(text: str) -> list[int]:
    """Words and punctuation as tokens, numbered by first appearance."""
    numbers: dict[str, int] = {}
    return [numbers.setdefault(piece, len(numbers)) for piece in re.findall(r"\w+|[^\w\s]|\s+", text)]


@pytest.mark.parametrize(
    "text",
    [
        PROSE,
        CODE,
        NUMBERED,
        DATA,
        "Paris.",
        " 4",
        "no, no, no",
        "...",
        "!",
        "東京は日本の首都です。",
        "Привет, как дела? Всё хорошо.",
        "👩‍👩‍👧 family, 🎉 party, नमस्ते",
        "a fine answer that ends inside a character �",
        "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |",
        "x" * 8,
    ],
)
def test_language_code_and_data_look_healthy(text: str) -> None:
    assert why_degenerate(text, tokens(text)) is None


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("", "the answer is empty"),
        (" \n\t ", "the answer is only white space"),
        ("�" * 20, "replacement"),
        ("ok \x00\x01\x02\x03\x04\x05", "control"),
        ("!" * 64, 'the character "!" 64 times'),
        ("! " * 40, 'the character "!" 40 times'),
    ],
)
def test_text_that_nobody_can_read_is_degenerate(text: str, clause: str) -> None:
    assert clause in str(why_degenerate(text, []))


@pytest.mark.parametrize("period", range(1, 9))
def test_a_short_cycle_up_to_the_length_limit_is_degenerate(period: int) -> None:
    ids = [100, 101, 102, *(index % period for index in range(60))]
    assert "over and over" in str(why_degenerate("the the cat", ids))


def test_the_clause_tells_how_long_the_cycle_is() -> None:
    assert why_degenerate("of of", [9, *[5] * 31]) == "the same token over and over in the last 31 of 32 tokens"
    assert why_degenerate("a b", [1, 2] * 16) == "the same 2 tokens over and over in the last 32 of 32 tokens"


def test_a_cycle_of_nine_tokens_may_be_a_verse() -> None:
    assert why_degenerate("verse", [index % 9 for index in range(90)]) is None


def test_an_answer_that_ended_by_itself_is_not_a_cycle() -> None:
    assert why_degenerate("ha ha ha", [*[7] * 30, 2]) is None


def test_a_repetition_in_the_last_part_only_is_left_alone() -> None:
    assert why_degenerate("text", [*range(40), *[7] * 20]) is None


def test_a_short_answer_is_never_a_cycle() -> None:
    assert why_degenerate("no no no", [7] * 15) is None


def test_a_source_that_repeats_itself_excuses_a_candidate_that_does() -> None:
    assert newly_degenerate("a b", [1, 2] * 16, "c d e", [3, 4, 5] * 16) is None


def test_a_source_that_repeats_itself_does_not_excuse_an_empty_answer() -> None:
    assert newly_degenerate("a b", [1, 2] * 16, "", []) == "the answer is empty"


def test_a_healthy_source_excuses_nothing() -> None:
    assert "over and over" in str(newly_degenerate(PROSE, tokens(PROSE), "c d", [3, 4] * 16))


def test_a_healthy_candidate_is_healthy_whatever_the_source_wrote() -> None:
    assert newly_degenerate("", [], PROSE, tokens(PROSE)) is None


@given(st.text(), st.lists(st.integers(min_value=0, max_value=5), max_size=80))
def test_an_answer_is_never_newly_degenerate_against_itself(text: str, ids: list[int]) -> None:
    assert newly_degenerate(text, ids, text, ids) is None


@given(st.lists(st.integers(), unique=True, max_size=200))
def test_tokens_that_never_repeat_are_never_a_cycle(ids: list[int]) -> None:
    assert why_degenerate(PROSE, ids) is None
