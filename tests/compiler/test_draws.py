"""Native random draws: the bits of the evaluator, task by task."""

import ctypes

import numpy as np
import pytest

import chainrule  # noqa: F401  (registers every operation)
from chainrule.compiler.emitters import EMITTERS
from chainrule.compiler.llvm.code import Code, Value
from chainrule.compiler.llvm.draws import TRANSFORMS, normal_from_bits
from chainrule.compiler.llvm.vecmath_lanes import Lanes
from chainrule.compiler.machine_code import Loaded, object_code
from chainrule.ops import samplers
from chainrule.program.op import REGISTRY
from tests.compiler.running import Runner, run_kernel, site_of

rng = np.random.default_rng(9)
STATE = np.array([0x0123456789ABCDEF, 2**32 + 5], np.uint64)
LANES = np.array([[1, 0], [2**63 + 11, 0], [2, 1]], np.uint64)


def check(op, *inputs, **params):
    expected = np.asarray(REGISTRY[op].evaluate(*inputs, **params))
    (found,) = run_kernel(EMITTERS[op], op, *inputs, one_by_one=True, **params)
    assert found.dtype == expected.dtype and found.shape == expected.shape
    np.testing.assert_array_equal(found, expected)


def status_of(op, *inputs, **params):
    site = site_of(op, *inputs, **params)
    runner = Runner(EMITTERS[op](site), site)
    runner.run(*inputs)
    return runner.status


def dtypes_of(op):
    return [np.dtype(c) for c in ("IL" if op == "random_bits" else "fd")]


@pytest.mark.parametrize("op", TRANSFORMS)
def test_standard_draws_have_the_bits_of_the_evaluator(op):
    for dtype in dtypes_of(op):
        check(op, STATE, shape=(2, 50), dtype=dtype, stream=3)
        check(op, LANES, shape=(9,), dtype=dtype, stream=0)


@pytest.mark.parametrize("op", ["random_bits", "standard_exponential"])
def test_shapes_of_standard_draws(op):
    for dtype in dtypes_of(op):
        for shape in ((), (1,), (3,), (0,)):
            check(op, STATE, shape=shape, dtype=dtype, stream=3)
        states = np.broadcast_to(LANES[:1, None], (2, 3, 2)).copy()
        check(op, states, shape=(), dtype=dtype, stream=1)
        check(op, LANES[:0], shape=(4,), dtype=dtype, stream=1)


@pytest.mark.parametrize("op", ["random_bits", "standard_normal"])
def test_large_draws_are_divided_into_tasks(op):
    for dtype in dtypes_of(op):
        params = {"shape": (70_003,), "dtype": dtype, "stream": 0}
        assert EMITTERS[op](site_of(op, STATE, **params)).phases[0].tasks > 1
        check(op, STATE, **params)


def test_far_tails_of_the_normal():
    words = np.array([0, 1, 2**20, 2**62, 2**63 - 1, 2**63 + 2**22, 2**64 - 1, 2**64 - 3], "u8")
    code = Code()
    x = code.load(Value("%x", "ptr"), "<8 x i64>", 8)
    code.store(normal_from_bits(Lanes(code, x)).value, Value("%out", "ptr"), 8)
    code.line("ret void")
    loaded = Loaded(object_code(code.function("define void @f(ptr %x, ptr %out)")))
    out = np.empty(8)
    form = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
    form(loaded.address("f"))(words.ctypes.data, out.ctypes.data)
    np.testing.assert_array_equal(out, samplers.normal_from_bits(words))
    assert np.abs(out).max() > 8


def test_what_float16_and_scattered_states_get():
    site = site_of("standard_normal", STATE, shape=(3,), dtype=np.dtype("e"), stream=0)
    assert EMITTERS["standard_normal"](site) is None
    wide = np.repeat(LANES, 2, axis=0)[::2]
    site = site_of("random_bits", wide, shape=(3,), dtype=np.dtype("L"), stream=0)
    assert EMITTERS["random_bits"](site) is None
    check("random_bits", np.repeat(STATE, 2)[::2], shape=(3,), dtype=np.dtype("L"), stream=0)


def test_children_of_states():
    check("fold_in", STATE, np.uint64(2**55 + 12345))
    check("fold_in", LANES, np.array([0, 2**32 + 1, 2**56 - 1], np.uint64))
    check("fold_in", np.repeat(STATE, 2)[::2], np.uint64(7))


@pytest.mark.parametrize("dtype", "fd")
def test_bernoulli(dtype):
    check("random_bernoulli", STATE, rng.random((7, 9)).astype(dtype), stream=2)
    check("random_bernoulli", LANES, rng.random((3, 17)).astype(dtype), stream=0)
    check("random_bernoulli", STATE, np.broadcast_to(np.dtype(dtype).type(0.25), (100,)), stream=0)
    check("random_bernoulli", STATE, rng.random(()).astype(dtype), stream=0)
    for bad in (-0.1, 1.5, np.nan):
        p = np.full(40, 0.5, dtype)
        assert status_of("random_bernoulli", STATE, p, stream=0) == 0
        p[33] = bad
        assert status_of("random_bernoulli", STATE, p, stream=0) == 1


def test_geometric():
    check("random_geometric", STATE, rng.random((7, 9)), stream=2)
    check("random_geometric", LANES, np.array([[1e-300, 1.0], [1e-18, 0.5], [0.1, 1e-19]]),
          stream=2)  # fmt: skip
    assert status_of("random_geometric", STATE, np.zeros(3), stream=0) == 1


def test_whole_numbers_below_a_bound():
    last = np.array([0, 5, 2**40, 2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1, 99], np.uint64)
    check("random_below", STATE, np.tile(last, 20), stream=0)
    check("random_below", LANES, np.tile(last, (3, 3)), stream=1)
    check("random_below", STATE, np.broadcast_to(np.uint64(2**63), (1000,)), stream=0)
    check("random_below", STATE, np.full(20_000, 2**63 + 2**62, np.uint64), stream=0)


def test_random_orders():
    check("random_order", LANES, shape=(2, 6), stream=0)
    check("random_order", STATE, shape=(100,), stream=1)
    check("random_order", STATE, shape=(40, 300), stream=1)
    check("random_order", STATE, shape=(30_000,), stream=1)
    check("random_order", STATE, shape=(1,), stream=1)


def test_categories():
    weights = rng.random((3, 20)) * rng.integers(0, 2, (3, 20)) + np.eye(3, 20)
    check("random_categorical", STATE, weights[0], shape=(5, 50), stream=0)
    check("random_categorical", STATE, weights[0], shape=(), stream=0)
    check("random_categorical", LANES, weights, shape=(50,), stream=0)
    check("random_categorical", LANES, weights, shape=(), stream=0)
    each = rng.random((3, 40, 7))
    check("random_categorical", LANES, each, shape=(40,), stream=0)
    check("random_categorical", STATE, each, shape=(3, 40), stream=0)
    check("random_categorical", STATE, np.ones(1), shape=(3,), stream=0)
    for bad in (np.array([1.0, -1.0, 3.0]), np.zeros(3), np.array([1.0, np.nan]),
                np.array([np.inf, 1.0])):  # fmt: skip
        assert status_of("random_categorical", STATE, bad, shape=(4,), stream=0) == 1
