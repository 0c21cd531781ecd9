"""The quality gate and what precedes it: refusals carry their numbers, and what was measured stays in status."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.cluster_world import MODELS, NAMESPACE, TEXTS, World

STRICT = {"maxPerplexityIncrease": "0.001%", "maxKLDivergence": "0.00000001", "evaluation": {"tokens": 1024}}


def quality(**changes: Any) -> dict[str, Any]:
    return {"quality": {**STRICT, "evaluation": {"tokens": 1024, "sequenceLength": 256}, **changes}}


def int4(size: int | None = 64) -> dict[str, Any]:
    return {"quantization": {"method": "INT4WeightOnly", **({"groupSize": size} if size else {})}}


@pytest.fixture(scope="module")
def created(world: World) -> World:
    """All at once: the machine's two processors are shared, the waiting is not."""
    path = {"source": {"persistentVolumeClaim": {"claimName": MODELS, "path": "unknown-architecture"}}}
    world.quantized_model("unknown-architecture", **path)
    empty = world.texts("empty-texts", "\n\n")
    world.quantized_model("empty-texts", quantization={"method": "FP8"}, calibration=empty)
    dataset = {"dataset": {"configMap": {"name": "no-such-texts", "key": "texts.txt"}}}
    world.quantized_model("no-texts", quantization={"method": "FP8"}, calibration=dataset)
    lines = (TEXTS / "calibration").glob("*.txt")
    texts = "\n".join(path.read_text() for path in sorted(lines))[:200_000]
    world.quantized_model(
        "own-texts",
        quantization={"method": "FP8"},
        calibration={**world.texts("texts", texts), "samples": 8, "sequenceLength": 128, "batchSize": 4},
        quality={
            "evaluation": {
                "dataset": {"persistentVolumeClaim": {"claimName": MODELS, "path": "texts"}},
                "tokens": 1024,
                "sequenceLength": 128,
            }
        },
    )
    world.quantized_model("wrong-group", **int4(48))
    world.quantized_model("gate-fail", **int4(), **quality(onFailure="Fail"))
    world.quantized_model("gate-warn", **int4(), **quality(onFailure="Warn"))
    fallbacks = {"onFailure": "Fallback", "fallbacks": ["INT8WeightOnly"]}
    impossible = {"canaries": [{"prompt": "The licence", "contains": "xyzzy", "maxTokens": 8}]}
    world.quantized_model("gate-fallback", **int4(), **quality(**fallbacks, **impossible))
    return world


def test_an_explicit_group_size_that_does_not_divide_is_refused_with_those_that_do(created: World) -> None:
    reason, message = created.stalled("wrong-group")
    assert reason == "GroupSizeNotDivisible"
    assert "48" in message
    assert "64" in message
    assert not created.pods("wrong-group", "quantize")


def test_an_unknown_architecture_is_refused_before_a_pod_quantizes(created: World) -> None:
    reason, message = created.stalled("unknown-architecture")
    assert reason == "ArchitectureNotSupported"
    assert "TomorrowForCausalLM" in message
    assert not created.pods("unknown-architecture", "quantize")


def test_an_empty_calibration_file_is_told_with_its_count(created: World) -> None:
    reason, message = created.stalled("empty-texts")
    assert reason == "DatasetUnusable"
    assert "empty" in message


def test_calibration_from_a_config_map_and_evaluation_from_a_volume_are_used_as_asked(created: World) -> None:
    status = created.ready("own-texts")
    assert status["artifact"]["method"] == "FP8"
    page = f"/claim/{status['artifact']['report']}"
    report = json.loads(created.on_claim("store-own-texts", "cat", page.replace(".html", ".json")))
    assert "held-out.txt" in json.dumps(report)
    assert "8 x 128" in json.dumps(report)


def test_a_dataset_that_is_not_there_is_waited_for(created: World) -> None:
    created.wait_for("qm", "no-texts", "Reconciling", 60)
    created.client.kubectl(
        "wait", "qm/no-texts", "-n", NAMESPACE, "--for=jsonpath={.status.stage}=Waiting", "--timeout=60s"
    )
    found = created.condition("qm", "no-texts", "Ready")
    assert found["reason"] == "DatasetMissing"
    assert "no-such-texts" in found["message"]


def test_fail_refuses_with_the_numbers_and_the_limit(created: World) -> None:
    reason, message = created.stalled("gate-fail", 240)
    assert reason == "QualityRefused"
    assert "(at most 0.00000001)" in message
    status = created.get("qm", "gate-fail")["status"]
    assert [candidate["verdict"] for candidate in status["quality"]["candidates"]] == ["Refused"]
    assert "artifact" not in status


def test_warn_ships_and_says_that_it_should_not_have_passed(created: World) -> None:
    status = created.ready("gate-warn")
    assert [candidate["verdict"] for candidate in status["quality"]["candidates"]] == ["Warned"]
    assert status["artifact"]["method"] == "INT4WeightOnly"
    found = created.condition("qm", "gate-warn", "QualityPassed")
    assert (found["status"], found["reason"]) == ("False", "Warned")


def test_a_ladder_that_refuses_everything_tells_each_candidate_and_that_the_canary_is_wrong(created: World) -> None:
    reason, message = created.stalled("gate-fallback", 300)
    assert reason == "QualityRefused"
    status = created.get("qm", "gate-fallback")["status"]
    tried = [(candidate["method"], candidate["verdict"]) for candidate in status["quality"]["candidates"]]
    assert tried == [("INT4WeightOnly", "Refused"), ("INT8WeightOnly", "Refused")]
    assert "xyzzy" in " ".join(candidate["message"] for candidate in status["quality"]["candidates"])
    assert "INT4WeightOnly" in message
    assert "INT8WeightOnly" in message


def test_a_refused_method_is_explained_and_its_mix_with_full_precision_ships(created: World) -> None:
    """The limit lies between INT4 and the source: no method alone, but some of INT4's modules in full precision."""
    created.wait_for("qm", "gate-fail", "Stalled", 240)
    [int4_alone] = created.get("qm", "gate-fail")["status"]["quality"]["candidates"]
    limit = f"{float(int4_alone['measures']['klDivergence']) * 0.7:.8f}"
    loose = {"maxPerplexityIncrease": "50%", "maxKLDivergence": limit, "minTopTokenAgreement": "10%"}
    mixed = {"onFailure": "Fallback", "fallbacks": ["Mixed"]}
    created.quantized_model("gate-mixed", **int4(), **quality(**loose, **mixed))
    status = created.ready("gate-mixed", 300)
    refused, passed = status["quality"]["candidates"]
    assert (refused["verdict"], passed["verdict"]) == ("Refused", "Passed")
    assert "layers." in refused["explanation"]
    assert refused["proposal"]["excludeModules"] == passed["excludeModules"] == status["artifact"]["excludeModules"]
    assert float(passed["measures"]["klDivergence"]) <= float(limit)
    path = f"/claim/{status['artifact']['path']}/hf_quant_config.json"
    kept = json.loads(created.on_claim("store-gate-mixed", "cat", path))["quantization"]["exclude_modules"]
    assert len(kept) > 1, "more than the head"
    assert status["artifact"]["bytes"] < refused["proposal"]["bytes"] * 1.1
    created.serve("gate-mixed", "gate-mixed")
    created.wait_for("eb", "gate-mixed", "Ready", 120)
    created.delete("eb", "gate-mixed")
