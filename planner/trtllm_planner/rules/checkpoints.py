"""The rule checkpoint_recognised: the format of a checkpoint against the formats that the runtime reads.

A refusal describes the checkpoint (tool, bits, group size, desc_act, symmetric or not), and names the runtime and
versions that read it, or advises to quantize the original.
"""

from __future__ import annotations

from collections.abc import Iterator

from trtllm_api.facts import CheckpointFacts, ModelFacts
from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal
from trtllm_planner.question import ArtifactFacts, EngineQuestion
from trtllm_planner.tensorrt_llm.architectures import CONVERTIBLE_GROUPS, LLAMA_FAMILY
from trtllm_planner.tensorrt_llm.foreign import FOREIGN_FORMATS, made_from
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.versions import (
    INT4,
    LAST_ENGINE_VERSION,
    Algorithm,
    EngineRuntime,
    KvFormat,
    algorithm_named,
)

_TOOLS = {"awq": "AutoAWQ", "gptq": "GPTQ"}
_CONVERTERS = f"TensorRT-LLM 0.20 to {LAST_ENGINE_VERSION}"


def _refusal(message: str, remedy: str, **numbers: int | str) -> Verdict:
    return refusal(Reason.CHECKPOINT_NOT_SUPPORTED, message, remedy, numbers)


def checkpoint_recognised(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse the artifact of a QuantizedModel, or a source, that the runtime cannot read."""
    if question.artifact is not None:
        yield from _artifact(question.artifact, question)
        return
    checkpoint = question.details.checkpoint
    if checkpoint is None:
        if question.facts.quantization is None:
            return
        checkpoint = CheckpointFacts(method=question.facts.quantization)
    problem = _unreadable(checkpoint, question)
    if problem:
        yield _refusal(problem, _way_out(checkpoint, question), quantMethod=checkpoint.method)
        return
    yield from _conflicts(checkpoint, question)


def artifact_for_transformers(artifact: ArtifactFacts) -> Verdict | None:
    """Refusal of an artifact that runtime Transformers cannot serve; None if it can."""
    if not artifact.engine_format:
        return None
    return _refusal(
        f"the artifact of QuantizedModel {artifact.name} is a TensorRT-LLM checkpoint (TP {artifact.tensor}, "
        f"PP {artifact.pipeline}), which only runtime TensorRT reads",
        "set checkpoint.format HuggingFace in the QuantizedModel, or runtime TensorRT here",
    )


def _artifact(artifact: ArtifactFacts, question: EngineQuestion) -> Iterator[Verdict]:
    layout, name = question.layout, f"the artifact of QuantizedModel {artifact.name}"
    if question.runtime is EngineRuntime.PYTORCH:
        refused = artifact_for_transformers(artifact)
        if refused is not None:
            yield refused
        return
    if not artifact.engine_format:
        if artifact.quantized:
            yield _refusal(
                f"{name} is a quantized Hugging Face checkpoint, which convert_checkpoint.py does not read",
                f"set checkpoint.format TensorRTLLM{_divided(layout)} in the QuantizedModel, or runtime PyTorch here",
                tensor=layout.tensor,
                pipeline=layout.pipeline,
            )
        return
    baked = f"TP {artifact.tensor}, PP {artifact.pipeline}"
    if (layout.tensor, layout.pipeline) != (artifact.tensor, artifact.pipeline):
        yield _refusal(
            f"{name} is divided for {baked}, and the engine needs TP {layout.tensor}, PP {layout.pipeline}",
            f"set parallelism.tensor {artifact.tensor} and pipeline {artifact.pipeline} here, or checkpoint.tensor "
            f"{layout.tensor} and pipeline {layout.pipeline} in the QuantizedModel",
            tensor=artifact.tensor,
            pipeline=artifact.pipeline,
        )
    if question.convert is not None:
        yield _refusal(
            f"{name} is a TensorRT-LLM checkpoint already ({baked}), and convert is set", "leave convert out"
        )


def _divided(layout: Layout) -> str:
    """The fields tensor and pipeline of spec.checkpoint, if they are not 1."""
    return f", tensor {layout.tensor} and pipeline {layout.pipeline}" if layout.world > 1 else ""


def _unreadable(checkpoint: CheckpointFacts, question: EngineQuestion) -> str:
    runtime, method = question.runtime, checkpoint.method
    readable = FOREIGN_FORMATS[runtime].get(method)
    what = f"the checkpoint is {describe(checkpoint)}"
    if readable is None:
        return f"{what}, which the {runtime} runtime cannot load"
    if checkpoint.integer and method == "compressed-tensors":
        return f"{what}, which would be read as FP8"
    algorithm = algorithm_named(checkpoint.algorithm)
    if method in _TOOLS and algorithm in readable:
        return _not_convertible(checkpoint, question, what)
    if algorithm is None:
        return "" if method == "modelopt" else f"{what}, which the {runtime} runtime does not read"
    since, version = readable.get(algorithm), question.image.version
    if since is None or (method == "fp8" and algorithm is Algorithm.FP8 and checkpoint.dynamic):
        return f"{what}, which the {runtime} runtime does not read"
    if version is not None and version < since:
        return f"{what}, which TensorRT-LLM {version} does not read whole"
    if algorithm is Algorithm.NVFP4 and checkpoint.group_size not in {None, 16}:
        return f"the NVFP4 checkpoint has group size {checkpoint.group_size}, where only 16 is read"
    if algorithm is Algorithm.FP8_BLOCK and checkpoint.group_size not in {None, 128}:
        return f"the FP8 checkpoint has blocks of {checkpoint.group_size}, where only 128 x 128 is read"
    return ""


def _not_convertible(checkpoint: CheckpointFacts, question: EngineQuestion, what: str) -> str:
    architecture = question.facts.architecture
    if architecture not in LLAMA_FAMILY:
        return f"{what} of {architecture}, where only the Llama and Qwen2 families are converted"
    if checkpoint.act_order:
        return f"{what}, whose reordered columns (desc_act: true) no engine kernel reads"
    if checkpoint.group_size is not None and checkpoint.group_size not in CONVERTIBLE_GROUPS:
        groups = " and ".join(map(str, CONVERTIBLE_GROUPS))
        return f"{what}, where engine kernels exist for group sizes {groups}"
    if algorithm_named(checkpoint.algorithm) is Algorithm.W8A16_GPTQ:
        return f"{what}, which no release converts with its 8 bits"
    return ""


def describe(checkpoint: CheckpointFacts) -> str:
    """A checkpoint's format as text: `GPTQ (INT4, group size 128, desc_act true, symmetric)`."""
    method, algorithm = checkpoint.method, algorithm_named(checkpoint.algorithm)
    cache = f", {checkpoint.kv_cache} KV cache" if checkpoint.kv_cache else ""
    if method not in _TOOLS:
        if checkpoint.formats:
            return f"{method} with layers in {' and in '.join(checkpoint.formats)}{cache}"
        if checkpoint.integer:
            symmetric = "symmetric" if checkpoint.symmetric else "asymmetric"
            details = [f"{checkpoint.bits} bits" if checkpoint.bits else ""]
            details += [f"group size {checkpoint.group_size}" if checkpoint.group_size else "", symmetric]
            return f"{method} with integer weights ({', '.join(filter(None, details))}{cache})"
        scales = ", scales per tensor" if method == "fp8" and algorithm is Algorithm.FP8 else ""
        named = checkpoint.algorithm or (f"{checkpoint.bits} bits" if checkpoint.bits else "")
        return method + (f" with {named}{scales}" if named else "") + cache
    bits = f"{checkpoint.bits} bits" if checkpoint.bits else ""
    details = [bits] if algorithm is None else ["INT4" if algorithm in INT4 else "INT8"]
    if checkpoint.group_size is not None:
        details.append(f"group size {checkpoint.group_size}" if checkpoint.group_size else "no groups")
    if method == "gptq":
        details.append(f"desc_act {str(checkpoint.act_order).lower()}")
    details.append("symmetric" if checkpoint.symmetric else "asymmetric")
    return f"{_TOOLS[method]} ({', '.join(filter(None, details))})"


def _way_out(checkpoint: CheckpointFacts, question: EngineQuestion) -> str:
    if checkpoint.method == "modelopt" and question.runtime is EngineRuntime.TENSORRT:
        return (
            f"use runtime PyTorch, which loads it; or {original(question.facts)} with a QuantizedModel of "
            f"checkpoint.format TensorRTLLM{_divided(question.layout)}"
        )
    ways = []
    algorithm = algorithm_named(checkpoint.algorithm)
    since = FOREIGN_FORMATS[question.runtime].get(checkpoint.method, {}).get(algorithm or Algorithm.NONE)
    version = question.image.version
    if since is not None and version is not None and version < since and not checkpoint.dynamic:
        ways.append(f"use an image of TensorRT-LLM {since} or newer")
    method = "INT4AWQ" if checkpoint.method in _TOOLS else "FP8"
    ways.append(f"{original(question.facts)} instead, for example with method {method}")
    convertible = (
        checkpoint.method in _TOOLS and algorithm in FOREIGN_FORMATS[EngineRuntime.TENSORRT][checkpoint.method]
    )
    if convertible and not _not_convertible(checkpoint, question, "it"):
        ways.append(
            f"use runtime TensorRT with {_CONVERTERS}, which converts it (group size 64 or 128, desc_act false, "
            "symmetric or not)"
        )
    return "; or ".join(ways)


def original(facts: ModelFacts) -> str:
    """Remedy that quantizes this model another way: from its original, or from a BF16 copy if it has no original."""
    first = made_from(facts)
    if first is None:
        return "quantize the original (BF16 or FP16) model"
    return f"{first}, because no BF16 original was published, and quantize that copy"


def _conflicts(checkpoint: CheckpointFacts, question: EngineQuestion) -> Iterator[Verdict]:
    asked, found = question.algorithm, checkpoint.algorithm
    if found is not None and asked is not Algorithm.NONE and asked != found:
        yield _refusal(
            f"the checkpoint is {found} already, and the spec sets {asked}",
            f"use {found}, or {original(question.facts)}",
            checkpoint=found,
            asked=asked,
        )
    convert = question.convert
    if found is not None and convert is not None and (convert.weight_only or convert.smooth_quant):
        field = "weightOnly" if convert.weight_only else "smoothQuant"
        yield _refusal(
            f"the checkpoint is {describe(checkpoint)} already, and convert.{field} would quantize it again",
            f"leave convert.{field} out, or use the original (BF16 or FP16) model",
        )
    if checkpoint.kv_cache and question.kv_cache not in {KvFormat.AUTO, checkpoint.kv_cache}:
        yield _refusal(
            f"the checkpoint's KV cache is {checkpoint.kv_cache}, and the spec sets {question.kv_cache}",
            f"use {checkpoint.kv_cache}, or leave the KV cache's format out",
        )
