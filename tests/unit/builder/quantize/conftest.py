"""One tiny model for all tests of the quantize stage, and the artifacts that were made of it so far."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from support import roundtrip, tiny_model
from trtllm_api.quantizedmodel import Checkpoint, CheckpointFormat
from trtllm_builder.failure import BuilderFailure

Make = Callable[..., roundtrip.Exported]


def failure_of(call: Callable[[], object]) -> BuilderFailure:
    """The failure that the call raises."""
    with pytest.raises(BuilderFailure) as caught:
        call()
    return caught.value


def ranked(tensor: int = 1, pipeline: int = 1) -> Checkpoint:
    """A TensorRT-LLM checkpoint of that many ranks and stages."""
    return Checkpoint(format=CheckpointFormat.TENSORRT_LLM, tensor=tensor, pipeline=pipeline)


def assert_same_tensors(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    """Bit by bit."""
    assert set(one) == set(other)
    for name, tensor in one.items():
        assert (tensor.dtype, tensor.shape) == (other[name].dtype, other[name].shape), name
        assert torch.equal(*(item.contiguous().view(torch.uint8) for item in (tensor, other[name]))), name


@pytest.fixture(scope="session", autouse=True)
def _libraries() -> Iterator[None]:
    """Loaded first and left out of collections: candidate.py asks for several, and each would go through them all."""
    import modelopt.torch.export
    import modelopt.torch.quantization  # noqa: F401

    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tiny") / "source"
    directory.mkdir()
    tiny_model.make(directory)
    return directory


@pytest.fixture(scope="session")
def wide_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight heads that share two keys and values, four layers, a prime number of tokens."""
    directory = tmp_path_factory.mktemp("models") / "wide"
    directory.mkdir()
    tiny_model.make(directory, heads=8, key_value_heads=2, layers=4, vocabulary=1021)
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
