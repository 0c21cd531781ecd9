"""The README's story with the real model: INT4 is asked for, measured, refused; INT8 is measured, served, right."""

from __future__ import annotations

import json
from pathlib import Path

from test_serving import ask
from world import NAMESPACE, World

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
    answer = json.loads(ask(world.client, "smollm2-serve", "/v1/chat/completions", body))
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
