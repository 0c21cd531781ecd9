"""Chooses the parts of a model that stay in full precision: layers x kinds of linear layers. Pure.

A cell holds the linear layers that a runtime needs quantized alike: those of one kind in one decoder layer. Layers that
the runtime fuses are one kind, and so are all experts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

MAX_PATTERN_CHARACTERS = 800
"""Most characters of all patterns of a proposal, which must fit into a termination message of 4096 bytes."""
_LAYER = re.compile(r"(?P<stack>(?:.*?\.)?(?P<list>[A-Za-z_]\w*))\.(?P<number>\d+)\.(?P<rest>.+)")
_EXPERTS = re.compile(r"(?P<holder>(?:.+\.)?experts)\.\d+\..+")
_FUSED = {**dict.fromkeys(("q_proj", "k_proj", "v_proj"), "qkv"), **dict.fromkeys(("gate_proj", "up_proj"), "gate_up")}


@dataclass(frozen=True, eq=False)
class Cell:
    """One kind of linear layers in one decoder layer."""

    layer: str
    """Name of the layer in patterns, such as layers.3."""
    kind: str
    """Kind of the linear layers, such as mlp.down_proj, self_attn.qkv or mlp.experts."""
    modules: tuple[str, ...]
    names: tuple[str, ...]
    """Names of the modules inside the layer, as in patterns; empty if the module is the layer itself."""
    bytes: int
    """Bytes that the cell adds to the artifact in full precision."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """Patterns that match this cell only."""
        return tuple(f"{self.layer}.{name}" for name in self.names) or (self.layer,)


def cells_of(modules: Mapping[str, int]) -> tuple[Cell, ...]:
    """The cells of quantized modules, each with the bytes that its full precision adds; in the modules' order."""
    found = {name: _LAYER.fullmatch(name) for name in modules}
    stacks = {match["stack"] for match in found.values() if match}
    nested = any(match and f".{match['list']}." in f".{match['rest']}" for match in found.values())
    held: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for name, match in found.items():
        if match is None:
            held.setdefault((name, name), []).append((name, ""))
            continue
        # with one list of layers the short name matches the same modules
        start = match["list"] if len(stacks) == 1 and not nested else match["stack"]
        kind, below = _kind(match["rest"])
        held.setdefault((f"{start}.{match['number']}", kind), []).append((name, below))
    return tuple(
        Cell(
            layer=layer,
            kind=kind,
            modules=tuple(name for name, _ in members),
            names=tuple(dict.fromkeys(below for _, below in members if below)),
            bytes=sum(modules[name] for name, _ in members),
        )
        for (layer, kind), members in held.items()
    )


def _kind(rest: str) -> tuple[str, str]:
    """The kind of a module below its layer, and its name in a pattern."""
    expert = _EXPERTS.fullmatch(rest)
    if expert:
        return expert["holder"], f"{expert['holder']}.*"
    parent, dot, last = rest.rpartition(".")
    return f"{parent}{dot}{_FUSED.get(last, last)}", rest


def groups(cells: Iterable[Cell]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The modules of every layer, and of every kind."""
    layers: dict[str, list[str]] = {}
    kinds: dict[str, list[str]] = {}
    for cell in cells:
        layers.setdefault(cell.layer, []).extend(cell.modules)
        kinds.setdefault(cell.kind, []).extend(cell.modules)
    return layers, kinds


def ordered(cells: Sequence[Cell], layers: Mapping[str, float], kinds: Mapping[str, float]) -> tuple[Cell, ...]:
    """The cells by gain per byte, largest first. The gain is the layer's share times the kind's share, if positive."""

    def worth(cell: Cell) -> tuple[float, float]:
        layer, kind = max(0.0, layers.get(cell.layer, 0.0)), max(0.0, kinds.get(cell.kind, 0.0))
        price = max(1, cell.bytes)
        return layer * kind / price, (layer + kind) / price

    return tuple(sorted(cells, key=worth, reverse=True))


def patterns_of(chosen: Iterable[Cell], cells: Sequence[Cell]) -> tuple[str, ...]:
    """Patterns for excludeModules that match exactly the chosen cells: whole kinds, then whole layers, then others."""
    left = list(chosen)
    sizes = Counter(cell.kind for cell in cells), Counter(cell.layer for cell in cells)
    kinds, layers = Counter(cell.kind for cell in left), Counter(cell.layer for cell in left)
    several = len(sizes[1]) > 1
    found: list[str] = []
    for kind in kinds:
        if kinds[kind] == sizes[0][kind] and several and sizes[0][kind] > 1:
            found += dict.fromkeys(f"*.{name}" for cell in left if cell.kind == kind for name in cell.names)
            left = [cell for cell in left if cell.kind != kind]
    for cell in left:
        whole = layers[cell.layer] == sizes[1][cell.layer]
        found += [cell.layer] if whole else cell.patterns
    return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Mix:
    """Cells that stay in full precision together, and the patterns that match them."""

    cells: tuple[Cell, ...]
    patterns: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """Bytes that the cells add to the artifact."""
        return sum(cell.bytes for cell in self.cells)


def mix_of(order: Sequence[Cell], count: int, room: int) -> Mix | None:
    """The first `count` of all cells in at most `room` patterns. If that needs too many patterns, cells are added.

    None if all cells would be added, or if adding cells does not reduce the patterns.
    """
    held = dict.fromkeys(order[:count])
    while len(held) < len(order):
        patterns = patterns_of(held, order)
        if len(patterns) <= room and sum(len(pattern) + 3 for pattern in patterns) <= MAX_PATTERN_CHARACTERS:
            return Mix(tuple(held), patterns)
        added = _widening(held, order)
        if not added:
            return None
        held |= dict.fromkeys(added)
    return None


def _widening(held: Collection[Cell], cells: Sequence[Cell]) -> list[Cell]:
    """Missing cells of the layer or kind that saves the most patterns per byte; empty if none saves any."""
    missing: dict[str, list[Cell]] = {}
    for cell in cells:
        if cell not in held:
            for name in (cell.layer, cell.kind):
                missing.setdefault(name, []).append(cell)
    saved, needed = Counter[str](), dict[str, int]()
    for cell in held:
        if cell.layer in missing and cell.kind in missing:
            saved.update(dict.fromkeys((cell.layer, cell.kind), len(cell.patterns)))
            needed |= {cell.layer: 1, cell.kind: len(cell.names) or 1}
    worth = {
        name: (number - needed[name]) / max(1, sum(cell.bytes for cell in missing[name]))
        for name, number in saved.items()
        if number > needed[name]
    }
    return missing[max(worth, key=lambda name: worth[name])] if worth else []


def smallest(count: int, passes: Callable[[int], bool]) -> int | None:
    """The smallest number from 1 to `count` that passes, by bisection: larger numbers than it are assumed to pass."""
    low, high, known = 0, count, False
    while high - low > 1:
        middle = (low + high) // 2
        if passes(middle):
            high, known = middle, True
        else:
            low = middle
    return high if count and (known or passes(high)) else None
