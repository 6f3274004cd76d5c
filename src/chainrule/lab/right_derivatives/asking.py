"""What a case asks, put to a library."""

from __future__ import annotations

from functools import partial

import numpy as np

from chainrule.lab.right_derivatives.case import Case
from chainrule.lab.right_derivatives.libraries import Absent, Library
from chainrule.lab.right_derivatives.truth import call, differentiable

REPEATS = 8  # seeds that an expectation is estimated from


def answers(library: Library, case: Case):
    """For each point a list of arrays, or the text of an error; None where something is absent."""
    points = [_stacked(case)] if case.by == "vmap" else case.points
    found: list = []
    for point in points:
        try:
            found.append(_answer(library, case, point))
        except Absent:
            return None
        except Exception as error:
            if _is_absence(library, error):
                return None
            found.append(f"{type(error).__name__}: {str(error).strip()}"[:500])
    return found


def _is_absence(library: Library, error: Exception) -> bool:
    """Whether a peer has no such name (chainrule is asked by NumPy's: there it is a refusal)."""
    return library.name != "chainrule" and isinstance(error, AttributeError | ImportError)


def _stacked(case: Case) -> tuple:
    return tuple(np.stack(parts) for parts in zip(*case.points, strict=True))


def _answer(library: Library, case: Case, point: tuple) -> list[np.ndarray]:
    if library.answer is not None:
        return library.answer(case, point)
    chosen = differentiable(point)
    arguments = [library.array(v) if i in chosen else v for i, v in enumerate(point)]

    def function(*given):
        return call(case, library.namespaces, given)

    if case.ask == "expectation":
        return _expectation(library, partial(case.function, library.namespaces["np"]), arguments)
    asked = _ASKED[case.ask](library, function, case, chosen)
    if case.by == "compile":
        if library.compile is None:
            raise Absent("a compiler")
        asked = library.compile(asked)
    if case.by == "vmap":
        if library.vmap is None:
            raise Absent("vmap")
        asked = library.vmap(asked)
    return [np.asarray(library.plain(part), dtype=float) for part in asked(*arguments)]


def _expectation(library: Library, function, arguments) -> list[np.ndarray]:
    """Means of a library's estimates over REPEATS seeds, then the standard errors of these."""
    if library.expectation is None:
        raise Absent("expectations")
    by_argument: list[list] = [[] for _ in arguments]
    for seed in range(1, REPEATS + 1):
        found = library.expectation(function, arguments, seed)
        for values, part in zip(by_argument, found, strict=True):
            values.append(np.asarray(library.plain(part), dtype=float))
    means = [np.mean(values, axis=0) for values in by_argument]
    errors = [np.std(values, axis=0, ddof=1) / np.sqrt(REPEATS) for values in by_argument]
    return [*means, *errors]


def _by_first(derivative):
    """An ask by the first argument, the others fixed."""

    def asked(library, function, case, chosen):
        def answer(x, *others):
            return (derivative(library, lambda x: function(x, *others), case, x),)

        return answer

    return asked


def _grad(library, function, case, chosen):
    return lambda *args: tuple(library.grad(function, chosen)(*args))


def _value_and_grad(library, function, case, chosen):
    def answer(*args):
        value, gradients = library.value_and_grad(function, chosen)(*args)
        return (value, *gradients)

    return answer


def _repeated(order):
    def derivative(library, f, case, x):
        for _ in range(order):
            f = _one(library, f)
        return f(x)

    return derivative


def _one(library, f):
    return lambda x: library.grad(f, (0,))(x)[0]


def _given(library, case):
    return (
        library.array(np.asarray(case.along, dtype=float))
        if np.ndim(case.along)
        else (library.array(float(case.along)))
    )


_ASKED = {
    "grad": _grad,
    "value_and_grad": _value_and_grad,
    "second": _by_first(_repeated(2)),
    "third": _by_first(_repeated(3)),
    "hessian": _by_first(lambda library, f, case, x: library.hessian(f)(x)),
    "jacobian": _by_first(lambda library, f, case, x: library.jacobian(f)(x)),
    "jvp": _by_first(lambda library, f, case, x: library.jvp(f, x, _given(library, case))),
    "vjp": _by_first(lambda library, f, case, x: library.vjp(f, x, _given(library, case))),
    "hvp": _by_first(lambda library, f, case, x: library.hvp(f, x, _given(library, case))),
}
