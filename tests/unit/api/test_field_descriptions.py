"""Every field of both kinds says what it does: the text that `kubectl explain` prints, read from the generated CRDs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.english import PREPOSITIONS

CRDS = Path(__file__).parents[3] / "crds"
KINDS = ("quantizedmodels", "enginebuilds")
WORDS_OF_A_SENTENCE = 4
ANNOTATION_BYTES = 262144
"""Kubernetes' limit for all annotations of an object: client-side apply keeps the whole manifest in one."""


@dataclass(frozen=True)
class FieldText:
    """A field as the API server describes it."""

    path: str
    schema: dict[str, Any]
    required: bool

    @property
    def text(self) -> str:
        return str(self.schema.get("description", ""))


@cache
def crd(plural: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CRDS / f"{plural}.yaml").read_text())
    return found


def fields(plural: str) -> list[FieldText]:
    """All but metadata, which the API server describes itself."""
    schema = crd(plural)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    own = {name: inner for name, inner in schema["properties"].items() if name != "metadata"}
    return [FieldText(plural, schema, True), *below({**schema, "properties": own}, "")]


def below(schema: dict[str, Any], path: str) -> Iterator[FieldText]:
    for name, inner in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield FieldText(here, inner, name in schema.get("required", ()))
        yield from below(inner, here)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from below(schema[key], f"{path}[]")


def faults(text: str) -> str:
    """What keeps a text from being a sentence that says what a field does."""
    prose = text.split("\n - ")[0]
    words = re.findall(r"[\w'./-]+", prose)
    if len(words) < WORDS_OF_A_SENTENCE:
        return "shorter than a sentence"
    if words[0].lower() in PREPOSITIONS:
        return f"starts with the preposition {words[0]!r}"
    if not words[0][0].isupper():
        return "starts with a small letter"
    if not all(part.endswith(".") for part in text.split("\n")):
        return "ends without a full stop"
    return ""


@pytest.mark.parametrize("plural", KINDS)
def test_every_field_has_a_description_of_a_sentence(plural: str) -> None:
    found = {field.path: faults(field.text) for field in fields(plural)}
    assert len(found) > 200
    assert {path: fault for path, fault in found.items() if fault} == {}


@pytest.mark.parametrize("plural", KINDS)
def test_every_column_of_kubectl_get_has_a_description_of_a_sentence(plural: str) -> None:
    columns = crd(plural)["spec"]["versions"][0]["additionalPrinterColumns"]
    assert {column["name"]: faults(column["description"]) for column in columns if faults(column["description"])} == {}


@pytest.mark.parametrize("plural", KINDS)
def test_every_optional_field_of_the_spec_without_a_default_says_what_happens_without_it(plural: str) -> None:
    """A block whose own fields have defaults is filled in by the API server."""
    silent = [
        field.path
        for field in fields(plural)
        if field.path.startswith("spec.")
        and not field.required
        and "default" not in field.schema
        and not re.search(r"[Ii]f omitted|Exactly one of .* is set|Required for ", field.text)
    ]
    assert silent == []


@pytest.mark.parametrize("plural", KINDS)
def test_every_default_of_the_spec_is_part_of_the_text(plural: str) -> None:
    """`kubectl explain` prints no defaults. The default {} of a block is that of its fields."""
    texts = {
        field.path: field.text
        for field in fields(plural)
        if field.path.startswith("spec.") and field.schema.get("default", {}) != {}
    }
    assert [path for path, text in texts.items() if not re.search(r" Default: [^ ].*\.$", text.split("\n")[0])] == []
    assert texts["spec.storage.size"].endswith(" Default: 100Gi.")
    assert texts["spec.storage.accessMode"].endswith(" Default: ReadWriteMany.")
    assert texts["spec.suspend"].endswith(" Default: false.")
    assert " Default: GPU.\n - GPU: " in texts["spec.device"]


@pytest.mark.parametrize("plural", KINDS)
def test_every_value_of_an_enum_is_explained(plural: str) -> None:
    unexplained = []
    for field in fields(plural):
        values = field.schema.get("enum") or field.schema.get("items", {}).get("enum", ())
        unexplained += [f"{field.path}: {value}" for value in values if not re.search(rf"\b{value}\b", field.text)]
    assert unexplained == []


@pytest.mark.parametrize("plural", KINDS)
def test_a_definition_leaves_room_in_the_annotation_of_client_side_apply(plural: str) -> None:
    assert len(json.dumps(crd(plural), separators=(",", ":"))) < ANNOTATION_BYTES / 2


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "shorter than a sentence"),
        ("Kind of Service.", "shorter than a sentence"),
        ("Of the Jobs that fetch and build.", "starts with the preposition 'Of'"),
        ("number of replicas of the server.", "starts with a small letter"),
        ("Number of replicas of the server", "ends without a full stop"),
        ("Number of replicas of the server.\n - One: a value without its stop", "ends without a full stop"),
        ("Number of replicas of the server.\n - One: a value.", ""),
    ],
)
def test_a_text_that_explains_nothing_is_found(text: str, fault: str) -> None:
    assert faults(text) == fault
