"""Solvers for few unknowns, written in NumPy and traced: they run wherever programs run.

All work on flat vectors. `residual(x)` is F, `jacobian(x)` is dF/dx; |F| is the largest entry. A
step that does not improve is not taken, and the next one is damped ten times more.

Source    Levenberg, 1944, and Marquardt, 1963, for the damping; the rest is Newton's method.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from chainrule.control import while_loop
from chainrule.ops.linalg import solve
from chainrule.ops.matrices import on_diagonal

_FIRST = 1e-4  # the first damping, relative to the matrix
_LAST = 1e14  # where damping is given up
_HALVINGS = 10.0  # of Newton's step, before it is turned by damping
_TRIES = 30.0  # that fail one after the other, before the search is given up


def find_root(residual: Callable, jacobian: Callable, x, limit, max_steps: int):
    """The x with |F| <= limit, and whether it was found: Newton's method, its steps halved where
    |F| does not decrease, then damped."""

    def unfinished(state):
        _, r, tries, steps = state
        return (_size(r) > limit) & (steps < max_steps) & (tries < _TRIES)

    def step(state):
        x, r, tries, steps = state
        move = _newton_step(jacobian(x), r, tries)
        nudge = 0.01 * (1.0 + np.abs(x))  # every slope may be 0 at the start
        nudge = np.where(steps % 2 == 0, nudge, -nudge)
        trial = x + np.where(np.any(move != 0.0), move, nudge)
        there = residual(trial)
        better = np.sum(there * there) < np.sum(r * r)
        x, r = np.where(better, trial, x), np.where(better, there, r)
        tries = np.where(better, np.maximum(tries - 2.0, 0.0), tries + 1.0)
        return x, r, tries, steps + 1

    start = (x, residual(x), 0.0 * limit, 0)
    x, r, _, _ = while_loop(unfinished, step, start)
    x, r = _polished(residual, jacobian, x, r)
    return x, _size(r) <= limit


def _polished(residual, jacobian, x, r):
    """One more step of Newton's: |F| <= limit says little where F is flat."""
    trial = x + _solved(jacobian(x), -r)
    there = residual(trial)
    better = np.sum(there * there) < np.sum(r * r)
    return np.where(better, trial, x), np.where(better, there, r)


def _newton_step(a, r, tries):
    """Newton's step, halved at each try; later, and where the matrix is singular, that of damped
    least squares."""
    plain = _solved(a, -r)
    usable = np.all(np.isfinite(plain))
    squares = a.T @ a
    level = np.where(usable, tries - _HALVINGS, tries)
    shift = _FIRST * 10.0**level * (np.diagonal(squares) + _tiny(squares))
    damped = _solved(_with_diagonal(squares, shift), -(r @ a))
    return np.where(usable & (tries <= _HALVINGS), plain * 0.5**tries, damped)


def find_fixed_point(function, residual, jacobian, x, limit, max_steps: int):
    """The x with f(x) = x: by iteration, and Newton's method from where that ends (from x0, where
    it does not converge)."""
    near = np.sqrt(limit)

    def unfinished(state):
        _, step, steps = state
        size = _size(step)
        return (size > near) & np.isfinite(size) & (steps < max_steps)

    def iterate(state):
        x, step, steps = state
        new = x + step
        return new, function(new) - new, steps + 1

    last, step, _ = while_loop(unfinished, iterate, (x, function(x) - x, 0))
    start = np.where(_size(step) <= near, last, x)
    return find_root(residual, jacobian, start, limit, max_steps)


def find_minimum(function, gradient, hessian, x, limit, max_steps: int):
    """A stationary x where f is no larger than at every x before: Newton's method, damped until
    steps go down."""

    def unfinished(state):
        _, _, g, damping, steps = state
        return (_size(g) > limit) & (steps < max_steps) & (damping < _LAST)

    def step(state):
        x, value, g, damping, steps = state
        h = hessian(x)
        shift = damping * (np.max(np.abs(h)) + _tiny(h))
        move = _solved(_with_diagonal(h, shift * np.ones_like(x)), -g)
        trial = x + move
        there, g_there = function(trial), gradient(trial)
        noise = 8.0 * np.finfo(x.dtype).eps * np.abs(value)  # f no longer tells the two apart
        flat = (there <= value + noise) & (np.sum(g_there * g_there) < np.sum(g * g))
        better = (np.sum(move * g) < 0.0) & ((there < value) | flat)
        x, g = np.where(better, trial, x), np.where(better, g_there, g)
        return x, np.where(better, there, value), g, _damped(damping, better), steps + 1

    start = (x, function(x), gradient(x), 0.0 * limit, 0)
    x, _, g, _, _ = while_loop(unfinished, step, start)
    x, g = _polished(gradient, hessian, x, g)
    return x, _size(g) <= limit


def _size(r):
    """The largest entry; nan where there is one."""
    return np.max(np.abs(r)) if r.shape[0] else np.sum(r)


def _damped(damping, better):
    easier = np.where(damping > 1e-6, 0.1 * damping, 0.0)
    return np.where(better, easier, np.maximum(10.0 * damping, _FIRST))


def _tiny(x):
    return float(np.finfo(x.dtype).tiny)


def _solved(a, b):
    """a^-1 b; inf where a is singular."""
    return solve(a, b.reshape(-1, 1), adjoint=False, raises=False).reshape(-1)


def _with_diagonal(a, shift):
    """a with a vector added to its diagonal."""
    return a + np.where(on_diagonal(a.shape), shift[:, None], 0.0)
