"""Why the gate refused a candidate: which layers, and which kinds of linear layers, cause its divergence.

refusals.py calls it. Each is given the source's weights by itself, on one window: layers + kinds forward passes, not
layers x kinds, and what lies before the layer is not computed again (beginning.py). What goes away of the KL divergence
is its share; shares of what errs together need not add up to 1.
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
"""Below it, rounding is all that there is to explain."""


def explain(bench: Bench, candidate: Restorable, tokens: int) -> Explanation | None:
    """On the first window's beginning, at most `tokens`: shares are of differences on the same text, which few tell.

    None where there is nothing that could be restored, or no divergence that could be shared out.
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
    """The beginning of the first window: what the source predicts there does not depend on what follows."""
    rows = windows.rows[:1, :tokens]
    predicted = rows.shape[1] - 1
    return (
        Windows(windows.name, windows.digest, rows),
        Reference(reference.tokens[:1, :predicted], reference.log_probabilities[:1, :predicted], reference.perplexity),
    )
