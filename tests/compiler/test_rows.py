"""Loop kernels that are done together, some rows at a time: when, and that nothing changes."""

import re

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler import building, region, rows, steps
from chainrule.compiler.layout import contiguous
from chainrule.compiler.native import build
from chainrule.compiler.steps import Group
from chainrule.tracing import trace_call

LONG = np.random.default_rng(0).normal(size=(700, 601))  # 3.4 MB, and no whole number of chunks


def softmax(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def normalised(x):
    centred = x - np.mean(x, axis=-1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 1e-5)


def native_of(f, *args):
    call = trace_call(f, args, {})
    written = {call.count + k: e.target for k, e in enumerate(call.effects)}
    return build(call.program, written), [np.array(x) for x in call.operands]


def loops(native) -> list[int]:
    """How many loops each step is."""
    steps = [s for s in native.region.steps if isinstance(s, rows.Rows | Group)]
    return [len(s.parts) if isinstance(s, rows.Rows) else 1 for s in steps]


@pytest.mark.parametrize("f", [softmax, normalised, lambda x: np.var(x, axis=-1)])
@pytest.mark.parametrize("shape", [(700, 601), (7, 100, 601)])
def test_passes_over_long_rows_are_one_step_and_right(f, shape):
    native, values = native_of(f, LONG.reshape(shape))
    assert len(loops(native)) == 1 and loops(native)[0] > 1
    np.testing.assert_allclose(native.run(values)[0], f(values[0]), rtol=1e-12, atol=1e-14)


def turned(x):
    waves = np.sin(x) - np.max(np.sin(x), axis=-1, keepdims=True)
    return np.cos(waves) / np.sum(np.cos(waves), axis=-1, keepdims=True)


def test_loops_with_functions_of_their_own_beside_them_are_one_step():
    native, values = native_of(turned, LONG)
    assert max(loops(native)) > 1
    np.testing.assert_allclose(native.run(values)[0], turned(values[0]), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("f", [softmax, normalised])
def test_what_stays_in_the_cache_is_done_loop_by_loop(f):
    native, _ = native_of(f, LONG[:20])
    assert set(loops(native)) == {1}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", [softmax, normalised])
def test_gradient_has_the_bits_of_loops_done_one_by_one(f, dtype, monkeypatch):
    def gradient(x):
        return cr.grad(lambda x: np.sum(f(x) ** 3))(x)

    x = LONG.astype(dtype)
    together, values = native_of(gradient, x)
    assert max(loops(together)) > 1
    monkeypatch.setattr(rows, "_SHARED_BYTES", 1 << 60)
    apart, _ = native_of(gradient, x)
    assert max(loops(apart)) == 1
    np.testing.assert_array_equal(together.run(values)[0], apart.run(values)[0])


def test_bits_do_not_depend_on_the_number_of_threads():
    compiled, found = cr.compile(normalised), []
    before = cr.get_threads()
    try:
        for count in (1, 2, 3):
            cr.set_threads(count)
            found.append(compiled(LONG))
    finally:
        cr.set_threads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_array_that_others_read_across_rows_is_made_before():
    def f(x):
        y = x - np.mean(x, axis=1, keepdims=True)
        return y - np.mean(y.T, axis=1, keepdims=True)  # column i of what row i needs

    native, values = native_of(f, LONG[:600, :600])
    assert len(loops(native)) > 1
    np.testing.assert_allclose(native.run(values)[0], f(values[0]), rtol=1e-12, atol=1e-14)


def test_argument_is_updated_row_by_row_in_its_own_memory():
    def centre(x):
        x -= np.mean(x, axis=1, keepdims=True)
        x /= np.sqrt(np.mean(x**2, axis=1, keepdims=True))

    x, wanted = LONG.copy(), LONG.copy()
    native, _ = native_of(centre, x)
    (step,) = native.region.steps
    assert len(step.parts) > 1 and step.results()[-1].root.final.place == ("input", 0)
    cr.compile(centre)(x)
    centre(wanted)
    np.testing.assert_allclose(x, wanted, rtol=1e-12, atol=1e-14)


def test_argument_that_is_read_across_its_rows_is_not_written_over_too_early():
    def f(x):
        y = x.T - np.mean(x, axis=1, keepdims=True)  # reads a column where it would write a row
        x[:] = y / np.sqrt(np.mean(y**2, axis=1, keepdims=True))

    x, wanted = LONG[:600, :600].copy(), LONG[:600, :600].copy()
    native, _ = native_of(f, x)
    assert max(loops(native)) > 1
    cr.compile(f)(x)
    f(wanted)
    np.testing.assert_allclose(x, wanted, rtol=1e-12, atol=1e-14)


@pytest.fixture
def few_rows(monkeypatch):
    monkeypatch.setattr(rows, "_SHARED_BYTES", 1)
    monkeypatch.setattr(rows, "_CHUNK_BYTES", 200)


def test_what_is_read_in_a_row_is_not_made_over_by_a_wider_array_of_rows_before(few_rows):
    def f(x, y):  # z is as long as the two arrays together that are done with when it is made
        p, q = np.cumsum(y, axis=1), np.cumsum(-y, axis=1)
        z = x - np.max(p + 0.5 * q, axis=1, keepdims=True)
        return np.cumsum(z, axis=1)

    native, values = native_of(f, LONG[:64, :16], LONG[:64, :16].astype(np.float32))
    assert max(loops(native)) > 1
    np.testing.assert_allclose(native.run(values)[0], f(*values), rtol=1e-5, atol=1e-5)


def test_what_is_read_across_its_rows_is_not_written_over_row_by_row(few_rows):
    def f(x):
        s = np.cumsum(x, axis=1)
        y = s - np.sum(s.T * x, axis=1, keepdims=True)
        return np.cumsum(y, axis=1)

    native, values = native_of(f, LONG[:32, :32])
    assert max(loops(native)) > 1
    np.testing.assert_allclose(native.run(values)[0], f(values[0]), rtol=1e-11, atol=1e-11)


def test_parts_of_rows_are_done_row_by_row(few_rows):
    def f(x):
        y = x / np.sum(x * x, axis=1, keepdims=True)
        z = np.cumsum(y, axis=1)
        return z[:, 1:] / np.max(z[:, :-1], axis=1, keepdims=True)

    native, values = native_of(f, LONG[:32, :33])
    assert max(loops(native)[-2:]) > 1
    np.testing.assert_allclose(native.run(values)[0], f(values[0]), rtol=1e-11, atol=1e-13)


def test_rows_that_are_too_long_to_stay_are_not_waited_for():
    native, _ = native_of(softmax, LONG.reshape(-1)[:400_000].reshape(4, 100_000))
    assert set(loops(native)) == {1}


@pytest.mark.parametrize("size", [1, 24])
def test_random_programs_by_rows_agree_with_numpy(size, monkeypatch):
    monkeypatch.setattr(rows, "_SHARED_BYTES", 1)
    monkeypatch.setattr(rows, "_CHUNK_BYTES", 200)
    rng, joined = np.random.default_rng(size), 0
    for _ in range(20):
        names = rng.choice(["softmax", "normal", "row", "column", "turn", "add"], size=5)

        def f(x, names=names):
            first = x
            for name in names:
                if name in ("softmax", "normal"):
                    x = {"softmax": softmax, "normal": normalised}[name](x)
                elif name == "turn":
                    x = x.T + 0.5 * x
                elif name == "add":
                    x = x * 2.0 + first
                else:
                    axis = 1 if name == "row" else 0
                    x = x - np.max(x, axis=axis, keepdims=True)
            return x, np.sum(x, axis=1)

        native, values = native_of(f, rng.normal(size=(size, size)))
        joined += max(loops(native), default=1) > 1
        for got, want in zip(native.run(values), f(values[0]), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
    assert joined > 5 or size == 1


def test_explain_shows_the_loops_of_a_step():
    compiled = cr.compile(softmax)
    text = str(cr.explain(compiled, LONG))
    assert re.search(  # the argument and the result: each goes through memory once
        r"^rows +\d+ at a time through \d loops +700 +[\d.]+ M +6\.\d+ MiB", text, re.MULTILINE
    )
    assert re.search(r"^  loop +max over \(1,\)", text, re.MULTILINE)


@pytest.mark.parametrize("f", [lambda x: (np.sin(x), np.exp(x[:, 1:])), turned])
def test_texts_are_written_when_the_program_is_and_not_when_its_memory_is_planned(f, monkeypatch):
    """A program that is only measured, for another that keeps less, needs no text."""
    written = []
    for module, name in ((steps, "emit_loop"), (rows, "emit_row_chunks")):
        real = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *a, n=name, real=real: written.append((n, a[0])) or real(*a)
        )
    program = building.prepare(trace_call(f, [LONG], {}).program)
    made = region.Region(
        program, [(t.nbytes, contiguous(t.shape)) for t in program.in_types], {}, False
    )
    planned = [x for n, x in written if n == "emit_row_chunks" or not x.reductions]
    assert planned == [] and made.steps
    region.Writer(region.Module()).main(made)
    assert any(n == "emit_row_chunks" or not x.reductions for n, x in written)
