"""Floats taken apart, common divisors, portable functions: the evaluator's bits in every lane."""

import numpy as np
import pytest

import chainrule  # noqa: F401  (registers every operation)
from chainrule.compiler.kernel import Site, contiguous_place
from chainrule.compiler.llvm.elementwise import Operation, is_native
from chainrule.compiler.llvm.loops import LoopSpec, Node, Stream
from chainrule.compiler.llvm.reductions import emit_loop
from chainrule.compiler.native import build
from chainrule.program.op import REGISTRY
from chainrule.program.types import type_of
from tests.compiler.running import Runner, place_of
from tests.compiler.test_lower import one_op

rng = np.random.default_rng(5)


def check(op, *inputs):
    """All elements in vectors, with a remainder."""
    with np.errstate(all="ignore"):
        expected = REGISTRY[op].evaluate(*inputs)
    operation = Operation(op, (), tuple(x.dtype for x in inputs), expected.dtype)
    assert is_native(operation)
    loads = tuple(Stream(x.dtype, (1,)) for x in inputs)
    node = Node(operation, tuple(range(len(inputs))))
    store = (len(inputs), Stream(expected.dtype, (1,)))
    kernel = emit_loop(LoopSpec(inputs[0].shape, loads, (node,), (store,)))
    places = tuple(map(place_of, inputs))
    runner = Runner(kernel, Site(op, {}, places, (contiguous_place(type_of(expected)),)))
    (found,) = runner.run(*inputs)
    np.testing.assert_array_equal(found, expected)
    if expected.dtype.kind == "f":
        numbers = ~np.isnan(expected)
        np.testing.assert_array_equal(np.signbit(found)[numbers], np.signbit(expected)[numbers])


def floats(dtype, size=3001):
    """Every kind of float: by random bits, near 1, and the edges."""
    dtype = np.dtype(dtype)
    bits = rng.integers(0, 2 ** (8 * dtype.itemsize), size, f"u{dtype.itemsize}").view(dtype)
    info = np.finfo(dtype)
    edges = [0.0, 1.0, np.inf, np.nan, info.tiny, info.smallest_subnormal, info.max, info.eps]
    x = np.concatenate([bits, rng.normal(size=size).astype(dtype), np.array(edges, dtype)])
    return np.concatenate([x, -x[-8:]])


@pytest.mark.parametrize("dtype", "efd")
@pytest.mark.parametrize("exponent", "bhilBHI")
def test_ldexp_rounds_once(dtype, exponent):
    x, info = floats(dtype), np.iinfo(exponent)
    n = rng.integers(max(-2200, info.min), min(2200, info.max), x.shape).astype(exponent)
    n[::5] = rng.integers(info.min, info.max, n[::5].shape, exponent, endpoint=True)
    near = -np.frexp(x)[1] + (-1060 if dtype == "d" else -140 if dtype == "f" else -20)
    n[1::5] = np.clip(near, info.min, info.max).astype(exponent)[1::5]
    check("ldexp", x, n)


@pytest.mark.parametrize("dtype", "efd")
def test_binary_exponents(dtype):
    check("binary_exponent", floats(dtype))


@pytest.mark.parametrize("dtype", "fd")
def test_neighbours(dtype):
    x = floats(dtype)
    check("nextafter", x, rng.permutation(x))
    check("nextafter", x, -x)
    check("nextafter", x, x)
    check("spacing", x)


@pytest.mark.parametrize("dtype", "bhilBHIL")
@pytest.mark.parametrize("op", ["gcd", "lcm"])
def test_common_divisors(op, dtype):
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max, 517, dtype, endpoint=True)
    y = rng.integers(max(-12, info.min), 13, 517).astype(dtype)
    x[:4], y[:2] = (0, 0, info.min, info.max), 0
    check(op, x, y)
    check(op, y, x)


@pytest.mark.parametrize("dtype", "fd")
@pytest.mark.parametrize("op", ["portable_exp", "portable_expm1", "portable_log"])
def test_portable_functions_have_the_bits_of_the_evaluator(op, dtype):
    x = floats(dtype)
    check(op, np.concatenate([x, 700 * rng.normal(size=2000).astype(dtype)]))


@pytest.mark.parametrize("name", ["fmod", "remainder", "floor_divide"])
@pytest.mark.parametrize("dtype", "efd")
def test_quotients_of_floats(name, dtype):
    x, y = floats(dtype), rng.permutation(floats(dtype))
    with np.errstate(all="ignore"):
        y[:500] = x[:500] / x.dtype.type(3)
    check(name, x, y)


def test_float64_is_rounded_to_float16_once():
    """Through float32 a number just beside the middle of two float16 would fall on the middle."""
    x = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    x = x[np.isfinite(x)].astype(np.float64)
    middle = x + np.spacing(x.astype(np.float16)).astype(np.float64) / 2
    beside = [middle * (1 + 2.0**-40), middle * (1 - 2.0**-40), [65519.99999]]
    cases = [x, middle, *beside, floats("d")]
    x = np.concatenate(cases)
    program = one_op("cast", x, dtype=np.dtype(np.float16))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(build(program, {}).run([x])[0], x.astype(np.float16))
