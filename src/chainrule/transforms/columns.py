"""Columns: arrays of one long axis and short others are taken apart into arrays of the long axis.

A function of a few numbers that `vmap` applies to many examples is made of arrays like (N, 3), of
which parts are read, joined and added to, each in a pass of its own over memory. Of its columns,
arrays (N,), such moves are a matter of which is which: nothing is left but arithmetic, in one loop
over the examples. A Jacobian's unit vectors become numbers. (Products with their zeros stay:
without them zeros would have other signs.)

    columns    of each array, an array of variables in the shape of its short axes, which NumPy
               itself broadcasts, reshapes, joins and reads
    whole      the array is joined again where something else needs it: a product, an output

Sums over short axes are taken by halves, so their error is no larger than that of NumPy's.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.program.op import REGISTRY
from chainrule.program.program import Equation, Literal, Operand, Program, Var
from chainrule.program.types import Type, array_type

_MOST_COLUMNS = 32  # of one array
_MOST_EQUATIONS = 3000  # of the program made
_SHORTEST = 128  # of the long axis
_SMALL = 64  # entries of an array of constants that is known
_FEW = 6  # columns of a part that is joined or put into an array
_WORTH = 4  # columns read of an array or joined to one for each that need not be moved any more
_FOLDS = {
    "sum": "add", "prod": "multiply", "max": "maximum", "min": "minimum", "any": "logical_or",
    "all": "logical_and",
}  # fmt: skip


def in_columns(program: Program) -> Program:
    """The program with its arrays taken apart along their short axes, where that saves passes over
    memory; otherwise itself."""
    length, moved = _long_axis(program)
    if not moved:
        return program
    made = _Columns(program, length)
    taken = made.run()
    if made.passed > _WORTH * moved or len(taken.equations) > _MOST_EQUATIONS:
        return program
    return taken


def _is_thin(type_: Type, length: int) -> bool:
    shape = type_.shape
    return bool(shape) and shape[0] == length and 0 < math.prod(shape[1:]) <= _MOST_COLUMNS


def _long_axis(program: Program) -> tuple[int, int]:
    """The length of the long axis along which most is moved, and how many columns are."""
    found: Counter[int] = Counter()
    for e in program.equations:
        type_ = e.outputs[0].type
        if type_.ndim > 1 and type_.shape[0] >= _SHORTEST and _is_thin(type_, type_.shape[0]):
            if _moves_columns(e):
                found[type_.shape[0]] += math.prod(type_.shape[1:])
    return max(found.items(), key=lambda item: math.prod(item), default=(0, 0))


def _moves_columns(e: Equation) -> bool:
    """Whether few columns are joined, or put into an array. Rows of many are copied fast."""
    name, (first, *others) = e.op.name, e.inputs
    if name == "concatenate":
        parts = e.inputs if e.params["axis"] else ()
    elif name == "pad":
        parts = () if any(e.params["widths"][0]) else (first,)
    elif name in ("index_add", "index_set") and len(others) == 1:
        parts = (others[0],) if e.params["at"][0] == (0, first.type.shape[0], 1) else ()
    else:
        return False
    return any(math.prod(x.type.shape[1:]) <= _FEW for x in parts)


class _Columns:
    """A program being taken apart along a long axis of one length."""

    def __init__(self, program: Program, length: int):
        self.program, self.length = program, length
        self.equations: list[Equation] = []
        self.columns: dict[Operand, np.ndarray] = {}
        self.joined: dict[Operand, Operand] = {}
        self.known: dict[Operand, np.ndarray] = {}  # small arrays of constants
        self.passed = 0  # columns read of arrays, and joined to arrays
        self.line: Any = None

    def run(self) -> Program:
        """The program made."""
        program = self.program
        with np.errstate(all="ignore"):
            for equation in program.equations:
                self.line = equation.line
                self._add(equation)
        outputs = [self._whole(o) for o in program.outputs]
        return Program(
            program.inputs, self.equations, outputs, program.captured, program.captured_values,
            program.name,
        )  # fmt: skip

    def _add(self, equation: Equation) -> None:
        self._know(equation)
        made = self._taken_apart(equation)
        if made is not None:
            self.columns[equation.outputs[0]] = made
        if made is not None or equation.outputs[0] in self.joined:
            return
        inputs = tuple([self._whole(x) for x in equation.inputs])
        self.equations.append(
            Equation(equation.op, inputs, equation.params, equation.outputs, equation.line)
        )

    def _emit(self, name: str, *operands: Operand, **params) -> Var:
        op = REGISTRY[name]
        (type_,) = op.type_rule(*[x.type for x in operands], **params)
        return self._record(Equation(op, operands, params, (Var(type_),), self.line))

    def _record(self, equation: Equation) -> Var:
        self.equations.append(equation)
        return equation.outputs[0]

    # --- constants --------------------------------------------------------------------------------

    def _know(self, e: Equation) -> None:
        """Remember a small array that is made of numbers alone."""
        if len(e.outputs) > 1 or not e.op.pure or e.outputs[0].type.size > _SMALL:
            return
        if e.outputs[0].type.ndim and (e.op.name in ("iota", "broadcast") or e.op.elementwise):
            values = [x.value if x.is_literal else self.known.get(x) for x in e.inputs]
            if all(v is not None for v in values):
                self.known[e.outputs[0]] = np.asarray(e.op.evaluate(*values, **e.params))

    # --- columns ----------------------------------------------------------------------------------

    def _of(self, x: Operand) -> np.ndarray:
        """The columns of a thin array; of a number, itself."""
        if x.is_literal:
            return _cell(x)
        if x not in self.columns:
            shape, whole = x.type.shape[1:], self.joined.get(x, x)
            found = np.empty(shape, object)
            for place in np.ndindex(*shape):
                at = ((0, self.length, 1), *place)
                found[place] = self._emit("index", whole, at=at) if shape else whole
            self.columns[x] = found
            self.passed += found.size if shape else 0
        return self.columns[x]

    def _column(self, x: Operand) -> Operand:
        """A column as an array, also where it is a number."""
        return self._emit("broadcast", x, shape=(self.length,), axes=()) if x.is_literal else x

    def _whole(self, x: Operand) -> Operand:
        """The array that the columns make up."""
        found = self.columns.get(x)
        if x not in self.joined and found is not None:
            parts = [self._column(c) for c in found.flat]
            self.joined[x] = self._joined(parts, x.type.shape) if found.shape else parts[0]
        return self.joined.get(x, x)

    def _taken_apart(self, e: Equation) -> np.ndarray | None:
        """The columns of an equation's result, where it can be made of columns."""
        out = e.outputs[0]
        if len(e.outputs) > 1 or not e.op.pure:
            return None
        if e.op.name in _FOLDS:
            return self._reduced(e)
        if not _is_thin(out.type, self.length):
            return None
        if e.op.name == "broadcast":
            return self._broadcast(e)
        arrays = [x for x in e.inputs if not x.is_literal]
        if not arrays or not all(_is_thin(x.type, self.length) for x in arrays):
            return None
        if e.op.elementwise and e.op.name != "reciprocal_where_apart":
            return self._elementwise(e, [self._of(x) for x in e.inputs], out.type)
        rule = _RULES.get(e.op.name)
        return None if rule is None else rule(self, e)

    def _elementwise(self, e: Equation, operands: list, type_: Type) -> np.ndarray:
        spread = np.broadcast_arrays(*operands, np.empty(type_.shape[1:], object))[:-1]
        found = np.empty(type_.shape[1:], object)
        for place in np.ndindex(*found.shape):
            found[place] = self._entry(e, tuple([x[place] for x in spread]), type_.dtype)
        return found

    def _entry(self, e: Equation, operands: tuple, dtype) -> Operand:
        """An elementwise operation on columns; on numbers, the number."""
        if all(x.is_literal for x in operands) and e.op.name != "barrier":
            value = e.op.evaluate(*[x.value for x in operands], **e.params)
            return Literal(dtype.type(value))
        type_ = array_type((self.length,), dtype)
        return self._record(Equation(e.op, operands, e.params, (Var(type_),), self.line))

    def _folded(self, name: str, items: list) -> Operand:
        """Columns joined by an operation, by halves."""
        if len(items) == 1:
            return items[0]
        half = (len(items) + 1) // 2
        pair = self._folded(name, items[:half]), self._folded(name, items[half:])
        dtype = pair[0].type.dtype
        return self._entry(Equation(REGISTRY[name], (), {}, ()), pair, dtype)

    def _reduced(self, e: Equation) -> np.ndarray | None:
        """A reduction over short axes, and perhaps the long one after these."""
        (x,), axes, out = e.inputs, e.params["axes"], e.outputs[0]
        if x.is_literal or not _is_thin(x.type, self.length) or x.type.ndim < 2:
            return None
        if x.type.dtype != out.type.dtype or x.type.dtype.char not in "fd?":
            return None
        inner = [a - 1 for a in axes if a]
        if not inner and x not in self.columns:
            return None
        columns = self._of(x)
        kept = [a for a in range(columns.ndim) if a not in inner]
        shape = tuple([columns.shape[a] for a in kept])
        table = columns.transpose([*kept, *inner]).reshape(*shape, -1)
        found = np.empty(shape, object)
        for place in np.ndindex(*shape):
            found[place] = self._folded(_FOLDS[e.op.name], list(table[place]))
        if 0 not in axes:
            return found
        totals = [self._emit(e.op.name, self._column(c), axes=(0,)) for c in found.flat]
        self.joined[out] = self._joined(totals, out.type.shape) if shape else totals[0]
        return None

    def _joined(self, parts: list, shape: tuple[int, ...]) -> Var:
        """One array of columns, or of numbers, in this shape."""
        self.passed += len(parts)
        flat = [self._emit("reshape", x, shape=(*x.type.shape, 1)) for x in parts]
        table = self._emit("concatenate", *flat, axis=flat[0].type.ndim - 1)
        return self._emit("reshape", table, shape=shape)

    # --- moves ------------------------------------------------------------------------------------

    def _broadcast(self, e: Equation) -> np.ndarray | None:
        (x,), axes = e.inputs, e.params["axes"]
        shape = e.outputs[0].type.shape[1:]
        if x.is_literal or (x in self.known and 0 not in axes):
            value = x.value if x.is_literal else self.known[x]
            entries = np.empty(np.shape(value), object)
            for place in np.ndindex(*entries.shape):
                entries[place] = Literal(x.type.dtype.type(np.asarray(value)[place]))
        elif axes and axes[0] == 0 and x.type.shape[0] == self.length:
            entries, axes = self._of(x), axes[1:]
        elif 0 not in axes:
            entries = np.empty(x.type.shape, object)
            for place in np.ndindex(*x.type.shape):
                small = self._whole(x)
                one = self._emit("index", small, at=place) if place else small
                entries[place] = self._emit("broadcast", one, shape=(self.length,), axes=())
        else:
            return None
        places = [a - 1 for a in axes]
        ones = [entries.shape[places.index(a)] if a in places else 1 for a in range(len(shape))]
        return np.broadcast_to(entries.reshape(ones), shape)

    def _reshape(self, e: Equation) -> np.ndarray | None:
        return self._of(e.inputs[0]).reshape(e.outputs[0].type.shape[1:])

    def _transpose(self, e: Equation) -> np.ndarray | None:
        first, *others = e.params["axes"]
        return None if first else self._of(e.inputs[0]).transpose([a - 1 for a in others])

    def _concatenate(self, e: Equation) -> np.ndarray | None:
        axis = e.params["axis"]
        return np.concatenate([self._of(x) for x in e.inputs], axis - 1) if axis else None

    def _pad(self, e: Equation) -> np.ndarray | None:
        first, *widths = e.params["widths"]
        if any(first):
            return None
        columns, out = self._of(e.inputs[0]), e.outputs[0].type
        found = np.full(out.shape[1:], Literal(out.dtype.type(0)), object)
        ends = zip(widths, columns.shape, strict=True)
        found[tuple([slice(a, a + n) for (a, _), n in ends])] = columns
        return found

    def _index(self, e: Equation) -> np.ndarray | None:
        part = self._part(e)
        if part is None or len(e.inputs) > 1:
            return None
        return _cell_or(self._of(e.inputs[0])[part])

    def _write(self, e: Equation) -> np.ndarray | None:
        part = self._part(e)
        if part is None or len(e.inputs) > 2:
            return None
        found, value = self._of(e.inputs[0]).copy(), self._of(e.inputs[1])
        if e.op.name == "index_add":
            old = _cell_or(found[part])
            added = Equation(REGISTRY["add"], (), {}, ())
            type_ = array_type((self.length, *old.shape), e.outputs[0].type.dtype)
            value = self._elementwise(added, [old, value], type_)
        found[part] = value if value.shape else value[()]
        return found

    def _part(self, e: Equation) -> tuple | None:
        """The short axes' entries of an operation that takes the long axis whole."""
        at = e.params["at"]
        if not at or at[0] != (0, self.length, 1) or len(at) != e.inputs[0].type.ndim:
            return None
        return tuple(
            [a if isinstance(a, int) else slice(a[0], None if a[1] < 0 else a[1], a[2])
             for a in at[1:]]
        )  # fmt: skip


def _cell(x: Operand) -> np.ndarray:
    found = np.empty((), object)
    found[()] = x
    return found


def _cell_or(x) -> np.ndarray:
    return x if isinstance(x, np.ndarray) else _cell(x)


_RULES: dict[str, Callable[[_Columns, Equation], np.ndarray | None]] = {
    "reshape": _Columns._reshape, "transpose": _Columns._transpose, "pad": _Columns._pad,
    "concatenate": _Columns._concatenate, "index": _Columns._index,
    "index_set": _Columns._write, "index_add": _Columns._write,
}  # fmt: skip
