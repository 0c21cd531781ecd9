"""Rules about what the checkpoint is: CustomCode, ArchitectureNotSupported, AlreadyQuantized."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal
from trtllm_planner.quantization.question import QuantizeQuestion

_FAMILIES = [
    "Apertus",
    "Arcee",
    "Baichuan",
    "Bloom",
    "Cohere",
    "Cohere2",
    "Dbrx",
    "DeepseekV2",
    "DeepseekV3",
    "Exaone",
    "Exaone4",
    "Falcon",
    "Gemma",
    "Gemma2",
    "Gemma3",
    "Glm",
    "Glm4",
    "Glm4Moe",
    "GPTBigCode",
    "GPTJ",
    "GPTNeoX",
    "Granite",
    "GraniteMoe",
    "HunYuanDenseV1",
    "HunYuanMoEV1",
    "InternLM2",
    "InternLM3",
    "Jamba",
    "Llama",
    "Mamba2",
    "MiniCPM",
    "Ministral",
    "Mistral",
    "Mixtral",
    "Mpt",
    "Nemotron",
    "NemotronH",
    "Olmo",
    "Olmo2",
    "Olmo3",
    "Olmoe",
    "OPT",
    "Persimmon",
    "Phi",
    "Phi3",
    "PhiMoE",
    "Phimoe",
    "Qwen2",
    "Qwen2Moe",
    "Qwen3",
    "Qwen3Moe",
    "Qwen3Next",
    "RecurrentGemma",
    "SeedOss",
    "SmolLM3",
    "Solar",
    "StableLm",
    "Starcoder2",
]
ARCHITECTURES = frozenset(f"{family}ForCausalLM" for family in _FAMILIES)
"""Causal language models whose linear layers ModelOpt quantizes and exports as a Hugging Face checkpoint."""


def custom_code(question: QuantizeQuestion) -> Iterator[Verdict]:
    """A model's own Python code runs only where the user says that it may."""
    if question.facts.custom_code and not question.spec.trust_remote_code:
        yield refusal(
            Reason.CUSTOM_CODE_NOT_TRUSTED,
            f"the checkpoint of {question.facts.architecture} runs its own Python code (auto_map)",
            "read that code, then set trustRemoteCode: true; or use a checkpoint that transformers knows without it",
        )


def architecture_supported(question: QuantizeQuestion) -> Iterator[Verdict]:
    """The builder's table of families; custom code that is trusted is left to the builder to try."""
    name = question.facts.architecture
    if name in ARCHITECTURES or (question.facts.custom_code and question.spec.trust_remote_code):
        return
    near = get_close_matches(name, sorted(ARCHITECTURES), n=3, cutoff=0.75)
    known = (
        f"the nearest known are {', '.join(near)}"
        if near
        else "such as LlamaForCausalLM, Qwen3ForCausalLM, MixtralForCausalLM"
    )
    yield refusal(
        Reason.ARCHITECTURE_NOT_SUPPORTED,
        f"architecture {name} is none of the {len(ARCHITECTURES)} kinds of causal language model that can be quantized",
        f"use a text model of a known family ({known})",
        {"architecture": name},
    )


def already_quantized(question: QuantizeQuestion) -> Iterator[Verdict]:
    """Quantizing twice only loses quality, and ModelOpt cannot read packed weights."""
    method = question.facts.quantization
    if method is not None:
        yield refusal(
            Reason.ALREADY_QUANTIZED,
            f"the checkpoint is quantized already ({method})",
            "quantize the original (BF16 or FP16) checkpoint instead",
            {"quantization": method},
        )
