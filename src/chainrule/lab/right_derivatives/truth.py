"""The truth of a case: its own function in high precision, differentiated by differences.

**Maths** the mixed derivative along directions d1..dk is the sum over all signs s of
s1*..*sk * f(x + s1*h1*d1 + .. + sk*hk*dk), over the product of the 2*hi; hi = h, 2h, 4h.
The centre is never evaluated, so 0/0 there does not matter, and no two of the points coincide.
**Accuracy** the error is of the order of h (h*h where f is smooth), h = 10**-30 relative to the
argument, at a precision of hundreds of digits. It is computed again with smaller steps and twice
the digits until two computations in succession agree to 13 digits, or `Undetermined` is raised. A
value that shrinks with the step is 0; one that is exactly 0 has to be so three times.
"""

from __future__ import annotations

from itertools import product
from math import log10

import numpy as np
from mpmath import mp, mpf, workdps

from chainrule.lab.right_derivatives.case import Case
from chainrule.lab.right_derivatives.exact import NAMESPACES, array
from chainrule.lab.right_derivatives.number import Number, of

STEPS = (30, 45, 60, 75, 90)  # h as a power of ten, computation by computation
AGREE = mpf(10) ** -13  # what the two computations may differ by, relative


class Undetermined(Exception):
    """The two computations of a truth disagree: there is no derivative, or not in these digits."""


def truth(case: Case) -> list[list[np.ndarray]]:
    """The right answers: for each point a list of float64 arrays, for lanes one list of stacks."""
    answers = [point_truth(case, point) for point in case.points]
    if case.by != "vmap":
        return answers
    return [[np.stack(parts) for parts in zip(*answers, strict=True)]]


def point_truth(case: Case, point: tuple) -> list[np.ndarray]:
    """What is asked at one point, rounded to float64."""
    if case.by_hand:
        return _by_hand(case, point)
    if case.mean is not None:
        return _of_a_mean(case, point)
    before = now = computed(case, point, 0)
    for level in range(1, len(STEPS)):
        now = computed(case, point, level)
        pairs = zip(before, now, strict=True)
        agreed = [found for a, b in pairs if (found := _agreed(a, b, level)) is not None]
        if len(agreed) == len(now):
            return agreed
        before = now
    raise Undetermined(
        f"{case.group}/{case.name} at {point}: {[_short(part) for part in now]} at last."
    )


def _short(part) -> list[str]:
    return [mp.nstr(v, 12) for v in np.ravel(np.asarray(part, dtype=object))]


def _by_hand(case: Case, point: tuple) -> list[np.ndarray]:
    """The answer written beside the case at this point."""
    answers = dict(zip([id(p) for p in case.points], case.expect or (), strict=True))
    found = answers[id(point)]
    return [np.asarray(f, dtype=float) for f in (found if isinstance(found, tuple) else (found,))]


def _of_a_mean(case: Case, point: tuple) -> list[np.ndarray]:
    """The derivative of an expectation's closed form, by every entry of the arguments."""
    entries = [mpf(float(v)) for value in point for v in np.ravel(value)]
    orders = np.eye(len(entries), dtype=int)
    with workdps(40):
        found = iter(
            [float(mp.diff(case.mean, tuple(entries), tuple(map(int, n)))) for n in orders]
        )
    return [np.reshape([next(found) for _ in range(np.size(v))], np.shape(v)) for v in point]


def differentiable(point: tuple) -> tuple[int, ...]:
    """The numbers of the arguments that a derivative can be taken by: the floats."""
    return tuple(i for i, value in enumerate(point) if np.asarray(value).dtype.kind == "f")


def call(case: Case, namespaces: dict, arguments):
    """The case's function on arguments, with the namespaces that it names."""
    code = case.function.__code__
    names = code.co_varnames[: code.co_argcount - len(arguments)]
    return case.function(*[namespaces[name] for name in names], *arguments)


def _digits(point: tuple, step: int, order: int) -> int:
    """Enough for x + 1, 1 + exp(-x) and products of such beside differences of this order."""
    sizes = [abs(float(v)) for i in differentiable(point) for v in np.ravel(point[i])]
    far = max((abs(log10(s)) for s in sizes if s), default=0.0)
    large = max(sizes, default=0.0)
    exponents = min(large, 2500.0) + (0.5 * large * large if large < 80.0 else 0.0)
    return int(60 + 3 * order * step + 6 * far + exponents)


def computed(case: Case, point: tuple, level: int = 0) -> list[np.ndarray]:
    """What is asked at a point, as arrays of mpmath numbers: one computation, at one step."""
    order = {"third": 3, "second": 2, "hessian": 2, "hvp": 2}.get(case.ask, 1)
    step = STEPS[level]
    with workdps(_digits(point, step, order) << level):
        return _ANSWERS[case.ask](case, point, mpf(10) ** -step)


def _outputs(case: Case, point: tuple, moves=()) -> np.ndarray:
    """f at `point` moved by `moves`, pairs (argument number, array): an array of mpmath numbers."""
    arguments = [array(v) if i in differentiable(point) else v for i, v in enumerate(point)]
    for i, move in moves:
        arguments[i] = arguments[i] + move
    with np.errstate(all="ignore"):  # of data that is nan, and of branches not taken
        out = np.asarray(call(case, NAMESPACES, arguments), dtype=object)
    return np.frompyfunc(of, 1, 1)(out)


def _mixed(case: Case, point: tuple, directions, h) -> np.ndarray:
    """The mixed derivative of f along `directions`, each (argument number, object array)."""
    total, scale = mpf(0), mpf(1)
    widths = [h * 2**i for i in range(len(directions))]
    for signs in product((1, -1), repeat=len(directions)):
        moves = [
            (i, d * Number(s * w)) for s, w, (i, d) in zip(signs, widths, directions, strict=True)
        ]
        total = total + mp.mpf(int(np.prod(signs))) * _outputs(case, point, moves)
    for width in widths:
        scale = scale * 2 * width
    return np.asarray(total / scale, dtype=object)


def _unit(point: tuple, i: int, index: tuple):
    """A coordinate direction whose length is the size of what it moves."""
    x = np.asarray(point[i], dtype=float)
    sizes = [abs(float(v)) for j in differentiable(point) for v in np.ravel(point[j]) if v != 0]
    size = abs(float(x[index])) or min([1.0, *sizes])
    direction = np.full(x.shape, Number(0), dtype=object)
    direction[index] = Number(size)
    return (i, direction if x.ndim else direction[()]), mpf(size)


def _gradient(case: Case, point: tuple, i: int, h, others=()) -> np.ndarray:
    """The derivative by argument i (after `others`), shape: outputs + argument."""
    x = np.asarray(point[i], dtype=float)
    columns = []
    for index in np.ndindex(x.shape):
        direction, size = _unit(point, i, index)
        columns.append(
            np.asarray(_mixed(case, point, [*others, direction], h) / size, dtype=object)
        )
    return np.stack(columns, axis=-1).reshape(columns[0].shape + x.shape)


def _grad(case, point, h):
    return [_gradient(case, point, i, h) for i in differentiable(point)]


def _value_and_grad(case, point, h):
    return [_outputs(case, point), *_grad(case, point, h)]


def _repeated(order: int):
    def answer(case, point, h):
        direction, size = _unit(point, 0, ())
        return [_mixed(case, point, [direction] * order, h) / size**order]

    return answer


def _hessian(case, point, h):
    x = np.asarray(point[0], dtype=float)
    rows = []
    for index in np.ndindex(x.shape):
        direction, size = _unit(point, 0, index)
        rows.append(_gradient(case, point, 0, h, [direction]) / size)
    return [np.stack(rows).reshape(x.shape + x.shape)]


def _along(case, point):
    """The direction a case asks for, as long as its argument's smallest entry."""
    _, size = _unit(point, 0, np.unravel_index(0, np.shape(point[0])))
    return (0, array(np.asarray(case.along, dtype=float)) * Number(size)), size


def _jvp(case, point, h):
    direction, size = _along(case, point)
    return [_mixed(case, point, [direction], h) / size]


def _vjp(case, point, h):
    jacobian = _gradient(case, point, 0, h)
    weights = np.frompyfunc(of, 1, 1)(array(np.asarray(case.along, dtype=float)))
    return [np.tensordot(weights, jacobian, np.ndim(weights))]


def _hvp(case, point, h):
    direction, size = _along(case, point)
    return [_gradient(case, point, 0, h, [direction]) / size]


_ANSWERS = {
    "grad": _grad,
    "value_and_grad": _value_and_grad,
    "second": _repeated(2),
    "third": _repeated(3),
    "hessian": _hessian,
    "jacobian": lambda case, point, h: [_gradient(case, point, 0, h)],
    "jvp": _jvp,
    "vjp": _vjp,
    "hvp": _hvp,
}


def _agreed(first, second, level: int) -> np.ndarray | None:
    """What two computations agree on, as floats; None where they do not in every entry."""
    first, second = np.asarray(first, dtype=object), np.asarray(second, dtype=object)
    out = np.empty(second.shape)
    for index in np.ndindex(second.shape):
        a, b = first[index], second[index]
        if a == b == 0 and level < 2:
            return None
        if abs(b) <= abs(a) * mpf(10) ** -8:
            out[index] = 0.0  # it shrinks with the step
        elif a == b or abs(a - b) <= AGREE * abs(b):
            out[index] = float(b)
        else:
            return None
    return out
