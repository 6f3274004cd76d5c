"""Directional derivatives that no differentiation tool had a hand in, each with an error bound.

Method    Central differences along `t -> f(x + t v)`, extrapolated to zero step (Ridders 1982),
          from four first steps. An estimate counts only if another first step confirms it: the
          error is at least the distance to the nearest estimate from another first step.
          Where f takes complex numbers, Im f(x + i h v) / h with h = 1e-30 (complex step, Squire
          and Trapp 1998) replaces the differences, but only where it agrees with them.
Refuses   a point where f is not finite, where its second differences do not shrink with the
          step (a kink, a jump, or noise), where the estimates do not agree to 1e-6, or where
          all derivatives are zero.
"""
from dataclasses import dataclass

import numpy as np

FIRST_STEPS = (2.0**-5, 2.0**-8, 2.0**-11, 2.0**-15)  # relative to the scale of the argument
ROWS = 6                                              # halvings of each first step
ACCEPTED_ERROR = 1e-6
COMPLEX_STEP = 1e-30
SEED = 20250


class NotMeasurable(Exception):
    """The reference itself cannot be computed at this point."""


class NotFloating(TypeError):
    """A function or a tool returned something else than floating numbers."""


@dataclass
class Reference:
    """The value, the directions, and for each direction the derivative and its error."""

    value: np.ndarray
    directions: list
    derivatives: list
    errors: list
    method: str


def to_vector(value) -> np.ndarray:
    """Returns the numbers of a float, array or list as a vector; refuses anything else."""
    vector = np.asarray(value)
    if vector.dtype.kind not in "fc":
        raise NotFloating(f"{type(value).__name__} of {vector.dtype} came, not floating numbers")
    return vector.reshape(-1)


def like(vector, example):
    """Returns the vector in the form of the example: a Python number, an array or a list."""
    if isinstance(example, np.ndarray):
        return np.array(vector).reshape(example.shape)
    if isinstance(example, list | tuple):
        return type(example)(item.item() for item in vector)
    return vector[0].item()


def directions(x: np.ndarray) -> list:
    """Returns the coordinates, each in the scale of its entry, or six seeded random mixtures."""
    scale = np.where(x == 0, 1.0, np.abs(x))
    if x.size <= 10:
        return list(np.diag(scale))
    random = np.random.default_rng(SEED)
    signs = random.choice([-1.0, 1.0], (6, x.size))
    return list(scale * signs * random.uniform(0.5, 1.5, (6, x.size)))


def reference(function, point) -> Reference:
    """Returns the trusted derivatives of the function at the point, or raises NotMeasurable."""
    x = np.asarray(point, dtype=float).reshape(-1)

    def along(v):
        return lambda t: to_vector(function(like(x + t * v, point)))

    chosen = directions(x)
    value = _finite(along(chosen[0])(0.0))
    found = [_directional(along(v), value) for v in chosen]
    if not any(np.any(np.abs(d) > e) for d, e, _ in found):
        raise NotMeasurable("the derivative is zero in every direction")
    methods = {method for _, _, method in found}
    method = "complex step" if methods == {"complex step"} else "differences"
    return Reference(value, chosen, [d for d, _, _ in found], [e for _, e, _ in found], method)


def _finite(values):
    if not np.all(np.isfinite(values)):
        raise NotMeasurable("a value is not finite")
    return values


def _directional(g, value):
    derivative, error = _extrapolated(g)
    scale = np.max(np.abs(derivative), initial=0.0)
    _refuse_kinks(g, value, scale)
    exact = _complex_step(g, derivative, error, scale, value)
    if exact is not None:
        # Complex LAPACK mixes real rounding into the imaginary part, so the distance to the
        # differences counts as error too (seen in scipy.linalg.sqrtm).
        distance = np.minimum(error, np.abs(exact - derivative))
        return exact, distance + 1e-12 * np.abs(exact) + 1e-14 * scale, "complex step"
    size = max(scale, 1e-3 * np.max(np.abs(value)))
    if np.any(error > ACCEPTED_ERROR * size):
        raise NotMeasurable(f"the differences agree to {np.max(error) / size:.0e} only")
    return derivative, error, "differences"


def _extrapolated(g):
    """The estimate with the least error over all first steps, element by element."""
    runs = [_ridders(g, step) for step in FIRST_STEPS]
    values = np.array([value for value, _ in runs])
    errors = np.array([error for _, error in runs])
    errors[~np.isfinite(values)] = np.inf
    best = np.argmin(errors, axis=0)[None]
    chosen = np.take_along_axis(values, best, 0)[0]
    distances = np.abs(values - chosen)
    np.put_along_axis(distances, best, np.inf, 0)
    confirmed = np.nanmin(np.where(np.isfinite(errors), distances, np.inf), axis=0)
    return chosen, np.maximum(np.take_along_axis(errors, best, 0)[0], confirmed)


def _ridders(g, step):
    """Neville's tableau of central differences; returns its most stable entry and its error."""
    previous, value, error = [], None, None
    for _ in range(ROWS):
        try:
            row = [(g(step) - g(-step)) / (2 * step)]
        except Exception:  # the step left the function's domain; the next one is smaller
            row = None
        step /= 2
        if row is None or not np.all(np.isfinite(row[0])):
            previous = []
            continue
        for k, older in enumerate(previous):
            row.append(row[k] + (row[k] - older) / (4.0 ** (k + 1) - 1))
            spread = np.maximum(np.abs(row[k + 1] - row[k]), np.abs(row[k + 1] - older))
            if value is None:
                value, error = row[k + 1], spread
            better = spread < error
            value, error = np.where(better, row[k + 1], value), np.where(better, spread, error)
        previous = row
    if value is None:
        value = np.full_like(g(0.0), np.nan)
        error = np.full(value.shape, np.inf)
    return value, error


def _refuse_kinks(g, value, scale):
    """Second differences over the step vanish with the step where f is smooth."""
    def bend(t):
        return np.abs(g(t) - 2 * value + g(-t)) / t

    wide, narrow = 2.0**-14, 2.0**-18
    rounding = 100 * np.finfo(float).eps * np.max(np.abs(value)) / narrow
    bent = bend(narrow)
    if np.any((bent > 0.3 * bend(wide)) & (bent > 1e-5 * scale + rounding)):
        raise NotMeasurable("a kink, a jump or noise at the point")


def _complex_step(g, derivative, error, scale, value):
    """The complex step where the function takes it and differences confirm it, else None."""
    if value.dtype.kind == "c":
        return None
    try:
        shifted = g(COMPLEX_STEP * 1j)
    except Exception:
        return None
    if shifted.dtype.kind != "c" or not np.all(np.isfinite(shifted)):
        return None
    exact = shifted.imag / COMPLEX_STEP
    agrees = np.all(np.abs(exact - derivative) <= 10 * error + 1e-8 * scale)
    return exact if agrees and np.max(error) <= 1e-4 * scale else None
