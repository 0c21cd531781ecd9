"""Explains candidates that the gate refused, and proposes a mix if one is wanted.

Findings are stored, so that a later pod does not repeat them. They never change a verdict, and neither does a failure
here.
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
"""Most patterns of excludeModules, including the spec's own."""
_TOKENS = 128
"""Tokens that are enough to name the layers with the largest errors."""
_TOKENS_OF_MIX = 512
"""Tokens for the choice of a mix. With fewer, the mix needs more modules in full precision."""


@dataclass
class Refused:
    """A refused candidate. Its files are made and loaded only if a finding is missing."""

    bench: Bench
    evidence: Evidence
    source: Measured
    name: str
    """Name of its evidence."""
    attempt: Tried
    files: Callable[[], Path]
    _model: Restorable | None = field(default=None, repr=False)

    def explain(self, tokens: int) -> None:
        """Add the explanation, from that many tokens or more, if there is a divergence to explain."""
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
        """Add a mix that passes, or the reason why there is none."""
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
            # a TensorRT-LLM checkpoint is larger than the source: its head is not tied
            most = self.source.bytes if checkpoint.format is CheckpointFormat.HUGGING_FACE else whole
            limits = Limits(MAX_PATTERNS - len(plan.exclude_modules), most)
            found = propose(self.bench, self.source, measured, candidate, explanation, limits)
            self.evidence.save_proposal(self.name, found)
        self.attempt = replace(self.attempt, proposal=found)

    def note(self, reason: str) -> None:
        """Record the reason why a finding is missing."""
        self.attempt = replace(self.attempt, unexplained=reason)

    def close(self) -> None:
        """Free the memory of the model."""
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
    """Explain the candidate, and propose a mix of it if `mix` is set."""
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
        # a missing explanation must not change the verdict
        traceback.print_exc()
        refused.note(f"the explanation failed: {type(error).__name__}: {first_line(error, 200)}")
    refused.close()
    if refused.attempt.explained != known:
        refused.bench.progress.say(f"{refused.attempt.plan.method}: {refused.attempt.explained}")
    return refused.attempt


def mixed(tried: Sequence[Tried]) -> tuple[CandidatePlan, tuple[str, ...]]:
    """Plan of fallback Mixed, from the smallest proposal of the candidates before it, and the patterns that it adds.

    Raises BuilderFailure if there is no proposal.
    """
    proposed = [attempt for attempt in tried if attempt.proposal is not None and attempt.proposal.patterns]
    if not proposed:
        raise BuilderFailure(
            ExitCode.NOT_SUPPORTED,
            Reason.QUANTIZATION_NOT_SUPPORTED,
            f"Fallback Mixed has no proposal to use: {_why_nothing(tried)}.",
            "Add another spec.quality.fallbacks entry, or relax the limits in spec.quality.",
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
    reasons = [
        f"{attempt.plan.method}: "
        + (
            (attempt.proposal.note if attempt.proposal else "")
            or attempt.unexplained
            or "its error cannot be attributed to layers"
        )
        for attempt in refused
    ]
    return "; ".join(reasons)
