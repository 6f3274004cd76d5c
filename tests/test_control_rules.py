"""What control flow asks of its functions: dtypes of carries and branches, structures, errors."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import errors

XS = np.array([0.4, -0.3, 0.7])


# --- dtypes of carries ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64])
def test_a_python_number_in_the_carry_takes_the_dtype_of_the_body(dtype):
    x = np.ones(3, dtype)
    total = cr.vjp(lambda x: cr.scan(lambda c, t: (c + t, c), 0.0, x), x)[0]
    assert total[0].dtype == dtype
    assert total[1].dtype == dtype
    total = cr.vjp(lambda x: cr.fori_loop(0, 3, lambda i, c: c + x[i], 0), x)[0]
    assert total.dtype == dtype
    test = lambda s: s[0] < 2
    total = cr.vjp(lambda x: cr.while_loop(test, lambda s: (s[0] + 1, s[1] * x[0]), (0, 1)), x)[0]
    assert [v.dtype for v in total] == [np.int64, dtype]


def test_a_strong_carry_keeps_its_dtype_or_is_refused():
    x = np.ones(3)
    with pytest.raises(errors.StructureMismatch) as caught:
        cr.grad(lambda x: cr.scan(lambda c, t: (c + t, None), np.float32(0), x)[0])(x)
    message = str(caught.value)
    assert (
        "carry enters the loop as f32[] and leaves <lambda> as f64[], at test_control_rules.py:"
        in message
    )
    assert "Start it with that dtype and shape, or convert it" in message


# --- errors --------------------------------------------------------------------------------------


def refused(f, *args) -> str:
    with pytest.raises(errors.StructureMismatch) as caught:
        cr.grad(f)(*args)
    assert "at test_control_rules.py:" in str(caught.value)
    return str(caught.value)


def test_carries_keep_their_structure_and_shape():
    message = refused(lambda x: cr.scan(lambda c, t: ((c, c), t), x, XS)[0], 1.0)
    assert "the loop changes its carry" in message
    message = refused(
        lambda x: cr.scan(lambda c, t: ({"a": c["a"]}, t), {"a": x, "b": x}, XS)[0]["a"], 1.0
    )
    assert "('a', 'b') and ('a',)" in message
    message = refused(lambda x: cr.scan(lambda c, t: (c * XS, t), x, XS)[0], np.float64(1.0))
    assert "carry enters the loop as f64[] and leaves <lambda> as f64[3]" in message
    message = refused(lambda x: cr.while_loop(lambda s: True, lambda s: (s, s), x), 1.0)
    assert "the loop changes its carry" in message


def test_the_body_of_scan_returns_a_pair():
    message = refused(lambda x: cr.scan(lambda c, t: c + t, x, XS)[0], 1.0)
    assert "the body of scan must return (carry, y); <lambda> returned array" in message


def test_the_test_of_a_loop_returns_one_bool():
    message = refused(lambda x: cr.while_loop(lambda s: s, lambda s: s * 2.0, x), 1.0)
    assert "the test of while_loop must return one bool and write nothing" in message
    message = refused(lambda x: cr.while_loop(lambda s: s < XS, lambda s: s * 2.0, x), 1.0)
    assert "bool[3]" in message


def test_branches_of_cond_return_the_same():
    message = refused(lambda x: cr.cond(x > 0, lambda: x, lambda: (x, x)), 1.0)
    assert "the branches of cond differ" in message
    message = refused(lambda x: cr.cond(x > 0, lambda: x * XS, lambda: x * XS[:2]).sum(), 1.0)
    assert "f64[3] in one and f64[2] in the other" in message
    message = refused(lambda x: cr.cond(x > 0, lambda: {"a": x, "b": XS * x},
                                        lambda: {"a": x, "b": x})["a"], 1.0)  # fmt: skip
    assert "['b'] is f64[3] in one and f64[] in the other" in message
    assert ".astype or np.broadcast_to" in message


def test_a_python_number_in_one_branch_takes_the_dtype_of_the_other():
    f = lambda x: cr.cond(x[0] > 0, lambda: x[0] * x[1], lambda: 0)
    assert np.array_equal(cr.grad(f)(np.float32([2.0, 3.0])), np.float32([3.0, 2.0]))
    assert np.array_equal(cr.grad(f)(np.float32([-2.0, 3.0])), np.float32([0.0, 0.0]))
    assert cr.vjp(f, np.float32([2.0, 3.0]))[0].dtype == np.float32


def test_scanned_arrays_have_one_length():
    with pytest.raises(errors.StructureMismatch, match="one leading length"):
        cr.grad(lambda x: cr.scan(lambda c, t: (c, t), x, (XS, XS[:2]))[0])(1.0)
    with pytest.raises(errors.StructureMismatch, match="one leading length"):
        cr.grad(lambda x: cr.scan(lambda c, t: (c, t), x, XS, length=2)[0])(1.0)
    with pytest.raises(errors.StructureMismatch, match="one leading length"):
        cr.grad(lambda x: cr.scan(lambda c, t: (c, t), x, x)[0])(1.0)


def test_a_branch_on_a_value_of_the_loop_is_refused():
    def f(x):
        return cr.scan(lambda c, t: (c if c > t else t * x, None), x, XS)[0]

    with pytest.raises(errors.ConcreteValueNeeded, match="truth value.*test_control_rules.py"):
        cr.grad(f)(1.0)


def test_containers_are_not_changed_inside_loops():
    def f(x):
        log: dict = {}

        def body(c, t):
            log["last"] = c
            return c + t, None

        return cr.scan(body, x, XS)[0]

    assert cr.grad(f)(1.0) == 1.0  # a container of the function's own is its own business

    def g(state, x):
        def body(c, t):
            state["last"] = c
            return c + t, None

        return cr.scan(body, x, XS)[0]

    with pytest.raises((errors.MutationError, errors.LeakedValue)):
        cr.grad(g, 1)({"last": 0.0}, 1.0)
