"""A case: a function as a user writes it, points, what is asked there, and how an answer is judged.

A function takes the numpy-like namespace of a library first, so that one text serves every library:

    @kinks(at=0.0, expect=1.0)
    def relu_of_x_less_relu_of_minus_x(np, x):
        return np.maximum(x, 0.0) - np.maximum(-x, 0.0)

`at` is one point, `points` several; a point is the tuple of arguments, or the only argument. What
is asked (`ask`) is one of ASKS, by the plain function, through its compiler or lane by lane (`by`).
The truth is computed from the function itself in high precision (truth.py). `expect` is the same
answer by hand where it has a short closed form; the tests hold the two against each other. For a
function that is only Lipschitz, `members` is the set that an answer has to lie in (members.py).

A case of the class "expectation" draws from `rng`, its last argument; `mean` is what it comes to on
average, and the truth is the derivative of that.

A function may ask for two more namespaces by naming them before its arguments: `special`
(scipy.special's names) and `control` (cond, scan, while_loop, fori_loop, in JAX's form).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CLASSES = {
    "kinks": "kinks, where the function is differentiable",
    "lipschitz": "kinks, where it is only Lipschitz",
    "singular": "branches not taken and removable singularities",
    "naive": "naive formulas, value and derivative",
    "expectation": "the derivative of an expectation",
    "composed": "the same programs under compile and vmap",
}

# What is asked, and how many of the arguments it is asked for: 1, the first; 0, all of them.
ASKS = {
    "grad": 0,
    "value_and_grad": 0,
    "second": 1,  # of one number: the derivative of the derivative
    "third": 1,
    "hessian": 1,
    "jacobian": 1,
    "jvp": 1,
    "vjp": 1,
    "hvp": 1,
    "expectation": 0,
}
DIRECTED = ("jvp", "vjp", "hvp")
WAYS = ("plain", "compile", "vmap")


@dataclass(frozen=True)
class Case:
    """One row of the table; see the module's first lines."""

    group: str
    name: str
    function: Callable
    points: tuple[tuple, ...]
    ask: str = "grad"
    by: str = "plain"
    along: Any = None  # the tangent of jvp and hvp, the cotangent of vjp
    expect: tuple | None = None  # one answer a point
    by_hand: bool = False  # the truth is `expect`: at infinity, or where a branch settles it
    members: Any = None
    mean: Callable | None = None  # of an expectation: its value in mpmath, by all entries in a row
    relative: float = 1e-9
    absolute: float = 0.0  # beyond `relative`
    doc: str = ""


@dataclass
class Group:
    """The cases of one class, in the order they are written; calling it adds one."""

    name: str
    absolute: float  # what its answers, of the size of 1, may be off where the truth is 0
    ask: str  # what is asked where a case does not say
    cases: list[Case]

    def __call__(self, *asks: str, at=None, points=None, expect=None, expects=None, **rest):
        """A decorator that adds the function once for each of `asks`."""
        found = tuple(_point(p) for p in (points if points is not None else [at]))
        answers = (expect,) if expect is not None else expects
        if answers is not None and len(answers) != len(found):
            raise ValueError(f"{len(found)} points with {len(answers)} answers.")

        def add(function):
            for ask in asks or (self.ask,):
                self._add(function, found, ask, answers if len(asks) < 2 else None, rest)
            return function

        return add

    def _add(self, function, points, ask, answers, rest) -> None:
        if ask not in ASKS:
            raise ValueError(f"ask is one of {', '.join(ASKS)}; got {ask!r}.")
        name = function.__name__ + ("" if ask == self.ask else f"/{ask}")
        doc = (function.__doc__ or "").strip().split("\n")[0]
        rest = {"absolute": self.absolute, **rest}
        if ask not in DIRECTED:
            rest.pop("along", None)
        self.append(Case(self.name, name, function, points, ask, expect=answers, doc=doc, **rest))

    def append(self, case: Case) -> None:
        """Adds a case; `ValueError` where there is one of its name."""
        if any(other.name == case.name for other in self.cases):
            raise ValueError(f"two cases are named {case.name}.")
        self.cases.append(case)


def _point(given) -> tuple:
    return given if isinstance(given, tuple) else (given,)


_ASKED_FIRST = {"naive": "value_and_grad", "expectation": "expectation"}

# Naive formulas are about digits: where their truth is 0 the answer is 0.
GROUPS = {
    name: Group(name, 0.0 if name == "naive" else 1e-12, _ASKED_FIRST.get(name, "grad"), [])
    for name in CLASSES
}
