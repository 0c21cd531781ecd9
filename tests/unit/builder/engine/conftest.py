"""Small fakes of NVIDIA's programs on PATH, and a claim on which the stages of an engine work.

The double in hack/ is the strict one; these fakes only do what a test tells them through the environment.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.artifacts import write_manifest
from trtllm_api.contract import ConvertRequest, EngineResult, ExpectedGpu, ProgressLine, PublishRequest, RanksRequest
from trtllm_builder.engine.convert import run_convert
from trtllm_builder.engine.publish import run_publish
from trtllm_builder.engine.ranks import INDEX_ENV, run_ranks
from trtllm_builder.failure import BuilderFailure
from trtllm_builder.progress import Progress
from trtllm_builder.store import Store

H100 = "NVIDIA H100 80GB HBM3, 9.0, 81559 MiB"
L4 = "NVIDIA L4, 8.9, 23034 MiB"
PRODUCT = "NVIDIA-H100-80GB-HBM3"
REQUEST = "sha256:" + "ab" * 32

_FAKE_NVIDIA_SMI = """#!/bin/sh
[ "$*" = "--query-gpu=name,compute_cap,memory.total --format=csv,noheader" ] || { echo "fake: $*" >&2; exit 2; }
printf '%s' "$FAKE_GPUS"
exit "${FAKE_SMI_EXIT:-0}"
"""

_FAKE_TENSORRT_LLM = """
import os
print("[TensorRT-LLM] TensorRT-LLM version: a banner", end="")
if os.environ.get("FAKE_IMPORT_ERROR"):
    raise ImportError(os.environ["FAKE_IMPORT_ERROR"])
__version__ = os.environ["FAKE_VERSION"]
"""

_FAKE_BUILD = '''
"""tensorrt_llm.commands.build with the documented signatures; FAKE_* variables say what goes wrong."""
import argparse, json, os, pathlib, sys, time
import tensorrt_llm


def parse_arguments():
    parser = argparse.ArgumentParser()
    for name in ("checkpoint_dir", "output_dir", "input_timing_cache", "output_timing_cache"):
        parser.add_argument("--" + name, default="default." + name)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--max_batch_size", type=int, default=2048)
    parser.add_argument("--log_level", default="info")
    return parser


class Mapping:
    def __init__(self, value):
        self.value, self.world_size = value, value["world_size"]


class ModelConfig:
    def __init__(self, value):
        self.mapping = Mapping(value["mapping"])


def build_and_save(rank, gpu_id, ckpt_dir, build_config, output_dir, log_level, model_config, model_cls, **kwargs):
    assert kwargs == {"strip_plan": False} and model_cls is None and log_level == "info"
    calls = pathlib.Path(os.environ["FAKE_CALLS"])
    with calls.open("a") as file:
        file.write(json.dumps({"rank": rank, "gpu": gpu_id, "pid": os.getpid(), "argv": sys.argv}) + "\\n")
    print(f"[TensorRT-LLM][INFO] building rank {rank}", flush=True)
    if os.environ.get("FAKE_NO_ENGINE") == str(rank):
        return True
    out = pathlib.Path(output_dir)
    text = b"engine" * (rank + 1)
    (out / f"rank{rank}.engine").write_bytes(text[:5])
    if os.environ.get("FAKE_HANG") == str(rank):
        time.sleep(60)
    if os.environ.get("FAKE_DIE") == str(rank):
        sys.stdout.flush()
        os._exit(int(os.environ["FAKE_EXIT"]))
    if os.environ.get("FAKE_ERROR_RANK") == str(rank):
        raise RuntimeError(os.environ["FAKE_ERROR"])
    (out / f"rank{rank}.engine").write_bytes(b"" if os.environ.get("FAKE_EMPTY") == str(rank) else text)
    (out / f"rank{rank}_managed_weights.safetensors").write_bytes(b"weights")
    config = {
        "version": os.environ.get("FAKE_CONFIG_VERSION", tensorrt_llm.__version__),
        "pretrained_config": {"mapping": model_config.mapping.value},
        "build_config": {**build_config, "writer": rank},
    }
    (out / "config.json").write_text(json.dumps(config))
    (out / "lora" / "0").mkdir(parents=True)
    (out / "lora" / "0" / "adapter_config.json").write_text("{}")
    return True


def parallel_build(
    model_config, ckpt_dir, build_config, output_dir, workers=1, log_level="info", model_cls=None, **kwargs
):
    raise SystemExit("trtllm-build's own loop over all ranks must not run")


def main():
    args = parse_arguments().parse_args()
    config = json.loads((pathlib.Path(args.checkpoint_dir) / "config.json").read_text())
    pathlib.Path(args.output_dir).mkdir(exist_ok=True)
    timing = pathlib.Path(args.input_timing_cache)
    build_config = {
        "max_batch_size": args.max_batch_size, "max_input_len": 1024, "max_seq_len": 2048, "max_num_tokens": 8192,
        "max_beam_width": 1,
    }
    parallel_build(ModelConfig(config), args.checkpoint_dir, build_config, args.output_dir, args.workers,
                   args.log_level, None, strip_plan=False)
    known = timing.read_text() if timing.exists() else ""
    pathlib.Path(args.output_timing_cache).write_text(known + "timing;")
'''

_FAKE_CONVERT = """
import argparse, json, os, pathlib, struct, sys
parser = argparse.ArgumentParser()
parser.add_argument("--model_dir", "--model-dir")
parser.add_argument("--output_dir", "--output-model-dir")
parser.add_argument("--dtype")
for name in ("tp_size", "pp_size", "cp_size"):
    parser.add_argument("--" + name, type=int, default=1)
args = parser.parse_args()
out = pathlib.Path(args.output_dir)
with pathlib.Path(os.environ["FAKE_CALLS"]).open("a") as file:
    file.write(json.dumps({"convert": sys.argv[1:]}) + "\\n")
assert (pathlib.Path(args.model_dir) / "config.json").exists()
if os.environ.get("FAKE_CONVERT_SAYS"):
    print(os.environ["FAKE_CONVERT_SAYS"], flush=True)
tp, pp, cp = args.tp_size, args.pp_size, args.cp_size
header = json.dumps({"lm_head.weight": {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}}).encode()
for rank in range(int(os.environ.get("FAKE_CONVERT_RANKS", tp * pp))):
    (out / f"rank{rank}.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
if os.environ.get("FAKE_CONVERT_TRUNCATES"):
    (out / "rank0.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
mapping = {"world_size": tp * pp * cp, "tp_size": tp, "pp_size": pp, "cp_size": cp}
if not os.environ.get("FAKE_CONVERT_NO_CONFIG"):
    (out / "config.json").write_text(json.dumps({"architecture": "LlamaForCausalLM", "mapping": mapping}))
sys.exit(int(os.environ.get("FAKE_CONVERT_EXIT", "0")))
"""


def failure_of(call: Callable[[], object]) -> BuilderFailure:
    """The failure that the call raises."""
    with pytest.raises(BuilderFailure) as caught:
        call()
    return caught.value


def write_safetensors(path: Path) -> None:
    """One small tensor."""
    header = json.dumps({"lm_head.weight": {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))


def write_ranks(directory: Path, tensor: int, pipeline: int = 1) -> Path:
    """A TensorRT-LLM checkpoint."""
    directory.mkdir(parents=True, exist_ok=True)
    mapping = {"world_size": tensor * pipeline, "tp_size": tensor, "pp_size": pipeline}
    (directory / "config.json").write_text(json.dumps({"architecture": "LlamaForCausalLM", "mapping": mapping}))
    for rank in range(tensor * pipeline):
        write_safetensors(directory / f"rank{rank}.safetensors")
    return directory


@dataclass
class Claim:
    """A claim, the fakes, and the stages as their pods run them."""

    root: Path
    monkeypatch: pytest.MonkeyPatch
    store: Store = field(init=False)
    log: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        (self.root / "store").mkdir()
        self.store = Store(self.root / "store")

    @property
    def work(self) -> Path:
        """The request's directory."""
        return self.store.work(REQUEST)

    @property
    def engine(self) -> Path:
        """Where the ranks come together."""
        return self.work / "engine"

    def progress(self) -> list[ProgressLine]:
        """What was said of it."""
        values = [json.loads(line) for line in self.log.getvalue().splitlines()]
        return [ProgressLine.model_validate(value["progress"]) for value in values if "progress" in value]

    @property
    def examples(self) -> Path:
        """The image's examples directory."""
        return self.root / "examples"

    def fake(self, **values: str) -> None:
        """What the fakes shall do: FAKE_<NAME> for each."""
        for name, value in values.items():
            self.monkeypatch.setenv(f"FAKE_{name.upper()}", value)

    def heal(self, *names: str) -> None:
        """Let the fakes stop doing that."""
        for name in names:
            self.monkeypatch.delenv(f"FAKE_{name.upper()}")

    def calls(self) -> list[dict[str, Any]]:
        """What the fakes were asked, in order."""
        path = self.root / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def built(self) -> list[int]:
        """Ranks that were begun, in order."""
        return [call["rank"] for call in self.calls() if "rank" in call]

    def convert(self, **changes: Any) -> None:
        """Run the stage Convert."""
        run_convert(self.convert_request(**changes), self.store, Progress(self.log), REQUEST, self.examples)

    def convert_request(self, **changes: Any) -> ConvertRequest:
        """Two ranks by tensor parallelism."""
        model = self.root / "model"
        if not model.exists():
            model.mkdir()
            (model / "config.json").write_text("{}")
            write_manifest(model, "Source")
        values: dict[str, Any] = {
            "script": "llama",
            "model_path": str(model),
            "model_manifest": str(model / "manifest.json"),
            "arguments": ("--tp_size", "2", "--dtype", "float16"),
            "tensor": 2,
            "pipeline": 1,
            "gpu": ExpectedGpu(product=PRODUCT, compute_capability="9.0"),
            "version": "1.2.1",
        }
        return ConvertRequest(**(values | changes))

    def ranks(self, pod: int, **changes: Any) -> None:
        """Run the stage Build of one pod."""
        self.monkeypatch.setenv(INDEX_ENV, str(pod))
        run_ranks(self.ranks_request(**changes), self.store, Progress(self.log), REQUEST)

    def ranks_request(self, **changes: Any) -> RanksRequest:
        """Four ranks on two pods."""
        values: dict[str, Any] = {
            "arguments": ("--max_batch_size", "8"),
            "world": 4,
            "pods": 2,
            "gpus_per_pod": 2,
            "workers": 1,
            "gpu": ExpectedGpu(product=PRODUCT, compute_capability="9.0", count=2),
            "version": "1.2.1",
        }
        return RanksRequest(**(values | changes))

    def publish(self, **changes: Any) -> EngineResult:
        """Run the stage Publish."""
        return run_publish(self.publish_request(**changes), self.store, Progress(self.log), REQUEST)

    def publish_request(self, **changes: Any) -> PublishRequest:
        """Of the four ranks."""
        values: dict[str, Any] = {"inputs": {"model": "m"}, "world": 4, "pods": 2, "tensor": 2, "pipeline": 2}
        return PublishRequest(**(values | changes))


@pytest.fixture
def claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Claim:
    programs, packages = tmp_path / "bin", tmp_path / "packages"
    for name, text in (("nvidia-smi", _FAKE_NVIDIA_SMI), ("trtllm-build", "#!/bin/sh\nexit 1\n")):
        programs.mkdir(exist_ok=True)
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (packages / "tensorrt_llm" / "commands").mkdir(parents=True)
    (packages / "tensorrt_llm" / "__init__.py").write_text(_FAKE_TENSORRT_LLM)
    (packages / "tensorrt_llm" / "commands" / "__init__.py").touch()
    (packages / "tensorrt_llm" / "commands" / "build.py").write_text(_FAKE_BUILD)
    script = tmp_path / "examples" / "models" / "core" / "llama" / "convert_checkpoint.py"
    script.parent.mkdir(parents=True)
    script.write_text(_FAKE_CONVERT)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(packages), *sys.path]))
    claim = Claim(tmp_path, monkeypatch)
    claim.fake(gpus=f"{H100}\n{H100}\n", version="1.2.1", calls=str(tmp_path / "calls"))
    return claim


@pytest.fixture
def converted(claim: Claim) -> Claim:
    """The claim after Convert: tensor 2, pipeline 2."""
    write_ranks(claim.work / "checkpoint", 2, 2)
    return claim


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the store after Build is kept: tests of what comes next build nothing themselves."""
    return tmp_path_factory.mktemp("kept") / "store"


@pytest.fixture
def built(converted: Claim, kept: Path) -> Claim:
    """The claim after Build on two pods."""
    if kept.exists():
        shutil.copytree(kept, converted.store.root, dirs_exist_ok=True)
    else:
        converted.ranks(0)
        converted.ranks(1)
        shutil.copytree(converted.store.root, kept)
    return converted
