"""Rules about the checkpoint: custom code, its architecture, and whether it is quantized already."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal
from trtllm_planner.model_config.custom_code import runs_own_code
from trtllm_planner.quantization.question import QuantizeQuestion
from trtllm_planner.tensorrt_llm.architectures import QUANTIZABLE
from trtllm_planner.tensorrt_llm.foreign import made_from


def custom_code(question: QuantizeQuestion) -> Iterator[Verdict]:
    """Refuse a model that brings Python code, unless spec.trustRemoteCode is set."""
    if runs_own_code(question.facts) and not question.spec.trust_remote_code:
        yield refusal(
            Reason.CUSTOM_CODE_NOT_TRUSTED,
            f"the checkpoint of {question.facts.architecture} runs its own Python code (auto_map)",
            "read that code, then set trustRemoteCode: true; or use a checkpoint that transformers knows without it",
        )


def architecture_supported(question: QuantizeQuestion) -> Iterator[Verdict]:
    """Refuse families that the builder does not know; trusted custom code is left to the builder."""
    name = question.facts.architecture
    if name in QUANTIZABLE or (question.facts.custom_code and question.spec.trust_remote_code):
        return
    near = get_close_matches(name, sorted(QUANTIZABLE), n=3, cutoff=0.75)
    known = (
        f"the nearest known are {', '.join(near)}"
        if near
        else "such as LlamaForCausalLM, Qwen3ForCausalLM, MixtralForCausalLM"
    )
    yield refusal(
        Reason.ARCHITECTURE_NOT_SUPPORTED,
        f"architecture {name} is none of the {len(QUANTIZABLE)} kinds of causal language model that can be quantized",
        f"use a text model of a known family ({known})",
        {"architecture": name},
    )


def already_quantized(question: QuantizeQuestion) -> Iterator[Verdict]:
    """Refuse a quantized checkpoint: ModelOpt cannot read packed weights, and quantizing twice loses quality."""
    facts = question.facts
    method = facts.quantization
    if method is None:
        return
    first = made_from(facts)
    remedy = "quantize the original (BF16 or FP16) checkpoint instead"
    if first is not None:
        copy = 2 * facts.parameters / 2**30
        remedy = f"{first} and quantize that copy (about {copy:.0f} GiB): no BF16 original was published"
    yield refusal(
        Reason.ALREADY_QUANTIZED,
        f"the checkpoint is quantized already ({method})",
        remedy,
        {"quantization": method},
    )
