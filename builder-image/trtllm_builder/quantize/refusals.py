"""Look into candidates that the gate refused: explain each, and propose a mix of it where one is wanted.

ladder.py calls it. What is found outlives a killed pod; nothing here decides what ships, and its failure costs no
verdict.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from trtllm_api.contract import ExitCode
from trtllm_api.modelstatus import CandidatePlan, Verdict
from trtllm_api.quantization import Method
from trtllm_api.quantizedmodel import CheckpointFormat
from trtllm_api.reasons import Reason
from trtllm_builder.checkpoint import load_model
from trtllm_builder.failure import BuilderFailure, first_line
from trtllm_builder.quantize.attribution import explain
from trtllm_builder.quantize.candidate import Bench, free_memory
from trtllm_builder.quantize.evidence import Evidence, Measured, Tried
from trtllm_builder.quantize.mixing import Limits, propose
from trtllm_builder.quantize.package import stored_type
from trtllm_builder.quantize.restoring import Restorable
from trtllm_planner.quantization.mixing import why_no_mix

MAX_PATTERNS = 64
"""Of excludeModules, the spec's own included."""
_TOKENS = 128
"""Enough to name what errs most, of a candidate that another is tried after."""
_TOKENS_OF_MIX = 512
"""A mix chosen by fewer needs more modules in full precision."""


@dataclass
class Refused:
    """One refused candidate; its files are asked for, and loaded, when something about them is not known yet."""

    bench: Bench
    evidence: Evidence
    source: Measured
    name: str
    """Of its evidence."""
    attempt: Tried
    files: Callable[[], Path]
    _model: Restorable | None = field(default=None, repr=False)

    def explain(self, tokens: int) -> None:
        """Why it errs, on that many tokens or more, unless it has no error that could be shared out."""
        measured = self.attempt.measured
        divergence = measured.measures.kl_divergence if measured else None
        if self.attempt.plan.method is Method.NONE or divergence is None or not math.isfinite(divergence):
            return
        found = self.evidence.explanation(self.name)
        if found is None or found.tokens < min(tokens, self.bench.evaluation.rows.shape[1]):
            found = explain(self.bench, self._loaded(), tokens)
            if found is not None:
                self.evidence.save_explanation(self.name, found)
        self.attempt = replace(self.attempt, explanation=found)

    def propose(self) -> None:
        """A mix that passes, or why there is none."""
        measured, explanation = self.attempt.measured, self.attempt.explanation
        if self.attempt.proposal is not None or measured is None or explanation is None:
            return
        plan, checkpoint = self.attempt.plan, self.bench.request.checkpoint
        reason = why_no_mix(plan.method, checkpoint)
        if reason:
            self.note(f"no mix is proposed: {reason}")
            return
        found = self.evidence.proposal(self.name)
        if found is None:
            candidate = self._loaded()
            whole = measured.bytes + sum(cell.bytes for cell in candidate.cells)
            # ranks hold more than the source does: a head that is not tied
            most = self.source.bytes if checkpoint.format is CheckpointFormat.HUGGING_FACE else whole
            limits = Limits(MAX_PATTERNS - len(plan.exclude_modules), most)
            found = propose(self.bench, self.source, measured, candidate, explanation, limits)
            self.evidence.save_proposal(self.name, found)
        self.attempt = replace(self.attempt, proposal=found)

    def note(self, reason: str) -> None:
        """Why no more is known about it."""
        self.attempt = replace(self.attempt, unexplained=reason)

    def close(self) -> None:
        """Give its memory back."""
        self._model = None
        free_memory()

    def _loaded(self) -> Restorable:
        if self._model is None:
            directory, source = self.files(), self.bench.source
            self.bench.source_model = None
            free_memory()
            with self.bench.progress.step("LoadingArtifact"):
                model = load_model(
                    directory,
                    self.bench.device,
                    trust_remote_code=self.bench.request.trust_remote_code,
                    keep_packed=True,
                )
            self._model = Restorable(model, source, stored_type(source))
        return self._model


def look_into(refused: Refused, *, mix: bool) -> Tried:
    """Explain it, and propose a mix of it where one is wanted."""
    known = refused.attempt.explained
    try:
        refused.explain(_TOKENS_OF_MIX if mix else _TOKENS)
        if mix:
            refused.propose()
    except BuilderFailure as error:
        if error.exit_code is ExitCode.TRANSIENT:
            raise
        refused.note(error.message)
    except Exception as error:
        # the verdict is known: it must not be lost for want of its explanation
        traceback.print_exc()
        refused.note(f"it could not be looked into: {type(error).__name__}: {first_line(error, 200)}")
    refused.close()
    if refused.attempt.explained != known:
        refused.bench.progress.say(f"{refused.attempt.plan.method}: {refused.attempt.explained}")
    return refused.attempt


def mixed(tried: Sequence[Tried]) -> tuple[CandidatePlan, tuple[str, ...]]:
    """What fallback Mixed stands for: the smallest proposal of those refused before it, as a plan, and what it adds.

    Raises BuilderFailure where there is none.
    """
    proposed = [attempt for attempt in tried if attempt.proposal is not None and attempt.proposal.patterns]
    if not proposed:
        raise BuilderFailure(
            ExitCode.NOT_SUPPORTED,
            Reason.QUANTIZATION_NOT_SUPPORTED,
            f"Fallback Mixed has nothing to take: {_why_nothing(tried)}.",
            "Name another fallback, or raise the limits in spec.quality.",
        )

    def size(attempt: Tried) -> int:
        return attempt.proposal.bytes if attempt.proposal else 0

    best = min(proposed, key=size)
    patterns = best.proposal.patterns if best.proposal else ()
    plan = best.plan.model_copy(update={"exclude_modules": (*best.plan.exclude_modules, *patterns)})
    return plan, (*best.kept, *patterns)


def _why_nothing(tried: Sequence[Tried]) -> str:
    refused = [attempt for attempt in tried if attempt.decision.verdict is Verdict.REFUSED]
    if not refused:
        return "no method before it was refused by the quality gate"
    told = [
        f"{attempt.plan.method}: "
        + (
            (attempt.proposal.note if attempt.proposal else "")
            or attempt.unexplained
            or "its error cannot be shared out"
        )
        for attempt in refused
    ]
    return "; ".join(told)
