"""Discrete cosine and sine transforms of types I to IV, as Fourier transforms of twice the length.

With N the length, a cosine transform is the real part of a transform of the mirrored signal (I, II)
or of the signal turned by half a step (III, IV), and a sine transform a cosine transform of the
reversed signal or of one with alternating signs. Norms and `orthogonalize` are SciPy's.

    I    x_0 + (-1)^k x_{N-1} + 2 sum x_n cos(pi k n / (N - 1))
    II   2 sum x_n cos(pi k (2n + 1) / (2N))
    III  x_0 + 2 sum x_n cos(pi n (2k + 1) / (2N))
    IV   2 sum x_n cos(pi (2k + 1) (2n + 1) / (4N))

Source    Makhoul, IEEE Trans. ASSP 28 (1980) 27; Martucci, IEEE Trans. SP 42 (1994) 1038.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.numpy.fourier import fft, resized, rfft
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, user_line

ROOT_2 = math.sqrt(2.0)


def _turned(count: int, quarter_turns, dtype) -> np.ndarray:
    """exp(-i pi q / 2) for `count` numbers q."""
    turns = quarter_turns(np.arange(count))
    return np.exp(-0.5j * math.pi * turns).astype(np.result_type(dtype, np.complex64))


def _cosine_1(x: Traced) -> Traced:
    n = x.shape[-1]
    if n < 2:
        raise RuntimeError(f"DCT-I is not defined for size < 2, at {line_text(user_line())}")
    return rfft(np.concatenate((x, x[..., n - 2 : 0 : -1]), -1)).real


def _cosine_2(x: Traced) -> Traced:
    n = x.shape[-1]
    found = rfft(np.concatenate((x, x[..., ::-1]), -1))[..., :n]
    return (found * _turned(n, lambda k: k / n, x.dtype)).real


def _cosine_3(x: Traced) -> Traced:
    n = x.shape[-1]
    counted = np.where(np.arange(n) == 0, 1, 2).astype(x.dtype)
    z = x * counted * _turned(n, lambda k: k / n, x.dtype)
    return fft(z, 2 * n)[..., :n].real


def _cosine_4(x: Traced) -> Traced:
    n = x.shape[-1]
    found = fft(x * _turned(n, lambda k: k / n, x.dtype), 2 * n)[..., :n]
    return 2 * (found * _turned(n, lambda k: (k + 0.5) / n, x.dtype)).real


def _alternating(x: Traced) -> Any:
    return x * (1 - 2 * (np.arange(x.shape[-1]) % 2)).astype(x.dtype)


def _sine_1(x: Traced) -> Traced:
    n = x.shape[-1]
    zero = x[..., :1] * 0
    return -rfft(np.concatenate((zero, x, zero, -x[..., ::-1]), -1)).imag[..., 1 : n + 1]


_COSINE = {1: _cosine_1, 2: _cosine_2, 3: _cosine_3, 4: _cosine_4}
_SINE = {
    1: _sine_1,
    2: lambda x: _cosine_2(_alternating(x))[..., ::-1],
    3: lambda x: _alternating(_cosine_3(x[..., ::-1])),
    4: lambda x: _alternating(_cosine_4(x[..., ::-1])),
}
_INVERSE_TYPE = {1: 1, 2: 3, 3: 2, 4: 4}
# Where `orthogonalize` multiplies what goes in, and divides what comes out, by sqrt(2).
_Places = dict[str, dict[int, tuple[int, ...]]]
_ENTERING: _Places = {"cosine": {1: (0, -1), 3: (0,)}, "sine": {3: (-1,)}}
_LEAVING: _Places = {"cosine": {1: (0, -1), 2: (0,)}, "sine": {2: (-1,)}}


def _weights(n: int, places, factor: float, dtype) -> np.ndarray:
    out = np.ones(n, dtype)
    out[list(places)] = factor
    return out


def transform(
    x: Any, kind: str, type: int, n, axis: int, norm, orthogonalize, inverse: bool
) -> Any:
    """The cosine or sine transform (`kind`) of a real or complex array along an axis."""
    if x.dtype.kind == "c":
        parts = [
            transform(part, kind, type, n, axis, norm, orthogonalize, inverse)
            for part in (x.real, x.imag)
        ]
        real, imaginary = parts
        return real + 1j * imaginary
    if norm not in (None, "backward", "forward", "ortho"):
        raise ValueError(f'Invalid norm value {norm!r}, should be "backward", "ortho" or "forward"')
    if type not in _COSINE:
        raise ValueError("invalid type: must be 1, 2, 3 or 4")
    x = x if n is None else resized(x, n, range(x.ndim)[axis])
    x = np.moveaxis(x, axis, -1)
    type = _INVERSE_TYPE[type] if inverse else type
    orthogonalize = norm == "ortho" if orthogonalize is None else orthogonalize
    return np.moveaxis(_scaled(x, kind, type, norm or "backward", orthogonalize, inverse), -1, axis)


def _scaled(x: Any, kind: str, type: int, norm: str, orthogonalize: bool, inverse: bool):
    n = x.shape[-1]
    period = 2 * (n + {"cosine": -1, "sine": 1}[kind] * (type == 1))
    if orthogonalize and type in _ENTERING[kind]:
        x = x * _weights(n, _ENTERING[kind][type], ROOT_2, x.dtype)
    out = (_COSINE if kind == "cosine" else _SINE)[type](x)
    if orthogonalize and type in _LEAVING[kind]:
        out = out * _weights(n, _LEAVING[kind][type], 1 / ROOT_2, x.dtype)
    if norm == "ortho":
        return out * (1 / math.sqrt(period))
    return out * (1 / period) if (norm == "forward") != inverse else out
