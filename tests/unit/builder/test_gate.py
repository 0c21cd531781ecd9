"""The quality gate decides by the user's limits and says which ones were missed."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from trtllm_api.contract import GateRequest
from trtllm_api.modelstatus import CandidateStatus, Measures, Verdict
from trtllm_api.quality import OnFailure
from trtllm_api.quantization import Method
from trtllm_builder.gate import CanaryOutcome, ModelMeasures, change, decide, to_measures

SOURCE = ModelMeasures(perplexity=25.98, kl_divergence=None, top_token_agreement=None, tokens=4096)
GOOD = ModelMeasures(perplexity=26.4, kl_divergence=0.021, top_token_agreement=0.971, tokens=4096)
PARIS = CanaryOutcome("The capital of France is", "Paris", " Paris.", True)
LYON = replace(PARIS, answer=" Lyon.", passed=False)


def gate(
    increase: str = "10%",
    divergence: str | None = "0.2",
    agreement: str = "80%",
    on_failure: OnFailure = OnFailure.FALLBACK,
) -> GateRequest:
    return GateRequest(
        max_perplexity_increase=increase,
        max_kl_divergence=divergence,
        min_top_token_agreement=agreement,
        tokens=4096,
        sequence_length=512,
        on_failure=on_failure,
    )


def test_a_close_candidate_passes_and_the_message_has_every_number() -> None:
    decision = decide(replace(SOURCE, canaries=(PARIS,)), replace(GOOD, canaries=(PARIS,)), gate())
    assert (decision.verdict, decision.reason) == (Verdict.PASSED, "QualityPassed")
    assert decision.message == (
        "perplexity 26.40 is 1.6 % above the source's 25.98 (at most 10 %); KL divergence 0.021 (at most 0.2); "
        "top-token agreement 97.1 % (at least 80 %); canaries 1/1"
    )


def test_every_missed_limit_is_named_with_its_numbers() -> None:
    bad = ModelMeasures(perplexity=39.15, kl_divergence=0.412, top_token_agreement=0.613, tokens=4096)
    decision = decide(SOURCE, bad, gate())
    assert (decision.verdict, decision.reason) == (Verdict.REFUSED, "PerplexityTooHigh")
    assert decision.message == (
        "perplexity 39.15 is 50.7 % above the source's 25.98 (at most 10 %); KL divergence 0.412 (at most 0.2); "
        "top-token agreement 61.3 % (at least 80 %)"
    )


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (replace(GOOD, perplexity=39.15), "PerplexityTooHigh"),
        (replace(GOOD, kl_divergence=0.3), "DivergenceTooHigh"),
        (replace(GOOD, top_token_agreement=0.79), "AgreementTooLow"),
        (replace(GOOD, canaries=(LYON,)), "CanaryWrong"),
        (replace(GOOD, degenerate="the answer is empty"), "DegenerateOutput"),
        (replace(GOOD, perplexity=math.nan), "NotANumber"),
        (replace(GOOD, perplexity=math.inf), "NotANumber"),
        (replace(GOOD, kl_divergence=math.nan), "NotANumber"),
        (replace(GOOD, top_token_agreement=math.nan), "NotANumber"),
    ],
)
def test_each_check_refuses_by_itself_with_its_own_reason(candidate: ModelMeasures, reason: str) -> None:
    decision = decide(SOURCE, candidate, gate())
    assert (decision.verdict, decision.reason) == (Verdict.REFUSED, reason)
    assert ";" not in decision.message


def test_with_on_failure_warn_a_failing_candidate_is_warned_about() -> None:
    decision = decide(SOURCE, replace(GOOD, perplexity=39.15), gate(on_failure=OnFailure.WARN))
    assert (decision.verdict, decision.reason) == (Verdict.WARNED, "PerplexityTooHigh")


def test_with_on_failure_warn_a_good_candidate_passes() -> None:
    assert decide(SOURCE, GOOD, gate(on_failure=OnFailure.WARN)).verdict is Verdict.PASSED


def test_a_wrong_canary_is_quoted_with_what_it_should_contain() -> None:
    decision = decide(replace(SOURCE, canaries=(PARIS,)), replace(GOOD, canaries=(LYON,)), gate())
    assert decision.message == (
        'canary "The capital of France is" was answered "Lyon.", which does not contain "Paris"'
    )


def test_a_canary_that_the_source_does_not_pass_refuses_and_asks_to_correct_the_canary() -> None:
    decision = decide(replace(SOURCE, canaries=(LYON,)), replace(GOOD, canaries=(LYON,)), gate())
    assert (decision.verdict, decision.reason) == (Verdict.REFUSED, "CanaryWrong")
    assert "the source model fails it as well: correct the canary" in decision.message


def test_sixteen_wrong_canaries_with_long_texts_fit_a_message_and_all_are_named() -> None:
    canaries = tuple(CanaryOutcome(f"{index} " + "p" * 4000, "e" * 1000, "a" * 4000, False) for index in range(16))
    message = decide(replace(SOURCE, canaries=canaries), replace(GOOD, canaries=canaries), gate()).message
    assert len(message) <= 4096
    assert all(f'canary "{index} p' in message for index in range(16))


def test_line_breaks_in_an_answer_do_not_break_the_message() -> None:
    wrong = replace(LYON, answer="a\n\tb\x00c")
    assert "\n" not in decide(SOURCE, replace(GOOD, canaries=(wrong,)), gate()).message


def test_a_limit_is_met_exactly_in_decimals_not_in_binary_fractions() -> None:
    source = replace(SOURCE, perplexity=10.0)
    exact = replace(GOOD, perplexity=11.0, kl_divergence=0.2, top_token_agreement=0.57)
    assert decide(source, exact, gate(agreement="57%")).verdict is Verdict.PASSED


def test_a_value_just_beyond_the_limit_never_reads_like_the_limit() -> None:
    source = replace(SOURCE, perplexity=10.0)
    decision = decide(source, replace(GOOD, perplexity=11.0002, kl_divergence=0.20001), gate())
    assert "10.002 % above" in decision.message
    assert "KL divergence 0.20001 (at most 0.2)" in decision.message


def test_a_finer_limit_than_the_usual_decimals_is_not_contradicted_by_rounding() -> None:
    source = replace(SOURCE, perplexity=100.0)
    assert "10.041 % above" in decide(source, replace(GOOD, perplexity=110.041), gate("10.04%")).message


def test_without_a_divergence_limit_a_missing_divergence_is_fine() -> None:
    assert decide(SOURCE, replace(GOOD, kl_divergence=None), gate(divergence=None)).verdict is Verdict.PASSED


def test_a_limit_without_its_measurement_does_not_pass() -> None:
    decision = decide(SOURCE, replace(GOOD, kl_divergence=None), gate())
    assert (decision.verdict, decision.reason) == (Verdict.REFUSED, "NotANumber")
    assert "was not measured" in decision.message


def test_a_source_without_a_usable_perplexity_lets_nothing_pass() -> None:
    decision = decide(replace(SOURCE, perplexity=math.nan), GOOD, gate())
    assert (decision.verdict, decision.reason) == (Verdict.REFUSED, "NotANumber")
    assert "the source's perplexity is not a number" in decision.message


def test_a_better_perplexity_is_below_the_source() -> None:
    decision = decide(SOURCE, replace(GOOD, perplexity=25.0), gate("0%"))
    assert decision.verdict is Verdict.PASSED
    assert "3.8 % below" in decision.message


def test_an_equal_perplexity_passes_a_limit_of_zero() -> None:
    assert decide(SOURCE, replace(GOOD, perplexity=25.98), gate("0%")).verdict is Verdict.PASSED


def test_measures_are_written_as_a_status_shows_them() -> None:
    measured = replace(GOOD, perplexity=39.1467, kl_divergence=0.412345, canaries=(PARIS, LYON))
    assert to_measures(measured) == Measures(
        perplexity="39.15", kl_divergence="0.4123", top_token_agreement="97.1%", canaries="1/2"
    )


def test_canaries_are_absent_from_measures_when_none_were_asked() -> None:
    measures = to_measures(SOURCE)
    assert measures == Measures(perplexity="25.98")


def test_a_perplexity_that_is_no_number_has_no_measures() -> None:
    assert to_measures(replace(GOOD, perplexity=math.inf)) is None


@pytest.mark.parametrize(
    ("perplexity", "expected"),
    [
        (39.15, "+50.7%"),
        (25.98, "+0.0%"),
        (25.979999, "+0.0%"),
        (25.0, "-3.8%"),
        (math.nan, "not a number"),
        (1e300, "+3.85e+300%"),
    ],
)
def test_the_change_is_signed_percent(perplexity: float, expected: str) -> None:
    assert change(SOURCE, replace(GOOD, perplexity=perplexity)) == expected


numbers = st.floats(min_value=0) | st.sampled_from([math.nan, math.inf])
candidates = st.builds(
    ModelMeasures,
    perplexity=numbers,
    kl_divergence=st.none() | st.floats(allow_nan=True, allow_infinity=True),
    top_token_agreement=st.none() | st.floats(min_value=0, max_value=1) | st.just(math.nan),
    tokens=st.just(4096),
    canaries=st.lists(st.sampled_from([PARIS, LYON]), max_size=3).map(tuple),
    degenerate=st.sampled_from([None, None, "the answer is empty"]),
)
near = st.builds(
    ModelMeasures,
    perplexity=st.floats(min_value=20, max_value=40),
    kl_divergence=st.floats(min_value=0, max_value=0.5),
    top_token_agreement=st.floats(min_value=0.5, max_value=1),
    tokens=st.just(4096),
)
tenths = st.integers(min_value=0, max_value=1000)


@given(near | candidates, tenths, tenths, tenths, tenths, tenths, tenths)
def test_loosening_limits_never_turns_a_pass_into_a_refusal(
    candidate: ModelMeasures, increase: int, more: int, divergence: int, further: int, agreement: int, less: int
) -> None:
    assume(less <= agreement)
    strict = gate(f"{increase / 10}%", f"{divergence / 1000}", f"{agreement / 10}%")
    loose = gate(f"{(increase + more) / 10}%", f"{(divergence + further) / 1000}", f"{(agreement - less) / 10}%")
    if decide(SOURCE, candidate, strict).verdict is Verdict.PASSED:
        assert decide(SOURCE, candidate, loose).verdict is Verdict.PASSED


@given(near, st.floats(min_value=0, max_value=1))
def test_a_better_candidate_never_does_worse(candidate: ModelMeasures, share: float) -> None:
    assert candidate.kl_divergence is not None
    better = replace(candidate, perplexity=candidate.perplexity * share, kl_divergence=candidate.kl_divergence * share)
    if decide(SOURCE, candidate, gate()).verdict is Verdict.PASSED:
        assert decide(SOURCE, better, gate()).verdict is Verdict.PASSED


@given(candidates, candidates, st.sampled_from(list(OnFailure)))
def test_whatever_was_measured_the_decision_fits_a_status(
    reference: ModelMeasures, candidate: ModelMeasures, on_failure: OnFailure
) -> None:
    decision = decide(reference, candidate, gate(on_failure=on_failure))
    status = CandidateStatus(
        method=Method.FP8,
        verdict=decision.verdict,
        reason=decision.reason,
        message=decision.message,
        measures=to_measures(candidate),
        perplexity_change=change(reference, candidate),
    )
    assert status.message
    assert (decision.verdict is Verdict.PASSED) == (decision.reason == "QualityPassed")
    assert (decision.verdict is Verdict.WARNED) <= (on_failure is OnFailure.WARN)
