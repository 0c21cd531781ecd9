"""What a user caused or must know, as an exception; run.py turns it into the BuildResult."""

from __future__ import annotations

from trtllm_api.contract import ExitCode, QuantizeResult
from trtllm_api.reasons import Reason


class BuilderFailure(Exception):
    """One sentence of cause with its numbers, and one of remedy."""

    def __init__(
        self,
        exit_code: ExitCode,
        reason: Reason,
        message: str,
        remedy: str,
        *,
        quantize: QuantizeResult | None = None,
    ) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.reason = reason
        self.message = message
        self.remedy = remedy
        self.quantize = quantize
        """What had been measured until then: evidence is never lost."""


def bad_model(reason: Reason, message: str, remedy: str) -> BuilderFailure:
    """The source itself is at fault: no retry will mend it."""
    return BuilderFailure(ExitCode.BAD_MODEL, reason, message, remedy)


def input_missing(reason: Reason, message: str, remedy: str) -> BuilderFailure:
    """Something that the spec names is not there."""
    return BuilderFailure(ExitCode.INPUT_MISSING, reason, message, remedy)


def transient(reason: Reason, message: str, remedy: str) -> BuilderFailure:
    """Worth another try."""
    return BuilderFailure(ExitCode.TRANSIENT, reason, message, remedy)


def first_line(error: BaseException, limit: int = 200) -> str:
    """What an error says, for a message that must stay short."""
    return (str(error).strip().splitlines() or ["no message"])[0][:limit]


def shown(text: str, limit: int = 120) -> str:
    """Foreign text for a message: on one line, without control characters, shortened."""
    plain = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:limit])
    return plain if len(text) <= limit else f"{plain[: limit - 1]}…"
