"""A function that is traced more than once draws the same from NumPy and Python each time.

The truth is one plain run of the function from the same states: what it draws enters the result
and the derivative in closed form, and the next numbers of the generators show where they were left.
"""

import functools
import random
from dataclasses import dataclass

import numpy as np
import pytest

import chainrule as cr
from chainrule.host_reach import generators_in


@dataclass
class Noise:
    """An object that holds a generator."""

    generator: np.random.Generator

    def draw(self):
        return self.generator.normal()


class Hidden:
    __slots__ = ("held",)

    def __init__(self, held):
        self.held = held


def by_numpy(x):
    y = np.empty(3)
    for i in range(3):
        y[i] = x * np.random.normal()
    return y.sum()


def by_python(x):
    y = np.zeros(2)
    y[0], y[1] = random.random() * x, random.gauss(0.0, 1.0) * x
    return y.sum()


def sources():
    """(a function of x that fills an array with x times draws, what it draws from)"""
    rng, old, own = np.random.default_rng(5), np.random.RandomState(6), random.Random(7)
    noise, bits = Noise(np.random.default_rng(8)), np.random.PCG64(9)
    normal, held = np.random.default_rng(10).normal, {"deep": [Hidden(np.random.default_rng(11))]}

    def filled(x, draw):
        y = np.zeros(2)
        y[0], y[1] = x * draw(), 2.0 * x * draw()
        return y.sum()

    return {
        "closed over": (lambda x: filled(x, rng.normal), rng.normal),
        "old": (lambda x: filled(x, old.standard_normal), old.standard_normal),
        "python": (lambda x: filled(x, lambda: own.gauss(0.0, 1.0)), lambda: own.gauss(0.0, 1.0)),
        "in an object": (lambda x: filled(x, noise.draw), noise.draw),
        "bits": (lambda x: filled(x, lambda: bits.random_raw() / 2**64),
                 lambda: bits.random_raw() / 2**64),
        "method": (lambda x: filled(x, normal), normal),
        "in containers": (lambda x: filled(x, held["deep"][0].held.normal),
                          held["deep"][0].held.normal),
        "partial": (functools.partial(filled, draw=rng.uniform), rng.uniform),
        "global": (by_numpy, np.random.normal),
        "python global": (by_python, random.random),
    }  # fmt: skip


def of_one_run(name):
    """f(1) of one run, and the next number after it; f is linear, so f(1) is its slope."""
    np.random.seed(1)
    random.seed(2)
    f, draw = sources()[name]
    return f(1.0), draw()


DERIVATIVES = {
    "grad": lambda f: cr.grad(f)(1.0),
    "of lanes": lambda f: cr.vmap(cr.grad(f))(np.ones(1))[0],
    "forward": lambda f: cr.jacobian(f, mode="forward")(1.0),
    "second": lambda f: 0.5 * cr.grad(cr.grad(lambda x: f(x) * x))(1.0),
}


@pytest.mark.parametrize("derivative", DERIVATIVES)
@pytest.mark.parametrize("name", sources())
def test_a_function_that_fills_its_own_array_draws_once(name, derivative):
    slope, following = of_one_run(name)
    np.random.seed(1)
    random.seed(2)
    f, draw = sources()[name]
    np.testing.assert_allclose(DERIVATIVES[derivative](f), slope, rtol=1e-14)
    assert draw() == following


def test_a_generator_that_is_an_argument_is_drawn_from_once():
    def f(x, rng, more):
        y = np.zeros(2)
        y[0], y[1] = x * rng.normal(), x * more["rng"].normal()
        return y.sum()

    first, second = np.random.default_rng(1), np.random.default_rng(2)
    plain, other = np.random.default_rng(1), np.random.default_rng(2)
    assert cr.grad(f)(1.0, first, {"rng": second}) == f(1.0, plain, {"rng": other})
    assert first.normal() == plain.normal()
    assert second.normal() == other.normal()


def test_a_draw_before_the_refusal_is_drawn_once_by_compile():
    def f(x):
        scale = np.random.normal()
        y = np.zeros(2)
        y[0] = scale * x
        return y.sum()

    np.random.seed(3)
    with pytest.warns(RuntimeWarning, match="draws random numbers"):
        value = cr.compile(f)(2.0)
    following = np.random.normal()
    np.random.seed(3)
    assert (value, following) == (f(2.0), np.random.normal())


def test_both_sides_of_a_tie_see_the_same_draws():
    rng = np.random.default_rng(4)

    def f(x):
        scale = rng.normal()
        if x > 0:
            return scale * x * rng.normal()
        rng.normal()
        return 3.0 * scale * x * rng.uniform()

    plain = np.random.default_rng(4)
    state = plain.bit_generator.state
    above = plain.normal() * plain.normal()
    plain.bit_generator.state = state
    scale, _, width = plain.normal(), plain.normal(), plain.uniform()  # `else`: as at the point
    assert cr.grad(f)(0.0) == pytest.approx((above + 3.0 * scale * width) / 2, rel=1e-15)
    assert rng.normal() == plain.normal()


def test_sides_of_a_tie_see_the_same_draws_where_an_array_is_filled():
    def f(x):
        y = np.zeros(2)
        y[0] = np.random.normal() * x
        y[1] = abs(x) if x >= 0.0 else 5.0 * np.random.normal() * x
        return y.sum()

    for _ in range(2):  # the second time, the array is filled at once
        np.random.seed(5)
        slope, following = cr.grad(f)(0.0), np.random.normal()
        np.random.seed(5)
        first, second = np.random.normal(), np.random.normal()
        assert slope == pytest.approx(first + (1.0 + 5.0 * second) / 2, rel=1e-15)
        assert following == second


def test_a_side_that_raises_leaves_the_generators_where_one_run_does():
    rng = np.random.default_rng(6)

    def f(x):
        if x < 0.0:
            rng.normal()
            raise ValueError("below")
        return rng.normal() * x

    plain = np.random.default_rng(6)
    assert cr.grad(f)(0.0) == plain.normal()
    assert rng.normal() == plain.normal()


def test_a_loop_that_is_traced_until_its_types_are_settled_draws_once():
    rng, plain = np.random.default_rng(7), np.random.default_rng(7)

    def f(x):
        return cr.scan(lambda c, _: (c * x * rng.normal(), None), 1, None, length=2)[0]

    factor = plain.normal()
    assert cr.grad(f)(1.0) == pytest.approx(2.0 * factor**2, rel=1e-15)
    assert rng.normal() == plain.normal()


def test_a_function_that_fills_its_array_is_traced_once_from_the_second_call_on():
    runs = []

    def f(x):
        runs.append(1)
        y = np.empty(2)
        y[0], y[1] = x, x * x
        return y.sum()

    assert cr.grad(f)(3.0) == 7.0
    assert len(runs) == 2
    for g in (cr.grad(f), cr.compile(cr.grad(f)), lambda x: cr.vmap(f)(np.array([x]))[0] - 5.0):
        before = len(runs)
        assert g(3.0) == 7.0
        assert len(runs) == before + 1


def test_other_functions_in_the_same_wrapper_keep_their_plain_arrays():
    def wrapped(g):
        return lambda x: g(x) * 1.0

    def fills(x):
        y = np.zeros(1)
        y[0] = x
        return y[0]

    def plain(x):
        table = np.zeros(2)
        assert type(table) is np.ndarray
        return x * table.sum() + x

    assert cr.grad(wrapped(fills))(1.0) == 1.0
    assert cr.grad(wrapped(plain))(1.0) == 1.0


def test_a_branch_that_needs_plain_arrays_is_traced_with_them_again():
    def f(x, fill):
        y = np.zeros(2)
        if fill:
            y[0] = x
            return y.sum()
        return x * float(memoryview(y)[1]) + x * np.random.normal()

    assert cr.grad(f)(1.0, True) == 1.0
    np.random.seed(8)
    slope, following = cr.grad(f)(1.0, False), np.random.normal()
    np.random.seed(8)
    assert (slope, following) == (np.random.normal(), np.random.normal())


def test_the_error_that_a_filling_function_raises_itself_is_the_one_that_is_seen():
    def f(x):
        y = np.zeros(1)
        y[0] = x
        raise RuntimeError("no convergence")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="no convergence"):
            cr.grad(f)(1.0)


def test_objects_that_make_up_their_attributes_are_left_alone():
    class Odd:
        __slots__ = ("later",)

        def __getattr__(self, name):
            return self

        @property
        def __class__(self):
            raise RuntimeError("not bound")

    odd = Odd()
    assert generators_in(lambda x: odd.value(x)) == []


def test_nothing_is_looked_for_in_functions_that_name_no_generator():
    w = np.ones(3)
    assert generators_in(lambda x: np.sin(x) @ w, np.ones(2), {"a": [1.0]}) == []
