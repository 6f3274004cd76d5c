"""Derivatives kept on disk: made once, right again, and of nothing else."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import derived as derived_programs
from chainrule.compiler import source

FACTOR = 2.0


@pytest.fixture(autouse=True)
def made(monkeypatch, tmp_path):
    """The kinds of the derivatives that are worked out."""
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "kept"))
    kinds: list = []
    real = derived_programs._made

    def noting(kind, *rest):
        kinds.append(kind)
        return real(kind, *rest)

    monkeypatch.setattr(derived_programs, "_made", noting)
    return kinds


def compiled_anew(f, *args):
    """As in another process: nothing is in memory but what is on disk."""
    derived_programs._cache.clear()
    return cr.compile(f)(*args)


def curve(x):
    return np.sum(np.exp(x) * x / 3.0)


def test_a_gradient_is_worked_out_once(made):
    x = np.array([0.5, -2.0])
    first, second = [compiled_anew(cr.grad(curve), x) for _ in range(2)]
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, np.exp(x) * (1 + x) / 3.0, rtol=1e-15)
    assert made == ["gradient"]


def test_a_jacobian_is_worked_out_once(made):
    x = np.array([0.5, -2.0])
    found = [compiled_anew(cr.jacobian(lambda x: x**3), x) for _ in range(2)]
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_allclose(found[0], np.diag(3 * x**2), rtol=1e-15)
    assert made == ["jacobian"]


@pytest.mark.parametrize(
    "other",
    [
        cr.grad(curve, stabilize=False), cr.grad(curve, kinks="raise"), cr.value_and_grad(curve),
        cr.grad(lambda x: np.sum(np.exp(x) * x / 4.0)), cr.jacobian(curve),
    ],
)  # fmt: skip
def test_what_is_asked_for_tells_derivatives_apart(other, made):
    x = np.array([0.5, -2.0])
    compiled_anew(cr.grad(curve), x)
    compiled_anew(other, x)
    assert len(made) == 2


def test_a_gradient_in_a_loop_is_worked_out_once(made):
    def f(x):
        return cr.scan(lambda c, row: (c + cr.grad(curve)(row), c), 0.0 * x[0], x)[0]

    x = np.array([[0.5, -2.0], [1.0, 0.25]])
    for _ in range(2):
        found = compiled_anew(f, x)
        np.testing.assert_allclose(found, np.sum(np.exp(x) * (1 + x) / 3.0, axis=0), rtol=1e-15)
    assert made == ["gradient"]


def test_the_source_is_read_once_for_derivatives_and_code():
    compiled_anew(cr.grad(curve), np.ones(2))
    source.source_digest.cache_clear()
    compiled_anew(cr.grad(lambda x: np.sum(np.sin(x))), np.ones(2))
    assert source.source_digest.cache_info().misses == 1


def test_a_tie_is_settled_by_what_was_kept(made):
    def f(x):
        return np.sum(np.maximum(x, 0.0) - np.maximum(-x, 0.0) + np.abs(x))

    x = np.array([0.0, 2.0, -3.0])
    for _ in range(2):
        np.testing.assert_array_equal(compiled_anew(cr.grad(f), x), [1.0, 2.0, 0.0])
    assert made.count("gradient") == 1


def test_a_second_derivative_sees_through_what_was_kept(made):
    f = cr.grad(lambda x: np.abs(x) * x * x)
    for _ in range(2):
        assert compiled_anew(cr.grad(f), 2.0) == 12.0
        assert compiled_anew(cr.grad(f), 0.0) == 0.0
    assert made.count("gradient") == 2


class First:
    @staticmethod
    def f(x, i):
        return np.sum(np.take(x, i) ** 2)


class Second:
    @staticmethod
    def f(x, i):
        return np.sum(np.take(x, i) ** 2)


def test_errors_name_the_line_of_the_function_at_hand(made):
    x = np.arange(3.0)
    compiled_anew(cr.grad(First.f), x, np.array([0, 2]))
    with pytest.raises(IndexError) as error:
        compiled_anew(cr.grad(Second.f), x, np.array([0, 7]))
    assert made == ["gradient"]
    told = "\n".join([str(error.value), *getattr(error.value, "__notes__", [])])
    assert f"test_kept_derivatives.py:{Second.f.__code__.co_firstlineno + 2}" in told


def test_a_rule_of_the_users_is_asked_each_time(monkeypatch):
    @cr.custom_derivative
    def f(x):
        return x * x

    f.forward(lambda primals, out, tangents: FACTOR * primals[0] * tangents[0])
    assert compiled_anew(cr.grad(f), 3.0) == 6.0
    monkeypatch.setitem(globals(), "FACTOR", 5.0)
    assert compiled_anew(cr.grad(f), 3.0) == 15.0


def test_nothing_is_kept_outside_of_compiled_functions(tmp_path):
    assert cr.grad(lambda x: x * x)(3.0) == 6.0
    assert not (tmp_path / "kept").exists()


def test_nothing_is_kept_once_the_source_has_changed(made, monkeypatch):
    monkeypatch.setattr(source, "source_digest", lambda loaded: None)
    for _ in range(2):
        compiled_anew(cr.grad(curve), np.ones(2))
    assert made == ["gradient", "gradient"]
