"""Finds a mixed precision that passes the gate: a refused candidate with as few modules in full precision as possible.

Every mix is measured like a candidate, with its modules restored in place. Fallback Mixed then makes the files of the
mix, and measures those.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

from trtllm_api.modelstatus import Verdict
from trtllm_builder.degenerate import newly_degenerate
from trtllm_builder.gate import GateDecision, ModelMeasures, decide
from trtllm_builder.progress import Step
from trtllm_builder.quantize.answers import free_answer
from trtllm_builder.quantize.candidate import Bench, ask_canaries
from trtllm_builder.quantize.cells import Mix, mix_of, ordered, smallest
from trtllm_builder.quantize.evaluation import measure
from trtllm_builder.quantize.evidence import Measured
from trtllm_builder.quantize.findings import Explanation, Proposal
from trtllm_builder.quantize.restoring import Restorable
from trtllm_report.numbers import human_bytes


@dataclass(frozen=True)
class Limits:
    """Limits of a proposal."""

    patterns: int
    """Most patterns of module names."""
    bytes: int
    """Bytes that the artifact must stay below."""


@dataclass(frozen=True)
class _Judged:
    mix: Mix
    measures: ModelMeasures
    decision: GateDecision


def propose(
    bench: Bench, source: Measured, measured: Measured, candidate: Restorable, explanation: Explanation, limits: Limits
) -> Proposal:
    """The smallest mix that passes the whole gate, in the order of the explanation; or the reason why there is none."""
    started = time.monotonic()
    order = ordered(candidate.cells, explanation.layers, explanation.kinds)

    def mixed(count: int) -> Mix | None:
        mix = mix_of(order, count, limits.patterns)
        return mix if mix is not None and measured.bytes + mix.bytes < limits.bytes else None

    most = (smallest(len(order), lambda count: mixed(count) is None) or 1) - 1
    possible = [mix for mix in (mixed(count) for count in range(1, most + 1)) if mix is not None]
    if not possible:
        note = f"no mix is smaller than the source with {limits.patterns} patterns or fewer in excludeModules"
        return Proposal((), None, 0, note, 0.0)
    judged: dict[int, _Judged] = {}
    rounds = math.ceil(math.log2(len(possible))) + 1
    with bench.progress.step("MixingPrecision", rounds * bench.evaluation.rows.numel(), "tokens") as step:

        def passes(count: int) -> bool:
            mix = possible[count - 1]
            step.advance(0, f"{len(mix.cells)} of {len(order)} parts in full precision")
            candidate.restore(module for cell in mix.cells for module in cell.modules)
            judged[count] = _Judged(mix, *_judge(bench, source, candidate, step))
            return judged[count].decision.verdict is Verdict.PASSED

        count = smallest(len(possible), passes)
    seconds = time.monotonic() - started
    found = judged[count or len(possible)]
    size = measured.bytes + found.mix.bytes
    if count is None:
        note = (
            f"no mix passes: with {len(found.mix.cells)} of {len(order)} parts in full precision "
            f"({human_bytes(size)}; the source has {human_bytes(source.bytes)}) it is still refused: "
            f"{found.decision.message}"
        )
        return Proposal((), None, 0, note, seconds)
    return Proposal(found.mix.patterns, found.measures, size, "", seconds)


def _judge(bench: Bench, source: Measured, candidate: Restorable, step: Step) -> tuple[ModelMeasures, GateDecision]:
    """Measures and decision of the whole gate. A mix that the numbers refuse gets no canaries."""
    if bench.reference is None:
        raise ValueError("the source is measured first")
    gate = bench.request.gate
    scores = measure(candidate.model, bench.evaluation, bench.reference, step)
    numbers = ModelMeasures(
        perplexity=scores.perplexity,
        kl_divergence=scores.kl_divergence,
        top_token_agreement=scores.top_token_agreement,
        tokens=bench.evaluation.rows.numel(),
    )
    decision = decide(source.measures, numbers, gate)
    if decision.verdict is not Verdict.PASSED:
        return numbers, decision
    free = free_answer(candidate.model, bench.tokenizer)
    measures = replace(
        numbers,
        canaries=ask_canaries(candidate.model, bench.tokenizer, gate.canaries),
        degenerate=newly_degenerate(source.free_text, source.free_ids, free.text, free.ids),
    )
    return measures, decide(source.measures, measures, gate)
