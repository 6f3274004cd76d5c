"""What the suite of operations compares with: mpmath to 40 digits, and extrapolated differences."""

import numpy as np
from mpmath import mp, mpc, mpf

from tests.ops.table import Row

DIGITS = 40


def points(arrays):
    """The inputs as tuples of mpmath numbers, one per entry; a scalar counts for every entry."""
    for entry in zip(*np.broadcast_arrays(*arrays), strict=True):
        yield tuple(mpc(complex(x)) if np.iscomplexobj(x) else mpf(float(x)) for x in entry)


def shown(point) -> str:
    """A point in an error message."""
    return ", ".join(mp.nstr(x, 17) for x in point)


def assert_within(found, truth, ulps: float, where: str, noise: float = 0.0) -> None:
    """Assert |found - truth| <= ulps units in the last place of the truth, plus its own noise."""
    info = np.finfo(found.dtype)
    if abs(truth) > mpf(float(info.max)):
        assert np.isinf(found), f"{where}: found {found!r}, truth {mp.nstr(truth, 20)}"
        return
    size = max(abs(complex(truth)), float(info.smallest_normal))
    unit = float(np.spacing(np.asarray(size, np.zeros(1, found.dtype).real.dtype)))
    found_exactly = mpc(complex(found)) if np.iscomplexobj(found) else mpf(float(found))
    error = float(abs(found_exactly - truth)) / unit
    assert error <= ulps + noise / unit, (
        f"{where}: found {found!r}, truth {mp.nstr(truth, 20)}: {error:.4g} ulp, {ulps} allowed"
    )


def derivative(f, point, order):
    """The partial derivative of an mpmath function, with steps in proportion to the point.

    The second result bounds its rounding, which matters where the derivative is next to 0.
    """
    sizes = [abs(x) or mpf(1) for x in point]

    def scaled(*t):
        return f(*[x + size * step for x, size, step in zip(point, sizes, t, strict=True)])

    found = mp.diff(scaled, (mpf(0),) * len(point), order)
    noise = abs(f(*point)) * mpf(10) ** -35 + mpf(10) ** -50
    for size, n in zip(sizes, order, strict=True):
        found, noise = found / size**n, noise / size**n
    return found, float(noise)


def true_slope(row: Row, point, i: int):
    """The partial derivative by input i at a point, and a bound of its noise."""
    if row.slopes is not None and row.slopes[i] is not None:
        return row.slopes[i](*point, **row.params), 0.0
    order = tuple(int(k == i) for k in range(len(point)))
    return derivative(lambda *x: row.truth(*x, **row.params), point, order)


def true_second(row: Row, point, i: int, j: int):
    """The second partial derivative by inputs i and j at a point, and a bound of its noise."""
    if row.slopes is not None and row.slopes[i] is not None:
        order = tuple(int(k == j) for k in range(len(point)))
        return derivative(lambda *x: row.slopes[i](*x, **row.params), point, order)
    order = tuple(int(k == i) + int(k == j) for k in range(len(point)))
    return derivative(lambda *x: row.truth(*x, **row.params), point, order)


def differences(f, step: float = 2.0**-9) -> list:
    """df(h)/dh at 0 for each output of f, by three central differences, extrapolated."""
    table = []
    for k in range(3):
        h = step / 2**k
        pairs = zip(f(h), f(-h), strict=True)
        table.append([(above - below) / (2 * h) for above, below in pairs])
    first = [[(4 * b - a) / 3 for a, b in zip(table[k], table[k + 1], strict=True)] for k in (0, 1)]
    return [(16 * b - a) / 15 for a, b in zip(*first, strict=True)]


def assert_near(found, expected, tolerance: float) -> None:
    """Assert equal lists of arrays up to a tolerance, relative to the largest entry or to 1."""
    for a, b in zip(found, expected, strict=True):
        if np.asarray(a).dtype.kind in "fc":
            scale = np.max(np.abs(b), initial=1.0)
            np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * scale)
