"""Functions that call the user's function on parts of an array.

apply_along_axis, apply_over_axes and piecewise are Python loops, as in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import errors
from chainrule.numpy.promotion import broadcast_to, cast_to, traced
from chainrule.numpy.protocols import implements
from chainrule.numpy.selecting import truth
from chainrule.numpy.shaping import array, axis_index, fresh, moveaxis, reshape
from chainrule.ops.select import select
from chainrule.ops.shape import broadcast
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, concrete_value, current, user_line


@implements(np.apply_along_axis)
def apply_along_axis(func1d, axis, arr, *args, **kwargs):
    """np.apply_along_axis: func1d of every line along an axis."""
    x = array(arr)
    axis = axis_index(axis, x.ndim)
    lines = moveaxis(x, axis, -1)
    lead = lines.shape[:-1]
    if 0 in lead:
        raise errors.ShapeError(
            "Cannot apply_along_axis when any iteration dimensions are 0, "
            f"at {line_text(user_line())}"
        )
    results = [array(func1d(lines[place], *args, **kwargs)) for place in np.ndindex(*lead)]
    part = results[0].shape
    out = reshape(np.stack(results), lead + part)
    targets = tuple(range(axis, axis + len(part)))
    return fresh(moveaxis(out, tuple(range(len(lead), out.ndim)), targets))


@implements(np.apply_over_axes)
def apply_over_axes(func, a, axes):
    """np.apply_over_axes: func(a, axis) for one axis after the other, which keep length one."""
    out: Any = array(a)
    ndim = out.ndim
    for axis in axes if np.iterable(axes) else (axes,):
        axis = axis_index(axis, ndim)
        result: Any = array(func(out, axis))
        if result.ndim != ndim:
            result = np.expand_dims(result, axis)
            if result.ndim != ndim:
                raise errors.ShapeError(
                    "function is not returning an array of the correct shape, "
                    f"at {line_text(user_line())}"
                )
        out = result
    return out


@implements(np.piecewise)
def piecewise(x, condlist, funclist, *args, **kw):
    """np.piecewise: each function called on the elements where its condition holds.

    The functions see the selected elements as a vector. Where the conditions have no values at hand
    they see all of them, which must make no difference: each element's result is its own.
    """
    x = array(x)
    conditions = _condition_list(condlist, x)
    if len(funclist) == len(conditions) + 1:
        covered = conditions[0]
        for condition in conditions[1:]:
            covered = covered | condition
        conditions.append(~covered)
    if len(funclist) != len(conditions):
        raise errors.ShapeError(
            f"with {len(conditions)} condition(s), either {len(conditions)} or "
            f"{len(conditions) + 1} functions are expected, at {line_text(user_line())}"
        )
    out = fresh(broadcast(traced(x.dtype.type(0)), shape=x.shape, axes=()))
    for condition, function in zip(conditions, funclist, strict=True):
        if not callable(function):
            out[condition] = function
            continue
        if type(condition) is Traced and concrete_value(condition) is None:
            whole = cast_to(_of_all(function, x, args, kw), x.dtype)
            out = fresh(select(condition, whole, traced(out)))
            continue
        part = x[condition]
        if part.size:
            out[condition] = function(part, *args, **kw)
    return out


def _of_all(function, x: Traced, args, kw) -> Traced:
    """The function on all elements as a vector, in the shape of x: it must treat each by itself."""
    builder = current()
    part = fresh(reshape(x, (x.size,)))
    assert builder is not None
    start = len(builder.equations)
    made = array(function(part, *args, **kw))
    own = {part._var}
    for equation in builder.equations[start:]:
        if not _treats_each_by_itself(equation, own):
            raise _mixing(f"np.{equation.op.name}")
        own.update(equation.outputs)
    if made.ndim and (made.shape != part.shape or made._var not in own):
        raise _mixing(f"an array of shape {made.shape}")
    return broadcast_to(made, x.shape) if not made.ndim else reshape(made, x.shape)


def _treats_each_by_itself(equation, own: set) -> bool:
    arrays = [v for v in equation.inputs if v.type.ndim]
    return not arrays or (
        (equation.op.elementwise or equation.op.name == "reshape") and own.issuperset(arrays)
    )


def _mixing(what: str) -> Exception:
    return errors.ConcreteValueNeeded(
        f"a function of np.piecewise gives each element what depends on others ({what}), at "
        f"{line_text(user_line())}, and which are selected has no value at hand (compile, vmap, or "
        "the body of a loop).\n  Use np.where(condition, a, b)."
    )


def _condition_list(condlist, x: Traced) -> list:
    single = not isinstance(condlist, list | tuple) and np.ndim(condlist) == 0
    if not single and x.ndim and len(condlist):
        single = np.ndim(condlist[0]) == 0
    conditions = [condlist] if single else list(condlist)
    return [_spread(c, x.shape) for c in conditions]


def _spread(condition, shape):
    """A condition over a whole shape; a plain one stays plain, so its value stays at hand."""
    if type(condition) is Traced:
        return broadcast_to(truth(condition), shape)
    return np.broadcast_to(np.asarray(condition, bool), shape)
