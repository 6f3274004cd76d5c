"""Which inputs each entry of a value depends on: sets of indices, carried through a program.

    pattern(program, given, values)     one sparse truth matrix an output: (entries, columns)

A row of a pattern is the set of columns that one entry depends on. Moves of data move rows;
elementwise operations join the rows of their operands; sums join rows over their axes; products of
arrays join over the axes that they sum, except where a constant operand holds an exact zero.
Operations without a rule depend on everything that comes in: a pattern may hold too much, never too
little. Constants (index arrays, masks, matrices) are read where their value is at hand.

Source    Griewank and Walther, "Evaluating Derivatives", 2nd ed., 2008, section 7.1, for the idea.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.ops.index import index
from chainrule.ops.shape import kept_axes
from chainrule.program.evaluate import evaluate
from chainrule.program.program import Equation, Operand, Program
from chainrule.transforms.batch import batch

MOST = 100_000_000  # entries of one pattern; more are no use to anyone, and would fill the memory
STEPS = 20_000  # equations of loops gone through one by one; beyond, a loop mixes everything


def pattern(program: Program, given: Sequence, values: Sequence, columns: int) -> list:
    """The patterns of the outputs; None where an output depends on none of the columns.

    `given` holds the inputs' patterns (None for a constant), `values` the constants' values where
    they are at hand (else None).
    """
    reader = Reader(columns)
    return reader.run(program, given, values)


class Reader:
    """Carries patterns through programs, and remembers which constants were read.

    `asked` holds the inputs of the outermost program whose values were used.
    """

    def __init__(self, columns: int):
        self.columns = columns
        self.asked: dict[Operand, None] = {}
        self.unknown: list[Equation] = []  # equations that depend on indices not at hand
        self._rows: dict[Operand, Any] = {}
        self._values: dict[Operand, Any] = {}
        self._source: dict[Operand, frozenset] = {}  # the outermost inputs behind a value
        self._steps = 0

    def run(self, program: Program, given: Sequence, values: Sequence) -> list:
        """The patterns of the outputs of the outermost program."""
        return self._run(program, given, values, [frozenset((v,)) for v in program.inputs])

    def inner(self, program: Program, operands: Sequence, given=None, values=None) -> list:
        """As `run`, of a sub-program on the operands of an equation; `given` and `values` stand for
        their rows and values where these differ."""
        given = [self.rows(x) for x in operands] if given is None else given
        values = [self.peek(x) for x in operands] if values is None else values
        return self._run(program, given, values, [self._source.get(x) for x in operands])

    def _run(self, program: Program, given, values, sources) -> list:
        for v, rows, value, source in zip(program.inputs, given, values, sources, strict=True):
            self._set(v, rows, None if rows is not None else value, source)
        for e in program.equations:
            self._visit(e)
        return [None if o.is_literal else self._rows.get(o) for o in program.outputs]

    def _set(self, var, rows, value=None, source=None) -> None:
        for table, entry in ((self._rows, rows), (self._values, value)):
            if entry is None:
                table.pop(var, None)
            else:
                table[var] = entry
        if source is not None:
            self._source[var] = source

    # --- what rules read ----------------------------------------------------------------------

    def rows(self, x: Operand):
        """The pattern of an operand; None for a constant."""
        return None if x.is_literal else self._rows.get(x)

    def has_value(self, x: Operand) -> bool:
        """Whether a constant's value is at hand."""
        return x.is_literal or x in self._values

    def value(self, x: Operand):
        """A constant's value, which the pattern depends on from now on; None if not at hand."""
        if x.is_literal:
            return x.value
        self.asked.update(dict.fromkeys(self._source.get(x, ())))
        return self._values.get(x)

    def peek(self, x: Operand):
        """A constant's value, to be handed on; what it is used for will ask."""
        return x.value if x.is_literal else self._values.get(x)

    # --- equations ----------------------------------------------------------------------------

    def _visit(self, e: Equation) -> None:
        if all(self.rows(x) is None for x in e.inputs):
            self._constant(e)
            return
        rule = _RULES.get(e.op.name, _elementwise if e.op.elementwise else _everything)
        found = rule(e, self)
        for v, rows in zip(e.outputs, found, strict=True):
            if rows is not None and rows.nnz > MOST:
                raise errors.NotSupported(
                    f"{e.op.name} at {e.where} depends on too much for a sparse Jacobian: "
                    f"{rows.nnz} pairs. Use jacobian(f) without sparse=True, or hvp."
                )
            self._set(v, rows)

    def _constant(self, e: Equation) -> None:
        """Evaluate what depends on constants at hand alone; leave the rest unknown."""
        names = [x for x in e.inputs if not x.is_literal]
        if any(x not in self._values for x in names) or any(v.type.size > MOST for v in e.outputs):
            for v in e.outputs:
                self._set(v, None)
            return
        with np.errstate(all="ignore"):
            made = e.op.evaluate(*[self.peek(x) for x in e.inputs], **e.params)
        source = frozenset().union(*[self._source.get(x, frozenset()) for x in names])
        for v, value in zip(e.outputs, made if isinstance(made, tuple) else (made,), strict=True):
            self._set(v, None, value, source)

    # --- patterns -----------------------------------------------------------------------------

    def none(self, size: int):
        """A pattern without entries."""
        return _matrix((size, self.columns))

    def or_none(self, x: Operand, size: int | None = None):
        """The pattern of an operand, without entries for a constant."""
        found = self.rows(x)
        return self.none(x.type.size if size is None else size) if found is None else found

    def afford(self, steps: int) -> bool:
        """Whether so many more equations of a loop may be gone through one by one."""
        self._steps += steps
        return self._steps <= STEPS


def _matrix(shape, rows=(), columns=()):
    from scipy.sparse import csr_array

    made = csr_array(
        (np.ones(len(rows), bool), (np.asarray(rows), np.asarray(columns))), shape=shape
    )
    made.sum_duplicates()
    return made


def every_entry(size: int, start: int, columns: int):
    """The pattern of an input itself: entry i is column start + i."""
    numbers = np.arange(size)
    return _matrix((size, columns), numbers, start + numbers)


def joined(patterns: Sequence):
    """The union of patterns of one shape; None of none."""
    total = None
    for p in patterns:
        if p is not None:
            total = p if total is None else _plus(total, p)
    return total


def _plus(a, b):
    made = (a + b).tocsr()
    made.sum_duplicates()
    return made


def _stacked(patterns: Sequence):
    from scipy.sparse import vstack

    return vstack(patterns, format="csr", dtype=bool)


def _mapped(targets, sources, shape, rows):
    """Entry targets[k] depends on what entry sources[k] depends on, for every k."""
    links = _matrix(shape, np.ravel(targets), np.ravel(sources))
    made = (links @ rows).tocsr()
    made.data[:] = True
    return made


def _numbers(shape) -> np.ndarray:
    return np.arange(math.prod(shape)).reshape(shape)


# --- rules: (equation, reader) -> a pattern, or None, for each output -----------------------------


def _elementwise(e: Equation, reader: Reader):
    size = e.outputs[0].type.size
    return [joined([_spread(reader.rows(x), x, size) for x in e.inputs])]


def _spread(rows, x: Operand, size: int):
    """Rows of a scalar operand repeated for each entry."""
    if rows is None or x.type.size == size:
        return rows
    return rows[np.zeros(size, int)]


def _product(e: Equation, reader: Reader):
    """Elementwise; where one factor is a constant exact zero, nothing is left."""
    size = e.outputs[0].type.size
    (found,) = _elementwise(e, reader)
    for x in e.inputs:
        if reader.rows(x) is None and not x.is_literal and reader.has_value(x):
            kept = np.broadcast_to(np.ravel(reader.value(x) != 0), (size,))
            if not kept.all():
                found = _gathered(_stacked([reader.none(1), found]), kept * np.arange(1, size + 1))
    return [found]


def _gathered(stack, numbers):
    return stack[np.ravel(numbers)]


def _moved(e: Equation, reader: Reader):
    """Moves of data: done with numbers of entries in place of values; 0 is a constant."""
    stack, numbers, start = [reader.none(1)], [], 1
    integers = _INDEX_OPERANDS.get(e.op.name, len(e.inputs))
    for k, x in enumerate(e.inputs):
        if k >= integers:
            numbers.append(reader.value(x))
            continue
        rows = reader.rows(x)
        if rows is None:
            numbers.append(np.int64(0) if x.is_literal else np.zeros(x.type.shape, np.int64))
            continue
        numbers.append(start + _numbers(x.type.shape))
        stack.append(rows)
        start += x.type.size
    if any(n is None for n in numbers):
        reader.unknown.append(e)
        return _everything(e, reader)
    made = e.op.evaluate(*numbers, **e.params)
    return [_gathered(_stacked(stack), np.broadcast_to(made, e.outputs[0].type.shape))]


_INDEX_OPERANDS = {"index": 1, "index_set": 2}  # how many operands hold data


def _added(e: Equation, reader: Reader):
    """index_add: the array's own rows, and those of the value where they are added."""
    x, value, *arrays = e.inputs
    places = [reader.value(a) for a in arrays]
    rows = reader.rows(value)
    own = reader.or_none(x)
    if rows is None:
        return [own]
    if any(p is None for p in places):
        reader.unknown.append(e)
        return _everything(e, reader)
    targets = index.evaluate(_numbers(x.type.shape), *places, at=e.params["at"])
    size = np.size(targets)
    rows = _spread(rows, value, size)
    return [_plus(own, _mapped(targets, np.arange(size), (x.type.size, size), rows))]


def _select(e: Equation, reader: Reader):
    condition, x, y = e.inputs
    if reader.rows(condition) is not None or not reader.has_value(condition):
        return _elementwise(e, reader)
    size = e.outputs[0].type.size
    sides = [_spread(reader.or_none(v), v, size) for v in (x, y)]
    taken = np.broadcast_to(np.ravel(reader.value(condition)), (size,))
    return [_gathered(_stacked(sides), np.where(taken, 0, size) + np.arange(size))]


def _sum(e: Equation, reader: Reader):
    (x,) = e.inputs
    return [_reduced(reader.rows(x), x.type.shape, e.params["axes"])]


def _reduced(rows, shape, axes):
    kept = kept_axes(len(shape), axes)
    short = tuple(shape[a] for a in kept)
    middle = tuple(n if a in kept else 1 for a, n in enumerate(shape))
    targets = np.broadcast_to(_numbers(short).reshape(middle), shape)
    count = math.prod(shape)
    return _mapped(targets, np.arange(count), (math.prod(short), count), rows)


def _along(axis_of: Callable):
    """Each entry depends on every entry of its line along some axes, which may change length."""

    def rule(e: Equation, reader: Reader):
        found = []
        for v in e.outputs:
            parts = []
            for x in e.inputs:
                rows = reader.rows(x)
                if rows is not None:
                    if x.type.ndim != v.type.ndim:
                        return _everything(e, reader)
                    axes = axis_of(e.params, x.type.ndim)
                    reduced = _reduced(rows, x.type.shape, axes)
                    kept = kept_axes(x.type.ndim, axes)
                    short = tuple(x.type.shape[a] for a in kept)
                    if short != tuple(v.type.shape[a] for a in kept):
                        return _everything(e, reader)
                    parts.append(_repeated(reduced, short, v.type.shape, kept))
            found.append(joined(parts))
        return found

    return rule


def _solve(e: Equation, reader: Reader):
    """A column of the solution depends on the same column of the right side."""
    if reader.rows(e.inputs[0]) is not None:
        return _everything(e, reader)
    return _along(lambda params, n: (n - 2,))(e, reader)


def _repeated(rows, short, shape, axes):
    middle = [1] * len(shape)
    for n, a in zip(short, axes, strict=True):
        middle[a] = n
    return _gathered(rows, np.broadcast_to(_numbers(short).reshape(middle), shape))


def _contract(e: Equation, reader: Reader):
    both = [_contracted(e, side, reader) for side in (0, 1)]
    return [joined(both)]


def _contracted(e: Equation, side: int, reader: Reader):
    """What the operand on one side brings in, through the nonzeros of the other where it is known.
    """
    x, other = e.inputs[side], e.inputs[1 - side]
    rows = reader.rows(x)
    if rows is None:
        return None
    axes, matched = e.params["axes"], e.params["batch"]
    if reader.rows(other) is None and reader.has_value(other):
        value = np.asarray(reader.value(other)) != 0
        free = [x.type.shape[a] for a in kept_axes(x.type.ndim, axes[side] + matched[side])]
        if not value.all() and np.count_nonzero(value) * math.prod(free) <= MOST:
            return _through_nonzeros(e, side, value, rows)
    summed = _reduced(rows, x.type.shape, axes[side])  # batch and free axes, in x's order
    kept = kept_axes(x.type.ndim, axes[side])
    places = _places(e, side)
    out = e.outputs[0].type.shape
    order = np.argsort([places[a] for a in kept])
    short = tuple(x.type.shape[a] for a in kept)
    numbers = _numbers(short).transpose(order) if short else _numbers(short)
    middle = [1] * len(out)
    for a in kept:
        middle[places[a]] = x.type.shape[a]
    return _gathered(summed, np.broadcast_to(numbers.reshape(middle), out))


def _places(e: Equation, side: int) -> dict[int, int]:
    """Where the batch and free axes of one operand stand in the result."""
    axes, matched = e.params["axes"], e.params["batch"]
    free = [kept_axes(x.type.ndim, axes[s] + matched[s]) for s, x in enumerate(e.inputs)]
    start = len(matched[0]) + (len(free[0]) if side else 0)
    found = {a: i for i, a in enumerate(matched[side])}
    found.update({a: start + i for i, a in enumerate(free[side])})
    return found


def _through_nonzeros(e: Equation, side: int, value, rows):
    """Links from entries of x to entries of the result, one for each product with a nonzero."""
    x, out = e.inputs[side], e.outputs[0].type
    axes, matched = e.params["axes"], e.params["batch"]
    at = np.nonzero(value)
    mine, theirs = _places(e, side), _places(e, 1 - side)
    free = kept_axes(x.type.ndim, axes[side] + matched[side])
    lengths = [x.type.shape[a] for a in free]
    grid = np.indices(lengths).reshape(len(free), math.prod(lengths))
    source: list = [0] * x.type.ndim
    target: list = [0] * out.ndim
    for a, b in zip(axes[side] + matched[side], axes[1 - side] + matched[1 - side], strict=True):
        source[a] = at[b][:, None]
    for i, a in enumerate(free):
        source[a] = target[mine[a]] = grid[i][None, :]
    for a, place in theirs.items():
        target[place] = at[a][:, None]
    shape = (len(at[0]) if at else 1, grid.shape[1])
    sources = np.broadcast_to(sum(map(np.multiply, source, _weights(x.type.shape))), shape)
    targets = np.broadcast_to(sum(map(np.multiply, target, _weights(out.shape))), shape)
    return _mapped(targets, sources, (out.size, x.type.size), rows)


def _weights(shape) -> list[int]:
    return [math.prod(shape[a + 1 :]) for a in range(len(shape))]


def _probed(e: Equation, reader: Reader):
    """Linear in one operand, by factors that no choice of the others makes fewer: tried with ones.
    """
    moving = [k for k, x in enumerate(e.inputs) if reader.rows(x) is not None]
    size, out = e.inputs[moving[0]].type.size, e.outputs[0].type
    integers = [k for k, x in enumerate(e.inputs) if x.type.dtype.kind in "iu"]
    values = {k: reader.value(e.inputs[k]) for k in integers}
    if len(moving) > 1 or size * out.size > MOST or any(v is None for v in values.values()):
        return _everything(e, reader)
    (k,) = moving
    alone = Program([x for x in e.inputs if not x.is_literal], [e], e.outputs)
    if len(alone.inputs) < len(e.inputs):
        return _everything(e, reader)
    wide, _ = batch(alone, size, tuple(i == k for i in range(len(e.inputs))))
    given = [
        values[i] if i in values else np.ones(x.type.shape, x.type.dtype)
        for i, x in enumerate(e.inputs)
    ]
    given[k] = np.eye(size, dtype=e.inputs[k].type.dtype).reshape(size, *e.inputs[k].type.shape)
    (found,) = evaluate(wide, given)
    sources, targets = np.nonzero(found.reshape(size, out.size))
    return [_mapped(targets, sources, (out.size, size), reader.rows(e.inputs[k]))]


def _everything(e: Equation, reader: Reader):
    """Every entry of every output depends on every entry that comes in."""
    whole = joined([_whole(reader.rows(x)) for x in e.inputs])
    return [
        whole[np.zeros(v.type.size, int)] if v.type.inexact and whole is not None else None
        for v in e.outputs
    ]


def _whole(rows):
    return None if rows is None else _reduced(rows, (rows.shape[0],), (0,))


# --- control flow ---------------------------------------------------------------------------------


def _inside(name: str):
    """A sub-program that is run once, on the operands as they are."""

    def rule(e: Equation, reader: Reader):
        program = e.params[name]
        return _everything(e, reader) if program is None else reader.inner(program, e.inputs)

    return rule


def _cond(e: Equation, reader: Reader):
    sides = [reader.inner(b, e.inputs[1:]) for b in e.params["branches"]]
    return [joined(rows) for rows in zip(*sides, strict=True)]


def _scan(e: Equation, reader: Reader):
    params = e.params
    body, a, length = params["body"], params["constants"], params["length"]
    b = a + params["carries"]
    if not reader.afford(length * len(body.equations)):
        return _everything(e, reader)
    rows, values = [reader.rows(x) for x in e.inputs], [reader.peek(x) for x in e.inputs]
    carry, known = rows[a:b], values[a:b]
    stacks: list[list] = [[None] * length for _ in e.outputs[b - a :]]
    for i in range(length - 1, -1, -1) if params["reverse"] else range(length):
        given = [*rows[:a], *carry, *(_row(r, i, length) for r in rows[b:])]
        at_hand = [*values[:a], *known, *(None if v is None else v[i] for v in values[b:])]
        found = reader.inner(body, e.inputs, given, at_hand)
        carry, known = found[: b - a], [reader.peek(o) for o in body.outputs[: b - a]]
        for stack, made in zip(stacks, found[b - a :], strict=True):
            stack[i] = made
    ys = e.outputs[b - a :]
    return [*carry, *(_rows_of(s, v, reader) for s, v in zip(stacks, ys, strict=True))]


def _row(rows, i: int, length: int):
    if rows is None:
        return None
    size = rows.shape[0] // length
    return rows[i * size : (i + 1) * size]


def _rows_of(stack, var, reader: Reader):
    if all(s is None for s in stack):
        return None
    size = var.type.size // len(stack)
    return _stacked([reader.none(size) if s is None else s for s in stack])


_RULES: dict[str, Callable] = {
    **dict.fromkeys(
        ("reshape", "transpose", "flip", "broadcast", "index", "index_set", "pad", "concatenate"),
        _moved),
    **dict.fromkeys(("multiply", "scale"), _product),
    "index_add": _added, "select": _select, "sum": _sum, "contract": _contract,
    **dict.fromkeys(
        ("convolve", "convolution", "convolution_weights", "window_sum", "cumsum", "segment_sum"),
        _probed),
    **dict.fromkeys(
        ("fft", "rfft", "irfft", "softmax", "log_softmax", "sort", "cummax", "cummin", "cumprod"),
        _along(lambda params, n: params["axes"] if "axes" in params else (params["axis"],))),
    "recurrence": _along(lambda params, n: (n - 1,)),
    **dict.fromkeys(("max", "min", "prod", "norm", "logsumexp"), _sum),
    **dict.fromkeys(("solve", "triangular_solve"), _solve),
    "cond": _cond, "scan": _scan, "checkpoint": _inside("program"),
    "custom_linear": _inside("forward"),
}  # fmt: skip
