"""Comparisons, logic and bits: no derivative passes through any of them.

Value     NumPy's own function; comparisons and logic give bool.
Edges     a comparison with nan is False (`not_equal`: True).
"""

import operator

import numpy as np

from chainrule.program.op import Discrete, elementwise

equal = elementwise("equal", operator.eq, Discrete(), takes="any", gives="bool")
not_equal = elementwise("not_equal", operator.ne, Discrete(), takes="any", gives="bool")
less = elementwise("less", operator.lt, Discrete(), takes="any", gives="bool")
less_equal = elementwise("less_equal", operator.le, Discrete(), takes="any", gives="bool")
greater = elementwise("greater", operator.gt, Discrete(), takes="any", gives="bool")
greater_equal = elementwise("greater_equal", operator.ge, Discrete(), takes="any", gives="bool")

isnan = elementwise("isnan", np.isnan, Discrete(), takes="any", gives="bool")
isinf = elementwise("isinf", np.isinf, Discrete(), takes="any", gives="bool")
isfinite = elementwise("isfinite", np.isfinite, Discrete(), takes="any", gives="bool")
signbit = elementwise("signbit", np.signbit, Discrete(), takes="float", gives="bool")

logical_not = elementwise("logical_not", np.logical_not, Discrete(), takes="any", gives="bool")
logical_and = elementwise("logical_and", np.logical_and, Discrete(), takes="any", gives="bool")
logical_or = elementwise("logical_or", np.logical_or, Discrete(), takes="any", gives="bool")
logical_xor = elementwise("logical_xor", np.logical_xor, Discrete(), takes="any", gives="bool")

invert = elementwise("invert", np.invert, Discrete(), takes="integral")
bitwise_and = elementwise("bitwise_and", np.bitwise_and, Discrete(), takes="integral")
bitwise_or = elementwise("bitwise_or", np.bitwise_or, Discrete(), takes="integral")
bitwise_xor = elementwise("bitwise_xor", np.bitwise_xor, Discrete(), takes="integral")
left_shift = elementwise("left_shift", np.left_shift, Discrete(), takes="integer")
right_shift = elementwise("right_shift", np.right_shift, Discrete(), takes="integer")
