"""Initialisations: variances of the formulas, and orthonormal rows or columns."""

import numpy as np
import pytest

from chainrule.nn import init

N, M = 300, 500

VARIANCES = {
    "small": 1e-10, "slide": 1 / (2 * N), "lecun": 1 / N, "he": 2 / N, "glorot": 2 / (N + M),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANCES)
def test_the_variance_is_that_of_the_formula(name):
    found = init.initial(name, 1, (N, M), N, M, "d")
    assert abs(found.mean()) < 5 * np.sqrt(VARIANCES[name] / (N * M))
    np.testing.assert_allclose(found.var(), VARIANCES[name], rtol=5 * np.sqrt(2 / (N * M)))


def test_glorots_weights_stay_within_the_bound():
    found = init.initial("glorot", 2, (N, M), N, M, "d")
    assert np.abs(found).max() <= np.sqrt(6) / np.sqrt(N + M)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (2, 3, 4)])
def test_orthogonal(shape):
    matrix = init.initial("orthogonal", 3, shape, 1, 1, "d").reshape(-1, shape[-1])
    gram = matrix.T @ matrix if matrix.shape[0] >= matrix.shape[1] else matrix @ matrix.T
    np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-14)


def test_a_relu_layer_of_the_slides_weights_keeps_a_quarter_of_the_variance():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(2000, N))
    for name, kept in (("slide", 0.25), ("he", 1.0)):
        w = init.initial(name, 5, (N, N), N, N, "d")
        second_moment = (np.maximum(x @ w, 0) ** 2).mean()
        np.testing.assert_allclose(second_moment, kept, rtol=0.05)


def test_the_same_seed_gives_the_same_weights():
    first, second = (init.initial("he", 7, (3, 4), 3, 4) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_unknown_names_and_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="orthogonal"):
        init.initial("kaiming", 0, (2, 2), 2, 2)
    with pytest.raises(ValueError, match=r"\(3,\)"):
        init.initial(lambda *_: np.zeros(3), 0, (2, 2), 2, 2)
