"""Forms of operations that select, move, reduce and order: rows of the table in forms.py.

Each has the bits of the operation's `evaluate`, and uses every operand's text once.
"""

from __future__ import annotations

import math

import numpy as np

from chainrule.program.op import REGISTRY
from chainrule.show.forms import FORMS, Form, Use, as_arrays, dtype_option
from chainrule.show.fragments import (
    ATOM,
    DEFAULT_DTYPES,
    POWER,
    PRODUCT,
    Fragment,
    axis_option,
    call,
    dtype_text,
    index_text,
    infix,
    number,
    scalar,
    shape_text,
    tuple_text,
)
from chainrule.show.memory_order import C_ORDER
from chainrule.show.tidy import Filled

SCALE = '''\
def scale(p, t):
    """p * t, and exactly 0 where a factor is 0, even if the other one is infinite or nan."""
    product = p * t
    lost = (product != product) & ((p == 0) | (t == 0))
    return np.where(lost, product.dtype.type(0), product)[()]
'''.rstrip()

# --- elementwise ----------------------------------------------------------------------------------


def _scale(use: Use) -> Fragment:
    return call(use.definitions.written("scale", SCALE), *use.operands())


def _select(use: Use) -> Fragment:
    return call("np.where", *use.operands())


def _cast(use: Use) -> Fragment:
    (x,) = use.operands()
    have, want = use.types[0].dtype, use.out.dtype
    if have.kind == "c" and want.kind not in "cb":
        x = x.get(".real")
    return x.get(f".astype({dtype_text(want)})")


def _clip(use: Use) -> Fragment:
    x, low, high = use.operands()
    return call("np.minimum", call("np.maximum", x, low), high)


def _join(use: Use) -> Fragment:
    return call(use.definitions.function(_evaluate("join")), *as_arrays(use))


def _evaluate(name: str):
    """The function that evaluates an operation."""
    return REGISTRY[name].evaluate


def _infix_on_arrays(function: str, symbol: str) -> Form:
    """An operator; NumPy's function on single numbers, where the operator is Python's own."""

    def form(use: Use) -> Fragment:
        if use.out.ndim:
            return infix(symbol, PRODUCT, *use.operands())
        return call(f"np.{function}", *use.operands())

    return form


def _bitwise_count(use: Use) -> Fragment:
    return call("np.bitwise_count", use.operand(0)).get(f".astype({dtype_text(use.out.dtype)})")


# --- shapes ---------------------------------------------------------------------------------------


def broadcast_axes(shape, axes) -> str:
    """`[:, None]`: what puts a value's axes at `axes` of `shape`; empty where NumPy does it."""
    if axes == tuple(range(len(shape) - len(axes), len(shape))):
        return ""
    first = min(axes, default=0)
    return f"[{', '.join(':' if a in axes else 'None' for a in range(first, len(shape)))}]"


def filled(value, shape, as_view: bool = False) -> Fragment:
    """An array of one number; `as_view`, one whose elements share memory, as broadcasting gives."""
    options = {} if value.dtype.name in DEFAULT_DTYPES[:1] else {"dtype": dtype_text(value.dtype)}
    if value == 0 and not np.signbit(value.real if value.dtype.kind in "fc" else 0):
        return call("np.zeros", shape_text(shape), **options)
    if as_view:
        plain = value.dtype.name in DEFAULT_DTYPES
        return call("np.broadcast_to", number(value) if plain else scalar(value), shape_text(shape))
    if value == 1:
        return call("np.ones", shape_text(shape), **options)
    options = {} if value.dtype.name in DEFAULT_DTYPES else options
    return call("np.full", shape_text(shape), number(value), **options)


def _broadcast(use: Use) -> Fragment:
    x = use.equation.inputs[0]
    shape, axes = use.params["shape"], use.params["axes"]
    if x.is_literal:
        return filled(x.value, shape, as_view=not isinstance(use.equation, Filled))
    placed = use.operand(0)
    inserted = broadcast_axes(shape, axes)
    if inserted:
        placed = placed.get(inserted)
    return call("np.broadcast_to", placed, shape_text(shape))


def _reshape(use: Use) -> Fragment:
    shape = use.params["shape"]
    if not use.types[0].ndim or not shape:
        return call("np.reshape", use.operand(0), tuple_text(map(str, shape)))
    return use.operand(0).get(f".reshape({', '.join(map(str, shape))})")


def _transpose(use: Use) -> Fragment:
    return use.operand(0).get(transposition(use.params["axes"]))


def transposition(axes) -> str:
    """`.T`, `.transpose(1, 0, 2)`, or nothing for the axes in order."""
    if axes == tuple(range(len(axes))):
        return ""
    if axes == tuple(reversed(range(len(axes)))):
        return ".T"
    return f".transpose({', '.join(map(str, axes))})"


def _flip(use: Use) -> Fragment:
    axes, ndim = use.params["axes"], use.types[0].ndim
    entries = ["::-1" if a in axes else ":" for a in range(ndim)]
    while entries and entries[-1] == ":":
        entries.pop()
    return use.operand(0).get(f"[{', '.join(entries)}]") if entries else use.operand(0).get("[:]")


def _iota(use: Use) -> Fragment:
    dtype = use.params["dtype"]
    options = {} if dtype == np.int64 else {"dtype": dtype_text(dtype)}
    return call("np.arange", str(use.params["size"]), **options)


def _index(use: Use) -> Fragment:
    arrays = [use.plain(i).text for i in range(1, len(use.equation.inputs))]
    return use.operand(0).get(index_text(arrays, use.params["at"], use.types[0].shape))


def _concatenate(use: Use) -> Fragment:
    parts = tuple_text(x.text for x in use.operands())
    axis = use.params["axis"]
    return call("np.concatenate", parts, **({"axis": str(axis)} if axis else {}))


def _pad(use: Use) -> Fragment:
    widths = use.params["widths"]
    text = tuple_text(str(w) for w in widths) if len(widths) > 1 else str(widths[0])
    return call("np.pad", use.operand(0), text)


# --- reductions and running ones ------------------------------------------------------------------


def _reduction(function: str, keeps_dtype: bool = False) -> Form:
    def form(use: Use) -> Fragment:
        options = axis_option(use.params["axes"], use.types[0].ndim)
        if keeps_dtype and use.out.dtype.kind in "biu" and use.out.dtype.itemsize < 8:
            options |= dtype_option(use)
        return call(f"np.{function}", use.operand(0), **options)

    return form


def _sum(use: Use) -> Fragment:
    if use.out.dtype == np.bool_:  # NumPy would count
        axes = axis_option(use.params["axes"], use.types[0].ndim)
        return call("np.sum", use.operand(0), **axes, dtype="np.bool_")
    return _reduction("sum", keeps_dtype=True)(use)


def _along(function: str) -> Form:
    def form(use: Use) -> Fragment:
        return call(function, use.operand(0), **{"axis": str(use.params["axis"])})

    return form


def _running(function: str, ufunc: str) -> Form:
    """A running sum or product; NumPy's function widens small integers, the ufunc does not."""

    def form(use: Use) -> Fragment:
        narrow = use.out.dtype.kind in "biu" and use.out.dtype.itemsize < 8
        return _along(ufunc if narrow else function)(use)

    return form


def _argsort(use: Use) -> Fragment:
    options = {"kind": '"stable"'} if use.params["stable"] else {}
    return call("np.argsort", use.operand(0), **{"axis": str(use.params["axis"])}, **options)


def _argpartition(use: Use) -> Fragment:
    kth, axis = use.params["kth"], use.params["axis"]
    text = str(kth) if isinstance(kth, int) else tuple_text(map(str, kth))
    return call("np.argpartition", use.operand(0), text, **{"axis": str(axis)})


def _searchsorted(use: Use) -> Fragment:
    side = {} if use.params["side"] == "left" else {"side": '"right"'}
    if not use.params["lead"]:
        return call("np.searchsorted", use.operand(0), use.operand(1), **side)
    function = use.definitions.function(_evaluate("searchsorted"))
    lead = {"side": repr(use.params["side"]), "lead": str(use.params["lead"])}
    return call(function, use.operand(0), use.operand(1), **lead)


# --- products -------------------------------------------------------------------------------------


def _contract(use: Use) -> Fragment:
    axes, batch = use.params["axes"], use.params["batch"]
    x, y = use.equation.inputs
    if x.is_literal or y.is_literal:
        return _contract_by_definition(use)
    if not batch[0] and len(axes[0]) == 1 and y.type.ndim <= 2:
        (over_x,), (over_y,) = axes
        if x.type.ndim <= 2:
            return _matrix_product(use, over_x, over_y)
        if over_x == x.type.ndim - 1 and over_y == 0:
            return infix("@", PRODUCT, use.operand(0), use.operand(1))
    return _stacked_product(use)


def _matrix_product(use: Use, over_x: int, over_y: int) -> Fragment:
    x, y = use.operands()
    first, second = use.types
    x = x.get(".T") if over_x == 0 and first.ndim == 2 else x
    y = y.get(".T") if over_y == 1 else y
    known = all(use.layouts.is_dense(v) for v in use.equation.inputs)
    if known and min(first.shape + second.shape) > 1:
        return infix("@", PRODUCT, x, y)
    return call("np.dot", x, y)


def _stacked_product(use: Use) -> Fragment:
    """Axes in order, then NumPy's product, as ops/contract.py plans it."""
    axes, batch = use.params["axes"], use.params["batch"]
    first, second = use.types
    free_x = [a for a in range(first.ndim) if a not in axes[0] + batch[0]]
    free_y = [a for a in range(second.ndim) if a not in axes[1] + batch[1]]
    stack = [first.shape[a] for a in batch[0]]
    rows, columns = [first.shape[a] for a in free_x], [second.shape[a] for a in free_y]
    count = math.prod(first.shape[a] for a in axes[0])
    x = use.operand(0).get(transposition((*batch[0], *free_x, *axes[0])))
    y = use.operand(1).get(transposition((*batch[1], *axes[1], *free_y)))
    if not axes[0]:
        if stack or not rows or not columns:
            return _contract_by_definition(use)
        spread = f".reshape({', '.join(map(str, rows + [1] * len(columns)))})"
        return infix("*", PRODUCT, x.get("[:, None]" if len(rows + columns) == 2 else spread), y)
    blas = all(use.layouts.of(v) == C_ORDER for v in use.equation.inputs)
    one_each = len(rows) == len(columns) == len(axes[0]) == 1
    if blas and stack and one_each and len(stack) == len(batch[0]) and _keeps_blas(use):
        if min([*first.shape, *second.shape], default=0) > 1:
            return infix("@", PRODUCT, x, y)
    if blas and not stack and (rows or columns):
        flat_x = _reshaped(x, (math.prod(rows), count), (*rows, *(first.shape[a] for a in axes[0])))
        flat_y = _reshaped(
            y, (count, math.prod(columns)), (*(second.shape[a] for a in axes[1]), *columns)
        )
        return _reshaped(
            call("np.dot", flat_x, flat_y), (*rows, *columns),
            (math.prod(rows), math.prod(columns)),
        )  # fmt: skip
    return _contract_by_definition(use)


def _reshaped(x: Fragment, shape, have) -> Fragment:
    if tuple(shape) == tuple(have):
        return x
    return x.get(f".reshape({', '.join(map(str, shape))})")


def _keeps_blas(use: Use) -> bool:
    """Whether the last axis in memory is among the last two after the axes are put in order."""
    axes, batch = use.params["axes"], use.params["batch"]
    return all(
        t.ndim - 1 not in batch[side] and batch[side] == tuple(range(len(batch[side])))
        for side, t in enumerate(use.types)
    ) and bool(axes)


def _contract_by_definition(use: Use) -> Fragment:
    function = use.definitions.function(_evaluate("contract"))
    axes, batch = use.params["axes"], use.params["batch"]
    return call(function, *use.operands(), axes=str(axes), batch=str(batch))


def _convolve(use: Use) -> Fragment:
    mode = {} if use.params["mode"] == "full" else {"mode": repr(use.params["mode"])}
    if use.out.ndim == 1:
        return call("np.convolve", use.operand(0), use.operand(1), **mode)
    function = use.definitions.function(_evaluate("convolve"))
    return call(function, *use.operands(), mode=repr(use.params["mode"]))


def _binary_exponent(use: Use) -> Fragment:
    return call("np.frexp", use.operand(0)).get("[1]")


def _square(use: Use) -> Fragment:
    if not use.out.ndim:
        return call("np.square", use.operand(0))
    return Fragment(f"{use.operand(0).within(ATOM)}**2", POWER)


def _power(use: Use) -> Fragment:
    """x**n for whole n; other powers, and single numbers, go other ways in NumPy's operator."""
    exponent = use.equation.inputs[1]
    if use.out.ndim and exponent.is_literal and not use.equation.inputs[0].is_literal:
        value = exponent.value
        if value.dtype.kind == "f" and value in _WHOLE_POWERS:
            return Fragment(f"{use.operand(0).within(ATOM)}**{int(value)}", POWER)
    return call("np.power", *use.operands())


_WHOLE_POWERS = (3, 4, 5, 6, 7, 8, 9, 10)

def _require(use: Use) -> Fragment:
    """A function of its own for each message."""
    words = "".join(f"\n        {line!r}" for line in use.params["message"].splitlines())
    name = use.definitions.written("require", (
        "def require(x, ok):\n"
        '    """x, where every entry of ok is true; else an error."""\n'
        f"    if not np.all(ok):\n        raise RuntimeError({words}\n        )\n"
        "    return x"
    ))  # fmt: skip
    return call(name, use.operand(0), use.operand(1))


FORMS.update({
    "square": _square, "power": _power,
    "require": _require,
    "stop_gradient": lambda use: use.operand(0), "barrier": lambda use: use.operand(0),
    "scale": _scale, "select": _select, "cast": _cast, "clip": _clip, "join": _join,
    "floor_divide": _infix_on_arrays("floor_divide", "//"),
    "remainder": _infix_on_arrays("remainder", "%"),
    "bitwise_count": _bitwise_count, "binary_exponent": _binary_exponent,
    "ldexp": lambda use: call("np.ldexp", use.operand(0), use.operand(1)),
    "broadcast": _broadcast, "reshape": _reshape, "transpose": _transpose, "flip": _flip,
    "iota": _iota, "index": _index, "concatenate": _concatenate, "pad": _pad,
    "sum": _sum, "prod": _reduction("prod", keeps_dtype=True), "max": _reduction("max"),
    "min": _reduction("min"), "all": _reduction("all"), "any": _reduction("any"),
    "argmax": _along("np.argmax"), "argmin": _along("np.argmin"), "sort": _along("np.sort"),
    "cumsum": _running("np.cumsum", "np.add.accumulate"),
    "cumprod": _running("np.cumprod", "np.multiply.accumulate"),
    "cummax": _along("np.maximum.accumulate"), "cummin": _along("np.minimum.accumulate"),
    "argsort": _argsort, "argpartition": _argpartition, "searchsorted": _searchsorted,
    "contract": _contract, "convolve": _convolve,
})  # fmt: skip
