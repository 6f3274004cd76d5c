"""Complex numbers in registers: as whole bits, taken apart into two floats and put together.

A lane holds an i64 (complex64) or an i128 (complex128), the real part in its lower half; taking
apart and putting together are shuffles of twice as many floats. Arithmetic is done on the parts
(chainrule.compiler.lower_complex).
"""

from __future__ import annotations

from collections.abc import Callable

from chainrule.compiler.llvm.code import Code, Value, bits_of, lanes_of, vector


def _halves(x: Value) -> str:
    """The type of the parts of all lanes, one behind the other."""
    element = "float" if bits_of(x.type) == 64 else "double"
    return vector(element, 2 * lanes_of(x.type))


def _part(code: Code, x: Value, which: int) -> Value:
    type_, lanes = _halves(x), lanes_of(x.type)
    both = code.emit(type_, f"bitcast {x} to {type_}")
    if lanes == 1:
        return code.extract(both, which)
    return code.shuffle(both, both, range(which, 2 * lanes, 2))


def real_part(code: Code, operation, x: Value) -> Value:
    """The real parts; x itself where it is real."""
    return _part(code, x, 0) if operation.dtypes[0].kind == "c" else x


def imaginary_part(code: Code, operation, x: Value) -> Value:
    """The imaginary parts."""
    return _part(code, x, 1)


def joined(code: Code, operation, x: Value, y: Value) -> Value:
    """The complex numbers of these parts."""
    lanes = lanes_of(x.type)
    if lanes == 1:
        both = Value("poison", vector(x.type, 2))
        both = code.insert(code.insert(both, x, 0), y, 1)
    else:
        both = code.shuffle(x, y, [i + lanes * odd for i in range(lanes) for odd in (0, 1)])
    type_ = vector(f"i{2 * bits_of(x.type)}", lanes)
    return code.emit(type_, f"bitcast {both} to {type_}")


PARTS: dict[str, tuple[str, Callable[..., Value]]] = {  # name -> dtypes it takes, rule
    "real": ("?bhilqBHILQefdFD", real_part),
    "imag": ("fdFD", imaginary_part),
    "join": ("fdFD", joined),
}
