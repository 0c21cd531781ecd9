"""The README's story with the real model: INT4 is asked for, measured, refused; INT8 is measured, served, right."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from support.cluster_world import NAMESPACE, World, eventually

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "smollm2" / "engine.yaml"


def test_the_quality_gate_refuses_int4_and_int8_answers_paris(world: World, smollm2: Path) -> None:
    world.client.kubectl("apply", "-n", NAMESPACE, "-f", str(EXAMPLE))
    world.wait_for("eb", "smollm2", "Ready", 600)
    model = world.get("qm", "smollm2")
    candidates = {found["method"]: found for found in model["status"]["quality"]["candidates"]}
    assert candidates["INT4WeightOnly"]["verdict"] == "Refused"
    assert candidates["INT4WeightOnly"]["groupSize"] == 64
    assert candidates["INT8WeightOnly"]["verdict"] == "Passed"
    assert any("128 does not divide 576" in why for why in model["status"]["plan"]["why"])
    columns = world.client.kubectl("get", "qm,eb", "-n", NAMESPACE)
    assert "PassedByFallback" in columns
    told = world.client.kubectl("describe", "qm/smollm2", "-n", NAMESPACE)
    assert "refused" in told
    assert candidates["INT4WeightOnly"]["measures"]["perplexity"] in told
    question = {"role": "user", "content": "What is the capital of France?"}
    body = {"model": "smollm2", "messages": [question], "temperature": 0, "max_tokens": 16}
    answer = json.loads(world.ask("smollm2-serve", "/v1/chat/completions", body))
    assert "Paris" in answer["choices"][0]["message"]["content"]
    page = world.client.kubectl(
        "exec",
        "-n",
        NAMESPACE,
        "deployment/smollm2-serve",
        "--",
        "cat",
        f"/store/{model['status']['artifact']['report']}",
    )
    assert "INT4WeightOnly" in page
    assert "https://" not in page


def test_settled_resources_are_not_written_again_by_a_restarted_operator(world: World, undisturbed: None) -> None:
    """All that the story made: other tests are at work in the namespace."""

    def versions() -> dict[str, str]:
        found = world.client.get("qm,eb,jobs,deployments,services,configmaps", "-n", NAMESPACE)["items"]
        ours = [item["metadata"] | {"kind": item["kind"]} for item in found if belongs(item["metadata"])]
        return {f"{meta['kind']}/{meta['name']}": meta["resourceVersion"] for meta in ours}

    def belongs(meta: dict[str, Any]) -> bool:
        return "smollm2" in {meta["name"], meta.get("labels", {}).get("trtllm.dev/resource")}

    def settled() -> bool:
        first = versions()
        time.sleep(3)
        return versions() == first

    eventually(settled, "a settled story", 60)
    before = versions()
    kinds = {name.partition("/")[0] for name in before}
    assert kinds >= {"QuantizedModel", "EngineBuild", "Job", "Deployment", "Service", "ConfigMap"}
    world.kill_operator()
    world.client.kubectl("rollout", "status", "deployment/trtllm-operator", "-n", "trtllm-system", "--timeout=60s")
    time.sleep(5)
    assert versions() == before
