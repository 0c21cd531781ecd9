"""QuantizedModels and EngineBuilds out of YAML files: `read_documents`, called by the plan command."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from trtllm_api import API_VERSION, GROUP
from trtllm_api import enginebuild as eb
from trtllm_api import quantizedmodel as qm
from trtllm_api.crd import MAX_NAME
from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_api.quantizedmodel import QuantizedModelSpec
from trtllm_api.verdict import Verdict
from trtllm_cli.problem import Unreadable
from trtllm_cli.schema import check, mistake

_PARTS: Final = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})


@dataclass(frozen=True)
class Document:
    """One resource; `spec` unless there are mistakes."""

    kind: str
    name: str
    where: str
    """The file, and which document of it."""
    spec: QuantizedModelSpec | EngineBuildSpec | None
    mistakes: tuple[Verdict, ...] = ()

    @property
    def title(self) -> str:
        """`EngineBuild llama`."""
        return f"{self.kind} {self.name or '(without a name)'}"


def read_documents(files: Iterable[str]) -> tuple[Document, ...]:
    """Of all files, `-` for standard input; resources of other kinds are left out."""
    found = tuple(
        document for name in files for raw, where in _read(name) if (document := document_of(raw, where)) is not None
    )
    if not found:
        raise Unreadable(f"{', '.join(files)}: no {qm.KIND} and no {eb.KIND} of {API_VERSION} is in there")
    return found


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Keys given twice are refused, as kubectl does, and dates are texts."""

    yaml_implicit_resolvers: Final = {
        first: [item for item in items if item[0] != "tag:yaml.org,2002:timestamp"]
        for first, items in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.MarkedYAMLError(problem=f"{key.value} is given twice", problem_mark=key.start_mark)
                seen.add(key.value)
        result: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        return result


def load_yaml(text: str, name: str) -> list[Any]:
    """Every document of a YAML or JSON text."""
    try:
        return list(yaml.load_all(text, _Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = f"line {mark.line + 1}: " if mark is not None else ""
        raise Unreadable(f"{name}: {line}not YAML: {error.problem or error}") from None
    except yaml.YAMLError as error:
        raise Unreadable(f"{name}: not YAML: {' '.join(str(error).split())}") from None


def read_text(name: str) -> str:
    """A file's text, or standard input's."""
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    except UnicodeDecodeError:
        raise Unreadable(f"{name} is not text in UTF-8") from None
    except OSError as error:
        raise Unreadable(f"{name} cannot be read: {error.strerror}") from None


def _read(name: str) -> Iterator[tuple[Any, str]]:
    shown = "standard input" if name == "-" else name
    for number, document in enumerate(load_yaml(read_text(name), shown), 1):
        where = f"{shown}, document {number}"
        items = document.get("items") if isinstance(document, Mapping) and document.get("kind") == "List" else None
        if isinstance(items, list):
            yield from ((item, f"{where}, item {index}") for index, item in enumerate(items, 1))
        elif document is not None:
            yield document, where


def document_of(raw: Any, where: str) -> Document | None:
    """One object; None where it is not of this API."""
    if not isinstance(raw, Mapping) or "kind" not in raw or "apiVersion" not in raw:
        raise Unreadable(f"{where}: not a Kubernetes object: it needs apiVersion and kind")
    kind, version = str(raw["kind"]), str(raw["apiVersion"])
    if version.partition("/")[0] != GROUP:
        return None
    metadata = raw.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    name = str(metadata.get("name") or "")
    wrong = [*_outside(raw, kind, version, name)]
    spec: QuantizedModelSpec | EngineBuildSpec | None = None
    if kind in {qm.KIND, eb.KIND} and "spec" in raw:
        model: type[QuantizedModelSpec | EngineBuildSpec] = QuantizedModelSpec if kind == qm.KIND else EngineBuildSpec
        spec, inside = check(model, raw["spec"], "spec")
        wrong += inside
    return Document(kind, name, where, None if wrong else spec, tuple(wrong))


def _outside(raw: Mapping[str, Any], kind: str, version: str, name: str) -> Iterator[Verdict]:
    """Mistakes around the spec."""
    if kind not in {qm.KIND, eb.KIND}:
        yield mistake("kind", f"{GROUP} has no {kind}", f"write {qm.KIND} or {eb.KIND}")
    if version != API_VERSION:
        yield mistake("apiVersion", f"{version} is not known", f"write {API_VERSION}")
    if not name:
        yield mistake("metadata.name", "is missing")
    elif len(name) > MAX_NAME:
        what = f"{len(name)} characters, at most {MAX_NAME}"
        yield mistake("metadata.name", what, "names of Jobs and Services are derived from it")
    for part in raw:
        if part not in _PARTS:
            yield mistake(str(part), "no such field")
    if "spec" not in raw:
        yield mistake("spec", "is missing")
