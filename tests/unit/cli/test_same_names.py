"""Resources of one name in two namespaces or of two kinds are never taken for each other by `trtllm plan`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_runs import H100S, Ran, engine, quantized, written
from public_models import facts

Run = Callable[..., Ran]
Model = Callable[..., str]
BAD: dict[str, Any] = {"quantization": {"method": "INT4WeightOnly", "groupSize": 48}}
"""Refused for every Llama: 48 divides no layer of it."""
SERVED: dict[str, Any] = {"modelRef": {"name": "llama"}, "runtime": "PyTorch", "serving": {}}


def _documents(ran: Ran) -> list[tuple[str, str | None, str, str]]:
    found = json.loads(ran.out)["documents"]
    return [(item["kind"], item.get("namespace"), item["name"], item["result"]) for item in found]


@pytest.mark.parametrize("refused_first", [True, False])
def test_one_name_in_two_namespaces_has_two_answers(run: Run, model: Model, *, refused_first: bool) -> None:
    documents = [quantized("llama", namespace="staging", **BAD), quantized("llama", "FP8", namespace="prod")]
    file = written(*(documents if refused_first else reversed(documents)))
    arguments = ("plan", "-f", file, "--model", model("Llama-3-70B"))
    ran = run(*arguments, "-o", "json")
    assert ran.code == 1
    assert set(_documents(ran)) == {
        ("QuantizedModel", "staging", "llama", "Refused"),
        ("QuantizedModel", "prod", "llama", "Accepted"),
    }
    text = run(*arguments).out
    assert "QuantizedModel staging/llama (engine.yaml, document " in text
    assert "QuantizedModel prod/llama (engine.yaml, document " in text


def test_one_name_of_two_kinds_has_two_answers(run: Run, model: Model) -> None:
    file = written(quantized("llama", **BAD), engine("llama"))
    ran = run("plan", "-f", file, "--model", model("Llama-3-70B"), "--gpus", H100S, "-o", "json")
    assert ran.code == 1
    assert _documents(ran) == [
        ("QuantizedModel", None, "llama", "Refused"),
        ("EngineBuild", None, "llama", "Accepted"),
    ]


def test_a_model_ref_is_the_model_of_its_own_namespace(run: Run, model: Model) -> None:
    file = written(
        quantized("llama", namespace="staging", **BAD),
        quantized("llama", "FP8", namespace="prod"),
        engine("chat", namespace="staging", **SERVED),
        engine("chat", namespace="prod", **SERVED),
    )
    arguments = ("plan", "-f", file, "--model", model("Llama-3-70B"), "--gpus", H100S)
    ran = run(*arguments, "-o", "json")
    assert [result for *_, result in _documents(ran)] == ["Refused", "Accepted", "Refused", "Accepted"]
    assert "QuantizedModel staging/llama is refused (GroupSizeNotDivisible)" in run(*arguments).out


def test_a_model_of_another_namespace_is_no_answer_to_a_model_ref(run: Run, model: Model) -> None:
    file = written(quantized("llama", namespace="prod"), engine("chat", namespace="staging", **SERVED))
    ran = run("plan", "-f", file, "--model", model("Llama-3-70B"), "--gpus", H100S)
    assert ran.code == 2
    assert "EngineBuild staging/chat refers to QuantizedModel staging/llama, which is not in the files" in ran.err
    assert "QuantizedModel prod/llama is in another namespace" in ran.err


def test_the_cluster_is_asked_in_the_documents_namespace(run: Run, cluster: Callable[..., None]) -> None:
    digest = "sha256:" + "a" * 64
    artifact = {"requestDigest": digest, "digest": digest, "claimName": "s", "path": "a", "bytes": 1, "method": "FP8"}
    cluster("quantizedmodels/llama", {"status": {"modelFacts": facts("Llama-3-8B").to_wire(), "artifact": artifact}})
    file = written(engine("chat", namespace="prod", **SERVED))
    assert run("plan", "-f", file, "--gpus", H100S, "--cluster", "-n", "other").code == 0
    (call,) = Path("answers/calls").read_text().splitlines()
    assert "--namespace=prod" in json.loads(call)


def test_a_document_without_a_namespace_belongs_to_that_of_the_command(run: Run, model: Model) -> None:
    file = written(quantized("llama", namespace="prod"), engine("chat", **SERVED))
    arguments = ("plan", "-f", file, "--model", model("Llama-3-70B"), "--gpus", H100S, "-o", "json")
    assert run(*arguments).code == 2
    ran = run(*arguments, "-n", "prod")
    assert ran.code == 0
    assert _documents(ran)[1] == ("EngineBuild", "prod", "chat", "Accepted")


@pytest.mark.parametrize("document", [quantized("llama", namespace="prod"), engine("llama", namespace="prod")])
def test_the_same_resource_given_twice_is_one_sentence(run: Run, document: dict[str, Any]) -> None:
    ran = run("plan", "-f", written(document, quantized("x")), "-f", written(document, name="again.yaml"))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"error: {document['kind']} prod/llama is given twice: engine.yaml, document 1, and again.yaml, document 1. "
        "Remove one of them.\n"
    )


def test_a_namespace_that_the_command_gives_makes_duplicates_too(run: Run) -> None:
    file = written(quantized("llama"), quantized("llama", namespace="prod"))
    ran = run("plan", "-f", file, "-n", "prod")
    assert (ran.code, "QuantizedModel prod/llama is given twice" in ran.err) == (2, True)


def test_two_documents_without_a_name_are_two_mistakes(run: Run) -> None:
    ran = run("plan", "-f", written(quantized(""), quantized("")), "-o", "json")
    assert ran.code == 1
    assert len(_documents(ran)) == 2


@pytest.mark.parametrize("selector", ["qm/llama", "quantizedmodel/llama", "qm/prod/llama"])
def test_a_model_is_named_by_kind_and_namespace(run: Run, model: Model, selector: str) -> None:
    file = written(quantized("llama", namespace="prod"), engine("llama", namespace="prod"))
    small, large = model("Qwen2.5-0.5B"), model("Llama-3-70B")
    ran = run("plan", "-f", file, "--model", large, "--model", f"{selector}={small}", "--gpus", H100S, "-o", "json")
    parameters = [item["model"]["parameters"] for item in json.loads(ran.out)["documents"]]
    assert parameters[0] < 10**9 < parameters[1]


def test_a_model_is_named_by_its_namespace(run: Run, model: Model) -> None:
    file = written(quantized("llama", namespace="staging"), quantized("llama", namespace="prod"))
    small, large = model("Qwen2.5-0.5B"), model("Llama-3-70B")
    ran = run("plan", "-f", file, "--model", f"staging/llama={small}", "--model", f"prod/llama={large}", "-o", "json")
    parameters = [item["model"]["parameters"] for item in json.loads(ran.out)["documents"]]
    assert parameters[0] < 10**9 < parameters[1]


@pytest.mark.parametrize(
    "documents",
    [
        (quantized("llama", namespace="staging"), quantized("llama", namespace="prod")),
        (quantized("llama"), engine("llama")),
    ],
)
def test_a_name_of_two_documents_names_no_model(run: Run, model: Model, documents: tuple[Any, ...]) -> None:
    ran = run("plan", "-f", written(*documents), "--model", f"llama={model('Llama-3-8B')}")
    assert ran.code == 2
    assert "--model llama: 2 documents have this name" in ran.err
    assert ran.err.count("\n") == 1


def test_a_model_for_no_document_is_one_sentence(run: Run, model: Model) -> None:
    ran = run("plan", "-f", written(quantized("llama")), "--model", f"lama={model('Llama-3-8B')}")
    assert ran.code == 2
    assert "no document has this name and a source (documents with one: QuantizedModel llama)" in ran.err


def test_a_path_with_an_equals_sign_is_a_path(run: Run, model: Model) -> None:
    Path("a=b.json").write_text((Path(model("Llama-3-8B")) / "config.json").read_text())
    assert run("plan", "-f", written(quantized("llama")), "--model", "a=b.json").code == 0
