"""Special functions: SciPy's values, with derivatives that are closed to every order.

One file a family. A slope that would lose digits when written with SciPy's functions is an
operation of its own, in a family that contains its own derivatives (`exp_square`,
`erfcx_integral`, `polygamma_difference`, `gammainc_by_a`, `betainc_by`, `i0e_moment`, ...).
"""

from chainrule.ops.special import (
    bessel_functions,
    bessel_relatives,
    distribution_functions,
    entropy,
    error_functions,
    exponential_integrals,
    faddeeva,
    gamma_functions,
    gamma_relatives,
    gaussian,
    hypergeometric,
    incomplete_beta,
    incomplete_gamma,
    integral_functions,
    logistic,
    orthogonal_polynomials,
)
