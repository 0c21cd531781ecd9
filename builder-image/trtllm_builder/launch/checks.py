"""Checks before trtllm-serve is started: files, GPU, version."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from trtllm_api.contract import ExitCode, LaunchRequest
from trtllm_api.enginebuild import Runtime
from trtllm_api.manifest import Probe
from trtllm_api.reasons import Reason
from trtllm_builder.engine import identity
from trtllm_builder.engine.checkpoint import Unusable, mapping_of
from trtllm_builder.engine.pods import engine_file, is_engine_file
from trtllm_builder.failure import BuilderFailure, bad_model, first_line
from trtllm_builder.launch.place import Place
from trtllm_builder.progress import Progress
from trtllm_builder.store import read_artifact

_BUILD_AGAIN = (
    "Remove the engine's directory, and set the annotation trtllm.dev/retry on the EngineBuild to build it again."
)


def read_request(path: Path) -> LaunchRequest:
    """Read the LaunchRequest; raises BuilderFailure BadRequest."""
    try:
        return LaunchRequest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
    except OSError as error:
        what = first_line(error)
    raise BuilderFailure(
        ExitCode.BAD_REQUEST,
        Reason.BAD_REQUEST,
        f"The LaunchRequest cannot be read: {what}.",
        "The operator and the builder image have different versions. Use both from one release.",
    )


def check(request: LaunchRequest, place: Place, scratch: Path, progress: Progress) -> Probe | None:
    """Check the artifact, the GPU and the image, and return the model's probe. Raises BuilderFailure."""
    manifest, model = Path(request.model_manifest).parent, Path(request.model_path)
    first = place.index * request.gpus_per_node
    own = {engine_file(rank) for rank in range(first, first + request.gpus_per_node)}
    artifact = read_artifact(
        manifest,
        files_at=None if _beside(manifest, model) else model,
        # the other pods of the group verify their own ranks
        needed=lambda path: path in own or not is_engine_file(path),
        progress=progress,
    )
    found = identity.look(request.gpu, request.version, scratch)
    if request.runtime is Runtime.TENSORRT:
        _check_engine(model, found.version, request.world)
    return artifact.manifest.probe


def _beside(manifest: Path, model: Path) -> bool:
    """True if the files are in the manifest's directory; False for a source that is read in place."""
    return model == manifest or manifest in model.parents


def _check_engine(engine: Path, version: str, world: int) -> None:
    """Check the engine's version and number of ranks. TensorRT-LLM would refuse it later, with a less clear message."""
    try:
        config = json.loads((engine / "config.json").read_bytes())
        built, pretrained = config["version"], config.get("pretrained_config")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise bad_model(
            Reason.ARTIFACT_CORRUPT,
            f"The engine's config.json has no valid version: {type(error).__name__}: {first_line(error)}.",
            _BUILD_AGAIN,
        ) from error
    if not identity.same_version(str(built), version):
        raise BuilderFailure(
            ExitCode.NOT_SUPPORTED,
            Reason.IMAGE_MISMATCH,
            f"The engine was built with TensorRT-LLM {built}, but the image has {version}, which cannot load it.",
            f"Set spec.image to an image of TensorRT-LLM {built}, or build the engine again.",
        )
    try:
        mapping = mapping_of(pretrained if isinstance(pretrained, dict) else {})
    except Unusable as fault:
        raise bad_model(Reason.ARTIFACT_CORRUPT, f"The engine cannot be used: {fault}.", _BUILD_AGAIN) from fault
    if mapping.world != world:
        raise bad_model(
            Reason.ARTIFACT_CORRUPT,
            f"The engine has {mapping.world} ranks ({mapping}), but {world} were requested.",
            _BUILD_AGAIN,
        )
