"""Random bits: Philox4x32-10, a function from (key, draw, element, attempt) to 128 bits.

A generator's state is two uint64 words, the key and the number of the next draw. Nothing else is
remembered: element k of a draw depends on the key, the draw and k alone, so it is the same for
every size of the draw, and a draw that rejects values does not shift the draws after it.

The four counter words are: the element's block; an attempt (24 bits) below the stream (8 bits) that
tells the parts of one composite draw apart; and the draw, low and high word. The two key words are
the key. An operation here takes the state first. Leading axes of the state are lanes, each with a
key of its own; the other inputs and the outputs have the same leading axes.

Value     10 rounds of Philox4x32; `fold_in` makes a child's key from a block of its own stream.
Source    Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
"""

import math
from collections.abc import Callable

import numpy as np

from chainrule import errors
from chainrule.ops.index import index_add
from chainrule.ops.shape import add_batch_axis
from chainrule.program.op import Discrete, Op
from chainrule.program.types import Type, array_type

UINT32 = np.dtype(np.uint32)
UINT64 = np.dtype(np.uint64)
FLOAT64 = np.dtype(np.float64)
CHUNK = 8192  # blocks worked on at once, so that their temporaries stay in the cache
FOLD_STREAM = 255  # the stream of fold_in; samplers use the others
MAX_ATTEMPTS = 1 << 24

_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(32)
_MULTIPLIERS = np.array([0xD2511F53, 0xCD9E8D57], UINT64)
_WEYL = np.array([0x9E3779B9, 0xBB67AE85], UINT64)
_MASK, _CONSTANTS = 0xFFFFFFFF, (_MULTIPLIERS.tolist(), _WEYL.tolist())


def philox(counter, key) -> tuple:
    """The four words of Philox4x32-10 for four counter words and two key words, all uint64s.

    The first counter word has the shape of the result; the other words have it too or are scalars.
    """
    even, odd = _pair(counter[0], counter[2]), _pair(counter[1], counter[3])
    odd, keys, multipliers, step = (
        _column(c, even.ndim) for c in (odd, _pair(*key), _MULTIPLIERS, _WEYL)
    )
    for _ in range(10):  # both multiplications of a round at once; each feeds the other's word
        product = even * multipliers
        even = (product >> _SHIFT)[::-1] ^ odd ^ keys
        odd = (product & _LOW)[::-1]
        keys = (keys + step) & _LOW
    return even[0], odd[0], even[1], odd[1]


def _pair(first, second):
    pair = np.empty((2, *np.broadcast_shapes(np.shape(first), np.shape(second))), UINT64)
    pair[0], pair[1] = first, second
    return pair


def _column(pair, ndim: int):
    return pair if pair.ndim == ndim else pair.reshape(2, *(1,) * (ndim - 1))


def blocks(states, block, stream: int, attempt: int = 0) -> tuple:
    """Four words for each block: `states` is one (2,) state, or one row for each block."""
    key, draw = states[..., 0], states[..., 1]
    where = np.uint64((stream << 24) | attempt)
    return philox((block, where, draw & _LOW, draw >> _SHIFT), (key & _LOW, key >> _SHIFT))


def join_words(low, high):
    """Two 32-bit words as one of 64 bits."""
    return low | (high << _SHIFT)


def transformed_bits(state, shape, width: int, stream: int, transform: Callable, dtype):
    """`transform` of `width` random bits for each element of lanes x `shape`, as `dtype`."""
    lanes, size = state.shape[:-1], math.prod(shape)
    _check_size(size)
    states, per_block = state.reshape(-1, 2), 128 // width
    in_lane = -(-size // per_block)  # blocks; what the last one has too many is cut off
    out = np.empty((len(states) * in_lane, per_block), dtype)
    for start in range(0, len(out), CHUNK):
        number = np.arange(start, min(start + CHUNK, len(out)), dtype=UINT64)
        own = states[0] if not lanes else states[number // np.uint64(in_lane)]
        bits = _bits_of_blocks(own, number % np.uint64(in_lane) if lanes else number, width, stream)
        with np.errstate(all="ignore"):
            values = transform(bits.reshape(-1))
        out[start : start + CHUNK] = values.reshape(-1, per_block)
    whole = out.reshape(len(states), in_lane * per_block)[:, :size]
    return whole.reshape(lanes + tuple(shape))[()]


def _bits_of_blocks(states, block, width: int, stream: int):
    words = blocks(states, block, stream)
    per_block = 128 // width
    bits = np.empty((len(block), per_block), UINT32 if width == 32 else UINT64)
    for j in range(per_block):
        bits[:, j] = words[j] if width == 32 else join_words(words[2 * j], words[2 * j + 1])
    return bits


def by_attempts(state, parameters: tuple, attempt: Callable, dtype, stream: int = 0):
    """One sample for each element, by rejection.

    `attempt(words, *parameters)` returns values and whether each is accepted, from four words an
    element; `parameters` are arrays of the lanes' axes followed by the draw's. An element that is
    rejected tries again with its own next attempt, whatever the others do.
    """
    lanes = state.shape[:-1]
    out = np.empty(parameters[0].shape, dtype)
    size = math.prod(out.shape[len(lanes) :])
    _check_size(size)
    states, flat = state.reshape(-1, 2), [p.reshape(-1) for p in parameters]
    with np.errstate(all="ignore"):
        for start in range(0, out.size, CHUNK):
            numbers = np.arange(start, min(start + CHUNK, out.size))
            part = out.reshape(-1)[start : start + CHUNK]
            some_states = states[0] if not lanes else states[numbers // size]
            element = (numbers % size).astype(np.uint64)
            chunk = [p[start : start + CHUNK] for p in flat]
            _accept(part, some_states, element, chunk, attempt, stream)
    return out[()]


def _accept(out, states, element, parameters, attempt, stream) -> None:
    """Fill `out`, attempt by attempt; what is accepted leaves the arrays that are worked on."""
    place = np.arange(out.size)
    for number in range(1, MAX_ATTEMPTS):
        words = blocks(states, element, stream, number)
        values, accepted = attempt(words, *parameters)
        out[place[accepted]] = values[accepted]
        again = ~accepted
        if not again.any():
            return
        place, element = place[again], element[again]
        states = states if states.ndim == 1 else states[again]
        parameters = [p[again] for p in parameters]
    raise AssertionError("a rejection sampler did not end")


def _check_size(size: int) -> None:
    if size > 1 << 32:
        raise errors.NotSupported(f"one draw has at most 2**32 elements, not {size}.")


# --- batching and types, the same for every operation on a state --------------------------------


def lanes_batch(op):
    """The batching rule of an operation on a state: one more leading axis on every input."""

    def rule(size, inputs, batched, **params):
        full = [
            x if is_batched else add_batch_axis(x, size)
            for x, is_batched in zip(inputs, batched, strict=True)
        ]
        return op()(*full, **params)

    return rule


def check_state(state: Type) -> tuple[int, ...]:
    """The lanes of a state's type."""
    if state.dtype != UINT64 or state.shape[-1:] != (2,):
        raise errors.DtypeError(f"a random state is uint64[..., 2], not {state}.")
    return state.shape[:-1]


def check_parameters(state: Type, *parameters: Type) -> None:
    """Every parameter has the same shape, the state's lanes first."""
    lanes = check_state(state)
    for t in parameters:
        if t.shape != parameters[0].shape or t.shape[: len(lanes)] != lanes:
            raise errors.ShapeError(f"parameters of a draw differ in shape: {state}, {parameters}.")


# --- the operations -----------------------------------------------------------------------------


def _bits_type(state: Type, *, shape, dtype, stream) -> tuple[Type, ...]:
    return (array_type(check_state(state) + shape, dtype),)


def _bits(state, *, shape, dtype, stream):
    return transformed_bits(state, shape, dtype.itemsize * 8, stream, lambda bits: bits, dtype)


random_bits: Op = Op(
    "random_bits", _bits_type, _bits, Discrete(), lanes_batch(lambda: random_bits),
    flops=lambda ins, outs, params: 16 * outs[0].size,
    doc="independent random uint32s or uint64s of `shape`",
)  # fmt: skip


def _fold_type(state: Type, number: Type) -> tuple[Type, ...]:
    if check_state(state) != number.shape or number.dtype != UINT64:
        raise errors.ShapeError(f"fold_in needs one uint64 for each state, got {state}, {number}.")
    return (state,)


def _fold_in(state, number):
    number = np.asarray(number)
    key, draw = state[..., 0], state[..., 1]
    where = np.uint64(FOLD_STREAM << 24) | ((number >> _SHIFT) & np.uint64(0xFFFFFF))
    counter = (number & _LOW, where, draw & _LOW, draw >> _SHIFT)
    with np.errstate(over="ignore"):
        words = philox(counter, (key & _LOW, key >> _SHIFT))
    child = join_words(words[0], words[1])
    return np.stack([child, np.zeros_like(child)], axis=-1)


fold_in: Op = Op(
    "fold_in", _fold_type, _fold_in, Discrete(), lanes_batch(lambda: fold_in),
    flops=lambda ins, outs, params: 60 * ins[1].size,
    doc="the state of an independent child, for each number (below 2**56) and the state's draw",
)  # fmt: skip


def next_draw(state):
    """The state after one draw: the draw's number is one higher."""
    return index_add(state, np.uint64(1), at=(1,))


def random_state(numbers: list[int]) -> np.ndarray:
    """The state at the first draw, for a seed of one or several whole numbers from 0.

    One number below 2**64 is the key itself. Otherwise the key comes from folding in the 32-bit
    words of the numbers, at draws that no generator reaches, so that it is no child's key.
    """
    if len(numbers) == 1 and numbers[0] < 2**64:
        return np.array([numbers[0], 0], UINT64)
    key = 0
    for position, word in enumerate(_seed_words(numbers)):
        key = _folded(key, 2**64 - 1 - position, word)
    return np.array([key, 0], UINT64)


def _folded(key: int, draw: int, word: int) -> int:
    """The key of `_fold_in(state, word)` for a word below 2**32, in Python's integers.

    A tenth of the time of NumPy's, on single numbers; orders of minibatches are seeded each epoch.
    """
    first, odd = word, FOLD_STREAM << 24
    third, fourth = draw & _MASK, draw >> 32
    low, high = key & _MASK, key >> 32
    (m0, m1), (w0, w1) = _CONSTANTS
    for _ in range(10):
        one, two = first * m0, third * m1
        first, odd, third, fourth = (
            (two >> 32) ^ odd ^ low, two & _MASK, (one >> 32) ^ fourth ^ high, one & _MASK,
        )  # fmt: skip
        low, high = (low + w0) & _MASK, (high + w1) & _MASK
    return first | (odd << 32)


def _seed_words(numbers: list[int]):
    """The 32-bit words of each number, lowest first, after how many there are."""
    for number in numbers:
        count = max(1, -(-number.bit_length() // 32))
        yield count
        for i in range(count):
            yield (number >> (32 * i)) & 0xFFFFFFFF
