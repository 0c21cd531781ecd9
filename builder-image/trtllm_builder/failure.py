"""Expected failures as an exception: exit code, reason, cause and remedy. They become the BuildResult."""

from __future__ import annotations

from trtllm_api.contract import ExitCode, QuantizeResult
from trtllm_api.reasons import Reason


class BuilderFailure(Exception):
    """A failure with its cause and remedy, each one or more sentences. The cause has the numbers."""

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
        """Measurements until the failure, which are kept as evidence."""


def bad_model(reason: Reason, message: str, remedy: str) -> BuilderFailure:
    """Failure because of the source itself; a retry cannot help."""
    return BuilderFailure(ExitCode.BAD_MODEL, reason, message, remedy)


def input_missing(reason: Reason, message: str, remedy: str) -> BuilderFailure:
    """Failure because something that the spec names is missing."""
    return BuilderFailure(ExitCode.INPUT_MISSING, reason, message, remedy)


def transient(reason: Reason, message: str, remedy: str) -> BuilderFailure:
    """Failure that a retry may not have."""
    return BuilderFailure(ExitCode.TRANSIENT, reason, message, remedy)


def first_line(error: BaseException, limit: int = 200) -> str:
    """First line of an error's text, for a short message."""
    return (str(error).strip().splitlines() or ["no message"])[0][:limit]


def shown(text: str, limit: int = 120) -> str:
    """Foreign text for a message: on one line, without control characters, shortened."""
    plain = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:limit])
    return plain if len(text) <= limit else f"{plain[: limit - 1]}…"
