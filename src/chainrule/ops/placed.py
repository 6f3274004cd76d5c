"""Gamma draws whose values are given: the value, moving with its shape parameter as a draw does.

Value     x itself.
Slope     by a, that of a gamma draw x of shape a (`standard_gamma`); by x, 1.
"""

from chainrule.ops.elementwise import log, scale
from chainrule.ops.samplers_gamma import log_draw_slope
from chainrule.program.op import elementwise

placed_gamma = elementwise(
    "placed_gamma", lambda x, a: x,
    (lambda x, a, out: 1.0, lambda x, a, out: scale(x, log_draw_slope(a, log(x)))), "float",
    doc="x, a gamma draw of shape a that has been drawn before",
)  # fmt: skip
placed_log_gamma = elementwise(
    "placed_log_gamma", lambda x, a: x,
    (lambda x, a, out: 1.0, lambda x, a, out: log_draw_slope(a, x)), "float",
    doc="x, the logarithm of a gamma draw of shape a that has been drawn before",
)  # fmt: skip
