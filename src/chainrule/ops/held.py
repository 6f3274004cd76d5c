"""A value held still: the same value, that no derivative passes through.

It differs from `stop_gradient` in what it says: a comparison with it never ties by a motion of the
value, as what is 0 by convention does not. Of a draw, the value is still one of chance, so a
comparison with it jumps in other places when its other side moves.
"""

from chainrule.program.op import Constant, Op

held: Op = Op(
    "held", lambda x: (x,), lambda x: x, Constant(), elementwise=True, view=True,
    doc="the value of a draw; no derivative passes (see method=\"score\" of expectations)",
)  # fmt: skip
