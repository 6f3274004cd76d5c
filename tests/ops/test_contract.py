"""Contractions over every arrangement of axes, against np.einsum."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.ops.contract import contract, labelled
from chainrule.tracing import trace_call
from chainrule.transforms.reverse import reverse
from tests.numpy.against_numpy import through_trace
from tests.ops.differentiation import check_derivatives

SIZES = {"a": 2, "b": 3, "c": 1, "d": 4, "e": 2}


@st.composite
def contractions(draw):
    """(labels of x, of y, those summed over, those of the result in any order)"""
    in_x, in_y = (draw(st.permutations("abcde"))[: draw(st.integers(1, 4))] for _ in range(2))
    shared = [label for label in in_x if label in in_y]
    batch = [label for label in shared if draw(st.booleans())]
    free = [label for label in (*in_x, *in_y) if label not in shared]
    summed = draw(st.permutations([label for label in shared if label not in batch]))
    return in_x, in_y, summed, batch, draw(st.permutations(batch + free))


def operand(rng, labels, is_complex):
    out = rng.standard_normal([SIZES[label] for label in labels])
    return out + 1j * rng.standard_normal(out.shape) if is_complex else out


def einsum(in_x, in_y, out, x, y):
    return np.einsum(f"{''.join(in_x)},{''.join(in_y)}->{''.join(out)}", x, y)


@given(contractions(), st.booleans())
@settings(max_examples=75)
def test_contractions_are_einsums(case, is_complex):
    in_x, in_y, summed, batch, out = case
    rng = np.random.default_rng(len(in_x) + 7 * len(in_y))
    x, y = operand(rng, in_x, is_complex), operand(rng, in_y, is_complex)
    axes = tuple(in_x.index(n) for n in summed), tuple(in_y.index(n) for n in summed)
    shared = tuple(in_x.index(n) for n in batch), tuple(in_y.index(n) for n in batch)
    free = [n for n in (*in_x, *in_y) if n not in (*summed, *batch)]
    found = contract(x, y, axes=axes, batch=shared)
    np.testing.assert_allclose(found, einsum(in_x, in_y, batch + free, x, y), rtol=1e-12)
    found = through_trace(lambda x, y: labelled(x, tuple(in_x), y, tuple(in_y), tuple(out)), x, y)
    np.testing.assert_allclose(found, einsum(in_x, in_y, out, x, y), rtol=1e-12)


@given(contractions(), st.booleans())
@settings(max_examples=20)
def test_derivatives_of_contractions(case, is_complex):
    in_x, in_y, _, _, out = case
    rng = np.random.default_rng(3)
    x, y = operand(rng, in_x, is_complex), operand(rng, in_y, is_complex)
    check_derivatives(
        lambda x, y: labelled(x, tuple(in_x), y, tuple(in_y), tuple(out)), x, y, second=False
    )


@pytest.mark.parametrize("dtype", ["f4", "f8", "c16", "i8", "?"])
def test_operands_are_read_where_they_lie(dtype):
    rng = np.random.default_rng(1)
    x, y = (rng.integers(-3, 4, s).astype(dtype) for s in ((4, 5, 3), (3, 5, 6)))
    for left in (x, x.transpose(2, 0, 1), x[::2], x[:, ::-1], np.asfortranarray(x)):
        for batch in ((), (1,)):
            in_x = tuple("abk" if left.shape[2] == 3 else "kab")
            found = labelled(left, in_x, y, tuple("kbc") if batch else tuple("kxc"),
                             tuple("abc") if batch else tuple("abxc"))  # fmt: skip
            expected = np.einsum(f"{''.join(in_x)},{'kbc->abc' if batch else 'kxc->abxc'}", left, y)
            np.testing.assert_array_equal(found, expected)


def test_the_transposes_of_a_matrix_product_need_no_transposition():
    x, y = np.ones((3, 4)), np.ones((4, 2))
    for f in (lambda x, y: x @ y, lambda x, y: (x @ y).T @ x):
        program = trace_call(f, (x, y), {}, frozenset({0, 1}), None, True).program
        backward, _ = reverse(program, (True, True))
        assert "transpose" not in [e.op.name for e in backward.equations]
