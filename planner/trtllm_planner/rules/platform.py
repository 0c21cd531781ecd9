"""Rules that no layout changes: image_runtime, architecture_supported, algorithm_vs_gpu."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal, warning
from trtllm_planner.model_config.custom_code import has_class, runs_own_code, transformers_of
from trtllm_planner.question import EngineQuestion
from trtllm_planner.tensorrt_llm.architectures import (
    ARCHITECTURES,
    PYTORCH_KNOWN_UP_TO,
    ROPE_TYPES,
)
from trtllm_planner.tensorrt_llm.versions import (
    LAST_ENGINE_VERSION,
    Algorithm,
    Capability,
    EngineRuntime,
    Version,
    table_for,
    usable_algorithms,
)

IMAGE = "nvcr.io/nvidia/tensorrt-llm/release:1.2.1"
"""The image that remedies name."""
_CAUSAL = "ForCausalLM"
OTHER_IMAGES = (
    "vllm",
    "sglang",
    "text-generation-inference",
    "transformers",
    "ollama",
    "llama.cpp",
    "lmdeploy",
    "pytorch",
    "tritonserver",
    "cuda",
)
"""Names of other projects' images."""
OWN_NAMES = ("tensorrt-llm", "tensorrt_llm", "tensorrtllm", "trtllm")
"""Words in the names of images that contain TensorRT-LLM, even beside other programs."""
BUILDER_NAME = "trtllm-builder"
"""This project's own image, which holds runtime Transformers."""
FIRST_VERSION = Version(0, 20, 0, 0)
"""The oldest version whose command lines are known here."""


def image_runtime(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse an image that is not TensorRT-LLM's, has no known version, or lacks the runtime."""
    image = question.image
    foreign = None if image.said else _foreign(image.reference)
    if foreign is not None:
        yield _image(
            f"image {image.reference} is {foreign}'s, and runtime {question.runtime} needs TensorRT-LLM's",
            f"use {IMAGE} or a mirror of it; set imageVersion if it is a mirror with another name",
        )
    elif image.version is None:
        yield _image(
            f"the tag of image {image.reference} is no TensorRT-LLM version, and flags and formats depend on the "
            "version",
            "set imageVersion, or use a tag that is a version, such as 1.2.1",
        )
    elif image.version < FIRST_VERSION:
        yield _image(
            f"image {image.reference} has TensorRT-LLM {image.version}, and the operator supports versions from "
            f"{FIRST_VERSION.major}.{FIRST_VERSION.minor} on",
            f"use {IMAGE}",
            version=str(image.version),
        )
    elif question.runtime is EngineRuntime.TENSORRT and not image.has_engine_backend:
        yield _image(
            f"image {image.reference} (TensorRT-LLM {image.version}) has no TensorRT engine backend: "
            f"{LAST_ENGINE_VERSION} was the last with it",
            "use an image <= 1.2.x, or runtime PyTorch",
            version=str(image.version),
        )


def _image(message: str, remedy: str, **numbers: str) -> Verdict:
    return refusal(Reason.IMAGE_MISMATCH, message, remedy, numbers)


def _foreign(reference: str) -> str | None:
    """Project that an image is from, by its name; None if it may be TensorRT-LLM's."""
    name = reference.partition("@")[0].lower()
    host, slash, rest = name.partition("/")
    repository = rest if slash and ("." in host or ":" in host) else name
    parts = [part.partition(":")[0] for part in repository.split("/")]
    if BUILDER_NAME in parts:
        return BUILDER_NAME
    if any(word in name for word in OWN_NAMES):
        return None
    return next((word for word in OTHER_IMAGES for part in parts if part == word or part.startswith(f"{word}-")), None)


def architecture_supported(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse architectures and rotary scaling that the runtime does not know, and custom code that is not trusted."""
    facts = question.facts
    name = facts.architecture
    if name not in ARCHITECTURES[question.runtime] and not (facts.custom_code and question.trust_remote_code):
        yield _unknown(question)
    version = question.image.version
    if runs_own_code(facts, version) and not question.trust_remote_code:
        yield refusal(
            Reason.CUSTOM_CODE_NOT_TRUSTED,
            f"the checkpoint of {name} runs its own Python code (auto_map)" + _why_own_code(question),
            "read that code, then set trustRemoteCode: true; or use a checkpoint that needs none",
        )
    rope = question.details.rope_type
    if rope is not None and rope not in ROPE_TYPES:
        yield refusal(
            Reason.ROPE_SCALING_NOT_SUPPORTED,
            f"rope_scaling of type {rope} is not implemented",
            f"known types: {', '.join(sorted(ROPE_TYPES))}",
            {"ropeType": rope},
        )


def _why_own_code(question: EngineQuestion) -> str:
    facts, version = question.facts, question.image.version
    if facts.details.own_tokenizer:
        return ": its tokenizer is Python code"
    if has_class(facts.model_type):
        return f": transformers {transformers_of(version)} in this image has no model type {facts.model_type} yet"
    return f": transformers has no model type {facts.model_type}"


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
    return (warning if newer else refusal)(
        Reason.ARCHITECTURE_NOT_SUPPORTED,
        f"architecture {name} is none of the {len(known)} that the {runtime} runtime is known to load",
        remedy,
        {"architecture": name},
    )


def algorithm_vs_gpu(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse formats for which the GPU has no kernels; every format of a mixed checkpoint needs its own."""
    gpu = question.gpu
    table = table_for(question.image.version)
    formats = [item for item in question.formats if item is not None]
    missing = [item for item in formats if not table.accepts(item, question.runtime)]
    if missing:
        other = next(item for item in EngineRuntime if item is not question.runtime)
        yield refusal(
            Reason.QUANTIZATION_NOT_SUPPORTED,
            f"{missing[0]} is not in the {question.runtime} runtime",
            f"use runtime {other}, or one of {_usable(question)}",
            {"algorithm": missing[0]},
        )
        return
    if gpu is None:
        return
    if gpu.capability not in table.gpus:
        oldest, newest = min(table.gpus), max(table.gpus)
        old = gpu.capability < oldest
        yield (refusal if old else warning)(
            Reason.GPU_NOT_SUPPORTED,
            f"{gpu.product} is {gpu.sm}, "
            + ("which has no kernels" if old else "which is not in the table of kernels")
            + f" ({sm_list(table.gpus)})",
            f"use a GPU of {sm(oldest)} to {sm(newest)}",
            {"capability": gpu.sm},
        )
        return
    for algorithm in formats:
        accepted = table.accepts(algorithm, question.runtime)
        if gpu.capability not in accepted:
            some = f"some layers are {algorithm}, which" if len(formats) > 1 else f"{algorithm}"
            yield refusal(
                Reason.GPU_NOT_SUPPORTED,
                f"{some} needs {sm_list(accepted)}; {gpu.product} is {gpu.sm}",
                f"usable here: {_usable(question)}",
                {"algorithm": algorithm, "capability": gpu.sm},
            )


def _usable(question: EngineQuestion) -> str:
    if question.gpu is not None:
        usable = usable_algorithms(question.image, question.runtime, question.gpu.capability)
    else:
        table = table_for(question.image.version)
        usable = tuple(item for item in Algorithm if table.accepts(item, question.runtime))
    return ", ".join(usable)


def sm(capability: Capability) -> str:
    """A compute capability as NVIDIA's documents write it: `SM90`."""
    return f"SM{capability[0]}{capability[1]}"


def sm_list(capabilities: frozenset[Capability]) -> str:
    """Compute capabilities as text, sorted as numbers: `SM89, SM90, SM100`."""
    return ", ".join(sm(item) for item in sorted(capabilities))
