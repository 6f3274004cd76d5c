"""What the tests of NumPy's functions share: a function run through a trace, against plain NumPy.

`check_same(f, *args)` runs `f` on copies of the arguments twice, on NumPy and through a trace that
is evaluated afterwards, and compares results (dtype, shape, every bit), the arguments as `f` left
them, and the class of the error where NumPy raises one.
"""

import copy

import numpy as np

from chainrule.derived import derived
from chainrule.running import run
from chainrule.tracing import trace_call


def through_trace(f, *args, concrete=True):
    """f(*args), traced to a program that is then evaluated; writes to arguments are done."""
    leaves = frozenset(range(100))
    call = trace_call(f, args, {}, leaves if concrete else frozenset(), None, concrete)
    return call.finish(run(derived("run", call.program), call.operands))


def check_same(f, *args, concrete=True, exact=True):
    """Assert that f does on traced values what it does on plain ones."""
    plain, traced = copies(args), copies(args)
    with np.errstate(all="ignore"):
        try:
            expected, error = f(*plain), None
        except Exception as raised:
            expected, error = None, raised
    if error is not None:
        check_raises(type(error), f, traced, concrete)
        return
    found = through_trace(f, *traced, concrete=concrete)
    assert_same(found, expected, exact)
    assert_same(list(traced), list(plain), exact)


def copies(args):
    """Deep copies that keep each array's memory layout."""
    return tuple(_copied(a) for a in args)


def _copied(value):
    if isinstance(value, np.ndarray) and value.base is not None:
        base = value.base.copy(order="K")
        offset = value.__array_interface__["data"][0] - value.base.__array_interface__["data"][0]
        if offset or not base.flags.forc:
            return value.copy(order="K")
        return np.ndarray(value.shape, value.dtype, base, 0, value.strides)
    return copy.deepcopy(value)


def check_raises(expected, f, args, concrete=True):
    """Assert that f raises NumPy's class of error through a trace (its nearest public base)."""
    while expected.__module__.startswith("numpy._core"):
        expected = expected.__base__
    try:
        result = through_trace(f, *args, concrete=concrete)
    except expected:
        return
    except Exception as other:
        raise AssertionError(f"raised {other!r}, where NumPy raises {expected.__name__}") from other
    raise AssertionError(f"returned {result!r}, where NumPy raises {expected.__name__}")


def assert_same(found, expected, exact=True, path="result"):
    """Assert equal trees of arrays: structure, dtypes, shapes and values (nan equals nan)."""
    if isinstance(expected, list | tuple):
        assert isinstance(found, list | tuple), f"{path}: {type(found)} is not a sequence"
        assert len(found) == len(expected), f"{path}: {len(found)} items, not {len(expected)}"
        for i, (a, b) in enumerate(zip(found, expected, strict=True)):
            assert_same(a, b, exact, f"{path}[{i}]")
        return
    a, b = np.asarray(found), np.asarray(expected)
    assert a.dtype == b.dtype, f"{path}: dtype {a.dtype}, not {b.dtype}"
    assert a.shape == b.shape, f"{path}: shape {a.shape}, not {b.shape}"
    if exact:
        np.testing.assert_array_equal(a, b, err_msg=path)
    else:
        digits = max(16 * np.finfo(a.dtype).eps, 1e-13) if a.dtype.kind in "fc" else 0.0
        np.testing.assert_allclose(a, b, rtol=digits, atol=digits, err_msg=path)
