"""What chance does in a program: which equations draw, and where a small change of a draw is felt
as a jump.

A *draw* takes a random state. An *event* is an equation with a discrete value (or a jump) whose
argument moves smoothly with a continuous draw: a comparison, a rounding, an index of the largest.
An event is *active* where its argument also moves with the inputs that a derivative is taken by:
only then do the places of its jumps move, and add to the derivative of an expectation.
"""

from __future__ import annotations

from collections.abc import Iterable

from chainrule import errors
from chainrule.program.cost import subprograms
from chainrule.program.op import Constant, Discrete, Structural
from chainrule.program.program import Equation, Program, Var

CONTINUOUS = frozenset({
    "standard_uniform", "standard_normal", "standard_exponential", "standard_gumbel",
    "standard_logistic", "standard_laplace", "standard_cauchy", "standard_gamma",
    "log_standard_gamma",
})  # fmt: skip
DISCRETE = frozenset({
    "random_bernoulli", "random_poisson", "random_binomial", "random_geometric",
    "random_categorical", "random_subset", "random_below", "random_order", "random_bits",
})  # fmt: skip
COMPARISONS = frozenset({"less", "less_equal", "greater", "greater_equal", "equal", "not_equal"})
JUMPING = frozenset({"heaviside", "remainder", "fmod", "copysign"})  # smooth pieces with jumps
_SILENT = frozenset({
    "stop_gradient", "held", "isnan", "isinf", "isfinite", "spacing", "iota", "gammasgn",
})  # fmt: skip
_AFFINE = frozenset({"add", "subtract", "negative", "cast", "stop_gradient"})
_MONOTONE = frozenset({
    "exp", "log", "sqrt", "cbrt", "expm1", "log1p", "exp2", "log2", "log10", "tanh", "arctan",
    "sinh", "arcsinh", "arctanh", "erf", "erfc", "expit", "logit", "ndtr", "ndtri", "log_ndtr",
    "portable_exp", "portable_log", "portable_expm1", "log_expit",
})  # fmt: skip
_KINKS = frozenset({
    "maximum", "minimum", "fmax", "fmin", "absolute", "clip", "max", "min", "cummax", "cummin",
    "sort", "hypot", "norm", "huber", "heaviside", "select", "index", "pool",
})  # fmt: skip
_REDUCTIONS = frozenset({"sum", "max", "min", "argmax", "argmin", "logsumexp"})
_SINGLE = frozenset({"broadcast", "index", "reshape", "transpose", "flip", "concatenate", "pad",
                     "index_set", "select"})  # fmt: skip


def is_draw(equation: Equation) -> bool:
    """Whether an equation draws random numbers."""
    return equation.op.name in CONTINUOUS or equation.op.name in DISCRETE


def draws_inside(program: Program) -> bool:
    """Whether anything in a program draws, its loops and branches included."""
    return any(
        is_draw(e) or any(draws_inside(p) for _, p in subprograms(e)) for e in program.equations
    )


class Chance:
    """The draws and events of a straight program, for the inputs that are `active`.

    `draws`: the equations that draw, in order. `feeds`: for a variable that moves smoothly with
    continuous draws, their numbers. `moving`: the variables that move with the active inputs.
    `marks`: draws with a discrete value and events, in order; `active_events`: those that count.
    `bends`: whether along one draw an event's argument may turn round (see `jumps`); `affine`:
    whether all of them are affine in each draw. Events that are
    `settled` (see continuity.py) count as none.
    """

    def __init__(self, program: Program, active: Iterable[Var], settled=frozenset()):
        self.program = program
        self._settled = settled
        self.moving: set[Var] = set(active)
        self.feeds: dict[Var, frozenset[int]] = {}
        self.degree: dict[Var, int] = {}  # 1 affine, 2 monotone, 3 anything, in the draws
        self.diagonal: set[Var] = set()  # each element moves with one element of one draw
        self.draws: list[Equation] = []
        self.marks: list[Equation] = []
        self.active_events: dict[int, Equation] = {}  # by their number among the marks
        self.bends, self.affine = False, True
        for equation in program.equations:
            if is_draw(equation):
                self._draw(equation)
            else:
                self._other(equation)

    def _draw(self, equation: Equation) -> None:
        number = len(self.draws)
        self.draws.append(equation)
        out = equation.outputs[0]
        if equation.op.name in DISCRETE:
            self.marks.append(equation)
            return
        self.feeds[out] = frozenset({number})
        self.degree[out] = 1
        self.diagonal.add(out)
        if any(x in self.moving for x in equation.inputs):
            self.moving.add(out)

    def _other(self, equation: Equation) -> None:
        inputs = [x for x in equation.inputs if not x.is_literal and x.type.inexact]
        known = [x for x in inputs if x in self.feeds]
        feeds = frozenset().union(*(self.feeds[x] for x in known))
        moves = any(x in self.moving for x in inputs)
        jumps = is_jump(equation) and equation not in self._settled
        if feeds and jumps and not never_equal(equation, self.feeds):
            if moves:
                self.active_events[len(self.marks)] = equation
                degree = self._degree(equation, inputs)
                self.bends, self.affine = self.bends or degree > 2, self.affine and degree == 1
            self.marks.append(equation)
        if equation.op.name == "held":
            self._hold(equation)
        if not equation.op.smooth:
            return
        outputs = [v for v in equation.outputs if v.type.inexact]
        if moves:
            self.moving.update(outputs)
        if feeds:
            degree = self._degree(equation, inputs)
            for v in outputs:
                self.feeds[v], self.degree[v] = feeds, degree
            alone = len(feeds) == 1 and all(x in self.diagonal for x in known)
            if equation.op.elementwise and alone:
                self.diagonal.update(outputs)

    def _hold(self, equation: Equation) -> None:
        x, out = equation.inputs[0], equation.outputs[0]
        if x in self.feeds:
            self.feeds[out], self.degree[out] = self.feeds[x], 3

    def _degree(self, equation: Equation, inputs) -> int:
        """How the equation's value depends on one draw, the others being fixed."""
        known = [x for x in inputs if x in self.degree]
        worst, name = max(self.degree[x] for x in known), equation.op.name
        apart = sum(len(self.feeds[x]) for x in known) == len(
            frozenset().union(*(self.feeds[x] for x in known))
        )
        if worst > 2:
            return 3
        if name in _SINGLE:
            return worst
        if name in _AFFINE or name in COMPARISONS:
            return worst if apart or worst == 1 else 3
        if name in ("multiply", "maximum", "minimum"):
            return (worst if name == "multiply" else 2) if apart else 3
        if name == "divide":
            return worst if known == [equation.inputs[0]] else 3
        if name in _MONOTONE:
            return 2
        if name in _REDUCTIONS and equation.inputs[0] in self.diagonal:
            return worst if name == "sum" else 2
        if name in ("sum", "cumsum"):
            return 1 if worst == 1 else 3
        if name == "contract":
            return 1 if worst == 1 and len(known) == 1 else 3
        if is_jump(equation) and equation.op.elementwise and name not in JUMPING:
            return worst
        return 3

    def moving_draws(self) -> list[int]:
        """The numbers of the discrete draws with a parameter that moves."""
        return [
            n for n, e in enumerate(self.draws)
            if e.op.name in DISCRETE and any(x in self.moving for x in e.inputs)
        ]  # fmt: skip

    def is_smooth(self) -> bool:
        """Whether the pathwise derivative is all there is."""
        return not self.active_events and not self.moving_draws()

    def refuse_all_but_smooth(self) -> None:
        """Raise where the pathwise derivative is not all there is."""
        jumps = [*self.active_events.values(), *(self.draws[n] for n in self.moving_draws())]
        for equation in jumps:
            raise errors.NotDifferentiable(
                f'method="pathwise", but {equation.op.name} moves with an input, at '
                f"{equation.where}, and what it gives jumps.\n  Use method=\"auto\"."
            )

    def lines(self) -> set[int]:
        """The numbers of the continuous draws that active events depend on."""
        return {n for e in self.active_events.values() for x in e.inputs
                for n in self.feeds.get(x, ())}  # fmt: skip


def bends_smoothly(chance: Chance) -> bool:
    """Whether a kink (an absolute value, a maximum) may be met by draws and moves with the inputs:
    then a second derivative has terms that the pathwise one leaves out."""
    return any(
        e.op.name in _KINKS and any(
            not x.is_literal and x in chance.moving and x in chance.feeds for x in e.inputs
        )
        for e in chance.program.equations
    )  # fmt: skip


def refuse_random_control(chance: Chance) -> None:
    """Raise where chance has a part in a loop or branch that is one equation."""
    for equation in chance.program.equations:
        if not isinstance(equation.op.derivative, Structural):
            continue
        random = any(not x.is_literal and x in chance.feeds for x in equation.inputs)
        if random or any(draws_inside(p) for _, p in subprograms(equation)):
            raise errors.NotSupported(
                f"a {equation.op.name} in which draws have a part, at {equation.where}, inside an "
                "expectation whose values are not at hand (compile, vmap).\n  Call the expectation "
                "outside of them, or write the loop in plain Python."
            )


def never_equal(equation: Equation, random) -> bool:
    """Whether an equation asks if a continuous draw is equal to something else: it never is."""
    sides = [not x.is_literal and x in random for x in equation.inputs]
    return equation.op.name in ("equal", "not_equal") and not all(sides)


def is_jump(equation: Equation) -> bool:
    """Whether an equation has a jump or a discrete value where its real arguments move."""
    op, name = equation.op, equation.op.name
    if name in _SILENT or isinstance(op.derivative, Structural):
        return False
    if name in JUMPING:
        return True
    if name == "cast":
        return equation.inputs[0].type.inexact and not equation.outputs[0].type.inexact
    return isinstance(op.derivative, Constant | Discrete)
