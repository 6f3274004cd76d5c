"""SciPy's special functions in compiled code: calls of the C functions behind its ufuncs.

Value     the same bits as the operation's own evaluation. SciPy computes float32 in float64, but
          for the functions in `_SINGLE`, which have a float variant (Boost's, and the logistic
          ones). Counts are cut to whole numbers, as SciPy does after a warning. float16 stays on
          the evaluator: SciPy rounds it once, from float64 or from float32.
Threads   the functions need no lock and hold no state.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from chainrule.compiler.externals import address
from chainrule.compiler.kernel import HEAD, Kernel, Phase, Place, Site
from chainrule.compiler.llvm.code import (
    I64,
    POINTER,
    Code,
    Value,
    constant,
    element_of,
    element_type,
    lanes_of,
)
from chainrule.compiler.llvm.vecmath import MATH
from chainrule.ops.special.gamma_functions import REFLECT_BELOW, cotangent_derivative

_ELEMENTS = {"d": "double", "f": "float", "l": "i64", "s": "i32", "o": POINTER, "D": POINTER}

ELEMENTS_A_TASK = 256


class Special(NamedTuple):
    """A C function and how it is called: the letters of its parameters (see `externals`), the
    leading arguments that are fixed, and which of several results is meant.

    With letters such as `dd->d` it is the loop of a ufunc. `around(code, function, x)` writes an
    operation that is not quite the function.
    """

    name: str
    letters: str
    fixed: tuple[float, ...] = ()
    output: int = 0
    keeps_nan: bool = True  # a nan for a count gives nan; otherwise it is cut to a number
    around: Callable[[Code, Callable[[Value], Value], Value], Value] | None = None

    @property
    def is_loop(self) -> bool:
        return "->" in self.letters

    @property
    def external(self) -> str:
        """Its name in `chainrule.compiler.externals`."""
        return f"{'ufunc' if self.is_loop else 'special'}.{self.name}({self.letters})"


# --- which function an operation is ---------------------------------------------------------------

_BY_ARGUMENTS = {
    1: "cosdg cosm1 cotdg dawsn ellipe ellipk ellipkm1 entr erf erfc erfcinv erfcx erfi erfinv "
    "exp1 exp10 expi expit exprel gamma gammaln gammasgn i0 i0e i1 i1e j0 j1 k0 k0e k1 k1e "
    "log_expit log_ndtr loggamma logit ndtr ndtri psi rgamma sindg spence tandg wrightomega y0 y1",
    2: "beta betaln binom boxcox boxcox1p chdtr chdtrc chdtri ellipeinc ellipkinc gammainc "
    "gammaincc gammainccinv gammaincinv huber hyp0f1 inv_boxcox inv_boxcox1p iv ive jv jve kl_div "
    "kv kve modstruve owens_t pdtr pdtrc poch powm1 pseudo_huber rel_entr stdtr stdtrit struve "
    "xlog1py xlogy yv yve",
    3: "betainc betaincc betainccinv betaincinv fdtr fdtrc fdtri gdtr gdtrc gdtrix hyp1f1 hyperu "
    "voigt_profile",
    4: "hyp2f1",
}  # fmt: skip

SPECIAL: dict[str, tuple[str, int]] = {
    name: (f"special.{name}", count)
    for count, names in _BY_ARGUMENTS.items()
    for name in names.split()
}
"""Operations that are one C function of doubles: its external name, and how many arguments."""

_SINGLE = {
    "betainc", "betaincc", "betainccinv", "betaincinv", "erfinv", "expit", "fdtr", "fdtrc", "fdtri",
    "log_expit", "logit", "powm1", "stdtr", "stdtrit",
}  # fmt: skip
_LOOPS_OF_FLOATS = {"xlogy", "xlog1py"}  # SciPy uses logf for them, and exports only doubles

_COUNTS = {
    "expn": ("lds", True), "kn": ("lds", True), "yn": ("lds", True),
    "nbdtr": ("llds", True), "nbdtrc": ("llds", True),
    "bdtr": ("dlds", False), "bdtrc": ("dlds", False), "bdtri": ("dlds", False),
}  # fmt: skip

_RESULTS = {
    "fresnel_sine": ("fresnel", 0), "fresnel_cosine": ("fresnel", 1),
    "sine_integral": ("sici", 0), "cosine_integral": ("sici", 1),
    "hyperbolic_sine_integral": ("shichi", 0), "hyperbolic_cosine_integral": ("shichi", 1),
}  # fmt: skip


def _airy(params: dict[str, Any], dtype: np.dtype) -> Special | None:
    return Special("airy", "dDDDD", output=params["part"])


def _spherical(name: str, even: int) -> Callable[[dict[str, Any], np.dtype], Special | None]:
    """Defined for x >= 0, with f(-x) = even (-1)^n f(x)."""

    def find(params: dict[str, Any], dtype: np.dtype) -> Special | None:
        n = params["n"]
        around = partial(_mirrored, float(-even if n % 2 else even))
        if dtype.char == "d":
            return Special(name, "ldso", (n,), around=around)
        return Special(f"_{name}", "lf->f", (n,), around=around)

    return find


def _mirrored(factor: float, code: Code, function: Callable[[Value], Value], x: Value) -> Value:
    out = function(code.intrinsic("fabs", x))
    above = code.compare("oge", x, code.like(x, 0.0))
    return code.select(above, out, code.fmul(out, code.like(out, factor)))


def _polygamma(params: dict[str, Any], dtype: np.dtype) -> Special | None:
    n = params["n"]
    return Special("_zeta", "dd->d", (n + 1,), around=partial(_reflected_polygamma, n))


def _reflected_polygamma(n: int, code: Code, zeta: Callable[[Value], Value], x: Value) -> Value:
    """(-1)^(n+1) n! zeta(n + 1, x); far to the left through 1 - x and derivatives of the cotangent:
    the formulas of chainrule.ops.special.gamma_functions."""
    place = code.alloca(8, align=8)
    far = code.compare("olt", x, code.like(x, REFLECT_BELOW))
    right = code.select(far, code.fsub(code.like(x, 1.0), x), x)
    factor = (-1.0 if n % 2 == 0 else 1.0) * math.factorial(n)
    value = code.fmul(zeta(right), code.like(x, factor))
    code.store(value, place)
    with code.if_(far):
        turn = code.fmul(code.like(x, math.pi), code.fsub(x, code.intrinsic("roundeven", x)))
        cotangent = code.fdiv(code.like(x, 1.0), MATH["tan"](code, turn))
        total = code.like(x, 0.0)
        for coefficient in reversed(cotangent_derivative(n)):
            total = code.fadd(code.like(x, coefficient), code.fmul(total, cotangent))
        mirrored = code.fmul(value, code.like(x, -1.0 if n % 2 else 1.0))
        rest = code.fmul(code.like(x, math.pi ** (n + 1)), total)
        code.store(code.fsub(mirrored, rest), place)
    return code.load(place, "double")


def _zeta(params: dict[str, Any], dtype: np.dtype) -> Special | None:
    return Special("_zeta", "dd->d" if dtype.char == "d" else "ff->f")


def _polynomial(params: dict[str, Any], dtype: np.dtype) -> Special | None:
    parameters = tuple(float(p) for p in params["parameters"])
    letters = "l" + "d" * (len(parameters) + 1) + "s"
    return Special(f"eval_{params['kind']}", letters, (params["n"], *parameters))


_WITH_PARAMS: dict[str, Callable[[dict[str, Any], np.dtype], Special | None]] = {
    "airy": _airy,
    "orthogonal_polynomial": _polynomial,
    "polygamma": _polygamma,
    "zeta": _zeta,
    "spherical_jn": _spherical("spherical_jn", 1),
    "spherical_yn": _spherical("spherical_yn", -1),
    "spherical_in": _spherical("spherical_in", 1),
}

NAMES = frozenset(SPECIAL) | frozenset(_COUNTS) | frozenset(_RESULTS) | frozenset(_WITH_PARAMS)


def special_of(name: str, params: dict[str, Any], dtype: np.dtype) -> Special | None:
    """The C function that an operation is for arguments of this dtype; None where there is none."""
    if name not in NAMES or dtype.char not in "fd":
        return None
    found = _find(name, params, dtype)
    return found if found is not None and address(found.external) is not None else None


def _find(name: str, params: dict[str, Any], dtype: np.dtype) -> Special | None:
    if name in _WITH_PARAMS:
        return _WITH_PARAMS[name](params, dtype)
    if name in _COUNTS:
        letters, keeps_nan = _COUNTS[name]
        return Special(name, letters, keeps_nan=keeps_nan)
    if name in _RESULTS:
        function, output = _RESULTS[name]
        return Special(function, "dDD", output=output)
    if dtype.char != "d" and name in _LOOPS_OF_FLOATS:
        return Special(name, "ff->f")
    letter = "f" if dtype.char != "d" and name in _SINGLE else "d"
    return Special(name, letter * SPECIAL[name][1] + "s")


# --- the call -------------------------------------------------------------------------------------


def call_special(code: Code, special: Special, pointer: Value, inputs: list[Value]) -> Value:
    """The function at `pointer` of float or double values, lane by lane."""
    lanes = lanes_of(inputs[0].type)
    if lanes == 1:
        return _call_one(code, special, pointer, inputs)
    out = Value("poison", inputs[0].type)
    for lane in range(lanes):
        items = [code.extract(x, lane) for x in inputs]
        out = code.insert(out, _call_one(code, special, pointer, items), lane)
    return out


def _call_one(code: Code, special: Special, pointer: Value, inputs: list[Value]) -> Value:
    element = element_of(inputs[0].type)
    if special.around is None:
        out = _call_plain(code, special, pointer, inputs)
    else:
        (x,) = inputs
        wide = x if "f" in special.letters else code.convert("fpext", x, "double")
        plain = partial(_call_plain, code, special, pointer)
        out = special.around(code, lambda y: plain([y]), wide)
    return code.convert("fptrunc", out, element)


def _call_plain(code: Code, special: Special, pointer: Value, inputs: list[Value]) -> Value:
    """The function itself, in the type that it computes in."""
    results: list[Value] = []
    arguments: list[Value] = []
    missing: list[Value] = []  # counts that are nan
    given = iter(inputs)
    letters, _, _ = special.letters.partition("->")
    for number, letter in enumerate(letters):
        type_ = _ELEMENTS[letter]
        if number < len(special.fixed):
            arguments.append(constant(type_, special.fixed[number]))
        elif letter == "D":
            results.append(code.alloca(8, align=8))
            arguments.append(results[-1])
        elif letter in "so":
            arguments.append(Value("null" if letter == "o" else "0", type_))
        else:
            arguments.append(_argument(code, next(given), type_, missing))
    wide = "float" if "f" in letters else "double"
    if special.is_loop:
        return _call_loop(code, pointer, arguments, wide)
    out = _call(code, pointer, arguments, None if results else wide)
    if results:
        out = code.load(results[special.output], "double")
    for count in missing if special.keeps_nan else ():
        out = code.select(code.compare("uno", count, count), count, out)
    return out


def _call_loop(code: Code, pair: Value, arguments: list[Value], result: str) -> Value:
    """A ufunc's loop over one element. It moves the pointers that it is given, so they are written
    anew each time."""
    count = len(arguments) + 1
    places = [code.alloca(8, align=8) for _ in range(count)]
    for x, place in zip(arguments, places, strict=False):
        code.store(x, place)
    pointers = code.alloca(8 * count, align=8)
    for i, place in enumerate(places):
        code.store(place, code.offset(pointers, 8 * i))
    one = code.constant_in_memory(constant(I64, 1))
    steps = code.alloca(8 * count, align=8)
    for i in range(count):
        code.store(constant(I64, 8), code.offset(steps, 8 * i))
    function, data = code.load(pair, POINTER), code.load(code.offset(pair, 8), POINTER)
    code.line(f"call void {function.text}({pointers}, {one}, {steps}, {data})")
    return code.load(places[-1], result)


def _call(code: Code, pointer: Value, arguments: list[Value], result: str | None) -> Value:
    listed = ", ".join(map(str, arguments))
    if result is None:
        code.line(f"call void {pointer.text}({listed})")
        return pointer
    return code.emit(result, f"call {result} {pointer.text}({listed})")


def _argument(code: Code, x: Value, type_: str, missing: list[Value]) -> Value:
    if type_ != I64:
        return code.convert("fpext", x, type_)
    wide = code.convert("fpext", x, "double")
    missing.append(wide)
    return _whole(code, wide)


def _whole(code: Code, x: Value) -> Value:
    """x as an int64, cut towards zero; the least one where x is out of range, or nan."""
    low = code.compare("oge", x, code.like(x, -(2.0**63)))
    inside = code.binary("and", low, code.compare("olt", x, code.like(x, 2.0**63)))
    safe = code.select(inside, x, code.like(x, 0.0))
    out = code.convert("fptosi", safe, I64)
    return code.select(inside, out, constant(I64, -(1 << 63)))


# --- a kernel of one operation --------------------------------------------------------------------


def emit_special(site: Site) -> Kernel | None:
    """The kernel of one special function over arrays of any strides."""
    out = site.outputs[0]
    special = special_of(site.op, site.params, out.type.dtype)
    if special is None or any(p.type.dtype != out.type.dtype for p in site.inputs):
        return None
    size = out.type.size
    tasks = max(1, -(-size // ELEMENTS_A_TASK))
    code = Code()
    places = [p for p in (*site.inputs, out) if p.literal is None]
    pointers = [
        code.load(code.offset(Value("%args", POINTER), i, 8), POINTER)
        for i in range(len(places) + 1)
    ]
    start = code.index_mul(Value("%lo", I64), ELEMENTS_A_TASK)
    stop = code.index_mul(Value("%hi", I64), ELEMENTS_A_TASK)
    stop = code.intrinsic("smin", stop, constant(I64, size))  # type: ignore[arg-type]
    with code.loop(start, stop) as loop:
        arrays = iter(pointers)
        values = [
            _loaded(code, p, next(arrays) if p.literal is None else None, loop.index)
            for p in site.inputs
        ]
        result = call_special(code, special, pointers[-1], values)
        code.store(result, _element(code, out, next(arrays), loop.index))
    code.line("ret void")
    return Kernel((Phase(code.function(HEAD), tasks),), externals=(special.external,))


def _loaded(code: Code, place: Place, pointer: Value | None, index: Value) -> Value:
    element = element_type(place.type.dtype)
    if pointer is None:
        return constant(element, place.literal)
    return code.load(_element(code, place, pointer, index), element)


def _element(code: Code, place: Place, pointer: Value, index: Value) -> Value:
    """The address of the element of this number in C order."""
    size = place.type.dtype.itemsize
    if place.contiguous:
        return code.offset(pointer, index, size)
    offset: Value | int = 0
    rest = index
    for n, stride in zip(reversed(place.type.shape), reversed(place.strides), strict=True):
        at = code.binary("urem", rest, constant(I64, n))
        rest = code.binary("udiv", rest, constant(I64, n))
        offset = code.index_add(offset, code.index_mul(at, stride))
    return code.offset(pointer, offset, size)
