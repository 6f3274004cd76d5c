"""The accuracy of the compiler's vector math, measured; rewrites the table of its page.

    python benchmarks/vector_math_accuracy.py [--points N] [--write] [NAME ...]

float32 is compared with NumPy and SciPy in float64 (on a stride through all bit patterns for
functions of one argument), float64 with mpmath at 60 digits. An error is in units of the last
place of the true value, where that is subnormal of the smallest subnormal number.
"""

from __future__ import annotations

import argparse
import ctypes
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.special
from mpmath import mp, mpc, mpf

from chainrule.compiler.llvm.code import Code, Value, element_type, vector
from chainrule.compiler.llvm.vecmath import MATH
from chainrule.compiler.machine_code import Loaded, object_code

PAGE = Path(__file__).parents[1] / "docs" / "vector-math.md"
mp.dps = 60
BINARY = {
    "power", "hypot", "arctan2", "logaddexp", "logaddexp2", "xlogy", "xlog1py", "rel_entr", "fmod",
    "remainder", "floor_divide",
}  # fmt: skip
QUOTIENTS = {"fmod", "remainder", "floor_divide"}  # the same bits as NumPy's, not measured


# --- the native function --------------------------------------------------------------------------


def text_of(name: str, dtype, lanes: int) -> str:
    """LLVM IR of `apply(args, lo, hi)`: MATH[name] of arrays, `lanes` elements at a time."""
    dtype, count = np.dtype(dtype), 1 + (name in BINARY)
    code = Code()
    arguments = Value("%args", "ptr")
    pointers = [code.load(code.offset(arguments, i, 8), "ptr") for i in range(count + 1)]
    type_ = vector(element_type(dtype), lanes)
    with code.loop(Value("%lo", "i64"), Value("%hi", "i64"), lanes) as loop:
        places = [code.offset(p, loop.index, dtype.itemsize) for p in pointers]
        inputs = [code.load(p, type_) for p in places[:-1]]
        code.store(MATH[name](code, *inputs), places[-1])
    code.line("ret void")
    return code.function("define void @apply(ptr noalias %args, i64 %lo, i64 %hi)")


@lru_cache(maxsize=256)
def native(name: str, dtype, lanes: int = 8) -> Callable:
    """MATH[name] as a function of arrays of any length."""
    loaded = Loaded(object_code(text_of(name, dtype, lanes)))
    form = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    function = form(loaded.address("apply"))

    def run(*arrays, loaded=loaded):
        arrays = np.broadcast_arrays(*[np.asarray(a, dtype).ravel() for a in arrays])
        size = arrays[0].size
        padded = -(-size // lanes) * lanes
        whole = [np.ascontiguousarray(np.resize(a, padded)) for a in [*arrays, np.ones(1, dtype)]]
        table = (ctypes.c_void_p * len(whole))(*[a.ctypes.data for a in whole])
        function(ctypes.addressof(table), 0, padded)
        return whole[-1][:size]

    return run


# --- the truth ------------------------------------------------------------------------------------


def _power(x, y):
    if x >= 0:
        return mp.power(x, y)
    odd = mp.floor(y / 2) * 2 != y
    return mp.nan if mp.floor(y) != y else (-1 if odd else 1) * mp.power(-x, y)


def _expit(x):
    return 1 / (1 + mp.exp(-x))


def _erfc(x):
    """mpmath's fails from about 1e150."""
    return mp.erfc(x) if abs(x) < 10**8 else mpf(0 if x > 0 else 2)


def _ndtr(x):
    return _erfc(-x / mp.sqrt(2)) / 2


def _log_ndtr(x):
    if x < -(10**7):
        return -x * x / 2 - mp.log(-x) - mp.log(2 * mp.pi) / 2 - 1 / (x * x)
    return mp.log1p(-_ndtr(-x)) if x > 0 else mp.log(_ndtr(x))


def _real(function: Callable, inside: Callable) -> Callable:
    """The function where it is real, else nan."""
    return lambda x: function(x) if inside(x) else mp.nan


def _logaddexp(x, y, base=None):
    largest, difference = max(x, y), -abs(x - y)
    if base is None:
        return largest + mp.log1p(mp.exp(difference))
    return largest + mp.log1p(mp.power(2, difference)) / mp.log(2)


def _sinc(x):
    return mp.sinpi(x) / (mp.pi * x) if x else mpf(1)


def _rel_entr(x, y):
    if x > 0 and y > 0:
        return x * mp.log(x / y)
    return mpf(0) if x == 0 and y >= 0 else mp.inf


TRUTH: dict[str, Callable] = {
    "exp": mp.exp, "expm1": mp.expm1, "exp2": lambda x: mp.power(2, x),
    "exp10": lambda x: mp.power(10, x),
    "log": _real(lambda x: mp.log(x) if x else -mp.inf, lambda x: x >= 0),
    "log1p": _real(lambda x: mp.log1p(x) if x > -1 else -mp.inf, lambda x: x >= -1),
    "log2": _real(lambda x: mp.log(x) / mp.log(2), lambda x: x > 0),
    "log10": _real(lambda x: mp.log(x) / mp.log(10), lambda x: x > 0),
    "tanh": mp.tanh, "expit": _expit, "log_expit": lambda x: -mp.log1p(mp.exp(-x)),
    "logaddexp": _logaddexp, "logaddexp2": lambda x, y: _logaddexp(x, y, 2),
    "power": _power, "sqrt": _real(mp.sqrt, lambda x: x >= 0),
    "cbrt": lambda x: mp.sign(x) * mp.cbrt(abs(x)), "hypot": mp.hypot,
    "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "sinc": _sinc,
    "arcsin": _real(mp.asin, lambda x: abs(x) <= 1),
    "arccos": _real(mp.acos, lambda x: abs(x) <= 1), "arctan": mp.atan, "arctan2": mp.atan2,
    "sinh": mp.sinh, "cosh": mp.cosh, "arcsinh": mp.asinh,
    "arccosh": _real(mp.acosh, lambda x: x >= 1),
    "arctanh": _real(lambda x: mp.atanh(x) if abs(x) < 1 else x * mp.inf, lambda x: abs(x) <= 1),
    "erf": mp.erf, "erfc": _erfc, "ndtr": _ndtr, "log_ndtr": _log_ndtr,
    "erfinv": _real(lambda x: mp.erfinv(x) if abs(x) < 1 else x * mp.inf, lambda x: abs(x) <= 1),
    "entr": lambda x: -x * mp.log(x) if x > 0 else (mpf(0) if x == 0 else -mp.inf),
    "xlogy": lambda x, y: mpf(0) if x == 0 else x * TRUTH["log"](y),
    "xlog1py": lambda x, y: mpf(0) if x == 0 else x * TRUTH["log1p"](y),
    "rel_entr": _rel_entr,
}  # fmt: skip


def wide_reference(name: str) -> Callable:
    """NumPy's or SciPy's function."""
    if name == "sinc":  # NumPy's rounds pi x, which is no zero at the integers
        return lambda x: np.where(
            x == 0, 1.0, scipy.special.sindg(180.0 * (x - 2.0 * np.rint(x / 2))) / (np.pi * x)
        )
    return getattr(np, name, None) or getattr(scipy.special, name)


# --- where to look --------------------------------------------------------------------------------

_HARD = {
    "exp": (709.78271289338397, 709.782712893384, -745.1332191019411, -745.1332191019412, -708.39),
    "expm1": (709.78271289338397, 709.782712893384, -37.5, 0.3465735902799726),
    "exp2": (1024.0, 1023.9999999999999, -1074.0, -1075.0, -1074.9999999999998, -1022.5),
    "exp10": (308.25471555991674, 308.2547155599168, -323.60724533877976, -307.7),
    "log_expit": (-745.2, 745.2, 709.8, 36.7, -36.7),
    "sinh": (710.4758600739439, 710.475860073944, 0.999999999999, 1.0),
    "cosh": (710.4758600739439, 710.475860073944),
    "erf": (5.9215871957945075, 5.921587195794508, 0.9999999999999999, 1.0, 0.5),
    "erfc": (26.54325845425098, 27.226017111108362, 27.3, -5.86, 0.9999999999999999, 1.0, 0.5),
    "ndtr": (-38.485409, -37.519379, 8.29, 0.7071067811865475, -0.7071067811865476),
}
_ANGLES = {"sin", "cos", "tan", "arctan"}


def _all_exponents(rng, count: int, dtype) -> np.ndarray:
    """Numbers of either sign and every exponent."""
    low, high = (-149, 128) if dtype == np.float32 else (-1074, 1024)
    with np.errstate(under="ignore", over="ignore"):
        size = np.ldexp(rng.uniform(1, 2, count), rng.integers(low, high, count))
        return (size * rng.choice([-1.0, 1.0], count)).astype(dtype)


def points(name: str, dtype, count: int, seed: int = 7) -> tuple[np.ndarray, ...]:
    """About `count` arguments (pairs of them for functions of two): everywhere, and hard ones."""
    rng = np.random.default_rng(seed)
    if name in BINARY:
        return _pairs(rng, dtype, count)
    part = count // 8
    scales = (1.0, 1.5, 6.0, 40.0, 760.0)
    near_one = 1 + np.ldexp(rng.uniform(-1, 1, part), rng.integers(-40, 0, part))
    found = [
        _all_exponents(rng, part, dtype), *[rng.uniform(-s, s, part) for s in scales],
        near_one, -near_one, [s * 2.0**k for s in (-1, 1) for k in range(-40, 40)],
        _HARD.get(name, ()),
    ]  # fmt: skip
    if name in _ANGLES:
        whole = np.concatenate([np.arange(1, part), rng.integers(1, 2**40, part)])
        found += [whole * (np.pi / 2), whole * (np.pi / 4)]
        found.append([6381956970095103.0 * 2.0**797, 2.0**30, 2.0**31 - 0.5])  # nearest to k pi/2
    with np.errstate(over="ignore"):
        return (np.concatenate([np.asarray(f, np.float64) for f in found]).astype(dtype),)


def _pairs(rng, dtype, count: int) -> tuple[np.ndarray, np.ndarray]:
    part = count // 6
    x, y = _all_exponents(rng, part, dtype), _all_exponents(rng, part, dtype)
    a, b = rng.uniform(-30, 30, part), rng.uniform(-30, 30, part)
    near = 1 + np.ldexp(rng.uniform(-1, 1, part), rng.integers(-40, 0, part))
    power = rng.uniform(-740, 740, part) / np.log(np.where(near == 1, 2.0, near))
    integers = rng.integers(-20, 20, part)
    first = [x, a, near, abs(a), a, a]
    second = [y, b, np.clip(power, -1e300, 1e300), b, integers, a * near]
    with np.errstate(over="ignore"):
        return tuple(np.concatenate(z).astype(dtype) for z in (first, second))  # type: ignore


def every_float32(stride: int) -> np.ndarray:
    """Each stride-th bit pattern of float32, and the ends of every exponent."""
    starts = np.arange(0, 2**32, 2**23, dtype=np.int64)
    ends = np.concatenate([(starts + k) % 2**32 for k in (-2, -1, 0, 1, 2)])
    patterns = np.concatenate([np.arange(0, 2**32, stride, dtype=np.int64), ends])
    return patterns.astype(np.uint32).view(np.float32)


# --- errors in ulps -------------------------------------------------------------------------------


_PART = 1 << 15


def float32_errors(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """|found - truth| in ulps of truth, which is float64; inf where they differ in kind."""
    if found.size > _PART:  # so that temporaries stay in the processor's caches
        parts = [slice(i, i + _PART) for i in range(0, found.size, _PART)]
        return np.concatenate([float32_errors(found[p], truth[p]) for p in parts])
    _, exponent = np.frexp(truth)
    with np.errstate(all="ignore"):
        unit = np.ldexp(1.0, np.maximum(exponent - 1, -126) - 23)
        errors = np.abs(found - truth) / unit
        rounded = truth.astype(np.float32)
    same = (found == rounded) | (np.isnan(found) & np.isnan(truth))
    ordinary = np.isfinite(found) & np.isfinite(rounded)
    return np.where(ordinary, errors, np.where(same, 0.0, np.inf))


def float64_error(found: float, truth) -> float:
    """|found - truth| in ulps of the truth, an mpf; inf where they differ in kind."""
    if isinstance(truth, mpc):
        truth = mp.nan
    if mp.isnan(truth) or np.isnan(found):
        return 0.0 if mp.isnan(truth) and np.isnan(found) else np.inf
    if abs(truth) >= mpf(2) ** 1024 * (1 - mpf(2) ** -54) or np.isinf(found):
        edge = mp.isinf(truth) or abs(truth) >= mpf(2) ** 1024 * (1 - mpf(2) ** -53)
        return 0.0 if np.isinf(found) and (found > 0) == (truth > 0) and edge else np.inf
    exponent = mp.frexp(truth)[1] if truth else -2000
    return float(abs(mpf(found) - truth) / mpf(2) ** max(exponent - 53, -1074))


def worst_float32(name: str, stride: int) -> tuple[float, tuple, int]:
    """(the largest error in float32, where, how many points)."""
    inputs: tuple[np.ndarray, ...] = (every_float32(stride),)
    if name in BINARY:
        inputs = points(name, np.dtype(np.float32), 2**32 // stride)
    with np.errstate(all="ignore"):
        truth = wide_reference(name)(*[x.astype(np.float64) for x in inputs])
    errors = float32_errors(native(name, np.float32)(*inputs), truth)
    place = int(np.argmax(errors))
    return float(errors[place]), tuple(x[place] for x in inputs), errors.size


def worst_float64(name: str, count: int, seed: int = 7) -> tuple[float, tuple, int]:
    """(the largest error in float64, where, how many points)."""
    inputs = points(name, np.dtype(np.float64), count, seed)
    finite = np.logical_and.reduce([np.isfinite(x) for x in inputs])
    inputs = tuple(x[finite] for x in inputs)
    found = native(name, np.float64)(*inputs)
    worst, place = 0.0, 0
    for i, value in enumerate(found):
        arguments = [mpf(float(x[i])) for x in inputs]
        if name == "power" and arguments[0] == 0:
            continue
        error = float64_error(float(value), TRUTH[name](*arguments))
        if error > worst:
            worst, place = error, i
    return worst, tuple(x[place] for x in inputs), found.size


# --- the page -------------------------------------------------------------------------------------


def write_table(rows: list[str]) -> None:
    """Put the rows between the marks of the page."""
    text = PAGE.read_text()
    head, _, rest = text.partition("<!-- table -->\n")
    _, _, tail = rest.partition("<!-- end -->")
    PAGE.write_text(head + "<!-- table -->\n" + "\n".join(rows) + "\n<!-- end -->" + tail)


def main() -> None:
    """Measure, print, and with --write rewrite the page's table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[n for n in MATH if n not in QUOTIENTS])
    parser.add_argument("--points", type=int, default=4000, help="for float64")
    parser.add_argument("--stride", type=int, default=997, help="through float32's bit patterns")
    parser.add_argument("--write", action="store_true", help="all rows, so without names")
    arguments = parser.parse_args()
    if arguments.write and len(arguments.names) != len(MATH) - len(QUOTIENTS):
        parser.error("--write takes no names: it writes the whole table")
    head = ("function", "float32 max ulp", "float64 max ulp", "float32 points", "float64 points")
    rows = [f"| {' | '.join(head)} |", "|---|---|---|---|---|"]
    for name in arguments.names:
        narrow, narrow_at, narrow_count = worst_float32(name, arguments.stride)
        wide, wide_at, wide_count = worst_float64(name, arguments.points)
        row = f"| {name} | {narrow:.3f} | {wide:.3f} | {narrow_count:,} | {wide_count:,} |"
        print(row, narrow_at, wide_at, flush=True)
        rows.append(row)
    if arguments.write:
        write_table(rows)


if __name__ == "__main__":
    main()
