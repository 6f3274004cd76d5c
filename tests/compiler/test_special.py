"""Native calls of SciPy's special functions give the bits of the operation's own evaluation."""

import numpy as np
import pytest

from chainrule.compiler.emitters import EMITTERS
from chainrule.compiler.externals import address, letters_of
from chainrule.compiler.llvm.special import NAMES, SPECIAL, emit_special, special_of
from chainrule.ops.special.scipy_functions import BY_SCIPY_NAME
from chainrule.program.op import REGISTRY
from tests.compiler.running import Runner, site_of
from tests.ops.running import evaluated
from tests.ops.table import ROWS

EDGES = (0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -3.0, np.inf, -np.inf, np.nan, 1e30, 1e-30)


def run(name, *arrays, one_by_one=False, **params):
    """The native values; None where there is no native form."""
    site = site_of(name, *arrays, **params)
    kernel = emit_special(site)
    if kernel is None:
        return None
    runner = Runner(kernel, site, tuple(address(n) for n in kernel.externals))
    return runner.run(*arrays, one_by_one=one_by_one)[0]


def assert_same_bits(got, wanted):
    """Equal, with equal signs of zeros; any nan is as good as another."""
    same = (got == wanted) & (np.signbit(got) == np.signbit(wanted))
    same |= np.isnan(got) & np.isnan(wanted)
    assert got.dtype == wanted.dtype and same.all(), (got[~same], wanted[~same])


def _points(row, dtype):
    """The drawn points of a row, at equal shapes, and for functions without counts the edges."""
    drawn = [np.atleast_1d(np.asarray(x, dtype)) for x in row.draw(dtype)]
    drawn = [np.array(x) for x in np.broadcast_arrays(*drawn)]
    if row.name not in SPECIAL or row.name.startswith("hyp"):
        return drawn  # SciPy's hypergeometric functions hardly end for huge arguments
    edges = np.array(EDGES, dtype)
    return [np.concatenate([x, edges, np.roll(edges, i)]) for i, x in enumerate(drawn)]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_values_have_the_bits_of_the_evaluator(name):
    assert name in ROWS
    for row in ROWS[name]:
        for dtype in "df":
            points = _points(row, dtype)
            if special_of(name, row.params, np.dtype(dtype)) is None:
                assert dtype != "d"
                continue
            wanted = evaluated(row, points)[0]
            assert_same_bits(run(name, *points, **row.params), wanted)


@pytest.mark.parametrize("dtype", "df")
def test_every_scipy_operation_of_real_numbers_is_native(dtype):
    missing = {n for n in BY_SCIPY_NAME if special_of(n, {}, np.dtype(dtype)) is None}
    assert missing == {"wofz"}


def test_loops_of_ufuncs_run_element_by_element():
    x = np.random.default_rng(3).uniform(0.5, 9, 700)
    s = np.full(700, 2.5)
    assert_same_bits(run("zeta", s, x, one_by_one=True), BY_SCIPY_NAME["zeta"].evaluate(s, x))
    for n in (1, 2, 3):
        y = np.concatenate([x, -x, -40 * x, [0.0, -1.0, np.inf, np.nan, -50.0]])
        with np.errstate(all="ignore"):
            wanted = REGISTRY["polygamma"].evaluate(y, n=n)
        far = y < -30  # there the tangent is our own, and the sum may cancel
        got = run("polygamma", y, n=n)
        assert_same_bits(got[~far], wanted[~far])
        scale = np.pi ** (n + 1) * (1 + 1 / np.abs(np.tan(np.pi * y[far]))) ** (n + 1)
        error = np.abs(got[far] - wanted[far]) / scale
        assert np.nanmax(error) < 16 * n * np.finfo(float).eps


def test_strided_and_repeated_operands_are_read_at_their_places():
    rng = np.random.default_rng(1)
    a = rng.uniform(0.5, 4, (5, 8)).T[::2]
    x = np.broadcast_to(rng.uniform(0.5, 4, (5,)), (4, 5))
    assert_same_bits(run("gammainc", a, x), BY_SCIPY_NAME["gammainc"].evaluate(a, x))


def test_literals_take_part():
    x = np.linspace(0.1, 0.9, 7)
    wanted = BY_SCIPY_NAME["betainc"].evaluate(np.full(7, 2.0), np.full(7, 0.5), x)
    assert_same_bits(run("betainc", np.float64(2.0), np.float64(0.5), x), wanted)


def test_tasks_run_in_any_order():
    x = np.random.default_rng(2).uniform(0.5, 40, 1000)
    assert_same_bits(run("gammaln", x, one_by_one=True), BY_SCIPY_NAME["gammaln"].evaluate(x))


def test_counts_that_are_nan_or_no_whole_numbers():
    with pytest.warns(RuntimeWarning, match="truncated"):
        wanted = BY_SCIPY_NAME["expn"].evaluate(np.array([2.5, np.nan]), np.array([0.5, 0.5]))
    assert_same_bits(run("expn", np.array([2.5, np.nan]), np.array([0.5, 0.5])), wanted)


def test_names_without_a_function_have_no_address():
    assert address("special.no_such_function") is None
    assert address("special.bdtr(fff)") is None
    assert address("lapack.dnothing") is None
    assert address("ufunc._zeta(ddd->d)") is None
    assert address("ufunc.no_such_function(d->d)") is None
    assert "dlds" in letters_of("bdtr")
    assert special_of("gammaln", {}, np.dtype("D")) is None
    assert special_of("gammaln", {}, np.dtype("e")) is None


# --- complex numbers ------------------------------------------------------------------------------

COMPLEX = {
    **{key: [{}] for key in ("erf", "erfc", "erfi", "wofz", "wrightomega", "xlogy", "xlog1py")},
    "airy": [{"part": k} for k in range(4)], "lambertw": [{"branch": k} for k in (-1, 0, 1)],
}  # fmt: skip


@pytest.mark.parametrize("dtype", "DF")
@pytest.mark.parametrize("name", sorted(COMPLEX))
def test_functions_of_complex_numbers_have_the_bits_of_the_evaluator(name, dtype):
    if name == "lambertw":
        dtype = "D"  # scipy.special.lambertw's tolerance is a float64
    rng = np.random.default_rng(4)
    edges = np.array([0, 1j, np.inf, complex(np.nan, 1), complex(-np.inf, -0.0)])
    z = np.concatenate([rng.normal(size=600) + 3j * rng.normal(size=600), edges]).astype(dtype)
    arrays = [np.roll(z, 7 * k) for k in range(2 if name.startswith("xlog") else 1)]
    for params in COMPLEX[name]:
        with np.errstate(all="ignore"):
            wanted = REGISTRY[name].evaluate(*arrays, **params)
        kernel = EMITTERS[name](site_of(name, *arrays, **params))
        runner = Runner(kernel, site_of(name, *arrays, **params),
                        tuple(address(n) for n in kernel.externals))  # fmt: skip
        (found,) = runner.run(*arrays, one_by_one=True)
        for part in ("real", "imag"):
            assert_same_bits(getattr(found, part), getattr(wanted, part))
