"""The generator's methods: shapes, dtypes, errors and state, as in NumPy; and the bits, pinned."""

import copy
import hashlib
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from chainrule import errors
from chainrule.random import Generator, default_rng
from tests.random.laws import CONTINUOUS, DISCRETE, SINGLE, draws_of_all

PINNED = Path(__file__).with_name("pinned_draws.json")


def digest(drawn: np.ndarray) -> str:
    little = drawn.astype(drawn.dtype.newbyteorder("<"))
    return hashlib.sha256(little.tobytes()).hexdigest()[:16]


def test_the_bits_of_a_thousand_draws_of_every_method_stay_what_they_are():
    """A change here changes everybody's results: it belongs in the release notes."""
    drawn = {name: digest(x) for name, x in draws_of_all(lambda: Generator(1234), 1000).items()}
    drawn["permutation"] = digest(Generator(1234).permutation(1000))
    drawn["dirichlet"] = digest(Generator(1234).dirichlet([0.1, 1.0, 7.0], size=300))
    drawn["choice without replacement"] = digest(
        Generator(1234).choice(1000, 500, replace=False, p=np.arange(1000) / 499500)
    )
    drawn["spawn"] = digest(np.concatenate([g.random(500) for g in Generator(1234).spawn(2)]))
    assert drawn == json.loads(PINNED.read_text())


@pytest.mark.parametrize("case", CONTINUOUS + SINGLE + DISCRETE, ids=str)
def test_an_element_does_not_depend_on_the_size_of_the_draw(case):
    many = case.draw(Generator(3), (41, 7))
    few = case.draw(Generator(3), 5)
    one = case.draw(Generator(3), None)
    np.testing.assert_array_equal(many.ravel()[:5], few)
    assert one == few[0] and np.shape(one) == () and isinstance(one, np.generic)
    assert case.draw(Generator(3), (2, 0)).shape == (2, 0)


@pytest.mark.parametrize("case", CONTINUOUS + SINGLE + DISCRETE, ids=str)
def test_every_call_advances_by_one_draw(case):
    rng = Generator(3)
    case.draw(rng, 1000)
    np.testing.assert_array_equal(rng.state, [3, 1])


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("normal", ([[0.0], [10.0]], [1.0, 2.0, 3.0])),
        ("gamma", ([[0.5], [10.0]], [1.0, 2.0, 3.0])),
        ("poisson", ([[0.5, 40.0, 3.0]],)), ("binomial", ([[10], [1000]], [0.1, 0.5, 0.9])),
        ("beta", ([[0.5], [4.0]], [1.0, 2.0, 3.0])), ("integers", ([[0], [5]], [10, 20, 30])),
        ("weibull", ([[1.0, 2.0, 3.0]],)), ("triangular", (0.0, [[0.1], [0.9]], [1.0, 2.0, 3.0])),
    ],
)  # fmt: skip
def test_parameters_broadcast_and_act_element_by_element(method, args):
    drawn = getattr(Generator(4), method)(*args, size=(2, 3))
    full = np.broadcast_arrays(*args, np.empty((2, 3)))[:-1]
    for place in np.ndindex(2, 3):
        at_place = [p[place] for p in full]
        alone = getattr(Generator(4), method)(*at_place, size=(2, 3))
        assert drawn[place] == alone[place]
    natural = getattr(Generator(4), method)(*args)
    assert natural.shape == np.broadcast_shapes(*(np.shape(a) for a in args))


def test_a_seed_repeats_and_none_does_not():
    assert Generator(5).random() == Generator(5).random() == default_rng(5).random()
    assert Generator(5).random() != Generator(6).random()
    assert Generator().random() != Generator().random()
    rng = Generator(np.int64(5))
    assert default_rng(rng) is rng and rng.random() == Generator(5).random()
    assert Generator(np.array([1, 2])).random() == Generator([1, 2]).random()


@pytest.mark.parametrize("seed", [-1, [1, -2], []])
def test_a_seed_is_a_whole_number_from_zero(seed):
    with pytest.raises(ValueError, match="a seed is a whole number from 0"):
        Generator(seed)


def test_a_float_is_no_seed():
    with pytest.raises(TypeError):
        Generator(1.5)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))]
)
def test_a_copy_goes_on_by_itself(duplicate):
    rng = Generator(7)
    rng.random()
    other = duplicate(rng)
    assert not np.shares_memory(rng.state, other.state)
    ahead = other.random(3)
    assert rng.state[1] == 1 and other.state[1] == 2
    np.testing.assert_array_equal(rng.random(3), ahead)


def test_repr_shows_key_and_draw():
    rng = Generator(255)
    rng.random()
    assert repr(rng) == "Generator(key=0x00000000000000ff, draw=1)"


def test_children_differ_and_the_parent_advances():
    rng = Generator(7)
    first, second = rng.spawn(2)
    third = rng.spawn(1)[0]
    assert rng.state[1] == 2
    values = [g.random() for g in (first, second, third, Generator(7))]
    assert len(set(values)) == 4


# --- choices and orders -------------------------------------------------------------------------


def test_choice_takes_entries_along_an_axis():
    table = np.arange(24.0).reshape(4, 3, 2)
    taken = Generator(1).choice(table, (5, 2), axis=1)
    assert taken.shape == (4, 5, 2, 2)
    columns = Generator(1).choice(3, (5, 2))
    np.testing.assert_array_equal(taken, np.take(table, columns, axis=1))
    single = Generator(1).choice(table, axis=-1)
    assert single.shape == (4, 3) and not np.shares_memory(single, table)
    assert Generator(1).choice(["a", "b"], 3).dtype == np.dtype("<U1")


def test_choice_without_replacement_takes_each_once():
    taken = Generator(2).choice(50, (5, 10), replace=False)
    assert sorted(taken.ravel()) == list(range(50))
    some = Generator(2).choice([5, 6, 7, 8], 2, replace=False, p=[0.0, 0.5, 0.5, 0.0])
    assert sorted(some) == [6, 7]


def test_permutation_and_shuffle_agree_and_move_whole_slices():
    table = np.arange(12).reshape(4, 3)
    for axis in (0, 1, -1):
        moved = Generator(3).permutation(table, axis=axis)
        shuffled = table.copy()
        assert Generator(3).shuffle(shuffled, axis=axis) is None
        np.testing.assert_array_equal(moved, shuffled)
        rows = moved if axis == 0 else moved.T
        assert sorted(map(tuple, rows)) == sorted(map(tuple, table if axis == 0 else table.T))
    names = list("abcde")
    Generator(3).shuffle(names)
    assert sorted(names) == list("abcde")
    assert sorted(Generator(3).permutation([3, 4, 5])) == [3, 4, 5]
    np.testing.assert_array_equal(table, np.arange(12).reshape(4, 3))


def test_permuted_moves_each_slice_by_itself():
    table = np.arange(200).reshape(10, 20)
    moved = Generator(4).permuted(table, axis=1)
    np.testing.assert_array_equal(np.sort(moved, axis=1), table)
    assert len({tuple(row % 20) for row in moved}) == 10
    whole = Generator(4).permuted(table)
    np.testing.assert_array_equal(np.sort(whole, axis=None), np.arange(200))
    down = Generator(4).permuted(table, axis=0)
    np.testing.assert_array_equal(np.sort(down, axis=0), table)


# --- edges and errors ---------------------------------------------------------------------------


def test_degenerate_parameters_give_the_only_possible_draw():
    rng = Generator(5)
    assert rng.normal(3.0, 0.0) == 3.0 and rng.uniform(2.0, 2.0) == 2.0
    assert rng.standard_gamma(0.0) == 0.0 and np.isnan(rng.standard_gamma(np.nan))
    assert rng.poisson(0.0) == 0 and rng.binomial(0, 0.5) == 0
    assert rng.binomial(7, 0.0) == 0 and rng.binomial(7, 1.0) == 7
    assert rng.geometric(1.0) == 1 and rng.geometric(1e-300) == np.iinfo(np.int64).max
    assert not rng.bernoulli(0.0) and rng.bernoulli(1.0)
    assert rng.integers(5, 6) == 5 and rng.integers(5, 5, endpoint=True) == 5
    assert rng.categorical([0.0, 1.0]) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: r.normal(0, -1.0), "scale < 0"),
        (lambda r: r.lognormal(0, -1.0), "sigma < 0"),
        (lambda r: r.uniform(2.0, 1.0), "high - low < 0"),
        (lambda r: r.gamma(-1.0), "shape < 0"),
        (lambda r: r.beta(0.0, 1.0), "a <= 0"),
        (lambda r: r.chisquare([1.0, 0.0]), "df <= 0"),
        (lambda r: r.triangular(0, 2, 1), "mode > right"),
        (lambda r: r.poisson(-1.0), "lam < 0 or lam contains NaNs"),
        (lambda r: r.poisson(np.nan), "lam < 0 or lam contains NaNs"),
        (lambda r: r.poisson(1e19), "lam value too large"),
        (lambda r: r.binomial(-1, 0.5), "n < 0"),
        (lambda r: r.binomial(3, 1.5), "p < 0, p > 1 or p is NaN"),
        (lambda r: r.geometric(0.0), "p <= 0, p > 1"),
        (lambda r: r.bernoulli(np.nan), "p < 0, p > 1 or p is NaN"),
        (lambda r: r.categorical([0.5, -0.1]), "not non-negative"),
        (lambda r: r.categorical([0.0, 0.0]), "do not sum to 1"),
        (lambda r: r.integers(5, 5), "low >= high"),
        (lambda r: r.integers(0, 300, dtype=np.uint8), "high is out of bounds for uint8"),
        (lambda r: r.integers(-1, 3, dtype=np.uint8), "low is out of bounds for uint8"),
        (lambda r: r.choice(3, 4, replace=False), "larger sample than population"),
        (lambda r: r.choice(3, p=[0.5, 0.5]), "a and p must have same size"),
        (lambda r: r.choice(2, p=[0.5, 0.6]), "probabilities do not sum to 1"),
        (lambda r: r.choice(3, 3, replace=False, p=[0.5, 0.5, 0]), "Fewer non-zero entries"),
        (lambda r: r.multivariate_normal([0, 0], np.eye(3)), "mean and cov must have same length"),
        (lambda r: r.multivariate_normal([0.0], [[1.0]], method="lu"), "method must be one of"),
    ],
)  # fmt: skip
def test_a_bad_parameter_raises_a_value_error_in_numpys_words(call, message):
    with pytest.raises(ValueError, match=message):
        call(Generator(6))


def test_other_dtypes_are_refused_by_name():
    with pytest.raises(TypeError, match="Unsupported dtype"):
        Generator(6).random(dtype=np.float16)
    with pytest.raises(TypeError, match="Unsupported dtype"):
        Generator(6).integers(5, dtype=np.float64)
    with pytest.raises(TypeError, match="probabilities p or logits"):
        Generator(6).categorical([1.0], logits=[1.0])


def test_a_size_that_the_parameters_do_not_fit_is_refused():
    with pytest.raises(errors.ShapeError, match=r"Output size \(3,\) is not compatible"):
        Generator(6).normal([1.0, 2.0], size=3)
    with pytest.raises(errors.ShapeError, match=r"Output size \(2,\) is not compatible"):
        Generator(6).normal(np.zeros((1, 2)), size=2)


def test_a_failed_call_does_not_advance():
    rng = Generator(6)
    with pytest.raises(ValueError):
        rng.normal(0.0, -1.0)
    assert rng.state[1] == 0
