"""numpy.polynomial through a trace, against NumPy."""

import numpy as np
import pytest

import chainrule as cr
from tests.numpy.against_numpy import check_same
from tests.ops.differentiation import check_derivatives

RNG = np.random.default_rng(51)
C, D, X = RNG.standard_normal(5), RNG.standard_normal(3), RNG.random(4)
BASES = {
    "polynomial": "poly", "chebyshev": "cheb", "legendre": "leg", "hermite": "herm",
    "hermite_e": "herme", "laguerre": "lag",
}  # fmt: skip


def functions(module, prefix):
    """Calls of a basis: the functions are looked up while the trace is open."""
    package = getattr(np.polynomial, module)

    def of(name):
        return lambda *args, **options: getattr(package, prefix + name)(*args, **options)

    return {
        "val": (lambda x, c: of("val")(x, c), X, C),
        "val2d": (lambda x, c: of("val2d")(x, x, np.outer(c, c)), X, D),
        "grid2d": (lambda x, c: of("grid2d")(x, X, np.outer(c, c)), X, D),
        "add": (of("add"), C, D),
        "sub": (of("sub"), D, C),
        "mul": (of("mul"), C, D),
        "mulx": (of("mulx"), C),
        "pow": (lambda c: of("pow")(c, 3), D),
        "div": (lambda c, d: of("div")(c, d)[0], C, D),
        "der": (lambda c: of("der")(c, 2), C),
        "int": (lambda c: of("int")(c, 2, k=[1.0, 2.0], lbnd=0.3), C),
        "vander": (lambda x: of("vander")(x, 3), X),
        "vander2d": (lambda x: of("vander2d")(x, X, [2, 1]), X),
        "fromroots": (of("fromroots"), D),
        "line": (lambda c: of("line")(c[0], c[1]), D),
        "roots": (of("roots"), np.array([-0.3, 0.2, 1.0])),
        "companion": (of("companion"), D),
        "fit": (lambda y: of("fit")(np.arange(6.0), y, 2), RNG.standard_normal(6)),
    }


CASES = {
    f"{prefix}{name}": case
    for module, prefix in BASES.items()
    for name, case in functions(module, prefix).items()
}


@pytest.mark.parametrize("name", CASES)
def test_values_are_numpys_and_derivatives_right(name):
    f, *args = CASES[name]
    check_same(f, *args, exact=False)
    check_derivatives(f, *args, second=False, batched=False, tolerance=1e-7)


def test_conversions_between_bases():
    for convert in ("cheb2poly", "poly2cheb"):
        check_same(lambda c, n=convert: getattr(np.polynomial.chebyshev, n)(c), C, exact=False)


def test_plain_arguments_are_numpys_own():
    def function(x):
        plain = np.polynomial.chebyshev.chebder([1.0, 2.0, 3.0])
        assert type(plain) is np.ndarray
        return x * plain[0]

    assert cr.grad(function)(1.0) == 2.0
