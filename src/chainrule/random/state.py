"""A stream of random numbers: its state, and how a draw advances it, also inside a trace."""

from __future__ import annotations

import operator
import secrets
from typing import Any, Self

import numpy as np

from chainrule.numpy.promotion import broadcast_to
from chainrule.ops.index import index_set
from chainrule.ops.random import UINT64, fold_in, next_draw, random_state
from chainrule.ops.shape import broadcast, iota
from chainrule.program import mutation
from chainrule.program.trace import Traced, current, is_traced, operand, traced_literal


class Stream:
    """A key and the number of the next draw, in `state` (uint64[2])."""

    state: Any
    __replaces__ = ("state",)  # drawing puts a new array in its place; the old one stays as it was

    def __init__(self, seed=None):
        self.state = _initial_state(seed)

    def __repr__(self) -> str:
        name = type(self).__name__
        if is_traced(self.state):
            return f"{name}(traced)"
        return f"{name}(key={int(self.state[0]):#018x}, draw={int(self.state[1])})"

    def __copy__(self) -> Self:
        """A stream that gives the same numbers, with a state of its own."""
        made = object.__new__(type(self))
        made.state = self.state.copy()
        return made

    def __deepcopy__(self, memo) -> Self:
        return self.__copy__()

    def _next_draw(self):
        """The state that this draw uses; the stream is at the next one afterwards."""
        if current() is None:
            draw = self.state
            self.state = next_draw(draw)
            return draw
        cell = self.state if is_traced(self.state) else mutation.captured_cell(self, "state")
        cell = mutation.local(cell)
        at_draw = Traced(cell.builder, operand(cell.builder, cell))
        mutation.assign(cell, next_draw(at_draw))
        return at_draw

    def spawn(self, n_children: int) -> list[Self]:
        """New streams, independent of each other and of this one, which advances by one draw."""
        parent, children = self._next_draw(), []
        for number in range(n_children):
            child = object.__new__(type(self))
            child.state = fold_in(parent, np.uint64(number))
            children.append(child)
        return children


# --- the states of the lanes of a batch ---------------------------------------------------------


def lane_states(state, size: int):
    """The states of `size` lanes, each with a key of its own, for the state of a generator."""
    if is_traced(state):
        states = broadcast(state, shape=(size, 2), axes=(1,))
        return fold_in(states, iota(size=size, dtype=UINT64))
    states = np.broadcast_to(np.asarray(state), (size, 2))
    return fold_in.evaluate(states, np.arange(size, dtype=UINT64))


def advanced(state):
    """The state one draw later."""
    return next_draw(state)


# --- seeds --------------------------------------------------------------------------------------


def _initial_state(seed):
    if seed is None:
        seed = secrets.randbits(64)
    given = seed if isinstance(seed, list | tuple | np.ndarray) else [seed]
    numbers = [operator.index(s) for s in given]
    if not numbers or min(numbers) < 0:
        raise ValueError(f"a seed is a whole number from 0, or several of them, not {seed!r}")
    state = random_state(numbers)
    return state if current() is None else _constant(state)


def _constant(state: np.ndarray):
    """The state as a constant of the program: a generator made in a trace starts at each call."""
    key, first = (traced_literal(int(word), UINT64) for word in state)
    return index_set(broadcast_to(first, (2,)), key, at=(0,))
