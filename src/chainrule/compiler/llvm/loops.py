"""Loop kernels: one pass over an index space that computes many elementwise operations.

A `LoopSpec` says which arrays are read and how they lie over the domain (strides), what is
computed, what is stored, and which values are reduced over which axes. `normalised` drops axes of
length 1, puts an axis with unit strides last and merges axes that lie one behind the other. The
last axis is done in vectors. What remains is read and written in exactly its lanes, so nothing is
out of bounds, and computed in as many as a power of two: vectors of 3 or 10 lanes are taken apart
lane by lane in places (comparisons above all), and took up to three times as long.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from chainrule.compiler.llvm.code import Code, Index, Value, bits_of, constant, lanes_of, vector
from chainrule.compiler.llvm.elementwise import (
    Operation,
    apply,
    from_memory,
    literal_value,
    memory_element,
    to_memory,
)
from chainrule.compiler.llvm.haste import hasty_nodes, results, some_nan
from chainrule.compiler.llvm.vecmath import MATH
from chainrule.compiler.machine_code import vector_bytes


class Number(NamedTuple):
    """A literal, equal to another of the same dtype and bits."""

    dtype: np.dtype
    bits: bytes

    @property
    def value(self) -> np.generic:
        """The NumPy scalar."""
        return np.frombuffer(self.bits, self.dtype)[0]


def number(value: np.generic) -> Number:
    """The literal of a NumPy scalar."""
    return Number(value.dtype, value.tobytes())


Operand = int | Number  # a load, or a node (numbered after the loads), or a literal


class Stream(NamedTuple):
    """How an array lies over the domain: strides in elements, 0 where it repeats."""

    dtype: np.dtype
    strides: tuple[int, ...]


class Node(NamedTuple):
    """One operation of the body."""

    operation: Operation
    operands: tuple[Operand, ...]


class Reduction(NamedTuple):
    """A value reduced over the spec's axes, and where the result goes (stride 0 over these)."""

    name: Literal["sum", "prod", "max", "min", "all", "any"]
    operand: Operand
    dtype: np.dtype  # of the operand
    out: Stream


class LoopSpec(NamedTuple):
    """A loop kernel. Its arguments are the loads, the stores, then the results of reductions."""

    domain: tuple[int, ...]
    loads: tuple[Stream, ...]
    nodes: tuple[Node, ...]
    stores: tuple[tuple[Operand, Stream], ...] = ()
    axes: tuple[int, ...] = ()
    reductions: tuple[Reduction, ...] = ()

    @property
    def streams(self) -> list[Stream]:
        """Every array, in the order of the arguments."""
        out = [*self.loads, *(s for _, s in self.stores)]
        return out + [r.out for r in self.reductions]

    def with_axes(self, domain, change, axes) -> LoopSpec:
        """The spec over another domain; `change` maps strides over the old one to the new."""

        def moved(stream: Stream) -> Stream:
            return Stream(stream.dtype, change(stream.strides))

        return LoopSpec(
            tuple(domain), tuple(map(moved, self.loads)), self.nodes,
            tuple([(o, moved(s)) for o, s in self.stores]), tuple(axes),
            tuple([r._replace(out=moved(r.out)) for r in self.reductions]),
        )  # fmt: skip


# --- the order of the axes ------------------------------------------------------------------------


def normalised(spec: LoopSpec) -> LoopSpec:
    """The same kernel over few axes: kept ones, reduced ones, the vector axis last."""
    return _merged(_ordered(_without_ones(spec)))


def _permuted(spec: LoopSpec, order: list[int]) -> LoopSpec:
    axes = [i for i, a in enumerate(order) if a in spec.axes]
    return spec.with_axes(
        [spec.domain[a] for a in order], lambda s: tuple([s[a] for a in order]), axes
    )


def _without_ones(spec: LoopSpec) -> LoopSpec:
    return _permuted(spec, [a for a, n in enumerate(spec.domain) if n != 1])


def _ordered(spec: LoopSpec) -> LoopSpec:
    """Outer axes by falling strides; last the axis along which vectors cost least."""
    if not spec.domain:
        return spec
    streams = spec.streams
    fast = min(range(len(spec.domain)), key=lambda a: (_cost_along(spec, a), -a))
    weight = [sum(abs(s.strides[a]) for s in streams) for a in range(len(spec.domain))]
    rest = sorted((a for a in range(len(spec.domain)) if a != fast), key=lambda a: -weight[a])
    rest.sort(key=lambda a: a in spec.axes)  # stable: kept axes first
    return _permuted(spec, [*rest, fast])


_SCATTERED = 8  # a vector of elements that lie apart, in vectors that lie together


def _cost_along(spec: LoopSpec, axis: int) -> int:
    """What vectors along an axis cost to load and store: nothing where an array repeats itself."""
    reads = [s.strides[axis] for s in spec.loads]
    writes = [s.strides[axis] for _, s in spec.stores]
    return sum(s if s in (0, 1) else _SCATTERED for s in reads + 2 * writes)


def _merged(spec: LoopSpec) -> LoopSpec:
    """Neighbouring axes made one, where every array lies so."""
    a = len(spec.domain) - 2
    while a >= 0:
        n = spec.domain[a + 1]
        alike = (a in spec.axes) == (a + 1 in spec.axes)
        if alike and all(s.strides[a] == n * s.strides[a + 1] for s in spec.streams):
            spec = _merge(spec, a)
        a -= 1
    return spec


def _merge(spec: LoopSpec, a: int) -> LoopSpec:
    domain = (*spec.domain[:a], spec.domain[a] * spec.domain[a + 1], *spec.domain[a + 2 :])
    axes = sorted({x if x <= a else x - 1 for x in spec.axes})
    return spec.with_axes(domain, lambda s: (*s[:a], *s[a + 1 :]), axes)


# --- how much work, how many lanes ----------------------------------------------------------------


def cost_per_element(spec: LoopSpec) -> int:
    """About how many instructions an element takes."""
    nodes = sum(12 if n.operation.name in MATH else 1 for n in spec.nodes)
    return len(spec.streams) + nodes


_TASK_WORK = 200_000  # instructions on single elements: some 10 microseconds
_MOST_TASKS = 64
LONG = 120  # instructions an element: of such a body there is enough in one register's lanes


def task_count(work: int) -> int:
    """Into how many tasks so much work is worth dividing."""
    return max(1, min(_MOST_TASKS, work // _TASK_WORK))


def lanes_for(spec: LoopSpec, registers: int) -> int:
    """Lanes that fill so many registers with the widest element of the body."""
    dtypes = [s.dtype for s in spec.streams] + [n.operation.out for n in spec.nodes]
    size = max([max(d.itemsize, 4 if d.char == "e" else 1) for d in dtypes], default=8)
    return max(1, min(64, registers * vector_bytes() // size))


def fitting(spec: LoopSpec, lanes: int) -> int:
    """So many lanes, or fewer where the last axis is shorter; a register's at least."""
    least, length = lanes_for(spec, 1), spec.domain[-1] if spec.domain else 1
    while lanes > max(length, least):
        lanes //= 2
    return lanes


# --- the body -------------------------------------------------------------------------------------

_OUT_OF_CACHE = 1 << 23  # bytes
_CACHE_LINE = 64
_AHEAD = 1024  # bytes: 4 to 12 % faster than without (sums, maxima), as 512 is; 4096 is not


class Body:
    """The body of a loop kernel at one place: pointers to every array there."""

    def __init__(self, code: Code, spec: LoopSpec, pointers: list[Value]):
        self.code, self.spec, self.pointers = code, spec, pointers
        self.last = len(spec.domain) - 1

    def at(self, axis: int, index: Index) -> Body:
        """The body further along an axis."""
        moved = [
            self.code.offset(
                p, self.code.index_mul(index, s.strides[axis]) if isinstance(index, int) else index,
                s.dtype.itemsize * (1 if isinstance(index, int) else s.strides[axis]),
            ) if s.strides[axis] else p
            for p, s in zip(self.pointers, self.spec.streams, strict=True)
        ]  # fmt: skip
        return Body(self.code, self.spec, moved)

    def invariants(self) -> dict[int, Value]:
        """What does not change along the last axis, as scalars: loads, and nodes made of them."""
        spec, found = self.spec, {}
        for i, stream in enumerate(spec.loads):
            if self.last < 0 or stream.strides[self.last] == 0:
                found[i] = self._load(i, 0, 1)
        for i, node in enumerate(spec.nodes, start=len(spec.loads)):
            if all(not isinstance(o, int) or o in found for o in node.operands):
                found[i] = self._node(node, found, 1)
        return found

    def values(self, fixed: dict[int, Value], index: Index, lanes: int) -> Env:
        """Every value at `lanes` places from `index` along the last axis."""
        code, spec = self.code, self.spec
        env = Env(code, fixed, lanes)
        for i in range(len(spec.loads)):
            if i not in fixed:
                env[i] = env.spread(self._load(i, index, lanes))
        hasty = hasty_nodes(spec)
        if lanes > 1 and hasty - fixed.keys():
            env = self._in_haste(env, hasty, index)
        else:
            self._compute(env, frozenset())
        for k, (operand, stream) in enumerate(spec.stores):
            value = env.result(operand)
            self._store(self.pointers[len(spec.loads) + k], stream, index, value)
        return env

    def _compute(self, env: Env, hasty: frozenset[int]) -> None:
        """Every node, those in `hasty` as plain products."""
        for i, node in enumerate(self.spec.nodes, start=len(self.spec.loads)):
            if i in hasty and i not in env.fixed:
                x, y = (env.operand(o) for o in node.operands)
                env[i] = self.code.fmul(x, y)
            elif i not in env.fixed:
                env[i] = self._node(node, env, env.lanes)

    def _in_haste(self, env: Env, hasty: frozenset[int], index: Index) -> Env:
        """The values with plain products; computed again by the full rule where a nan comes out."""
        code = self.code
        before = env.copy()
        self._compute(env, hasty)
        reduced = [r.operand for r in self.spec.reductions]
        results_ = [*(o for o, _ in self.spec.stores), *reduced]
        wanted = list(dict.fromkeys(o for o in results_ if isinstance(o, int)))
        fast = {o: env.operand(o) for o in wanted}
        flag = some_nan(code, [env.operand(o) for o in results(self.spec)])
        quick, number = code.block_name, code.fresh("nan")
        code.branch_if(flag, f"{number}.again", f"{number}.after")
        code.start_block(f"{number}.again")
        again = self._again(before, wanted, index)
        slow = code.block_name
        code.branch(f"{number}.after")
        code.start_block(f"{number}.after")
        out = Env(code, env.fixed, env.count)
        for o, value in zip(wanted, again, strict=True):
            ways = f"[ {fast[o].text}, %{quick} ], [ {value.text}, %{slow} ]"
            out[o] = code.emit(value.type, f"phi {value.type} {ways}")
        return out

    def _again(self, env: Env, wanted: list[int], index: Index) -> list[Value]:
        """These values by the full rules: one element after the other, which is less code."""
        code, lanes = self.code, env.count
        if lanes == 1:
            self._compute(env, frozenset())
            return [env.operand(o) for o in wanted]
        places: list[Value] = []
        with code.loop(0, lanes) as loop:
            one = Env(code, env.fixed, 1)
            for i in range(len(self.spec.loads)):
                if i not in env.fixed:
                    one[i] = self._load(i, code.index_add(index, loop.index), 1)
            self._compute(one, frozenset())
            values = [one.operand(o) for o in wanted]
            values = [code.convert("zext", v, "i8") if v.type == "i1" else v for v in values]
            for value in values:
                size = bits_of(value.type) // 8
                places.append(code.alloca(size * lanes, size))
                code.store(value, code.offset(places[-1], loop.index, size))
        found = [
            env.spread(code.load(place, vector(value.type, lanes)))
            for place, value in zip(places, values, strict=True)
        ]
        return [
            code.compare("ne", v, code.like(v, 0)) if self._is_bool(o) else v
            for o, v in zip(wanted, found, strict=True)
        ]

    def _is_bool(self, o: int) -> bool:
        loads = self.spec.loads
        dtype = loads[o].dtype if o < len(loads) else self.spec.nodes[o - len(loads)].operation.out
        return dtype.char == "?"

    def _node(self, node: Node, env, lanes: int) -> Value:
        values = [
            env[o] if isinstance(o, int) else literal_value(o.value, lanes) for o in node.operands
        ]
        return apply(self.code, node.operation, values)

    def _load(self, i: int, index: Index, lanes: int) -> Value:
        code, stream, pointer = self.code, self.spec.loads[i], self.pointers[i]
        element, size = memory_element(stream.dtype), stream.dtype.itemsize
        align = stream.dtype.alignment
        step = stream.strides[self.last] if self.last >= 0 else 0
        if step == 1 or lanes == 1:
            place = self._place(pointer, index, step, size)
            if step == 1 and self._comes_from_memory(stream):
                for line in range(0, lanes * size, _CACHE_LINE):
                    code.prefetch(code.offset(place, _AHEAD + line))
            return from_memory(code, code.load(place, vector(element, lanes), align), stream.dtype)
        out = Value("poison", vector(element, lanes))
        for lane in range(lanes):
            place = self._place(pointer, code.index_add(index, lane), step, size)
            out = code.insert(out, code.load(place, element, align), lane)
        return from_memory(code, out, stream.dtype)

    def _comes_from_memory(self, stream: Stream) -> bool:
        """Whether an array is too long for the caches, and reduced in the order in which it lies:
        asking ahead reaches into the next page, where the processor's own guess stops."""
        spec, along = self.spec, self.last in self.spec.axes
        sizes = [n for n, s in zip(spec.domain, stream.strides, strict=True) if s]
        nbytes = math.prod(sizes) * stream.dtype.itemsize
        return along and not spec.stores and nbytes >= _OUT_OF_CACHE

    def _place(self, pointer: Value, index: Index, step: int, size: int) -> Value:
        if isinstance(index, int):
            return self.code.offset(pointer, index * step * size)
        return self.code.offset(pointer, index, step * size) if step else pointer

    def _store(self, pointer: Value, stream: Stream, index: Index, value: Value) -> None:
        code, size, align = self.code, stream.dtype.itemsize, stream.dtype.alignment
        value = to_memory(code, value, stream.dtype)
        step = stream.strides[self.last] if self.last >= 0 else 0
        lanes = lanes_of(value.type)
        if step == 1 or lanes == 1:
            code.store(value, self._place(pointer, index, step, size), align)
            return
        for lane in range(lanes):
            place = self._place(pointer, code.index_add(index, lane), step, size)
            code.store(code.extract(value, lane), place, align)

    def result_pointers(self) -> list[Value]:
        """Where the results of the reductions go."""
        return self.pointers[len(self.pointers) - len(self.spec.reductions) :]


class Env(dict[int, Value]):
    """The values of the body at `count` places, in `lanes`, a power of two: the others
    repeat the first. Values that do not change are spread when used."""

    def __init__(self, code: Code, fixed: dict[int, Value], count: int):
        super().__init__()
        self.code, self.fixed, self.count = code, fixed, count
        self.lanes = 1 << (count - 1).bit_length()

    def copy(self) -> Env:
        """The same values, to go on with differently."""
        made = Env(self.code, self.fixed, self.count)
        made.update(self)
        return made

    def __missing__(self, i: int) -> Value:
        self[i] = self.code.splat(self.fixed[i], self.lanes)
        return self[i]

    def operand(self, operand: Operand) -> Value:
        """The value of an operand."""
        return self[operand] if isinstance(operand, int) else literal_value(
            operand.value, self.lanes
        )

    def spread(self, value: Value) -> Value:
        """A vector of the places with as many lanes as are computed."""
        if self.count == self.lanes:
            return value
        lanes = [i if i < self.count else 0 for i in range(self.lanes)]
        return self.code.shuffle(value, value, lanes)

    def result(self, operand: Operand) -> Value:
        """The value of an operand at the places alone."""
        value = self.operand(operand)
        if self.count == self.lanes:
            return value
        return self.code.shuffle(value, value, range(self.count))


def argument_pointers(code: Code, count: int) -> list[Value]:
    """The kernel's arguments."""
    table = Value("%args", "ptr")
    return [code.load(code.offset(table, i, 8), "ptr") for i in range(count)]


def smaller(code: Code, x: Index, y: Index) -> Index:
    """The smaller of two indices."""
    if isinstance(x, int) and isinstance(y, int):
        return min(x, y)
    left = x if isinstance(x, Value) else constant("i64", x)
    right = y if isinstance(y, Value) else constant("i64", y)
    return code.intrinsic("smin", left, right)


# --- elementwise kernels --------------------------------------------------------------------------

LO, HI = Value("%lo", "i64"), Value("%hi", "i64")


def elementwise_function(code: Code, spec: LoopSpec) -> int:
    """Write the body of a normalised spec without reductions; the number of tasks."""
    body = Body(code, spec, argument_pointers(code, len(spec.streams)))
    size = math.prod(spec.domain)
    tasks = task_count(size * cost_per_element(spec))
    cost = cost_per_element(spec)
    lanes = lanes_for(spec, 1 if cost > LONG else 2 if cost > 24 else 4)
    lanes = fitting(spec, lanes)
    if len(spec.domain) <= 1:
        return _one_axis(code, body, lanes, tasks)
    rows = -(-spec.domain[0] // tasks)
    tasks = -(-spec.domain[0] // rows)
    start: Index = 0
    stop: Index = spec.domain[0]
    if tasks > 1:
        start = code.index_mul(LO, rows)
        stop = smaller(code, code.index_mul(HI, rows), stop)
    with code.loop(start, stop) as loop:
        _nest(code, body.at(0, loop.index), 1, lanes)
    return tasks


def _nest(code: Code, body: Body, axis: int, lanes: int) -> None:
    domain = body.spec.domain
    if axis == len(domain) - 1:
        along_rows(code, body, lanes, 0, domain[axis] - domain[axis] % lanes, domain[axis] % lanes)
        return
    with code.loop(0, domain[axis]) as loop:
        _nest(code, body.at(axis, loop.index), axis + 1, lanes)


def along_rows(code: Code, body: Body, lanes: int, start: Index, stop: Index, rest: int) -> None:
    """The last axis from start to stop in vectors, and the rest behind it in one more."""
    fixed = body.invariants()
    if not isinstance(stop, int) or stop:
        with code.loop(start, stop, lanes) as loop:
            body.values(fixed, loop.index, lanes)
    _rest(code, body, fixed, stop, rest)


def _rest(code: Code, body: Body, fixed: dict[int, Value], start: Index, rest: int) -> None:
    """What remains of an axis: one vector; one by one where the body is long, which is less code,
    and comes after so many others that it takes no time."""
    few = isinstance(start, int) and 100 * rest < start
    if cost_per_element(body.spec) > LONG and rest > 1 and few:
        with code.loop(start, code.index_add(start, rest)) as loop:
            body.values(fixed, loop.index, 1)
    elif rest:
        body.values(fixed, start, rest)


def _one_axis(code: Code, body: Body, lanes: int, tasks: int) -> int:
    n = body.spec.domain[0] if body.spec.domain else 1
    whole, rest = n - n % lanes, n % lanes
    if tasks == 1 or not whole:
        along_rows(code, body, lanes, 0, whole, rest)
        return 1
    chunk = -(-whole // tasks // lanes) * lanes
    tasks = -(-whole // chunk)
    fixed = body.invariants()
    stop = smaller(code, code.index_mul(HI, chunk), whole)
    with code.loop(code.index_mul(LO, chunk), stop, lanes) as loop:
        body.values(fixed, loop.index, lanes)
    if rest:
        with code.if_(code.compare("eq", HI, constant("i64", tasks))):
            _rest(code, body, fixed, whole, rest)
    return tasks
