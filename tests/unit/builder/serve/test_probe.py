from __future__ import annotations

from dataclasses import replace

import pytest

from trtllm_api.contract import ExitCode
from trtllm_api.manifest import Probe
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.serve.generation import Engine
from trtllm_builder.serve.probe import agrees, check

from .conftest import PROBE_PROMPT, Tiny, build, manifest_with


@pytest.mark.parametrize(
    ("recorded", "given", "expected"),
    [
        ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6], True),
        ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 9, 9], True),
        ([1, 2, 3, 4, 5, 6], [1, 2, 3, 9, 5, 6], False),
        ([1, 2], [1, 2], True),
        ([1, 2], [1, 3], False),
        ([1, 2, 3, 4, 5], [1, 2, 3], False),
    ],
)
def test_the_first_four_tokens_decide(recorded: list[int], given: list[int], expected: bool) -> None:
    assert agrees(recorded, given) is expected


def failure_of(tiny: Tiny, probe: Probe | None) -> BuilderFailure:
    with pytest.raises(BuilderFailure) as caught:
        check(Engine(tiny), manifest_with(probe))
    assert (caught.value.exit_code, caught.value.reason) == (ExitCode.BAD_MODEL, Reason.ARTIFACT_CORRUPT)
    assert caught.value.remedy
    return caught.value


def test_the_model_that_was_measured_passes(tiny: Tiny) -> None:
    check(Engine(tiny), tiny.manifest)


def test_other_weights_are_refused_with_both_answers(tiny: Tiny) -> None:
    assert tiny.manifest.probe is not None
    other = build(seed=1)
    message = failure_of(other, tiny.manifest.probe).message
    assert repr(tiny.tokenizer.decode(list(tiny.manifest.probe.answer_token_ids))) in message
    assert repr(tiny.tokenizer.decode(Engine(other).greedy(PROBE_PROMPT, 16))) in message


def test_a_manifest_without_a_probe_is_refused(tiny: Tiny) -> None:
    assert "has no known prompt" in failure_of(tiny, None).message


def test_an_empty_probe_is_refused(tiny: Tiny) -> None:
    empty = Probe(prompt="", prompt_token_ids=PROBE_PROMPT, answer_token_ids=(), answer="")
    assert "has no known prompt" in failure_of(tiny, empty).message


def test_a_probe_of_another_vocabulary_is_refused(tiny: Tiny) -> None:
    foreign = Probe(prompt="", prompt_token_ids=(5000,), answer_token_ids=(1,), answer="")
    assert "vocabulary has 257 tokens" in failure_of(replace(tiny), foreign).message
