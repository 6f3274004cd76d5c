"""NumPy's and Python's own random numbers in a compiled function: constants from its trace on."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from chainrule.host_reach import generators_in


@contextmanager
def randomness_noticed(name: str, generators: list) -> Iterator[None]:
    """Warn where a generator that is none of chainrule's is drawn from inside.

    Looks at NumPy's and Python's global generators and at those in the list; costs 0.1 ms.
    """
    before = states(generators)
    yield
    if states(generators) != before:
        warnings.warn(
            f"{name} draws random numbers from NumPy's or Python's own generator while it is "
            "compiled: they become constants, the same in every call.\n"
            "  Use cr.random.Generator, which is followed, or draw outside and pass the numbers.",
            UserWarning,
            stacklevel=5,
        )


def states(generators: list) -> list:
    """The states of NumPy's and Python's global generators, and of these."""
    state: Any = np.random.get_state()  # a tuple, unless another form is asked for
    found: list = [state[1].tobytes(), state[2:], random.getstate()]
    return found + [repr(state_of(g)) for g in generators]


class HostStates:
    """The generators that a call may draw from, and their states when this was made.

    A function that is traced more than once has to see the same numbers each time, and to leave the
    generators as one run would. Found are generators as far as chainrule.host_reach looks; where
    the code names none at all, making this costs some 20 microseconds, else 0.1 ms.
    """

    def __init__(self, f, args: tuple = (), kwargs: dict | None = None):
        self._generators = generators_in(f, *args, *(kwargs or {}).values())
        self._states = [state_of(g) for g in self._generators]

    def restore(self) -> None:
        """Put the generators back to where they were."""
        for generator, state in zip(self._generators, self._states, strict=True):
            set_state(generator, state)

    def now(self) -> HostStates:
        """The same generators as they are now."""
        made = object.__new__(HostStates)
        made._generators = self._generators
        made._states = [state_of(g) for g in self._generators]
        return made


def state_of(generator) -> Any:
    """The state of a generator of NumPy or Python."""
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)  # with the normal number that it keeps back
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.state


def set_state(generator, state) -> None:
    """Put a generator of NumPy or Python into a state."""
    if isinstance(generator, random.Random):
        generator.setstate(state)
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    elif isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    else:
        generator.state = state
