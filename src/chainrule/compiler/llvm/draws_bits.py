"""Random bits as vector code: Philox4x32-10, and the loops over the elements of a draw.

Lanes are blocks of 128 bits, so that a round is two multiplications of 32-bit words. Which bits an
element gets depends on the state, the stream and the element alone, as on the evaluator.

Source    Salmon, Moraes, Dror and Shaw, SC 2011; see chainrule.ops.random.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from chainrule.compiler.kernel import HEAD, Kernel, Phase, Place, Site
from chainrule.compiler.llvm.along import at_lane
from chainrule.compiler.llvm.code import Code, Index, Value, constant, lanes_of, vector
from chainrule.compiler.llvm.draws_elementary import any_lane
from chainrule.compiler.llvm.loops import HI, task_count
from chainrule.compiler.llvm.vecmath_lanes import Lanes
from chainrule.compiler.llvm.walk import operand_pointers, set_status, task_bounds
from chainrule.compiler.machine_code import vector_bytes
from chainrule.ops.random import FOLD_STREAM, MAX_ATTEMPTS

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = 0xFFFFFFFF


class State(NamedTuple):
    """A generator's words of 32 bits, each in an i64: the key's and the draw's, low and high."""

    key: tuple[Value, Value]
    draw: tuple[Value, Value]


def load_state(code: Code, pointer: Value, step: int) -> State:
    """The state at an address, its two words `step` bytes apart."""
    words = [code.load(p, "i64") for p in (pointer, code.offset(pointer, step))]
    halves = [
        (code.binary("and", w, code.like(w, _LOW)), code.binary("lshr", w, code.like(w, 32)))
        for w in words
    ]
    return State(halves[0], halves[1])


def philox(state: State, block: Lanes, where: Lanes) -> tuple[Lanes, Lanes, Lanes, Lanes]:
    """Four words of 32 bits for each block; `where` holds the stream and the attempt."""
    code, lanes = block.code, lanes_of(block.value.type)

    def spread(x: Value) -> Lanes:
        return Lanes(code, code.splat(x, lanes))

    even = [block & _LOW, spread(state.draw[0])]
    odd = [where, spread(state.draw[1])]
    keys = [Lanes(code, k) for k in state.key]
    for _ in range(10):
        first, second = (e * m for e, m in zip(even, _MULTIPLIERS, strict=True))
        even = [
            second.unsigned_shift(32) ^ odd[0] ^ spread(keys[0].value),
            first.unsigned_shift(32) ^ odd[1] ^ spread(keys[1].value),
        ]
        odd = [second & _LOW, first & _LOW]
        keys = [(k + w) & _LOW for k, w in zip(keys, _WEYL, strict=True)]
    return even[0], odd[0], even[1], odd[1]


def joined(low: Lanes, high: Lanes) -> Lanes:
    """Two words of 32 bits as one of 64."""
    return low | (high << 32)


def counting(code: Code, start: Index, lanes: int) -> Value:
    """start, start + 1, ... in the lanes."""
    first = Value(str(start), "i64") if isinstance(start, int) else start
    if lanes == 1:
        return code.binary("add", first, constant("i64", 0))
    steps = ", ".join(f"i64 {i}" for i in range(lanes))
    return code.binary("add", code.splat(first, lanes), Value(f"<{steps}>", vector("i64", lanes)))


class Draw:
    """The elements of a draw: for each lane of the state a row of them.

    Parameters are arrays of the output's shape, contiguous or one number everywhere.
    """

    def __init__(self, site: Site, out: Place, parameters: Sequence[Place] = (), work: int = 60):
        self.state = site.inputs[0]
        self.lanes = self.state.type.shape[:-1]
        self.rows = math.prod(self.lanes)
        self.size = math.prod(out.type.shape[len(self.lanes) :])
        self.stream = site.params["stream"]
        self.parameters = parameters
        self.work = self.rows * self.size * work
        self.blocks = 2 * vector_bytes() // 8

    @property
    def fits(self) -> bool:
        """Whether the operands lie as they must."""
        return (self.rows == 1 or self.state.contiguous) and self.size < 1 << 32 and all(
            p.contiguous or not any(p.strides) for p in self.parameters
        )  # fmt: skip

    def parameter(self, code: Code, number: int, pointer: Value, row: Index, index: Index, lanes):
        """A parameter of the elements from `index` on."""
        place = self.parameters[number]
        dtype = place.type.dtype
        element = {"d": "double", "f": "float"}.get(dtype.char, f"i{8 * dtype.itemsize}")
        if not any(place.strides) and place.type.size != 1:
            return Lanes(code, code.splat(code.load(pointer, element), lanes))
        at = code.index_add(code.index_mul(row, self.size), index)
        address = at_lane(code, pointer, at, dtype.itemsize)
        return Lanes(code, code.load(address, vector(element, lanes), dtype.alignment))

    def write(self, code: Code, state: Value, each: int, body: Callable) -> int:
        """Write the loops: `body(state, row, index, lanes)` for up to `each` elements at once."""
        step = self.state.strides[-1] * 8
        chunks, rest = self.size // each, self.size % each
        wanted = task_count(self.work)
        inner: tuple[Index, Index] = (0, chunks)
        if self.rows == 1:
            tasks, inner = task_bounds(code, chunks, wanted)
            self._row(code, load_state(code, state, step), 0, inner, tasks, each, rest, body)
            return tasks
        tasks, bounds = task_bounds(code, self.rows, wanted)
        with code.loop(*bounds) as loop:
            own = load_state(code, at_lane(code, state, loop.index, 16), step)
            self._row(code, own, loop.index, inner, 1, each, rest, body)
        return tasks

    def _row(self, code, state, row, bounds, tasks: int, each: int, rest: int, body) -> None:
        chunks = self.size // each
        if chunks:
            with code.loop(*bounds) as loop:
                body(state, row, code.index_mul(loop.index, each), each)
        if rest and tasks > 1:
            with code.if_(code.compare("eq", HI, constant("i64", tasks))):
                body(state, row, chunks * each, rest)
        elif rest:
            body(state, row, chunks * each, rest)

    # --- one word an element ----------------------------------------------------------------------

    def each(self, width: int) -> int:
        """How many elements are made at once of words of so many bits."""
        return self.blocks * 128 // width

    def bits(self, code: Code, state: State, index: Index, lanes: int, width: int) -> Lanes:
        """Random words of `width` bits of the elements from `index`, a multiple of `each`."""
        per_block = 128 // width
        count = -(-lanes // per_block)
        if isinstance(index, int):
            start: Index = index // per_block
        else:
            start = code.binary("lshr", index, constant("i64", per_block.bit_length() - 1))
        block = Lanes(code, counting(code, start, count))
        words = philox(state, block, block.like(self.stream << 24))
        low, high = joined(words[0], words[1]), joined(words[2], words[3])
        both = _interleaved(code, low.value, high.value)
        if width == 32:  # the lower half of a word comes first
            both = code.emit(
                vector("i32", 4 * count), f"bitcast {both} to {vector('i32', 4 * count)}"
            )
        if lanes == 1:
            return Lanes(code, code.extract(both, 0))
        have = lanes_of(both.type)
        return Lanes(code, both if have == lanes else code.shuffle(both, both, range(lanes)))

    # --- by attempts ------------------------------------------------------------------------------

    def by_attempts(
        self, code: Code, state: State, index: Index, lanes: int, element: str, status: Value,
        attempt: Callable,
    ) -> Lanes:  # fmt: skip
        """The first accepted value of each element; `attempt(words)` gives values, accepted."""
        name, before = code.fresh("attempts"), code.block_name
        block = Lanes(code, counting(code, index, lanes))
        before = code.block_name
        type_, flags = vector(element, lanes), vector("i1", lanes)
        number, value, done = (
            Value(f"%{name}.{part}", t)
            for part, t in (("number", "i64"), ("value", type_), ("done", flags))
        )
        code.branch(f"{name}.head")
        code.start_block(f"{name}.head")
        place = len(code.lines)
        code.lines += ["", "", ""]
        where = code.binary("or", number, constant("i64", self.stream << 24))
        words = philox(state, block, Lanes(code, code.splat(where, lanes)))
        made, accepted = attempt(words)
        kept = Lanes(code, done).choose(Lanes(code, value), made)
        all_done = Lanes(code, done) | accepted
        following = code.binary("add", number, constant("i64", 1))
        out_of_attempts = code.compare("uge", following, constant("i64", MAX_ATTEMPTS))
        with code.if_(out_of_attempts):
            set_status(code, status)
        missing = any_lane(all_done.negated()).value
        more = code.binary("and", missing, code.binary("xor", out_of_attempts,
                                                       constant("i1", True)))  # fmt: skip
        latest = code.block_name
        code.branch_if(more, f"{name}.head", f"{name}.after")
        zero = "zeroinitializer" if lanes > 1 else ("0.0" if element == "double" else "0")
        nothing = "zeroinitializer" if lanes > 1 else "false"
        for i, (phi, first, then) in enumerate((
            (number, "1", following), (value, zero, kept.value), (done, nothing, all_done.value),
        )):  # fmt: skip
            code.lines[place + i] = (
                f"  {phi.text} = phi {phi.type} [ {first}, %{before} ], "
                f"[ {then.text}, %{latest} ]"
            )
        code.start_block(f"{name}.after")
        return kept


def _interleaved(code: Code, low: Value, high: Value) -> Value:
    """low[0], high[0], low[1], ..."""
    lanes = lanes_of(low.type)
    if lanes == 1:
        both = Value("poison", vector(low.type, 2))
        return code.insert(code.insert(both, low, 0), high, 1)
    order = [i // 2 + lanes * (i % 2) for i in range(2 * lanes)]
    return code.shuffle(low, high, order)


# --- the children of states -----------------------------------------------------------------------


def emit_fold_in(site: Site) -> Kernel | None:
    """The kernel of `fold_in`: one child for each state."""
    states, number = site.inputs
    rows = math.prod(number.type.shape)
    if not ((rows == 1 or states.contiguous) and number.contiguous):
        return None
    code = Code()
    state, numbers, out = operand_pointers(code, site.inputs, 1)
    with code.loop(0, rows) as loop:
        own = load_state(code, at_lane(code, state, loop.index, 16), states.strides[-1] * 8)
        block = Lanes(code, code.load(at_lane(code, numbers, loop.index, 8), "i64"))
        where = (block.unsigned_shift(32) & 0xFFFFFF) | (FOLD_STREAM << 24)
        words = philox(own, block, where)
        place = at_lane(code, out, loop.index, 16)
        code.store(joined(words[0], words[1]).value, place)
        code.store(constant("i64", 0), code.offset(place, 8))
    code.line("ret void")
    return Kernel((Phase(code.function(HEAD)),))
