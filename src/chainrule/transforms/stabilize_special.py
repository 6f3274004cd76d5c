"""Rules for special functions: Bessel functions out of the range of floats, digamma at neighbours.

i0(x) grows as e^x, and k0(x) falls as e^-x: their logarithms and quotients do not.
"""

from math import factorial

from chainrule.transforms.stabilize_rules import Rule

# i0(x) - 1, by powers of x from the second on
_I0 = ", ".join(repr(1 / (4.0**k * factorial(k) ** 2)) + ", 0.0" for k in range(1, 11))


def _quotients(zero: str, one: str) -> tuple[Rule, ...]:
    """Of functions that grow, or fall, alike; those scaled by the exponential end in e."""
    return tuple([
        Rule(f"quotient of {f} and {g}", f"{f}(x) / {g}(x)", f"{f}e(x) / {g}e(x)",
             source="DLMF 10.40")
        for f, g in ((one, zero), (zero, one))
    ])  # fmt: skip


def _log_of(f: str, sign: str) -> Rule:
    return Rule(f"log of {f}", f"log({f}(x))",
                f"where(greater(x, 8.0), log({f}e(x)) {sign} x, log({f}(x)))",
                source="DLMF 10.40")  # fmt: skip


SPECIAL = (
    Rule("log of i0", "log(i0(x))",
         f"where(less(absolute(x), 1.0), log1p(series(x, start=2, coefficients=({_I0}))), "
         "where(greater(absolute(x), 8.0), log(i0e(x)) + absolute(x), log(i0(x))))",
         source="DLMF 10.25, 10.40"),
    _log_of("i1", "+"), _log_of("k0", "-"), _log_of("k1", "-"),
    *_quotients("i0", "i1"), *_quotients("k0", "k1"),
    Rule("log of gamma", "log(gamma(x))",
         "where(greater(x, 3.0), gammaln(x), log(gamma(x)))", source="DLMF 5.2"),
    Rule("gamma at neighbours", "gamma(1 + x) / gamma(x)",
         "where(greater(x, 0.0), x, gamma(1 + x) / gamma(x))", source="DLMF 5.5.1"),
    Rule("digamma at neighbours", "psi(1 + x) - psi(x)",
         "where(greater(x, 0.0), 1.0 / x, psi(1 + x) - psi(x))", source="DLMF 5.5.2"),
    Rule("complement of the normal distribution", "1 - ndtr(x)", "ndtr(-x)"),
    Rule("erfcx", "exp(square(x)) * erfc(x)", "erfcx(x)", source="DLMF 7.12.1"),
)  # fmt: skip
