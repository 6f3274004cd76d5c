"""Long sums of monomials: found in programs, and right where they cancel, value and derivative.

The truth is the same text at hundreds of digits, or whole numbers.
"""

import math
from fractions import Fraction

import numpy
import pytest

import chainrule as cr
from chainrule import derived as derived_programs
from chainrule.lab.right_derivatives.case import Case
from chainrule.lab.right_derivatives.truth import truth
from chainrule.ops.special.polynomials import polynomial
from chainrule.tracing import trace_call
from chainrule.transforms.stabilize import rules_fired, stabilize
from chainrule.transforms.stabilize_polynomials import _Known

SUMS = {}
SERIES = numpy.array([(-1.0) ** k / math.factorial(k) for k in range(100)])


def sum_of(*points):
    def add(function):
        SUMS[function.__name__] = function, points
        return function

    return add


def vector(*entries):
    return numpy.array(entries)


@sum_of(20.0, -8.0, 0.5, 30.0)
def term_by_term(np, x):
    total, term = 1.0, 1.0
    for n in range(1, 120):
        term = term * (-x) / n
        total = total + term
    return total


@sum_of(20.0, -8.0, 0.5, 12.0)
def powers_over_factorials(np, x):
    total = 1.0
    for n in range(1, 60):
        total = total + (-1.0) ** n * x**n / math.factorial(n)
    return total


@sum_of(20.0, -8.0, 1e-3)
def from_the_inside(np, x):
    total = 1.0
    for n in range(80, 0, -1):
        total = 1.0 - x * total / n
    return total


@sum_of(20.0, -8.0, 0.5, 1e-3)
def sine(np, x):
    total, term = x, x
    for n in range(1, 60):
        term = -term * x * x / ((2 * n) * (2 * n + 1))
        total = total + term
    return total


@sum_of(10.0, 25.0, 0.1)
def bessel(np, x):
    total, term = 1.0, 1.0
    for m in range(1, 80):
        term = term * (-((x / 2.0) ** 2)) / (m * m)
        total = total + term
    return total


@sum_of(3.0, 0.1, 5.0)
def error_function(np, x):
    total = 0.0
    for n in range(80):
        total = total + (-1) ** n * x ** (2 * n + 1) / (math.factorial(n) * (2 * n + 1))
    return 2.0 / np.sqrt(np.pi) * total


@sum_of(20.0, -8.0, 0.5)
def even_less_odd(np, x):
    even, odd, term = 1.0, 0.0, 1.0
    for n in range(1, 90):
        term = term * x / n
        even, odd = (even, odd + term) if n % 2 else (even + term, odd)
    return even - odd


@sum_of(20.0, -8.0, 0.5)
def two_at_a_time(np, x):
    total = 0.0
    for k in range(0, 100, 2):
        total = total + (SERIES[k] * x**k + SERIES[k + 1] * x ** (k + 1))
    return total


@sum_of(20.0, -8.0, 0.5)
def stacked(np, x):
    return np.sum(np.stack([SERIES[k] * x**k for k in range(100)]))


@sum_of(20.0, -8.0, 0.5)
def summed_by_python(np, x):
    return sum(SERIES[k] * x**k for k in range(100))


@sum_of(1.0 + 1e-6, 2.0, 3.0 - 1e-4)
def written_out(np, x):
    return x**7 - 7 * x**6 + 21 * x**5 - 35 * x**4 + 35 * x**3 - 21 * x**2 + 7 * x - 1


@sum_of(20.0, 1.0000001, 7.9999)
def with_twenty_roots(np, x):
    total = 0.0
    for c in numpy.poly(numpy.arange(1.0, 21.0)):
        total = total * x + float(c)
    return total


@sum_of(vector(20.0, -8.0, 3.0))
def entry_by_entry(np, x):
    return np.sum(np.log(term_by_term(np, x)))


@sum_of(3.0, 1.5)
def of_another_function(np, x):
    return np.log(term_by_term(np, 20.0 * np.sin(x)))


@sum_of(20.0, 8.0, 0.5)
def about_a_point(np, x):
    return term_by_term(np, x - 1.0)


@sum_of(20.0, 8.0, 0.5)
def in_a_quotient_and_a_root(np, x):
    total = term_by_term(np, x)
    return np.sqrt(total) * np.exp(x) / (1.0 + total * total)


@sum_of(vector(20.0, 3.0), vector(8.0, -2.0))
def times_another_variable(np, p):
    x, y = p[0], p[1]
    total, term = y * y, y * y
    for n in range(1, 90):
        term = -term * x / n
        total = total + term
    return total


@sum_of(vector(20.0, 3e-9), vector(8.0, -2.0))
def beside_another_variable(np, p):
    return term_by_term(np, p[0]) + p[1]


@sum_of(0.9, -0.9, 0.999)
def logarithm(np, x):
    total, power = 0.0, 1.0
    for n in range(1, 200):
        power = power * x
        total = total - (-1) ** n * power / n
    return total


@sum_of(0.999, 1.0 - 1e-4, 3.0)
def signs_in_turn(np, x):
    total = 0.0
    for k in range(31):
        total = total + (-1) ** k * math.comb(30, k) * x**k
    return total


def _wanted(name):
    function, points = SUMS[name]
    case = Case("naive", name, function, tuple((p,) for p in points), "value_and_grad")
    return zip(points, truth(case), strict=True)


@pytest.mark.parametrize("name", SUMS)
def test_it_is_found_and_right_without_wide_arithmetic(name, monkeypatch):
    monkeypatch.setattr(derived_programs, "watch", lambda *_: None)
    function, points = SUMS[name]
    program = trace_call(lambda x: function(numpy, x), (points[0],), {}).program
    assert rules_fired(program)["polynomial"] == 1
    for point, (value, slope) in _wanted(name):
        found, gradient = cr.value_and_grad(lambda x: function(numpy, x))(point)
        numpy.testing.assert_allclose(found, value, rtol=1e-13, err_msg=f"at {point}")
        numpy.testing.assert_allclose(gradient, slope, rtol=1e-12, err_msg=f"at {point}")


@pytest.mark.parametrize("name", SUMS)
def test_it_is_right_when_compiled(name):
    function, _ = SUMS[name]
    compiled = cr.compile(cr.value_and_grad(lambda x: function(numpy, x)))
    for point, (value, slope) in _wanted(name):
        found, gradient = compiled(point)
        numpy.testing.assert_allclose(found, value, rtol=1e-13, err_msg=f"at {point}")
        numpy.testing.assert_allclose(gradient, slope, rtol=1e-12, err_msg=f"at {point}")


def test_second_and_third_derivatives():
    f = lambda x: term_by_term(numpy, x)
    second = cr.grad(cr.grad(f))
    assert second(20.0) == pytest.approx(math.exp(-20.0), rel=1e-12)
    assert cr.grad(second)(20.0) == pytest.approx(-math.exp(-20.0), rel=1e-12)
    assert cr.hessian(f)(20.0) == pytest.approx(math.exp(-20.0), rel=1e-12)


def test_lanes():
    x = numpy.array([20.0, -8.0, 0.5])
    found = cr.vmap(cr.grad(lambda x: term_by_term(numpy, x)))(x)
    numpy.testing.assert_allclose(found, -numpy.exp(-x), rtol=1e-12)


def legendre(x):
    a, b = 1.0, x
    for n in range(1, 40):
        a, b = b, ((2 * n + 1) * x * b - n * a) / (n + 1)
    return b


def product_of_differences(x):
    total = 1.0
    for k in range(20):
        total = total * (x - k)
    return total


def exponential_of_a_square(x):
    """Even powers with positive coefficients: nothing cancels."""
    total, term = 1.0, 1.0
    for n in range(1, 30):
        term = term * x * x / n
        total = total + term
    return total


def kahan(x):
    total, lost = 0.0 * x, 0.0 * x
    for n in range(1, 12):
        part = x**n / n - lost
        after = total + part
        lost = (after - total) - part
        total = after
    return total


LEFT = [legendre, product_of_differences, exponential_of_a_square, kahan]


@pytest.mark.parametrize("f", LEFT, ids=lambda f: f.__name__)
def test_what_does_not_cancel_or_means_its_rounding_is_left_alone(f):
    program = trace_call(f, (0.5,), {}).program
    assert "polynomial" not in rules_fired(program)


def test_partial_sums_that_are_all_read_stay():
    def partial_sums(x):
        total, found = 1.0, []
        for n in range(1, 40):
            total = total + (-x) ** n / n
            found.append(numpy.sin(total))
        return sum(found)

    assert "polynomial" not in rules_fired(trace_call(partial_sums, (0.5,), {}).program)


def test_single_precision_stays_as_it_is():
    x = numpy.float32(0.5)
    program = trace_call(lambda x: term_by_term(numpy, x), (x,), {}).program
    assert stabilize(program).equations[0].op.name != "polynomial"


def _exactly(x: float, numerators, denominator) -> Fraction:
    return sum(Fraction(n, denominator) * Fraction(x) ** k for k, n in enumerate(numerators))


@pytest.mark.parametrize("seed", range(6))
def test_next_to_roots_it_is_within_an_ulp_or_two(seed):
    """Products of (b x - a), whose roots a / b are no floats, and of multiple roots."""
    rng = numpy.random.default_rng(seed)
    numerators, roots = [1], []
    for _ in range(int(rng.integers(6, 16))):
        a, b = int(rng.integers(-40, 41)), int(rng.integers(1, 12))
        roots += [a / b]
        pairs = zip([0, *numerators], [*numerators, 0], strict=True)
        numerators = [b * above - a * n for above, n in pairs]
    params = {"numerators": tuple(numerators), "denominator": 3}
    near = [numpy.nextafter(r, r + s) for r in roots for s in (-1, 1)]
    x = numpy.array([*roots, *near, *(r + 1e-9 for r in roots), *rng.uniform(-50, 50, 40)])
    found = polynomial.evaluate(x, **params)
    for point, got in zip(x, found, strict=True):
        exact = _exactly(float(point), **params)
        assert abs(Fraction(float(got)) - exact) <= abs(exact) * Fraction(1, 2**50)
        one = polynomial.evaluate(point, **params)
        assert one == pytest.approx(float(exact), rel=2**-50, abs=0)


def test_at_zero_infinity_and_nan():
    def value(x, *numerators):
        both = polynomial.evaluate(numpy.array([x]), numerators=numerators, denominator=1)[0]
        one = polynomial.evaluate(numpy.float64(x), numerators=numerators, denominator=1)
        numpy.testing.assert_equal(both, one)
        return one

    inf = math.inf
    assert value(-inf, 1, 2, 0, 3) == -inf and value(-inf, 1, 0, 3) == inf
    assert math.isnan(value(inf, 1, 2, 0, -3)) and math.isnan(value(math.nan, 1, 2))
    assert math.copysign(1.0, value(-0.0, 0, 1, 0, -1)) == -1.0
    assert value(1e200, 0, 1, 0, -1) == -inf
    assert value(1e150, 1, 0, -1) == pytest.approx(-1e300, rel=1e-15)
    assert value(3.0, 5) == 5.0


def test_sums_of_many_things_are_not_written_out():
    """Each partial sum of n different things would hold all before it: n * n / 2 monomials."""
    n = 400

    def total(x):
        out = 0.0
        for k in range(n):
            out = out + x[k]
        return out

    program = cr.trace(total, numpy.ones(n))
    known = _Known(program)
    for equation in program.equations:
        known.enter(equation)
    assert sum(map(len, known.sums.values())) < 4 * n
