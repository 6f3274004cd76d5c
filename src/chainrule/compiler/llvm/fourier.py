"""Fourier transforms as native kernels: calls of pocketfft through the loops behind numpy.fft.

Value     the evaluator's bits, for any length: mixed radix, and Bluestein's transform where a
          prime factor is large. Error: O(log n) units in the last place of the norm, on average.
Tasks     are lanes: rows along the other axes. Plans are kept by pocketfft, behind a lock.
Source    Reinecke's pocketfft, after Swarztrauber's FFTPACK (1985); Bluestein, IEEE Trans. Audio
          Electroacoustics 18 (1970) 451.
"""

from __future__ import annotations

import numpy as np

from chainrule.compiler.externals import address
from chainrule.compiler.kernel import HEAD, Kernel, Phase, Site
from chainrule.compiler.llvm.along import without_axis
from chainrule.compiler.llvm.code import Code, Value, constant, element_type
from chainrule.compiler.llvm.loops import task_count
from chainrule.compiler.llvm.ufunc_loops import LoopCall, write_rows
from chainrule.compiler.llvm.walk import Walk, bytes_of, operand_pointers, walk_over


def emit_fourier(site: Site) -> Kernel | None:
    """The kernel of fft, rfft or irfft of float32s or float64s along one axis."""
    (x,), (out,), axis = site.inputs, site.outputs, site.params["axis"]
    part = np.dtype(out.type.dtype.char.lower())
    external = _external(site, part)
    if external is None or address(external) is None or x.literal is not None:
        return None
    code = Code()
    source, target, pair = operand_pointers(code, (x,), 2)
    factor = code.constant_in_memory(constant(element_type(part), _factor(site, part)))
    lengths = (x.type.shape[axis], out.type.shape[axis])
    inner = (bytes_of(x)[axis], bytes_of(out)[axis])
    walk = walk_over(
        without_axis(out.type.shape, axis), without_axis(bytes_of(x), axis),
        without_axis(bytes_of(out), axis),
    )  # fmt: skip
    call = LoopCall(code, pair, 3, 2)
    tasks = _write(code, walk, (source, target), factor, call, lengths, inner)
    code.line("ret void")
    return Kernel((Phase(code.function(HEAD), tasks),), externals=(external,))


def _external(site: Site, part: np.dtype) -> str | None:
    """The loop of a transform; pocketfft has one for even and one for odd lengths of real ones."""
    f, wide = part.char, part.char.upper()
    given, made = site.inputs[0].type, site.outputs[0].type
    odd = given.shape[site.params["axis"]] % 2
    name, types = {
        "fft": ("ifft" if site.params.get("inverse") else "fft", f"{wide}{f}->{wide}"),
        "rfft": ("rfft_n_odd" if odd else "rfft_n_even", f"{f}{f}->{wide}"),
        "irfft": ("irfft", f"{wide}{f}->{f}"),
    }[site.op]
    if part.char not in "fd" or (given.dtype.char, made.dtype.char) != (types[0], types[-1]):
        return None
    return f"fft.{name}({types})"


def _factor(site: Site, part: np.dtype) -> np.generic:
    """By what the plain sums are multiplied, rounded as numpy.fft rounds it."""
    longest = site.outputs[0] if site.op == "irfft" else site.inputs[0]
    n = longest.type.shape[site.params["axis"]]
    forward = site.op == "rfft" or (site.op == "fft" and not site.params["inverse"])
    norm = site.params["norm"]
    if norm == "ortho":
        return np.reciprocal(np.sqrt(n, dtype=part))
    if norm == ("forward" if forward else "backward"):
        return np.reciprocal(n, dtype=part)
    return part.type(1)


def _write(code: Code, walk: Walk, pointers, factor: Value, call: LoopCall, lengths, inner) -> int:
    """Calls over the lanes of the walk's last axis, at every place of the others."""
    if not walk.size or 0 in lengths:
        return 1
    steps = tuple([s[-1] for s in walk.strides])

    def lanes(places, count) -> None:
        source, target = places
        call.write([source, factor, target], [count, *lengths], (steps[0], 0, steps[1], *inner))

    tasks = task_count(8 * walk.size * lengths[0] * max(lengths).bit_length())
    return write_rows(code, walk, pointers, tasks, lanes)
