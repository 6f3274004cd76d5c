"""certified: correctly rounded results, beside mpmath and ratios, and certain branches."""

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import chainrule as cr

mpmath.mp.prec = 53

X = [1e-300, 1e-20, 1e-8, 0.1, 0.5, 1.0, 2.0, 3.7, 22.0, 700.0, 1e10, 1e22]


def nearest(value: mpmath.mpf) -> float:
    """A number of mpmath, far more precise than a double, rounded to a double once."""
    mantissa = int(value.man) * (-1 if value < 0 else 1)
    if abs(value.exp) > 5000:
        return math.copysign(math.inf, 1 if mantissa > 0 else -1) if value.exp > 0 else 0.0
    power = Fraction(2) ** int(value.exp)
    try:
        return float(mantissa * power)
    except OverflowError:
        return float("inf") if value > 0 else -float("inf")


FUNCTIONS = {
    "exp": (np.exp, mpmath.exp), "log": (np.log, mpmath.log), "sin": (np.sin, mpmath.sin),
    "cos": (np.cos, mpmath.cos), "tan": (np.tan, mpmath.tan), "tanh": (np.tanh, mpmath.tanh),
    "arctan": (np.arctan, mpmath.atan), "sqrt": (np.sqrt, mpmath.sqrt),
    "cbrt": (np.cbrt, mpmath.cbrt), "log1p": (np.log1p, mpmath.log1p),
    "arcsinh": (np.arcsinh, mpmath.asinh), "log2": (np.log2, lambda x: mpmath.log(x, 2)),
    "exp2": (np.exp2, lambda x: mpmath.mpf(2) ** x), "log10": (np.log10, mpmath.log10),
    "gammaln": (cr.special.gammaln, mpmath.loggamma), "erfc": (cr.special.erfc, mpmath.erfc),
    "j0": (cr.special.j0, lambda x: mpmath.besselj(0, x)),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_elementary_functions_are_correctly_rounded(name):
    function, truth = FUNCTIONS[name]
    points = X if name not in ("gammaln", "j0") else X[1:-3]
    found = cr.certified(function)(np.array(points))
    with mpmath.workprec(1200):
        wanted = [nearest(mpmath.re(truth(mpmath.mpf(x)))) for x in points]
    np.testing.assert_array_equal(found, wanted)


def test_sums_are_correctly_rounded_whatever_cancels():
    x = np.array([1e308, 1.0, -1e308, 2.0**-60, 1e-320])
    exact = sum(map(Fraction, x.tolist()))
    assert cr.certified(np.sum)(x) == float(exact)


def test_quotients_are_exact_where_they_cancel():
    assert cr.certified(lambda x: x / 3 * 3 - x)(0.7) == 0.0
    assert cr.certified(lambda x: (x / 7 + x / 7 * 6) == x)(1.3)


def test_results_beyond_the_format_are_infinite_or_zero_and_inside_may_be_larger():
    assert cr.certified(np.exp)(800.0) == np.inf
    assert cr.certified(np.exp)(-800.0) == 0.0
    assert cr.certified(lambda x: np.log(np.exp(x)))(800.0) == 800.0
    assert cr.certified(lambda x: np.exp(x) / np.exp(x - 1))(5000.0) == np.exp(1.0)


def test_subnormal_results_are_rounded_once():
    x = -745.0
    with mpmath.workprec(200):
        wanted = nearest(mpmath.exp(x))
    assert 0.0 < wanted < 1e-322
    assert cr.certified(np.exp)(x) == wanted


def test_float32_results_are_the_nearest_float32():
    x = np.float32(0.1)
    found = cr.certified(lambda x: np.exp(x) * x)(x)
    with mpmath.workprec(200):
        exact = mpmath.exp(mpmath.mpf(float(x))) * float(x)
        candidates = [found, np.nextafter(found, np.float32(9)), np.nextafter(found, np.float32(0))]
        distances = [abs(mpmath.mpf(float(c)) - exact) for c in candidates]
    assert found.dtype == np.float32
    assert distances[0] == min(distances)


def test_a_cast_to_a_narrower_dtype_rounds_there():
    def f(x):
        return x.astype(np.float32).astype(np.float64) - x

    x = np.float64(0.1)
    assert cr.certified(f)(x) == float(Fraction(float(np.float32(0.1))) - Fraction(0.1))


def test_an_if_is_decided_by_the_true_values():
    def f(x):
        return x if x * x - 2.0 * x + 1.0 > 0 else -x

    x = 1.0 + 1e-9
    assert f(x) == -x  # floating point finds 0
    assert cr.certified(f)(x) == x
    assert cr.certified(cr.grad(f))(x) == 1.0


def test_where_and_cond_are_decided_by_the_true_values():
    def f(x):
        gap = (x + 1e17) - 1e17
        return np.where(gap > 0, 1.0, 2.0) + cr.cond(gap > 0, lambda: 10.0, lambda: 20.0)

    assert cr.certified(f)(1.0) == 11.0


def test_a_while_loop_on_values_runs_on_certain_values():
    def root(a):
        x = a
        while abs(x * x - a) > 1e-13 * a:
            x = (x + a / x) / 2
        return x

    steps = cr.certified(root)(2.0)
    x = Fraction(2)
    while abs(x * x - 2) > Fraction(1e-13) * 2:
        x = (x + 2 / x) / 2
    assert steps == float(x)


def test_loops_of_the_language_are_entered():
    def f(x):
        return cr.fori_loop(0, 30, lambda i, s: s * 0.5 + x, 0.0)

    x, total = Fraction(0.1), Fraction(0)
    for _ in range(30):
        total = total / 2 + x
    assert cr.certified(f)(0.1) == float(total)
    ones = np.arange(1.0, 9.0)
    found, partial = cr.certified(lambda v: cr.scan(lambda c, x: (c + x, c * x), 0.0, v))(ones)
    assert found == 36.0
    np.testing.assert_array_equal(partial, np.concatenate([[0.0], np.cumsum(ones)[:-1]]) * ones)


def test_derivatives_of_loops_are_certified():
    def f(x):
        return cr.while_loop(lambda s: s[0] < 5, lambda s: (s[0] + 1, np.sin(s[1]) + x), (0, x))[1]

    with mpmath.workprec(300):
        def g(x):
            s = x
            for _ in range(5):
                s = mpmath.sin(s) + x
            return s

        h = mpmath.mpf(2) ** -100
        x = mpmath.mpf(0.7)
        wanted = (g(x + h) - g(x - h)) / (2 * h)
        assert cr.certified(cr.grad(f))(0.7) == nearest(+wanted)


@pytest.mark.parametrize("n", [1, 3, 5])
def test_solve_inv_det_of_ratios(n):
    rng = np.random.default_rng(n)
    a, b = rng.integers(-5, 6, (n, n)) / 3.0 + 2.0 * np.eye(n), rng.normal(size=n)
    exact = mpmath.matrix(a.tolist())
    with mpmath.workprec(400):
        x = mpmath.lu_solve(exact, mpmath.matrix(b.tolist()))
        det = mpmath.det(exact)
        inverse = exact**-1
    np.testing.assert_array_equal(
        cr.certified(np.linalg.solve)(a, b), [nearest(+v) for v in x]
    )
    assert cr.certified(np.linalg.det)(a) == nearest(det)
    found = cr.certified(np.linalg.inv)(a)
    wanted = [[nearest(inverse[i, j]) for j in range(n)] for i in range(n)]
    np.testing.assert_array_equal(found, wanted)


def test_a_singular_matrix_is_proved_singular():
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    with pytest.raises(np.linalg.LinAlgError):
        cr.certified(np.linalg.inv)(a)
    nearly = np.array([[1.0, 1.0 + 2**-52], [1.0 - 2**-53, 1.0]])
    exact = Fraction(1) - Fraction(1.0 + 2**-52) * Fraction(1.0 - 2**-53)
    assert cr.certified(np.linalg.det)(nearly) == float(exact)


def test_factorisations_agree_with_numpy():
    rng = np.random.default_rng(4)
    a = rng.normal(size=(4, 3))
    s = a.T @ a
    np.testing.assert_allclose(cr.certified(np.linalg.cholesky)(s), np.linalg.cholesky(s), 1e-13)
    for found, wanted in zip(cr.certified(np.linalg.qr)(a), np.linalg.qr(a), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-14)
    np.testing.assert_allclose(
        cr.certified(np.linalg.eigvalsh)(s), np.linalg.eigvalsh(s), rtol=1e-12
    )
    np.testing.assert_allclose(
        cr.certified(lambda m: np.linalg.svd(m, compute_uv=False))(a),
        np.linalg.svd(a, compute_uv=False), rtol=1e-13,
    )  # fmt: skip


def test_arrays_products_sorting_and_indexing():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 5))

    def f(a, b):
        c = a @ b
        return np.sort(c, axis=1)[:, ::2], np.cumsum(c, axis=-1), c.max(axis=0), np.argmax(c)

    for found, wanted in zip(cr.certified(f)(a, b), f(a, b), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
        assert found.dtype == wanted.dtype


def test_one_entry_of_a_product_is_the_nearest_number():
    rng = np.random.default_rng(6)
    a, b = rng.normal(size=9) * 1e8, rng.normal(size=9)
    exact = sum(Fraction(x) * Fraction(y) for x, y in zip(a.tolist(), b.tolist(), strict=True))
    assert cr.certified(np.dot)(a, b) == float(exact)


def test_complex_functions():
    z = np.array([1 + 2j, -0.5 + 1e-9j, 3.0 - 1e5j])
    found = cr.certified(lambda z: np.exp(1j * z) + np.sqrt(z) / z)(z)
    with mpmath.workprec(300):
        for got, at in zip(found, z, strict=True):
            w = mpmath.mpc(complex(at))
            wanted = mpmath.exp(1j * w) + mpmath.sqrt(w) / w
            assert got.real == nearest(wanted.real)
            assert got.imag == nearest(wanted.imag)


def test_infinities_and_nan_are_numpys():
    x = np.array([np.inf, -np.inf, np.nan, 0.0])
    for f in (np.exp, np.arctan, np.tanh, lambda x: 1 / (1 + x * x), np.abs, np.sign):
        np.testing.assert_array_equal(cr.certified(f)(x), f(x))
    with np.errstate(all="ignore"):
        for f in (np.log, np.sqrt, lambda x: 1 / x):
            np.testing.assert_array_equal(cr.certified(f)(x), f(x))


def test_equal_numbers_that_are_not_known_exactly_are_undecided():
    def f(x):
        return np.where(np.sqrt(x) * np.sqrt(x) == x, 1.0, 0.0)

    with pytest.raises(cr.errors.Undecided, match=r"test_certified\.py:\d+"):
        cr.certified(f, most_bits=512)(2.0)


def test_a_result_that_is_zero_without_being_known_exactly_rounds_to_zero():
    assert cr.certified(lambda x: np.sqrt(x) * np.sqrt(x) - x)(2.0) == 0.0


def test_the_caller_sees_mutations_and_trees():
    def f(state):
        state["x"] += 1e-20
        return {"sum": state["x"] + 1, "n": np.arange(3) * 2}

    state = {"x": np.array([1e-20, 1.0])}
    found = cr.certified(f)(state)
    np.testing.assert_array_equal(state["x"], [2e-20, 1.0])
    np.testing.assert_array_equal(found["n"], [0, 2, 4])


def test_certified_inside_a_trace_says_what_to_write():
    with pytest.raises(cr.errors.NotSupported, match="outermost"):
        cr.grad(lambda x: cr.certified(np.sin)(x))(1.0)


def test_an_operation_without_a_rule_is_named():
    with pytest.raises(cr.errors.NotSupported, match="owens_t"):
        cr.certified(cr.special.owens_t)(1.0, 2.0)


def test_a_jacobian_is_certified():
    found = cr.certified(cr.jacobian(lambda x: np.array([1.0, 2.0]) * np.sin(x)))(
        np.array([1e-3, 2.0])
    )
    with mpmath.workprec(200):
        wanted = [[nearest(mpmath.cos(1e-3)), 0.0], [0.0, nearest(2 * mpmath.cos(2.0))]]
    np.testing.assert_array_equal(found, wanted)


DERIVATIVES = {
    "erf": (cr.special.erf, lambda x: 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-x * x)),
    "log2": (np.log2, lambda x: 1 / (x * mpmath.log(2))),
    "exp2": (np.exp2, lambda x: mpmath.log(2) * mpmath.mpf(2) ** x),
    "log10": (np.log10, lambda x: 1 / (x * mpmath.log(10))),
    "cbrt": (np.cbrt, lambda x: 1 / (3 * mpmath.cbrt(x) ** 2)),
    "power": (
        lambda x: x ** (1 / 3), lambda x: mpmath.mpf(1 / 3) * x ** (mpmath.mpf(1 / 3) - 1),
    ),
    "ndtr": (cr.special.ndtr, lambda x: mpmath.npdf(x)),
    "sindg": (cr.special.sindg, lambda x: mpmath.cos(x * mpmath.pi / 180) * mpmath.pi / 180),
}  # fmt: skip


@pytest.mark.parametrize("name", DERIVATIVES)
def test_irrational_constants_of_derivatives_are_the_numbers_themselves(name):
    f, truth = DERIVATIVES[name]
    points = np.random.default_rng(7).uniform(0.01, 3.0, 40)
    points[0] = 1e-41
    found = cr.certified(cr.grad(lambda x: np.sum(f(x))))(points)
    with mpmath.workprec(300):
        wanted = [nearest(truth(mpmath.mpf(x))) for x in points.tolist()]
    np.testing.assert_array_equal(found, wanted)


def test_a_derivative_whose_rule_is_cut_off_is_not_certified():
    with pytest.raises(cr.errors.NotSupported, match="sinc"):
        cr.certified(cr.grad(np.sinc))(0.3)


def test_what_has_no_rule_for_these_values_says_so_with_the_line():
    for f, x in (
        (lambda x: np.linalg.inv(x), np.array([[np.inf, 0.0], [0.0, 1.0]])),
        (lambda x: np.linalg.eigvalsh(x), np.eye(2) * 1j),
        (lambda x: np.linalg.det(x), np.zeros((0, 2, 2))),
        (lambda x: np.exp(x * 1j), np.inf),
    ):
        with pytest.raises(cr.errors.NotSupported, match="cannot be certified") as caught:
            cr.certified(f)(x)
        assert any("test_certified.py" in note for note in caught.value.__notes__)


def test_derivatives_of_dawson_and_beta_are_correctly_rounded():
    def dawson(x):
        return mpmath.sqrt(mpmath.pi) / 2 * mpmath.exp(-x * x) * mpmath.erfi(x)

    second = cr.certified(cr.grad(cr.grad(cr.special.dawsn)))
    by_a = cr.certified(cr.grad(cr.special.betaln))
    twice = cr.certified(cr.grad(cr.grad(cr.special.betaln)))
    with mpmath.workprec(600):
        b = mpmath.mpf(2.5)
        for x in (0.5, 2.5, 40.0):
            assert second(x) == nearest(mpmath.diff(dawson, mpmath.mpf(x), 2))
        for a in (0.3, 3.7, 1e6):
            known = mpmath.mpf(a)
            wanted = [mpmath.psi(n, known) - mpmath.psi(n, known + b) for n in (0, 1)]
            assert [by_a(a, 2.5), twice(a, 2.5)] == [*map(nearest, wanted)]
