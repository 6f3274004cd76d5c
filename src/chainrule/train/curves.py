"""Curves as text and as SVG: small enough to stand beside a progress bar."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BLOCKS = "▁▂▃▄▅▆▇█"
COLOURS = ("#1f77b4", "#d62728")


def sparkline(values: Sequence[float], width: int = 24) -> str:
    """The curve of some numbers as `width` characters at most, of eight heights.

    Numbers side by side are put together by their mean. What is not finite is a space.

    >>> sparkline([3.0, 2.0, 1.0, 0.5])
    '█▅▂▁'
    """
    found = _fewer(values, width)
    fine = np.isfinite(found)
    if not fine.any():
        return " " * len(found)
    low, high = found[fine].min(), found[fine].max()
    share = (found - low) / (high - low) if high > low else np.zeros_like(found)
    return "".join(
        BLOCKS[round(s * (len(BLOCKS) - 1))] if ok else " "
        for s, ok in zip(share, fine, strict=True)
    )


def svg(curves: dict[str, Sequence[float]], width: int = 480, height: int = 160) -> str:
    """Curves over a common axis, logarithmic where all numbers are positive, as an SVG picture.

    >>> svg({"loss": [2.0, 1.0]}).count("<polyline")
    1
    """
    lines = []
    values = {name: np.asarray(list(found), float) for name, found in curves.items() if len(found)}
    every = np.concatenate([v[np.isfinite(v)] for v in values.values()] or [np.zeros(0)])
    scale = np.log if every.size and every.min() > 0 else np.asarray
    low, high = (scale(every.min()), scale(every.max())) if every.size else (0.0, 1.0)
    for number, (name, found) in enumerate(values.items()):
        x = np.linspace(0, width, len(found)) if len(found) > 1 else np.array([width / 2])
        fine = np.isfinite(found)
        y = height - (scale(found[fine]) - low) / (high - low or 1.0) * height
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x[fine], y, strict=True))
        colour = COLOURS[number % len(COLOURS)]
        lines.append(f'<polyline fill="none" stroke="{colour}" points="{points}"/>')
        lines.append(f'<text x="4" y="{14 * (number + 1)}" fill="{colour}" '
                     f'font-size="12">{name}</text>')  # fmt: skip
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}">{"".join(lines)}</svg>'
    )


def _fewer(values: Sequence[float], width: int) -> np.ndarray:
    found = np.asarray(list(values), float)
    if len(found) <= width:
        return found
    return np.array([part.mean() for part in np.array_split(found, width)])
