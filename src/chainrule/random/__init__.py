"""Random numbers: `Generator(seed)`, with the method names of numpy.random.Generator.

A generator is an ordinary mutable object. Each call draws with its key and the number of the draw,
and advances the number by one; inside a trace the same happens to the traced state, which is
written back when the trace has run. Draws have the same bits on every machine, and inside and
outside of traces; only `multivariate_normal` and `vonmises` depend, in the last place, on libraries
(of linear algebra, and for the arcsine). Derivatives pass through a draw to its parameters (the
draw moves with them) where the distribution is continuous; through discrete draws, and continuous
ones that a discrete draw has a part in, those of expectations do (`cr.expectation`).

Differs from NumPy: other numbers for the same seed; `bernoulli` gives bools; the default factor of
`multivariate_normal` is triangular; draws of shape () are NumPy scalars.
"""

from chainrule.random.generator import Generator, default_rng
from chainrule.random.state import advanced, lane_states

__all__ = ["Generator", "default_rng"]
