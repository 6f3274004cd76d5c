"""The derivative functions: grad, jvp, vjp, linearize, jacobian, hessian, hvp.

Each traces the function, transforms the program, and runs the result: evaluated on NumPy, or
recorded where it is called inside another trace. Transformed programs are kept by the structure of
the traced one, so a repeated call pays for tracing and evaluation only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.chosen import Chosen, bad_output, check_scalar
from chainrule.derived import derived
from chainrule.kinked import Kinked
from chainrule.ops.select import stop_gradient as barrier_to_derivatives
from chainrule.options import Options, options
from chainrule.program.garbage import collector_paused
from chainrule.program.trace import Traced
from chainrule.program.tree import (
    LEAF,
    Static,
    first_difference,
    flatten,
    learned_leaves,
    map_leaves,
    node_of,
    paths,
    unflatten,
)
from chainrule.program.types import Type, type_of
from chainrule.running import run, run_known, run_linear
from chainrule.sides import run_on_sides, trace_sides
from chainrule.sparse import Passes, sparse_blocks, with_zero_blocks
from chainrule.tracing import Call


def grad(
    f: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    kinks: str | None = None,
    memory: int | str | None = None,
    stabilize: bool = True,
) -> Callable:
    """The gradient of a scalar function with respect to the arguments `argnums`.

    **Maths** for real x, the g with df = <g, dx>; for complex x, `x - step * g` descends (the
    convention of PyTorch and TensorFlow).
    **Shapes** the gradient has the structure, shapes and dtypes of the argument (a tuple of them
    where `argnums` is a sequence). With `has_aux`, `f` returns (value, aux), and the result is
    (gradient, aux).
    **Errors** `NonScalarOutput` where the value is not one real number, `NotDifferentiable` for an
    integer argument.
    **Cost** a small multiple of the function's flops, whatever the number of inputs.

    >>> import numpy as np
    >>> grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    array([2., 4.])
    """

    chosen_options = options(kinks, memory, stabilize)

    @wraps(f)
    def gradient(*args, **kwargs):
        _, grads, aux = _gradient(f, argnums, has_aux, False, chosen_options, args, kwargs)
        return (grads, aux) if has_aux else grads

    return gradient


def value_and_grad(
    f: Callable,
    argnums: int | Sequence[int] = 0,
    has_aux: bool = False,
    *,
    kinks: str | None = None,
    memory: int | str | None = None,
    stabilize: bool = True,
) -> Callable:
    """The value of a scalar function together with its gradient: (value, gradient).

    With `has_aux`, `f` returns (value, aux), and the result is ((value, aux), gradient).
    Otherwise as `grad`.

    >>> value_and_grad(lambda x: x**3)(2.0)
    (np.float64(8.0), np.float64(12.0))
    """

    chosen_options = options(kinks, memory, stabilize)

    @wraps(f)
    def value_and_gradient(*args, **kwargs):
        value, grads, aux = _gradient(f, argnums, has_aux, True, chosen_options, args, kwargs)
        return ((value, aux), grads) if has_aux else (value, grads)

    return value_and_gradient


@collector_paused()
def _gradient(f, argnums, has_aux: bool, with_value: bool, chosen_options: Options, args, kwargs):
    chosen = Chosen(f, argnums, args)
    call, sides = trace_sides(f, args, kwargs, chosen.leaves, chosen_options)
    check_scalar(call, has_aux)

    def plan_of(call: Call):
        mask = call.active(chosen.leaves)
        return derived("gradient", call.program, mask, with_value, options=chosen_options)

    outputs = run_on_sides(plan_of, call, sides, len(chosen.leaves))
    if not with_value:
        outputs.insert(0, None)
    count = len(call.program.outputs)
    result = call.finish(outputs[:count])
    value, aux = result if has_aux else (result, None)
    return value, chosen.rebuild(outputs[count:]), aux


# --- forward and reverse products ----------------------------------------------------------------


@collector_paused()
def jvp(
    f: Callable,
    primals: Sequence,
    tangents: Sequence,
    *,
    kinks: str | None = None,
    memory: int | str | None = None,
    stabilize: bool = True,
) -> tuple[Any, Any]:
    """The value of f and its directional derivative: (f(x), J(x) dx), in forward mode.

    `primals` and `tangents` are tuples, one entry per argument; a tangent has the structure and
    shapes of its primal, with None where a part does not move. Outputs without a tangent space
    (integers) have tangent None.

    >>> jvp(lambda x: x * x, (3.0,), (1.0,))
    (np.float64(9.0), np.float64(6.0))
    """
    primals = _as_tuple(primals, "primals")
    moving = _matching_leaves(primals, _as_tuple(tangents, "tangents"), "tangent", "primal")
    wanted = frozenset(i for i, t in enumerate(moving) if t is not None)
    chosen_options = options(kinks, memory, stabilize)
    call, sides = trace_sides(f, primals, {}, wanted, chosen_options)
    given = [moving[i] for i in sorted(wanted)]

    def plan_of(call: Call):
        return derived("forward", call.program, call.active(wanted), options=chosen_options)

    def tangents_of(call: Call, moves, outputs: list) -> list:
        return _spread(moves[: call.count], outputs[len(call.program.outputs) :])

    plan, moves = plan_of(call)
    outputs = run(plan, call.operands + given)
    found, inner = [], [i for i, s in enumerate(_settled(plan)[: call.count]) if s]
    for side in sides:
        other, moves_there = plan_of(side.call)
        limits = side.limits(other, given)
        values = [limits[i] for i in inner]
        found.append([*values, *tangents_of(side.call, moves_there, limits)])
    at = [*(outputs[i] for i in inner), *tangents_of(call, moves, outputs)]
    moved = sides.mean(at, found)
    for i, value in zip(inner, moved, strict=False):
        outputs[i] = value
    moved = moved[len(inner) :]
    return call.finish(outputs[: len(call.program.outputs)]), _tangent_tree(call, moved)


def _as_tuple(values, what: str) -> tuple:
    if not isinstance(values, tuple | list):
        raise errors.StructureMismatch(
            f"{what} must be a tuple with one entry per argument, got {type(values).__name__}; "
            "write (x,) for one argument."
        )
    return tuple(values)


def _matching_leaves(primals, others, what: str, like: str) -> list:
    """The leaves of `others` at the places of the primals' leaves; None where a part is None."""
    leaves, structure = flatten(primals)
    found = flatten_like(structure, others, what)
    for leaf, other, path in zip(leaves, found, paths(structure), strict=True):
        if other is not None:
            _check_tangent(leaf, other, path, what, like)
    return [None if o is None else _cast_leaf(o, x) for o, x in zip(found, leaves, strict=True)]


def _check_tangent(leaf, other, path: str, what: str, like: str) -> None:
    have, want = _type(other), _type(leaf)
    if have.shape != want.shape:
        raise errors.StructureMismatch(
            f"the {what} at {path} has shape {have.shape}, its {like} has shape {want.shape}."
        )
    if not want.inexact:
        raise errors.NotDifferentiable(
            f"the {like} at {path} has dtype {want.dtype}, which has no {what}; pass None there."
        )


def _type(value) -> Type:
    return value.type if type(value) is Traced else type_of(np.asarray(value))


def _cast_leaf(value, like):
    dtype = _type(like).dtype
    if type(value) is Traced:
        return value if value.type.dtype == dtype else value.astype(dtype)
    if np.asarray(value).dtype.kind == "c" and dtype.kind != "c":
        raise errors.StructureMismatch("a complex tangent was given for a real primal.")
    return np.asarray(value, dtype)


def flatten_like(structure, tree, what: str) -> list:
    """The leaves of a tree at the leaf places of a structure; None may stand for any part."""
    if tree is None and not isinstance(structure, Static):
        return [None] * len(paths(structure))
    if structure is LEAF:
        return [tree]
    if isinstance(structure, Static):
        return []
    node = node_of(tree)
    if node is None or set(node.keys) != set(structure.keys):
        difference = first_difference(structure, flatten(tree)[1])
        raise errors.StructureMismatch(f"the {what} has the wrong structure: {difference}.")
    parts = dict(zip(node.keys, node.children, strict=True))  # dicts may differ in their order
    out: list = []
    for key, child in zip(structure.keys, structure.children, strict=True):
        out += flatten_like(child, parts[key], what)
    return out


def _settled(plan) -> tuple[bool, ...]:
    return plan.settled if isinstance(plan, Kinked) else ()


def _spread(moves, found: list) -> list:
    """The tangents found, each at its output's place; None where an output does not move."""
    source = iter(found)
    return [next(source) if m else None for m in moves]


def _tangent_tree(call: Call, tangents: list):
    """The tangents of the function's result as a tree; zeros where nothing moves."""
    out = []
    for i in range(call.count):
        type_ = call.program.outputs[i].type
        zero = np.zeros(type_.shape, type_.dtype)[()] if type_.inexact else None
        out.append(zero if tangents[i] is None else tangents[i])
    return unflatten(call.structure, out)


@collector_paused()
def linearize(
    f: Callable,
    *primals,
    kinks: str | None = None,
    memory: int | str | None = None,
    stabilize: bool = True,
) -> tuple[Any, Callable]:
    """The value of f, and its derivative at this point as a linear function of the tangents.

    The function is evaluated once; the returned map costs only the linear part.

    >>> y, df = linearize(lambda x: x**2, 3.0)
    >>> df(1.0), df(2.0)
    (np.float64(6.0), np.float64(12.0))
    """
    chosen_options = options(kinks, memory, stabilize)
    wanted = _inexact_leaves(primals)
    call, sides = trace_sides(f, primals, {}, wanted, chosen_options)

    def parts_of(call: Call):
        return derived("linearize", call.program, call.active(wanted), options=chosen_options)

    known, linear, moves = parts_of(call)
    outputs, residuals = run_known(known, call.operands, len(call.program.outputs))
    others = [(side, *parts_of(side.call)[1:]) for side in sides]
    y = call.finish(outputs)

    def derivative(*tangents):
        moving = _matching_leaves(primals, tangents, "tangent", "primal")
        given = [
            np.zeros(_type(x).shape, _type(x).dtype) if t is None else t
            for i, (t, x) in enumerate(zip(moving, flatten(primals)[0], strict=True))
            if i in wanted
        ]
        found = _spread(moves[: call.count], run_linear(linear, residuals, given))
        limits = [
            _spread(m[: call.count], side.limits(half.whole, given)) for side, half, m in others
        ]
        return _tangent_tree(call, sides.mean(found, limits))

    return y, derivative


def _inexact_leaves(primals) -> frozenset[int]:
    leaves, learned = flatten(primals)[0], learned_leaves(primals)
    return frozenset(
        i for i, (leaf, by) in enumerate(zip(leaves, learned, strict=True))
        if by and _type(leaf).inexact
    )  # fmt: skip


@collector_paused()
def vjp(
    f: Callable,
    *primals,
    has_aux: bool = False,
    kinks: str | None = None,
    memory: int | str | None = None,
    stabilize: bool = True,
) -> tuple:
    """The value of f, and the pullback that maps a cotangent of it to cotangents of the primals.

    The pullback returns a tuple with one entry per primal, None for parts without a tangent space.
    With `has_aux`, `f` returns (value, aux) and the result is (value, pullback, aux).

    >>> y, pullback = vjp(lambda x, y: x * y, 2.0, 5.0)
    >>> pullback(1.0)
    (np.float64(5.0), np.float64(2.0))
    """
    chosen_options = options(kinks, memory, stabilize)
    wanted = _inexact_leaves(primals)
    call, sides = trace_sides(f, primals, {}, wanted, chosen_options)
    parts = _pullback_parts(call, wanted, has_aux, chosen_options)
    known, pull, moves, structure, value_count = parts
    others = [(s, *_pullback_parts(s.call, wanted, has_aux, chosen_options)[1:3]) for s in sides]
    outputs, residuals = run_known(known, call.operands, len(call.program.outputs))
    result = call.finish(outputs)
    value, aux = result if has_aux else (result, None)
    types = call.program.out_types[:value_count]

    def pullback(cotangent):
        given = [
            np.zeros(t.shape, t.dtype) if ct is None else ct
            for ct, t in zip(_cotangent_leaves(structure, cotangent, types), types, strict=True)
        ]
        arrived = run_linear(pull, residuals, _where(moves, given))
        limits = [side.limits(half.whole, _where(m, given)) for side, half, m in others]
        arrived = sides.mean(arrived, limits)
        found = dict(zip(sorted(wanted), arrived, strict=True))
        leaves, primal_structure = flatten(primals)
        return unflatten(primal_structure, [found.get(i) for i in range(len(leaves))])

    return (value, pullback, aux) if has_aux else (value, pullback)


def _where(mask, items: list) -> list:
    return [x for x, m in zip(items, mask, strict=False) if m]


def _pullback_parts(call: Call, wanted, has_aux: bool, chosen_options: Options):
    structure, value_count = call.structure, call.count
    if has_aux:
        structure = call.structure.children[0]
        value_count = len(paths(structure))
    mask = call.active(wanted)
    known, pull, moves = derived(
        "pullback", call.program, mask, value_count, options=chosen_options
    )
    return known, pull, moves, structure, value_count


def _cotangent_leaves(structure, cotangent, types) -> list:
    given = flatten_like(structure, cotangent, "cotangent")
    out = []
    for ct, type_, path in zip(given, types, paths(structure), strict=True):
        if ct is not None and _type(ct).shape != type_.shape:
            raise errors.StructureMismatch(
                f"the cotangent{path} has shape {_type(ct).shape}, the output {type_.shape}."
            )
        out.append(None if ct is None or not type_.inexact else _cast_to(ct, type_))
    return out


def _cast_to(value, type_: Type):
    if _type(value).dtype.kind == "c" and type_.dtype.kind != "c":
        raise errors.StructureMismatch("a complex cotangent was given for a real output.")
    if type(value) is Traced:
        return value if value.type.dtype == type_.dtype else value.astype(type_.dtype)
    return np.asarray(value, type_.dtype)


# --- Jacobians ------------------------------------------------------------------------------------


def jacobian(
    f: Callable,
    argnums: int | Sequence[int] = 0,
    mode: str = "auto",
    sparse: bool = False,
    *,
    kinks: str | None = None,
    memory: int | str | None = None,
    stabilize: bool = True,
) -> Callable:
    """The Jacobian of f: for each output leaf a tree like the argument, of shape out + in.

    `mode` is "forward" (one tangent per input element, all at once), "reverse" (one cotangent per
    output element), "mixed" (both, from the narrowest place between them) or "auto", which predicts
    the cost of each from the program and takes the least.

    With `sparse`, every block is a `scipy.sparse.csr_array` of shape (out.size, in.size), entries
    in C order. The pattern comes from the program; columns, rows or both are coloured, and there is
    one pass for each colour. What is not in the pattern is zero for every value of the arguments;
    an entry of the pattern may be zero, too.

    `jacobian(f).passes(*args)` tells how many tangents and cotangents are propagated.

    **Dtypes** the argument's, or its complex counterpart where the output is complex.
    **Complex** a real output has its gradient by a complex argument, as from `grad`; a complex
    output has its complex derivative, by a complex argument where it is holomorphic.
    **Errors** `NotDifferentiable` for an integer argument or output, and for a complex output that
    is no holomorphic function of a complex argument; integer outputs beside others give None.
    `NotSupported` for sparse complex Jacobians; `ConcreteValueNeeded` where the pattern depends on
    indices that are arguments of a compiled function.

    >>> import numpy as np
    >>> jacobian(lambda x: x * np.array([1.0, 2.0]))(np.ones(2))
    array([[1., 0.],
           [0., 2.]])
    >>> steps = jacobian(lambda x: x[1:] - x[:-1] ** 2, sparse=True)
    >>> steps(np.ones(1000)).nnz, steps.passes(np.ones(1000))
    (1998, Passes(forward=2, reverse=0, nonzeros=1998))
    """
    if mode not in ("auto", "forward", "reverse", "mixed"):
        raise ValueError(f"mode is 'auto', 'forward', 'reverse' or 'mixed', got {mode!r}.")
    chosen_options = options(kinks, memory, stabilize)
    return _jacobian(f, argnums, mode, sparse, False, chosen_options)


def _jacobian(f, argnums, mode: str, sparse: bool, symmetric: bool, chosen_options: Options):
    if sparse and chosen_options.memory is not None:
        raise errors.NotSupported(
            "memory= bounds dense derivatives only: leave it out with sparse=True, whose passes "
            "are few already, or leave out sparse=True."
        )

    def traced(args, kwargs):
        chosen = Chosen(f, argnums, args)
        call, sides = trace_sides(f, args, kwargs, chosen.leaves, chosen_options)
        _check_some_inexact(call)
        return chosen, call, sides

    def arguments_of(call: Call, chosen: Chosen):
        return call.program, call.active(chosen.leaves), call.count, mode

    def sparse_parts(arguments):
        return derived("sparse_jacobian", *arguments, symmetric, options=chosen_options)

    @wraps(f)
    @collector_paused()
    def jacobian_of_f(*args, **kwargs):
        chosen, call, sides = traced(args, kwargs)
        if sparse:
            parts = sparse_parts(arguments_of(call, chosen))
            outputs, blocks, _ = sparse_blocks(parts, call.operands)
            found = with_zero_blocks(parts, blocks, call.program.out_types[: call.count])
        else:
            def plan_of(call: Call):
                return derived("jacobian", *arguments_of(call, chosen), options=chosen_options)

            outputs = run_on_sides(plan_of, call, sides, call.count * len(chosen.leaves))
            found = outputs[len(call.program.outputs) :]
        call.apply_effects(outputs[: len(call.program.outputs)])
        return _jacobian_tree(call, chosen, found)

    @collector_paused()
    def passes(*args, **kwargs) -> Passes:
        """How many passes the Jacobian takes for these arguments."""
        chosen, call, _ = traced(args, kwargs)
        arguments = arguments_of(call, chosen)
        if not sparse:
            return Passes(*derived("passes", *arguments, options=chosen_options))
        coloured = sparse_blocks(sparse_parts(arguments), call.operands)[2]
        nonzeros = sum(len(b.indices) for b in coloured.blocks)
        return Passes(coloured.forward, coloured.reverse, nonzeros)

    jacobian_of_f.passes = passes  # type: ignore[attr-defined]
    return jacobian_of_f


def _check_some_inexact(call: Call) -> None:
    outputs = call.program.outputs[: call.count]
    if not any(o.type.inexact for o in outputs):
        if outputs:
            raise bad_output(call, outputs[0])
        raise errors.NotDifferentiable(
            f"{call.name} returned {call.structure!r}: there is no number to differentiate."
        )


def _jacobian_tree(call: Call, chosen: Chosen, found: list):
    per_output = len(chosen.leaves)
    rows = [
        chosen.rebuild(found[i * per_output : (i + 1) * per_output]) if out.inexact else None
        for i, out in enumerate(call.program.out_types[: call.count])
    ]
    return unflatten(call.structure, rows)


def hessian(
    f: Callable,
    argnums: int | Sequence[int] = 0,
    sparse: bool = False,
    *,
    kinks: str | None = None,
    memory: int | str | None = None,
    stabilize: bool = True,
) -> Callable:
    """The Hessian of a scalar function: forward mode over reverse mode.

    With `sparse`, blocks are `scipy.sparse.csr_array`s as from `jacobian`. Where the pattern is
    symmetric, one of the two entries of each pair is computed (a star colouring), if that takes
    fewer passes.

    >>> hessian(lambda x: x**3)(2.0)
    np.float64(12.0)
    """
    given: dict[str, Any] = {"kinks": kinks, "stabilize": stabilize}
    gradient = grad(f, argnums, **given)  # `memory` is a bound for the whole
    mode, symmetric = ("auto", True) if sparse else ("forward", False)
    chosen = options(kinks, memory, stabilize)
    return _jacobian(gradient, argnums, mode, sparse, symmetric, chosen)


def hvp(
    f: Callable,
    primals: Sequence,
    tangents: Sequence,
    *,
    kinks: str | None = None,
    memory: int | str | None = None,
    stabilize: bool = True,
):
    """The Hessian of a scalar function times a vector, without forming the Hessian.

    `primals` and `tangents` as in `jvp`; the result is like the primals (like the one primal where
    there is one).

    >>> hvp(lambda x: x**3, (2.0,), (10.0,))
    np.float64(120.0)
    """
    primals = _as_tuple(primals, "primals")
    argnums = 0 if len(primals) == 1 else tuple(range(len(primals)))
    given: dict[str, Any] = {"kinks": kinks, "stabilize": stabilize}
    return jvp(grad(f, argnums, **given), primals, tangents, memory=memory, **given)[1]


def stop_gradient(tree):
    """The same values, through which no derivative passes: a constant to every derivative.

    >>> grad(lambda x: x * stop_gradient(x))(3.0)
    np.float64(3.0)
    """
    return map_leaves(lambda x: barrier_to_derivatives(x) if type(x) is Traced else x, tree)
