"""docs/reasons.md has every reason once, with its meaning."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from trtllm_api.reason_docs import GROUPS, meanings
from trtllm_api.reasons import Reason

PAGE = Path(__file__).parents[3] / "docs" / "reasons.md"


def test_every_reason_is_in_one_group() -> None:
    times = Counter(reason for group in GROUPS for reason in group.reasons)
    assert [reason for reason in Reason if times[reason] != 1] == []


def test_every_reason_has_a_meaning_that_is_a_sentence() -> None:
    told = meanings()
    assert [reason for reason in Reason if not told.get(reason, "").endswith(".")] == []


def test_the_page_has_a_row_for_each() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+\. \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(Reason)
