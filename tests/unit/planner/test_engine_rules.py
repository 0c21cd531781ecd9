"""The rules about engines: for each a public model that passes and one that is refused, with the whole sentence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cases_allowed import PASSES, WARNED
from cases_refused_layout import REFUSED_LAYOUT
from cases_refused_rest import REFUSED_REST
from cases_refused_sources import PASSING_SOURCES, REFUSED_SOURCES
from engine_questions import AWQ, POD, limits, made, stamp
from public_models import NEW_IMAGE

from support.clauses import clauses
from trtllm_api.reasons import Reason
from trtllm_api.verdict import Severity, judge, refusals
from trtllm_planner.question import Options
from trtllm_planner.rules import ENGINE_RULES
from trtllm_planner.tensorrt_llm.layout import Layout

ALLOWED = {**PASSES, **PASSING_SOURCES}
REFUSED = {**REFUSED_LAYOUT, **REFUSED_REST, **REFUSED_SOURCES}


@pytest.mark.parametrize("name", ALLOWED)
def test_nothing_speaks_against(name: str) -> None:
    assert [clauses(verdict) for verdict in refusals(judge(ENGINE_RULES, ALLOWED[name]))] == []


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_with_the_numbers_and_a_way_out(name: str) -> None:
    question, rule, sentence = REFUSED[name]
    found = {clauses(verdict): verdict.reason for verdict in refusals(judge(ENGINE_RULES, question))}
    assert found.get(sentence) == rule, "\n".join(found)


@pytest.mark.parametrize("name", WARNED)
def test_goes_on_with_a_warning(name: str) -> None:
    question, rule, message = WARNED[name]
    found = {verdict.message: verdict for verdict in judge(ENGINE_RULES, question)}
    assert message in found, "\n".join(found)
    assert (found[message].reason, found[message].severity) == (rule, Severity.WARNING)
    assert found[message].remedy


def test_everything_is_reported_at_once_and_what_no_layout_mends_comes_first() -> None:
    question = made(
        model="Qwen2-72B",
        image=NEW_IMAGE,
        algorithm=AWQ,
        layout=Layout(8, 2),
        pods=3,
        limits=limits(max_seq_len=65536),
        options=Options(block_reuse=True, context_fmha=False),
        stamp=stamp(version="1.2.1"),
        pod=replace(POD, host="localhost"),
    )
    assert [verdict.reason for verdict in refusals(judge(ENGINE_RULES, question))] == [
        "ImageMismatch",
        "OptionsConflict",
        "ShardNotAligned",
        "WorldSizeMismatch",
        "LimitsInvalid",
        "EngineIncompatible",
        "WorldSizeMismatch",
        "PodUnsuitable",
    ]


def test_every_reason_that_refuses_has_a_case_and_every_case_a_rule_that_gives_its_reason() -> None:
    given = {reason for rule in ENGINE_RULES for reason in rule.reasons}
    assert {reason for _, reason, _ in REFUSED.values()} == given - {Reason.GPUS_IDLE, Reason.TENSOR_SPANS_NODES}


def test_a_rule_gives_no_reason_that_it_does_not_name() -> None:
    questions = [*ALLOWED.values(), *(question for question, *_ in (*REFUSED.values(), *WARNED.values()))]
    for rule in ENGINE_RULES:
        assert {verdict.reason for question in questions for verdict in rule.judge(question)} <= set(rule.reasons)
