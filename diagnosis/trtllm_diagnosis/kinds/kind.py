"""The shape of one kind of failure; devices.py and surroundings.py are made of them, hints.py reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from trtllm_api.reasons import Reason
from trtllm_diagnosis.bounded import compiled

REFUSES: Final = (
    r"(?:not (?:yet )?(?:be )?(?:support|implement|allow|recogni)|unsupport|unknown|unrecogni|invalid|cannot"
    r"|not an? (?:known|valid|supported)|not (?:one of|among))"
)
"""How a program says that it does not take something."""


@dataclass(frozen=True)
class Hint:
    """A kind of failure, and the words that all have to be in the error."""

    reason: Reason
    about: str
    """Ends the sentence "the error is about"."""
    words: tuple[str, ...]
    """Expressions; case is ignored."""
    remedy: str

    @cached_property
    def expressions(self) -> tuple[re.Pattern[str], ...]:
        """The compiled words."""
        return tuple(compiled(word) for word in self.words)
