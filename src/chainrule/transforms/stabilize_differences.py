"""Rules for differences of a function at two points: d is the difference of the points, in which
what stands in both has been left out, so that sqrt(x + 1) - sqrt(x) is 1 / (sqrt(x + 1) + sqrt(x)).
"""

from chainrule.transforms.stabilize_patterns import Bindings
from chainrule.transforms.stabilize_rules import Rule

_HAMMING = "Hamming, Numerical Methods for Scientists and Engineers, 2nd ed., chapter 3"


def _is_no_arcsinh(bindings: Bindings) -> bool:
    """Whether the sum is not x + sqrt(x^2 + 1), whose logarithm has a rule of its own."""
    return not bindings["y"].is_literal


DIFFERENCES = (
    Rule("difference of square roots", "sqrt(x) - sqrt(y)",
         "d / where(equal(sqrt(x) + sqrt(y), 0.0) | equal(absolute(d), inf), 1.0, "
         "where(equal(sqrt(x) + sqrt(y), inf), x - y, sqrt(x) + sqrt(y)))",
         source=_HAMMING, difference="x - y"),
    Rule("difference of cube roots", "cbrt(x) - cbrt(y)",
         "d / (square(cbrt(x)) + (cbrt(x) * cbrt(y) + square(cbrt(y))))", source=_HAMMING,
         difference="x - y", cancels=True),
    Rule("difference of inverse roots", "1 / sqrt(x) - 1 / sqrt(y)",
         "((-d / sqrt(x)) / sqrt(y)) / (sqrt(x) + sqrt(y))", source=_HAMMING, difference="x - y",
         cancels=True),
    Rule("difference of reciprocals", "1 / x - 1 / y", "(-d / x) / y", source=_HAMMING,
         difference="x - y", cancels=True),
    Rule("difference of logarithms, near", "log(x) - log(y)",
         "where(less(absolute(d), 0.5 * y), log1p(d / y), log_ratio(x, y))", "x, y > 0",
         _HAMMING, difference="x - y", cancels=True),
    Rule("difference of log1p and logarithm", "log1p(x) - log(y)",
         "where(less(absolute(d), 0.5 * y), log1p(d / y), log_ratio(1.0 + x, y))",
         "x > -1, y > 0", _HAMMING, difference="1 + x - y", cancels=True),
    Rule("difference of two log1p", "log1p(x) - log1p(y)",
         "where(less(absolute(d), 0.5 * (1.0 + y)), log1p(d / (1.0 + y)), "
         "log_ratio(1.0 + x, 1.0 + y))", "x, y > -1", _HAMMING,
         difference="x - y", cancels=True),
    Rule("difference of exponentials, near", "exp(x) - exp(y)",
         "where(less(absolute(d), 1.0), exp(y) * expm1(d), exp_difference(x, y))",
         difference="x - y", cancels=True),
    Rule("difference of sines", "sin(x) - sin(y)", "2.0 * cos(y + 0.5 * d) * sin(0.5 * d)",
         source=_HAMMING, difference="x - y", cancels=True),
    Rule("difference of cosines", "cos(x) - cos(y)", "-2.0 * sin(y + 0.5 * d) * sin(0.5 * d)",
         source=_HAMMING, difference="x - y", cancels=True),
    Rule("difference of tangents", "tan(x) - tan(y)", "sin(d) / (cos(x) * cos(y))",
         source=_HAMMING, difference="x - y", cancels=True),
    Rule("difference of arctangents", "arctan(x) - arctan(y)", "arctan2(d, 1.0 + x * y)",
         source=_HAMMING, difference="x - y", cancels=True),
    Rule("difference of hyperbolic sines", "sinh(x) - sinh(y)",
         "2.0 * cosh(y + 0.5 * d) * sinh(0.5 * d)", difference="x - y", cancels=True),
    Rule("difference of hyperbolic cosines", "cosh(x) - cosh(y)",
         "2.0 * sinh(y + 0.5 * d) * sinh(0.5 * d)", difference="x - y", cancels=True),
    Rule("difference of near cubes", "power(x, 3) - power(y, 3)",
         "d * (square(x) + (x * y + square(y)))", difference="x - y", cancels=True),
    Rule("difference of cubes", "power(x, 3) - power(y, 3)",
         "difference_of_powers(x, y, n=3)", "x, y finite"),
    Rule("difference of near fourth powers", "power(x, 4) - power(y, 4)",
         "(d * (x + y)) * (square(x) + square(y))", difference="x - y", cancels=True),
    Rule("difference of fourth powers", "power(x, 4) - power(y, 4)",
         "difference_of_powers(x, y, n=4)", "x, y finite"),
    Rule("difference of powers", "power(x, z) - power(y, z)",
         "where(greater(y, 0.0) & less(absolute(d), 0.5 * y) & less(absolute(z * d), y), "
         "power(y, z) * expm1(z * log1p(d / y)), power(x, z) - power(y, z))",
         "x, y > 0", difference="x - y", cancels=True),
    Rule("difference of powers of 1 + x", "pow1p(x, z) - power(y, z)",
         "where(greater(y, 0.0) & less(absolute(d), 0.5 * y) & less(absolute(z * d), y), "
         "power(y, z) * expm1(z * log1p(d / y)), pow1p(x, z) - power(y, z))",
         "x > -1, y > 0", difference="1 + x - y", cancels=True),
    Rule("root of a square and more, less its base", "sqrt(square(y) + z) - y",
         "where(greater(y, 0.0) & less(z, inf), z / (sqrt(square(y) + z) + absolute(y)), "
         "sqrt(square(y) + z) + absolute(y))",
         source=_HAMMING),
    Rule("root of a square and more, and its base", "sqrt(square(y) + z) + y",
         "where(less(y, 0.0) & less(z, inf), z / (sqrt(square(y) + z) + absolute(y)), "
         "sqrt(square(y) + z) + absolute(y))",
         source=_HAMMING),
    Rule("hypot less a side", "hypot(x, y) - x",
         "where(greater(x, 0.0) & less(absolute(y), inf), y * (y / (hypot(x, y) + absolute(x))), "
         "hypot(x, y) + absolute(x))"),
    Rule("hypot and a side", "hypot(x, y) + x",
         "where(less(x, 0.0) & less(absolute(y), inf), y * (y / (hypot(x, y) + absolute(x))), "
         "hypot(x, y) + absolute(x))", holds=_is_no_arcsinh),
)  # fmt: skip
