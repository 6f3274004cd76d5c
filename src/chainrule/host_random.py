"""NumPy's and Python's own random numbers in a compiled function: constants from its trace on."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


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


def states(generators: list) -> list[bytes | str]:
    """The states of NumPy's and Python's global generators, and of these."""
    state: Any = np.random.get_state()  # a tuple, unless another form is asked for
    found: list[bytes | str] = [state[1].tobytes(), repr(state[2:]), repr(random.getstate())]
    return found + [repr(_state(g)) for g in generators]


def _state(generator):
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)  # with the normal number that it keeps back
    return generator.bit_generator.state
