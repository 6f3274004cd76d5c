"""Rules for exponentials, logarithms, and the functions that are written with them."""

from chainrule.transforms.stabilize_patterns import Bindings
from chainrule.transforms.stabilize_rules import Rule

_LOGISTIC = "Blanchard, Higham, Higham, IMA J. Numer. Anal. 41 (2021) 2311"


def _is_not_even(bindings: Bindings) -> bool:
    """Whether x^c is negative or nan for negative x, as its logarithm's formula is nan there."""
    c = bindings["cy"]
    return c.is_literal and float(c.value) % 2.0 != 0.0


EXPONENTIALS = (
    # --- the logistic function ----------------------------------------------------------------
    Rule("logistic function", "1 / (1 + exp(x))", "expit(-x)", source=_LOGISTIC),
    Rule("logistic function by e^x", "exp(x) / (1 + exp(x))", "expit(x)", source=_LOGISTIC),
    Rule("slope of the logistic function", "exp(x) / square(1 + exp(x))", "expit(x) * expit(-x)"),
    Rule("slope of the logistic function by its tail", "exp(-x) / square(1 + exp(-x))",
         "expit(x) * expit(-x)"),
    Rule("share of two exponentials", "exp(x) / (exp(x) + exp(y))",
         "where(less(x, y), exp_sum(x, -y) * expit(y - x), expit(x - y))"),
    Rule("complement of the logistic function", "1 - expit(x)", "expit(-x)"),
    Rule("logistic function around 1/2", "2 * expit(x) - 1", "tanh(0.5 * x)"),
    Rule("logarithm of the logistic function", "log(expit(x))", "log_expit(x)"),
    Rule("logistic function of a logit", "log(x / (1 - x))", "logit(x)", "0 < x < 1"),
    # --- log(1 +- e^x) --------------------------------------------------------------------------
    Rule("softplus", "log(1 + exp(x))", "-log_expit(-x)", source="Dugas et al., NIPS 2000"),
    Rule("softplus by log1p", "log1p(exp(x))", "-log_expit(-x)"),
    Rule("log1mexp", "log(1 - exp(x))", "log1mexp(x)", "x < 0", "Maechler 2012"),
    Rule("log1mexp by log1p", "log1p(-exp(x))", "log1mexp(x)", "x < 0", "Maechler 2012"),
    Rule("log1mexp by expm1", "log(-expm1(x))", "log1mexp(x)", "x < 0", "Maechler 2012"),
    Rule("log of expm1", "log(expm1(x))", "log_expm1(x)", "x > 0"),
    Rule("log of two exponentials", "log(exp(x) + exp(y))", "logaddexp(x, y)"),
    Rule("log of a difference of exponentials", "log(exp_difference(x, y))",
         "log_exp_difference(x, y)", "y < x"),
    Rule("log of an exponential", "log(exp(x))", "x"),
    Rule("log of a product with an exponential", "log(y * exp(x))", "log_times_exp(x, y)", "y > 0"),
    Rule("log of an exponential divided", "log(exp(x) / y)", "-log_times_exp(-x, y)", "y > 0"),
    # --- exponentials ---------------------------------------------------------------------------
    Rule("expm1", "exp(x) - 1", "expm1(x)"),
    Rule("difference of exponentials", "exp(x) - exp(y)", "exp_difference(x, y)"),
    Rule("twice sinh", "exp(x) - exp(-x)", "2.0 * sinh(x)"),
    Rule("twice cosh", "exp(x) + exp(-x)", "2.0 * cosh(x)"),
    Rule("twice sinh, by a quotient", "exp(x) - 1 / exp(x)", "2.0 * sinh(x)"),
    Rule("twice cosh, by a quotient", "exp(x) + 1 / exp(x)", "2.0 * cosh(x)"),
    Rule("cosh less 1, by exponentials", "exp(x) + exp(-x) - 2", "4.0 * square(sinh(0.5 * x))"),
    Rule("cosh less 1, twice", "2 * cosh(x) - 2", "4.0 * square(sinh(0.5 * x))"),
    Rule("inverse of an exponential", "1 / exp(x)", "exp(-x)"),
    Rule("quotient of exponentials", "exp(x) / exp(y)", "exp_sum(x, -y)"),
    Rule("product of exponentials", "exp(x) * exp(y)", "exp_sum(x, y)"),
    Rule("e^x over expm1", "exp(x) / expm1(x)", "-1.0 / expm1(-x)"),
    Rule("tanh by expm1", "expm1(x) / (1 + exp(x))", "tanh(0.5 * x)"),
    Rule("tanh", "sinh(x) / cosh(x)", "tanh(x)"),
    Rule("coth", "cosh(x) / sinh(x)", "1.0 / tanh(x)"),
    Rule("exp of a logarithm", "exp(log(x))", "only(greater_equal(x, 0.0), x)", "x >= 0"),
    # --- logarithms -----------------------------------------------------------------------------
    Rule("log1p", "log(1 + x)", "log1p(x)"),
    Rule("log1p of a negative", "log(1 - x)", "log1p(-x)"),
    Rule("arctanh", "log((1 + x) / (1 - x))", "2.0 * arctanh(x)", "|x| < 1"),
    Rule("arctanh backwards", "log((1 - x) / (1 + x))", "-2.0 * arctanh(x)", "|x| < 1"),
    Rule("difference of log1p", "log1p(x) - log1p(-x)", "2.0 * arctanh(x)", "|x| < 1"),
    Rule("difference of logarithms", "log(x) - log(y)", "log_ratio(x, y)", "x, y > 0"),
    Rule("logarithm of a quotient", "log(x / y)", "log_ratio(x * sign(y), absolute(y))",
         "x / y > 0"),
    Rule("expm1 of log1p", "expm1(log1p(x))", "only(greater_equal(x, -1.0), x)", "x >= -1"),
    Rule("logarithm of a power", "log(power(x, cy))", "cy * log(x)", "x > 0",
         holds=_is_not_even),
    Rule("arcsinh", "log(x + sqrt(square(x) + 1))", "arcsinh(x)"),
    Rule("arcsinh by hypot", "log(x + hypot(x, 1.0))", "arcsinh(x)"),
    Rule("arcsinh of a size", "log(absolute(x) + sqrt(square(x) + 1))", "arcsinh(absolute(x))"),
    Rule("arcsinh of a size by hypot", "log(absolute(x) + hypot(x, 1.0))", "arcsinh(absolute(x))"),
    Rule("arccosh", "log(x + root_of_difference(x, 1.0))", "arccosh(x)", "x >= 1"),
    Rule("power of 1 + x", "power(1 + x, y)", "pow1p(x, y)", "x > -1"),
    Rule("power by logarithm", "exp(y * log(x))",
         "only(greater(x, 0.0) | (equal(x, 0.0) & not_equal(y, 0.0)), "
         "power(only(greater_equal(x, 0.0), x), y))", "x > 0"),
    Rule("power by log1p", "exp(y * log1p(x))",
         "only(greater(x, -1.0) | (equal(x, -1.0) & not_equal(y, 0.0)), "
         "pow1p(only(greater_equal(x, -1.0), x), y))", "x > -1"),
    # --- hyperbolic -----------------------------------------------------------------------------
    Rule("cosh less 1", "cosh(x) - 1", "2.0 * square(sinh(0.5 * x))"),
    Rule("1 less tanh", "1 - tanh(x)", "2.0 * expit(-2.0 * x)"),
    Rule("1 and tanh", "1 + tanh(x)", "2.0 * expit(2.0 * x)"),
    Rule("1 less tanh squared", "1 - square(tanh(x))", "square(1.0 / cosh(x))"),
    Rule("log of cosh", "log(cosh(x))", "log_cosh(x)"),
    Rule("log of sinh", "log(sinh(x))", "log_sinh(x)", "x > 0"),
    Rule("square of cosh less square of sinh", "square(cosh(x)) - square(sinh(x))",
         "only(less(absolute(x), inf), 0.0 * x + 1.0)"),
    # --- error functions ------------------------------------------------------------------------
    Rule("erfc", "1 - erf(x)", "erfc(x)"),
    Rule("erfc of a negative", "1 + erf(x)", "erfc(-x)"),
    Rule("log of erfc", "log(erfc(x))",
         "where(greater(x, 1.0), log_ndtr(-1.4142135623730951 * x) + 0.6931471805599453, "
         "log(erfc(x)))", source="DLMF 7.2, 7.18"),
    Rule("erf", "1 - erfc(x)", "erf(x)"),
)  # fmt: skip
