"""One tiny model for all tests of the quantize stage, and the artifacts that were made of it so far."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trtllm_builder.failure import BuilderFailure

_SUPPORT = str(Path(__file__).resolve().parents[3] / "support")
if _SUPPORT not in sys.path:
    sys.path.append(_SUPPORT)

import roundtrip  # noqa: E402
import tiny_model  # noqa: E402

Make = Callable[..., roundtrip.Exported]


def failure_of(call: Callable[[], object]) -> BuilderFailure:
    """The failure that the call raises."""
    with pytest.raises(BuilderFailure) as caught:
        call()
    return caught.value


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tiny") / "source"
    directory.mkdir()
    tiny_model.make(directory)
    return directory


@pytest.fixture(scope="session")
def shop(source: Path) -> roundtrip.Workshop:
    return roundtrip.workshop(source, "cpu")


@pytest.fixture(scope="session")
def made(shop: roundtrip.Workshop, tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Artifacts by name of PLANS; made when first asked for, and not to be changed."""
    root = tmp_path_factory.mktemp("artifacts")
    known: dict[str, roundtrip.Exported] = {}

    def make(name: str) -> roundtrip.Exported:
        if name not in known:
            plan = roundtrip.NVFP4 if name == "NVFP4" else roundtrip.PLANS[name]
            known[name] = shop.export(plan, root / name, simulate=name != "NVFP4")
        return known[name]

    return make


@pytest.fixture
def copied(made: Make, tmp_path: Path) -> Callable[[str], Path]:
    """An artifact of its own, to be damaged."""

    def copy(name: str) -> Path:
        return Path(shutil.copytree(made(name).directory, tmp_path / name))

    return copy
