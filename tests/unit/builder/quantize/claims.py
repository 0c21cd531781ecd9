"""A volume with a fetched model, and the quantize Jobs of its users; tests of the whole stage work on one."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from trtllm_api.base import Device
from trtllm_api.contract import (
    BuildRequest,
    BuildResult,
    CalibrationRequest,
    FetchRequest,
    GateRequest,
    QuantizeRequest,
    Stage,
)
from trtllm_api.digest import digest_of
from trtllm_api.modelstatus import CandidatePlan
from trtllm_api.quality import OnFailure
from trtllm_api.quantization import Method
from trtllm_api.quantizedmodel import Checkpoint
from trtllm_api.source import Source, VolumeSource
from trtllm_builder.__main__ import main

_INT8 = CandidatePlan(method=Method.INT8_WEIGHT_ONLY)


@dataclass(frozen=True)
class Claim:
    """A volume and the source on it, as the Jobs of one QuantizedModel see them."""

    root: Path
    request: QuantizeRequest

    def quantize(self, checkpoint: Checkpoint, *plans: CandidatePlan, name: str = "small") -> BuildResult:
        """The result of a quantize Job; of INT8WeightOnly where no plan is given."""
        request = self.request.model_copy(update={"checkpoint": checkpoint, "candidates": plans or (_INT8,)})
        digest = digest_of({"name": name, "request": request.to_wire()})
        return job(
            self.root,
            BuildRequest(stage=Stage.QUANTIZE, namespace="ml", name=name, request_digest=digest, quantize=request),
        )

    def gated(self, **limits: object) -> Claim:
        """The same claim, with other limits of the gate."""
        gate = self.request.gate.model_copy(update=limits)
        return replace(self, request=self.request.model_copy(update={"gate": gate}))

    def directory(self, result: BuildResult) -> Path:
        """Of the artifact."""
        assert result.quantize is not None, result.message
        assert result.quantize.artifact is not None, result.message
        return self.root / "store" / result.quantize.artifact.path


def job(root: Path, request: BuildRequest) -> BuildResult:
    """What the builder's container leaves."""
    (root / "request.json").write_text(json.dumps(request.to_wire()))
    code = main(
        [
            "run",
            *("--request", str(root / "request.json")),
            *("--store", str(root / "store")),
            *("--source", str(root / "source")),
            *("--termination-log", str(root / "termination")),
        ]
    )
    result = BuildResult.model_validate_json((root / "termination").read_bytes())
    assert result.exit_code == code
    return result


def open_claim(model: Path, tmp_path: Path) -> Claim:
    """With the model fetched, and a gate that every method passes."""
    (tmp_path / "store").mkdir()
    (tmp_path / "source").symlink_to(model.parent)
    source = Source(persistent_volume_claim=VolumeSource(claim_name="models", path=model.name))
    asked = BuildRequest(
        stage=Stage.FETCH,
        namespace="ml",
        name="small",
        request_digest=digest_of({"fetch": "small"}),
        fetch=FetchRequest(source=source),
    )
    fetched = job(tmp_path, asked).fetch
    assert fetched is not None
    request = QuantizeRequest(
        source_digest=fetched.digest,
        source_path=str(tmp_path / "source" / model.name),
        source_manifest=str(tmp_path / "store" / fetched.manifest_path),
        candidates=(),
        calibration=CalibrationRequest(samples=4, sequence_length=64, batch_size=2),
        gate=GateRequest(
            max_perplexity_increase="10%",
            max_kl_divergence="0.2",
            min_top_token_agreement="80%",
            tokens=512,
            sequence_length=128,
            on_failure=OnFailure.FAIL,
        ),
        device=Device.CPU,
    )
    return Claim(tmp_path, request)
