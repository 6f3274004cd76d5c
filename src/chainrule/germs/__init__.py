"""Germs: programs evaluated along a generic curve, to the limit at its end.

A derivative at a kink or a singular point is read off the germ of the derivative program: values
beside the point, infinitely near, where every comparison is decided and every quotient defined.
"""

from chainrule.germs import (  # the rules enter themselves
    choosing,
    elementwise,
    exponential_sums,
    implicit,
    linear,
    order,
    poles,
    products,
    smooth,
    spectral,
    stable_forms,
    steps,
    structures,
    trigonometric,
)
from chainrule.germs.evaluation import Unsupported
from chainrule.germs.germ import along, directions, evaluate, limits
from chainrule.germs.series import Germ

__all__ = ["Germ", "Unsupported", "along", "directions", "evaluate", "limits"]
