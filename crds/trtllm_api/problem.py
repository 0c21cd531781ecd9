"""Problem: a reason, a cause and a remedy, and the one way to write them as sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trtllm_api.reasons import Reason

_PLAIN_WORD = re.compile(r"[a-z]+(?:[ ,:;']|$)")
"""A first word that can take a capital letter, unlike a field's path, a flag, a file or a number."""


@dataclass(frozen=True)
class Problem:
    """Something that stops or threatens the work."""

    reason: Reason
    message: str
    """The cause, with its numbers."""
    remedy: str = ""
    """Remedy: a change that would work; empty if none is known."""

    @property
    def sentence(self) -> str:
        """Cause and remedy as conditions, Events and the command line show them."""
        return " ".join(filter(None, (as_sentence(self.message), as_sentence(self.remedy))))


def as_sentence(text: str) -> str:
    """The text with a capital letter and a full stop; a first word that is a name keeps its spelling."""
    text = text.strip()
    if not text:
        return ""
    if _PLAIN_WORD.match(text):
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
