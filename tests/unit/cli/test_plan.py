"""`trtllm plan`: what it says of public models, and its exit codes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from cli_runs import H100S, Ran, assert_golden, engine, quantized, written
from public_models import H100, facts

from trtllm_api.enginebuild import EngineBuildSpec
from trtllm_planner.decide import Decision, decide
from trtllm_planner.inventory import GpuNode, Inventory
from trtllm_planner.spec_question import engine_question

Run = Callable[..., Ran]
Model = Callable[..., str]
Answer = Callable[..., None]

NODE = {
    "kind": "Node",
    "metadata": {
        "name": "gpu-0",
        "labels": {
            "nvidia.com/gpu.product": "NVIDIA-L4",
            "nvidia.com/gpu.memory": "23034",
            "nvidia.com/gpu.count": "4",
            "nvidia.com/gpu.compute.major": "8",
            "nvidia.com/gpu.compute.minor": "9",
        },
    },
    "status": {"allocatable": {"nvidia.com/gpu": "4"}},
}
REFUSED: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "28 heads over 8 GPUs": ("Qwen2-7B", {"parallelism": {"tensor": 8}}, "HeadsNotDivisible", "28 heads do not divide"),
    "40 heads over 16 GPUs": ("Llama-2-13B", {"parallelism": {"tensor": 16}}, "HeadsNotDivisible", "40 heads"),
    "more positions than the model has": (
        "Llama-3-8B",
        {"limits": {"maxSequenceLength": 16384}},
        "LimitsInvalid",
        "16384 exceeds the 8192 positions",
    ),
    "an image of something else": ("Llama-3-8B", {"image": "vllm/vllm-openai:v0.9"}, "ImageMismatch", "vllm"),
    "more GPUs than there are": ("Llama-3-70B", {"parallelism": {"tensor": 8, "pipeline": 4}}, "NoMatchingGpu", "32"),
}
ACCEPTED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a planned layout": ("Llama-3-70B", {}, "2 ranks on 1 node x 2 NVIDIA-H100"),
    "one GPU": ("Llama-3-8B", {}, "1 rank on 1 node x 1"),
    "a layout that is asked for": ("Llama-3-70B", {"parallelism": {"tensor": 8, "pipeline": 2}}, "16 ranks on 2 nodes"),
    "a mixture of experts": ("Mixtral-8x7B", {"runtime": "PyTorch", "serving": {}}, "ranks on 1 node"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_work_is_refused_with_rule_numbers_and_remedy(run: Run, model: Model, case: str) -> None:
    name, spec, rule, says = REFUSED[case]
    file = written(engine(**spec))
    ran = run("plan", "-f", file, "--model", model(name), "--gpus", H100S, "-o", "json")
    assert ran.code == 1, ran
    found = json.loads(ran.out)
    assert found["result"] == "Refused"
    verdict = next(item for item in found["documents"][0]["verdicts"] if item["reason"] == rule)
    assert says in verdict["message"]
    assert verdict["remedy"]
    assert rule in run("plan", "-f", file, "--model", model(name), "--gpus", H100S).out


@pytest.mark.parametrize("case", ACCEPTED)
def test_what_works_is_accepted_with_its_plan(run: Run, model: Model, case: str) -> None:
    name, spec, says = ACCEPTED[case]
    ran = run("plan", "-f", written(engine(**spec)), "--model", model(name), "--gpus", H100S)
    assert (ran.code, ran.err) == (0, "")
    assert "accepted" in ran.out
    assert says in ran.out


@pytest.mark.parametrize("form", ["text", "json", "yaml"])
def test_the_output_is_the_golden_one(run: Run, model: Model, form: str) -> None:
    documents = (
        quantized("llama", "INT4AWQ", quality={"fallbacks": ["FP8"]}),
        engine("llama", modelRef={"name": "llama"}, runtime="PyTorch", serving={}),
        engine("alone", parallelism={"tensor": 8, "pipeline": 2}, serving={}),
        engine("wrong", parallelism={"tensor": 7}),
    )
    ran = run("plan", "-f", written(*documents), "--model", model("Llama-3-70B"), "--gpus", H100S, "-o", form)
    assert ran.code == 1
    assert_golden(f"plan.{form}", ran.out)


def test_json_and_yaml_say_the_same(run: Run, model: Model) -> None:
    arguments = ("plan", "-f", written(engine()), "--model", model("Qwen2-7B"), "--gpus", "1x4xNVIDIA-L4", "-o")
    assert json.loads(run(*arguments, "json").out) == yaml.safe_load(run(*arguments, "yaml").out)


def test_the_plan_is_what_the_operator_decides(run: Run, model: Model) -> None:
    arguments = ("plan", "-f", written(engine()), "--model", model("Llama-3-70B"), "--gpus", H100S, "-o", "json")
    plan = json.loads(run(*arguments).out)["documents"][0]["plan"]
    spec = EngineBuildSpec.model_validate(engine()["spec"])
    nodes = Inventory(tuple(GpuNode(str(index), H100, 8) for index in range(2)))
    decided = decide(engine_question(spec, facts("Llama-3-70B")), None, nodes)
    assert isinstance(decided, Decision)
    wire = decided.status("sha256:" + "0" * 64).to_wire()
    assert {key: plan[key] for key in wire if key != "inputs"} == {key: wire[key] for key in wire if key != "inputs"}
    assert (plan["buildPods"], plan["buildGpusPerPod"]) == (decided.build_pods, decided.build_gpus)


def test_standard_input_is_read(run: Run, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(yaml.safe_dump(engine())))
    ran = run("plan", "-f", "-", "--model", model("Llama-3-8B"), "--gpus", H100S)
    assert ran.code == 0
    assert "standard input, document 1" in ran.out


def test_warnings_fail_with_strict_only(run: Run, model: Model) -> None:
    document = quantized(method="INT4AWQ", device="CPU")
    arguments = ("plan", "-f", written(document), "--model", model("Llama-3-8B"))
    assert "MethodSlow" in run(*arguments).out
    assert run(*arguments).code == 0
    assert run(*arguments, "--strict").code == 1


def test_an_engine_of_a_refused_model_is_refused(run: Run, model: Model) -> None:
    documents = (
        quantized("model", "INT4AWQ", quantization={"method": "INT4AWQ", "groupSize": 1024}),
        engine(modelRef={"name": "model"}, runtime="PyTorch", serving={}),
    )
    ran = run("plan", "-f", written(*documents), "--model", model("Qwen2-7B"), "--gpus", H100S)
    assert ran.code == 1
    assert "QuantizedModel model is refused (GroupSizeNotDivisible)" in ran.out


def test_a_fallback_that_the_gpu_does_not_run_is_a_warning(run: Run, model: Model) -> None:
    documents = (
        quantized("model", "INT4AWQ", quality={"fallbacks": ["FP8"]}),
        engine(modelRef={"name": "model"}, runtime="PyTorch", serving={}),
    )
    ran = run("plan", "-f", written(*documents), "--model", model("Qwen2-7B"), "--gpus", "8xNVIDIA-A100-SXM4-80GB")
    assert ran.code == 0
    assert "If the quality gate steps down to FP8" in " ".join(ran.out.split())


def test_fallback_mixed_is_planned_and_no_engine_is_judged_by_it(run: Run, model: Model) -> None:
    documents = (
        quantized("model", "INT4AWQ", quality={"fallbacks": ["Mixed"]}),
        engine(modelRef={"name": "model"}, runtime="PyTorch", serving={}),
    )
    ran = run("plan", "-f", written(*documents), "--model", model("Qwen2-7B"), "--gpus", H100S)
    assert ran.code == 0
    said = " ".join(ran.out.split())
    assert "2. Mixed the smallest refused candidate that passes with its worst modules in full precision" in said
    assert "steps down to Mixed" not in said


def test_without_a_method_the_gpus_decide_what_is_tried(run: Run, model: Model) -> None:
    document = quantized(quantization={})
    file, directory = written(document), model("Qwen2-7B")
    tried = json.loads(run("plan", "-f", file, "--model", directory, "--gpus", H100S, "-o", "json").out)
    methods = [candidate["method"] for candidate in tried["documents"][0]["plan"]["candidates"]]
    assert "FP8" in methods
    assert "NVFP4" not in methods
    ran = run("plan", "-f", file, "--model", directory)
    assert ran.code == 2
    assert "QuantizedModel model omits spec.quantization.method, whose default depends on the GPUs" in ran.err
    assert f"Add --gpus {H100S} or --cluster, or set spec.quantization.method." in ran.err


def test_a_transformers_server_needs_no_gpu(run: Run, model: Model) -> None:
    server = engine(modelRef={"name": "model"}, runtime="Transformers", serving={})
    del server["spec"]["image"]
    ran = run("plan", "-f", written(quantized(), server), "--model", model("SmolLM2-135M"))
    assert ran.code == 0
    assert "needs no plan" in ran.out


def test_without_gpus_it_says_how_to_name_them(run: Run, model: Model) -> None:
    ran = run("plan", "-f", written(engine()), "--model", model("Llama-3-8B"))
    assert ran.code == 2
    assert "Add --gpus" in ran.err


def test_a_pool_that_an_autoscaler_brings_needs_no_nodes(run: Run, model: Model) -> None:
    document = engine(gpu={"product": "NVIDIA-H200", "perNode": 8})
    ran = run("plan", "-f", written(document), "--model", model("Llama-3-70B"))
    assert ran.code == 0
    assert "NVIDIA-H200" in ran.out


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_an_inventory_file_is_what_kubectl_prints(run: Run, model: Model, form: str) -> None:
    nodes = {"kind": "List", "items": [NODE, {"kind": "Node", "metadata": {"name": "cpu"}}]}
    Path("nodes").write_text(json.dumps(nodes) if form == "json" else yaml.safe_dump(nodes))
    document = engine(limits={"maxBatchSize": 64})
    ran = run("plan", "-f", written(document), "--model", model("Qwen2-7B"), "--inventory", "nodes")
    assert ran.code == 0
    assert "1 node x 1 NVIDIA-L4 (SM89)" in ran.out


def test_the_current_cluster_is_asked_through_kubectl(run: Run, model: Model, cluster: Answer) -> None:
    cluster("nodes", {"kind": "List", "items": [NODE]})
    ran = run("plan", "-f", written(engine()), "--model", model("Qwen2-7B"), "--cluster", "--context", "prod")
    assert ran.code == 0
    assert "NVIDIA-L4" in ran.out
    assert "--context=prod" in Path("answers/calls").read_text()


def test_an_artifact_of_the_cluster_is_planned_on(run: Run, cluster: Answer, model: Model) -> None:
    digest = "sha256:" + "a" * 64
    status: Mapping[str, Any] = {
        "modelFacts": facts("Qwen2-7B").to_wire(),
        "artifact": {
            "requestDigest": digest,
            "digest": digest,
            "claimName": "store",
            "path": "artifacts/a",
            "bytes": 1,
            "method": "FP8",
        },
    }
    cluster("nodes", {"items": [NODE]})
    cluster("quantizedmodels/model", {"metadata": {"name": "model"}, "status": status})
    document = engine(modelRef={"name": "model"}, runtime="PyTorch", serving={})
    ran = run("plan", "-f", written(document), "--cluster")
    assert ran.code == 0, ran
    assert "1 rank on 1 node x 1 NVIDIA-L4" in ran.out
    ran = run("plan", "-f", written(document), "--gpus", H100S)
    assert ran.code == 2
    assert "QuantizedModel model, which is not in the files" in ran.err


def test_every_document_may_have_a_model_of_its_own(run: Run, model: Model) -> None:
    file = written(engine("small"), engine("large"))
    small, large = model("Qwen2.5-0.5B"), model("Llama-3-70B")
    ran = run("plan", "-f", file, "--model", f"small={small}", "--model", f"large={large}/config.json", "--gpus", H100S)
    assert ran.code == 0
    assert "70.6B parameters" in ran.out
    assert "494M parameters" in ran.out


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a: [", "not YAML"),
        ("a: 1\na: 2\n", "a is given twice"),
        ("kind: Pod\napiVersion: v1\n", "no QuantizedModel or EngineBuild"),
        ("- 1\n", "apiVersion or kind is missing"),
        ("", "no QuantizedModel or EngineBuild"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence_and_exit_code_2(run: Run, content: str, says: str) -> None:
    Path("engine.yaml").write_text(content)
    ran = run("plan", "-f", "engine.yaml")
    assert ran.code == 2
    assert says in ran.err
    assert ran.err.count("\n") == 1


def test_a_missing_file_and_missing_arguments_are_exit_code_2(run: Run) -> None:
    assert run("plan", "-f", "nothing.yaml").code == 2
    assert run("plan").code == 2
    assert run().code == 2
    assert run("plan", "-f", "x", "--output", "xml").code == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a JSON object"),
        ('{"architectures": ["LlamaForCausalLM"]}', "does not say hidden_size"),
    ],
)
def test_a_config_that_cannot_be_read_is_one_sentence(run: Run, content: str, says: str) -> None:
    Path("config.json").write_text(content)
    ran = run("plan", "-f", written(quantized()), "--model", "config.json")
    assert ran.code == 2
    assert says in ran.err


def test_a_hub_that_does_not_answer_is_one_sentence(run: Run) -> None:
    ran = run("plan", "-f", written(quantized()))
    assert ran.code == 2
    assert "cannot be reached" in ran.err
    assert "--model" in ran.err
