"""Reads QuantizedModels and EngineBuilds from YAML and JSON files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Final

from trtllm_api import API_VERSION, GROUP
from trtllm_api import enginebuild as eb
from trtllm_api import quantizedmodel as qm
from trtllm_api.crd import MAX_NAME
from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_api.quantizedmodel import QuantizedModelSpec
from trtllm_api.verdict import Verdict
from trtllm_cli.key import Key
from trtllm_cli.problem import Unreadable
from trtllm_cli.schema import check, mistake, shown
from trtllm_cli.texts import load_documents, read_text
from trtllm_diagnosis.model import shorten

_PARTS: Final = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})
_MOST: Final = 1000
"""Most resources of one run."""
_MOST_MISTAKES: Final = 100
_SHOWN: Final = 80
_LABEL: Final = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(rf"{_LABEL.pattern}(?:\.{_LABEL.pattern})*")


@dataclass(frozen=True)
class Document:
    """One resource. It has no `spec` if there are mistakes."""

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
    resources = (
        document
        for name in files
        for raw, where in _read(name)
        if (document := document_of(raw, where, namespace)) is not None
    )
    found = tuple(islice(resources, _MOST + 1))
    if len(found) > _MOST:
        raise Unreadable(f"{', '.join(files)}: more than {_MOST} resources", "plan them in several runs")
    if not found:
        raise Unreadable(f"{', '.join(files)}: no {qm.KIND} or {eb.KIND} of {API_VERSION} found")
    _refuse_duplicates(found)
    return found


def _refuse_duplicates(documents: Iterable[Document]) -> None:
    """Refuse two resources of one key: kubectl would apply both, and only the second would stay."""
    first: dict[Key, str] = {}
    for document in documents:
        if document.key.name and document.key in first:
            twice = f"{first[document.key]}, and {document.where}"
            raise Unreadable(f"{document.key} is given twice: {twice}", "remove one of them")
        first[document.key] = document.where


def _read(name: str) -> Iterator[tuple[Any, str]]:
    shown = "standard input" if name == "-" else name
    for number, document in enumerate(load_documents(read_text(name), shown), 1):
        where = f"{shown}, document {number}"
        items = document.get("items") if isinstance(document, Mapping) and document.get("kind") == "List" else None
        if isinstance(items, list):
            yield from ((item, f"{where}, item {index}") for index, item in enumerate(items, 1))
        elif document is not None:
            yield document, where


def document_of(raw: Any, where: str, namespace: str = "") -> Document | None:
    """The object as a Document; None if it belongs to another API group."""
    if not isinstance(raw, Mapping) or "kind" not in raw or "apiVersion" not in raw:
        raise Unreadable(f"{where}: not a Kubernetes object: apiVersion or kind is missing")
    kind, version = raw["kind"], raw["apiVersion"]
    if not isinstance(kind, str) or not isinstance(version, str):
        raise Unreadable(f"{where}: not a Kubernetes object: apiVersion and kind must be strings")
    if version.partition("/")[0] != GROUP:
        return None
    metadata = raw.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    wrong = list(islice(chain(_outside(raw, kind, version), _names(metadata)), _MOST_MISTAKES))
    spec: QuantizedModelSpec | EngineBuildSpec | None = None
    if kind in {qm.KIND, eb.KIND} and "spec" in raw:
        model: type[QuantizedModelSpec | EngineBuildSpec] = QuantizedModelSpec if kind == qm.KIND else EngineBuildSpec
        spec, inside = check(model, raw["spec"], "spec")
        wrong += inside
    key = Key(kind, _text(metadata.get("namespace")) or namespace, _text(metadata.get("name")))
    return Document(key, where, None if wrong else spec, tuple(wrong))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _outside(raw: Mapping[str, Any], kind: str, version: str) -> Iterator[Verdict]:
    """Mistakes in apiVersion, kind and the names of the top-level fields."""
    if kind not in {qm.KIND, eb.KIND}:
        yield mistake("kind", f"{GROUP} has no kind {shorten(kind, _SHOWN)}", f"use {qm.KIND} or {eb.KIND}")
    if version != API_VERSION:
        yield mistake("apiVersion", f"{shorten(version, _SHOWN)} is not supported", f"use {API_VERSION}")
    for part in raw:
        if part not in _PARTS:
            yield mistake(shorten(str(part), _SHOWN), "unknown field")
    if "spec" not in raw:
        yield mistake("spec", "the field is required")


def _names(metadata: Mapping[str, Any]) -> Iterator[Verdict]:
    """Mistakes in metadata.name and metadata.namespace."""
    for field, valid, form in (("name", _SUBDOMAIN, "."), ("namespace", _LABEL, "")):
        value, path = metadata.get(field), f"metadata.{field}"
        if value is None or value == "":
            if field == "name":
                yield mistake(path, "the field is required")
        elif not isinstance(value, str):
            yield mistake(path, "must be a string", f'put it in quotes: "{shown(value)}"')
        elif field == "name" and len(value) > MAX_NAME:
            what = f"{len(value)} characters, at most {MAX_NAME} are allowed"
            yield mistake(path, what, "shorten it: names of Jobs and Services are derived from it")
        elif valid.fullmatch(value) is None:
            what = f"{shown(value)} is not a valid Kubernetes name"
            yield mistake(
                path, what, f"use lower-case letters, digits and -{form}, and begin and end with a letter or digit"
            )
