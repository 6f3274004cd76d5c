"""Bits of error of a program's value and derivative, as chainrule computes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

import chainrule as cr
from benchmarks.fpbench.points import Points, ordinal
from benchmarks.fpbench.python_code import Translated

WORST = 64.0  # bits; a nan or an error has as many


@dataclass(frozen=True)
class Score:
    """Mean bits of error of the value and of the partial derivatives; what failed, if anything."""

    label: str
    value: float
    derivative: float
    failure: str = ""


def bits_of_error(found: float, truth: float) -> float:
    """log2 of one more than the number of float64 numbers between the two; 64 for a nan."""
    if math.isnan(found):
        return WORST
    return math.log2(abs(ordinal(float(found)) - ordinal(truth)) + 1)


def scored(label: str, program: Translated, points: Points, options: dict) -> Score:
    """The score of one program; each failure counts as 64 bits."""
    measure = _on_arrays if program.takes_arrays else _on_scalars
    truths = np.array(points.truths)
    columns = list(np.array(points.arguments).T)
    failures = []
    means = []
    for name, run in (("value", _values), ("derivative", _slopes)):
        wanted = truths[:, :1] if name == "value" else truths[:, 1:]
        try:
            with np.errstate(all="ignore"):
                found = measure(lambda xs, run=run: run(program.function, xs, options), columns)
            means.append(_mean_bits(found, wanted))
        except Exception as error:
            failures.append(f"{name}: {type(error).__name__}: {str(error).splitlines()[0]}")
            means.append(WORST)
    return Score(label, *means, "; ".join(failures))


def proven(label: str, program: Translated, points: Points, most: int) -> Score:
    """The score of value and derivative as `cr.certified` proves them, at the first few points."""
    rows = list(zip(points.arguments, points.truths, strict=True))[:most]
    by = tuple(range(len(rows[0][0])))
    value = cr.certified(program.function)
    slopes = cr.certified(cr.grad(lambda *a: np.sum(program.function(*a)), argnums=by))
    failures = []
    means = []
    for name, run, part in (
        ("value", lambda xs: [value(*xs)], slice(0, 1)),
        ("derivative", lambda xs: list(slopes(*xs)), slice(1, None)),
    ):
        try:
            found = np.array([[float(x) for x in run(arguments)] for arguments, _ in rows])
            means.append(_mean_bits(found, np.array([truth[part] for _, truth in rows])))
        except Exception as error:
            failures.append(f"{name}: {type(error).__name__}: {str(error).splitlines()[0]}")
            means.append(WORST)
    return Score(label, *means, "; ".join(failures))


def _values(f: Callable, xs: Sequence, options: dict) -> list:
    return [cr.compile(f, **options)(*xs)]


def _slopes(f: Callable, xs: Sequence, options: dict) -> list:
    found = cr.grad(lambda *a: np.sum(f(*a)), argnums=tuple(range(len(xs))), **options)(*xs)
    return list(found)


def _on_arrays(run: Callable, columns: list) -> np.ndarray:
    return np.array([np.broadcast_to(out, columns[0].shape) for out in run(columns)]).T


def _on_scalars(run: Callable, columns: list) -> np.ndarray:
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return np.array([[float(out) for out in run(list(row))] for row in rows])


def _mean_bits(found: np.ndarray, wanted: np.ndarray) -> float:
    pairs = zip(found.ravel().tolist(), wanted.ravel().tolist(), strict=True)
    bits = [bits_of_error(a, b) for a, b in pairs]
    return sum(bits) / len(bits)
