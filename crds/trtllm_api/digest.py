"""Content addresses: sha256 over canonical JSON, the same in the operator and in the builder."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; NaN is refused, because it equals nothing."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest_of(value: Any) -> str:
    """`sha256:<64 hex digits>` of a JSON value."""
    return "sha256:" + hashlib.sha256(canonical_json(value).encode()).hexdigest()


def short(digest: str, length: int = 10) -> str:
    """The first hex digits of a digest, for names of children and for people."""
    return digest.removeprefix("sha256:")[:length]
