"""The reference evaluator: a program run equation by equation on NumPy.

A program is planned once: slots for values, which value dies where, which updates may overwrite
their operand, and which broadcasts NumPy's own broadcasting makes unnecessary. Running a plan is a
loop over NumPy calls. Nothing here changes a value: the evaluator judges every other backend.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np

from chainrule.program.at_hand import add_line
from chainrule.program.cost import subprograms
from chainrule.program.displacement import affected_outputs
from chainrule.program.liveness import last_uses
from chainrule.program.program import Equation, Program, Var


class Plan:
    """A program ready to run: `plan(values)` maps the inputs' arrays to the outputs' arrays.

    The inputs numbered in `donated` belong to the program: it may overwrite their arrays.
    `recorded` is the program to record where an operand is traced, if not the same: the order that
    is good for running is none to derive from. `order` gives the program in the order to run it in.
    All of that is worked out when it is first asked for: what is derived inside of a compiled
    function is recorded there, and not run.
    """

    watching: Callable[[Program], Any] | None = None  # what gives `watch`, for `recorded`

    def __init__(
        self, program: Program, donated: tuple[int, ...] = (), recorded: Program | None = None,
        order: Callable[[Program], Program] | None = None,
    ):  # fmt: skip
        assert not program.captured, "only closed programs are planned"
        self._given, self._donated, self._recorded, self._order = program, donated, recorded, order

    @cached_property
    def program(self) -> Program:
        """The program in the order that it is run in."""
        return self._given if self._order is None else self._order(self._given)

    @property
    def recorded(self) -> Program:
        """The program that is recorded where an operand is traced."""
        return self.program if self._recorded is None else self._recorded

    @cached_property
    def _layout(self) -> Layout:
        return Layout(self.program, self._donated)

    @cached_property
    def uses_blas(self) -> bool:
        """Whether a run may call BLAS, whose threads change bits."""
        return _uses_blas(self.program)

    @cached_property
    def with_quotient(self) -> list[int]:
        """The outputs that are limits where eigenvalues are equal."""
        return affected_outputs(self.program)

    @cached_property
    def watch(self) -> Any:
        """What looks for lost digits, where that is wanted (wide/repair.py)."""
        return None if self.watching is None else self.watching(self.recorded)

    def run(self, values) -> list:
        """The outputs for these host values, converted to the inputs' dtypes."""
        types = self.program.in_types
        return self([_as_input(v, t) for v, t in zip(values, types, strict=True)])

    def __call__(self, values) -> list:
        layout = self._layout
        env = layout.template.copy()
        env[: layout.inputs] = values
        step: Any = None
        result: Any
        try:
            with np.errstate(all="ignore"):
                for step in layout.steps:
                    count, function, first, second, rest, out, dead, _ = step
                    if count == 2:
                        env[out] = function(env[first], env[second])
                    elif count == 1:
                        env[out] = function(env[first])
                    elif type(out) is tuple:
                        result = function(*[env[i] for i in rest])
                        for place, slot in enumerate(out):
                            env[slot] = result[place]
                        result = None  # nothing but a slot keeps an array alive
                    else:
                        env[out] = function(*[env[i] for i in rest])
                    if dead:
                        for slot in dead:
                            env[slot] = None
        except Exception as error:
            raise add_line(error, step[-1]) from None
        return [_owned(env[slot], copies) for slot, copies in layout.output_slots]


def _uses_blas(program: Program) -> bool:
    """Whether a product of matrices, or a factorisation, is anywhere in the program."""
    return any(
        not (e.op.elementwise or e.op.view)
        and (e.op.name not in _WITHOUT_BLAS or any(_uses_blas(p) for _, p in subprograms(e)))
        for e in program.equations
    )


_WITHOUT_BLAS = {
    "sum", "prod", "max", "min", "all", "any", "argmax", "argmin", "cumsum", "cumprod", "index",
    "index_set", "index_add", "concatenate", "pad", "iota", "sort", "argsort", "searchsorted",
    "cond", "scan", "while", "repeat", "checkpoint", "custom", "custom_linear",
}  # fmt: skip


def _owned(value, copies: bool):
    """An output that shares no memory with an input, a literal or another output."""
    if isinstance(value, np.ndarray):
        if value.ndim == 0:
            return value[()]
        return value.copy() if copies or not value.flags.writeable else value
    return value


class Layout:
    """How a program is laid out for running: slots, steps, deaths, and updates in place."""

    def __init__(self, program: Program, donated: tuple[int, ...]):
        self.program = program
        self.slot: dict = {}
        self.template: list = []
        self.needed_until: dict[int, int] = {}  # of slots that several variables share
        for var in program.inputs:
            self._new_slot(var)
        self.inputs = len(program.inputs)
        self.uses = last_uses(program)
        self.memory = Memory(program, self.uses, donated)
        self.light = light_broadcasts(program, self.memory)
        self.steps = [self._step(i, e) for i, e in enumerate(program.equations)]
        self.steps = [s for s in self.steps if s is not None]
        copies = copied_outputs(program, self.memory)
        self.output_slots = [
            (self._operand(var), copy) for var, copy in zip(program.outputs, copies, strict=True)
        ]

    def _new_slot(self, var, value=None) -> int:
        self.slot[var] = len(self.template)
        self.template.append(value)
        return self.slot[var]

    def _operand(self, operand) -> int:
        found = self.slot.get(operand)
        return self._new_slot(operand, operand.value) if found is None else found

    def _step(self, number: int, equation: Equation):
        inputs = tuple([self._operand(x) for x in equation.inputs])
        if equation in self.light and self.light[equation] is None:
            self._share(equation.inputs[0], equation.outputs[0], inputs[0])
            return None
        function = self._function(number, equation)
        outputs = tuple([self._new_slot(v) for v in equation.outputs])
        out = outputs[0] if len(outputs) == 1 else outputs
        count = len(inputs) if len(outputs) == 1 and len(inputs) in (1, 2) else 0
        first = inputs[0] if count else None
        second = inputs[1] if count == 2 else None
        return count, function, first, second, inputs, out, self._dead(number, equation), equation

    def _share(self, source: Var, out: Var, slot: int) -> None:
        """Let `out` stand in the slot of `source`, which lives until neither is read any more."""
        self.slot[out] = slot
        last = max(self.uses.get(source, -1), self.uses.get(out, -1))
        self.needed_until[slot] = max(self.needed_until.get(slot, -1), last)

    def _function(self, number: int, equation: Equation):
        op, params = equation.op, equation.params
        if equation in self.light:
            return partial(np.reshape, shape=self.light[equation])
        if number in self.memory.in_place:
            function = op.in_place
        else:
            function = op.evaluate
        if params:
            function = partial(function, **params)
        return partial(_copied, function) if number in self.memory.copied else function

    def _dead(self, number: int, equation: Equation) -> tuple[int, ...]:
        candidates = [*equation.inputs, *equation.outputs]
        dead = {
            self.slot[v]
            for v in candidates
            if not v.is_literal and self.uses.get(v, number) <= number and v in self.memory.made
        }
        return tuple([slot for slot in dead if self.needed_until.get(slot, -1) <= number])


def copied_outputs(program: Program, memory: Memory) -> list[bool]:
    """Which outputs are copies: they would share memory with an input, a literal, or another."""
    seen: set = set()
    found = []
    for var in program.outputs:
        root = None if var.is_literal else memory.root.get(var)
        found.append(root is None or root in seen or root in memory.foreign)
        seen.add(root)
    return found


def _copied(function, *arguments):
    return np.array(function(*arguments))


def is_view(equation: Equation) -> bool:
    """Whether the value may share memory with the first input's."""
    if not equation.op.view:
        return False
    if equation.op.name != "index":
        return True  # without axes too: a reshape to () is an array on the same memory
    if not equation.outputs[0].type.ndim:
        return False  # a NumPy scalar
    return len(equation.inputs) == 1 or equation.inputs[1].type.ndim == 0  # index arrays copy


class Memory:
    """Which variables share memory, which updates overwrite, and which views must be copies.

    `root` maps a variable to its memory. An update may overwrite memory that the program owns and
    of which no other variable is read later; views that are read later are copied when made.
    """

    def __init__(self, program: Program, uses: dict[Var, int], donated: tuple[int, ...]):
        self.root: dict[Var, object] = {}
        self.foreign: set = set()
        self.made = {v for e in program.equations for v in e.outputs}
        self.in_place: set[int] = set()
        self.copied: set[int] = set()
        self._parent: dict[Var, Var] = {}  # of views
        self._repeated: set = set()  # broadcasts, and views of them: elements share memory
        self._uses = uses
        self._aliases: dict[object, list[tuple[Var, int, Var]]] = {}
        for number, var in enumerate(program.inputs):
            self.root[var] = var
            self._aliases[var] = [(var, -1, var)]
            if number not in donated:
                self.foreign.add(var)
        for number, equation in enumerate(program.equations):
            self._visit(number, equation)

    def _visit(self, number: int, equation: Equation) -> None:
        if not equation.outputs:  # a branch without results
            return
        first: Any = equation.inputs[0] if equation.inputs else None
        out = equation.outputs[0]
        if is_view(equation):
            root = self.root.get(first, None)
            if root is None:
                root = out
                self.foreign.add(out)  # a view of a literal
            self.root[out] = root
            if equation.op.name == "broadcast" or first in self._repeated:
                self._repeated.add(out)
            self._parent[out] = first
            self._aliases.setdefault(root, []).append((out, number, first))
            return
        if equation.op.in_place is not None and self._may_overwrite(number, equation):
            self.in_place.add(number)
            self.root[out] = self.root[first]
            self._aliases[self.root[first]] = [(out, number, first)]
            return
        for var in equation.outputs:
            self.root[var] = var
            self._aliases[var] = [(var, number, var)]

    def _may_overwrite(self, number: int, equation: Equation) -> bool:
        target = equation.inputs[0]
        root = self.root.get(target)
        if root is None or root in self.foreign or not target.type.ndim:
            return False
        if target in self._repeated:
            return False
        if self._uses[target] > number:
            return False
        if any(self.root.get(v) is root for v in equation.inputs[1:] if not v.is_literal):
            return False
        later = [a for a in self._aliases.get(root, ()) if self._uses.get(a[0], -1) > number]
        above = self._views_above(target)
        if any(var in above for var, _, _ in later):
            return False  # a copy of that view would be what the target views
        if any(made_by is var for var, _, made_by in later):
            return False  # the memory's first owner itself is read later
        for var, maker, parent in later:
            if self.root[parent] is root:
                if maker in self.in_place:
                    return False
                self.copied.add(maker)
                self.root[var] = var
                self._aliases[var] = [(var, maker, var)]
            else:
                self.root[var] = self.root[parent]
                self._aliases[self.root[parent]].append((var, maker, parent))
        return True

    def _views_above(self, var: Var) -> set[Var]:
        """The variables that a view is made from, one by one."""
        found = set()
        while var in self._parent:
            var = self._parent[var]
            found.add(var)
        return found


def light_broadcasts(program: Program, memory: Memory) -> dict[Equation, tuple[int, ...] | None]:
    """Broadcasts that NumPy's broadcasting performs anyway, inside elementwise operations.

    Maps an equation to the shape (with ones) that its operand is reshaped to, or to None where the
    operand can be used as it is. Every reader must be elementwise, with one operand of full shape.
    Not those that must be copied, because their operand's memory is overwritten meanwhile.
    """
    candidates = {
        e.outputs[0]: e
        for number, e in enumerate(program.equations)
        if e.op.name == "broadcast" and not e.inputs[0].is_literal and number not in memory.copied
    }
    if not candidates:
        return {}
    for var in program.outputs:
        candidates.pop(var, None)
    for equation in program.equations:
        read = [v for v in equation.inputs if v in candidates]
        if not read:
            continue
        full = equation.op.elementwise and not equation.op.view and any(
            v not in candidates and v.type.shape == equation.outputs[0].type.shape
            for v in equation.inputs
            if not v.is_literal
        )
        if not full:
            for var in read:
                candidates.pop(var, None)
    return {e: _light_shape(e) for e in candidates.values()}


def _light_shape(equation: Equation) -> tuple[int, ...] | None:
    shape, axes = equation.params["shape"], equation.params["axes"]
    have = equation.inputs[0].type.shape
    if axes == tuple(range(len(shape) - len(axes), len(shape))):
        return None
    middle = [1] * len(shape)
    for i, a in enumerate(axes):
        middle[a] = have[i]
    return tuple(middle)


_plans: dict[tuple, Plan] = {}
_PLANS_KEPT = 512
_lock = threading.Lock()


def plan(program: Program, donated: tuple[int, ...] = ()) -> Plan:
    """The plan of a closed program; the latest few hundred are kept."""
    key = (program, program.place, donated)
    found = _plans.get(key)
    if found is None:
        found = Plan(program, donated)
        with _lock:
            _plans[key] = found
            if len(_plans) > _PLANS_KEPT:
                del _plans[next(iter(_plans))]
    return found


def evaluate(program: Program, values) -> list:
    """The outputs of a closed program for these input arrays."""
    return plan(program).run(values)


def _as_input(value, type_):
    if isinstance(value, np.ndarray | np.generic) and value.dtype == type_.dtype:
        return value
    return type_.dtype.type(value) if type_.ndim == 0 else np.asarray(value, type_.dtype)
