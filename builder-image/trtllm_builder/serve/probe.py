"""Checks readiness: the artifact answers its known prompt as it did when it was measured.

Kernels differ between machines, so later tokens may differ. The first tokens differ only if the weights do.
"""

from __future__ import annotations

from collections.abc import Sequence

from trtllm_api.manifest import Manifest
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure, bad_model
from trtllm_builder.serve.generation import Engine

REQUIRED_TOKENS = 4
_PUBLISH_AGAIN = (
    "Remove its directory, and set the annotation trtllm.dev/retry on the QuantizedModel to publish it again."
)
_SHOWN = 120


def agrees(recorded: Sequence[int], given: Sequence[int]) -> bool:
    """True if the first tokens of the answers are equal."""
    required = min(REQUIRED_TOKENS, len(recorded))
    return list(recorded[:required]) == list(given[:required])


def check(engine: Engine, manifest: Manifest) -> None:
    """Check the answer to the manifest's known prompt. Raises BuilderFailure ArtifactCorrupt if it differs."""
    probe = manifest.probe
    if probe is None or not probe.prompt_token_ids or not probe.answer_token_ids:
        raise _corrupt("The artifact's manifest has no known prompt, so its answers cannot be checked.")
    ids = (*probe.prompt_token_ids, *probe.answer_token_ids)
    if max(ids) >= engine.vocabulary or min(ids) < 0:
        raise _corrupt(
            f"The artifact's known prompt has the token {max(ids)}, but its vocabulary has {engine.vocabulary} tokens."
        )
    given = engine.greedy(probe.prompt_token_ids, len(probe.answer_token_ids))
    if not agrees(probe.answer_token_ids, given):
        recorded_text, given_text = (
            repr(engine.tokenizer.decode(list(tokens)))[:_SHOWN] for tokens in (probe.answer_token_ids, given)
        )
        raise _corrupt(
            f"The recorded answer to the artifact's known prompt is {recorded_text}, but it answered {given_text}."
        )


def _corrupt(message: str) -> BuilderFailure:
    return bad_model(Reason.ARTIFACT_CORRUPT, message, _PUBLISH_AGAIN)
