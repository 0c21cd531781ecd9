"""QuantizedModels and EngineBuilds out of YAML files: `read_documents`, called by the plan command."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
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
from trtllm_cli.key import Key
from trtllm_cli.problem import Unreadable
from trtllm_cli.schema import check, mistake

_PARTS: Final = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(rf"{_LABEL.pattern}(?:\.{_LABEL.pattern})*")


@dataclass(frozen=True)
class Document:
    """One resource; it has a `spec` unless there are mistakes."""

    key: Key
    where: str
    """The file, and the number of the document in it."""
    spec: QuantizedModelSpec | EngineBuildSpec | None
    mistakes: tuple[Verdict, ...] = ()

    @property
    def has_source(self) -> bool:
        """False for an EngineBuild with a modelRef."""
        return not isinstance(self.spec, EngineBuildSpec) or self.spec.source is not None


def read_documents(files: Sequence[str], namespace: str = "") -> tuple[Document, ...]:
    """Resources of this API in all files; `-` is standard input.

    A resource without metadata.namespace belongs to `namespace`.
    """
    found = tuple(
        document
        for name in files
        for raw, where in _read(name)
        if (document := document_of(raw, where, namespace)) is not None
    )
    if not found:
        raise Unreadable(f"{', '.join(files)}: no {qm.KIND} and no {eb.KIND} of {API_VERSION} is in there")
    _refuse_duplicates(found)
    return found


def _refuse_duplicates(documents: Iterable[Document]) -> None:
    """Refuse two resources of one key: kubectl would apply both, and only the second would stay."""
    first: dict[Key, str] = {}
    for document in documents:
        if document.key.name and document.key in first:
            raise Unreadable(
                f"{document.key} is given twice: {first[document.key]}, and {document.where}. Remove one of them."
            )
        first[document.key] = document.where


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


def document_of(raw: Any, where: str, namespace: str = "") -> Document | None:
    """One object; None if it is not of this API."""
    if not isinstance(raw, Mapping) or "kind" not in raw or "apiVersion" not in raw:
        raise Unreadable(f"{where}: not a Kubernetes object: it needs apiVersion and kind")
    kind, version = str(raw["kind"]), str(raw["apiVersion"])
    if version.partition("/")[0] != GROUP:
        return None
    metadata = raw.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    wrong = [*_outside(raw, kind, version), *_names(metadata)]
    spec: QuantizedModelSpec | EngineBuildSpec | None = None
    if kind in {qm.KIND, eb.KIND} and "spec" in raw:
        model: type[QuantizedModelSpec | EngineBuildSpec] = QuantizedModelSpec if kind == qm.KIND else EngineBuildSpec
        spec, inside = check(model, raw["spec"], "spec")
        wrong += inside
    key = Key(kind, str(metadata.get("namespace") or namespace), str(metadata.get("name") or ""))
    return Document(key, where, None if wrong else spec, tuple(wrong))


def _outside(raw: Mapping[str, Any], kind: str, version: str) -> Iterator[Verdict]:
    """Mistakes around metadata and spec."""
    if kind not in {qm.KIND, eb.KIND}:
        yield mistake("kind", f"{GROUP} has no {kind}", f"write {qm.KIND} or {eb.KIND}")
    if version != API_VERSION:
        yield mistake("apiVersion", f"{version} is not known", f"write {API_VERSION}")
    for part in raw:
        if part not in _PARTS:
            yield mistake(str(part), "no such field")
    if "spec" not in raw:
        yield mistake("spec", "is missing")


def _names(metadata: Mapping[str, Any]) -> Iterator[Verdict]:
    """Mistakes in metadata.name and metadata.namespace."""
    for field, valid, form in (("name", _SUBDOMAIN, "."), ("namespace", _LABEL, "")):
        value, path = metadata.get(field), f"metadata.{field}"
        if value is None or value == "":
            if field == "name":
                yield mistake(path, "is missing")
        elif not isinstance(value, str):
            yield mistake(path, "must be a text", f'put it in quotes: "{str(value).lower()}"')
        elif field == "name" and len(value) > MAX_NAME:
            what = f"{len(value)} characters, at most {MAX_NAME}"
            yield mistake(path, what, "names of Jobs and Services are derived from it")
        elif valid.fullmatch(value) is None:
            what = f"{json.dumps(value)} is no name that Kubernetes accepts"
            yield mistake(
                path, what, f"use lower-case letters, digits and -{form}, with a letter or digit at both ends"
            )
