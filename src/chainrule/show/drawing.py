"""A computation graph as SVG text: boxes with value and adjoint, edges with local derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from chainrule.show.layers import Item, Layout, layered
from chainrule.show.nodes import Node, summary

_MOST_ACROSS = 8  # layers that are drawn from left to right; more go from top to bottom
_CHARACTER = 7.3  # width of a monospaced character at 12 px
_SMALL = 6.6  # at 11 px
_LINE = 17.0
_PADDING = 11.0
_MARGIN = 24.0
_SIDE_BY_SIDE = 22.0  # between boxes of one layer
_HEADER = 34.0
_LEGEND = 34.0

VALUE, ADJOINT, EDGE, TEXT, MUTED = "#1d4ed8", "#c2410c", "#94a3b8", "#0f172a", "#64748b"
_FILLS = {
    "input": ("#ecfdf5", "#059669"), "constant": ("#f1f5f9", "#94a3b8"),
    "operation": ("#ffffff", "#cbd5e1"), "group": ("#fafaf9", "#a8a29e"),
    "result": ("#eff6ff", "#2563eb"),
}  # fmt: skip
_FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"


@dataclass
class _Box:
    """The lines of text of one node, and its size."""

    node: Node
    lines: list[tuple[str, str, bool]]  # text, colour, bold
    width: float
    height: float
    x: float = 0.0  # of the middle
    y: float = 0.0


def draw(
    title: str, subtitle: str, nodes: Sequence[Node], slopes: dict[tuple[int, int], str],
    has_adjoints: bool,
) -> str:  # fmt: skip
    """The whole drawing. `slopes` are the local derivatives of edges (source, target), as texts."""
    boxes = [_box(node) for node in nodes]
    sources = [node.sources for node in nodes]
    across = _depth(sources) <= _MOST_ACROSS
    sizes = [b.height if across else b.width for b in boxes]
    layout = layered(sizes, sources, _SIDE_BY_SIDE)
    width, height = _place(boxes, layout, across, bool(slopes))
    legend = _legend_words(has_adjoints, bool(slopes))
    width = max(
        width, _text_width(title) + _SMALL * len(subtitle) + 80,
        sum(_SMALL * len(text) + 26 for text, _ in legend) + 2 * _MARGIN,
    )  # fmt: skip
    widest = max((b.x + b.width / 2 for b in boxes), default=0.0) + _MARGIN
    shift = max(0.0, (width - widest) / 2) if boxes else 0.0
    body = [_edge(boxes, way, edge, slopes, across) for edge, way in layout.passages.items()]
    body += [_slope(boxes, layout.passages[edge], edge, text, across)
             for edge, text in slopes.items()]  # fmt: skip
    body += [_draw_box(box) for box in boxes]
    total = height + _HEADER + _LEGEND
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{total:.0f}" '
        f'viewBox="0 0 {width:.0f} {total:.0f}" font-family="{_FONT}">',
        f'<rect width="{width:.0f}" height="{total:.0f}" fill="#ffffff"/>',
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0,0.8 L7.2,4 L0,7.2 z" fill="{EDGE}"/>'
        "</marker></defs>",
        _header(title, subtitle),
        f'<g transform="translate({shift:.0f} {_HEADER:.0f})">', *body, "</g>",
        _legend(total, legend), "</svg>",
    ]) + "\n"  # fmt: skip


def _depth(sources) -> int:
    depth: list[int] = []
    for found in sources:
        depth.append(max((depth[s] + 1 for s in found), default=1))
    return max(depth, default=0)


def _text_width(text: str) -> float:
    return len(text) * _CHARACTER


def _shortened(text: str, most: int = 42) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _box(node: Node) -> _Box:
    lines = [(_shortened(node.title), TEXT, True)]
    if node.note:
        lines.append((_shortened(node.note), MUTED, False))
    several_inputs = bool(node.note) and not node.sources
    value = summary(node.value, with_shape=not several_inputs)
    adjoint = summary(node.adjoint, with_shape=False)
    if value:
        lines.append((value, VALUE, False))
    if adjoint:
        lines.append((adjoint, ADJOINT, False))
    widths = [len(text) * (_CHARACTER if bold else _SMALL) for text, _, bold in lines]
    return _Box(node, lines, max(widths) + 2 * _PADDING, len(lines) * _LINE + _PADDING)


def _place(boxes: list[_Box], layout: Layout, across: bool, has_slopes: bool):
    """Give every box its middle; returns the size of the drawing without header and legend."""
    between = (86.0 if has_slopes else 52.0) if across else (50.0 if has_slopes else 40.0)
    depth = _MARGIN
    for layer in layout.layers:
        thick = [boxes[i.box].width if across else boxes[i.box].height
                 for i in layer if i.box is not None]  # fmt: skip
        size = max(thick, default=0.0)
        for item in layer:
            item.depth, item.half = depth + size / 2, size / 2
        depth += size + between
    items = [item for layer in layout.layers for item in layer]
    lowest = min((i.place - i.size / 2 for i in items), default=0.0)
    for item in items:
        item.place += _MARGIN - lowest
    breadth = max((i.place + i.size / 2 for i in items), default=0.0) + _MARGIN
    for item in items:
        if item.box is not None:
            box = boxes[item.box]
            box.x, box.y = (item.depth, item.place) if across else (item.place, item.depth)
    depth += _MARGIN - between
    return (depth, breadth) if across else (breadth, depth)


def _ends(boxes: list[_Box], edge: tuple[int, int], across: bool):
    """Where an edge leaves its source and reaches its target."""
    a, b = boxes[edge[0]], boxes[edge[1]]
    if across:
        return (a.x + a.width / 2, a.y), (b.x - b.width / 2, b.y)
    return (a.x, a.y + a.height / 2), (b.x, b.y - b.height / 2)


def _points(boxes, way: list[Item], edge, across: bool) -> list[tuple[float, float]]:
    """The points that an edge passes: in each layer between, it goes straight through."""
    start, stop = _ends(boxes, edge, across)
    points = [start]
    for item in way:
        for depth in (item.depth - item.half, item.depth + item.half):
            points.append((depth, item.place) if across else (item.place, depth))
    return [*points, stop]


def _edge(boxes, way, edge, slopes, across: bool) -> str:
    points = _points(boxes, way, edge, across)
    path = [f"M{points[0][0]:.1f},{points[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in pairwise(points):
        bend = 0.45 * ((x1 - x0) if across else (y1 - y0))
        first = (x0 + bend, y0) if across else (x0, y0 + bend)
        second = (x1 - bend, y1) if across else (x1, y1 - bend)
        path.append(
            f"C{first[0]:.1f},{first[1]:.1f} {second[0]:.1f},{second[1]:.1f} {x1:.1f},{y1:.1f}"
        )
    return (
        f'<path d="{" ".join(path)}" fill="none" stroke="{EDGE}" stroke-width="1.4" '
        'marker-end="url(#arrow)"/>'
    )


def _slope(boxes, way, edge, text: str, across: bool) -> str:
    """A local derivative, on the edge just before its target."""
    points = _points(boxes, way, edge, across)
    (x0, y0), (x1, y1) = points[-2], points[-1]
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    width = _SMALL * len(text) + 6
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y - 8:.1f}" width="{width:.1f}" height="16" rx="4" '
        'fill="#ffffff" fill-opacity="0.9"/>'
        f'<text x="{x:.1f}" y="{y + 3.8:.1f}" font-size="11" text-anchor="middle" '
        f'fill="{MUTED}">{escape(text)}</text>'
    )


def _draw_box(box: _Box) -> str:
    fill, stroke = _FILLS[box.node.kind]
    left, top = box.x - box.width / 2, box.y - box.height / 2
    heavy = "2" if box.node.kind == "result" else "1.3"
    out = [f"<g><title>{escape(_tooltip(box.node))}</title>"]
    out.append(
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" '
        f'rx="7" fill="{fill}" stroke="{stroke}" stroke-width="{heavy}"/>'
    )
    baseline = top + _PADDING / 2 + 12.5
    for text, colour, bold in box.lines:
        style = 'font-size="12" font-weight="600"' if bold else 'font-size="11"'
        out.append(
            f'<text x="{box.x:.1f}" y="{baseline:.1f}" text-anchor="middle" {style} '
            f'fill="{colour}">{escape(text)}</text>'
        )
        baseline += _LINE
    return "".join([*out, "</g>"])


def _tooltip(node: Node) -> str:
    parts = [node.title, f"{node.shown.type}", node.where]
    return "   ".join(p for p in parts if p)


def _header(title: str, subtitle: str) -> str:
    return (
        f'<text x="{_MARGIN:.0f}" y="24" font-size="13" font-weight="700" fill="{TEXT}">'
        f"{escape(title)}</text>"
        f'<text x="{_MARGIN + _text_width(title) + 18:.0f}" y="24" font-size="11" fill="{MUTED}">'
        f"{escape(subtitle)}</text>"
    )


def _legend_words(has_adjoints: bool, has_slopes: bool) -> list[tuple[str, str]]:
    words = [("value", VALUE)]
    if has_adjoints:
        words.append(("adjoint: the derivative of the result by the node", ADJOINT))
    if has_slopes:
        words.append(("on edges: the local derivative", MUTED))
    return words


def _legend(height: float, words: list[tuple[str, str]]) -> str:
    x, out = _MARGIN, []
    for text, colour in words:
        out.append(
            f'<text x="{x:.0f}" y="{height - 14:.0f}" font-size="11" fill="{colour}">'
            f"{escape(text)}</text>"
        )
        x += len(text) * _SMALL + 26
    return "".join(out)
