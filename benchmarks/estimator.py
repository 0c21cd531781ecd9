"""The planner's estimates beside what was measured (estimator_measured.json); run.py calls it, and `make generate`.

`python benchmarks/estimator.py FILE` writes the tables into FILE, from their heading on. The figures are NVIDIA's and
users' logs, published files, and runs of estimator_gpu.py and estimator_calibration.py on a GPU.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from figure import Figure

from trtllm_api.base import Device
from trtllm_operator.manifests.resources import quantize_bytes
from trtllm_planner.host import calibration_memory_needed, host_memory_needed
from trtllm_planner.inventory import GpuKind
from trtllm_planner.memory import activation_bytes, estimate, kv_bytes_per_token, needed_tokens, weight_bytes
from trtllm_planner.model_config.facts import facts_from_config
from trtllm_planner.question import EngineQuestion, Limits
from trtllm_planner.tensorrt_llm.layout import Layout
from trtllm_planner.tensorrt_llm.versions import Algorithm, EngineRuntime, KvFormat, image_info

MEASURED = Path(__file__).parent / "estimator_measured.json"
LEAST = 0.97
"""Of what was measured: no estimate may be lower."""
MOST = 1.1
"""For what is counted exactly: weights and cache."""
EXACT = ("weights", "KV bytes for a token", "KV cache")
HEADING = "## Measured"
_OF_ANY_FORMAT = ("KV bytes for a token", "host memory to build")
_GPU = GpuKind("NVIDIA-H100-80GB-HBM3", 81559, (9, 0))
_IMAGE = image_info("nvcr.io/nvidia/tensorrt-llm/release:1.2.1")


@dataclass(frozen=True)
class Row:
    """One measurement and its estimate, in bytes."""

    item: str
    model: str
    asked: str
    measured: int
    estimated: int
    source: str

    @property
    def ratio(self) -> float:
        """More than 1: more was estimated."""
        return self.estimated / self.measured

    @property
    def holds(self) -> bool:
        """Not too little, and where it is counted exactly not too much."""
        return self.ratio >= LEAST and (self.item not in EXACT or self.ratio <= MOST)


def rows() -> list[Row]:
    """Every figure, in the data's order."""
    data = json.loads(MEASURED.read_text(encoding="utf-8"))
    return [_row(data, figure) for figure in data["figures"]]


def _row(data: dict[str, Any], figure: dict[str, Any]) -> Row:
    config = data["models"].get(figure["model"])
    estimated = _ESTIMATES[figure["item"]](figure, config)
    return Row(figure["item"], figure["model"], _asked(figure), figure["bytes"], estimated, figure["source"])


def _question(figure: dict[str, Any], config: dict[str, Any]) -> EngineQuestion:
    length = figure.get("length", 2048)
    return EngineQuestion(
        facts=facts_from_config(config),
        limits=Limits(
            max_seq_len=length,
            max_batch_size=figure.get("batch", 1),
            max_num_tokens=figure.get("tokens", 8192),
            sequences=figure.get("sequences", 1),
        ),
        image=_IMAGE,
        runtime=EngineRuntime(figure.get("runtime", "PyTorch")),
        layout=Layout(figure.get("tensor", 1)),
        algorithm=Algorithm(figure.get("algorithm", "NO_QUANT")),
        kv_cache=KvFormat(figure.get("kv", "auto")),
        exclude_modules=tuple(figure.get("exclude", ())),
    )


def _used(figure: dict[str, Any], config: dict[str, Any]) -> int:
    found = estimate(_question(figure, config), _GPU)
    return found.weights + found.activations + found.runtime


def _cache(figure: dict[str, Any], config: dict[str, Any]) -> int:
    question = _question(figure, config)
    return needed_tokens(question) * kv_bytes_per_token(question)


def _calibration(figure: dict[str, Any], config: dict[str, Any]) -> int:
    searched = figure["algorithm"] == Algorithm.MIXED
    return calibration_memory_needed(facts_from_config(config), figure["tokens"], searched=searched)


def _host_quantizing(figure: dict[str, Any], config: dict[str, Any]) -> int:
    device = Device(figure.get("device", "GPU"))
    return quantize_bytes(facts_from_config(config), device, figure.get("tokens", 512))


def _host_building(figure: dict[str, Any], config: dict[str, Any] | None) -> int:
    return host_memory_needed(figure["sourceBytes"] if config is None else facts_from_config(config).bytes)


_ESTIMATES: dict[str, Callable[[dict[str, Any], Any], int]] = {
    "weights": lambda figure, config: weight_bytes(_question(figure, config)),
    "KV bytes for a token": lambda figure, config: kv_bytes_per_token(_question(figure, config)),
    "KV cache": _cache,
    "activations": lambda figure, config: activation_bytes(_question(figure, config)),
    "all but the cache": _used,
    "calibration": _calibration,
    "host memory to quantize": _host_quantizing,
    "host memory to build": _host_building,
}


def _asked(figure: dict[str, Any]) -> str:
    """`FP8, engine, 256 x 2048, 8192 tokens`."""
    words = [] if figure["item"] in _OF_ANY_FORMAT else [figure.get("algorithm", "16 bits")]
    words += ["FP8 cache"] * ("kv" in figure)
    words += ["engine"] * ("runtime" in figure)
    words += [f"TP {figure['tensor']}"] if "tensor" in figure else []
    if "length" in figure:
        words.append(f"{figure['batch']} x {figure['length']}")
    elif "batch" in figure:
        words.append(f"batch {figure['batch']}")
    words += [f"{figure['tokens']} tokens"] if "tokens" in figure else []
    words += ["CPU"] * ("device" in figure)
    words += [figure["note"]] if "note" in figure else []
    return ", ".join(words)


def measure() -> list[Figure]:
    """The extremes of each item."""
    return [_figure(item, [row for row in _all() if row.item == item]) for item in _ESTIMATES]


@cache
def _all() -> tuple[Row, ...]:
    return tuple(rows())


def _figure(item: str, found: Sequence[Row]) -> Figure:
    least, most = min(found, key=lambda row: row.ratio), max(found, key=lambda row: row.ratio)
    goal = f">= {LEAST}" + (f", <= {MOST}" if item in EXACT else "")
    value = f"{least.ratio:.2f} to {most.ratio:.2f} of {len(found)} figures"
    return Figure(f"estimator, {item}", value, goal, all(row.holds for row in found))


def markdown() -> str:
    """A table for each item, and the sources."""
    sources: dict[str, str] = json.loads(MEASURED.read_text(encoding="utf-8"))["sources"]
    letters = {key: chr(ord("A") + number) for number, key in enumerate(sources)}
    lines = [
        HEADING,
        "",
        "Written by `make generate` from benchmarks/estimator_measured.json; `make bench` judges it.",
        "",
    ]
    lines += ["| item | estimate : measured, least | most | figures |", "|---|---|---|---|"]
    for item in _ESTIMATES:
        found = [row for row in _all() if row.item == item]
        least, most = min(row.ratio for row in found), max(row.ratio for row in found)
        lines.append(f"| {item} | {least:.2f} | {most:.2f} | {len(found)} |")
    for item in _ESTIMATES:
        lines += ["", f"### {item[:1].upper()}{item[1:]}", "", "| model | | measured | estimated | ratio | source |"]
        lines.append("|---|---|---|---|---|---|")
        lines += [
            f"| {row.model} | {row.asked} | {_size(row.measured)} | {_size(row.estimated)} | {row.ratio:.2f} "
            f"| {letters[row.source]} |"
            for row in _all()
            if row.item == item
        ]
    lines += ["", "### Sources", "", *(f"- {letters[key]}: {text}" for key, text in sources.items()), ""]
    return "\n".join(lines)


def _size(count: int) -> str:
    if count >= 1 << 30:
        return f"{count / (1 << 30):.2f} GiB"
    return f"{count / (1 << 20):.0f} MiB" if count >= 1 << 20 else str(count)


def write(path: Path) -> None:
    """Put the tables in the place of what begins with their heading."""
    before, found, _ = path.read_text(encoding="utf-8").partition(HEADING)
    if not found:
        raise ValueError(f"{path} has no heading {HEADING!r}")
    path.write_text(before + markdown(), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write(Path(sys.argv[1]))
    for line in measure():
        sys.stdout.write(f"{line.name:36} {line.value:34} {line.goal:16} {'ok' if line.reached else 'MISSED'}\n")
    sys.exit(0 if all(row.holds for row in _all()) else 1)
