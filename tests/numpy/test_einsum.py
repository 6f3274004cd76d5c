"""np.einsum through a trace, against NumPy."""

import numpy as np
import pytest

from chainrule.errors import ShapeError
from tests.numpy.against_numpy import check_same, through_trace
from tests.ops.differentiation import check_derivatives


def normal(*shape):
    return np.random.default_rng(len(shape) + sum(shape)).standard_normal(shape)


SUMS = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ij,jk->ki", (2, 3), (3, 4)),
    ("ij->ji", (2, 3)), ("ii", (3, 3)), ("ii->i", (3, 3)), ("ij->", (2, 3)), ("ij->j", (2, 3)),
    ("iijj->ij", (2, 2, 3, 3)), ("ijij->ij", (2, 3, 2, 3)), ("iij,jk->ik", (3, 3, 2), (2, 4)),
    ("ij,ij->ij", (2, 3), (2, 3)), ("ij,ij", (2, 3), (2, 3)), ("i,j->ij", (2,), (3,)),
    ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)), ("...ij,...jk->...ik", (5, 2, 3), (3, 4)),
    ("...i,...i", (4, 3), (3,)), ("i...->...", (2, 3, 4)), ("...,...", (), (3,)),
    ("ij,k->i", (2, 3), (4,)), (" i j , j k -> i k ", (2, 3), (3, 4)),
    ("ij,jk->ik", (2, 1), (3, 4)), ("abc,bd->acd", (2, 3, 4), (3, 5)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)), ("ij,jk,ki", (2, 3), (3, 4), (4, 2)),
    ("i,ij,j->", (2,), (2, 3), (3,)), ("i,i,i->i", (3,), (3,), (3,)),
    ("ab,ab,ab->a", (2, 3), (2, 3), (2, 3)),
    ("ijk,ilm,njm,nlk->", (2, 3, 4), (2, 2, 3), (2, 3, 3), (2, 2, 4)),
]  # fmt: skip


@pytest.mark.parametrize("case", SUMS, ids=lambda case: case[0])
def test_einsum(case):
    subscripts, *shapes = case
    operands = [normal(*s) for s in shapes]
    check_same(lambda *xs: np.einsum(subscripts, *xs), *operands, exact=False)
    check_same(lambda *xs: np.einsum(subscripts, *xs, optimize=True), *operands, exact=False)
    check_derivatives(lambda *xs: np.einsum(subscripts, *xs), *operands, second=len(shapes) < 4)


def test_labels_given_as_lists_of_numbers():
    x, y = normal(2, 3), normal(3, 4)
    check_same(lambda x, y: np.einsum(x, [0, 1], y, [1, 2], [0, 2]), x, y, exact=False)
    check_same(lambda x, y: np.einsum(x, [0, 1], y, [1, 2]), x, y, exact=False)
    check_same(lambda x, y: np.einsum(x, [Ellipsis, 1], y, [1, 2]), x, y, exact=False)


def test_dtypes():
    whole = np.arange(6).reshape(2, 3)
    check_same(lambda x, y: np.einsum("ij,jk", x, y), whole, whole.T.copy())
    check_same(lambda x, y: np.einsum("ij,jk", x, y), whole > 2, whole.T > 3)
    check_same(lambda x: np.einsum("ij->i", x), whole > 2)
    check_same(lambda x: np.einsum("ij->i", x, dtype=np.float64), whole.astype("f4"))
    check_same(lambda x: np.einsum("ij->i", x, out=np.zeros(2)) if type(x) is np.ndarray
               else np.einsum("ij->i", x), whole * 1.0)  # fmt: skip


def test_one_operand_with_nothing_to_sum_is_a_view():
    def diagonal(x):
        np.einsum("ii->i", x)[:] = 7.0
        np.einsum("ij->ji", x)[0] += 1
        return x

    def inner_diagonal(x):
        np.einsum("jij->ij", x)[1] *= 2
        return x

    check_same(diagonal, normal(3, 3))
    check_same(inner_diagonal, normal(3, 2, 3))


def test_the_path_is_numpys():
    x, y = normal(2, 3), normal(3, 4)
    assert through_trace(lambda x, y: np.einsum_path("ij,jk", x, y)[0][1][0], x, y) == 0


@pytest.mark.parametrize(
    ("subscripts", "shapes", "words"),
    [
        ("ij,jk", [(2, 3), (4, 4)], "operands could not be broadcast together with remapped sha"),
        ("ij", [(2,)], "contains too many subscripts for operand 0"),
        ("i", [(2, 2)], "operand has more dimensions than subscripts given in einstein sum, but"),
        ("ij,jk", [(2, 3)], "operands provided to einstein sum function than specified"),
        ("ij->ik", [(2, 3)], "included output subscript 'k' which never appeared in an input"),
        ("ij->ii", [(2, 3)], "includes output subscript multiple times"),
        ("i1", [(2, 2)], "invalid subscript"),
    ],
)
def test_wrong_subscripts_are_refused(subscripts, shapes, words):
    operands = [normal(*s) for s in shapes]
    check_same(lambda *xs: np.einsum(subscripts, *xs), *operands)
    with pytest.raises(ShapeError, match=words):
        through_trace(lambda *xs: np.einsum(subscripts, *xs), *operands)
