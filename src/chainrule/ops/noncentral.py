"""How a noncentral chi-square draw of few degrees of freedom moves with its noncentrality.

Value     the draw x itself: twice a gamma draw of shape h = df / 2 + K, K a Poisson draw of mean
          nonc / 2.
Slope     by nonc, x / (2 h), with K where it is. The slope that keeps the quantile is the ratio of
          the density of df + 2 degrees and that of df; since the gamma density of shape h + 1 is
          x / (2 h) times that of shape h, it is the mean of x / (2 h) over the K that may be behind
          x. So derivatives of means are right; a second derivative would not be, and raises.
Source    the derivative of the distribution function: Johnson, Kotz and Balakrishnan, Continuous
          Univariate Distributions 2, 1995, (29.23); its form as a mean is ours.
"""

import numpy as np

from chainrule.ops.special.scipy_functions import missing_by
from chainrule.program.op import elementwise

_WHY = "its slope holds on average only."

_slope = elementwise(
    "noncentral_slope", lambda x, half: 0.5 * x / half,
    (missing_by("a noncentral chi-square draw", "noncentrality and itself", _WHY),) * 2, "float",
    doc="how a noncentral chi-square draw moves with its noncentrality, on average",
)  # fmt: skip
_along = elementwise(
    "noncentral_along", np.ones_like,
    (missing_by("a noncentral chi-square draw", "degrees of freedom and noncentrality", _WHY),),
    "float", doc="1, how a noncentral chi-square draw moves with the gamma draw that it is",
)  # fmt: skip
noncentral_draw = elementwise(
    "noncentral_draw", lambda x, nonc, half: x,
    (
        lambda x, nonc, half, out: _along(nonc),
        lambda x, nonc, half, out: _slope(out, half),
        lambda x, nonc, half, out: 0.0,
    ), "float", doc="x, a noncentral chi-square draw, moving with its noncentrality",
)  # fmt: skip
