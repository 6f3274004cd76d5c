"""Forms of linear algebra, Fourier transforms, special functions and samplers."""

from __future__ import annotations

import numpy as np

from chainrule import errors
from chainrule.program.op import REGISTRY
from chainrule.show.forms import FORMS, Form, Use, params_of
from chainrule.show.fragments import Fragment, call, dtype_text, tuple_text

RECIPROCAL_WHERE_APART = '''\
def reciprocal_where_apart(difference, size):
    """1 / difference, and 0 where it is not above size: a pair of equal values adds nothing."""
    near = np.abs(difference) <= size
    safe = np.where(near, 1, difference)
    return np.where(near, 0, 1 / safe).astype(safe.dtype)[()]
'''.rstrip()

LSTSQ = '''\
def lstsq(a, b, rcond):
    """The least-squares solution, rank and singular values of each system of a stack."""
    if a.ndim == 2:
        x, _, rank, values = np.linalg.lstsq(a, b, rcond=rcond)
        return x, np.int32(rank), values
    parts = [lstsq(*pair, rcond) for pair in zip(a, b, strict=True)]
    return tuple(np.stack(part) for part in zip(*parts, strict=True))
'''.rstrip()

PORTABLE = '''\
def {name}(x):
    """{function}(x), with the same bits on every machine."""
    x = np.asarray(x)
    with np.errstate(all="ignore"):
        return {function}(x).astype(x.dtype)[()]
'''.rstrip()


def _defined(use: Use, *arguments) -> Fragment:
    """A call of the function that evaluates the operation, taken along."""
    function = use.definitions.function(REGISTRY[use.equation.op.name].evaluate)
    return call(function, *(arguments or use.operands()), **params_of(use))


# --- linear algebra -------------------------------------------------------------------------------


def _adjoint(x: Fragment, t) -> Fragment:
    swapped = x.get(".T") if t.ndim == 2 else call("np.swapaxes", x, "-1", "-2")
    return call("np.conj", swapped) if t.dtype.kind == "c" else swapped


def _solve(use: Use) -> Fragment:
    if not use.params["raises"]:
        return _defined(use)
    a, b = use.operands()
    return call("np.linalg.solve", _adjoint(a, use.types[0]) if use.params["adjoint"] else a, b)


def _jacobian_solve(use: Use) -> Fragment:
    a, b = use.operands()
    return call("np.linalg.solve", _adjoint(a, use.types[0]) if use.params["adjoint"] else a, b)


def _by_programs(use: Use) -> Fragment:
    raise errors.NotSupported(
        f"{use.equation.op.name}, at {use.equation.where}, runs a solver on programs: it has no "
        "form in Python source. With up to 512 unknowns, and no solver of its own, an implicit "
        "function has one."
    )


def _sparse_solve(use: Use) -> Fragment:
    raise errors.NotSupported(
        f"sparse_solve, at {use.equation.where}, holds the places of a sparse matrix: it has no "
        "form in Python source."
    )


def _triangular_solve(use: Use) -> Fragment:
    params = use.params
    if not params["raises"] or use.types[0].ndim > 2 or not use.out.size:
        return _defined(use)
    options = {"lower": str(params["lower"])}
    if params["adjoint"]:
        options["trans"] = '"C"'
    if params["unit_diagonal"]:
        options["unit_diagonal"] = "True"
    solver = f"{use.definitions.module('scipy.linalg')}.solve_triangular"
    return call(solver, *use.operands(), **options, check_finite="False")


def _inv(use: Use) -> Fragment:
    return call("np.linalg.inv", use.operand(0)) if use.params["raises"] else _defined(use)


def _function(name: str, **options: str) -> Form:
    """A function of numpy.linalg; `options` name the params that it takes under other names."""

    def form(use: Use) -> Fragment:
        given = {new: repr(use.params[old]) for old, new in options.items()}
        return call(f"np.linalg.{name}", use.operand(0), **given)

    return form


def _triangle(name: str) -> Form:
    def form(use: Use) -> Fragment:
        options = {} if use.params["lower"] else {"UPLO": '"U"'}
        return call(f"np.linalg.{name}", use.operand(0), **options)

    return form


def _cholesky(use: Use) -> Fragment:
    options = {"upper": "True"} if use.params["upper"] else {}
    return call("np.linalg.cholesky", use.operand(0), **options)


def _qr(use: Use) -> Fragment:
    options = {"mode": '"complete"'} if use.params["complete"] else {}
    return call("np.linalg.qr", use.operand(0), **options)


def _svd(use: Use) -> Fragment:
    options = {} if use.params["full_matrices"] else {"full_matrices": "False"}
    return call("np.linalg.svd", use.operand(0), **options)


def _singular_values(use: Use) -> Fragment:
    return call("np.linalg.svd", use.operand(0), compute_uv="False")


def _lstsq(use: Use) -> Fragment:
    if min([1, *use.types[0].shape[:-2]]) == 0:
        return _defined(use)
    name = use.definitions.written("lstsq", LSTSQ)
    return call(name, *use.operands(), repr(use.params["rcond"]))


def _pinv(use: Use) -> Fragment:
    made = call("np.linalg.pinv", use.operand(0), rcond=repr(use.params["rcond"]))
    return made.get(f".astype({dtype_text(use.out.dtype)})") if _is_single(use) else made


def _is_single(use: Use) -> bool:
    return use.out.dtype.name in ("float32", "complex64")


def _norm(use: Use) -> Fragment:
    axes, ndim = use.params["axes"], use.types[0].ndim
    if len(axes) == ndim and ndim:
        return call("np.linalg.norm", use.operand(0))
    if len(axes) == 1:
        return call("np.linalg.norm", use.operand(0), axis=str(axes[0]))
    return _defined(use)


def _along_directions(name: str, module: str = "matrix_functions") -> Form:
    """`adjugate`, `expm` and their derivatives: (first, a, *more) are a and its directions."""

    def form(use: Use) -> Fragment:
        operands = [x.text for x in use.operands()]
        value = name.removesuffix("_derivative")
        function = use.definitions.take(f"chainrule.ops.{module}", f"_{value}_along")
        if value == name:
            return call(function, operands[0], "()")
        first, a, *more = operands
        return call(function, a, tuple_text([first, *more]))

    return form


# --- Fourier transforms ---------------------------------------------------------------------------


def _fft(use: Use) -> Fragment:
    name = "ifft" if use.params["inverse"] else "fft"
    return call(f"np.fft.{name}", use.operand(0), **_fft_options(use))


def _fft_options(use: Use) -> dict[str, str]:
    options = {"axis": str(use.params["axis"])}
    if use.params["norm"] != "backward":
        options["norm"] = repr(use.params["norm"])
    return options


def _rfft(use: Use) -> Fragment:
    return call("np.fft.rfft", use.operand(0), **_fft_options(use))


def _irfft(use: Use) -> Fragment:
    return call("np.fft.irfft", use.operand(0), n=str(use.params["n"]), **_fft_options(use))


# --- special functions and samplers ---------------------------------------------------------------


def _reciprocal_where_apart(use: Use) -> Fragment:
    name = use.definitions.written("reciprocal_where_apart", RECIPROCAL_WHERE_APART)
    return call(name, *use.operands())


def _polygamma(use: Use) -> Fragment:
    take = use.definitions.take
    wrapper = take("chainrule.ops.special.scipy_functions", "in_float64")
    value = take("chainrule.ops.special.gamma_functions", "polygamma_value")
    return call(f"{wrapper}({value})", use.operand(0), **params_of(use))


def _gamma_path_moment(use: Use) -> Fragment:
    take = use.definitions.take
    wrapper = take("chainrule.ops.special.scipy_functions", "in_float64")
    value = take("chainrule.ops.samplers_gamma", "_moment")
    return call(f"{wrapper}({value})", *use.operands(), **params_of(use))


def _portable(function: str) -> Form:
    def form(use: Use) -> Fragment:
        taken = use.definitions.take("chainrule.ops.samplers_elementary", function)
        name = f"portable_{function}"
        text = PORTABLE.format(name=name, function=taken)
        return call(use.definitions.written(name, text), use.operand(0))

    return form


def _standard(from_bits: str) -> Form:
    """A standard draw: a function of random bits."""

    def form(use: Use) -> Fragment:
        take = use.definitions.take
        bits = take("chainrule.ops.random", "transformed_bits")
        function = take("chainrule.ops.samplers", from_bits)
        width = 32 if use.out.dtype == np.float32 else 64
        shape, stream = str(use.params["shape"]), str(use.params["stream"])
        return call(
            bits, use.operand(0), shape, str(width), stream, function, dtype_text(use.out.dtype)
        )

    return form


def _random_bits(use: Use) -> Fragment:
    bits = use.definitions.take("chainrule.ops.random", "transformed_bits")
    width = str(use.out.dtype.itemsize * 8)
    shape, stream = str(use.params["shape"]), str(use.params["stream"])
    return call(
        bits, use.operand(0), shape, width, stream, "lambda bits: bits", dtype_text(use.out.dtype)
    )


FORMS.update({
    "jacobian_solve": _jacobian_solve, "krylov_solve": _by_programs, "host_solution": _by_programs,
    "sparse_solve": _sparse_solve,
    "solve": _solve, "triangular_solve": _triangular_solve, "inv": _inv,
    "slogdet": _function("slogdet"), "cholesky": _cholesky, "qr": _qr,
    "eigh": _triangle("eigh"), "eigvalsh": _triangle("eigvalsh"), "svd": _svd,
    "singular_values": _singular_values, "pinv": _pinv, "lstsq": _lstsq, "norm": _norm,
    "adjugate": _along_directions("adjugate"), "expm": _along_directions("expm"),
    "adjugate_derivative": _along_directions("adjugate_derivative"),
    "expm_derivative": _along_directions("expm_derivative"),
    "sqrtm": _along_directions("sqrtm", "matrix_roots"),
    "logm": _along_directions("logm", "matrix_roots"),
    "sqrtm_derivative": _along_directions("sqrtm_derivative", "matrix_roots"),
    "logm_derivative": _along_directions("logm_derivative", "matrix_roots"),
    "fft": _fft, "rfft": _rfft, "irfft": _irfft,
    "reciprocal_where_apart": _reciprocal_where_apart, "polygamma": _polygamma,
    "gamma_path_moment": _gamma_path_moment,
    "portable_log": _portable("log"), "portable_exp": _portable("exp"),
    "portable_expm1": _portable("expm1"),
    "standard_uniform": _standard("unit_interval"),
    "standard_normal": _standard("normal_from_bits"),
    "standard_exponential": _standard("exponential_from_bits"),
    "standard_gumbel": _standard("_gumbel"), "standard_logistic": _standard("_logistic"),
    "standard_laplace": _standard("_laplace"), "standard_cauchy": _standard("_cauchy"),
    "random_bits": _random_bits,
})  # fmt: skip
