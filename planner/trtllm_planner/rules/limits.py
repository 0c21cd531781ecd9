"""Rules about limits: those of an engine against its model and each other, and those of a server against its engine."""

from __future__ import annotations

from collections.abc import Iterator

from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal, warning
from trtllm_planner.memory import gib, logits_bytes
from trtllm_planner.question import EngineQuestion
from trtllm_planner.tensorrt_llm.versions import EngineRuntime


def _refusal(message: str, remedy: str, **numbers: int) -> Verdict:
    return refusal(Reason.LIMITS_INVALID, message, remedy, numbers)


def _warning(message: str, remedy: str, **numbers: int) -> Verdict:
    return warning(Reason.LIMITS_INVALID, message, remedy, numbers)


def lengths(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse sequences beyond the model's positions, and prompts beyond a sequence or the tokens of one step."""
    limits, options = question.limits, question.options
    most = question.positions
    if most and limits.max_seq_len > most:
        yield _refusal(
            f"maxSequenceLength {limits.max_seq_len} exceeds the {most} positions of the model (with rotary scaling)",
            f"use {most} or less",
            maxSeqLen=limits.max_seq_len,
            positions=most,
        )
    prompt = limits.max_input_len
    if prompt is not None and prompt > limits.max_seq_len:
        yield _refusal(
            f"maxInputLength {prompt} exceeds maxSequenceLength {limits.max_seq_len}, which counts prompt and answer",
            f"use maxInputLength {limits.max_seq_len - 1} or less, or a larger maxSequenceLength",
            maxInputLen=prompt,
            maxSeqLen=limits.max_seq_len,
        )
    if not options.chunked_prefill:
        if prompt is not None and prompt > limits.max_num_tokens:
            yield _refusal(
                f"prompts of maxInputLength {prompt} tokens exceed maxTokens {limits.max_num_tokens}, so they can "
                "never be scheduled",
                f"set serving.chunkedPrefill, or use maxTokens {prompt} or more",
                maxInputLen=prompt,
                maxNumTokens=limits.max_num_tokens,
            )
        elif prompt is None and limits.max_seq_len - 1 > limits.max_num_tokens:
            yield _warning(
                f"prompts longer than maxTokens {limits.max_num_tokens} are refused, although maxSequenceLength is "
                f"{limits.max_seq_len}",
                "set serving.chunkedPrefill, or limits.maxInputLength",
                maxSeqLen=limits.max_seq_len,
                maxNumTokens=limits.max_num_tokens,
            )
    if question.runtime is EngineRuntime.PYTORCH and limits.max_beam_width > 1:
        yield _refusal(
            f"with maxBeamWidth {limits.max_beam_width} the PyTorch runtime answers only requests of exactly that many "
            "beams, so its server can never answer the known prompt",
            "leave maxBeamWidth out, or use runtime TensorRT, whose engines take any number up to it",
            maxBeamWidth=limits.max_beam_width,
        )
    yield from _batch(question)


def serving_within_engine(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse a server whose limits exceed those that its engine is built for."""
    serving = question.serving
    if question.runtime is not EngineRuntime.TENSORRT or serving is None:
        return
    built = question.stamp.limits if question.stamp is not None else None
    asked = question.limits
    pairs = (
        ("maxBatchSize", serving.max_batch_size, built.max_batch_size if built else asked.batch),
        ("maxTokens", serving.max_tokens, built.max_tokens if built else asked.max_num_tokens),
        ("maxSequenceLength", serving.max_sequence_length, built.max_sequence_length if built else asked.max_seq_len),
        ("maxBeamWidth", serving.max_beam_width, built.max_beam_width if built else asked.max_beam_width),
    )
    for name, wanted, most in pairs:
        if wanted is not None and wanted > most:
            yield refusal(
                Reason.SERVING_EXCEEDS_ENGINE,
                f"serving.{name} {wanted} exceeds the {most} that the engine {'was' if built else 'is'} built for",
                f"use {most} or less, or set limits.{name} {wanted}, which builds another engine",
                {"serving": wanted, "engine": most},
            )


def _batch(question: EngineQuestion) -> Iterator[Verdict]:
    limits, options = question.limits, question.options
    if question.runtime is EngineRuntime.TENSORRT and limits.max_batch_size is None:
        yield _warning(
            f"limits.maxBatchSize is not set: the engine is built for {limits.batch} sequences, whose logits take "
            f"{gib(logits_bytes(question))} per GPU",
            "set it to the number of requests that should run at the same time",
            maxBatchSize=limits.batch,
        )
    if options.max_draft_len > 0 and options.gather_context_logits:
        yield _refusal(
            f"build.gatherContextLogits cannot be combined with build.speculativeDecoding (maxDraftLength "
            f"{options.max_draft_len})",
            "leave one of them out",
            maxDraftLen=options.max_draft_len,
        )
