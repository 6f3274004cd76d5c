"""Every NumPy function and ufunc that accepts traced values, on the rows of the table.

    value        through a trace as on plain NumPy: results, dtypes, and what was written
    forward      against extrapolated differences of the function on plain NumPy
    reverse      <u, J v> = <J* u, v>

A function without a row fails.
"""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.errors import NotSupported
from chainrule.numpy import ufuncs
from chainrule.numpy.protocols import FUNCTIONS, full_name
from tests.numpy.against_numpy import check_same, copies
from tests.numpy.samples import ROWS, all_rows

for _file in sorted(Path(__file__).parent.glob("samples_*.py")):
    import_module(f"tests.numpy.{_file.stem}")  # each fills the table

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def supported_names() -> set[str]:
    """The names of all functions and ufuncs in chainrule's tables."""
    functions = {full_name(f) for f in FUNCTIONS if f.__module__.startswith("numpy")}
    tables = {**ufuncs.OPS, **ufuncs.COMPOSED, **ufuncs.SPECIAL}
    own = {f"np.{u.__name__}" for u in tables if getattr(np, u.__name__, None) is u}
    return functions | own


def test_every_supported_function_has_a_row():
    missing = sorted(supported_names() - set(ROWS))
    assert not missing, f"add numpy_samples(...) to tests/numpy for {missing}"


def test_every_row_belongs_to_a_supported_function():
    assert not set(ROWS) - supported_names()


ACCEPTED = [row for row in all_rows() if not row.refused]
REFUSED = [row for row in all_rows() if row.refused]


@pytest.mark.parametrize("row", ACCEPTED, ids=lambda row: row.id)
def test_value_through_a_trace_is_numpys(row):
    check_same(row.f, *row.args, exact=False)


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row.id)
def test_refused_function_says_what_to_write(row):
    with pytest.raises(NotSupported, match="use "):
        cr.jvp(row.f, row.args, row.args)


def floats(args) -> list[int]:
    """The numbers of the arguments that derivatives are taken by."""
    arrays = [(i, x) for i, x in enumerate(args) if isinstance(x, np.ndarray | np.generic)]
    return [i for i, x in arrays if x.dtype.kind in "fc"]


def leaves(tree) -> list[np.ndarray]:
    """The inexact arrays of a result."""
    if isinstance(tree, tuple | list):
        return [x for item in tree for x in leaves(item)]
    return [np.asarray(tree)] if np.asarray(tree).dtype.kind in "fc" else []


class Moving:
    """A row as a function of its floating arguments alone, on fresh copies."""

    def __init__(self, row):
        self.row, self.places = row, floats(row.args)
        self.primals = tuple(row.args[i] for i in self.places)

    def __call__(self, *primals):
        args = list(copies(self.row.args))
        for i, x in zip(self.places, primals, strict=True):
            args[i] = x
        return self.row.f(*args)

    def directions(self) -> tuple:
        rng = np.random.default_rng(3)
        return tuple(random_like(rng, x) for x in self.primals)


def random_like(rng, x):
    out = rng.normal(size=np.shape(x))
    return np.asarray(out + 1j * rng.normal(size=np.shape(x)) if x.dtype.kind == "c" else out)[()]


def differences(f, step: float = 2.0**-10) -> list:
    """df(h)/dh at 0 of each leaf, by three central differences, extrapolated."""
    table = []
    for k in range(3):
        h = step / 2**k
        pairs = zip(leaves(f(h)), leaves(f(-h)), strict=True)
        table.append([(above - below) / (2 * h) for above, below in pairs])
    first = [[(4 * b - a) / 3 for a, b in zip(table[k], table[k + 1], strict=True)] for k in (0, 1)]
    return [(16 * b - a) / 15 for a, b in zip(*first, strict=True)]


DIFFERENTIABLE = [row for row in ACCEPTED if row.derivative and floats(row.args)]


@pytest.mark.parametrize("row", DIFFERENTIABLE, ids=lambda row: row.id)
def test_forward_against_differences_and_reverse_against_forward(row):
    f = Moving(row)
    v = f.directions()
    _, tangent = cr.jvp(f, f.primals, v)
    pushed = leaves(tangent)
    expected = differences(lambda h: f(*[x + h * d for x, d in zip(f.primals, v, strict=True)]))
    assert len(pushed) == len(expected)
    for found, wanted in zip(pushed, expected, strict=True):
        scale = np.max(np.abs(wanted), initial=1.0, where=np.isfinite(wanted))
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-8 * scale)
    check_adjoint(f, v, pushed)


def check_adjoint(f: Moving, v, pushed) -> None:
    """<u, J v> = <J* u, v> for random cotangents u of the inexact results."""
    value, pullback = cr.vjp(f, *f.primals)
    rng = np.random.default_rng(4)
    u = cotangents(rng, value)
    pulled = pullback(u)
    left, size = inner(leaves(u), pushed)
    right, _ = inner(pulled, v)
    assert abs(left - right) <= 1e-12 * (1.0 + size), (left, right)


def inner(xs, ys) -> tuple[float, float]:
    """The real inner product of two lists of arrays, and the sum of its terms' sizes."""
    products = [np.real(np.conj(x) * y) for x, y in zip(xs, ys, strict=True)]
    return sum(float(np.sum(p)) for p in products), sum(float(np.sum(np.abs(p))) for p in products)


def cotangents(rng, tree):
    """A random cotangent for every inexact leaf, None for the others."""
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(cotangents(rng, item) for item in tree))
    if isinstance(tree, tuple | list):
        return type(tree)(cotangents(rng, item) for item in tree)
    x = np.asarray(tree)
    return random_like(rng, x) if x.dtype.kind in "fc" else None
