"""`python tests/unit/planner/commands/generate_llm_args.py`: write llm_args.json of trtllm_planner.commands anew.

It holds the names and types of tests/data/upstream/llmargs-*.json: for every class and field the version from which on
the field has a type, and null from the version on that lacks it.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parents[4]
UPSTREAM = _ROOT / "tests" / "data" / "upstream"
TARGET = _ROOT / "planner" / "trtllm_planner" / "commands" / "llm_args.json"
VERSIONS = ("0.20.0", "1.0.0", "1.1.0", "1.2.0", "1.3.0rc3")
_BESIDE = {"1.1.0": "1.1.0rc6"}
"""Classes that the documentation of a release leaves out are as in its release candidate."""
_RUNTIMES = ("TorchLlmArgs", "TrtLlmArgs")
_BOTH = "LlmArgs"
"""Class of 0.20.0, for both runtimes."""
_CHECKED = {"load_format", "embedding_parallel_mode"}
"""Fields of type str that take certain words only."""


def written() -> str:
    """Text of the generated file."""
    known = {version: _classes(version) for version in VERSIONS}
    names = sorted({name for classes in known.values() for name in classes})
    head = {
        "versions": VERSIONS,
        "unread": {version: [name for name in names if name not in known[version]] for version in VERSIONS},
        "decoding_types": {version: _read(version)["speculative_decoding_types"] for version in VERSIONS},
        "ignores_unknown": [version for version in VERSIONS if "ignored" in _read(version)["unknown_top_level_key"]],
    }
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in head.items()]
    classes = ",\n".join(_class(name, _history(name, known)) for name in names)
    return "\n".join(["{", *lines, ' "classes": {', classes, " }", "}"]) + "\n"


def _class(name: str, history: dict[str, dict[str, str | None]]) -> str:
    fields = ",\n".join(f"   {json.dumps(field)}: {json.dumps(types)}" for field, types in history.items())
    return f"  {json.dumps(name)}: {{\n{fields}\n  }}"


def _history(name: str, known: dict[str, dict[str, dict[str, str]]]) -> dict[str, dict[str, str | None]]:
    fields = sorted({field for classes in known.values() for field in classes.get(name, {})})
    found: dict[str, dict[str, str | None]] = {}
    for field in fields:
        last: str | None = None
        for version in VERSIONS:
            if name not in known[version]:
                continue
            now = known[version][name].get(field)
            if now != last:
                found.setdefault(field, {})[version] = now
            last = now
    return found


def _classes(version: str) -> dict[str, dict[str, str]]:
    """Fields and types of each class that was read."""
    read: dict[str, Any] = {}
    for source in (_BESIDE.get(version), version):
        if source is not None:
            read |= {name: item["fields"] for name, item in _read(source)["classes"].items() if item["fields"]}
    if _BOTH in read:
        both = read.pop(_BOTH)
        read |= dict.fromkeys(_RUNTIMES, both)
    return {name: _fields(fields) for name, fields in read.items()}


def _fields(fields: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, field in fields.items():
        spellings = re.findall(r"'(\w+)'", field.get("alias", "")) or [name]
        found |= {spelling: _type(name, field) for spelling in spellings}
    return found


def _type(name: str, field: dict[str, Any]) -> str:
    kind, allowed = str(field.get("type", "Any")), field.get("allowed")
    if allowed is None or ("str" in kind.split(" | ") and name not in _CHECKED):
        return kind
    return f"Literal{allowed!r}" + (" | None" if kind.endswith(" | None") else "")


def _read(version: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((UPSTREAM / f"llmargs-{version}.json").read_text(encoding="utf-8"))
    return value


if __name__ == "__main__":
    TARGET.write_text(written(), encoding="utf-8")
