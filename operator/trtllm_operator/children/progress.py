"""The last progress line of a builder's log; called by the engine."""

from __future__ import annotations

import json

from pydantic import ValidationError

from trtllm_api.contract import ProgressLine


def last_progress(log: str) -> ProgressLine | None:
    """Other lines, and lines cut in two by the log's limit, count as absent."""
    for line in reversed(log.splitlines()):
        if not line.startswith('{"progress"'):
            continue
        try:
            return ProgressLine.model_validate(json.loads(line)["progress"])
        except (ValueError, KeyError, ValidationError):
            continue
    return None
