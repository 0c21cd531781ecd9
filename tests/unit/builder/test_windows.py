"""A user's dataset must hold as many tokens as are asked for; the builder's own texts may overlap."""

from __future__ import annotations

import pytest

from trtllm_api.contract import ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.datasets import TextSet
from trtllm_builder.quantize.windows import cut

from .conftest import failure_of


class _Letters:
    """One token a letter, and 0 after each text."""

    eos_token_id = 0

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        assert not add_special_tokens
        return {"input_ids": [ord(letter) for letter in text]}


def _texts(*texts: str, own: bool = False) -> TextSet:
    return TextSet("own.txt", texts, "sha256:" + "0" * 64, own)


def test_rows_follow_each_other_with_the_end_of_each_text_marked() -> None:
    windows = cut(_texts("abc", "defg"), _Letters(), count=2, length=4, purpose="evaluation")
    assert windows.rows.tolist() == [[97, 98, 99, 0], [100, 101, 102, 103]]


@pytest.mark.parametrize(
    ("purpose", "field"), [("calibration", "calibration.samples"), ("evaluation", "quality.evaluation.tokens")]
)
def test_too_few_windows_are_refused_with_both_counts_and_the_field_to_lower(purpose: str, field: str) -> None:
    failure = failure_of(lambda: cut(_texts("abcdef"), _Letters(), count=3, length=4, purpose=purpose))  # type: ignore[arg-type]
    assert (failure.exit_code, failure.reason) == (ExitCode.INPUT_MISSING, Reason.DATASET_UNUSABLE)
    assert "own.txt has 7 tokens, but 3 x 4 = 12 are needed" in failure.message
    assert field in failure.remedy


def test_the_builders_own_texts_overlap_to_give_as_many_windows_as_asked_for() -> None:
    windows = cut(_texts("abcdef", own=True), _Letters(), count=4, length=4, purpose="calibration")
    assert list(windows.rows.shape) == [4, 4]
    assert windows.rows[0].tolist() == [97, 98, 99, 100]
    assert windows.rows[-1].tolist() == [100, 101, 102, 0]


def test_even_the_builders_own_texts_must_hold_one_window() -> None:
    failure = failure_of(lambda: cut(_texts("ab", own=True), _Letters(), count=1, length=4, purpose="calibration"))
    assert failure.reason is Reason.DATASET_UNUSABLE
