"""Result of a finished request, stored beside its report. A resource that is created again uses it."""

from __future__ import annotations

from pydantic import ValidationError

from trtllm_api.contract import QuantizeResult
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.quantize.reporting import report_directory, write_whole
from trtllm_builder.store import Store, read_artifact

_FILE = "result.json"
_MOST_BYTES = 1 << 20


def keep(store: Store, request_digest: str, result: QuantizeResult) -> None:
    """Write the result of a request whose artifact is published."""
    write_whole(report_directory(store, request_digest) / _FILE, result.model_dump_json(by_alias=True))


def finished(store: Store, request_digest: str) -> QuantizeResult | None:
    """Result of an equal request, if its artifact is still complete: every file is compared with its sha256.

    None if there is no such result, if it cannot be read, or if the artifact is damaged or missing.
    """
    path = report_directory(store, request_digest) / _FILE
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        result = QuantizeResult.model_validate_json(path.read_bytes())
        if result.artifact is None:
            return None
        directory = (store.root / result.artifact.path).resolve()
        if not directory.is_relative_to(store.root.resolve()):
            return None
        if read_artifact(directory).manifest.digest != result.artifact.digest:
            return None
    except (OSError, ValidationError, BuilderFailure):
        return None
    return result.model_copy(update={"artifact": result.artifact.model_copy(update={"reused": True})})
