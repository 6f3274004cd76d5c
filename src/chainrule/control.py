"""Control flow on traced values: cond, while_loop, fori_loop, scan, checkpoint.

Outside a trace these run as plain Python. Inside one, the functions they are given are traced to
programs of their own; what these close over, and write (a captured generator, an array of the
enclosing function), is passed in and carried along.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from functools import wraps

import numpy as np

from chainrule import errors
from chainrule.derived import derived
from chainrule.effects import Effect, Hosts
from chainrule.host_random import HostStates
from chainrule.ops.checkpoint import checkpoint_op
from chainrule.ops.cond import cond_op
from chainrule.ops.control import as_tuple, fresh, with_casts, with_inputs, with_outputs
from chainrule.ops.scan import scan_op
from chainrule.ops.while_loop import while_op
from chainrule.program.program import Operand, Program
from chainrule.program.text import line_text
from chainrule.program.trace import Traced, bind, concrete_value, current, user_line
from chainrule.program.tree import first_difference, flatten, paths, unflatten
from chainrule.program.types import Type, type_of
from chainrule.running import run
from chainrule.tracing import Call, is_weak, trace_call


def _plainly() -> bool:
    """Whether to run as plain Python: outside of traces, and in those that unroll control flow."""
    builder = current()
    return builder is None or (builder.at_hand is not None and builder.at_hand.unrolls)


def cond(predicate, if_true: Callable, if_false: Callable, *args):
    """`if_true(*args)` where the predicate holds, else `if_false(*args)`; only that one is run.

    Both must return the same structure, shapes and dtypes (a Python number takes the other's
    dtype). Both may write to the same arrays and generators.
    **Errors** `StructureMismatch` with the path where the results differ.

    >>> cond(True, lambda x: x + 1, lambda x: x - 1, 10.0)
    11.0
    """
    if type(predicate) is not Traced or (_plainly() and concrete_value(predicate) is not None):
        return (if_true if predicate else if_false)(*args)
    predicate = predicate.astype(bool) if predicate.dtype != np.bool_ else predicate
    calls = [_sub_call(f, args) for f in (if_true, if_false)]
    difference = first_difference(calls[0].structure, calls[1].structure, "the result")
    if difference:
        raise errors.StructureMismatch(
            f"the branches of cond differ, at {line_text(user_line())}: {difference}."
        )
    _commit_numbers(*calls)
    merged = _Merged(calls)
    branches = merged.programs()
    _check_equal_types(branches, calls[0])
    outputs = as_tuple(bind(cond_op, (predicate, *merged.operands), {"branches": branches}))
    both = [a and b for a, b in zip(*(call.weak for call in calls), strict=True)]
    return merged.finish(weakened(list(outputs), both))


def _commit_numbers(first: Call, second: Call) -> None:
    """Give a Python number that one branch returns the dtype of the other branch's result."""
    types = []
    for a, b, weak_a, weak_b in zip(
        first.program.out_types, second.program.out_types, first.weak, second.weak, strict=False
    ):
        if a.shape == b.shape and (weak_a or weak_b):
            dtype = np.result_type(_promotable(a, weak_a), _promotable(b, weak_b))
            a, b = a.with_dtype(dtype), b.with_dtype(dtype)
        types.append((a, b))
    for i, call in enumerate((first, second)):
        call.program = with_casts(call.program, [pair[i] for pair in types])


def _promotable(type_: Type, weak: bool):
    """What np.result_type takes for a type: its dtype, or a Python number where it is weak."""
    return {"i": 0, "f": 0.0, "c": 0j}.get(type_.dtype.kind, type_.dtype) if weak else type_.dtype


def weakened(values: list, weak) -> list:
    """The values, those marked being Python numbers."""
    for value, is_number in zip(values, weak, strict=False):
        if is_number and type(value) is Traced:
            value.weak = True
    return values


def _sub_call(f: Callable, args: tuple, types: list | None = None, weak=None, rows=None) -> Call:
    """Trace a function of a control-flow construct on abstract values."""
    leaves = flatten((args, {}))[0]
    if types is None:
        types = [_type(x) for x in leaves]
    return trace_call(f, args, {}, frozenset(), types, concrete=False, weak=weak, rows=rows)


def _type(value) -> Type:
    return value.type if type(value) is Traced else type_of(value)


def _check_equal_types(branches: tuple[Program, ...], call: Call) -> None:
    names = paths(call.structure, "the result")
    for i, (a, b) in enumerate(zip(*(p.out_types for p in branches), strict=True)):
        if a is not b:
            raise errors.StructureMismatch(
                f"the branches of cond differ, at {line_text(user_line())}: "
                f"{names[i] if i < len(names) else 'a written array'} is {a} in one and {b} in the "
                "other. Use .astype or np.broadcast_to in one of them."
            )


class _Merged:
    """Several traced calls on the same arguments, given one list of inputs and one of outputs."""

    def __init__(self, calls: list[Call]):
        self.calls = calls
        self.hosts: list = []
        self.place: dict[int, int] = {}
        for call in calls:
            _refuse_container_effects(call)
            for host in call.operands[: call.leading]:
                if id(host) not in self.place:
                    self.place[id(host)] = len(self.hosts)
                    self.hosts.append(host)
        self.operands = self.hosts + calls[0].operands[calls[0].leading :]
        self.targets: dict[int, tuple[Effect, Call]] = {}  # by number among the merged inputs
        for call in calls:
            for effect in call.effects:
                self.targets.setdefault(self.number(call, effect.target), (effect, call))

    def number(self, call: Call, target: int | None) -> int:
        """The merged number of an input of one call."""
        assert target is not None, "effects on containers are refused before"
        if target >= call.leading:
            return target - call.leading + len(self.hosts)
        return self.place[id(call.operands[target])]

    def programs(self, results: bool = True) -> tuple[Program, ...]:
        """The calls' programs on the merged inputs, each with all written values as outputs."""
        return tuple(self._program(call) for call in self.calls)

    def _program(self, call: Call) -> Program:
        inputs = fresh([_type(x) for x in self.operands])
        for i, var in enumerate(call.program.inputs):
            inputs[self.number(call, i)] = var
        written = {
            self.number(call, e.target): out
            for e, out in zip(call.effects, call.program.outputs[call.count :], strict=True)
        }
        outputs: list[Operand] = list(call.program.outputs[: call.count])
        outputs += [written.get(n, inputs[n]) for n in self.targets]
        return with_outputs(with_inputs(call.program, inputs), outputs)

    def finish(self, outputs: list):
        """Apply the union of the effects; the result, from the outputs of the merged programs."""
        count = self.calls[0].count
        for (effect, call), value in zip(self.targets.values(), outputs[count:], strict=True):
            effect.apply([value], Hosts(call.operands, call.containers))
        return unflatten(self.calls[0].structure, outputs[:count])


def _refuse_container_effects(call: Call) -> None:
    if any(e.target is None for e in call.effects):
        raise errors.MutationError(
            f"{call.name} changes an attribute, list or dict inside cond or a loop, at "
            f"{line_text(user_line())}: return the new value instead."
        )


# --- loops ----------------------------------------------------------------------------------------


def scan(body: Callable, carry, xs, length: int | None = None, reverse: bool = False):
    """Run `carry, y = body(carry, x)` for each x along the leading axis of `xs`.

    Returns the last carry and the ys, stacked. `xs` is a tree of arrays with one leading length, or
    None with `length` given. The body sees values, not views: what it writes to its arguments
    stays inside unless it is returned.
    **Errors** `StructureMismatch` where the carry changes its structure, shape or dtype.

    >>> import numpy as np
    >>> scan(lambda total, x: (total + x, total), 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 1., 3.]))
    """
    length = _scan_length(flatten(xs)[0], length)
    if _plainly():
        return _plain_scan(body, carry, xs, length, reverse)
    return _traced_scan(body, carry, xs, length, reverse)


def _traced_scan(body, carry, xs, length: int, reverse: bool, keep_weak: bool = False):
    leaves = flatten(xs)[0]
    x_types = [_type(x).with_shape(_type(x).shape[1:]) for x in leaves]
    loop = _Loop(body, carry, xs, x_types)
    params = {
        "body": loop.program(), "constants": len(loop.fixed), "carries": len(loop.carried),
        "length": length, "reverse": reverse,
    }  # fmt: skip
    outputs = list(as_tuple(bind(scan_op, (*loop.fixed, *loop.carried, *leaves), params)))
    return loop.finish(weakened(outputs, loop.weak) if keep_weak else outputs)


def _scan_length(leaves, length: int | None) -> int:
    lengths = {_type(x).shape[0] if _type(x).ndim else -1 for x in leaves}
    if length is not None:
        lengths.add(length)
    if len(lengths) != 1 or -1 in lengths:
        raise errors.StructureMismatch(
            "scan needs arrays with one leading length (or `length`), got "
            f"{sorted(lengths)} (-1 for a scalar)."
        )
    return lengths.pop()


def _plain_scan(body, carry, xs, length: int, reverse: bool):
    leaves, structure = flatten(xs)
    rows: list = [None] * length
    for i in range(length - 1, -1, -1) if reverse else range(length):
        carry, y = body(carry, unflatten(structure, [x[i] for x in leaves]))
        rows[i] = flatten(y)
    if not rows:  # the structure of the rows is the body's secret: trace it
        call = trace_call(lambda c, x: _traced_scan(body, c, x, 0, reverse), (carry, xs), {})
        return call.finish(run(derived("run", call.program), call.operands))
    columns = zip(*(leaves for leaves, _ in rows), strict=True)
    return _as_numpy(carry), unflatten(rows[0][1], [np.stack(c) for c in columns])


def _as_numpy(tree):
    leaves, structure = flatten(tree)
    return unflatten(structure, [np.asarray(x)[()] for x in leaves])


class _Loop:
    """The body of a loop, traced until its carry keeps its types; written captures are carried."""

    def __init__(self, body: Callable, carry, xs=None, x_types=(), with_x: bool = True):
        self.carry_leaves, self.carry_structure = flatten(carry)
        self.types = [_type(x) for x in self.carry_leaves]
        self.count = len(self.carry_leaves)
        self.weak = [is_weak(x) for x in self.carry_leaves]
        args = (carry, xs) if with_x else (carry,)
        rows = [None] * self.count + [0] * len(x_types)
        hosts = HostStates(body, args)
        while True:
            weak = [*self.weak, *(False for _ in x_types)]
            self.call = _sub_call(body, args, [*self.types, *x_types], weak, rows)
            new = self._carry_types(with_x)
            if not self._commit(new):
                break
            hosts.restore()
        self._check(new)
        self._sort_captured()

    def _carry_types(self, with_x: bool) -> list[Type]:
        structure = self.call.structure
        if with_x:
            children: tuple = getattr(structure, "children", ())
            if len(children) != 2:
                raise errors.StructureMismatch(
                    f"the body of scan must return (carry, y); {self.call.name} returned "
                    f"{structure!r}, at {line_text(user_line())}."
                )
            structure = children[0]
        difference = first_difference(self.carry_structure, structure, "the carry")
        if difference:
            raise errors.StructureMismatch(
                f"the loop changes its carry, at {line_text(user_line())}: {difference}."
            )
        return list(self.call.program.out_types[: self.count])

    def _commit(self, new: list[Type]) -> bool:
        """Give the Python numbers of the carry what the body makes of them; False when settled."""
        before = (self.types, self.weak)
        self.types = [
            t.with_dtype(np.result_type(_promotable(t, w), _promotable(n, m)))
            if w and n.shape == t.shape else t
            for t, n, w, m in zip(self.types, new, self.weak, self.call.weak, strict=False)
        ]  # fmt: skip
        self.weak = [w and m for w, m in zip(self.weak, self.call.weak, strict=False)]
        return (self.types, self.weak) != before

    def _check(self, new: list[Type]) -> None:
        for path, a, b in zip(paths(self.carry_structure, "carry"), self.types, new, strict=True):
            if a is not b:
                raise errors.StructureMismatch(
                    f"{path} enters the loop as {a} and leaves {self.call.name} as {b}, at "
                    f"{line_text(user_line())}. Start it with that dtype and shape, or convert it."
                )

    def _sort_captured(self) -> None:
        """Captured values that the body writes join the carry; the others are constants."""
        call = self.call
        self.effects = [e for e in call.effects if e.target is not None and e.target < call.leading]
        self.written = [e.target for e in self.effects if e.target is not None]
        fixed = [i for i in range(call.leading) if i not in self.written]
        self.fixed_numbers = fixed
        self.fixed = [call.operands[i] for i in fixed]
        start = [_committed(x, t) for x, t in zip(self.carry_leaves, self.types, strict=True)]
        self.carried = start + [call.operands[i] for i in self.written]

    def program(self) -> Program:
        """The body on [constants, carry and written captures, xs]."""
        call, inputs = self.call, self.call.program.inputs
        own = inputs[call.leading : call.leading + self.count]
        rest = inputs[call.leading + self.count :]
        order = [inputs[i] for i in self.fixed_numbers]
        order += [*own, *(inputs[i] for i in self.written), *rest]
        out = call.program.outputs
        ends = itertools.accumulate(e.count for e in call.effects)
        place = {id(e): call.count + end - 1 for e, end in zip(call.effects, ends, strict=True)}
        new = [out[place[id(e)]] for e in self.effects]  # each is the one value of its effect
        ordered = [*out[: self.count], *new, *out[self.count : call.count]]
        return with_outputs(with_inputs(call.program, order), ordered)

    def finish(self, outputs: list):
        """Write back the captured values, and give the function's result."""
        extra = len(self.effects)
        for effect, value in zip(self.effects, outputs[self.count :], strict=False):
            effect.apply([value], Hosts(self.call.operands, self.call.containers))
        results = outputs[: self.count] + outputs[self.count + extra :]
        return unflatten(self.call.structure, results)


def _committed(value, type_: Type):
    if type(value) is Traced:
        return value if value.type is type_ else value.astype(type_.dtype)
    return np.asarray(value, type_.dtype)[()]


def while_loop(test: Callable, body: Callable, state):
    """`while test(state): state = body(state)`; the last state.

    **Reverse mode** stores 128 states at most, at two levels, and recomputes the rest: up to 4,096
    steps cost about three times the loop.

    >>> while_loop(lambda x: x < 100.0, lambda x: x * 2.0, 3.0)
    192.0
    """
    if _plainly():
        while test(state):
            state = body(state)
        return state
    loop = _Loop(body, state, with_x=False)
    test_call = _sub_call(test, (unflatten(loop.carry_structure, loop.carried[: loop.count]),),
                          loop.types, loop.weak)  # fmt: skip
    _check_test(test_call)
    more = [x for x in test_call.operands[: test_call.leading]]
    carried_ids = {id(x): i for i, x in enumerate(loop.carried)}
    inputs_of_test = test_call.program.inputs
    carry_vars = list(inputs_of_test[test_call.leading :])
    carry_vars += fresh([_type(x) for x in loop.carried[loop.count :]])
    fixed_vars = []
    for host, var in zip(more, inputs_of_test, strict=False):
        if id(host) in carried_ids:
            carry_vars[carried_ids[id(host)]] = var
        else:
            fixed_vars.append((host, var))
    body_program = loop.program()
    body_fixed = fresh([v.type for _, v in fixed_vars])
    body_program = with_inputs(body_program, [*body_fixed, *body_program.inputs])
    test_program = with_inputs(
        test_call.program,
        [*(v for _, v in fixed_vars), *fresh([_type(x) for x in loop.fixed]), *carry_vars],
    )
    fixed = [h for h, _ in fixed_vars] + loop.fixed
    params = {"test": test_program, "body": body_program, "constants": len(fixed)}
    outputs = as_tuple(bind(while_op, (*fixed, *loop.carried), params))
    return loop.finish(weakened(list(outputs), loop.weak))


def _check_test(call: Call) -> None:
    types = call.program.out_types
    if call.effects or call.count != 1 or types[0].shape or types[0].dtype != np.bool_:
        raise errors.StructureMismatch(
            f"the test of while_loop must return one bool and write nothing; {call.name} returned "
            f"{', '.join(map(str, types[: call.count]))}, at {line_text(user_line())}."
        )


def fori_loop(low, high, body: Callable, state):
    """`for i in range(low, high): state = body(i, state)`; the last state.

    With bounds that are plain integers the loop has a known length, and reverse mode stores what it
    needs; with traced bounds it is a `while_loop`.

    >>> fori_loop(0, 4, lambda i, total: total + i, 0)
    6
    """
    if _plainly():
        for i in range(operator.index(low), operator.index(high)):
            state = body(i, state)
        return state
    if type(low) is not Traced and type(high) is not Traced:
        numbers = np.arange(operator.index(low), operator.index(high), dtype=np.int64)

        def step(carry, i):
            return body(i, carry), None

        return _traced_scan(step, state, numbers, len(numbers), False, keep_weak=True)[0]
    start = low if type(low) is Traced else np.int64(low)
    _, out = while_loop(
        lambda carry: carry[0] < high,
        lambda carry: (carry[0] + 1, body(carry[0], carry[1])),
        (start, state),
    )
    return out


def checkpoint(f: Callable) -> Callable:
    """The function, whose derivative recomputes its inner values instead of storing them.

    Effects (writes, random draws) are applied once; recomputation starts from the saved state, so
    it draws the same random numbers.

    >>> from chainrule.api import grad
    >>> import numpy as np
    >>> grad(lambda x: checkpoint(lambda y: np.sin(np.sin(y)))(x))(0.0)
    np.float64(1.0)
    """

    @wraps(f)
    def checkpointed(*args, **kwargs):
        if _plainly():
            return f(*args, **kwargs)
        call = trace_call(f, args, kwargs)
        if not call.program.outputs:
            return call.finish([])
        outputs = as_tuple(bind(checkpoint_op, tuple(call.operands), {"program": call.program}))
        return call.finish(weakened(list(outputs), call.weak))

    return checkpointed
