"""Colourings: every entry is read back from its own place, with as few passes as known bounds."""

import numpy as np
import pytest
from scipy import sparse

from chainrule.transforms import colouring
from chainrule.transforms.colouring import colour, columns_of, star_colours


def random_pattern(rng, height, width, density):
    made = sparse.random_array(
        (height, width), density=density, rng=rng, format="csr", dtype=np.float64
    )
    return made.astype(bool)


def entries_read(found, values):
    """The entries as a pass over the dense matrix `values` for each colour gives them."""
    tangents = found.tangent == np.arange(found.forward)[:, None]
    cotangents = found.cotangent == np.arange(found.reverse)[:, None]
    results = [(tangents @ values.T).ravel(), (cotangents @ values).ravel()]
    return np.concatenate(results)[found.place]


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse", "mixed"])
@pytest.mark.parametrize("density", [0.0, 0.03, 0.2, 1.0])
def test_every_entry_is_read_back(mode, density):
    rng = np.random.default_rng(3)
    for height, width in ((30, 40), (40, 30), (1, 9), (9, 1)):
        pattern = random_pattern(rng, height, width, density).tolil()
        pattern[0, :] = True
        pattern = pattern.tocsr()
        values = pattern.toarray() * rng.normal(size=(height, width))
        found = colour(pattern, 1.0, 1.3, mode=mode)
        np.testing.assert_allclose(entries_read(found, values), values[found.rows, found.columns])
        assert len(found.rows) == pattern.nnz
        assert mode != "forward" or found.reverse == 0
        assert mode != "reverse" or found.forward == 0


@pytest.mark.parametrize("density", [0.02, 0.1, 0.4])
def test_every_entry_of_a_symmetric_matrix_is_read_back(density):
    rng = np.random.default_rng(4)
    half = random_pattern(rng, 40, 40, density)
    for diagonal in (0, 1):
        pattern = (half + half.T + diagonal * sparse.eye_array(40, dtype=bool)).tocsr().astype(bool)
        whole = rng.normal(size=(40, 40))
        values = pattern.toarray() * (whole + whole.T)
        found = colour(pattern, 1.0, 1.0, symmetric=True)
        np.testing.assert_allclose(entries_read(found, values), values[found.rows, found.columns])
        assert found.reverse == 0


def banded(size, below, above):
    offsets = list(range(-below, above + 1))
    return sparse.diags_array(
        [np.ones(size)] * len(offsets), offsets=offsets, shape=(size, size), dtype=bool
    ).tocsr()


def test_banded_matrices_need_as_many_colours_as_diagonals():
    for below, above in ((0, 0), (1, 1), (0, 4), (3, 2)):
        colours = columns_of(banded(50, below, above))
        assert colours.max() + 1 == below + above + 1


def test_a_matrix_with_full_rows_and_columns_takes_both_kinds_of_passes():
    size = 60
    pattern = sparse.eye_array(size, dtype=bool).tolil()
    pattern[0, :] = True
    pattern[:, 1] = True
    found = colour(pattern.tocsr(), 1.0, 1.0)
    assert (found.forward, found.reverse) == (2, 1)


def test_a_matrix_with_full_columns_takes_these_by_tangents_and_the_rest_by_cotangents():
    size = 60
    pattern = banded(size, 0, 0).tolil()
    pattern[:, :2] = True
    pattern[3:6, :] = True
    found = colour(pattern.tocsr(), 1.0, 1.0)
    assert found.forward + found.reverse <= 6


def test_what_has_too_full_a_line_is_not_tried(monkeypatch):
    """An arrow: 2 tangents where its full column is a pass of its own, 40 cotangents at least."""
    pattern = banded(40, 0, 0).tolil()
    pattern[:, 0] = True
    tried = []

    def columns(matrix):
        tried.append(matrix.shape)
        return columns_of(matrix)

    monkeypatch.setattr(colouring, "columns_of", columns)
    found = colour(pattern.tocsr(), 1.0, 1.0)
    assert (found.forward, found.reverse) == (2, 0)
    assert len(tried) == 1


def cost(found, forward, reverse):
    return found.forward * forward + found.reverse * reverse


@pytest.mark.parametrize("prices", [(1.0, 1.0), (1.0, 7.0), (5.0, 1.0)])
def test_what_is_not_tried_is_not_cheaper(prices):
    """Against all that might be tried, made one by one."""
    rng = np.random.default_rng(6)
    for density in (0.02, 0.08, 0.3):
        pattern = random_pattern(rng, 35, 45, density).tolil()
        pattern[rng.integers(35, size=2), :] = True
        pattern[:, rng.integers(45, size=1)] = True
        pattern = pattern.tocsr()
        everything = [colour(pattern, *prices, mode=m) for m in ("forward", "reverse")]
        everything += [make() for _, make in colouring._divided(pattern, *prices)]
        least = min(cost(c, *prices) for c in everything)
        assert cost(colour(pattern, *prices), *prices) == least
        for bound, make in colouring._divided(pattern, *prices):
            assert bound <= cost(make(), *prices)


def test_a_star_needs_two_colours_where_columns_need_all():
    size = 30
    arrow = sparse.eye_array(size, dtype=bool).tolil()
    arrow[0, :] = True
    arrow[:, 0] = True
    arrow = arrow.tocsr()
    assert columns_of(arrow).max() + 1 == size
    assert star_colours(arrow).max() + 1 == 2
    assert colour(arrow, 1.0, 1.0, symmetric=True).forward == 2


def test_every_path_of_four_has_three_colours():
    rng = np.random.default_rng(5)
    half = random_pattern(rng, 25, 25, 0.1)
    pattern = (half + half.T).tocsr().astype(bool)
    colours = star_colours(pattern)
    near = [set(pattern.indices[a:b]) - {i} for i, (a, b) in enumerate(
        zip(pattern.indptr[:-1], pattern.indptr[1:], strict=True))]  # fmt: skip
    for b in range(25):
        for c in near[b]:
            assert colours[b] != colours[c]
            for a in near[b] - {c}:
                for d in near[c] - {a, b}:
                    assert len({colours[i] for i in (a, b, c, d)}) >= 3
