"""Checks readiness: the server answers the known prompt as recorded or, without a record, a question with language.

Other kernels round differently, so the end of the answer may differ from the record. A broken artifact's answer differs
from the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final

from trtllm_api.contract import ExitCode, LaunchRequest
from trtllm_api.manifest import Probe
from trtllm_api.reasons import Reason
from trtllm_builder.degenerate import newly_degenerate, why_degenerate
from trtllm_builder.failure import BuilderFailure, bad_model, transient
from trtllm_builder.launch.client import Client, Reply

QUESTION: Final = "What is the capital of France?"
OPENING: Final = "The capital of France is"
"""Prompt for models without a chat template."""
FREE_TOKENS: Final = 48
SIMILAR: Final = 0.5
BEGINNING: Final = 0.25
"""Share of the recorded text that must be equal from its start, if the whole is not similar."""
_SHOWN: Final = 120
_UNKNOWN: Sequence[int] = ()
"""Token ids of the answer: the server returns text only."""


def ask(client: Client, request: LaunchRequest, probe: Probe | None, timeout: float) -> None:
    """Send the prompt and check the answer. Raises BuilderFailure if it is refused, OSError if there is none."""
    if probe is None or not probe.prompt_token_ids or not probe.answer_token_ids:
        _ask_freely(client, request, timeout)
    else:
        _ask_known(client, request, probe, timeout)


def agrees(recorded: str, given: str) -> bool:
    """True if the answer begins like the recorded one, or is similar to it."""
    recorded, given = recorded.strip(), given.strip()
    recorded = recorded[: len(given)] if given else recorded
    pairs = zip(recorded, given, strict=False)
    same = next((at for at, (one, other) in enumerate(pairs) if one != other), min(len(recorded), len(given)))
    return (
        same >= max(1, BEGINNING * len(recorded))
        or SequenceMatcher(None, recorded, given, autojunk=False).ratio() >= SIMILAR
    )


def _ask_known(client: Client, request: LaunchRequest, probe: Probe, timeout: float) -> None:
    tokens = len(probe.answer_token_ids)
    given = _complete(client, request, list(probe.prompt_token_ids), tokens, timeout)
    if given.strip() == probe.answer.strip():
        return
    why = newly_degenerate(probe.answer, probe.answer_token_ids, given, _UNKNOWN)
    if why is None and agrees(probe.answer, given):
        return
    raise bad_model(
        Reason.ARTIFACT_CORRUPT,
        f"The recorded answer of the model to {_quoted(probe.prompt)} is {_quoted(probe.answer)}, "
        f"but trtllm-serve answered {_quoted(given)}{f': {why}' if why else ''}.",
        "The files are those that were measured. Try another TensorRT-LLM version or another quantization method.",
    )


def _ask_freely(client: Client, request: LaunchRequest, timeout: float) -> None:
    body = {
        "model": request.served_model_name,
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": FREE_TOKENS,
        "temperature": 0,
    }
    prompt, reply = QUESTION, client.post("/v1/chat/completions", body, timeout)
    try:
        message = reply.json["choices"][0]["message"]
        # a reasoning parser moves the reasoning to a separate field
        given = " ".join(message[key] for key in ("reasoning_content", "content") if message.get(key))
    except (LookupError, TypeError, AttributeError):
        # no chat template
        prompt, given = OPENING, _complete(client, request, OPENING, FREE_TOKENS, timeout)
    why = why_degenerate(given, _UNKNOWN)
    if why is not None:
        raise bad_model(
            Reason.QUALITY_REFUSED,
            f"trtllm-serve answered {_quoted(prompt)} with {_quoted(given)}: {why}.",
            "Test the checkpoint in another runtime. Try another TensorRT-LLM version or another quantization method.",
        )


def _complete(client: Client, request: LaunchRequest, prompt: str | list[int], tokens: int, timeout: float) -> str:
    body = {"model": request.served_model_name, "prompt": prompt, "max_tokens": tokens, "temperature": 0}
    reply = client.post("/v1/completions", body, timeout)
    try:
        text = reply.json["choices"][0]["text"]
    except (LookupError, TypeError):
        text = None
    if reply.status != 200 or not isinstance(text, str):
        raise _refused(reply)
    return text


def _refused(reply: Reply) -> BuilderFailure:
    message = f"trtllm-serve refused the known prompt with HTTP {reply.status}: {_quoted(reply.text)}."
    if 400 <= reply.status < 500:
        remedy = "Compare spec.limits and spec.serving with the limits of the model and of this TensorRT-LLM version."
        return BuilderFailure(ExitCode.BAD_REQUEST, Reason.BAD_REQUEST, message, remedy)
    return transient(Reason.INTERNAL_ERROR, message, "The container restarts. Read its log for the cause.")


def _quoted(text: str) -> str:
    return f'"{text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"}"'
