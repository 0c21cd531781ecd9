"""YAML has the values that kubectl reads: each expectation is what sigs.k8s.io/yaml v1.6.0 made of the text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trtllm_cli.problem import Unreadable
from trtllm_cli.texts import load_documents, load_json

SCALARS: dict[str, Any] = {
    "": None, "~": None, "null": None, "NULL": None, "nULL": "nULL",
    "y": True, "Y": True, "yes": True, "YeS": "YeS", "on": True, "true": True, "TRUE": True, "tRue": "tRue",
    "n": False, "no": False, "NO": False, "Off": False, "false": False,
    "1": 1, "+1": 1, "-1": -1, "-0": 0, "01": 1, "010": 8, "08": 8, "0_7": 7, "0o17": 15, "0o8": "0o8",
    "0x1F": 31, "0x": "0x", "0b101": 5, "-0b11": -3, "0b": "0b", "0x1p4": "0x1p4",
    "1_000": 1000, "1__0": 10, "+1_0": 10, "_1": "_1", "1_0.5": 10.5, "1_e3": 1000,
    "1e3": 1000, "1E+3": 1000, "1.5e-2": 0.015, "e3": "e3", "1e": "1e", "0e0": 0, "1e400": "1e400",
    "1.": 1, "1.0": 1, "1.5": 1.5, ".5": 0.5, "-.5": -0.5, "+.5": 0.5, "1.5.": "1.5.", "0.1.2": "0.1.2",
    "1:30": "1:30", "12:30:45": "12:30:45", "1:30.5": "1:30.5",
    "2026-11-30": "2026-11-30", "2026-11-30 10:00:00": "2026-11-30 10:00:00",
    "9223372036854775807": 2**63 - 1, "18446744073709551615": 2**64 - 1, "100000000000000000000000": 1e23,
    "--1": "--1", "<<": "<<", "=": "=", "+": "+", ".": ".", "..": "..", "1 2": "1 2",
    "Inf": "Inf", "nan": "nan", "NaN": "NaN", "infinity": "infinity", "-inf": "-inf",
    "'1'": "1", '"yes"': "yes", "'<<'": "<<", "!!str 1": "1", '!!int "3"': 3,
}  # fmt: skip
KEYS = {"1": "1", "0x10": "16", "true": "true", "on": "true", "1.5": "1.5", "1e3": "1000", "'1'": "1", "1.0": "1"}
DOCUMENTS = {
    "a: {'<<': {x: 1}}": {"a": {"<<": {"x": 1}}},
    "a: &a 1\nb: &a 2\nc: *a": {"a": 1, "b": 2, "c": 2},
    "a: |\n  1\n": {"a": "1\n"},
    "b: &b {x: 1}\nc: &c {<<: *b, z: 1}\nd: {<<: *c}": {"b": {"x": 1}, "c": {"x": 1, "z": 1}, "d": {"x": 1, "z": 1}},
    "a: {<<: {x: 1}}": {"a": {"x": 1}},
    '{"a": "\\/", "b": 1e3}': {"a": "/", "b": 1000},
}


@pytest.mark.parametrize("text", SCALARS)
def test_a_scalar_has_the_value_that_kubectl_reads(text: str) -> None:
    (found,) = load_documents(f"a: {text}\n", "x.yaml")
    assert (found["a"], type(found["a"]) is bool) == (SCALARS[text], isinstance(SCALARS[text], bool))


@pytest.mark.parametrize("text", KEYS)
def test_a_key_is_a_text(text: str) -> None:
    assert load_documents(f"? {text}\n: v\n", "x.yaml") == [{KEYS[text]: "v"}]


@pytest.mark.parametrize("text", DOCUMENTS)
def test_a_document_has_the_value_that_kubectl_reads(text: str) -> None:
    assert load_documents(text, "x.yaml") == [DOCUMENTS[text]]


def test_what_stands_beside_a_merge_wins_and_so_does_the_first_of_several() -> None:
    text = "b: &b {x: 1, z: 1}\nc: &c {x: 2, w: 2}\na: {<<: [*b, *c], z: 3}\n"
    assert load_documents(text, "x.yaml")[0]["a"] == {"x": 1, "z": 3, "w": 2}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("~: v", "a key must be a string"),
        ("? [a]\n: v", "a key must be a string"),
        ("? {a: b}\n: v", "a key must be a string"),
        ("a: &x {b: c}\n? *x\n: v", "line 2: a key must be a string"),
        ("a: {<<: 1}", "<< needs a map or a list of maps"),
        ("a: *b", "the alias *b has no anchor before it"),
        ("a: &a [*a]", "the alias *a has no anchor before it"),
        ("a: &b 1\n---\nc: *b", "the alias *b has no anchor before it"),
        ("a: 1\na: 2", "line 2: a is given twice"),
        ("1: a\n'1': b", "line 2: 1 is given twice"),
        ("a: 'x", "found unexpected end of stream"),
        ("\ta: 1", "found character that cannot start any token"),
        ("a: !!python/object:os.system {}", "the tag tag:yaml.org,2002:python/object:os.system is not supported"),
        ("a: !!timestamp x", "is not supported"),
        ('{"a": 1, "a": 2}', "a is given twice"),
        ("{a: 1, b", "not YAML"),
    ],
)
def test_what_kubectl_refuses_is_one_sentence_with_its_line(text: str, says: str) -> None:
    with pytest.raises(Unreadable) as caught:
        load_documents(text, "x.yaml")
    assert says in str(caught.value)
    assert str(caught.value).startswith("x.yaml: line ")


def test_json_is_read_as_json() -> None:
    assert load_json(json.dumps(DOCUMENTS), "x.json") == DOCUMENTS
    with pytest.raises(Unreadable, match=r"x.json: not JSON: a is given twice"):
        load_json('{"b": {"a": 1, "a": 2}}', "x.json")
    with pytest.raises(Unreadable, match=r"x.json is not JSON"):
        load_json("{", "x.json")
