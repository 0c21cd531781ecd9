"""How a program says that something went wrong, whatever it was; scan.py asks for the first such line."""

from __future__ import annotations

import re
from typing import Final

ERROR_LINE: Final = re.compile(
    r"\[(?:E|F|ERROR|FATAL|CRITICAL)\]|\w Error\]\[|(?<![\w-])(?:ERROR|FATAL|CRITICAL)(?![\w-])|\bwhat\(\):"
    r"|Assertion failed"
    r"|\b(?:[Ee]rror|[Ff]atal)(?: \w+)?:|\w(?:Error|Exception):|\bexceptions?\.[A-Z]\w+:|^panic:"
)
"""It calls it an error."""
ASSERTION: Final = re.compile(r"\bwhat\(\):|Assertion failed")
PLAIN: Final = re.compile(
    r"\b(?:failed|cannot|can't|could not|couldn't|unable to|refused|denied|not found|not enough"
    r"|no \w+ could|too (?:few|small|large|long|old))\b",
    re.IGNORECASE,
)
"""It says in plain words that something did not work."""
FIRST_WORDS: Final = (
    *("error", "fatal", "what():", "assertion failed", "[e]", "critical", "panic:", "exception"),
    *("failed", "cannot", "can't", "could", "unable to", "refused", "denied", "not found", "not enough", "too "),
)
"""One of them, in lower case, is in every line that says either."""
