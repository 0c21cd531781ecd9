"""Reads untrusted JSON, with limits on its size and depth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

MAX_BYTES: Final = 16 * 2**20
"""Size of the largest file that is read. The largest known config.json has less than 2 MB."""
MAX_DEPTH: Final = 64
"""Most levels of objects and lists. Published models have less than 10."""


def read_object(path: Path, most: int = MAX_BYTES) -> dict[str, Any]:
    """JSON object in a file; raises ValueError with a clause about its fault."""
    size = path.stat().st_size
    if size > most:
        raise ValueError(f"it has {size} bytes, more than the limit of {most}")
    return parse_object(path.read_bytes())


def parse_object(text: bytes) -> dict[str, Any]:
    """JSON object in a text; raises ValueError with a clause about its fault."""
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON ({error})") from error
    except ValueError as error:
        raise ValueError("it has a number of more than 4300 digits") from error
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 - every fault of a text is a ValueError
    _check_depth(value)
    return value


_TOO_DEEP: Final = f"it has more than {MAX_DEPTH} levels of objects and lists"


def _check_depth(value: dict[str, Any]) -> None:
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for holder in level
            for item in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(item, dict | list)
        ]
        if not level:
            return
    raise ValueError(_TOO_DEEP)
