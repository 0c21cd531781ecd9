"""Documents are refused and taken as an API server does it: by the tables of the tests on a real one."""

from __future__ import annotations

import re
from typing import Any

import pytest
import test_engine_build_schema as engine_build
import test_quantized_model_schema as quantized_model
from cli_runs import engine, quantized, written
from schema_cases import Acceptance, Rejection, as_printed

from trtllm_api import enginebuild as eb
from trtllm_api import quantizedmodel as qm
from trtllm_api.crd import definitions
from trtllm_cli.cel import holds
from trtllm_cli.documents import Document, document_of, read_documents

TABLES = ((eb.KIND, engine_build), (qm.KIND, quantized_model))


def _read(kind: str, case: Acceptance | Rejection) -> Document:
    base = engine() if kind == eb.KIND else quantized()
    found = document_of({**base, "metadata": {"name": case.object_name}, "spec": case.spec}, "here")
    assert found is not None
    return found


@pytest.mark.parametrize(("kind", "cases"), TABLES)
def test_what_the_api_server_refuses_is_refused_at_the_same_place(kind: str, cases: Any) -> None:
    assert len(cases.REJECTIONS) > 300
    for case in cases.REJECTIONS:
        document = _read(kind, case)
        assert document.spec is None, case.id
        expected = case.field if case.field != "<nil>" else as_printed(case.path) or "metadata.name"
        assert expected in {verdict.numbers["path"] for verdict in document.mistakes}, case.id


@pytest.mark.parametrize(("kind", "cases"), TABLES)
def test_what_the_api_server_takes_is_taken(kind: str, cases: Any) -> None:
    for case in cases.ACCEPTANCES:
        assert _read(kind, case).mistakes == (), case.id


def test_every_mistake_is_told_at_once_with_its_path() -> None:
    document = engine(runtim="x", limits={"maxBatchSize": 0}, serving={"kvCacheFraction": 0.9, "replicas": "2"})
    (found,) = read_documents([written(document)])
    said = {verdict.message: verdict.remedy for verdict in found.mistakes}
    assert said == {
        "spec.runtim: unknown field": "did you mean runtime?",
        "spec.limits.maxBatchSize: 0 is less than 1": "",
        "spec.serving.kvCacheFraction: must be a string": 'put it in quotes: "0.9"',
        'spec.serving.replicas: must be an integer, not "2"': "",
    }


def test_a_word_that_is_nearly_right_is_corrected() -> None:
    (found,) = read_documents([written(quantized(method="int4_awq"))])
    assert found.mistakes[0].message.startswith('spec.quantization.method: "int4_awq" is not one of FP8')
    assert found.mistakes[0].remedy == "did you mean INT4AWQ?"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"apiVersion": "trtllm.dev/v2"}, "apiVersion: trtllm.dev/v2 is not supported"),
        ({"kind": "EngineBuilt"}, "kind: trtllm.dev has no kind EngineBuilt"),
        ({"metadata": {}}, "metadata.name: the field is required"),
        ({"metadata": {"name": "a" * 41}}, "metadata.name: 41 characters, at most 40 are allowed"),
        ({"metadata": {"name": 12}}, "metadata.name: must be a string"),
        ({"metadata": {"name": "Llama_3"}}, 'metadata.name: "Llama_3" is not a valid Kubernetes name'),
        (
            {"metadata": {"name": "a", "namespace": "a.b"}},
            'metadata.namespace: "a.b" is not a valid Kubernetes name',
        ),
        ({"specs": {}}, "specs: unknown field"),
    ],
)
def test_mistakes_around_the_spec_are_told(changes: dict[str, Any], says: str) -> None:
    (found,) = read_documents([written({**engine(), **changes})])
    assert says in {verdict.message for verdict in found.mistakes}


def test_lists_and_other_kinds_are_understood() -> None:
    items = {"apiVersion": "v1", "kind": "List", "items": [engine("a"), quantized("b")]}
    found = read_documents([written({"apiVersion": "v1", "kind": "Secret"}, items)])
    assert [str(document.key) for document in found] == ["EngineBuild a", "QuantizedModel b"]
    assert found[1].where == "engine.yaml, document 2, item 2"


def _rules(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [item["rule"] for item in node.get("x-kubernetes-validations", ())]
        return own + [rule for value in node.values() for rule in _rules(value)]
    return [rule for item in node for rule in _rules(item)] if isinstance(node, list) else []


COMPUTED = {
    "self.a == 1 && self.b == 'x'": True,
    "self.a + 2 - 1 < 2": False,
    "(has(self.a) ? 1 : 0) + (has(self.c) ? 1 : 0) == 1": True,
    "self.b in ['x', 'y'] && !(self.a > 1)": True,
    "self.b.matches('^[a-z]$') && size(self.b) == 1": True,
    "double(self.p.replace('%', '')) <= 10.5": False,
    "double(self.p.replace('%', '')) <= 11.0": True,
    "true != false": True,
    "self.c == 1 || self.a == 1": True,  # an error beside what is true counts for nothing, on either side
    "self.a == 1 || self.c == 1": True,
    "self.c == 1": False,
    "has(self.d.e)": False,
    "self.a == 'x' || self.a + 'x' == 'x'": False,
    "double(self.b) > 1.0": False,
    "1 / 0 == 1": False,
}


@pytest.mark.parametrize("rule", COMPUTED)
def test_a_rule_is_computed_as_an_api_server_does_it(rule: str) -> None:
    assert holds(rule, {"a": 1, "b": "x", "p": "11%"}) is COMPUTED[rule]


def test_every_rule_of_both_kinds_compiles_and_calls_functions_that_are_tried_here() -> None:
    rules = [rule for definition in definitions() for rule in _rules(definition)]
    assert len(rules) > 30
    called = {name for rule in rules for name in re.findall(r"(\w+)\(", rule)}
    assert called <= {name for rule in COMPUTED for name in re.findall(r"(\w+)\(", rule)}
    for rule in rules:
        assert isinstance(holds(rule, {}), bool)


@pytest.mark.parametrize("rule", ["self.a ==", "self.a = 1", "(1", "1 2", "self."])
def test_what_is_not_cel_is_an_error(rule: str) -> None:
    with pytest.raises(ValueError, match="Failed to parse"):
        holds(rule, {"a": 1})
