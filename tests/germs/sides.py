"""Gradients on both sides of a point, as the limits of the derived program along a germ."""

import numpy as np

import chainrule as cr
from chainrule import germs
from chainrule.derived import derived


def sides(f, *args, order=1):
    """The gradients (of derivatives of order `order`) along x + eps v and x - eps v: two tuples."""
    for _ in range(order - 1):
        f = cr.grad(f, kinks="convention")
    program = cr.trace(f, *args)
    values = [*(np.asarray(v) for v in program.captured_values), *map(np.asarray, args)]
    moving = (False,) * len(program.captured) + (True,) * len(args)
    gradient = derived("gradient", program.closed(), moving, False).program
    gradient.validate()
    return tuple(tuple(germs.limits(gradient, values, moving, sign)) for sign in (1, -1))


def mean(f, *args, order=1):
    """The mean of both gradients: one array, or a tuple where there are several arguments.

    An entry that is nan on one side, outside the domain, is that of the other side.
    """
    plus, minus = sides(f, *args, order=order)
    with np.errstate(invalid="ignore"):
        found = tuple(
            np.where(np.isnan(p), m, np.where(np.isnan(m), p, (p + m) / 2))[()]
            for p, m in zip(plus, minus, strict=True)
        )
    return found[0] if len(found) == 1 else found
