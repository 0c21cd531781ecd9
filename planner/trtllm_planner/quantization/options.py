"""Rules about options that contradict each other or the model: KV cache, bits, lengths, tokens, duration."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from trtllm_api.base import Device
from trtllm_api.quality import Dataset
from trtllm_api.quantization import KVCache, Method
from trtllm_api.quantizedmodel import CheckpointFormat
from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal, warning
from trtllm_planner.quantization.linears import quantized_linears
from trtllm_planner.quantization.question import QuantizeQuestion

_BITS = {
    Method.INT4_AWQ: Decimal(4),
    Method.INT4_WEIGHT_ONLY: Decimal(4),
    Method.W4A8_AWQ: Decimal(4),
    Method.NVFP4: Decimal("4.5"),
    Method.FP8: Decimal(8),
    Method.FP8_PER_CHANNEL_PER_TOKEN: Decimal(8),
    Method.INT8_SMOOTH_QUANT: Decimal(8),
    Method.INT8_WEIGHT_ONLY: Decimal(8),
}
_FULL_BITS = 16
_AWQ_SECONDS_PER_PARAMETER = 240 / 135e6
"""Duration of INT4AWQ per parameter, measured on 2 CPU cores: 135M parameters in four minutes."""
_LONG_SECONDS = 3600


def kv_cache(question: QuantizeQuestion) -> Iterator[Verdict]:
    """Refuse an INT8 KV cache in a Hugging Face checkpoint, which has no place for its scales."""
    whole = question.spec.checkpoint.format is CheckpointFormat.HUGGING_FACE
    if whole and question.spec.quantization.kv_cache is KVCache.INT8:
        yield refusal(
            Reason.KV_CACHE_NOT_SUPPORTED,
            "kvCache INT8 cannot be exported to a Hugging Face checkpoint",
            "use kvCache FP8, or leave it out, or set checkpoint.format TensorRTLLM",
        )


def effective_bits(question: QuantizeQuestion) -> Iterator[Verdict]:
    """Refuse an average that cannot be reached: modules in full precision count as 16 bits."""
    quantization = question.spec.quantization
    if quantization.auto is None:
        if Method.AUTO in question.methods():
            yield refusal(
                Reason.EFFECTIVE_BITS_OUT_OF_REACH,
                "fallback Auto needs quantization.auto, which only method Auto may set",
                "make Auto the method, or name another fallback",
            )
        return
    wrong = [method for method in quantization.auto.candidates if method not in _BITS]
    if wrong:
        yield refusal(
            Reason.EFFECTIVE_BITS_OUT_OF_REACH,
            f"auto.candidates has {', '.join(wrong)}, which is no format of a layer",
            f"choose from {', '.join(_BITS)}",
        )
        return
    quantized = sum(_weights(question, only_quantized=True))
    total = sum(_weights(question, only_quantized=False))
    if not total:
        return
    smallest = min(_BITS[method] for method in quantization.auto.candidates)
    least = (smallest * quantized + _FULL_BITS * (total - quantized)) / total
    asked = Decimal(quantization.auto.effective_bits)
    if asked < least:
        yield refusal(
            Reason.EFFECTIVE_BITS_OUT_OF_REACH,
            f"auto.effectiveBits {asked} is out of reach: with {smallest} bits for every layer that may be "
            f"quantized and {_FULL_BITS} for the others the mean is {least:.2f}",
            f"set {least:.2f} or more, or exclude fewer modules",
            {"effectiveBits": str(asked), "least": f"{least:.2f}"},
        )


def _weights(question: QuantizeQuestion, *, only_quantized: bool) -> Iterator[int]:
    facts = question.facts
    linears = quantized_linears(facts, question.spec.quantization) if only_quantized else facts.linears
    yield from (linear.in_features * linear.out_features * linear.count for linear in linears)
    if not only_quantized and not any("lm_head" in linear.name for linear in facts.linears):
        # a head tied to the embeddings is no tensor of its own, but ModelOpt counts the module
        yield facts.vocabulary_size * facts.hidden_size


def lengths(question: QuantizeQuestion) -> Iterator[Verdict]:
    """Refuse sequences beyond the model's positions, where it answers noise and measurements mean nothing."""
    most = question.facts.max_position_embeddings
    asked = {
        "calibration.sequenceLength": question.spec.calibration.sequence_length,
        "quality.evaluation.sequenceLength": question.spec.quality.evaluation.sequence_length,
    }
    for field, length in asked.items():
        if most and length > most:
            yield refusal(
                Reason.SEQUENCE_TOO_LONG,
                f"{field} {length} exceeds the {most} positions of the model",
                f"use {most} or less",
                {field: length, "maxPositionEmbeddings": most},
            )


def dataset_token(question: QuantizeQuestion) -> Iterator[Verdict]:
    """Refuse two different tokens: one process with one token reads both data sets."""
    calibration = _token(question.spec.calibration.dataset)
    evaluation = _token(question.spec.quality.evaluation.dataset)
    if calibration and evaluation and calibration != evaluation:
        yield refusal(
            Reason.DATASET_TOKENS_DIFFER,
            f"the data sets take their tokens from {calibration} (calibration) and {evaluation} (evaluation)",
            "use one Secret key for both",
        )


def _token(dataset: Dataset | None) -> str:
    ref = dataset.hugging_face.token_secret_ref if dataset and dataset.hugging_face else None
    return f"{ref.name}/{ref.key}" if ref else ""


def effort(question: QuantizeQuestion) -> Iterator[Verdict]:
    """Warn of AWQ's search for scales on a CPU, which takes hours for larger models."""
    seconds = question.facts.parameters * _AWQ_SECONDS_PER_PARAMETER
    slow = [method for method in question.methods() if method in {Method.INT4_AWQ, Method.W4A8_AWQ, Method.AUTO}]
    if question.spec.device is Device.CPU and slow and seconds > _LONG_SECONDS:
        yield warning(
            Reason.METHOD_SLOW,
            f"{slow[0]} of {question.facts.parameters / 1e9:.1f}B parameters takes about {seconds / 3600:.0f} hours "
            "on two CPU cores",
            "use device GPU or a weight-only method, which take minutes",
            {"parameters": question.facts.parameters},
        )
