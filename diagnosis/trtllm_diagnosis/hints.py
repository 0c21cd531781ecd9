"""Topic of an error that no entry of the catalogue knows, by its words alone; used last.

An entry names a failure; a hint names its kind, and says that it is inferred.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from trtllm_diagnosis.entry import diagnosis
from trtllm_diagnosis.kinds import HINTS
from trtllm_diagnosis.model import Certainty, Diagnosis, shorten

_PATHS: Final = re.compile(r"(?:[A-Za-z]:)?(?<![\w.*])/(?!dev/shm)[\w.+@-]+(?:/[\w.+@-]+)+(?::\d+)?|\b0x[0-9a-f]+\b")
"""Files and addresses: their names say where, not why."""
_BARE: Final = re.compile(r"^[\w.]*(?:Error|Exception|Failure)?:?\s*$")
"""An exception without a message: only the line that raised it tells."""
_BUG: Final = re.compile(
    r"^[\w.]*(?:TypeError|AttributeError|IndexError|UnboundLocalError|NameError)\b|values? to unpack|index out of range"
)
"""Words of any mistake in a program; its words name variables, not causes."""


def is_bug(text: str) -> bool:
    """Whether it is what any mistake in a program says."""
    return _BUG.search(text) is not None


def hint(text: str, source: str, line: int) -> Diagnosis | None:
    """The kind of an unknown error; source is the line of the program that raised it, where a traceback has it."""
    if is_bug(text):
        return None
    words = _PATHS.sub(" ", f"{text}\n{source}" if _BARE.search(text) else text)
    for known in HINTS:
        if all(expression.search(words) for expression in known.expressions):
            message = f"the error is about {known.about}: {shorten(text, 300)}"
            found = diagnosis(
                f"like{known.reason.value}",
                known.reason,
                Certainty.LIKELY,
                message,
                known.remedy,
                evidence=text,
                line=line,
            )
            return replace(found, guessed=True)
    return None
