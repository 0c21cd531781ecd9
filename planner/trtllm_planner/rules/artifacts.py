"""Rules about files that exist: engine_runtime (an engine and its GPU), file_integrity (a checkpoint's files)."""

from __future__ import annotations

from collections.abc import Iterator

from trtllm_api.reasons import Reason
from trtllm_api.verdict import Verdict, refusal, warning
from trtllm_planner.question import CheckpointFile, EngineQuestion
from trtllm_planner.tensorrt_llm.versions import parse_version

MOST_HEADER = 100_000_000
"""Largest header that safetensors itself accepts, in bytes."""


def engine_runtime(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse an engine that was built for another version, compute capability or number of ranks."""
    stamp = question.stamp
    if stamp is None:
        return

    version = question.image.version
    if version is not None and parse_version(stamp.version) != version:
        yield refusal(
            Reason.ENGINE_INCOMPATIBLE,
            f"the engine was built by TensorRT-LLM {stamp.version}, and image {question.image.reference} has {version}",
            "build it again with this image, or serve it with the image that built it",
        )
    gpu = question.gpu
    if gpu is not None and stamp.capability != gpu.capability:
        yield refusal(
            Reason.ENGINE_INCOMPATIBLE,
            f"the engine was built for SM{stamp.capability[0]}{stamp.capability[1]} ({stamp.product}), and "
            f"{gpu.product} is {gpu.sm}",
            f"bind it to nodes of {stamp.product}, or build it again for {gpu.product}",
        )
    elif gpu is not None and stamp.product != gpu.product:
        yield warning(
            Reason.ENGINE_INCOMPATIBLE,
            f"the engine was built on {stamp.product} and would run on {gpu.product}: its tactics may be slow there",
            "build it on the product that serves",
        )
    world = question.layout.world
    if stamp.world != world:
        yield refusal(
            Reason.WORLD_SIZE_MISMATCH,
            f"the engine has {stamp.world} ranks, and {question.layout} asks for {world}",
            f"serve it with {stamp.world} ranks, or build it again",
        )
    if stamp.rank_files != stamp.world:
        yield refusal(
            Reason.ENGINE_INCOMPATIBLE,
            f"the engine has files of {stamp.rank_files} of its {stamp.world} ranks",
            "build it again: a rank is missing or empty",
        )


def file_integrity(question: EngineQuestion) -> Iterator[Verdict]:
    """Refuse a checkpoint with missing or damaged files, or without the tokenizer's parts that the server needs."""
    files, options = question.files, question.options
    if options.chat and not question.facts.chat_template:
        yield refusal(
            Reason.CHAT_TEMPLATE_MISSING,
            "the chat endpoint is used, and the tokenizer has no chat template",
            "use the model's instruction-tuned variant, give a chat template, or serve completions only",
        )
    if files is None:
        return
    for file in files.weights:
        problem, remedy = _problem(file)
        if problem:
            yield refusal(Reason.SOURCE_CORRUPT, f"{file.name} {problem}", remedy, {"file": file.name})
    missing = sorted(files.indexed - {file.name for file in files.weights})
    if missing:
        yield refusal(
            Reason.SOURCE_INCOMPLETE,
            f"{len(missing)} of {len(files.indexed)} files of the index are missing: {', '.join(missing[:3])}"
            + (", ..." if len(missing) > 3 else ""),
            "download the checkpoint again, completely",
            {"missing": len(missing)},
        )
    if not files.weights:
        yield refusal(
            Reason.SOURCE_INCOMPLETE,
            "the directory has no .safetensors file",
            "name the directory of a Hugging Face checkpoint; GGUF and .bin are not read",
        )
    if not files.tokenizer:
        yield refusal(
            Reason.SOURCE_INCOMPLETE,
            "the checkpoint has no tokenizer",
            "add tokenizer.json (or tokenizer.model) and tokenizer_config.json of the same model",
        )


def _problem(file: CheckpointFile) -> tuple[str, str]:
    again = "download it again"
    if file.pointer:
        return f"is a Git-LFS pointer of {file.bytes} bytes, not weights", "run `git lfs pull`, or use the hub's client"
    if file.header_bytes > MOST_HEADER:
        return f"has a header of {file.header_bytes} bytes, and {MOST_HEADER} is the maximum", again
    expected = 8 + file.header_bytes + file.data_bytes
    if expected > file.bytes:
        return f"is truncated: {file.bytes} of {expected} bytes", again
    if expected < file.bytes:
        return f"has {file.bytes} bytes, but its header describes {expected}", again
    return "", ""
