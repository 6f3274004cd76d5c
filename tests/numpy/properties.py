"""Derivative checks for functions that move data: exact, because the data are small integers.

`check_linear(f, *args)`: f is affine in its floating arguments (a reshape, a selection by other
arguments). Then, in integers and so without rounding,

    jvp   f'(x) v        = f(x + v) - f(x)
    vjp   <u, f'(x) v>   = <f'(x)* u, v>
    vmap                 = a loop over the lanes
    second order         <w, H v> = <v, H w> for the Hessian H of sum(sin(f(x) / 8))
"""

import numpy as np

import chainrule as cr
from tests.numpy.against_numpy import assert_same, check_same, copies


def check_linear(f, *args, second=True):
    """Value against NumPy, then every derivative and vmap; see above."""
    check_same(f, *args)
    rng = np.random.default_rng(11)
    places = [i for i, a in enumerate(args) if np.asarray(a).dtype.kind == "f"]
    directions = [_integers(rng, args[i]) for i in places]

    def smooth(*values):
        full = list(copies(args))
        for i, value in zip(places, values, strict=True):
            full[i] = value
        return _leaves(f(*full))

    primals = tuple(np.asarray(args[i]) for i in places)
    before, moved = smooth(*copies(primals)), smooth(*map(np.add, primals, directions))
    moving = [i for i, leaf in enumerate(before) if np.asarray(leaf).dtype.kind == "f"]
    assert moving, "nothing to differentiate"

    def chosen(*values):
        leaves = smooth(*values)
        return [leaves[i] for i in moving]

    _, tangents = cr.jvp(chosen, primals, tuple(directions))
    expected = [np.subtract(moved[i], before[i]) for i in moving]
    assert_same(tangents, expected)

    cotangents = [_integers(rng, before[i]) for i in moving]
    _, pullback = cr.vjp(chosen, *primals)
    back = pullback(cotangents)
    assert _inner(cotangents, expected) == _inner(back, directions)
    _check_vmap(chosen, primals, rng)
    if second:
        _check_symmetry(chosen, primals, directions, rng)


def _check_vmap(f, primals, rng):
    lanes = 3
    stacked = tuple(np.stack([p + k * _integers(rng, p) for k in range(lanes)]) for p in primals)
    found = cr.vmap(f)(*stacked)
    each = [f(*(s[k].copy() for s in stacked)) for k in range(lanes)]
    assert_same(found, [np.stack(leaf) for leaf in zip(*each, strict=True)])


def _check_symmetry(f, primals, directions, rng):
    def scalar(*values):
        return sum(np.sum(np.sin(leaf / 8.0)) for leaf in f(*values))

    numbers = tuple(range(len(primals)))
    gradient = cr.grad(scalar, numbers)
    others = [_integers(rng, p) for p in primals]
    _, forward_v = cr.jvp(gradient, primals, tuple(directions))
    _, pullback = cr.vjp(gradient, *primals)
    backward_w = pullback(tuple(others))
    left, right = _inner(others, forward_v), _inner(backward_w, directions)
    np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-12)


def _integers(rng, like):
    like = np.asarray(like)
    return rng.integers(-4, 5, like.shape).astype(like.dtype)


def _inner(us, vs):
    return sum(np.sum(np.multiply(u, v, dtype=float)) for u, v in zip(us, vs, strict=True))


def _leaves(tree):
    if isinstance(tree, list | tuple):
        return [leaf for item in tree for leaf in _leaves(item)]
    return [tree]
