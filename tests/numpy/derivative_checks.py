"""What the tests of derivatives of NumPy's functions share.

`check_derivatives(f, *args)` compares forward mode with extrapolated differences, reverse mode with
forward mode, second derivatives of both orders of nesting with each other, and `vmap` with a loop.
"""

import numpy as np

import chainrule as cr

STEPS = 1e-3 / 2.0 ** np.arange(4)  # the error of the extrapolation is of order 1e-3 ** 8


def flat(outputs):
    """All entries of a result (an array, a scalar or a sequence of these) as one vector."""
    if isinstance(outputs, list | tuple):
        return np.concatenate([np.ravel(o).astype(float) for o in outputs])
    return np.ravel(outputs).astype(float)


def difference(f, args, tangents):
    """The derivative of f along the tangents by central differences, extrapolated to step 0."""

    def at(step):
        return flat(f(*(a + step * t for a, t in zip(args, tangents, strict=True))))

    row = [(at(h) - at(-h)) / (2 * h) for h in STEPS]
    for order in (4, 16, 64):
        row = [(order * fine - coarse) / (order - 1) for coarse, fine in zip(row, row[1:])]
    return row[0]


def check_derivatives(f, *args, rtol=1e-8, second=True, lanes=True):
    """Assert that first and second derivatives, in both modes, and batching agree."""
    rng = np.random.default_rng(7)
    args = tuple(np.asarray(a, dtype=float)[()] for a in args)
    tangents = tuple(rng.standard_normal(np.shape(a))[()] for a in args)

    def vector(*xs):
        out = f(*xs)
        parts = out if isinstance(out, list | tuple) else (out,)
        return np.concatenate([np.reshape(p, (-1,)) for p in parts])

    _, moved = cr.jvp(vector, args, tangents)
    np.testing.assert_allclose(moved, difference(f, args, tangents), rtol=rtol, atol=rtol)
    every = tuple(range(len(args)))
    forward = cr.jacobian(vector, every, mode="forward")(*args)
    backward = cr.jacobian(vector, every, mode="reverse")(*args)
    for a, b in zip(forward, backward, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)

    def waves(*xs):
        return np.sum(np.sin(vector(*xs)))

    gradient = cr.grad(waves, every)
    if second:
        _check_second(gradient, every, args)
    if lanes:
        _check_lanes(vector, gradient, args, rng)


def _check_second(gradient, every, args):
    inside = cr.jacobian(gradient, every, mode="forward")(*args)
    twice = cr.jacobian(gradient, every, mode="reverse")(*args)
    for i in every:
        for j in every:
            np.testing.assert_allclose(inside[i][j], twice[i][j], rtol=1e-10, atol=1e-10)
            n, m = np.size(args[i]), np.size(args[j])
            block, other = np.reshape(inside[i][j], (n, m)), np.reshape(inside[j][i], (m, n))
            np.testing.assert_allclose(block, other.T, rtol=1e-9, atol=1e-9)


def _check_lanes(vector, gradient, args, rng):
    stacks = tuple(
        np.stack([a, a + 1e-4 * rng.standard_normal(np.shape(a)), a]) for a in args
    )
    many, slopes = cr.vmap(vector)(*stacks), cr.vmap(gradient)(*stacks)
    for lane in range(3):
        alone = tuple(s[lane] for s in stacks)
        np.testing.assert_allclose(many[lane], vector(*alone), rtol=1e-12, atol=1e-12)
        for found, expected in zip(slopes, gradient(*alone), strict=True):
            np.testing.assert_allclose(found[lane], expected, rtol=1e-10, atol=1e-11)
