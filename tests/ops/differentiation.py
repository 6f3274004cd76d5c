"""What the tests of derivatives of array functions share: an independent truth, and every mode.

`check_derivatives(f, *arguments)` compares, along random directions:

    value       through a trace, with f on plain NumPy
    forward     with central differences, extrapolated (Richardson) until they stop improving
    reverse     with forward, by <u, J v> = <J* u, v> in the real inner product, where J* u is the
                gradient of <u, f>
    second      forward over reverse, with extrapolated differences of the gradient
    batching    of value, forward and gradient, with a loop
"""

import numpy as np

import chainrule as cr
from chainrule import backends, errors


def leaves(tree) -> list:
    """The arrays of a result that is an array or a tuple of them."""
    return list(tree) if isinstance(tree, tuple | list) else [tree]


def random_array(rng, shape, is_complex=False):
    """Standard normal entries."""
    out = rng.normal(size=shape)
    return out + 1j * rng.normal(size=shape) if is_complex else out


def extrapolated(f, step: float, rounds: int = 6) -> list:
    """The derivative at 0 of f, from a number to a list of arrays; error about 1e-12."""
    table: list = []
    for k in range(rounds):
        h = step / 2**k
        row = [[(a - b) / (2 * h) for a, b in zip(f(h), f(-h), strict=True)]]
        for j in range(1, k + 1):
            pairs = zip(row[j - 1], table[k - 1][j - 1], strict=True)
            row.append([(4**j * a - b) / (4**j - 1) for a, b in pairs])
        table.append(row)
    change = [
        max(
            np.max(np.abs(a - b), initial=0)
            for a, b in zip(table[k][k], table[k - 1][k - 1], strict=True)
        )
        for k in range(1, rounds)
    ]
    best = 1 + int(np.argmin(change))
    return table[best][best]


def error(found, expected) -> float:
    """The largest difference relative to the larger of 1 and the expected values."""
    worst = 0.0
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        if a.size:
            difference = np.max(np.abs(a - b)) / max(1.0, np.max(np.abs(b)))
            worst = max(worst, difference if difference == difference else np.inf)
    return worst


def inner(u, v) -> float:
    """The real inner product Re<u, v> of two lists of arrays."""
    return sum(float(np.real(np.vdot(a, b))) for a, b in zip(u, v, strict=True))


def check_derivatives(
    f, *arguments, step=0.02, tolerance=1e-10, second=1e-9, reverse=1e-12, batched=True, seed=7
):
    """Assert that every derivative of f at these arguments is right; see the module."""
    rng = np.random.default_rng(seed)
    arguments = [np.asarray(a) for a in arguments]
    directions = [random_array(rng, a.shape, np.iscomplexobj(a)) for a in arguments]

    def moved(function, t):
        return function(*[a + t * d for a, d in zip(arguments, directions, strict=True)])

    value, tangent = cr.jvp(f, arguments, directions)
    plain = leaves(f(*arguments))
    for got, expected in zip(leaves(value), plain, strict=True):
        assert np.asarray(got).dtype == np.asarray(expected).dtype
    assert error(value, plain) < 1e-13
    truth = extrapolated(lambda t: leaves(moved(f, t)), step)
    assert error(tangent, truth) < tolerance

    weights = [random_array(rng, np.shape(y), np.iscomplexobj(y)) for y in plain]
    gradient = cr.grad(weighted_sum(f, weights), argnums=tuple(range(len(arguments))))
    slopes = gradient(*arguments)
    products = inner([np.conj(w) for w in weights], leaves(tangent)), inner(slopes, directions)
    assert abs(products[0] - products[1]) <= reverse * max(1.0, abs(products[0]))

    if not (second or batched):
        return
    traced_once = on_the_evaluator(gradient)  # for the many points
    assert error(traced_once(*arguments), slopes) < 1e-13
    if second:
        _, turned = cr.jvp(gradient, arguments, directions)
        truth = extrapolated(lambda t: leaves(moved(traced_once, t)), step)
        assert error(turned, truth) < second
    if batched:
        _check_batching(f, gradient, traced_once, arguments, directions)


def on_the_evaluator(f):
    """The function traced at its first call only, and run without compiling; where it needs the
    values of its arguments, traced at each call."""
    compiled = cr.compile(f)

    def run(*arguments):
        chosen, backends.chosen = backends.chosen, "evaluator"
        try:
            return compiled(*arguments)
        except errors.ConcreteValueNeeded:
            return f(*arguments)
        finally:
            backends.chosen = chosen

    return run


def weighted_sum(f, weights):
    """A real function of f's outputs, each entry with a weight of its own."""

    def total(*arguments):
        out = 0.0
        for y, w in zip(leaves(f(*arguments)), weights, strict=True):
            product = y * w
            out = out + np.sum(product.real if np.iscomplexobj(w) else product)
        return out

    return total


def _check_batching(f, gradient, traced_once, arguments, directions):
    count = len(arguments)
    many = [
        np.stack([a, a + 0.1 * d, a - 0.07 * d]) for a, d in zip(arguments, directions, strict=True)
    ]
    many += [np.stack([d, 0.5 * d, -d]) for d in directions]

    def all_of(*both, slope=gradient):
        value, tangent = cr.jvp(f, both[:count], both[count:])
        return (*leaves(value), *leaves(tangent), *leaves(slope(*both[:count])))

    together = cr.vmap(all_of)(*many)
    singly = [all_of(*[m[i] for m in many], slope=traced_once) for i in range(3)]
    looped = [np.stack(column) for column in zip(*singly, strict=True)]
    assert error(together, looped) < 1e-12
