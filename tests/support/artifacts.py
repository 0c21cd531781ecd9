"""manifest.json of files that a test has written, without the code that is tested."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def write_manifest(directory: Path, kind: str, inputs: dict[str, Any] | None = None, **more: Any) -> Path:
    """Describe every file of the directory; the digest is that of the inputs."""
    files = [
        {
            "path": str(path.relative_to(directory)),
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    ]
    encoded = json.dumps(inputs or {}, sort_keys=True, separators=(",", ":")).encode()
    manifest = {
        "kind": kind,
        "digest": f"sha256:{hashlib.sha256(encoded).hexdigest()}",
        "inputs": inputs or {},
        "files": files,
        **more,
    }
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory / "manifest.json"
