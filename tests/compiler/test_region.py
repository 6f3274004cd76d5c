"""The code around a program's kernel calls: short however many arrays there are, and what is at
hand in loops, branches and loops inside these."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler.budget import fitted
from chainrule.compiler.building import prepare
from chainrule.compiler.region import Module, Writer


def _main(f, arguments) -> str:
    program = cr.trace(f, arguments)
    text = Writer(Module()).main(fitted(prepare(program), {}, False, None, program))[-1]
    return text[text.index("@main(") :]


def _lines_of_main(f, arguments) -> int:
    return _main(f, arguments).count("\n")


def _plain(arrays):
    """Products that cannot be one kernel, each of an array of its own."""
    return [x @ x for x in arrays]


def _in_a_loop(arrays):
    def body(i, totals):
        return [t + x @ t for t, x in zip(totals, arrays, strict=True)]

    return cr.fori_loop(0, 3, body, [x + 1 for x in arrays])


@pytest.mark.parametrize("f", [_plain, _in_a_loop])
def test_main_is_as_long_for_many_arrays_as_for_few(f):
    few, many = ([np.ones((9, 9)) for _ in range(n)] for n in (3, 40))
    assert _lines_of_main(f, many) == _lines_of_main(f, few)


def _while(arrays):
    return cr.while_loop(lambda x: np.sum(x) < 9.0, lambda x: x @ x, arrays[0])


@pytest.mark.parametrize("f, hastily", [(_plain, True), (_in_a_loop, False), (_while, False)])
def test_only_a_main_that_does_everything_once_is_compiled_in_haste(f, hastily):
    head = _main(f, [np.ones((9, 9))]).partition("{")[0]
    assert ("optnone" in head) == hastily


def test_loops_in_branches_in_loops_find_what_lies_around_them():
    def f(flags, rows, w, start):
        def step(carry, inputs):
            flag, row = inputs

            def yes(v):
                return cr.fori_loop(0, 2, lambda i, u: np.tanh(w @ u + row + rows[i]), v)

            def no(v):
                return cr.scan(lambda u, r: (u + r * v, u @ row), v, rows)[0]

            following = cr.cond(flag, yes, no, carry)
            return following, following @ w

        return cr.scan(step, start, (flags, rows))

    rng = np.random.default_rng(7)
    flags = np.array([True, False, False, True, True])
    rows, w, start = rng.normal(size=(5, 4)), rng.normal(size=(4, 4)) / 4, rng.normal(size=4)
    v, seen = start, []
    for flag, row in zip(flags, rows, strict=True):
        u = v
        if flag:
            for i in range(2):
                u = np.tanh(w @ u + row + rows[i])
        else:
            for r in rows:
                u = u + r * v
        v = u
        seen.append(v @ w)
    found, outputs = cr.compile(f)(flags, rows, w, start)
    np.testing.assert_allclose(found, v, rtol=1e-13)
    np.testing.assert_allclose(outputs, seen, rtol=1e-13)
