"""From a Python call to a Program, and from the Program's results back to the caller.

`trace_call` runs a function on traced clones of its arguments. What comes back knows the program,
the host values of its inputs, how to rebuild the function's result, and the effects: arguments and
their attributes, lists, dicts, and captured generators that the function wrote, to be written back
once the transformed program has run. If the function raises, nothing of the caller's has changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from chainrule import errors
from chainrule.compiled_code import refusal
from chainrule.effects import Change, Effect, Hosts
from chainrule.filling import AS_IT_IS, FILLED, traced_again_where_refused
from chainrule.host_random import HostStates
from chainrule.numpy import layout
from chainrule.numpy.by_name import replaced_by_name
from chainrule.numpy.interception import dispatching_asarray
from chainrule.program.at_hand import AtHand
from chainrule.program.garbage import collector_paused
from chainrule.program.names import give_names
from chainrule.program.noting import PLAIN, unnoted
from chainrule.program.program import Program
from chainrule.program.trace import (
    Builder,
    Traced,
    as_operand,
    current,
    operand,
    raise_leaked,
    refuse_subclass,
)
from chainrule.program.tree import Node, Place, flatten, is_leaf, node_of, unflatten
from chainrule.program.types import Type, is_supported, supported_names, type_of
from chainrule.sharing import Holder, OwnView, own_view, refuse_overlaps


class Call:
    """A traced call: its program (closed: captured values lead), operands, result and effects."""

    def __init__(self, program, operands, leading, structure, count, effects, returned, name):
        self.program: Program = program
        self.operands: list = operands  # host values, or values of an outer trace
        self.leading: int = leading  # how many operands are captured
        self.structure = structure  # of the function's result
        self.count: int = count  # how many outputs are leaves of the result
        self.effects: list[Effect] = effects
        self.returned: dict[int, int] = returned  # results that are the caller's own: input number
        self.name: str = name
        self.containers: list = []  # the caller's lists, dicts and objects, as effects number them
        self.views: dict[int, OwnView] = {}  # results that are views of arguments
        self.weak: tuple[bool, ...] = ()  # results that are Python numbers
        self.owners: dict[int, tuple[Any, str]] = {}  # captured operands that are attributes
        self.asked: dict[int, Any] = {}  # the leaves whose values the program depends on
        self.decided: Any = None  # what Python decided by, where that may change from call to call
        self.generator_states: tuple[int, ...] = ()  # operands that captured generators hold
        self.generators: tuple = ()  # these generators

    def active(self, wanted) -> tuple[bool, ...]:
        """The mask over the program's inputs for a set of argument leaf numbers."""
        count = len(self.operands)
        return tuple(i - self.leading in wanted for i in range(count))

    def finish(self, outputs: list, hosts: Hosts | None = None) -> Any:
        """Apply the effects, and give the function's own result, from the program's outputs.

        `hosts` are other arguments of the same structure than those of this call.
        """
        hosts = Hosts(self.operands, self.containers) if hosts is None else hosts
        self.apply_effects(outputs, hosts)
        results = outputs[: self.count]
        for i, number in self.returned.items():
            results[i] = hosts.operands[number]
        for i, own in self.views.items():
            results[i] = own.made(hosts.operands[own.number], results[i])
        return unflatten(self.structure, results, hosts.containers)

    def apply_effects(self, outputs: list, hosts: Hosts | None = None) -> None:
        """Write back what the function wrote; `outputs` are the program's."""
        hosts = Hosts(self.operands, self.containers) if hosts is None else hosts
        start = self.count
        for effect in self.effects:
            effect.apply(outputs[start : start + effect.count], hosts)
            start += effect.count


def trace_call(
    f: Callable,
    args: tuple,
    kwargs: dict,
    active=frozenset(),
    types: Sequence[Type | None] | None = None,
    concrete: bool = True,
    weak: Sequence[bool] | None = None,
    rows: Sequence[int | None] | None = None,
    compiled: bool = False,
    knows: type[AtHand] = AtHand,
    branching: Callable | None = None,
    kinks: str | None = None,
    at_hand: AtHand | None = None,
    way: int | None = None,
    hosts: HostStates | None = None,
) -> Call:
    """Trace `f(*args, **kwargs)`.

    `active` holds the numbers of the argument leaves that derivatives will be taken by. With
    `types`, leaf i is traced as an abstract array of that type, without a value at hand, and as a
    Python number where `weak` says so (by default, where it is one of this type); it stands for a
    row of the leaf along the axis that `rows` gives for it. For a `compiled` function, the values
    of Python numbers are at hand all the same, and `Call.asked` tells which of them the program
    depends on; and the caller's containers that it returns are the caller's own. `knows` is the
    kind of values at hand of an outermost trace, and of those inside it; `branching` is asked for
    the values that Python decides by (see chainrule.sides); `kinks` is the option of derivatives
    inside that do not say it themselves. `at_hand` gives values in another way. `way`
    says what else is given a traced meaning (chainrule.filling); None, what is needed. `hosts` are
    the states that generators of NumPy and Python have now, where they are known.
    """
    name = getattr(f, "__name__", None) or type(f).__name__
    builders: list[Builder] = []

    def once(way: int) -> Call:
        builder = Builder(name, at_hand=at_hand or _values_at_hand(concrete, compiled, knows))
        builder.branching, builder.kinks, builder.fills = branching, kinks, way == FILLED
        builders.append(builder)
        by_name = nullcontext() if way == AS_IT_IS else replaced_by_name()
        with builder, dispatching_asarray(), by_name, collector_paused():
            clones = Clones(builder, active, types, _parameter_names(f), weak, rows, compiled)
            new_args, new_kwargs = clones.make((args, kwargs))
            out = _run(f, new_args, new_kwargs, builder)
            return _finish(builder, clones, out, name)

    if way is not None:
        return once(way)
    hosts = HostStates(f, args, kwargs) if hosts is None else hosts
    return traced_again_where_refused(once, lambda: any(b.made for b in builders), f, hosts)


def _run(f: Callable, args: tuple, kwargs: dict, builder: Builder):
    """What the function returns for traced arguments; raises where it was refused something."""
    try:
        out = f(*args, **kwargs)
    except Exception as error:
        explained = _explained(error, builder)
        if explained is error:
            raise
        raise explained from error
    if builder.refused is not None:
        raise builder.refused
    return out


def _explained(error: Exception, builder: Builder) -> Exception:
    """The error that is the reason for NumPy's: `buffer[0] = x` hides that no value can be given,
    and a write to an array that the trace holds read-only does not say why it is."""
    reasons = (error.__cause__, error.__context__)
    if builder.refused is not None and any(r is builder.refused for r in reasons):
        return builder.refused
    frozen = isinstance(error, ValueError) and builder.arrays.frozen
    if not frozen or "read-only" not in str(error):
        return refusal(error) or error
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    line = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}" if where else "unknown"
    return errors.MutationError(
        f"{builder.name} changes an array that it has already used in a traced operation, at "
        f"{line}: the trace would read the changed content.\n"
        "  Pass the array as an argument, or work on a copy of it."
    )


def _values_at_hand(concrete: bool, numbers: bool, knows: type[AtHand]) -> AtHand | None:
    """What the new trace knows: everything, numbers only, no more than the outer one, or nothing"""
    outer = current()
    if numbers or not concrete or outer is None:
        return knows(by_reference=numbers) if numbers or concrete else None
    return None if outer.at_hand is None else outer.at_hand.inside()


def _parameter_names(f) -> tuple[str, ...]:
    while hasattr(f, "__wrapped__"):
        f = f.__wrapped__
    code = getattr(f, "__code__", None)
    if code is None:
        return ()
    return code.co_varnames[int(hasattr(f, "__self__")) : code.co_argcount]


def _finish(builder: Builder, clones: Clones, out, name: str) -> Call:
    leaves, structure = flatten(out, clones.own_containers() if clones.numbers else None)
    results = [as_operand(builder, leaf) for leaf in leaves]
    captured = list(builder.captured)
    effects, written = clones.effects(len(captured))
    for number, (var, host, cell) in enumerate(captured):
        now = operand(builder, cell)
        if now is not var:
            effects.append(_captured_effect(builder, host, cell, number))
            written.append(now)
    if written:
        refuse_overlaps(name, [*clones.holders(), *_captured_holders(builder, name)])
    program = builder.finish([*results, *written]).closed()
    program.name = name if name.isidentifier() else "f"
    give_names(program)
    operands = builder.captured_hosts() + clones.leaves
    number_of = clones.input_numbers(len(captured))
    returned = {
        i: number_of[id(leaf)]
        for i, leaf in enumerate(leaves)
        if type(leaf) is Traced and id(leaf) in number_of
    }
    call = Call(program, operands, len(captured), structure, len(leaves), effects, returned, name)
    call.containers = [original for original, _, _ in clones.containers]
    call.weak = tuple(map(is_weak, leaves))
    call.views = {
        i: own for i, leaf in enumerate(leaves) if (own := own_view(leaf, number_of))
    }
    call.asked = clones.asked()
    call.decided = None if builder.at_hand is None else builder.at_hand.decisions
    call.owners = {
        i: builder.cells[id(cell)]
        for i, (_, _, cell) in enumerate(captured)
        if id(cell) in builder.cells
    }
    owner_of = {id(cell): owner for cell, owner in builder.owned.values()}
    call.generator_states = tuple(
        i for i, (_, _, cell) in enumerate(captured) if id(cell) in owner_of
    )
    call.generators = tuple(owner_of[id(captured[i][2])] for i in call.generator_states)
    return call


def _captured_holders(builder: Builder, name: str) -> list[Holder]:
    """The arrays that the function closes over, and outer values that stand for arrays."""
    return [
        Holder(host, f"an array that {name} closes over", operand(builder, cell) is not var)
        for var, host, cell in builder.captured
        if isinstance(host, np.ndarray)
    ]


def _captured_effect(builder: Builder, host, cell, number: int) -> Effect:
    place = builder.cells.get(id(cell))
    if place is not None:
        return Effect(1, number, place)
    if type(host) is Traced:
        return Effect(1, number)
    raise errors.MutationError(f"{builder.name} writes to a captured array; pass it as argument.")


class Clones:
    """Traced stand-ins for the caller's arguments, and what the function did to them."""

    def __init__(
        self, builder: Builder, active, types, names: tuple[str, ...], weak=None, rows=None,
        numbers: bool = False,
    ):  # fmt: skip
        self.builder, self.active, self.types, self.names = builder, active, types, names
        self.weak, self.rows, self.numbers = weak, rows, numbers
        self.leaves: list = []  # the caller's leaves, in flattening order
        self.cells: list[tuple[Any, Traced, Any]] = []  # host, traced, its input variable
        self.number_of: dict[int, int] = {}  # traced argument that is an array -> leaf number
        self.containers: list[tuple[Any, Any, Node]] = []  # original, clone, the clone's node
        self._clone_of: dict[int, Any] = {}
        self._place_of: dict[int, Place] = {}
        self._first_of: dict[int, Traced] = {}
        self._numbers: dict[int, int] = {}  # as `input_numbers` gives them, once they are known

    def make(self, args_kwargs: tuple[tuple, dict]):
        args, kwargs = args_kwargs
        new_args = [self._clone(a, self._name(i)) for i, a in enumerate(args)]
        return new_args, {k: self._clone(v, k) for k, v in kwargs.items()}

    def _name(self, i: int) -> str | None:
        return self.names[i] if i < len(self.names) else None

    def _clone(self, value, name: str | None):
        if is_leaf(value):
            if type(value) in PLAIN:
                return unnoted(self._leaf, value, name)
            return self._leaf(value, name)
        if id(value) in self._clone_of:
            return self._shared(value)
        node = node_of(value)
        if node is None:
            return value
        children = [
            self._clone(child, f"{name}_{key}" if name else None)
            for key, child in zip(node.keys, node.children, strict=True)
        ]
        clone = node.make(children)
        if not isinstance(value, tuple):
            new = Node(node.kind, node.keys, children, node.make)
            self._clone_of[id(value)] = clone
            self._place_of[id(clone)] = Place(len(self.containers))
            self.containers.append((value, clone, new))
        return clone

    def _shared(self, value):
        leaves, _ = flatten(value)  # the same container again: its leaves are inputs again
        for leaf in leaves:
            self._leaf(leaf, None)
        return self._clone_of[id(value)]

    def _leaf(self, value, name: str | None) -> Traced:
        number = len(self.leaves)
        self.leaves.append(value)
        if type(value) is Traced and not self.builder.is_inside(value.builder):
            raise_leaked(value)
        if self.types is not None and self.types[number] is not None:
            active = number in self.active or (type(value) is Traced and value.active)
            weak = is_weak(value, self.types[number]) if self.weak is None else self.weak[number]
            made = self.builder.input(
                self.types[number], _identifier(name), weak=weak, active=active
            )
            made.boxed = isinstance(value, np.ndarray) and not value.ndim
            if self.numbers and type(value) is not Traced:
                self.builder.note_leaf(made, value, _is_number(value))
        elif type(value) is Traced:
            made = self._outer_leaf(value, number, name)
        else:
            made = self._host_leaf(value, number, name)
        if made.type.ndim:
            self._note_layout(value, made, None if self.rows is None else self.rows[number])
        self._remember(value, made)
        return made

    def _note_layout(self, value, made: Traced, row: int | None) -> None:
        """The memory layout of an argument, which decides what is a view of it (default: C)."""
        if row is not None or type(value) is Traced or not value.flags.c_contiguous:
            self.builder.strides[made._var] = layout.strides_without(value, row)

    def _outer_leaf(self, value: Traced, number: int, name) -> Traced:
        made = self.builder.input(
            value.type, _identifier(name), None, value.weak, number in self.active
        )
        self.builder.take_from(made, value)
        made.active = made.active or value.active
        made.boxed = value.boxed
        return made

    def _host_leaf(self, value, number: int, name) -> Traced:
        if isinstance(value, np.ndarray | np.generic) and not is_supported(value.dtype):
            raise errors.DtypeError(
                f"argument {name or number} has dtype {value.dtype}; supported: {supported_names()}"
            )
        if isinstance(value, np.ndarray):
            refuse_subclass(value)
        weak = type(value) in (int, float, complex)
        type_ = type_of(value)
        at_hand = type_.dtype.type(value) if weak else value
        if isinstance(value, np.ndarray) and self.builder.by_reference:
            at_hand = None  # what it holds may be another thing in the next call
        made = self.builder.input(type_, _identifier(name), at_hand, weak, number in self.active)
        made.boxed = isinstance(value, np.ndarray) and not value.ndim
        return made

    def _remember(self, value, made: Traced) -> None:
        self.cells.append((value, made, made._var))
        if not isinstance(value, np.ndarray) and type(value) is not Traced:
            return
        self.number_of[id(made)] = len(self.leaves) - 1
        first = self._first_of.setdefault(id(value), made)
        if first is not made:
            group = self.builder.aliases.setdefault(id(first), [first])
            group.append(made)
            self.builder.aliases[id(made)] = group
            for cell in group:
                layout.strides_of(cell)  # worked out before a write to another of the group

    def asked(self) -> dict[int, Any]:
        """The leaves whose values were asked for, and these values."""
        at_hand = self.builder.at_hand
        if at_hand is None or not at_hand.asked:
            return {}
        return {
            n: self.leaves[n] for n, (_, _, var) in enumerate(self.cells) if var in at_hand.asked
        }

    def holders(self) -> list[Holder]:
        """The caller's arrays, each once, and which of them the function wrote."""
        found: dict[int, Holder] = {}
        for host, cell, var in self.cells:
            if isinstance(host, np.ndarray) and id(host) not in found:
                what = f"argument {var.name!r}" if var.name else "an argument"
                found[id(host)] = Holder(host, what, operand(self.builder, cell) is not var)
        return list(found.values())

    def own_containers(self) -> dict[int, Place]:
        """What stands for each clone of a container of the caller's, in a structure."""
        return self._place_of

    def input_numbers(self, leading: int) -> dict[int, int]:
        """The program's input number of each traced argument that is an array."""
        return {key: leading + number for key, number in self.number_of.items()}

    def effects(self, leading: int) -> tuple[list[Effect], list]:
        """What was written: effects, and the operands whose values they take, in order."""
        effects: list[Effect] = []
        self._numbers = self.input_numbers(leading)
        written: list = []
        replaced = self._replaced_attributes()
        for number, (_, cell, var) in enumerate(self.cells):
            now = operand(self.builder, cell)
            if now is not var:
                effects.append(Effect(1, leading + number, replaced.get(id(cell))))
                written.append(now)
        for place, (original, clone, node) in enumerate(self.containers):
            self._container_effects(place, original, clone, node, effects, written)
        return effects, written

    def _replaced_attributes(self) -> dict[int, tuple[int, str]]:
        """For arrays that their owners replace instead of writing to them: owner and attribute."""
        return {
            id(child): (place, key)
            for place, (original, _, node) in enumerate(self.containers)
            for key, child in zip(node.keys, node.children, strict=True)
            if key in getattr(type(original), "__replaces__", ())
            and type(getattr(original, key)) is not Traced
        }

    def _container_effects(self, place: int, original, clone, node, effects, written) -> None:
        now = node_of(clone)
        assert now is not None
        before = dict(zip(node.keys, node.children, strict=True))
        if isinstance(original, list):
            if now.keys == node.keys and all(
                a is b for a, b in zip(now.children, node.children, strict=True)
            ):
                return
            self._write(list(now.children), effects, written, place, None)
            return
        for key, child in zip(now.keys, now.children, strict=True):
            if key in before and before[key] is child:
                continue
            self._write([child], effects, written, place, key)
        for key in node.keys:
            if key not in now.keys:
                effects.append(Effect(0, change=Change(place, key)))

    def _write(self, children: list, effects, written, place: int, key) -> None:
        leaves, structure = flatten(children, kept=self._place_of)
        numbers = self._numbers
        own = [numbers.get(id(leaf)) if type(leaf) is Traced else None for leaf in leaves]
        views = [own_view(leaf, numbers) for leaf in leaves]
        weak = [type(leaf) is Traced and leaf.weak for leaf in leaves]
        written += [as_operand(self.builder, leaf) for leaf in leaves]
        change = Change(place, key, structure, own, weak, views)
        effects.append(Effect(len(leaves), change=change))


def is_weak(value, type_: Type | None = None) -> bool:
    """Whether a value is a Python number (NEP 50), and of this type where one is given."""
    if type(value) is Traced:
        return value.weak and (type_ is None or value.type is type_)
    return type(value) in (int, float, complex) and (type_ is None or type_of(value) is type_)


def _is_number(value) -> bool:
    """Whether a leaf is a number whose value a compiled function may go by: a Python number, or
    a whole number or bool of NumPy."""
    if type(value) is Traced or isinstance(value, np.ndarray):
        return False
    return not isinstance(value, np.generic) or value.dtype.kind in "iub"


def _identifier(name: str | None) -> str | None:
    return name if name and name.isidentifier() else None
