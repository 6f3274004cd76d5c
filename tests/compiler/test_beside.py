"""Steps that run side by side: which do, that nothing else changes, and that errors stay."""

import os
import threading

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler import threads
from chainrule.compiler.native import build
from chainrule.tracing import trace_call
from tests.forking import forks

N = 64


@pytest.fixture(autouse=True)
def restored():
    before = threads.get_threads()
    yield
    threads.set_threads(before)


def matrices(count, seed=0):
    return list(np.random.default_rng(seed).normal(size=(count, N, N)) / np.sqrt(N))


def positive(count):
    return [m @ m.T + np.eye(N) for m in matrices(count)]


def chains(xs):
    out = []
    for x in xs:
        y = x
        for _ in range(4):
            y = np.tanh(y @ x)
        out.append(np.sum(y))
    return sum(out)


def in_layers(xs):
    ys = xs
    for _ in range(3):
        ys = [np.sin(y @ x) for y, x in zip(ys, xs, strict=True)]
    return ys


def factors(xs):
    return [np.linalg.cholesky(x) for x in xs]


def native_of(f, *args, check=None):
    call = trace_call(f, args, {})
    written = {call.count + k: e.target for k, e in enumerate(call.effects)}
    return build(call.program, written, check), [np.array(x) for x in call.operands]


def members(native) -> list[int]:
    """How many members each set of steps that run side by side has."""
    return [len(w.members) for w in native.region.beside.values()]


def same_on_all_threads(native, values):
    found = []
    for n in (1, 2, 4, 3):
        threads.set_threads(n)
        found += [native.run([np.array(v) for v in values]) for _ in range(10)]
    for outputs in found[1:]:
        for a, b in zip(outputs, found[0], strict=True):
            np.testing.assert_array_equal(a, b)
    return found[0]


@pytest.mark.parametrize(
    "f, given", [(chains, matrices), (in_layers, matrices), (factors, positive)]
)
def test_independent_runs_are_members_with_the_same_bits_for_any_number_of_threads(f, given):
    native, values = native_of(f, given(8))
    assert members(native) == [8]
    outputs = same_on_all_threads(native, values)
    wanted = f(values)
    for a, b in zip(outputs, wanted if isinstance(wanted, list) else [wanted], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_the_gradient_of_separate_networks_falls_into_them():
    def loss(xs):
        return chains(xs[:4])

    native, values = native_of(cr.grad(loss), matrices(4))
    assert 4 in members(native)
    outputs = same_on_all_threads(native, values)
    direction = matrices(4, seed=1)
    slope = sum(float(np.vdot(g, d)) for g, d in zip(outputs, direction, strict=True))

    def along(t):
        moved = [x.astype(np.longdouble) + t * d for x, d in zip(values, direction, strict=True)]
        return loss(moved)

    h = np.longdouble(1e-5)
    difference = (8 * (along(h) - along(-h)) - (along(2 * h) - along(-2 * h))) / (12 * h)
    np.testing.assert_allclose(slope, float(difference), rtol=1e-10)


def test_small_and_dependent_steps_stay_one_after_the_other():
    assert members(native_of(lambda xs: [np.sin(x) for x in xs], matrices(3))[0]) == []
    assert members(native_of(lambda x: np.linalg.multi_dot([x] * 8), matrices(1)[0])[0]) == []
    assert members(native_of(lambda xs: in_layers([x[:4, :4] for x in xs]), matrices(8))[0]) == []


def test_a_step_that_joins_all_ends_the_set():
    def f(xs):
        ys = in_layers(xs)
        joined = np.tanh(sum(ys))
        return in_layers([joined @ x for x in xs])

    native, values = native_of(f, matrices(8))
    assert members(native) == [8, 8]
    for a, b in zip(same_on_all_threads(native, values), f(values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def updated(xs, ys):
    """Each x is updated while others still read it, and ys after everything."""
    made = [np.tanh(x @ x) @ y for x, y in zip(xs, ys, strict=True)]
    for k, x in enumerate(xs):
        x[...] = made[k] @ made[k]
        x[3, 5:9] += 1.0
    for k, y in enumerate(ys):
        y[...] = np.sin(y @ xs[k - 1])
    return [m @ y for m, y in zip(made, ys, strict=True)]


def test_arguments_updated_in_place():
    xs, ys = matrices(8), matrices(8, seed=1)
    want_xs, want_ys = [x.copy() for x in xs], [y.copy() for y in ys]
    want = updated(want_xs, want_ys)
    compiled = cr.compile(updated)
    for n in (1, 2, 4):
        threads.set_threads(n)
        got_xs, got_ys = [x.copy() for x in xs], [y.copy() for y in ys]
        got = compiled(got_xs, got_ys)
        for a, b in zip([*got, *got_xs, *got_ys], [*want, *want_xs, *want_ys], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_an_index_out_of_range_beside_updates_leaves_the_arguments_as_they_were():
    def f(xs, table, i):
        picked = [table[i + k] for k in range(8)]
        for x in xs:
            x[...] = np.tanh(x @ x) @ x
        return [p @ x for p, x in zip(picked, xs, strict=True)]

    compiled, table = cr.compile(f), np.zeros((20, 5, N))
    threads.set_threads(2)
    good, xs = np.arange(5), matrices(8)
    compiled([x.copy() for x in xs], table.reshape(100, N), good)
    given = [x.copy() for x in xs]
    with pytest.raises(IndexError):
        compiled(given, table.reshape(100, N), good + 95)
    fresh = [x.copy() for x in xs]
    with pytest.raises(IndexError):
        f(fresh, table.reshape(100, N), good + 95)
    for a, b in zip(given, fresh, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("bad", range(8))
def test_a_matrix_that_is_not_positive_is_found_in_every_member(bad):
    compiled, xs = cr.compile(factors), positive(8)
    threads.set_threads(2)
    for _ in range(5):
        compiled(xs)
    broken = [-x if k == bad else x for k, x in enumerate(xs)]
    with pytest.raises(np.linalg.LinAlgError):
        compiled(broken)
    np.testing.assert_allclose(compiled(xs)[bad], np.linalg.cholesky(xs[bad]), rtol=1e-10)


def test_a_watched_program_names_the_operation_and_runs_step_by_step():
    def f(xs):
        return in_layers([np.log(x) for x in xs])

    native, _ = native_of(f, [abs(x) for x in matrices(8)], check="nan")
    assert members(native) == []
    bad = [abs(x) for x in matrices(8)]
    bad[5][2, 3] = -1.0
    with pytest.raises(cr.errors.NotANumber, match="log"):
        cr.compile(f, check="nan")(bad)


def test_inside_of_a_loop():
    def f(xs):
        for _ in range(2):
            xs = in_layers(xs)
        return xs

    def looped(*xs):
        return cr.scan(lambda c, _: (tuple(in_layers(list(c))), 0.0), xs, None, length=2)[0]

    native, values = native_of(looped, *matrices(8))
    inner = [r.beside for s in native.region.steps for r in getattr(s, "regions", [])]
    assert [len(w.members) for b in inner for w in b.values()] == [8]
    for a, b in zip(same_on_all_threads(native, values), f(values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-11)


def test_from_many_python_threads_at_once():
    compiled, given = cr.compile(chains), [matrices(8, seed=k) for k in range(4)]
    threads.set_threads(3)
    wanted, wrong = [compiled(xs) for xs in given], []

    def call(k):
        wrong.extend(1 for _ in range(30) if compiled(given[k]) != wanted[k])

    callers = [threading.Thread(target=call, args=(k,)) for k in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
    assert not wrong and not any(c.is_alive() for c in callers)


@forks
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_in_a_forked_child():
    compiled, given = cr.compile(chains), matrices(8)
    threads.set_threads(2)
    wanted = compiled(given)
    child = os.fork()
    if child == 0:
        os._exit(0 if compiled(given) == wanted else 1)
    assert os.waitpid(child, 0) == (child, 0)


def test_explain_lists_what_runs_side_by_side():
    compiled, given = cr.compile(factors), positive(3)
    given = [np.kron(np.eye(2), x) for x in given]
    compiled(given)
    for report in (cr.explain(compiled), cr.explain(compiled, given, runs=2)):
        header, *rest = report.rows
        assert header.kind == "side by side" and header.over == "3 runs"
        assert [(r.kind, r.does, r.depth) for r in rest] == [("kernel", "cholesky", 1)] * 3
    assert all(r.calls == 1 for r in rest)


def test_nothing_runs_side_by_side_where_the_arena_would_be_much_larger():
    wide = np.random.default_rng(5).normal(size=(N, 4096))
    back = np.array(np.sin(wide).T, order="C")

    def f(xs):
        return [np.tanh(x @ wide) @ back for x in xs]

    few, _ = native_of(f, [x[:4] for x in matrices(4)])
    assert members(few) == [4]
    given = [x[:4] for x in matrices(64)]
    many, values = native_of(f, given)
    assert members(many) == [] and many.arena_bytes < wide.nbytes + (1 << 20)
    for a, b in zip(same_on_all_threads(many, values), f(given), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


def test_what_all_need_at_first_comes_before():
    def f(xs):
        shared = np.tanh(xs[0] @ xs[1])
        return in_layers([shared + x for x in xs])

    native, values = native_of(f, matrices(8))
    assert members(native) == [8]
    for a, b in zip(same_on_all_threads(native, values), f(values), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
