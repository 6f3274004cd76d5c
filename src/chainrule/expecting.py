"""expectation: the mean of a function of random draws, with the derivative of the mean."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any, NamedTuple

import numpy as np

from chainrule import errors
from chainrule.derived import derived
from chainrule.filling import AS_IT_IS, traced_again_where_refused
from chainrule.host_random import HostStates
from chainrule.host_reach import GLOBAL
from chainrule.numpy.reductions import mean
from chainrule.ops.control import as_tuple
from chainrule.program.at_hand import Unrolled
from chainrule.program.garbage import collector_paused
from chainrule.program.program import Program, Var
from chainrule.program.trace import Traced, bind, concrete_value, current
from chainrule.program.tree import first_difference, flatten, unflatten
from chainrule.program.types import type_of
from chainrule.random import Generator, lane_states
from chainrule.random.scores import noting
from chainrule.running import run
from chainrule.tracing import Call, trace_call
from chainrule.transforms.chance import Chance, bends_smoothly, refuse_random_control
from chainrule.transforms.continuity import settled
from chainrule.transforms.expectation import mean_slopes, mean_value
from chainrule.transforms.expected import (
    first_order,
    known_slope,
    mean_op,
    sample_states,
    seed_of,
    split_rows,
)
from chainrule.transforms.kinks import inlined
from chainrule.transforms.paths import Paths

METHODS = ("auto", "pathwise", "perturb", "enumerate", "score")


class Estimate(NamedTuple):
    """A mean and its gradient, each with its standard error."""

    value: Any
    value_error: Any
    gradient: Any
    gradient_error: Any


def expectation(
    f: Callable, *, samples: int = 1000, method: str = "auto", with_error: bool = False
) -> Expectation:
    """The mean of `f` over its random draws: a function of f's arguments, with a derivative.

    **Draws** f draws from a `cr.random.Generator`: the one passed as `rng=` (where f has a
    parameter of that name), one among its arguments, or one it closes over. Each of the `samples`
    has a stream of its own; the generator advances by one draw in all. `samples=`, `method=` and
    `with_error=` may be given here or in the call.
    **Result** the mean of each array that f returns, in float64; with `with_error`, a pair of the
    mean and its standard error. `.estimate(...)` gives the gradient with its standard error.
    **Derivative** unbiased: pathwise through continuous draws; by other values of discrete draws;
    with the boundary terms of comparisons and roundings. With method="pathwise", of the first only:
    anything else raises. "perturb" tries the neighbours of a discrete draw only, "enumerate" all of
    its values (as does "auto", where these are few). With method="score", by the score function of
    every draw, with the mean of the other samples as baseline: it is the noisiest.
    **Errors** `NotDifferentiable` with the reason where no estimator is known, `DerivativeMissing`
    for a second derivative where the first is not pathwise.

    >>> import chainrule as cr
    >>> f = lambda p, rng: 10.0 * rng.bernoulli(p)
    >>> cr.grad(cr.expectation(f))(0.3, rng=cr.random.Generator(1), samples=100)
    np.float64(10.0)
    """
    if not callable(f):
        raise TypeError(f"expectation takes a function, got {f!r}.")
    return Expectation(f, samples, method, with_error)


class Expectation:
    """The mean of a function. Made by `expectation`; called with the function's arguments."""

    __name__: str

    def __init__(self, f: Callable, samples: int, method: str, with_error: bool):
        self.__name__ = type(f).__name__
        update_wrapper(self, f)
        self._f = f
        self._options = (samples, method, with_error)

    def __call__(self, *args, rng=None, samples=None, method=None, with_error=None, **kwargs):
        samples, method, with_error = self._chosen(samples, method, with_error)
        question = _Question(self._f, args, kwargs, rng, method)
        means, deviations = question.filling(lambda: question.mean(samples))
        return (means, deviations) if with_error else means

    def estimate(
        self, *args, argnums: int | Sequence[int] = 0, rng=None, samples=None, method=None, **kwargs
    ) -> Estimate:
        """The mean, its gradient by the arguments `argnums`, and the standard errors of both.

        For results that are not scalars the gradient is a Jacobian, of shape out + in. Not inside
        of traces.
        """
        samples, method, _ = self._chosen(samples, method, None)
        question = _Question(self._f, args, kwargs, rng, method)
        return question.filling(lambda: question.estimate(argnums, samples))

    def _chosen(self, samples, method, with_error):
        given = (samples, method, with_error)
        samples, method, with_error = (
            own if new is None else new for own, new in zip(self._options, given, strict=True)
        )
        if method not in METHODS:
            raise ValueError(f"method is one of {METHODS}, got {method!r}.")
        samples = operator.index(samples)
        if samples < 1:
            raise ValueError(f"samples is a positive number, got {samples}.")
        return samples, method, with_error


class _Question:
    """One call: the function on its arguments and generators, and what is known of them."""

    def __init__(self, f: Callable, args: tuple, kwargs: dict, rng, method: str):
        self.method = method
        self.f, self.args, self.kwargs = _with_generator(f, args, kwargs, rng)
        self.name = getattr(f, "__name__", type(f).__name__)
        if method == "score":
            self.f = _with_log_density(self.f)
        self.call: Call | None = None
        self.way = AS_IT_IS  # in which the function is traced
        self.active: frozenset[int] = frozenset()  # leaves that a derivative is taken by
        builder = current()
        self.at_hand = builder is None or (builder.at_hand is not None and not builder.by_reference)
        self.leaves = flatten((self.args, self.kwargs))[0]
        if self.at_hand:
            self.values = [_value(x) for x in self.leaves]
            self.at_hand = all(v is not None for v in self.values)

    def filling(self, compute: Callable[[], Any]) -> Any:
        """What `compute` gives; in the way to trace the function that is not refused."""

        def once(way: int):
            self.way, self.call = way, None
            return compute()

        hosts = HostStates(self.f, self.args, self.kwargs)
        return traced_again_where_refused(once, lambda: True, self.f, hosts)

    # --- tracing --------------------------------------------------------------------------------

    def _paths(self) -> Paths:
        """The function's paths; what a derivative may be taken by is an input of each of them, also
        where the way that is traced first does without it."""
        paths = Paths(self._trace, sample_states, self.leaves, self.values)
        for number, (leaf, value) in enumerate(zip(self.leaves, self.values, strict=True)):
            if number in self.active or (type(leaf) is Traced and leaf.active):
                paths.enter(("argument", number), Var(_type(leaf)), leaf, value, False)
        return paths

    def _trace(self, recording):
        hosts = HostStates(self.f if self.call is None else None, more=GLOBAL)
        call = trace_call(
            self.f, self.args, self.kwargs, self.active, at_hand=recording, branching=_as_it_is,
            way=self.way,
        )  # fmt: skip
        if hosts.have_changed():
            raise errors.NotSupported(
                f"{self.name} draws from NumPy's or Python's own generator inside an expectation: "
                "every sample would get the same numbers.\n"
                "  Draw from the cr.random.Generator that it is given."
            )
        captured = [(x, _value(x)) for x in call.operands[: call.leading]]
        if self.call is None:
            self._accept(call)
        elif difference := first_difference(self.call.structure, call.structure, "the result"):
            raise errors.StructureMismatch(
                f"{self.name} returns results of different structure for different draws: "
                f"{difference}."
            )
        elif any(a.shape != b.shape for a, b in zip(self._types, call.program.out_types,
                                                    strict=False)):  # fmt: skip
            raise errors.ShapeError(
                f"{self.name} returns results of different shapes for different draws: "
                f"{self._types} and {call.program.out_types[: call.count]}."
            )
        self._refuse_effects(call)
        return call.program, captured, call.count

    def _accept(self, call: Call) -> None:
        self.call = call
        self._types = call.program.out_types[: self._result()[1]]
        for t in self._types:
            if t.dtype.kind not in "fiub":
                raise errors.DtypeError(f"{self.name} returns {t}: a mean is of real numbers.")

    def _refuse_effects(self, call: Call) -> None:
        states = self._states(call)
        for effect in call.effects:
            if effect.target is None or effect.target not in states:
                raise errors.MutationError(
                    f"{self.name} writes to an argument, or to an array or object outside of it, "
                    "in an expectation: each sample would write something else. Return the value."
                )

    def _states(self, call: Call) -> set[int]:
        """The numbers of the program's inputs that are states of generators."""
        found = set(call.generator_states)
        number = call.leading
        for argument in [*self.args, *self.kwargs.values()]:
            count = len(flatten(argument)[0])
            if isinstance(argument, Generator):
                found.update(range(number, number + count))
            number += count
        return found

    def _advance(self) -> None:
        """Advance each generator that was used, by one draw."""
        assert self.call is not None
        given = [a for a in [*self.args, *self.kwargs.values()] if isinstance(a, Generator)]
        for generator in {id(g): g for g in [*given, *self.call.generators]}.values():
            generator._next_draw()

    # --- the mean -------------------------------------------------------------------------------

    @collector_paused()
    def mean(self, samples: int):
        """The means and the standard errors, as trees like the function's result."""
        if not self.at_hand:
            types = [_type(x) for x in self.leaves]
            call = trace_call(
                self.f, self.args, self.kwargs, types=types, concrete=False, at_hand=Unrolled(),
                way=self.way,
            )  # fmt: skip
            self._accept(call)
            self._refuse_effects(call)
            found = self._recorded(samples)
        else:
            paths = self._paths()
            paths.prepare(samples)
            assert self.call is not None
            traced = [x for x in self.call.operands if type(x) is Traced]
            if paths.root.asked is None and traced:
                found = self._recorded(samples)
            else:
                found = self._computed(paths, samples)
        self._advance()
        assert self.call is not None
        structure, count = self._result()
        return unflatten(structure, found[:count]), unflatten(structure, found[count:])

    def _result(self):
        """The structure of the function's result, and how many arrays it holds."""
        assert self.call is not None
        if self.method != "score":
            return self.call.structure, self.call.count
        return self.call.structure.children[0], self.call.count - 1

    def _recorded(self, samples: int) -> list:
        """Record one operation for the whole, or the samples themselves where they are smooth."""
        call = self.call
        assert call is not None
        outputs = call.program.outputs[: call.count]
        program = inlined(
            Program(call.program.inputs, call.program.equations, outputs, name=call.program.name)
        )
        moving = {
            v for v, x in zip(program.inputs, call.operands, strict=True)
            if type(x) is Traced and x.type.inexact
        }  # fmt: skip
        chance = Chance(program, moving, settled(program))
        refuse_random_control(chance)
        states = self._states(call)
        if self.method in ("auto", "pathwise") and chance.is_smooth():
            return self._smooth(program, chance, states, samples)
        params = {"wide": (), "program": program, "generators": tuple(sorted(states)),
                  "samples": samples, "method": self.method}  # fmt: skip
        return list(as_tuple(bind(mean_op, tuple(call.operands), params)))

    def _smooth(self, program: Program, chance: Chance, states: set[int], samples: int) -> list:
        """All samples side by side, recorded: their mean has derivatives of every order."""
        assert self.call is not None
        operands = list(self.call.operands)
        for i in states:
            operands[i] = lane_states(operands[i], samples)
        mask = tuple(i in states for i in range(len(operands)))
        wanted = (True,) * len(program.outputs)
        rows = run(derived("batch", program, samples, mask, wanted), operands)
        rows = [x if x.dtype == np.float64 else x.astype(np.float64) for x in rows]
        means = [mean(x, axis=0) for x in rows]
        deviations = [np.std(x, axis=0, ddof=1) / np.sqrt(samples) if samples > 1 else m * np.nan
                      for x, m in zip(rows, means, strict=True)]  # fmt: skip
        if bends_smoothly(chance):
            moving = [x for x in self.call.operands if type(x) is Traced and x.type.inexact]
            means = [first_order(m, *moving) for m in means]
        return means + deviations

    def _computed(self, paths: Paths, samples: int) -> list:
        """The means as numbers; where traced values go in, with their slopes by these."""

        def active() -> list[Var]:
            return [v for v, x in paths.hosts.items() if type(x) is Traced and x.active]

        known = None
        while known != (moving := active()):  # a way that was new may have captured more
            known = moving
            if moving:
                seed = self._seed(paths)
                moments, slopes = mean_slopes(paths, moving, samples, seed, self.method)
            else:
                moments, slopes = mean_value(paths, samples, self.method), {}
        if not moving:
            return [*split_rows(moments.mean(), self._types),
                    *split_rows(moments.error(), self._types)]  # fmt: skip
        means = split_rows(moments.mean(), self._types)
        parts = [split_rows(slopes[v].mean(), self._types) for v in moving]
        ordered = [p[k] for k in range(len(means)) for p in parts]
        arguments = [paths.hosts[v] for v in moving]
        values = (*means, *arguments, *ordered)
        made = as_tuple(bind(known_slope, values, {"outputs": len(means)}))
        return [*made, *split_rows(moments.error(), self._types)]

    def _seed(self, paths: Paths) -> list[int]:
        return seed_of(paths.known[v] for v in paths.generators)

    def estimate(self, argnums, samples: int) -> Estimate:
        """The mean and its gradient, computed at once."""
        if current() is not None:
            raise errors.NotSupported("estimate(...) is for plain values, not inside of traces.")
        single = isinstance(argnums, int | np.integer)
        numbers = [int(argnums)] if single else [int(n) for n in argnums]
        starts = np.cumsum([0, *(len(flatten(a)[0]) for a in self.args)])
        chosen = [list(range(starts[n], starts[n + 1])) for n in numbers]
        self.active = frozenset(leaf for leaves in chosen for leaf in leaves)
        paths = self._paths()
        paths.prepare(samples)
        moving = {leaf: paths.inputs[("argument", leaf)] for leaves in chosen for leaf in leaves}
        moments, slopes = mean_slopes(
            paths, list(moving.values()), samples, self._seed(paths), self.method
        )
        self._advance()
        structure, _ = self._result()

        def tree(rows):
            return unflatten(structure, split_rows(rows, self._types))

        def by_argument(which):
            trees = []
            for n, leaves in zip(numbers, chosen, strict=True):
                found = [tree(which(slopes[moving[leaf]])) for leaf in leaves]
                trees.append(unflatten(flatten(self.args[n])[1], found))
            return trees[0] if single else tuple(trees)

        return Estimate(tree(moments.mean()), tree(moments.error()),
                        by_argument(lambda m: m.mean()), by_argument(lambda m: m.error()))


# --- arguments -----------------------------------------------------------------------------------


def _value(x):
    """The value of a leaf: its own, or the one at hand of a traced value."""
    return concrete_value(x) if type(x) is Traced else np.asarray(x)[()]


def _type(x):
    return x.type if type(x) is Traced else type_of(x)


def _with_generator(f: Callable, args: tuple, kwargs: dict, rng):
    """The function and its arguments, the generator among them where it takes one."""
    if rng is not None and not isinstance(rng, Generator):
        if isinstance(rng, int | np.integer) and not isinstance(rng, bool):
            rng = Generator(rng)
        else:
            raise TypeError(
                f"rng must be a cr.random.Generator, got {type(rng).__module__}."
                f"{type(rng).__qualname__}: its draws have derivatives, others' have none."
            )
    names = _parameters(f)
    if rng is None:
        if "rng" in names and "rng" not in kwargs and names["rng"] and not any(
            isinstance(a, Generator) for a in args
        ):
            name = getattr(f, "__name__", f)
            raise TypeError(f"{name} takes a generator: pass rng=cr.random.Generator(seed).")
        return f, args, kwargs
    if "rng" in names:
        place = list(names).index("rng")
        by_keyword = _takes_by_keyword(f, "rng")
        if place < len(args) and not by_keyword:  # f(rng, x): the generator goes before them
            return f, (*args[:place], rng, *args[place:]), kwargs
        return f, args, {**kwargs, "rng": rng}
    free = [n for n, needed in names.items() if needed and n not in kwargs][len(args) :]
    if len(free) == 1:  # f(x, generator)
        return f, args, {**kwargs, free[0]: rng}
    raise TypeError(
        f"{getattr(f, '__name__', f)} has no parameter rng to take the generator: give it one, or "
        "close over a generator and leave rng= out."
    )


def _as_it_is(builder, var, value):
    """What Python decides by is the value of the samples: ties among these never matter."""
    return value


def _with_log_density(f: Callable) -> Callable:
    """The function's result, and the log of the density of all that it has drawn."""

    def with_log_density(*args, **kwargs):
        with noting() as logs:
            result = f(*args, **kwargs)
        return result, sum(logs[1:], logs[0]) if logs else 0.0

    return with_log_density


def _parameters(f: Callable) -> dict[str, bool]:
    """The names of the parameters that can be given by name, and which must be given."""
    try:
        found = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return {}
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {p.name: p.default is p.empty for p in found if p.kind in kinds}


def _takes_by_keyword(f: Callable, name: str) -> bool:
    """Whether a parameter can be given by its name only."""
    return inspect.signature(f).parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
