"""One tiny model, fetched into a store, for all tests on the GPU."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPOSITORY / name) for name in ("crds", "builder-image", "tests/support", "tests/gpu")]

import tiny_model  # noqa: E402 - it lies there

from trtllm_api.contract import FetchRequest, FetchResult  # noqa: E402
from trtllm_api.source import Source, VolumeSource  # noqa: E402
from trtllm_builder.fetch import run_fetch  # noqa: E402
from trtllm_builder.progress import Progress  # noqa: E402
from trtllm_builder.store import Store  # noqa: E402


@dataclass(frozen=True)
class Shop:
    """A store with a source."""

    store: Store
    source: Path
    fetched: FetchResult


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    root = tmp_path_factory.mktemp("shop")
    tiny_model.make(root / "tiny")
    (root / "store").mkdir()
    store = Store(root / "store")
    source = Source(persistent_volume_claim=VolumeSource(claim_name="models", path="tiny"))
    fetched = run_fetch(FetchRequest(source=source), store, Progress(), "sha256:" + "1" * 64, root)
    return Shop(store, root / "tiny", fetched)
