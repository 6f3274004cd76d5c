"""From equations to steps: which operations become one loop kernel, what is a view, what is stored.

Equations come in the order of `order.ordered`. An elementwise operation joins the latest kernel
over its shape that runs after everything it needs; its value stays in registers unless something
outside of the kernel reads it. A reduction joins the kernel that makes its operand. Views cost
nothing. The rest is a step of its own.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.compiler.branches import CONTROL
from chainrule.compiler.kernel import Kernel, Site
from chainrule.compiler.layout import STATIC_VIEWS, Lie, viewed
from chainrule.compiler.llvm.elementwise import Operation, is_native
from chainrule.compiler.order import ordered
from chainrule.compiler.parts import PARTS
from chainrule.compiler.sites import flops_of, kernel_of, site_of, turned_products, turned_strides
from chainrule.compiler.steps import (
    Group,
    Host,
    Native,
    Operandlike,
    Ref,
    Root,
    Step,
    new_root,
)
from chainrule.program.program import Equation, Operand, Program, Var
from chainrule.program.types import Type

_MOST_NODES = 128  # in one kernel; over one axis, or on numbers, it may be longer
_MOST_STRAIGHT = 600
_SMALL = 2048  # elements: kernels over so little are joined even if they share nothing
_LOOKED_AT = 12  # kernels over one shape, the latest ones, that an operation may join
_MOST_REMADE = 4  # light operations, to have one value again
_TIMES_SMALLER = 8  # than another: then reading an array counts for nothing beside it
_LIGHT = {
    "add", "subtract", "multiply", "scale", "negative", "absolute", "square", "maximum", "minimum",
    "select", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "cast",
}  # fmt: skip
_REDUCTIONS = {"sum": "sum", "prod": "prod", "max": "max", "min": "min", "all": "all", "any": "any"}


class Schedule:
    """The steps of one program, being made; `layouts` are how its inputs lie, or constants.

    In a `lean` one no operation joins a kernel before the product or loop that asks for it.
    """

    def __init__(
        self, program: Program, layouts: list, written: dict[int, int], make_region,
        lean: bool = False,
    ):  # fmt: skip
        self.program, self.written, self.lean = program, written, lean
        self.make_region: Callable = make_region
        self.steps: list[Step] = []
        self.refs: dict[Var, Ref] = {}
        self.constants: dict[Operand, np.generic] = {}
        self.group_of: dict[Var, Group] = {}  # values that are in registers only
        self.readers = Counter(x for e in program.equations for x in e.inputs if not x.is_literal)
        self.readers.update(x for x in program.outputs if not x.is_literal)
        self.unread: dict[Var, Equation] = {}  # reshapes of such values, until they are read
        self.light: dict[Var, Equation] = {}  # those that take no longer to make than to read
        self.by_domain: dict[tuple[int, ...], list[Group]] = {}
        self.rewritten = _rewritten(program)
        self.turned = turned_products(program)
        self.read_at: dict[Root, int] = {}  # the last step so far that reads a root
        self.updates = {program.outputs[k]: i for k, i in written.items()}
        for i, (var, layout) in enumerate(zip(program.inputs, layouts, strict=True)):
            if isinstance(layout, np.generic):
                self.constants[var] = layout
            else:
                self.refs[var] = Ref(Root(layout[0], ("input", i)), var.type, layout[1])
        self.touched: set[Group] = set()  # kernels that the current batch is in
        for batch in ordered(program, written):
            self.touched.clear()
            for equation in batch:
                self._add(equation)

    def append(self, step: Step) -> Any:
        self.steps.append(step)
        for ref in step.reads():
            self._note_read(ref, step)
        return step

    def _note_read(self, ref: Ref, step: Step) -> None:
        self.read_at[ref.root] = max(self.read_at.get(ref.root, 0), step.number)

    @property
    def next(self) -> int:
        return len(self.steps)

    # --- operands ---------------------------------------------------------------------------------

    def constant(self, x: Operand) -> np.generic | None:
        """The number that an operand is everywhere, where it is one."""
        return x.value if x.is_literal else self.constants.get(x)

    def array(self, x: Operand) -> Ref:
        """The array of an operand, stored if it is not yet."""
        if not x.is_literal and x in self.refs:
            return self.refs[x]
        known = self.constant(x)
        if known is not None:
            return self._filled(x, known)
        assert not x.is_literal
        if x in self.unread:
            self._view_now(self.unread.pop(x))
            return self.refs[x]
        group = self.group_of.pop(x)
        group.stores[x] = self.refs[x] = new_root(x.type, group.number)
        return self.refs[x]

    def _filled(self, x: Operand, value: np.generic) -> Ref:
        ref = new_root(x.type, self.next)
        self.append(Group(self.next, None, x.type.shape, copies=[(value, ref)]))
        if not x.is_literal:
            self.refs[x] = ref
        return ref

    def contiguous(self, x: Operand) -> Ref:
        """The array of an operand, copied if it does not lie in C order."""
        ref = self.array(x)
        return ref if ref.contiguous else self.copied(ref)

    def copied(self, source: Operandlike, type_: Type | None = None) -> Ref:
        """A copy in memory of its own."""
        type_ = source.type if isinstance(source, Ref) else type_
        assert type_ is not None
        target = new_root(type_, self.next)
        self.append(Group(self.next, None, type_.shape, copies=[(source, target)]))
        return target

    def operandlike(self, x: Operand) -> Operandlike:
        """The array of an operand, or the number that it is."""
        known = self.constant(x)
        return self.array(x) if known is None else known

    # --- equations --------------------------------------------------------------------------------

    def _add(self, equation: Equation) -> None:
        name = equation.op.name
        for x in equation.inputs if self.unread and name != "concatenate" else ():
            if not x.is_literal and x in self.unread:
                self.array(x)
        if name in STATIC_VIEWS and self._add_view(equation):
            return
        if equation.op.elementwise and self._is_native(equation):
            self._add_elementwise(equation)
        elif name in _REDUCTIONS and self._can_reduce(equation):
            self._add_reduction(equation)
        elif name in _SPECIAL:
            _SPECIAL[name](self, equation)
        else:
            self.add_operation(equation)

    def _add_view(self, equation: Equation) -> bool:
        source, out = equation.inputs[0], equation.outputs[0]
        known = self.constant(source)
        if known is not None and len(equation.inputs) == 1:
            self.constants[out] = known
            return True
        if len(equation.inputs) > 1:
            return False
        if equation.op.elementwise and not source.is_literal and source in self.group_of:
            return False  # stop_gradient of a value in registers
        if equation.op.name == "reshape" and not source.is_literal and source in self.group_of:
            self.unread[out] = equation
            return True
        self._view_now(equation)
        return True

    def _view_now(self, equation: Equation) -> None:
        source, out = equation.inputs[0], equation.outputs[0]
        ref = self.array(source)
        lie = viewed(equation, ref.lie)
        if lie is None:
            ref = self.copied(ref)
            lie = viewed(equation, ref.lie)
            assert lie is not None
        self.refs[out] = ref.at(lie, out.type)
        if equation.op.name == "index" and self.read_before_write(source, out):
            self.refs[out] = self.copied(self.refs[out])

    def read_before_write(self, source: Operand, out: Var) -> bool:
        """Whether a part is copied at once, so that a later write need not copy the whole."""
        return source in self.rewritten and 2 * out.type.nbytes <= source.type.nbytes

    def _is_native(self, equation: Equation) -> bool:
        out = equation.outputs[0]
        return is_native(
            Operation(
                equation.op.name, tuple(equation.params.values()),
                tuple([x.type.dtype for x in equation.inputs]), out.type.dtype,
            )
        )  # fmt: skip

    # --- loop kernels -----------------------------------------------------------------------------

    def _add_elementwise(self, equation: Equation) -> None:
        out = equation.outputs[0]
        first, own = self._earliest(equation.inputs, out.type.shape)
        if out in self.updates:
            first = max(first, self._last_reader(self.program.inputs[self.updates[out]]))
        group = self._group_for(out.type.shape, first, own, equation)
        for x in sorted(equation.inputs, key=self.group_of.__contains__):  # arrays first
            self._use(group, x)
        group.nodes.append(equation)
        group.made.add(out)
        self.group_of[out] = group
        if equation.op.name in _LIGHT:
            self.light[out] = equation

    def _last_reader(self, argument: Var) -> int:
        """The last step so far that reads an argument which is to be updated in place."""
        ref = self.refs.get(argument)
        return 0 if ref is None else self.read_at.get(ref.root, 0)

    def _earliest(self, operands, domain) -> tuple[int, set[Group]]:
        """The first step that could compute from these, and the groups that hold some of them."""
        first, own = 0, set()
        for x in operands:
            if self.constant(x) is not None:
                continue
            group = self._holder(x)
            if group is not None and group.domain == domain:
                first = max(first, group.number)
                own.add(group)
            elif group is not None:
                first = max(first, group.number + 1)
            else:
                first = max(first, self._ready(self.refs[x]) + 1)
        return first, own

    def in_registers(self, x: Operand) -> Group | None:
        """The kernel that has an operand in registers, and has not stored it."""
        return None if x.is_literal else self.group_of.get(x)

    def _holder(self, x: Operand) -> Group | None:
        """The kernel in which an operand is a value in registers (it may be stored besides)."""
        if x.is_literal:
            return None
        group = self.group_of.get(x)
        if group is not None:
            return group
        ref = self.refs.get(x)
        if ref is not None and isinstance(ref.base, Root) and ref.root.made >= 0:
            step = self.steps[ref.root.made]
            if isinstance(step, Group) and x in step.made:
                return step
        return None

    def _ready(self, ref: Ref) -> int:
        made = ref.root.made
        return made if isinstance(ref.base, Root) else max(made, ref.base.made)

    def _group_for(self, domain, first: int, own: set[Group], equation: Equation) -> Group:
        groups = self.by_domain.setdefault(domain, [])
        size = math.prod(domain)
        limit = _MOST_NODES if len(domain) > 1 else _MOST_STRAIGHT
        recent = groups[-_LOOKED_AT:]
        for group in [*reversed(recent), *(g for g in own if g not in recent)]:
            if self.lean and group not in self.touched:
                continue
            if group.number < first or len(group.nodes) >= limit:
                continue
            if self._fits(group, own, size, equation.inputs):
                self.touched.add(group)
                return group
        group = self.append(Group(self.next, equation.line, domain))
        groups.append(group)
        self.touched.add(group)
        return group

    def _fits(self, group: Group, own: set[Group], size: int, operands) -> bool:
        """Whether an operation has something in common with a kernel over its shape."""
        if group in own or group in self.touched or size <= _SMALL:
            return True
        return self._shares(group, operands)

    def _shares(self, group: Group, operands) -> bool:
        return any(not x.is_literal and x in group.arrays for x in operands)

    def _use(self, group: Group, x: Operand) -> None:
        """Make an operand known to a group that reads it."""
        if x.is_literal or x in group.made or x in group.arrays:
            return
        known = self.constant(x)
        if known is not None:
            group.arrays[x] = known
            return
        if self._remade(group, x):
            return
        ref = group.arrays[x] = self.array(x)
        self._note_read(ref, group)

    def _remade(self, group: Group, x: Var) -> bool:
        """Have a kernel make again what another one has in registers, if that costs it no more than
        reading it would: then it need not be stored.

        It reads one array as large (two, where it is the only reader: then one is not written),
        those that the kernel reads anyway, and small ones.
        """
        if x not in self.group_of or x.type.shape != group.domain or x.type.size <= _SMALL:
            return False
        found: dict[Var, Equation] = {}
        read: dict[object, int] = {}  # bytes, by what they lie in
        if not self._lightly_made(group, x, found, read):
            return False
        if len(group.nodes) + len(found) > _MOST_NODES:
            return False
        large = [n for n in read.values() if _TIMES_SMALLER * n > x.type.nbytes]
        if sum(large) > x.type.nbytes * (2 if self.readers[x] == 1 else 1):
            return False
        for var, equation in found.items():
            for operand in equation.inputs:
                self._use(group, operand)
            group.nodes.append(equation)
            group.made.add(var)
            self.group_of[var] = group
        return True

    def _lightly_made(self, group: Group, x: Var, found: dict, read: dict) -> bool:
        """Collect the equations that make a value in a kernel, and what these read besides."""
        equation = self.light.get(x)
        if equation is None or len(found) >= _MOST_REMADE:
            return False
        for operand in equation.inputs:
            if self.constant(operand) is not None or operand in group.arrays:
                continue
            assert not operand.is_literal
            if operand in group.made or operand in found:
                continue
            ref = self.refs.get(operand)
            if ref is not None and self._is_updated(ref):
                return False
            if ref is not None:
                read[ref.base] = ref.root.nbytes
                continue
            inner, of_inner = dict(found), dict(read)
            if self._lightly_made(group, operand, inner, of_inner):
                found.update(inner)
                read.update(of_inner)
            elif self.readers[operand] > 1:
                read[operand] = operand.type.nbytes  # to be stored: others read it too
            else:
                return False
        found[x] = equation
        return True

    def _is_updated(self, ref: Ref) -> bool:
        """Whether an array is an argument to be updated: it could not be in place if what it was is
        read later."""
        place = ref.root.place
        return place is not None and place[0] == "input" and place[1] in self.updates.values()

    def _can_reduce(self, equation: Equation) -> bool:
        (x,) = equation.inputs
        if x.type.dtype.kind == "c" or x.is_literal:
            return False
        return x.type.size > 0 and self.constant(x) is None

    def _add_reduction(self, equation: Equation) -> None:
        (x,), out = equation.inputs, equation.outputs[0]
        assert not x.is_literal
        axes, domain = equation.params["axes"], x.type.shape
        group = self._reducing_group(equation, x, axes, domain)
        self._use(group, x)
        group.axes = axes
        ref = self.refs[out] = new_root(out.type, group.number)
        group.reductions.append((_REDUCTIONS[equation.op.name], x, ref))

    def _reducing_group(self, equation, x: Var, axes, domain) -> Group:
        first, _ = self._earliest([x], domain)
        holder = self._holder(x)
        groups = self.by_domain.setdefault(domain, [])
        candidates = [holder] if holder is not None and holder.domain == domain else []
        candidates += [g for g in reversed(groups[-4:]) if g.number >= first]
        shared = [x]
        if x in self.group_of and x in self.light:  # else it is stored for the reduction alone
            shared += [y for y in self.light[x].inputs if not y.is_literal]
        for group in candidates:
            if group.axes in (None, axes) and len(group.reductions) < 8:
                if group is holder or self._shares(group, shared) or x.type.size <= _SMALL:
                    return group
        group = self.append(Group(self.next, equation.line, domain))
        groups.append(group)
        return group

    # --- operations with kernels of their own, or none --------------------------------------------

    def add_operation(self, equation: Equation) -> None:
        """A step of an operation's own kernel; on the evaluator where it has none."""
        inputs = [self.operandlike(x) for x in equation.inputs]
        out = equation.outputs[0]
        turned = self.turned.get(out)
        strides = None if turned is None else turned_strides(out, turned)
        for attempt in (lambda ref: ref, self._straight):
            inputs = [attempt(x) if isinstance(x, Ref) else x for x in inputs]
            site = site_of(equation, inputs, strides)
            kernel = kernel_of(site)
            if kernel is not None:
                self._add_native(equation, site, kernel, inputs)
                return
        self.add_host(equation)

    def _straight(self, ref: Ref) -> Ref:
        return ref if ref.contiguous else self.copied(ref)

    def _add_native(self, equation, site: Site, kernel: Kernel, inputs) -> None:
        outputs = [
            Ref(Root(v.type.nbytes, None, self.next), v.type, Lie(0, place.strides))
            for v, place in zip(equation.outputs, site.outputs, strict=True)
        ]
        arrays = [x for x in inputs if isinstance(x, Ref)]
        step = Native(self.next, equation.line, site, kernel, arrays, outputs)
        step.flops = flops_of(equation)
        self.append(step)
        self.refs.update(zip(equation.outputs, outputs, strict=True))

    def add_host(self, equation: Equation) -> None:
        """A step on the evaluator."""
        inputs: list[Operandlike] = []
        for x in equation.inputs:
            known = self.constant(x)
            if known is None or (x.type.ndim and not x.is_literal):
                inputs.append(self.contiguous(x))
            else:
                inputs.append(known)
        outputs = [new_root(v.type, self.next) for v in equation.outputs]
        self.append(Host(self.next, equation.line, equation, inputs, outputs))
        self.refs.update(zip(equation.outputs, outputs, strict=True))


_SPECIAL: dict[str, Callable[[Schedule, Equation], None]] = {**PARTS, **CONTROL}


def _rewritten(program: Program) -> set[Operand]:
    """The arrays that are written to, and those whose memory they view or go on from."""
    writes = ("index_set", "index_add")
    found: set[Operand] = set()
    for equation in reversed(program.equations):
        name = equation.op.name
        follows = name in STATIC_VIEWS and equation.outputs[0] in found
        if name in writes or follows:
            found.add(equation.inputs[0])
    return found
