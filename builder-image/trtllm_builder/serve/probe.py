"""What ready means: the artifact answers its recorded probe as it did when it was measured; runtime.py asks first.

Kernels differ between machines, so late tokens may differ too; the first ones do not unless the weights do.
"""

from __future__ import annotations

from collections.abc import Sequence

from trtllm_api.manifest import Manifest
from trtllm_api.reasons import Reason
from trtllm_builder.failure import BuilderFailure, bad_model
from trtllm_builder.serve.generation import Engine

REQUIRED_TOKENS = 4
_PUBLISH_AGAIN = (
    "Let the QuantizedModel publish it again: remove the artifact's directory and set the annotation trtllm.dev/retry."
)
_SHOWN = 120


def agrees(recorded: Sequence[int], given: Sequence[int]) -> bool:
    """Whether the answers have their first tokens in common."""
    required = min(REQUIRED_TOKENS, len(recorded))
    return list(recorded[:required]) == list(given[:required])


def check(engine: Engine, manifest: Manifest) -> None:
    """Answer the manifest's probe; raises BuilderFailure ArtifactCorrupt when the answer is another one."""
    probe = manifest.probe
    if probe is None or not probe.prompt_token_ids or not probe.answer_token_ids:
        raise _corrupt("The artifact's manifest has no probe, so nothing shows that it answers as it was measured.")
    ids = (*probe.prompt_token_ids, *probe.answer_token_ids)
    if max(ids) >= engine.vocabulary or min(ids) < 0:
        raise _corrupt(
            f"The artifact's probe has the token {max(ids)}, but the model's vocabulary has {engine.vocabulary} tokens."
        )
    given = engine.greedy(probe.prompt_token_ids, len(probe.answer_token_ids))
    if not agrees(probe.answer_token_ids, given):
        recorded_text, given_text = (
            repr(engine.tokenizer.decode(list(tokens)))[:_SHOWN] for tokens in (probe.answer_token_ids, given)
        )
        raise _corrupt(
            f"The artifact was recorded to answer its probe with {recorded_text}, but it answered {given_text}."
        )


def _corrupt(message: str) -> BuilderFailure:
    return bad_model(Reason.ARTIFACT_CORRUPT, message, _PUBLISH_AGAIN)
