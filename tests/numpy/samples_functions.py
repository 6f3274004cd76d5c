"""Rows for NumPy's functions; its linear algebra and Fourier transforms, and ufuncs, lie beside."""

import numpy as np

from tests.numpy.samples import cplx, holed, numpy_samples, positive, real, truth, whole

row = numpy_samples


def plain(name: str, *args, derivative: bool = True, **options) -> None:
    """A row that only calls the function; arrays are arguments, all else is part of the call."""
    function = getattr(np, name)
    places = [i for i, x in enumerate(args) if isinstance(x, np.ndarray)]

    def call(*arrays):
        given = list(args)
        for i, x in zip(places, arrays, strict=True):
            given[i] = x
        return function(*given, **options)

    row(f"np.{name}", call, *(args[i] for i in places), derivative=derivative)


def calling(name: str, call, *args) -> None:
    """A row of a function that `call(function, *arguments)` calls."""
    function = getattr(np, name)
    row(f"np.{name}", lambda *x: call(function, *x), *args)


def writing(name: str, call, *args) -> None:
    """A row of a function that writes into its first argument."""

    def f(x, *rest):
        call(x, *rest)
        return x * 2

    row(f"np.{name}", f, *args)


# --- reductions and statistics --------------------------------------------------------------------

for _name in ("sum", "prod", "max", "min", "amax", "amin", "mean", "std", "var", "ptp", "median"):
    plain(_name, positive(3, 4), axis=1, keepdims=True)
    plain(_name, positive(2, 3))
for _name in ("nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanstd", "nanvar", "nanmedian"):
    plain(_name, holed(3, 4), axis=0)
for _name in ("all", "any"):
    plain(_name, truth(3, 4), axis=1)
for _name in ("argmax", "argmin", "nanargmax", "nanargmin"):
    plain(_name, real(3, 4), axis=1)
for _name in ("cumsum", "cumprod", "nancumsum", "nancumprod"):
    plain(_name, real(3, 4), axis=1)
plain("cumulative_sum", real(4), include_initial=True)
plain("cumulative_prod", real(4))
for _name in ("percentile", "nanpercentile"):
    plain(_name, real(3, 5), 40, axis=1)
for _name in ("quantile", "nanquantile"):
    plain(_name, real(3, 5), np.array([0.1, 0.7]), axis=1)
row("np.average", lambda x, w: np.average(x, axis=0, weights=w), real(3, 2), positive(3))
plain("cov", real(3, 6))
plain("corrcoef", real(3, 6))
row("np.histogram", lambda x: np.histogram(x, bins=4, range=(-2, 2))[0], real(9))
plain("histogram_bin_edges", real(9), bins=4)
row("np.bincount", lambda w: np.bincount(np.array([0, 2, 1, 2]), w), real(4))
plain("digitize", real(5), np.array([-1.0, 0.0, 1.0]))
plain("diff", real(3, 5), n=2)
plain("ediff1d", real(5))
row("np.gradient", lambda x: np.gradient(x, 0.5, axis=0), real(5, 2))
row("np.trapezoid", lambda y, x: np.trapezoid(y, x), real(5), np.sort(real(5)))
row("np.interp", lambda x, y: np.interp(x, np.arange(4.0), y), positive(5), real(4))
plain("convolve", real(5), real(3))
plain("correlate", real(5), real(3))
plain("apply_over_axes", np.sum, real(2, 3), [0])
row("np.apply_along_axis", lambda x: np.apply_along_axis(np.sum, 0, x), real(2, 3))

# --- sorting, searching and sets ------------------------------------------------------------------

plain("sort", real(3, 4), axis=0)
plain("sort_complex", cplx(4))
plain("partition", real(6), 2)
plain("argsort", real(3, 4))
row("np.argpartition", lambda x: np.argpartition(x, 2)[2], real(6))
row("np.lexsort", lambda x, y: np.lexsort((x, y)), real(4), real(4))
plain("isin", whole(5), np.array([1, 2, 3]))
plain("count_nonzero", whole(3, 4), axis=1)
for _name in ("isposinf", "isneginf"):
    plain(_name, np.array([1.0, np.inf, -np.inf, np.nan]))
for _name in ("intersect1d", "union1d", "setdiff1d", "setxor1d"):
    plain(_name, np.array([3.0, 1.0, 2.0]), np.array([5.0, 2.0, 4.0]), derivative=False)
plain("searchsorted", np.arange(5.0), positive(3))
for _name in ("argwhere", "flatnonzero", "nonzero"):
    plain(_name, np.array([0.0, 1.0, 0.0, 2.0]))
plain("unique", np.array([3.0, 1.0, 3.0, 2.0]), derivative=False)
plain("unique", np.array([3.0, 1.0, 2.0]))
row("np.unique_values", lambda x: np.sort(np.unique_values(x)), np.array([3.0, 1.0, 2.0]))
for _name in ("unique_all", "unique_counts", "unique_inverse"):
    calling(_name, lambda f, x: tuple(f(x)), np.array([3, 1, 3, 2]))

# --- shapes ---------------------------------------------------------------------------------------

plain("reshape", real(2, 3), (3, 2))
plain("ravel", real(2, 3), order="F")
plain("transpose", real(2, 3, 4), (2, 0, 1))
plain("matrix_transpose", real(2, 3, 4))
plain("swapaxes", real(2, 3, 4), 0, 2)
plain("moveaxis", real(2, 3, 4), 0, -1)
plain("rollaxis", real(2, 3, 4), 2)
plain("expand_dims", real(2, 3), (0, 3))
plain("squeeze", real(2, 1, 3), 1)
plain("broadcast_to", real(3), (2, 3))
plain("broadcast_arrays", real(3), real(2, 1))
plain("flip", real(2, 3), 1)
for _name in ("fliplr", "flipud"):
    plain(_name, real(2, 3))
plain("rot90", real(2, 3), 3)
plain("roll", real(2, 3), 2, 1)
plain("tile", real(2, 3), (2, 2))
plain("repeat", real(2, 3), 2, 1)
plain("resize", real(2, 3), (3, 3))
for _name in ("atleast_1d", "atleast_2d", "atleast_3d"):
    plain(_name, real(3))
row("np.shape", lambda x: x * np.shape(x)[1], real(2, 3))
row("np.ndim", lambda x: x * np.ndim(x), real(2, 3))
row("np.size", lambda x: x * np.size(x), real(2, 3))
plain("meshgrid", real(3), real(2))
plain("ix_", np.array([0, 2]), np.array([1]))
plain("trim_zeros", np.array([0.0, 1.0, 2.0, 0.0]), derivative=False)
plain("unwrap", np.cumsum(positive(6)))

# --- joining and splitting ------------------------------------------------------------------------

for _name in ("concatenate", "stack", "vstack", "hstack", "dstack", "column_stack"):
    calling(_name, lambda f, x, y: f([x, y]), real(2, 3), real(2, 3))
row("np.block", lambda x, y: np.block([[x, y], [y, x]]), real(2, 2), real(2, 2))
plain("append", real(3), real(2))
row("np.insert", lambda x, v: np.insert(x, [1, 3], v), real(4), real(2))
plain("delete", real(5), [1, 3])
plain("split", real(6), 3)
plain("array_split", real(7), 3)
for _name in ("vsplit", "hsplit"):
    plain(_name, real(4, 4), 2)
plain("dsplit", real(2, 2, 4), 2)
plain("unstack", real(3, 2))
plain("pad", real(2, 3), ((1, 0), (2, 1)), mode="reflect")
plain("pad", real(4), 2)

# --- choosing -------------------------------------------------------------------------------------

row("np.where", lambda c, x, y: np.where(c, x, y), truth(4), real(4), real(4))
row("np.select", lambda x, y: np.select([x > 0, x > -1], [x, y], 7.0), real(6), real(6))
row("np.piecewise", lambda x: np.piecewise(x, [x < 0, x >= 0], [lambda v: -v, 2.0]), real(6))
row("np.choose", lambda x, y: np.choose(np.array([0, 1, 1]), [x, y]), real(3), real(3))
plain("clip", real(6), -0.5, 0.5)
plain("take", real(4, 3), [2, 0], 0)
row("np.take_along_axis", lambda x, i: np.take_along_axis(x, i, 1), real(2, 3), whole(2, 2) % 3)
plain("compress", [True, False, True], real(3, 2), 0)
plain("extract", np.array([True, False, True]), real(3))
plain("diag", real(3, 3), 1)
plain("diag", real(3))
plain("diagonal", real(3, 4), 1)
plain("diagflat", real(3))
for _name in ("tril", "triu"):
    plain(_name, real(3, 4), -1)
for _name in ("tril_indices_from", "triu_indices_from", "diag_indices_from"):
    plain(_name, real(3, 3))
plain("trace", real(3, 4))
plain("unravel_index", np.array([1, 5]), (2, 3))
row("np.ravel_multi_index", lambda i: np.ravel_multi_index((i, i), (3, 4)), np.array([0, 2]))

# --- writing --------------------------------------------------------------------------------------

writing("copyto", lambda x, y: np.copyto(x, y, where=y > 0), real(4), real(4))
writing("put", lambda x, v: np.put(x, [0, 2], v), real(4), real(2))
writing("put_along_axis", lambda x, v: np.put_along_axis(x, np.array([[1], [0]]), v, 1),
        real(2, 3), real(2, 1))  # fmt: skip
writing("place", lambda x, v: np.place(x, np.array([True, False, True]), v), real(3), real(2))
writing("putmask", lambda x, v: np.putmask(x, np.array([True, False, True]), v), real(3), real(3))
writing("fill_diagonal", lambda x, v: np.fill_diagonal(x, v), real(3, 3), real())

# --- making arrays --------------------------------------------------------------------------------

plain("copy", real(3))
plain("astype", real(3), np.float32, derivative=False)
for _name in ("zeros_like", "ones_like"):
    calling(_name, lambda f, x: f(x) + x, real(3))
row("np.empty_like", lambda x: np.empty_like(x) * 0 + x, np.ones(3))
row("np.full_like", lambda x, v: np.full_like(x, v) + x, real(3), real())
row("np.linspace", lambda a, b: np.linspace(a, b, 5), real(), real())
row("np.logspace", lambda a, b: np.logspace(a, b, 5), real(), real())
row("np.geomspace", lambda a, b: np.geomspace(a, b, 5), positive(), positive())
plain("vander", real(3), 4)

# --- entry by entry -------------------------------------------------------------------------------

for _name in ("round", "around", "fix"):
    plain(_name, 3 * real(5))
plain("sinc", np.array([0.0, 0.3, -2.5]))
plain("i0", real(5))
plain("nan_to_num", np.array([np.nan, 1.0, -2.0]))
plain("real_if_close", cplx(3))
for _name in ("real", "imag"):
    plain(_name, cplx(3))
plain("angle", cplx(3))
for _name in ("isreal", "iscomplex"):
    plain(_name, np.array([1.0 + 0j, 1j]))
for _name in ("isrealobj", "iscomplexobj"):
    calling(_name, lambda f, x: x * f(x), real(3))
plain("isclose", real(3), np.zeros(3))
for _name in ("allclose", "array_equal", "array_equiv"):
    calling(_name, lambda f, x, y: x * f(x, y), real(3), real(3))
row("np.result_type", lambda x: x.astype(np.result_type(x, np.complex64)), real(3))
row("np.common_type", lambda x: x.astype(np.common_type(x)), real(3))
row("np.min_scalar_type", lambda x: x * np.min_scalar_type(x).itemsize, real(3))
row("np.can_cast", lambda x: x * np.can_cast(x.dtype, np.float32), real(3))

# --- products and polynomials ---------------------------------------------------------------------

plain("dot", real(2, 3), real(3, 2))
for _name in ("inner", "vdot", "outer"):
    plain(_name, real(3), real(3))
plain("tensordot", real(2, 3, 4), real(4, 3, 2), ([1, 2], [1, 0]))
plain("kron", real(2, 2), real(2, 3))
plain("cross", real(2, 3), real(2, 3))
row("np.einsum", lambda x, y: np.einsum("ij,jk->ki", x, y), real(2, 3), real(3, 4))
row("np.einsum_path", lambda x: x * len(np.einsum_path("ij,jk", x, x)[0]), real(3, 3))
plain("poly", real(3))
plain("polyval", real(3), real(4))
for _name in ("polyadd", "polysub", "polymul"):
    plain(_name, real(3), real(4))
plain("polydiv", real(5), real(3))
plain("polyder", real(4))
plain("polyint", real(4))
row("np.polyfit", lambda y: np.polyfit(np.arange(6.0), y, 2), real(6))
plain("roots", np.array([1.0, -6.0, 11.0, -6.0]))
