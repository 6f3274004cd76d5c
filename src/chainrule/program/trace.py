"""Recording: builders of programs, and the traced values that stand for arrays meanwhile.

Builders form a stack per thread; the innermost records every operation, whatever its operands. A
value of an outer builder enters an inner one as a captured input, so closures need no levels and
derivatives of derivatives cannot confuse their perturbations. There is one class of traced value.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import errors
from chainrule.program.at_hand import AtHand
from chainrule.program.captured import CapturedArrays
from chainrule.program.catching import may_be_caught
from chainrule.program.exact import ExactFloat, carried, exact_result
from chainrule.program.names import suggest_name
from chainrule.program.program import Equation, Literal, Operand, Program, Var, literal
from chainrule.program.text import line_text
from chainrule.program.types import Type, array_type, type_of

NO_PARAMS: dict[str, Any] = {}
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_TRACER = os.path.join(_PACKAGE, "tracing.py")
_NUMPY = os.path.dirname(os.path.abspath(np.__file__)) + os.sep


class _Stack(threading.local):
    top: Builder | None = None


_stack = _Stack()
_counting = threading.Lock()
traces_open = np.zeros((), np.int64)  # in all threads: machine code reads it


class View:
    """How a view was made from its parent: `read(parent) -> value`, `write(parent, value)`.

    `write` returns the parent's new value, and is None for a read-only view (`broadcast_to`).
    """

    __slots__ = ("key", "parent", "read", "write")

    def __init__(self, parent: Traced, key, read: Callable, write: Callable | None):
        self.parent, self.key, self.read, self.write = parent, key, read, write


if TYPE_CHECKING:
    _ArrayLike = Any  # checkers see an array: the operators are installed by chainrule.numpy
else:
    _ArrayLike = object


class Traced(_ArrayLike):
    """A value inside a trace: it answers NumPy's protocols by recording equations.

    It is a storage cell: writing to it rebinds `_var`, and a view re-reads its parent after the
    parent changed. `weak` marks a Python scalar (NEP 50); `active` says that a derivative may
    depend on it. Users never construct one; `chainrule.numpy` gives it its operators.
    """

    __slots__ = (
        "__weakref__",
        "_seen",
        "_strides",
        "_var",
        "_view",
        "active",
        "boxed",
        "builder",
        "weak",
    )  # fmt: skip

    def __init__(self, builder: Builder, var: Operand, weak=False, active=False):
        self.builder = builder
        self._var = var
        self.weak = weak
        self.active = active
        self._view: View | None = None
        self._seen: Operand | None = None
        self.boxed = False  # True for a 0-d array, which is mutable where a scalar is not

    @property
    def type(self) -> Type:
        return self._var.type

    @property  # type: ignore[misc]  # typeshed has a writable __class__; isinstance only reads it
    def __class__(self):
        """What isinstance sees: an array, or a scalar of the dtype, as with plain NumPy."""
        type_ = self._var.type
        if type_.shape or self.boxed:
            return np.ndarray
        if self.weak:
            return _PYTHON_SCALARS[type_.dtype.kind]
        return type_.dtype.type


_PYTHON_SCALARS = {"b": bool, "i": int, "u": int, "f": float, "c": complex}


class Builder:
    """Collects the equations of one program while a function is traced or a rule is run."""

    def __init__(self, name: str = "f", at_hand: AtHand | None = None, reuse: bool = False):
        self.name = name
        self.parent: Builder | None = None
        self.inputs: list[Var] = []
        self.equations: list[Equation] = []
        self.captured: list[tuple[Var, Any, Traced]] = []  # variable, host value, traced value
        self.line: Any = None  # set by transformations: derived equations inherit their line
        self.lines_from_user = True
        self.at_hand = at_hand
        self.open = False
        self.aliases: dict[int, list[Traced]] = {}  # arguments that are one and the same array
        self.cells: dict[int, tuple[Any, str]] = {}  # traced cell -> captured object, attribute
        self.owned: dict[tuple[int, str], tuple[Traced, Any]] = {}  # and the way back
        self.arrays = CapturedArrays()
        self.refused: Exception | None = None  # a value was asked for that could not be given
        self.made = False  # the function has made a plain array of floats (numpy/buffers.py)
        self.fills = False  # arrays that the function makes are traced, to be filled
        self._adopted: dict[int, Traced] = {}
        self._views: list = []  # keeps outer views alive while their identities are keys
        self._memo: dict | None = {} if reuse else None  # value numbering, for derived programs
        self._maker: dict[Operand, Equation] = {}
        self._indexed = 0
        self.strides: dict[Operand, Any] = {}  # memory layouts (chainrule.numpy.layout)
        self.active_inputs: set[Var] = set()
        self.kinks: str | None = None  # what derivatives inside do where pieces meet, by default
        self.branching: Callable | None = None  # (builder, variable, value) -> value, for an `if`

    def __enter__(self) -> Builder:
        self.parent = _stack.top
        _stack.top = self
        _count_traces(1)
        self.open = True
        if self.branching is None and self.parent is not None:
            self.branching = self.parent.branching
        if self.kinks is None and self.parent is not None:
            self.kinks = self.parent.kinks
        self.fills |= self.parent is not None and self.parent.fills
        return self

    def __exit__(self, *_) -> None:
        _stack.top = self.parent
        _count_traces(-1)
        self.open = False
        self.arrays.release()
        self._drop_references()

    def _drop_references(self) -> None:
        """Break the cycles between builder and traced values, so that no collector is needed."""
        for held in (self.captured, self._views):
            held.clear()
        for table in (self.aliases, self.cells, self.owned, self._adopted, self._maker):
            table.clear()
        self.at_hand = self._memo = self.branching = None

    def input(self, type: Type, name=None, value=None, weak=False, active=False) -> Traced:
        """A new input of the program; `value` is its value at hand, where there is one."""
        var = Var(type, name)
        self.inputs.append(var)
        if active and type.inexact:
            self.active_inputs.add(var)
        if value is not None and self.at_hand is not None:
            self.at_hand.known[var] = value
        return Traced(self, var, weak, active and type.inexact)

    def capture(self, host) -> Traced:
        """The traced value of an array, or of an outer traced value, that the function uses."""
        found = self._adopted.get(id(host))
        if found is not None:
            if type(host) is Traced or not self.arrays.changed(host):
                return found
            self._forget(host, found)
        if type(host) is Traced:
            made = self._capture_traced(host)
        else:
            refuse_subclass(host)
            var = Var(type_of(host))
            made = Traced(self, var)
            made.boxed = isinstance(host, np.ndarray) and not host.ndim
            self.captured.append((var, host, made))
            self.arrays.add(host)
        self._adopted[id(host)] = made
        return made

    def _forget(self, host: np.ndarray, cell: Traced) -> None:
        """Keep what a captured array was: the function has changed it since."""
        was = self.arrays.as_captured(host)
        self.captured = [
            (var, was if made is cell else value, made) for var, value, made in self.captured
        ]

    def _capture_traced(self, outer: Traced) -> Traced:
        if not self.is_inside(outer.builder):
            raise_leaked(outer)
        if outer._view is not None:
            parent = self.capture(outer._view.parent)
            made = Traced(self, outer._var, outer.weak, outer.active)
            made.boxed = outer.boxed
            made._view = View(parent, outer._view.key, outer._view.read, outer._view.write)
            self._views.append(outer)
            return made
        var = Var(outer.type, getattr(outer._var, "name", None))
        made = Traced(self, var, outer.weak, outer.active)
        made.boxed = outer.boxed
        self.captured.append((var, outer, made))
        return made

    def is_inside(self, builder: Builder) -> bool:
        """Whether this builder was opened while that one was, and that one is open still."""
        above = self.parent
        while above is not None:
            if above is builder:
                return True
            above = above.parent
        return False

    def value(self, var: Operand):
        """The value at hand of a variable, computed on demand, or None where there is none."""
        if var.is_literal:
            return var.value
        return None if self.at_hand is None else self.at_hand.value(self, var)

    def decided(self, var: Operand):
        """As `value`, for what Python decides by."""
        if var.is_literal:
            return var.value
        return None if self.at_hand is None else self.at_hand.decided(self, var)

    def may_decide(self, var: Operand) -> bool:
        """Whether `decided` gives a value."""
        return var.is_literal or (self.at_hand is not None and self.at_hand.decides(self, var))

    def has_value(self, var: Operand) -> bool:
        """Whether there is a value at hand."""
        return var.is_literal or (self.at_hand is not None and self.at_hand.has(self, var))

    @property
    def by_reference(self) -> bool:
        """Whether the content of arrays may change between runs of the program."""
        return self.at_hand is not None and self.at_hand.by_reference

    def note_leaf(self, made: Traced, value, number: bool) -> None:
        """Tell what is at hand of the value of an input, whose use may be noted."""
        if self.at_hand is not None and not made._var.is_literal:
            self.at_hand.note_leaf(made._var, value, number)

    def take_from(self, made: Traced, outer: Traced) -> None:
        """Let an input have the value of a traced value of an outer trace, where it has one."""
        if self.at_hand is not None and not made._var.is_literal:
            self.at_hand.outer[made._var] = _place(outer)

    def source(self, var: Var):
        """Where an input has its value from: an array, or (builder, variable) of an outer trace."""
        if self.at_hand is None:
            return None
        if var in self.at_hand.outer:
            return self.at_hand.outer[var]
        for captured, host, _ in self.captured:
            if captured is var:
                outer = type(host) is Traced
                return _place(host) if outer else self.arrays.as_captured(host)
        return None

    def maker(self, var: Operand) -> Equation | None:
        """The equation that made a variable; None for an input."""
        if self._indexed < len(self.equations):
            for equation in self.equations[self._indexed :]:
                for out in equation.outputs:
                    self._maker[out] = equation
            self._indexed = len(self.equations)
        return self._maker.get(var)

    def forget_last(self) -> None:
        """Take back the equation that was recorded last: nobody reads what it makes."""
        self.equations.pop()
        self._indexed = min(self._indexed, len(self.equations))

    def captured_hosts(self) -> list:
        """The captured arrays (as they were when captured) and outer traced values, in order."""
        return [
            host if type(host) is Traced else self.arrays.as_captured(host)
            for _, host, _ in self.captured
        ]

    def finish(self, outputs: list[Operand]) -> Program:
        """The program recorded so far, with these outputs."""
        captured = [var for var, _, _ in self.captured]
        hosts = self.captured_hosts()
        return Program(self.inputs, self.equations, outputs, captured, hosts, self.name)


def _count_traces(change: int) -> None:
    with _counting:
        traces_open[...] += change


def _count_own_traces() -> None:
    """After a fork: other threads, and with them their traces and a lock they hold, are gone."""
    global _counting
    _counting, own, builder = threading.Lock(), 0, _stack.top
    while builder is not None:
        own, builder = own + 1, builder.parent
    traces_open[...] = own


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_own_traces)


def current() -> Builder | None:
    """The innermost open builder of this thread."""
    return _stack.top


@contextlib.contextmanager
def suspended():
    """No trace is open inside: operations on arrays are run at once."""
    top, _stack.top = _stack.top, None
    try:
        yield
    finally:
        _stack.top = top


def refuse_subclass(array: np.ndarray) -> None:
    """Raise NotSupported for a matrix, a masked array, or an array with units: as plain arrays they
    would lose what they mean."""
    kind = type(array)
    if kind is np.ndarray or kind is np.memmap:
        return
    raise errors.NotSupported(
        f"an array of class {kind.__module__}.{kind.__qualname__} meets traced values, at "
        f"{line_text(user_line())}: only plain numpy.ndarray is supported, since other classes "
        "give operators, masks or units a meaning of their own.\n"
        "  Pass the plain numbers: np.asarray(x), x.filled(...) of a masked array, x.value of a "
        "quantity."
    )


def is_traced(value) -> bool:
    return type(value) is Traced


def concrete_value(traced: Traced):
    """The value at hand of a traced value, or None.

    What Python decides by, such as a truth value or a whole number, is the one on the side of a tie
    that the function is being traced for.
    """
    builder, var = _place(traced)
    value = builder.decided(var)
    if builder.branching is not None and value is not None and var.type.dtype.kind in "biuf":
        return builder.branching(builder, var, value)
    return value


def _place(traced: Traced) -> tuple[Builder, Operand]:
    """The builder and the variable in which a traced value is now."""
    var = operand(traced.builder, traced) if traced._view is not None else traced._var
    return traced.builder, var


def inputs_without_value(traced: Traced) -> list[str]:
    """The names of the inputs without a value at hand that a traced value depends on."""
    builder, var = _place(traced)
    at_hand = AtHand() if builder.at_hand is None else builder.at_hand
    return at_hand.without(builder, var)


def raise_leaked(traced: Traced) -> None:
    builder = traced.builder
    made = next((e for e in reversed(builder.equations) if traced._var in e.outputs), None)
    where = f" at {made.where}" if made is not None and made.where else ""
    raise errors.LeakedValue(
        f"a value made{where} while tracing '{builder.name}' is used at "
        f"{line_text(user_line())}, after that trace has ended (or in another thread).\n"
        "  Traced values do not outlive the call that traced them: return the value from "
        f"'{builder.name}' instead of keeping it in a list, a global or an attribute."
    )


_internal: dict[str, bool] = {}


def is_internal(filename: str) -> bool:
    """True for files of chainrule and of NumPy, whose lines are not the user's."""
    found = _internal.get(filename)
    if found is None:
        found = filename.startswith((_PACKAGE, _NUMPY)) or filename == contextlib.__file__
        _internal[filename] = found
    return found


def user_line():
    """Where the user's code is now: the first frame outside chainrule and NumPy."""
    frame = sys._getframe(1)
    internal = _internal
    while frame is not None:
        code = frame.f_code
        try:
            found = internal[code.co_filename]
        except KeyError:
            found = is_internal(code.co_filename)
        if not found:
            return (code, frame.f_lasti)
        frame = frame.f_back  # type: ignore[assignment]
    return None


def operand(builder: Builder, traced: Traced) -> Operand:
    """The variable that holds a traced value in this builder, captured from outside if need be."""
    if traced.builder is not builder:
        traced = builder.capture(traced)
    if traced._view is not None:
        _refresh(traced)
    return traced._var


def _refresh(traced: Traced) -> None:
    view = traced._view
    assert view is not None
    parent = operand(traced.builder, view.parent)
    if traced._seen is not parent:
        traced._var = view.read(view.parent)._var
        traced._seen = parent


def bind(op, arguments: tuple, params: dict[str, Any]):
    """Apply an operation: record it in the current trace, or run it on NumPy outside of one.

    Arguments are traced values, arrays and scalars of exactly the shapes and dtypes that the
    operation takes: promotion and broadcasting are the business of `chainrule.numpy`.
    """
    builder = _stack.top
    traced = [a for a in arguments if type(a) is Traced]
    if builder is None:
        if traced:
            raise_leaked(traced[0])
        return op.evaluate(*arguments, **params)
    if not traced and builder.lines_from_user and arguments:
        return op.evaluate(*arguments, **params)
    like = _literal_dtype(traced)
    operands: list[Operand] = []
    for argument in arguments:
        if type(argument) is Traced:
            operands.append(operand(builder, argument))
        elif isinstance(argument, np.ndarray) and (argument.ndim or builder.lines_from_user):
            operands.append(builder.capture(argument)._var)
        else:
            operands.append(_as_literal(argument, like))
    if op.elementwise and not builder.lines_from_user and all(o.is_literal for o in operands):
        return _folded(builder, op, operands, params)
    types = op.type_rule(*[o.type for o in operands], **params)
    active = op.smooth and any(t.active for t in traced)
    return record(builder, op, tuple(operands), params, types, active)


def _folded(builder: Builder, op, operands, params) -> Traced:
    """What a rule computes from literals alone is a literal: it fits any shape, as they do."""
    value = op.evaluate(*[o.value for o in operands], **params)
    made = value if isinstance(value, np.generic) else value[()]
    exact = None
    if made.dtype.kind == "f" and not params:
        exact = exact_result(op.name, [o.exact or o.value for o in operands])
    return Traced(builder, Literal(made, exact=exact))


def _literal_dtype(traced: list[Traced]):
    for value in traced:
        if value._var.type.dtype.kind != "b":
            return value._var.type.dtype
    return traced[0]._var.type.dtype if traced else None


def _as_literal(value, like) -> Literal:
    if isinstance(value, np.generic):
        return Literal(value, exact=carried(value))
    if isinstance(value, np.ndarray):
        return Literal(value.dtype.type(value))
    if like is None or (isinstance(value, bool) and like.kind != "b"):
        return literal(value)
    return Literal(like.type(value), exact=value if type(value) is ExactFloat else None)


def record(builder: Builder, op, operands: tuple, params, types, active: bool = False):
    """Append one equation; returns its output as a traced value, or a tuple of several."""
    memo = builder._memo
    if memo is not None:
        key = (op, tuple([o.key if o.is_literal else o for o in operands]), *params.values())
        outputs = memo.get(key)
        if outputs is None:
            outputs = tuple([Var(t) for t in types])
            if op.pure:
                memo[key] = outputs
            builder.equations.append(Equation(op, operands, params, outputs, builder.line))
    else:
        outputs = tuple([Var(t) for t in types])
        line = user_line() if builder.lines_from_user else builder.line
        builder.equations.append(Equation(op, operands, params, outputs, line))
    if op.raises and builder.lines_from_user:
        _raise_where_it_may_be_caught(builder, outputs[0])
    if len(outputs) == 1:
        return Traced(builder, outputs[0], False, active and outputs[0].type.inexact)
    return tuple([Traced(builder, v, False, active and v.type.inexact) for v in outputs])


def _raise_where_it_may_be_caught(builder: Builder, made: Var) -> None:
    """Run an operation that may raise now, inside of `try`; not for values that may change."""
    if builder.by_reference or not builder.has_value(made):
        return
    if may_be_caught(is_internal, _TRACER):
        try:
            builder.value(made)
        except Exception:
            builder.forget_last()
            raise


def record_elementwise(builder: Builder, op, operands: tuple, out: Type, weak, active) -> Traced:
    """The short way of `record` for one output and no params: most of what users trace."""
    if not builder.lines_from_user and all([o.is_literal for o in operands]):
        return _folded(builder, op, operands, NO_PARAMS)
    var = Var(out)
    line = user_line() if builder.lines_from_user else builder.line
    builder.equations.append(Equation(op, operands, NO_PARAMS, (var,), line))
    return Traced(builder, var, weak, active)


def inline(program: Program, arguments: list, active=None) -> list:
    """Record a closed program's equations in the current builder, on these arguments.

    Arguments are traced values, arrays or scalars, one per input. Returns one value per output.
    """
    builder = _stack.top
    assert builder is not None and not program.captured
    env: dict[Operand, Operand] = {}
    for var, argument in zip(program.inputs, arguments, strict=True):
        env[var] = as_operand(builder, argument, var.type)
    some_active = any(type(a) is Traced and a.active for a in arguments)
    for equation in program.equations:
        operands = tuple([o if o.is_literal else env[o] for o in equation.inputs])
        types = [v.type for v in equation.outputs]
        keep, builder.line = builder.line, equation.line or builder.line
        user, builder.lines_from_user = builder.lines_from_user, False
        try:
            made = record(builder, equation.op, operands, equation.params, types)
        finally:
            builder.line, builder.lines_from_user = keep, user
        made = made if isinstance(made, tuple) else (made,)
        for var, value in zip(equation.outputs, made, strict=True):
            env[var] = value._var
            suggest_name(value, var.name)
    return [_wrapped(builder, env.get(o, o), some_active) for o in program.outputs]


def _wrapped(builder: Builder, out: Operand, active: bool) -> Traced:
    return Traced(builder, out, False, active and out.type.inexact)


def as_operand(builder: Builder, value, type_: Type | None = None) -> Operand:
    """The operand of any value: traced, array (captured by reference) or scalar (a literal)."""
    if type(value) is Traced:
        return operand(builder, value)
    if isinstance(value, np.ndarray):
        return operand(builder, builder.capture(value))
    if type_ is not None:
        return Literal(type_.dtype.type(value))
    return literal(value)


def traced_literal(value, dtype) -> Traced:
    """A scalar constant as a traced value of the current builder."""
    builder = _stack.top
    assert builder is not None
    return Traced(builder, Literal(array_type((), np.dtype(dtype)).dtype.type(value)))
