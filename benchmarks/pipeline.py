"""The builder's quantize Job against a bare ModelOpt script, in turns: wall time and peak memory; run.py calls it.

Both load SmolLM2-135M-Instruct, measure it, calibrate, quantize to FP8, measure, and export. The builder besides loads
what it exported again to measure that, asks free prompts, and publishes with a report.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from clusterlib.environments import builder_tools, demo_model
from figure import Figure

from trtllm_api.base import Device
from trtllm_api.contract import (
    BuildRequest,
    CalibrationRequest,
    FetchRequest,
    GateRequest,
    QuantizeRequest,
    Stage,
)
from trtllm_api.modelstatus import CandidatePlan
from trtllm_api.quality import OnFailure
from trtllm_api.quantization import Method
from trtllm_api.source import Source, VolumeSource

TURNS = 3
SAMPLES, LENGTH, EVALUATED = 32, 256, 4096
BARE = Path(__file__).with_name("bare_modelopt.py")


def measure() -> list[Figure]:
    """Ratios of medians over the turns of one run."""
    python, model = builder_tools() / "bin" / "python", demo_model()
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        request = _request(python, model, root)
        bare: list[tuple[float, float]] = []
        ours: list[tuple[float, float]] = []
        for _ in range(TURNS):
            output = root / "bare"
            options = ["--samples", SAMPLES, "--length", LENGTH, "--evaluate", EVALUATED]
            bare.append(_timed([python, BARE, "--model", model, "--output", output, *options]))
            shutil.rmtree(output)
            for name in ("artifacts", "work"):
                shutil.rmtree(root / "store" / name, ignore_errors=True)
            ours.append(_timed(_builder(python, request, root, model)))
        start = _timed([python, "-c", "import trtllm_builder.quantize, modelopt.torch.quantization"])[0]
    wall = statistics.median(seconds for seconds, _ in ours) / statistics.median(seconds for seconds, _ in bare)
    memory = statistics.median(mib for _, mib in ours) / statistics.median(mib for _, mib in bare)
    return [
        Figure(
            "pipeline, wall time against a bare script",
            f"{wall:.2f}x ({_seconds(ours)} : {_seconds(bare)})",
            "1.05x",
            wall <= 1.05,
        ),
        Figure(
            "pipeline, peak memory against it", f"{memory:.2f}x ({_mib(ours)} : {_mib(bare)})", "1.10x", memory <= 1.10
        ),
        Figure("start-up of a Job, in both: imports", f"{start:.1f} s", "", True),
    ]


def _seconds(runs: list[tuple[float, float]]) -> str:
    return f"{statistics.median(seconds for seconds, _ in runs):.1f} s"


def _mib(runs: list[tuple[float, float]]) -> str:
    return f"{statistics.median(mib for _, mib in runs):.0f} MiB"


def _request(python: Path, model: Path, root: Path) -> Path:
    """Fetch once, and write the request that is measured."""
    (root / "store").mkdir()
    volume = Source(persistent_volume_claim=VolumeSource(claim_name="models", path=model.name))
    fetch = BuildRequest(
        stage=Stage.FETCH,
        namespace="bench",
        name="bench",
        request_digest="sha256:" + "0" * 64,
        fetch=FetchRequest(source=volume),
    )
    path = root / "request.json"
    path.write_text(json.dumps(fetch.to_wire()))
    _timed(_builder(python, path, root, model))
    found = json.loads((root / "result.json").read_text())["fetch"]
    quantize = QuantizeRequest(
        source_digest=found["digest"],
        source_path=str(model),
        source_manifest=str(root / "store" / found["manifestPath"]),
        candidates=(CandidatePlan(method=Method.FP8),),
        calibration=CalibrationRequest(samples=SAMPLES, sequence_length=LENGTH, batch_size=1),
        gate=GateRequest(
            max_perplexity_increase="50%",
            max_kl_divergence="1",
            min_top_token_agreement="50%",
            tokens=EVALUATED,
            sequence_length=512,
            on_failure=OnFailure.FAIL,
        ),
        device=Device.CPU,
    )
    wanted = BuildRequest(
        stage=Stage.QUANTIZE,
        namespace="bench",
        name="bench",
        request_digest="sha256:" + "1" * 64,
        quantize=quantize,
    )
    path.write_text(json.dumps(wanted.to_wire()))
    return path


def _builder(python: Path, request: Path, root: Path, model: Path) -> list[object]:
    places = ["--store", root / "store", "--source", model.parent, "--termination-log", root / "result.json"]
    return [python, "-m", "trtllm_builder", "run", "--request", request, *places]


def _timed(command: list[object]) -> tuple[float, float]:
    """Seconds and peak MiB of a command that must succeed."""
    started = time.monotonic()
    process = subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    said = process.stderr.read() if process.stderr else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[1]} ended with {process.returncode}: {said[-1500:]}")
    return time.monotonic() - started, usage.ru_maxrss / 1024
