"""Linear layers of a model as few shapes: as many as a status and a termination message have room for."""

from __future__ import annotations

import json
from collections import Counter

from trtllm_api.facts import LinearShape

MOST_SHAPES = 24
MOST_BYTES = 2100
"""Bytes of JSON for the shapes that are kept, because a BuildResult must fit 4096 bytes."""

Shape = tuple[str, int, int, str | None]
"""Name, output features, input features, and the format if it is not the checkpoint's."""


def folded(counts: Counter[Shape]) -> tuple[tuple[LinearShape, ...], int]:
    """The largest shapes, sorted by name, and the number of weights in all others."""
    shapes = [
        LinearShape(name=name, out_features=out, in_features=inner, count=count, algorithm=algorithm)
        for (name, out, inner, algorithm), count in counts.items()
    ]
    shapes.sort(key=numbers, reverse=True)
    kept, room = 0, MOST_BYTES
    for shape in shapes[:MOST_SHAPES]:
        room -= len(json.dumps(shape.to_wire()))
        if room < 0:
            break
        kept += 1
    first = sorted(shapes[:kept], key=lambda shape: (shape.name, shape.out_features, shape.in_features))
    return tuple(first), sum(map(numbers, shapes[kept:]))


def numbers(shape: LinearShape) -> int:
    """Number of weights in all layers of a shape."""
    return shape.out_features * shape.in_features * shape.count
