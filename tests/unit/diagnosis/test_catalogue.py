from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path

import pytest

from trtllm_api.reasons import Reason
from trtllm_diagnosis import Certainty, Diagnosis, diagnose
from trtllm_diagnosis.catalogue import CATALOGUE
from trtllm_diagnosis.matching import literals

sys.path.insert(0, str(Path(__file__).parent))

from excerpts import EXCERPTS
from logs import HEALTHY, PREFIXES, WRAPPERS, excerpt


def named(found: Diagnosis | None) -> str:
    return found.id if found is not None else "nothing"


@pytest.mark.parametrize(("entry", "text"), EXCERPTS)
def test_an_excerpt_between_healthy_lines_and_wrappers_is_named(entry: str, text: str) -> None:
    found = diagnose([*HEALTHY, *excerpt(text), *WRAPPERS], 1)
    assert named(found) == entry, found


@pytest.mark.parametrize(("entry", "text"), EXCERPTS)
def test_other_numbers_do_not_change_the_name(entry: str, text: str) -> None:
    for number in (3, 96, 29568, 123456):
        assert named(diagnose(excerpt(text, number), 1)) == entry


@pytest.mark.parametrize("prefix", PREFIXES)
def test_launchers_prefixes_hide_nothing(prefix: str) -> None:
    missed = [
        (entry, text)
        for entry, text in EXCERPTS
        if named(diagnose([prefix + line for line in excerpt(text)], 1)) != entry
    ]
    assert missed == []


def test_interleaved_ranks_are_kept_apart() -> None:
    wrong = []
    for entry, text in EXCERPTS:
        mine = [f"[1,0]<stderr>:{line}" for line in excerpt(text)]
        other = [f"[1,1]<stderr>:{line}" for line in HEALTHY]
        mixed = [line for pair in itertools.zip_longest(mine, other) for line in pair if line is not None]
        if named(diagnose(mixed, 1)) != entry:
            wrong.append(entry)
    assert wrong == []


@pytest.mark.parametrize(("entry", "text"), EXCERPTS)
def test_every_sentence_is_complete(entry: str, text: str) -> None:
    found = diagnose(excerpt(text), 1)
    assert found is not None
    assert "?" not in found.message
    assert not re.search(r"[\[\]{}]{2}|\s\s|\s[.,](?:\s|$)|\{\w+\}", found.message + " " + found.remedy), found.message
    assert found.message.endswith((".", "`")), found.message
    assert found.evidence
    assert found.certainty is not Certainty.LIKELY or found.message.startswith("Likely cause: ")


def test_every_entry_has_an_excerpt() -> None:
    assert {entry.id for entry in CATALOGUE} - {entry for entry, _ in EXCERPTS} == set()


def test_identifiers_are_unique_and_literals_lower_case() -> None:
    assert len({entry.id for entry in CATALOGUE}) == len(CATALOGUE)
    assert [literal for literal in literals() if literal != literal.lower() or len(literal) < 3] == []


def test_every_reason_is_short_and_camel_case() -> None:
    assert [reason for reason in Reason if not re.fullmatch(r"[A-Z][A-Za-z]{2,31}", reason.value)] == []


def test_every_expression_compiles() -> None:
    for entry in CATALOGUE:
        for pattern in entry.patterns:
            assert pattern.regex.pattern
            assert not pattern.within or pattern.within_regex is not None


def test_no_remedy_speaks_of_a_way_between_pods_that_the_launcher_does_not_use() -> None:
    assert [entry.id for entry in CATALOGUE if re.search(r"\bssh\b|\bsshd\b", entry.message + entry.remedy)] == []
