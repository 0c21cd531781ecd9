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

from trtllm_api.verdict import Severity, judge, refusals
from trtllm_planner.question import Options
from trtllm_planner.rules import ENGINE_RULES
from trtllm_planner.tensorrt_llm.layout import Layout

ALLOWED = {**PASSES, **PASSING_SOURCES}
REFUSED = {**REFUSED_LAYOUT, **REFUSED_REST, **REFUSED_SOURCES}


@pytest.mark.parametrize("name", ALLOWED)
def test_nothing_speaks_against(name: str) -> None:
    assert [verdict.sentence() for verdict in refusals(judge(ENGINE_RULES, ALLOWED[name]))] == []


@pytest.mark.parametrize("name", REFUSED)
def test_is_refused_with_the_numbers_and_a_way_out(name: str) -> None:
    question, rule, sentence = REFUSED[name]
    found = {verdict.sentence(): verdict.rule for verdict in refusals(judge(ENGINE_RULES, question))}
    assert found.get(sentence) == rule, "\n".join(found)


@pytest.mark.parametrize("name", WARNED)
def test_goes_on_with_a_warning(name: str) -> None:
    question, rule, message = WARNED[name]
    found = {verdict.message: verdict for verdict in judge(ENGINE_RULES, question)}
    assert message in found, "\n".join(found)
    assert (found[message].rule, found[message].severity) == (rule, Severity.WARNING)
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
    assert [verdict.rule for verdict in refusals(judge(ENGINE_RULES, question))] == [
        "ImageRuntime",
        "FeatureCombinations",
        "ShardAlignment",
        "WorldSize",
        "Lengths",
        "EngineRuntime",
        "EngineRuntime",
        "PodHygiene",
    ]


def test_every_rule_has_a_refused_case() -> None:
    assert {rule for _, rule, _ in REFUSED.values()} == {
        "ImageRuntime",
        "AlgorithmVsGpu",
        "CheckpointRecognised",
        "HeadsAndLayers",
        "ShardAlignment",
        "Moe",
        "WorldSize",
        "GpuMemory",
        "CalibrationAndHostMemory",
        "Lengths",
        "EngineRuntime",
        "FileIntegrity",
        "ArchitectureSupported",
        "FeatureCombinations",
        "ExtraArguments",
        "PodHygiene",
    }
