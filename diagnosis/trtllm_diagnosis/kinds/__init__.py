"""The kinds of failure that an unknown error is placed in by its words, in the order in which hints.py asks them."""

from __future__ import annotations

from typing import Final

from trtllm_diagnosis.kinds.devices import DEVICES
from trtllm_diagnosis.kinds.kind import Hint
from trtllm_diagnosis.kinds.surroundings import SURROUNDINGS
from trtllm_diagnosis.kinds.topics import TOPICS

HINTS: Final[tuple[Hint, ...]] = (*DEVICES, *SURROUNDINGS, *TOPICS)
"""Memory and division before what only names a part of the program, and mere topics last."""
