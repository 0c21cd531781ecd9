"""Explains a refused candidate: the layers, and the kinds of linear layers, that cause its divergence.

Each layer and each kind is given the source's weights alone, on one window: layers + kinds forward passes, not
layers x kinds, and the layers before it are not computed again (beginning.py). Its share is the part of the KL
divergence that disappears. Errors of parts interact, so shares need not add up to 1.
"""

from __future__ import annotations

import math
import time

from trtllm_builder.quantize.beginning import Beginning
from trtllm_builder.quantize.candidate import Bench
from trtllm_builder.quantize.cells import groups
from trtllm_builder.quantize.evaluation import Reference, measure
from trtllm_builder.quantize.findings import Explanation
from trtllm_builder.quantize.restoring import Restorable
from trtllm_builder.quantize.windows import Windows

_LEAST_DIVERGENCE = 1e-6
"""KL divergence below which rounding is the only cause."""


def explain(bench: Bench, candidate: Restorable, tokens: int) -> Explanation | None:
    """Explanation from the first `tokens` tokens of the first window: differences on the same text need few tokens.

    None if nothing can be restored, or if there is no divergence to explain.
    """
    if bench.reference is None:
        raise ValueError("the source is measured first")
    started = time.monotonic()
    layers, kinds = groups(candidate.cells)
    window, reference = _first(bench.evaluation, bench.reference, tokens)
    tokens = window.rows.numel()

    beginning = Beginning(candidate.model, [name for cell in candidate.cells for name in cell.modules])

    with bench.progress.step("Explaining", (2 + len(layers) + len(kinds)) * tokens, "tokens") as step:

        def divergence() -> float:
            return measure(candidate.model, window, reference, step).kl_divergence

        candidate.restore(())
        with beginning.recorded():
            whole = divergence()
        if not candidate.cells or not math.isfinite(whole) or whole < _LEAST_DIVERGENCE:
            return None
        beginning.keep_if_true(whole, divergence)
        shares: list[dict[str, float]] = []
        for modules in (layers, kinds):
            found = {}
            for name, members in modules.items():
                step.advance(0, f"{name} in full precision")
                candidate.restore(members)
                with beginning.left_out(beginning.first_of(members)):
                    left = divergence()
                found[name] = round((whole - left) / whole, 4) if math.isfinite(left) else 0.0
            shares.append(found)
    return Explanation(whole, tokens, shares[0], shares[1], time.monotonic() - started)


def _first(windows: Windows, reference: Reference, tokens: int) -> tuple[Windows, Reference]:
    """Beginning of the first window, with the source's predictions, which do not depend on later tokens."""
    rows = windows.rows[:1, :tokens]
    predicted = rows.shape[1] - 1
    return (
        Windows(windows.name, windows.digest, rows),
        Reference(reference.tokens[:1, :predicted], reference.log_probabilities[:1, :predicted], reference.perplexity),
    )
