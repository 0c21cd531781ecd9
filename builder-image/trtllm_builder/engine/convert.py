"""Convert: convert_checkpoint.py of NVIDIA's image writes a TensorRT-LLM checkpoint."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from trtllm_api.contract import ConvertRequest, ExitCode
from trtllm_api.reasons import Reason
from trtllm_builder.engine.causes import failure_of
from trtllm_builder.engine.checkpoint import Mapping, Unusable, check_checkpoint
from trtllm_builder.engine.identity import HAVE_ENGINES, USE_ENGINES, image_mismatch, look
from trtllm_builder.engine.process import run_program
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.files import sync_directory
from trtllm_builder.progress import Progress
from trtllm_builder.store import Store, read_artifact

EXAMPLES = Path("/app/tensorrt_llm/examples")
CHECKPOINT = "checkpoint"
"""Name of the checkpoint's directory inside the request's work directory."""
_PROGRAM = "convert_checkpoint.py"
_PLACES = ("models/core", ".", "models/contrib")
"""Directories of the families inside the examples, which differ between versions."""
_USUAL_PATHS = ("--model_dir", "--output_dir")
_PATHS = {"gemma": ("--model-dir", "--output-model-dir")}
"""Flags of a family's script that differ from the usual ones. Newer versions of Gemma's script accept both."""
_FAMILY = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


def run_convert(
    request: ConvertRequest, store: Store, progress: Progress, request_digest: str, examples: Path | None = None
) -> None:
    """Write a complete checkpoint to the work directory, if there is none yet."""
    wanted = Mapping(request.tensor, request.pipeline, request.context)
    work = store.work(request_digest)
    target = work / CHECKPOINT
    if _is_complete(target, wanted):
        progress.say("The checkpoint was converted before and is used again.")
        return
    manifest, model = Path(request.model_manifest).parent, Path(request.model_path)
    read_artifact(manifest, files_at=None if model == manifest else model, progress=progress)
    identity = look(request.gpu, request.version, work)
    script = _script(request.script, identity.version, examples or EXAMPLES)
    paths = _PATHS.get(request.script, _USUAL_PATHS)
    partial = work / f"{CHECKPOINT}.partial"
    for leftover in (partial, target):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir()
    with progress.step("Converting", wanted.files, "ranks") as step:
        ended = run_program(
            [
                *(sys.executable, str(script)),
                *(paths[0], request.model_path),
                *(paths[1], str(partial)),
                *request.arguments,
            ],
            directory=work,
            tick=lambda: step.reach(len(list(partial.glob("rank*.safetensors")))),
        )
    if ended.exit_code != 0:
        raise failure_of(_PROGRAM, ended, Reason.CONVERSION_FAILED)
    try:
        check_checkpoint(partial, wanted)
    except Unusable as fault:
        because = "" if ended.diagnosis is None else f" {ended.diagnosis.message}"
        raise BuilderFailure(
            ExitCode.NOT_SUPPORTED,
            Reason.CONVERSION_FAILED,
            f"{_PROGRAM} ended with exit code 0, but its checkpoint is incomplete: {fault}.{because}",
            "Read its output in the pod's log, and check spec.convert.extraArgs."
            if ended.diagnosis is None
            else ended.diagnosis.remedy,
        ) from fault
    partial.rename(target)
    sync_directory(work)


def _is_complete(directory: Path, wanted: Mapping) -> bool:
    try:
        check_checkpoint(directory, wanted)
    except Unusable:
        return False
    return True


def _script(family: str, version: str, examples: Path) -> Path:
    if not _FAMILY.match(family):
        raise BuilderFailure(
            ExitCode.BAD_REQUEST,
            Reason.BAD_REQUEST,
            f"{family!r} is not a valid name of a model family for {_PROGRAM}.",
            "Use a family in the image's examples directory, such as llama.",
        )
    for place in _PLACES:
        script = examples / place / family / _PROGRAM
        if script.is_file():
            return script
    there = sorted({path.parent.name for place in _PLACES for path in (examples / place).glob(f"*/{_PROGRAM}")})
    if there:
        raise image_mismatch(
            f"The image's TensorRT-LLM {version} has no {_PROGRAM} for {family}. It has {', '.join(there)}.",
            "Use a TensorRT-LLM image that has it (up to 1.2.x), or set spec.runtime to PyTorch.",
        )
    raise image_mismatch(f"The image's TensorRT-LLM {version} has no {_PROGRAM}; {HAVE_ENGINES}.", USE_ENGINES)
