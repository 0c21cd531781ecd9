"""One tiny model, fetched into a store, for all tests on the GPU."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [
    str(REPOSITORY / name) for name in ("crds", "diagnosis", "planner", "builder-image", "tests", "tests/gpu")
]

from support import tiny_model  # noqa: E402 - it lies there
from trtllm_api.base import Device  # noqa: E402
from trtllm_api.contract import (  # noqa: E402
    CalibrationRequest,
    FetchRequest,
    FetchResult,
    GateRequest,
    QuantizeRequest,
    QuantizeResult,
)
from trtllm_api.modelstatus import CandidatePlan  # noqa: E402
from trtllm_api.quality import OnFailure  # noqa: E402
from trtllm_api.quantizedmodel import Checkpoint  # noqa: E402
from trtllm_api.source import Source, VolumeSource  # noqa: E402
from trtllm_builder.fetch import run_fetch  # noqa: E402
from trtllm_builder.progress import Progress  # noqa: E402
from trtllm_builder.quantize import run_quantize  # noqa: E402
from trtllm_builder.store import Store  # noqa: E402


@dataclass(frozen=True)
class Shop:
    """A store with a source, and what a Job does with it."""

    store: Store
    source: Path
    fetched: FetchResult

    def quantize(self, *candidates: CandidatePlan, checkpoint: Checkpoint | None = None, **gate: Any) -> QuantizeResult:
        """Through a gate of 5 % of perplexity, a KL divergence of 0.05 and 90 % of the top tokens, or of `gate`."""
        wanted: dict[str, Any] = {
            "max_perplexity_increase": "5%",
            "max_kl_divergence": "0.05",
            "min_top_token_agreement": "90%",
            "on_failure": OnFailure.FAIL,
        }
        request = QuantizeRequest(
            source_digest=self.fetched.digest,
            source_path=str(self.source),
            source_manifest=str(self.store.root / self.fetched.manifest_path),
            candidates=candidates,
            checkpoint=checkpoint or Checkpoint(),
            calibration=CalibrationRequest(samples=8, sequence_length=128, batch_size=2),
            gate=GateRequest(**{**wanted, **gate}, tokens=4096, sequence_length=512),
            device=Device.GPU,
        )
        digest = "sha256:" + hashlib.sha256(request.model_dump_json().encode()).hexdigest()
        return run_quantize(request, self.store, Progress(), digest, "gpu")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    root = tmp_path_factory.mktemp("shop")
    tiny_model.make(root / "tiny")
    (root / "store").mkdir()
    store = Store(root / "store")
    source = Source(persistent_volume_claim=VolumeSource(claim_name="models", path="tiny"))
    fetched = run_fetch(FetchRequest(source=source), store, Progress(), "sha256:" + "1" * 64, root)
    return Shop(store, root / "tiny", fetched)
