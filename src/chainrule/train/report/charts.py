"""Pictures as SVG: curves, points, bars. Colours are those of the page, light, dark or printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.train.report.axes import Axis, tick
from chainrule.train.report.html import Html, element, said

WIDTH, HEIGHT = 380, 230
LEFT, RIGHT, TOP, BOTTOM = 50, 18, 26, 34
POINTS = 400  # of one curve, at most
SERIES = 8  # colours that tell curves apart; more are shaded from the first to the last

Curve = tuple[Sequence[float], Sequence[float]]


def curves(
    title: str, series: Mapping[str, Curve], *, x: str = "step", logarithmic: bool | None = None,
    marks: Sequence[float] = (),
) -> Html:  # fmt: skip
    """Curves by name over common axes; `marks` are places on the x axis with a dashed line.

    Of a long curve every peak stays: the least and the largest value of each piece are drawn.
    """
    across = Axis.over(np.concatenate([np.asarray(xs, float) for xs, _ in series.values()]),
                       logarithmic=False)  # fmt: skip
    up = Axis.over(np.concatenate([np.asarray(ys, float) for _, ys in series.values()]),
                   logarithmic=logarithmic)  # fmt: skip
    drawn = [_dashed(_x(across, at)) for at in marks if across.low <= at <= across.high]
    colours = colours_of(len(series))
    limit = POINTS * SERIES // max(SERIES, len(series))
    for colour, (name, (xs, ys)) in zip(colours, series.items(), strict=True):
        drawn.append(_line(across, up, *thinned(xs, ys, limit), colour, name))
    return figure(title, [*frame(across, up, x), *drawn], legend(list(series), colours))


def thinned(xs, ys, limit: int = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most `limit` points of a curve: the least and the largest of each piece, in order.

    >>> thinned(range(8), [0, 9, 0, 0, 5, 5, -7, 5], 4)
    (array([0., 1., 4., 6.]), array([ 0.,  9.,  5., -7.]))
    """
    xs, ys = np.asarray(xs, float), np.asarray(ys, float)
    if len(xs) <= limit:
        return xs, ys
    kept = []
    for piece in np.array_split(np.arange(len(xs)), limit // 2):
        values = ys[piece]
        if np.isfinite(values).any():
            kept += sorted({piece[np.nanargmin(values)], piece[np.nanargmax(values)]})
        else:
            kept.append(piece[0])
    return xs[kept], ys[kept]


def points(
    title: str, xs, ys, *, x: str, y: str, diagonal: bool = False, level: bool = False
) -> Html:
    """Points; with the line y = x, or the level y = 0, to hold them against."""
    both = np.concatenate([xs, ys]) if diagonal else None
    across = Axis.over(xs if both is None else both, logarithmic=False)
    up = Axis.over(np.append(ys, 0.0) if level else ys if both is None else both, logarithmic=False)
    px, py = _x(across, xs), _y(up, ys)
    path = "".join(f"M{a:.1f} {b:.1f}h0" for a, b in zip(px, py, strict=True) if a == a and b == b)
    drawn = [element("path", d=path, class_="dots")]
    if diagonal:
        ends = _x(across, [across.low, across.high]), _y(up, [up.low, up.high])
        drawn.append(element("path", class_="dash", d=_path(*ends)))
    if level:
        at = float(_y(up, 0.0))
        drawn.append(element("path", d=f"M{LEFT} {at:.1f}H{WIDTH - RIGHT}", class_="dash"))
    return figure(title, [*frame(across, up, x), *drawn], Html(""), y)


def columns(
    title: str, edges, heights, *, x: str, y: str = "", line: Curve | None = None,
    up: Axis | None = None,
) -> Html:  # fmt: skip
    """Columns between edges, from 0; a line over them."""
    edges, heights = np.asarray(edges, float), np.asarray(heights, float)
    across = Axis.over(edges, logarithmic=False)
    up = up or Axis.over(np.append(heights, 0.0), logarithmic=False)
    floor, left, top = float(_y(up, 0.0)), _x(across, edges), _y(up, heights)
    drawn = [
        element("rect", x=f"{a + 0.5:.1f}", y=f"{t:.1f}", width=f"{max(0.5, b - a - 1):.1f}",
                height=f"{max(0.0, floor - t):.1f}", class_="bar")
        for a, b, t in zip(left[:-1], left[1:], top, strict=True) if t == t
    ]  # fmt: skip
    if line is not None:
        drawn.append(element("path", d=_path(_x(across, line[0]), _y(up, line[1])), class_="dash"))
    return figure(title, [*frame(across, up, x), *drawn], Html(""), y)


def bars(title: str, values: Mapping[str, tuple[float, float]], *, unit: str) -> Html:
    """Bars that lie, one a name: its value, and how far it may be off to either side."""
    most = max((abs(v) + s for v, s in values.values()), default=0.0) or 1.0
    rows = []
    for name, (value, spread) in values.items():
        width = 100 * max(0.0, value) / most
        bar = element("span", Html("&#8203;"), style=f"width:{width:.1f}%")
        figure = element("td", f"{said(value)} ± {said(spread)}", class_="n")
        head, lying = element("th", name, scope="row"), element("td", bar, class_="lying")
        rows.append(element("tr", head, lying, figure))
    inside = element("table", element("tbody", *rows), class_="bars")
    return element("figure", element("figcaption", f"{title} ({unit})"), inside, class_="whole")


def figure(title: str, drawn: Sequence[Html], below: Html, y: str = "") -> Html:
    """A picture with its title above and its legend below."""
    over = f"{title}: {y}" if y else title
    picture = element("svg", *drawn, viewBox=f"0 {TOP - 14} {WIDTH} {HEIGHT - TOP + 14}",
                      role="img", aria_label=over)  # fmt: skip
    return element("figure", element("figcaption", over), picture, below)


def frame(across: Axis, up: Axis, x: str) -> list[Html]:
    """Ticks, their lines, and what the x axis is."""
    found = []
    for value in up.ticks:
        at = float(_y(up, value))
        found.append(element("path", d=f"M{LEFT} {at:.1f}H{WIDTH - RIGHT}", class_="grid"))
        found.append(_text(LEFT - 5, at + 4, tick(value), "end"))
    for value in across.ticks:
        at = float(_x(across, value))
        found.append(element("path", d=f"M{at:.1f} {HEIGHT - BOTTOM}v4", class_="axis"))
        found.append(_text(at, HEIGHT - BOTTOM + 16, tick(value), "middle"))
    found.append(element("path", d=f"M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}", class_="axis"))
    found.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 4, x, "middle"))
    return found


def legend(names: Sequence[str], colours: Sequence[str]) -> Html:
    """The names of curves in their colours; nothing for a single one."""
    if len(names) < 2:
        return Html("")
    keys = (element("li", element("i", style=f"background:{colour}"), name)
            for name, colour in zip(names, colours, strict=True))  # fmt: skip
    return element("ul", *keys, class_="legend")


def colours_of(count: int) -> list[str]:
    """A colour for each of some curves: told apart, or from dark to light where they are many."""
    if count <= SERIES:
        return [f"var(--c{k})" for k in range(count)]
    shades = np.linspace(0, 1, count)
    return [f"hsl({260 - 200 * s:.0f} 70% {38 + 18 * s:.0f}%)" for s in shades]


def _line(across: Axis, up: Axis, xs, ys, colour: str, name: str) -> Html:
    px, py = _x(across, xs), _y(up, ys)
    title = element("title", name)
    if np.isfinite(py).sum() == 1:
        k = int(np.flatnonzero(np.isfinite(py))[0])
        return element("circle", title, cx=f"{px[k]:.1f}", cy=f"{py[k]:.1f}", r=3,
                       style=f"fill:{colour}")  # fmt: skip
    return element("path", title, d=_path(px, py), class_="line", style=f"stroke:{colour}")


def _path(px, py) -> str:
    """A path through points; a gap where one is not finite."""
    parts, new = [], True
    for a, b in zip(px, py, strict=True):
        if a != a or b != b:
            new = True
            continue
        parts.append(f"{'M' if new else 'L'}{a:.1f} {b:.1f}")
        new = False
    return "".join(parts)


def _dashed(at: float) -> Html:
    return element("path", d=f"M{at:.1f} {TOP}V{HEIGHT - BOTTOM}", class_="dash")


def _text(x: float, y: float, text: str, anchor: str) -> Html:
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)


def _x(axis: Axis, values: Any):
    return LEFT + (WIDTH - RIGHT - LEFT) * axis.share(values)


def _y(axis: Axis, values: Any):
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - TOP) * axis.share(values)
