"""Manifests and worked examples as documents have them: YAML blocks, and console blocks with commands and outputs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HERE_DOCUMENT = re.compile(r"<<YAML\n(.*?)\nYAML$", re.MULTILINE | re.DOTALL)
"""The shell ends a here-document at its word alone on a line, without blanks before it."""
_AGE = re.compile(r"( +)\d+(?:[smhd]\d*)+[smhd]?$", re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """A command after `$ `, and what it prints."""

    line: str
    output: str


@dataclass(frozen=True)
class Example:
    """One section of a page: its manifests and its commands."""

    page: Path
    title: str
    text: str

    @property
    def manifests(self) -> list[dict[str, Any]]:
        """Objects of the section's YAML blocks."""
        return [item for language, body in _FENCE.findall(self.text) if language == "yaml" for item in _objects(body)]

    @property
    def commands(self) -> list[Command]:
        """Commands of the section's console blocks."""
        found = []
        for language, body in _FENCE.findall(self.text):
            if language == "console":
                for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                    line, _, output = part.partition("\n")
                    found.append(Command(line, output.rstrip("\n")))
        return found

    def with_outputs(self, outputs: list[str]) -> str:
        """The section with other outputs."""
        text = self.text
        for command, output in zip(self.commands, outputs, strict=True):
            old = f"$ {command.line}\n" + (f"{command.output}\n" if command.output else "")
            text = text.replace(old, f"$ {command.line}\n" + (f"{output}\n" if output else ""), 1)
        return text


def examples(page: Path) -> list[Example]:
    """Sections `### ...` of the chapter Examples."""
    chapter = page.read_text().split("\n## Examples\n")[1].split("\n## ")[0]
    parts = re.split(r"^(?=### )", chapter, flags=re.MULTILINE)[1:]
    return [Example(page, part.splitlines()[0].removeprefix("### "), part) for part in parts]


def without_ages(output: str) -> str:
    """The output of kubectl with the same age everywhere, and no blanks at the ends of lines."""
    lines = [_AGE.sub(r"\g<1>30s", line.rstrip()) for line in output.rstrip("\n").splitlines()]
    return "\n".join(lines)


def documents() -> list[Path]:
    """Files that users read manifests in: the examples, every Markdown page but the tests', the chart's notes."""
    rooms = [path for path in ROOT.iterdir() if path.is_dir() and path.name != "tests" and path.name[0] != "."]
    pages = [page for room in rooms for page in room.glob("**/*.md")]
    return sorted(
        [*ROOT.glob("*.md"), *pages, *ROOT.glob("examples/**/*.yaml"), *ROOT.glob("charts/*/templates/NOTES.txt")]
    )


def manifests(path: Path) -> list[dict[str, Any]]:
    """Objects that a document shows: in YAML blocks of a page, in here-documents of the notes."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        bodies = [body for language, body in _FENCE.findall(text) if language == "yaml"]
    elif path.suffix == ".txt":
        bodies = _HERE_DOCUMENT.findall(text)
    else:
        bodies = [text]
    return [item for body in bodies for item in _objects(body)]


def _objects(text: str) -> list[dict[str, Any]]:
    return [item for item in yaml.safe_load_all(text) if isinstance(item, dict) and "kind" in item]
