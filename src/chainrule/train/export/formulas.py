"""Elementwise operations: those that ONNX has, and those that are formulas of these.

A formula is NumPy code; it is traced by chainrule itself. Where rounding matters they are accurate
to a few units in the last place of the result or, for `erfc`, `ndtr` and the like, of 1.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log, pi, sqrt

import numpy as np
from scipy.special import erf

NODES = {
    "absolute": "Abs", "add": "Add", "arccos": "Acos", "arccosh": "Acosh", "arcsin": "Asin",
    "arcsinh": "Asinh", "arctan": "Atan", "arctanh": "Atanh", "barrier": "Identity", "ceil": "Ceil",
    "cos": "Cos", "cosh": "Cosh", "divide": "Div", "equal": "Equal", "erf": "Erf", "exp": "Exp",
    "expit": "Sigmoid", "floor": "Floor", "greater": "Greater", "greater_equal": "GreaterOrEqual",
    "held": "Identity", "isnan": "IsNaN", "isinf": "IsInf", "less": "Less",
    "less_equal": "LessOrEqual", "log": "Log", "logical_and": "And", "logical_not": "Not",
    "logical_or": "Or", "logical_xor": "Xor", "maximum": "Max", "minimum": "Min",
    "multiply": "Mul", "negative": "Neg", "power": "Pow", "reciprocal": "Reciprocal",
    "rint": "Round", "select": "Where", "sign": "Sign", "sin": "Sin", "sinh": "Sinh",
    "sqrt": "Sqrt", "stop_gradient": "Identity", "subtract": "Sub", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip


def _log1p(x):
    u = 1.0 + x
    apart = np.where(u == 1.0, 1.0, u - 1.0)  # Kahan: the rounding of 1 + x cancels
    return np.where(u == 1.0, x, np.where(np.abs(u) > 1e30, np.log(u), np.log(u) * (x / apart)))


def _expm1(x):
    return np.where(x > 30.0, np.exp(x), np.tanh(0.5 * x) * (np.exp(np.minimum(x, 30.0)) + 1.0))


def _logaddexp(x, y):
    return np.maximum(x, y) + np.log1p(np.exp(-np.abs(x - y)))


def _hypot(x, y):
    large, small = np.maximum(np.abs(x), np.abs(y)), np.minimum(np.abs(x), np.abs(y))
    ratio = np.where(large == 0.0, 0.0, small / np.where(large == 0.0, 1.0, large))
    return large * np.sqrt(1.0 + ratio * ratio)


def _huber(delta, x):
    far = np.abs(x)
    return np.where(far <= delta, 0.5 * x * x, delta * (far - 0.5 * delta))


FORMULAS: dict[str, Callable] = {
    "cbrt": lambda x: np.sign(x) * np.abs(x) ** (1 / 3),
    "clip": lambda x, low, high: np.minimum(np.maximum(x, low), high),
    "erfc": lambda x: 1.0 - erf(x),
    "exp2": lambda x: np.exp(log(2) * x),
    "expm1": _expm1,
    "floor_divide": lambda x, y: np.floor(x / y),
    "huber": _huber,
    "hypot": _hypot,
    "isfinite": lambda x: np.abs(x) < np.inf,
    "log10": lambda x: np.log(x) / log(10),
    "log1p": _log1p,
    "log2": lambda x: np.log(x) / log(2),
    "log_cosh": lambda x: np.logaddexp(x, -x) - log(2),
    "log_expit": lambda x: -np.logaddexp(-x, 0.0 * x),
    "logaddexp": _logaddexp,
    "logit": lambda x: np.log(x) - np.log1p(-x),
    "ndtr": lambda x: 0.5 * (1.0 + erf(x / sqrt(2))),
    "not_equal": lambda x, y: np.logical_not(x == y),
    "remainder": lambda x, y: x - y * np.floor(x / y),
    "sinc": lambda x: np.where(x == 0.0, 1.0, np.sin(pi * x) / np.where(x == 0.0, 1.0, pi * x)),
    "square": lambda x: x * x,
    "trunc": lambda x: np.sign(x) * np.floor(np.abs(x)),
    "xlogy": lambda x, y: np.where(x == 0.0, 0.0, x * np.log(np.where(x == 0.0, 1.0, y))),
}
