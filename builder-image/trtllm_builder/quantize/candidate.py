"""One candidate: quantizes, exports, and measures the exported files."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from trtllm_api.contract import QuantizeRequest
from trtllm_api.modelstatus import CandidatePlan
from trtllm_api.quality import Canary
from trtllm_api.quantization import Method
from trtllm_api.quantizedmodel import CheckpointFormat
from trtllm_builder.checkpoint import load_model, load_tokenizer
from trtllm_builder.degenerate import newly_degenerate, why_degenerate
from trtllm_builder.files import files_below
from trtllm_builder.gate import CanaryOutcome, ModelMeasures
from trtllm_builder.progress import Progress
from trtllm_builder.quantize import modelopt_adapter
from trtllm_builder.quantize.answers import answer, free_answer, probe_of
from trtllm_builder.quantize.evaluation import Reference, measure, measure_source
from trtllm_builder.quantize.evidence import Measured
from trtllm_builder.quantize.modelopt_ranks import export_ranks
from trtllm_builder.quantize.package import complete, stored_type
from trtllm_builder.quantize.ranks_refusals import refuse_layout
from trtllm_builder.quantize.windows import Windows

_WHOLE = ".whole"


@dataclass
class Bench:
    """The source, and the data for calibration and evaluation, which all candidates share."""

    request: QuantizeRequest
    source: Path
    device: str
    tokenizer: Any
    evaluation: Windows
    calibration: Callable[[], Windows]
    progress: Progress
    reference: Reference | None = None
    source_model: Any = field(default=None, repr=False)
    """The loaded source. The first candidate is quantized from it in place; later ones load the source again."""

    def take_source(self) -> Any:
        """The source model, which the caller may quantize in place."""
        model, self.source_model = self.source_model, None
        if model is None:
            with self.progress.step("LoadingSource"):
                model = load_model(self.source, self.device, trust_remote_code=self.request.trust_remote_code)
        return model


def measure_reference(bench: Bench) -> Measured:
    """Measurements, answers and predictions of the source model."""
    started = time.monotonic()
    model = bench.take_source()
    loaded = time.monotonic()
    with bench.progress.step("MeasuringSource", bench.evaluation.rows.numel(), "tokens") as step:
        bench.reference = measure_source(model, bench.evaluation, step)
    free = free_answer(model, bench.tokenizer)
    canaries = ask_canaries(model, bench.tokenizer, bench.request.gate.canaries)
    bench.source_model = model
    return Measured(
        measures=ModelMeasures(
            perplexity=bench.reference.perplexity,
            kl_divergence=None,
            top_token_agreement=None,
            tokens=bench.evaluation.rows.numel(),
            canaries=canaries,
            degenerate=why_degenerate(free.text, free.ids),
        ),
        bytes=_weight_bytes(bench.source),
        seconds={"load": loaded - started, "measure": time.monotonic() - loaded},
        free_text=free.text,
        free_ids=free.ids,
    )


def is_made(directory: Path) -> bool:
    """True if the candidate's checkpoint is complete."""
    return (directory / _WHOLE).exists()


def make(bench: Bench, plan: CandidatePlan, directory: Path) -> dict[str, float]:
    """Write the candidate's checkpoint, if an earlier pod did not complete it, and return the seconds by stage."""
    if is_made(directory):
        return {}
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    seconds: dict[str, float] = {}
    label = f"{plan.method}" + (f", group size {plan.group_size}" if plan.group_size else "")
    checkpoint = bench.request.checkpoint
    ranks = checkpoint.format is CheckpointFormat.TENSORRT_LLM
    if plan.method is Method.NONE and not ranks:
        _link(bench.source, directory)
    else:
        model = bench.take_source()
        if ranks:
            refuse_layout(plan, checkpoint, model.config)
        calibrating = modelopt_adapter.needs_calibration(plan)
        batches = bench.calibration().batches(bench.request.calibration.batch_size, bench.device) if calibrating else []
        started = time.monotonic()
        with bench.progress.step("Quantizing", len(batches), "batches") as step:
            step.advance(0, label)
            step.write()
            model = modelopt_adapter.quantize(model, plan, batches, step, checkpoint)
        seconds["quantize"] = time.monotonic() - started
        started = time.monotonic()
        with bench.progress.step("Exporting"):
            if ranks:
                export_ranks(model, plan, checkpoint, directory, stored_type(bench.source))
            else:
                modelopt_adapter.export(model, plan, directory, stored_type(bench.source))
            complete(bench.source, directory)
        seconds["export"] = time.monotonic() - started
        del model
        free_memory()
    (directory / _WHOLE).touch()
    return seconds


def examine(bench: Bench, source: Measured, directory: Path, seconds: dict[str, float]) -> Measured:
    """Load the exported files, and measure the model."""
    if bench.reference is None:
        raise ValueError("the source is measured first")
    bench.source_model = None
    free_memory()
    started = time.monotonic()
    with bench.progress.step("LoadingArtifact"):
        model = load_model(directory, bench.device, trust_remote_code=bench.request.trust_remote_code)
        tokenizer = load_tokenizer(directory, trust_remote_code=bench.request.trust_remote_code)
    loaded = time.monotonic()
    with bench.progress.step("Evaluating", bench.evaluation.rows.numel(), "tokens") as step:
        scores = measure(model, bench.evaluation, bench.reference, step)
    evaluated = time.monotonic()
    with bench.progress.step("AskingCanaries"):
        free = free_answer(model, tokenizer)
        canaries = ask_canaries(model, tokenizer, bench.request.gate.canaries)
    result = Measured(
        measures=ModelMeasures(
            perplexity=scores.perplexity,
            kl_divergence=scores.kl_divergence,
            top_token_agreement=scores.top_token_agreement,
            tokens=bench.evaluation.rows.numel(),
            canaries=canaries,
            degenerate=newly_degenerate(source.free_text, source.free_ids, free.text, free.ids),
        ),
        bytes=_weight_bytes(directory),
        seconds={
            **seconds,
            "load": loaded - started,
            "evaluate": evaluated - loaded,
            "answer": time.monotonic() - evaluated,
        },
        free_text=free.text,
        free_ids=free.ids,
        probe=probe_of(free),
    )
    del model
    free_memory()
    return result


def ask_canaries(model: Any, tokenizer: Any, canaries: tuple[Canary, ...]) -> tuple[CanaryOutcome, ...]:
    """Outcomes of the user's canary prompts."""
    outcomes = []
    for canary in canaries:
        text = answer(model, tokenizer, canary.prompt, canary.max_tokens).text
        passed = canary.contains.casefold() in text.casefold()
        outcomes.append(CanaryOutcome(canary.prompt, canary.contains, text, passed))
    return tuple(outcomes)


def _link(source: Path, directory: Path) -> None:
    """Add the source's own files: hard links on one file system, copies otherwise."""
    for path in files_below(source):
        target = directory / path.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(path)
        except OSError:
            shutil.copyfile(path, target)


def _weight_bytes(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.glob("*.safetensors"))


def free_memory() -> None:
    """Free the memory of a model after its last reference is gone."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
