"""Texts as rows of token ids, for calibration and for evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from trtllm_builder.datasets import Purpose, TextSet, unusable


@dataclass(frozen=True)
class Windows:
    """Rows of token ids, int64 [count, length], and the identity of their text."""

    name: str
    digest: str
    rows: torch.Tensor

    @property
    def identity(self) -> dict[str, object]:
        """Identity for artifact digests and reports: equal identities mean equal rows."""
        return {"texts": self.digest, "windows": list(self.rows.shape)}

    def batches(self, size: int, device: str) -> list[torch.Tensor]:
        """Rows on the device, `size` at a time."""
        return [part.to(device) for part in torch.split(self.rows, size)]


def cut(texts: TextSet, tokenizer: Any, *, count: int, length: int, purpose: Purpose) -> Windows:
    """`count` rows of `length` tokens from the texts, in their order.

    Rows of the builder's own texts may overlap. A user's dataset must have enough tokens without overlap, so that its
    measurements are meaningful; otherwise raises DatasetUnusable with both counts.
    """
    ids: list[int] = []
    separator = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    for text in texts.texts:
        ids += [*tokenizer(text, add_special_tokens=False)["input_ids"], *separator]
        if not texts.own and len(ids) >= count * length:
            break
    if len(ids) < length or (not texts.own and len(ids) < count * length):
        field = "calibration.samples" if purpose == "calibration" else "quality.evaluation.tokens"
        raise unusable(
            f"The {purpose} dataset {texts.name} has {len(ids)} tokens, but {count} x {length} = {count * length} are "
            "needed.",
            f"Lower spec.{field} or {field.rpartition('.')[0]}.sequenceLength, or add text to the dataset.",
        )
    spread = (len(ids) - length) / max(1, count - 1)
    starts = [round(index * min(float(length), spread)) for index in range(count)]
    rows = torch.tensor([ids[start : start + length] for start in starts], dtype=torch.int64)
    return Windows(texts.name, texts.digest, rows)
