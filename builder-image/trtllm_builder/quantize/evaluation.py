"""Measures a model on held-out windows against the source model's predictions there.

The source's predictions are stored as its most likely tokens and the total probability of all others. The KL divergence
over them is never more than the true one: only the divergence among the others is missing. Memory and disk use stay
bounded for any vocabulary.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from trtllm_builder.progress import Step
from trtllm_builder.quantize.windows import Windows

TOP = 1024
"""Tokens that are stored for each position."""
_POSITIONS = 64
"""Positions whose full distributions are in memory at the same time."""


@dataclass(frozen=True)
class Reference:
    """Predictions of the source model, [windows, length - 1, TOP], and its perplexity."""

    tokens: torch.Tensor
    log_probabilities: torch.Tensor
    perplexity: float

    def save(self, path: Path) -> None:
        """Write the predictions for a later pod."""
        unfinished = path.with_suffix(".unfinished")
        save_file(
            {"tokens": self.tokens, "log_probabilities": self.log_probabilities},
            unfinished,
            {"perplexity": repr(self.perplexity)},
        )
        unfinished.rename(path)

    @classmethod
    def load(cls, path: Path) -> Reference | None:
        """Predictions that an earlier pod wrote; None if there are none."""
        if not path.exists():
            return None
        from safetensors import safe_open

        with safe_open(path, framework="pt") as file:
            perplexity = float(file.metadata()["perplexity"])
        tensors = load_file(path)
        return cls(tensors["tokens"], tensors["log_probabilities"], perplexity)


@dataclass(frozen=True)
class Scores:
    """Means over all predicted positions; the divergence is in nats."""

    perplexity: float
    kl_divergence: float
    top_token_agreement: float


def measure_source(model: Any, windows: Windows, step: Step) -> Reference:
    """Perplexity and predictions of the source model."""
    tokens, chosen, loss = [], [], 0.0
    top = min(TOP, model.config.get_text_config().vocab_size)
    with torch.inference_mode():
        for row in windows.rows:
            logits = _logits(model, row)
            labels = row[1:].to(logits.device)
            kept_tokens, kept = [], []
            for start in range(0, len(labels), _POSITIONS):
                log_p = logits[start : start + _POSITIONS].float().log_softmax(-1)
                loss -= float(log_p.gather(1, labels[start : start + _POSITIONS, None]).double().sum())
                best = log_p.topk(top, dim=-1)
                kept_tokens.append(best.indices.to("cpu", torch.int32))
                kept.append(best.values.cpu())
            tokens.append(torch.cat(kept_tokens))
            chosen.append(torch.cat(kept))
            step.advance(row.numel())
    return Reference(torch.stack(tokens), torch.stack(chosen), _perplexity(loss, windows))


def measure(model: Any, windows: Windows, reference: Reference, step: Step) -> Scores:
    """Scores of an artifact, from a comparison of every position."""
    loss, divergence, agreed = 0.0, 0.0, 0
    with torch.inference_mode():
        for index, row in enumerate(windows.rows):
            logits = _logits(model, row)
            labels = row[1:].to(logits.device)
            for start in range(0, len(labels), _POSITIONS):
                end = min(start + _POSITIONS, len(labels))
                log_q = logits[start:end].float().log_softmax(-1)
                loss -= float(log_q.gather(1, labels[start:end, None]).double().sum())
                top = reference.tokens[index, start:end].to(log_q.device).long()
                log_p = reference.log_probabilities[index, start:end].to(log_q.device)
                divergence += float(_divergence(log_p, log_q.gather(1, top)).double().sum())
                agreed += int((log_q.argmax(-1) == top[:, 0]).sum())
            step.advance(row.numel())
    predicted = windows.rows.shape[0] * (windows.rows.shape[1] - 1)
    return Scores(_perplexity(loss, windows), max(0.0, divergence / predicted), agreed / predicted)


def _divergence(log_p: torch.Tensor, log_q: torch.Tensor) -> torch.Tensor:
    """KL divergence over the stored tokens and one class for all others: [positions]."""
    p = log_p.exp()
    rest_p = (1 - p.sum(-1)).clamp(min=0)
    rest_q = (1 - log_q.exp().sum(-1)).clamp(min=1e-12)
    kept = (p * (log_p - log_q)).sum(-1)
    return kept + torch.where(rest_p > 0, rest_p * (rest_p.clamp(min=1e-12).log() - rest_q.log()), rest_p)


def _logits(model: Any, row: torch.Tensor) -> torch.Tensor:
    """Predictions of every token but the first: [length - 1, vocabulary]."""
    logits: torch.Tensor = model(row[None].to(model.device), use_cache=False).logits[0, :-1]
    return logits


def _perplexity(loss: float, windows: Windows) -> float:
    mean = loss / (windows.rows.shape[0] * (windows.rows.shape[1] - 1))
    return math.exp(mean) if mean < 700 else math.inf
