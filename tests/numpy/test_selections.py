"""x[mask] where the mask is not known: compile and vmap agree with plain NumPy, and the derivatives
with central differences of plain NumPy (away from the mask's edges, convergence checked)."""

import itertools
import warnings

import numpy as np
import pytest

import chainrule as cr
from chainrule.program.tree import flatten

X = np.array([0.7, -0.4, 1.3, 0.2, -1.1, 0.9])
W = np.array([2.0, -1.0, 0.5, 3.0, 1.5, -0.7])


def assigned(x):
    y = np.sin(x)
    y[x < 0] = (x * x)[x < 0]
    return y @ W


def updated(x):
    y = x.copy()
    m = x > 0
    y[m] += 2.0 * x[0]
    y[~m] *= -0.1
    y[m] **= 2
    return y @ W


def filled(x):
    y = np.empty_like(x)
    m = x > 0.0
    y[m] = np.log(x[m])
    y[~m] = np.exp(x[~m]) * W[0]
    return y @ W


def own(x):
    y = np.zeros(6)
    m = np.abs(x) > 0.5
    y[m] = 1.0 / x[m]
    return (y**2).sum()


def rows(x):
    a = x.reshape(3, 2)
    chosen = a[a[:, 0] > 0]
    return (chosen**2).sum() + (chosen @ W[:2]).sum() + chosen.mean(axis=0) @ W[:2]


def rows_reduced_within(x):
    a = x.reshape(3, 2)
    chosen = a[a[:, 0] > 0]
    far = np.sqrt((chosen**2).sum(axis=1)) + np.linalg.norm(chosen, axis=1) + chosen[:, 1]
    return far.sum() + chosen[..., 0].max() + (chosen[:, :, None] * W[:2]).sum()


def entries_of_a_matrix(x):
    a = np.outer(x, x)
    upper = a[a > 0.3]
    return upper.sum() / upper.size + upper.mean() + upper.shape[0] * x[0]


def rows_written(x):
    a = np.outer(x, W)
    m = x > 0
    a[m] = W * 2.0 * x[0]
    a[m, 1] = x[m] ** 2
    a[~m, 2:] *= x[1]
    return (a**2).sum()


def within(x):
    v = x[x > 0]
    v = v[v < 1.0] * 2.0
    v[v > 1.5] = 0.5
    return (v**2).sum() + v[v > 1.0].sum()


def places(x):
    (i,) = np.nonzero(x > 0)
    j = np.where(x < 0)[0]
    k = np.flatnonzero(x > 0.5)
    y = np.zeros(6)
    y[i] = x[i] ** 2
    y[j] = W[0] * x[j]
    y[i] += W[1]
    return y @ W + (x[k] * cr.numpy.asarray(W)[k]).sum() + i.size * x[1] + (x[i] * i).sum()


def places_of_a_matrix(x):
    a = np.outer(x, W)
    i, j = np.nonzero(a > 0)
    return (a[i, j] * x[i]).sum()


def chosen_by_functions(x):
    v = x[x > 0]
    w = np.where(v > 0.8, v**2, 3.0 * v)
    u = np.clip(v, 0.3, 1.0) + np.interp(v, [0.0, 1.0, 2.0], [0.0, 3.0, 1.0])
    z = np.maximum(v, 0.5) * np.ones_like(v) + np.round(v) + np.polyval([1.0, 2.0], v)
    return w.sum() + (u * z).sum() + np.average(v, weights=v**2) + np.ptp(v)


def in_place(x):
    v = x[x > 0]
    w = v
    w *= 2.0
    w[:] = w + 1.0
    v -= x[0]
    return (v**3).sum() + np.extract(x > 0, x).sum() + np.compress(x < 0, x).sum()


def running(x):
    v = x[x > 0]
    return (np.cumsum(v) * v).sum() + np.cumprod(v).max()


def many(x):
    m = x > 0
    return (
        x[m].prod() + x[m].var() + x[m].std(ddof=1) + x[m].min() + np.max(x[m])
        + np.linalg.norm(x[m]) + np.dot(x[m], x[m] ** 2) + x[m] @ cr.numpy.asarray(W)[m]
        + np.vdot(x[m], x[m]) + np.add.reduce(x[m]) + sum([x[m].sum(), m.sum()])
        + x[m & (x < 1)].sum() + np.linalg.norm(x[m], 1) + np.linalg.norm(x[m], np.inf)
        + (x[m] > 0.5).sum() * x[0] + (x[m] > 0.5).any() * x[0] + np.count_nonzero(x[m]) * x[1]
    )  # fmt: skip


def in_order(x):
    v = x[x > 0]
    w = np.sort(x[x > -0.5] ** 2)
    return (
        v[0] * v[-1] + 2.0 * v[1] + np.median(v) + np.median(x[x > -0.5]) + w[1] + 2.0 * w.sum()
        + np.quantile(v, 0.3) + np.percentile(x[x < 1], [10.0, 50.0, 80.0]) @ W[:3]
        + x.reshape(3, 2)[x[:3] > 0][1] @ W[:2] + np.cumsum(w)[2]
    )  # fmt: skip


def placed(x):
    y, z = np.zeros(6), np.sin(x)
    np.place(y, x > 0, x[:3])
    np.place(z, x < 0, x[3])
    np.putmask(z, x > 1, x**2)
    return y @ W + (z**2).sum()


CASES = [
    lambda x: x[x > 0].sum(), lambda x: x[x > 0].mean(), lambda x: np.median(x) * x[x < 1].max(),
    lambda x: np.sum(np.sin(x[x > 0]) * np.exp(-x[x > 0])), lambda x: (x * x)[x < W].sum(),
    lambda x: np.sqrt(x[x > 0]).sum(), lambda x: (1.0 / x[x != 0.0]).sum(),
    lambda x: ((x[x > 0] - x[x > 0].mean()) ** 2).mean(),
    assigned, updated, filled, own, rows, rows_reduced_within, entries_of_a_matrix, rows_written,
    within, in_order, placed, places, places_of_a_matrix, chosen_by_functions,
    in_place, running, many,
]  # fmt: skip


def slope_of(f, x):
    """Central differences with two extrapolations: errors of order h**6."""
    found = []
    for step in 1e-3 * np.eye(len(x)):
        rough = [(f(x + h) - f(x - h)) / (2 * np.abs(h).sum()) for h in (step, step / 2, step / 4)]
        finer = [(4 * b - a) / 3 for a, b in itertools.pairwise(rough)]
        assert finer[0] == pytest.approx(finer[1], rel=1e-6, abs=1e-7)
        found.append((16 * finer[1] - finer[0]) / 15)
    return found


@pytest.mark.parametrize("f", CASES)
def test_a_selection_by_a_mask_that_is_not_known(f):
    slope = slope_of(f, X)
    assert cr.compile(f)(X) == pytest.approx(f(X), rel=1e-13)
    both = np.stack([X, X[::-1]])
    np.testing.assert_allclose(cr.vmap(f)(both), [f(X), f(X[::-1].copy())], rtol=1e-13)
    for g in (cr.grad(f), cr.compile(cr.grad(f)), lambda x: cr.vmap(cr.grad(f))(x[None])[0]):
        np.testing.assert_allclose(g(X), slope, rtol=1e-8, atol=1e-9)


def test_one_compiled_function_serves_every_mask():
    f = lambda x: np.log(x[x > 0]).sum() + x[x <= 0].sum()
    g, h = cr.compile(f), cr.compile(cr.grad(f))
    for x in (X, -X, np.abs(X), -np.abs(X), X[::-1].copy()):
        assert g(x) == pytest.approx(f(x), rel=1e-14)
        np.testing.assert_allclose(h(x), np.where(x > 0, 1.0 / x, 1.0), rtol=1e-14)


def test_second_derivatives_of_a_selection():
    f = lambda x: np.sqrt(x[x > 0]).sum()
    expected = np.diag(np.where(X > 0, -0.25 * np.abs(X) ** -1.5, 0.0))
    np.testing.assert_allclose(cr.compile(cr.hessian(f))(X), expected, rtol=1e-13)


def test_an_empty_selection():
    f = lambda x: (x[x > 9].sum(), x[x > 9].max(), x[x > 9].prod(), x[x > 9].size)
    assert cr.compile(f)(X) == (0.0, -np.inf, 1.0, 0)
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning):
        assert np.isnan(X[X > 9].mean())
    assert np.isnan(cr.compile(lambda x: x[x > 9].mean())(X))
    assert not cr.compile(cr.grad(lambda x: np.log(x[x > 9]).sum()))(X).any()


def test_too_short_a_selection_gives_nan():
    f = lambda x: (x[x > 0.8][0], x[x > 0.8][2], x[x > 0.8][-3], np.median(x[x > 9]))
    np.testing.assert_array_equal(cr.compile(f)(X), [1.3, np.nan, np.nan, np.nan])
    g = lambda x: np.median(np.where(x > 0, x, np.nan)[x < 1])
    assert np.isnan(cr.compile(g)(X))


def test_whole_numbers_and_truth_values_are_selected():
    n = np.array([3, -1, 4, -1, 5])
    f = lambda n: (n[n > 0].sum(), n[n > 0].max(), n[n < 9].min(), (n > 3)[n > 0].any(),
                   n[n > 0].mean())  # fmt: skip
    assert cr.compile(f)(n) == f(n)


def test_a_selection_in_the_body_of_a_loop():
    def step(y, x):
        return y + x[x > y].sum(), y

    f = lambda x: cr.scan(step, 0.0, np.stack([x, 2.0 * x]))[0]
    y = X[X > 0].sum()
    assert f(X) == pytest.approx(y + (2.0 * X)[y < 2.0 * X].sum(), rel=1e-15)
    assert cr.compile(f)(X) == pytest.approx(f(X), rel=1e-15)


NEEDS_THE_SHAPE = {
    "len": lambda x: len(x[x > 0]) * x[0],
    "for": lambda x: sum(v for v in x[x > 0]),
    "returned": lambda x: x[x > 0],
    "in a list": lambda x: [x[x > 0]],
    "diff": lambda x: np.diff(x[x > 0]).sum(),
    "some elements": lambda x: x[x > 0][1:].sum(),
    "two masks": lambda x: (x[x > 0] * x[x < 1]).sum(),
    "two masks to write": lambda x: x.copy().__setitem__(x > 0, x[x < 1]),
    "an array": lambda x: (x[x > 0] * W[:4]).sum(),
    "an array to write": lambda x: x.copy().__setitem__(x > 0, W[:4]),
    "concatenate": lambda x: np.concatenate([x[x > 0], x[x < 0]]).sum(),
    "concatenated": lambda x: np.concatenate([x, x[x > 0]]).sum(),
    "if": lambda x: x[0] if x[x > 0] else x[1],
    "float": lambda x: float(x[x > 0]) * x[0],
    "asarray": lambda x: np.asarray(x[x > 0]).sum(),
    "transposed": lambda x: (x.reshape(3, 2)[x[:3] > 0].T @ x[:2]).sum(),
    "kept dims": lambda x: x[x > 0].sum() + np.sum(x[x > 0], keepdims=True),
    "inner": lambda x: cr.grad(lambda v: v.sum())(x[x > 0]),
    "stored": lambda x: cr.numpy.zeros(3).__setitem__(slice(None), x[x > 0]),
    "some index": lambda x: x.reshape(3, 2)[:, x[:2] > 0].sum(),
}


def outcome(f, x):
    """The arrays that a function gives, or the class of its error."""
    try:
        return flatten(f(x))[0]
    except (TypeError, ValueError) as error:
        return TypeError if isinstance(error, TypeError) else ValueError


@pytest.mark.parametrize("name", NEEDS_THE_SHAPE)
def test_what_needs_the_shape_is_evaluated_and_says_the_line_and_the_way_out(name):
    f = NEEDS_THE_SHAPE[name]
    line = f.__code__.co_firstlineno
    for g, x in ((f, X), (cr.vmap(f), X[None])):
        wanted = outcome(g, x)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always", RuntimeWarning)
            found = outcome(cr.compile(g), x)
        if isinstance(wanted, type):
            assert found is wanted and not said
            continue
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-15)
        (warning,) = said
        assert "the shape of x[mask] depends on the mask's value" in str(warning.message)
        assert f"test_selections.py:{line}" in str(warning.message)
        assert "np.where(mask, x, 0)" in str(warning.message)


def test_a_mask_of_another_length_is_refused_as_in_numpy():
    for f in (lambda x: x[:4][x > 0].sum(), lambda x: x.copy().__setitem__(x[:4] > 0, x[x > 0])):
        with pytest.raises(IndexError, match="boolean index did not match"):
            cr.compile(f)(X)


def test_where_the_mask_is_known_nothing_changes():
    f = lambda x: np.sort(x[x > 0])[0] * len(x[x > 0])
    assert np.array_equal(cr.grad(f)(X), [0.0, 0.0, 0.0, 4.0, 0.0, 0.0])
    assert np.array_equal(cr.compile(lambda x: x[W > 0][0])(X), X[0])
