"""A layered layout of an acyclic graph: where its boxes lie, and the ways of its edges.

Boxes stand in layers, each behind everything that it depends on. An edge over several layers is
given a place in each. The order within the layers is improved by sweeps of medians, and places
along a layer by moving boxes towards their neighbours.

Source    Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
          structures", 1981; medians: Gansner et al., "A technique for drawing directed graphs",
          1993.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

_SWEEPS = 12
_LIGHT = 0.001  # the weight of boxes without sources


@dataclass
class Item:
    """A box, or (where `box` is None) the passage of an edge through a layer."""

    size: float  # along the layer
    layer: int
    box: int | None = None
    weight: float = 1.0  # how much its wishes count against those of its neighbours
    before: list[Item] = field(default_factory=list, repr=False)
    after: list[Item] = field(default_factory=list, repr=False)
    place: float = 0.0  # of its middle, along the layer
    depth: float = 0.0  # of its layer's middle, across the layers; set when it is drawn
    half: float = 0.0  # half the thickness of its layer


@dataclass
class Layout:
    """Layers of items in order; for each edge (source, target), the items that it passes."""

    layers: list[list[Item]]
    boxes: list[Item]
    passages: dict[tuple[int, int], list[Item]]


def layered(sizes: Sequence[float], sources: Sequence[Sequence[int]], gap: float) -> Layout:
    """A layout of boxes of these sizes; `sources[i]` are the boxes with an edge to box i.

    Boxes are numbered in an order in which every edge goes upwards. Boxes without sources make
    room for the others, so that chains come out straight.
    """
    numbers = _layer_numbers(sources)
    boxes = [
        Item(size, layer, i, 1.0 if found else _LIGHT)
        for i, (size, layer, found) in enumerate(zip(sizes, numbers, sources, strict=True))
    ]
    layers: list[list[Item]] = [[] for _ in range(max(numbers, default=-1) + 1)]
    for box in boxes:
        layers[box.layer].append(box)
    passages = {}
    for target, found in enumerate(sources):
        for source in dict.fromkeys(found):
            passages[source, target] = _connect(boxes[source], boxes[target], layers)
    for sweep in range(_SWEEPS):
        _order(layers, downwards=sweep % 2 == 0)
    _spread(layers, gap)
    return Layout(layers, boxes, passages)


def _layer_numbers(sources: Sequence[Sequence[int]]) -> list[int]:
    """Each box one layer behind its last source; those without before their first reader."""
    numbers: list[int] = []
    for found in sources:
        numbers.append(max((numbers[s] + 1 for s in found), default=0))
    readers: dict[int, list[int]] = {}
    for target, found in enumerate(sources):
        for source in found:
            readers.setdefault(source, []).append(target)
    for i, found in enumerate(sources):
        if not found and i in readers:
            numbers[i] = min(numbers[r] for r in readers[i]) - 1
    lowest = min(numbers, default=0)
    return [n - lowest for n in numbers]


def _connect(source: Item, target: Item, layers: list[list[Item]]) -> list[Item]:
    """Passages of an edge through the layers between its ends."""
    way, last = [], source
    for layer in range(source.layer + 1, target.layer):
        item = Item(0.0, layer)
        layers[layer].append(item)
        way.append(item)
        last.after.append(item)
        item.before.append(last)
        last = item
    last.after.append(target)
    target.before.append(last)
    return way


def _order(layers: list[list[Item]], downwards: bool) -> None:
    """One sweep: each layer sorted by the medians of its neighbours' positions."""
    order = layers if downwards else layers[::-1]
    for fixed, free in pairwise(order):
        position = {id(item): i for i, item in enumerate(fixed)}
        medians = {}
        for i, item in enumerate(free):
            neighbours = item.before if downwards else item.after
            found = [position[id(n)] for n in neighbours if id(n) in position]
            medians[id(item)] = median(found) if found else float(i)
        free.sort(key=lambda item, medians=medians: medians[id(item)])  # type: ignore[misc]


def _spread(layers: list[list[Item]], gap: float) -> None:
    """Places along the layers: packed, then moved towards the neighbours' mean, without overlap."""
    for layer in layers:
        edge = 0.0
        for item in layer:
            item.place = edge + item.size / 2
            edge += item.size + gap
        middle = (edge - gap) / 2
        for item in layer:
            item.place -= middle
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else layers[::-1]:
            wishes = [_wish(item, sweep) for item in layer]
            _settle(layer, wishes, gap)


def _wish(item: Item, sweep: int) -> float:
    neighbours = item.before if sweep % 2 == 0 else item.after
    neighbours = neighbours or item.before or item.after
    if not neighbours:
        return item.place
    return sum(n.weight * n.place for n in neighbours) / sum(n.weight for n in neighbours)


def _settle(layer: list[Item], wishes: list[float], gap: float) -> None:
    """Places nearest to the wishes, in order and apart: pooled averages of blocks that collide."""
    blocks: list[tuple[float, float, int]] = []  # weighted sum of offsets, weight, count
    offsets, total = [], 0.0
    for i, item in enumerate(layer):
        if i:
            total += (layer[i - 1].size + item.size) / 2 + gap
        offsets.append(total)
    for item, wish, offset in zip(layer, wishes, offsets, strict=True):
        blocks.append((item.weight * (wish - offset), item.weight, 1))
        while len(blocks) > 1 and _mean(blocks[-2]) > _mean(blocks[-1]):
            total_2, weight_2, count_2 = blocks.pop()
            total_1, weight_1, count_1 = blocks.pop()
            blocks.append((total_1 + total_2, weight_1 + weight_2, count_1 + count_2))
    places = [_mean(block) for block in blocks for _ in range(block[2])]
    for item, place, offset in zip(layer, places, offsets, strict=True):
        item.place = place + offset


def _mean(block: tuple[float, float, int]) -> float:
    return block[0] / block[1]
