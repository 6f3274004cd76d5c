"""Random bits: the published vectors of Philox, and independence of how they are drawn."""

import numpy as np
import pytest
from scipy import stats

from chainrule.ops.random import (
    UINT32,
    UINT64,
    fold_in,
    next_draw,
    philox,
    random_bits,
    random_state,
)
from chainrule.random import Generator, lane_states

# Known-answer vectors of Random123 1.14 for philox4x32-10: counter, key, result
VECTORS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000",
     "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff",
     "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0",
     "d16cfe09 94fdcceb 5001e420 24126ea1"),
]  # fmt: skip


def words(text):
    return [np.uint64(int(word, 16)) for word in text.split()]


def bits(state, shape, dtype=UINT64, stream=0):
    return random_bits(np.array(state, np.uint64), shape=shape, dtype=dtype, stream=stream)


@pytest.mark.parametrize(("counter", "key", "result"), VECTORS)
def test_philox_gives_the_published_words(counter, key, result):
    assert list(philox(words(counter), words(key))) == words(result)


def test_the_counter_is_block_attempt_draw_and_the_key_is_the_key():
    key, draw = 0xA4093822299F31D0, 0x0123456789ABCDEF
    counter = [1, 5 << 24, draw & 0xFFFFFFFF, draw >> 32]
    expected = philox([np.uint64(c) for c in counter], [np.uint64(key & 0xFFFFFFFF), key >> 32])
    found = bits([key, draw], (8,), UINT32, stream=5)[4:]
    np.testing.assert_array_equal(found, np.array(expected, np.uint64).astype(np.uint32))


@pytest.mark.parametrize("dtype", [UINT32, UINT64])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (40_003,), (7, 5), (2, 3, 4), (0,), (3, 0)])
def test_an_element_is_the_same_in_every_shape(shape, dtype):
    many = bits([7, 3], (50_000,), dtype)
    some = bits([7, 3], shape, dtype)
    assert some.shape == shape
    np.testing.assert_array_equal(np.ravel(some), many[: some.size])


@pytest.mark.parametrize("count", [1, 3, 1000])
def test_each_lane_draws_what_its_state_alone_would(count):
    states = np.array([[7, 0], [8, 0], [7, 1]], np.uint64)
    together = bits(states, (count,))
    for lane, state in zip(together, states, strict=True):
        np.testing.assert_array_equal(lane, bits(state, (count,)))


def test_the_next_draw_has_the_next_number_and_carries_over():
    np.testing.assert_array_equal(next_draw(np.array([5, 0], np.uint64)), [5, 1])
    wide = np.array([5, 2**32 - 1], np.uint64)
    np.testing.assert_array_equal(next_draw(wide), [5, 2**32])
    assert not np.array_equal(bits(wide, (4,)), bits(next_draw(wide), (4,)))


def test_folding_in_many_numbers_is_folding_in_each():
    state = np.array([7, 4], np.uint64)
    states = lane_states(state, 5)
    for i in range(5):
        np.testing.assert_array_equal(fold_in(state, np.uint64(i)), states[i])


def test_keys_of_children_differ_over_parents_draws_and_numbers():
    keys = {
        tuple(fold_in(np.array([key, draw], np.uint64), np.uint64(number)))
        for key in (0, 1, 2**32, 2**63)
        for draw in (0, 1, 2**32)
        for number in (0, 1, 2**32, 2**55)
    }
    assert len(keys) == 4 * 3 * 4


def test_seeds_of_any_length_have_keys_of_their_own():
    seeds = [0, 1, 2**32, 2**64 - 1, 2**64, 2**64 + 1, 2**128, [1], [1, 0], [0, 1], [1, 2], [2**40]]
    keys = {int(Generator(seed).state[0]) for seed in seeds}
    assert len(keys) == len(seeds) - 1  # [1] is 1
    children = {int(child.state[0]) for child in Generator(1).spawn(5)}
    assert not keys & children


# 200,000 pairs: under independence a correlation has standard deviation 0.0022


def far_from_zero(x, y):
    return abs(np.corrcoef(x, y)[0, 1]) > 5 / np.sqrt(len(x))


@pytest.mark.parametrize(
    "others",
    [
        pytest.param(lambda: [Generator(s) for s in (1, 2, 3)], id="seeds in a row"),
        pytest.param(lambda: [*Generator(1).spawn(3), Generator(1)], id="children and parent"),
        pytest.param(lambda: [*Generator(1).spawn(1), *Generator(2).spawn(1)], id="cousins"),
    ],
)
def test_streams_are_uncorrelated(others):
    draws = [rng.random(200_000) for rng in others()]
    for i, x in enumerate(draws):
        for y in draws[:i]:
            assert not far_from_zero(x, y)
            assert not far_from_zero(x[1:], y[:-1])
            assert not far_from_zero((x - 0.5) ** 2, (y - 0.5) ** 2)


def test_elements_draws_and_parts_are_uncorrelated():
    rng = Generator(11)
    x, y = rng.random(200_000), rng.random(200_000)
    assert not far_from_zero(x, y)
    for lag in (1, 2, 3, 4, 64):
        assert not far_from_zero(x[lag:], x[:-lag])
    first, second = (bits([11, 0], (200_000,), stream=k) / 2.0**64 for k in (0, 1))
    assert not far_from_zero(first, second)


def test_every_bit_is_fair():
    drawn = bits([3, 9], (100_000,))
    for position in range(64):
        ones = int(np.count_nonzero((drawn >> np.uint64(position)) & np.uint64(1)))
        assert stats.binomtest(ones, len(drawn)).pvalue > 1e-4


@pytest.mark.parametrize("numbers", [[0, 0], [7, 2**32 + 5, 1], [2**64], [3, 0, 2**200 - 1, 9]])
def test_a_seed_of_several_numbers_folds_in_their_words_as_fold_in_does(numbers):
    key, position = np.uint64(0), 0
    for number in numbers:
        low_first = number.to_bytes(4 * max(1, -(-number.bit_length() // 32)), "little")
        for word in [len(low_first) // 4, *np.frombuffer(low_first, "<u4").tolist()]:
            state = np.array([key, 2**64 - 1 - position], UINT64)
            key, position = fold_in.evaluate(state, np.uint64(word))[0], position + 1
    np.testing.assert_array_equal(random_state(numbers), np.array([key, 0], UINT64))
