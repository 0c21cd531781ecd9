"""Linear layers of a model, folded into few shapes: as many as a status and a termination message have room for."""

from __future__ import annotations

import json
from collections import Counter

from trtllm_api.facts import LinearShape

MOST_SHAPES = 24
MOST_BYTES = 2100
"""Shapes kept, the heaviest first: a BuildResult must fit 4096 bytes."""

Shape = tuple[str, int, int, str | None]
"""Name, output features, input features, and the format where it is not the checkpoint's."""


def folded(counts: Counter[Shape]) -> tuple[tuple[LinearShape, ...], int]:
    """The heaviest shapes by name, and how many numbers all others have."""
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
    """Weights in all layers of a shape."""
    return shape.out_features * shape.in_features * shape.count
