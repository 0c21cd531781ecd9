from __future__ import annotations

from pathlib import Path

from trtllm_diagnosis.catalogue import CATALOGUE
from trtllm_diagnosis.coverage import FAILURES, RULES, Failure, Foreseen
from trtllm_diagnosis.docs import markdown

REPOSITORY = Path(__file__).resolve().parents[3]


def test_every_failure_that_can_be_foreseen_is_covered() -> None:
    assert [f.id for f in FAILURES if f.foreseen is Foreseen.YES and not (f.rules or f.entries)] == []
    assert [f.id for f in FAILURES if not f.covered] == []


def test_an_uncovered_failure_would_be_noticed() -> None:
    assert not Failure("Z99", "nothing knows it", Foreseen.YES).covered


def test_every_rule_is_one_of_the_fifteen_and_every_one_is_used() -> None:
    assert {rule for failure in FAILURES for rule in failure.rules} == set(RULES) == set(range(1, 16))


def test_every_listed_failure_with_a_message_is_named_by_the_catalogue() -> None:
    silent = {"C8", "C9", "C18", "C19", "S33"}  # the same message as C7, or none at all
    assert {f.id for f in FAILURES if not f.entries} == silent


def test_failures_are_listed_once() -> None:
    assert len({f.id for f in FAILURES}) == len(FAILURES)


def test_the_document_is_generated_from_this_code() -> None:
    assert (REPOSITORY / "docs/failures.md").read_text(encoding="utf-8") == markdown()


def test_the_document_names_every_entry() -> None:
    text = markdown()
    assert [entry.id for entry in CATALOGUE if f"| {entry.id} " not in text] == []
