"""From logits to the next token; generation.py calls it for every step."""

from __future__ import annotations

import torch

_GREEDY_BELOW = 1e-5
"""Dividing by less than this would overflow, and means the same."""


def penalized(logits: torch.Tensor, seen: torch.Tensor, penalty: float) -> torch.Tensor:
    """The logits with the model's repetition penalty for every token of prompt and answer, as transformers does it."""
    if penalty == 1.0:
        return logits
    scores = logits.gather(1, seen)
    return logits.scatter(1, seen, torch.where(scores < 0, scores * penalty, scores / penalty))


def pick(logits: torch.Tensor, temperature: float, top_p: float, generator: torch.Generator) -> int:
    """The likeliest token, or one drawn from the likeliest that make up `top_p`."""
    if temperature < _GREEDY_BELOW:
        return int(logits.argmax())
    probabilities = torch.softmax(logits[0] / temperature, dim=-1)
    if top_p < 1:
        ordered, order = probabilities.sort(descending=True)
        # The token that crosses the threshold stays, so at least one is left.
        ordered[ordered.cumsum(-1) - ordered >= top_p] = 0
        probabilities = torch.zeros_like(probabilities).scatter(0, order, ordered)
    return int(torch.multinomial(probabilities, 1, generator=generator))
