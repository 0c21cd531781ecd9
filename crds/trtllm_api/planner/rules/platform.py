"""Rules ImageRuntime, ArchitectureSupported, CheckpointRecognised, AlgorithmVsGpu: what no layout changes."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from trtllm_api.planner.architectures import (
    ARCHITECTURES,
    FOREIGN_FORMATS,
    LLAMA_FAMILY,
    PYTORCH_KNOWN_UP_TO,
    ROPE_TYPES,
)
from trtllm_api.planner.question import CheckpointFormat, EngineQuestion
from trtllm_api.planner.tables import (
    LAST_ENGINE_VERSION,
    Algorithm,
    Capability,
    EngineRuntime,
    KvFormat,
    table_for,
    usable_algorithms,
)
from trtllm_api.verdict import Severity, Verdict

_CAUSAL = "ForCausalLM"


def image_runtime(question: EngineQuestion) -> Iterator[Verdict]:
    """TensorRT engines can be built and run by images up to 1.3.0rc20 only."""
    if question.runtime is not EngineRuntime.TENSORRT:
        return
    image = question.image
    if image.has_engine_backend is None:
        yield Verdict(
            "ImageRuntime",
            Severity.WARNING,
            f"the tag of image {image.reference} does not say which TensorRT-LLM version is in it",
            "give the version explicitly, or use a tag such as 1.2.1",
        )
    elif not image.has_engine_backend:
        yield Verdict(
            "ImageRuntime",
            Severity.REFUSAL,
            f"image {image.reference} (TensorRT-LLM {image.version}) has no TensorRT engine backend: "
            f"{LAST_ENGINE_VERSION} was the last with it",
            "use an image <= 1.2.x, or runtime PyTorch",
            {"version": str(image.version)},
        )


def architecture_supported(question: EngineQuestion) -> Iterator[Verdict]:
    """The table of architectures, custom code and rotary scaling."""
    facts = question.facts
    name = facts.architecture
    if name not in ARCHITECTURES[question.runtime] and not (facts.custom_code and question.trust_remote_code):
        yield _unknown(question)
    if facts.custom_code and not question.trust_remote_code:
        yield Verdict(
            "ArchitectureSupported",
            Severity.REFUSAL,
            f"the checkpoint of {name} runs its own Python code (auto_map)",
            "read that code, then set trustRemoteCode: true; or use a checkpoint that needs none",
        )
    rope = question.details.rope_type
    if rope is not None and rope not in ROPE_TYPES:
        yield Verdict(
            "ArchitectureSupported",
            Severity.REFUSAL,
            f"rope_scaling of type {rope} is not implemented",
            f"known types: {', '.join(sorted(ROPE_TYPES))}",
            {"ropeType": rope},
        )


def _unknown(question: EngineQuestion) -> Verdict:
    name, runtime = question.facts.architecture, question.runtime
    known = ARCHITECTURES[runtime]
    other = next(item for item in EngineRuntime if item is not runtime)
    version = question.image.version
    newer = runtime is EngineRuntime.PYTORCH and (version is None or version > PYTORCH_KNOWN_UP_TO)
    if name in ARCHITECTURES[other]:
        engine = other is EngineRuntime.TENSORRT
        remedy = f"use runtime {other}" + (f" with an image <= {LAST_ENGINE_VERSION}" if engine else "")
    else:
        families = {item.removesuffix(_CAUSAL): item for item in sorted(known)}  # the suffix is alike in all
        near = [families[item] for item in get_close_matches(name.removesuffix(_CAUSAL), families, n=2, cutoff=0.7)]
        remedy = "use a model of a known family" + (f" (the nearest are {' and '.join(near)})" if near else "")
    return Verdict(
        "ArchitectureSupported",
        Severity.WARNING if newer else Severity.REFUSAL,
        f"architecture {name} is none of the {len(known)} that the {runtime} runtime is known to load",
        remedy,
        {"architecture": name},
    )


def checkpoint_recognised(question: EngineQuestion) -> Iterator[Verdict]:
    """What a checkpoint that is quantized already is, against what the runtime reads."""
    checkpoint = question.details.checkpoint
    if checkpoint is None:
        if question.facts.quantization is None:
            return
        checkpoint = CheckpointFormat(question.facts.quantization)
    problem = _unreadable(checkpoint, question)
    if problem:
        yield Verdict(
            "CheckpointRecognised",
            Severity.REFUSAL,
            problem,
            _way_out(checkpoint, question),
            {"quantMethod": checkpoint.method},
        )
        return
    yield from _conflicts(checkpoint, question)


def _unreadable(checkpoint: CheckpointFormat, question: EngineQuestion) -> str:
    runtime, method = question.runtime, checkpoint.method
    readable = FOREIGN_FORMATS[runtime].get(method)
    if readable is None:
        return f"the checkpoint is {method}, which the {runtime} runtime cannot load"
    if checkpoint.integer and method == "compressed-tensors":
        return "the checkpoint is compressed-tensors with integer weights, which would be read as FP8"
    if checkpoint.algorithm is not None and checkpoint.algorithm not in readable:
        return f"the checkpoint is {method} with {checkpoint.algorithm}, which the {runtime} runtime does not read"
    if method in {"awq", "gptq"} and question.facts.architecture not in LLAMA_FAMILY:
        return f"{method} checkpoints of {question.facts.architecture} cannot be converted: the Llama family's only"
    if method == "gptq" and checkpoint.act_order:
        return "the GPTQ checkpoint has desc_act: true, whose reordered columns no engine kernel reads"
    if checkpoint.algorithm is Algorithm.NVFP4 and checkpoint.group_size not in {None, 16}:
        return f"the NVFP4 checkpoint has group size {checkpoint.group_size}, where only 16 is read"
    if checkpoint.algorithm is Algorithm.FP8_BLOCK and checkpoint.group_size not in {None, 128}:
        return f"the FP8 checkpoint has blocks of {checkpoint.group_size}, where only 128 x 128 is read"
    return ""


def _way_out(checkpoint: CheckpointFormat, question: EngineQuestion) -> str:
    method = {"awq": "INT4AWQ", "gptq": "INT4AWQ"}.get(checkpoint.method, "FP8")
    quantize = f"quantize the original (BF16 or FP16) model instead, for example with method {method}"
    convertible = (
        question.runtime is EngineRuntime.PYTORCH
        and checkpoint.method in {"awq", "gptq"}
        and not checkpoint.act_order
        and question.facts.architecture in LLAMA_FAMILY
    )
    return quantize + ("; or use runtime TensorRT with an image <= 1.2.x, which converts it" if convertible else "")


def _conflicts(checkpoint: CheckpointFormat, question: EngineQuestion) -> Iterator[Verdict]:
    asked = question.algorithm
    if checkpoint.algorithm is not None and asked is not Algorithm.NONE and asked is not checkpoint.algorithm:
        yield Verdict(
            "CheckpointRecognised",
            Severity.REFUSAL,
            f"the checkpoint is {checkpoint.algorithm} already, and {asked} is asked for",
            f"ask for {checkpoint.algorithm}, or quantize the original (BF16 or FP16) model",
            {"checkpoint": checkpoint.algorithm, "asked": asked},
        )
    if KvFormat.AUTO not in {checkpoint.kv_cache, question.kv_cache} and checkpoint.kv_cache != question.kv_cache:
        yield Verdict(
            "CheckpointRecognised",
            Severity.REFUSAL,
            f"the checkpoint's KV cache is {checkpoint.kv_cache}, and {question.kv_cache} is asked for",
            f"ask for {checkpoint.kv_cache}, or leave the KV cache's format out",
        )


def algorithm_vs_gpu(question: EngineQuestion) -> Iterator[Verdict]:
    """Kernels exist for certain compute capabilities only."""
    gpu = question.gpu
    table = table_for(question.image.version)
    accepted = table.accepts(question.algorithm, question.runtime)
    if not accepted:
        other = next(item for item in EngineRuntime if item is not question.runtime)
        yield Verdict(
            "AlgorithmVsGpu",
            Severity.REFUSAL,
            f"{question.algorithm} is not in the {question.runtime} runtime",
            f"use runtime {other}, or one of {_usable(question)}",
            {"algorithm": question.algorithm},
        )
        return
    if gpu is None:
        return
    if gpu.capability not in table.gpus:
        oldest, newest = min(table.gpus), max(table.gpus)
        old = gpu.capability < oldest
        yield Verdict(
            "AlgorithmVsGpu",
            Severity.REFUSAL if old else Severity.WARNING,
            f"{gpu.product} is {gpu.sm}, "
            + ("which has no kernels" if old else "which is not in the table of kernels")
            + f" ({sm_list(table.gpus)})",
            f"use a GPU of {sm(oldest)} to {sm(newest)}",
            {"capability": gpu.sm},
        )
    elif gpu.capability not in accepted:
        yield Verdict(
            "AlgorithmVsGpu",
            Severity.REFUSAL,
            f"{question.algorithm} needs {sm_list(accepted)}; {gpu.product} is {gpu.sm}",
            f"usable here: {_usable(question)}",
            {"algorithm": question.algorithm, "capability": gpu.sm},
        )


def _usable(question: EngineQuestion) -> str:
    if question.gpu is not None:
        usable = usable_algorithms(question.image, question.runtime, question.gpu.capability)
    else:
        table = table_for(question.image.version)
        usable = tuple(item for item in Algorithm if table.accepts(item, question.runtime))
    return ", ".join(usable)


def sm(capability: Capability) -> str:
    """`SM90`."""
    return f"SM{capability[0]}{capability[1]}"


def sm_list(capabilities: frozenset[Capability]) -> str:
    """`SM89, SM90, SM100`: as numbers, so that SM100 comes last."""
    return ", ".join(sm(item) for item in sorted(capabilities))
