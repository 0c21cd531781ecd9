"""Chooses the next token from logits."""

from __future__ import annotations

import torch

_GREEDY_BELOW = 1e-5
"""Smallest temperature. Division by a smaller one would overflow, and gives the same tokens."""


def penalized(logits: torch.Tensor, seen: torch.Tensor, penalty: float) -> torch.Tensor:
    """Logits with the model's repetition penalty for every token of prompt and answer, as in transformers."""
    if penalty == 1.0:
        return logits
    scores = logits.gather(1, seen)
    return logits.scatter(1, seen, torch.where(scores < 0, scores * penalty, scores / penalty))


def pick(logits: torch.Tensor, temperature: float, top_p: float, generator: torch.Generator) -> int:
    """The most likely token, or a sample from the most likely tokens that make up `top_p`."""
    if temperature < _GREEDY_BELOW:
        return int(logits.argmax())
    probabilities = torch.softmax(logits[0] / temperature, dim=-1)
    if top_p < 1:
        ordered, order = probabilities.sort(descending=True)
        # the token that crosses the threshold is kept, so at least one remains
        ordered[ordered.cumsum(-1) - ordered >= top_p] = 0
        probabilities = torch.zeros_like(probabilities).scatter(0, order, ordered)
    return int(torch.multinomial(probabilities, 1, generator=generator))
