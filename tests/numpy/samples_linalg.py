"""Rows for np.linalg and np.fft."""

import numpy as np

from tests.numpy.samples import cplx, definite, numpy_samples, real, square

row = numpy_samples


def linalg(name: str, *args, **options) -> None:
    """A row that calls a function of np.linalg."""
    function = getattr(np.linalg, name)
    arrays = [x for x in args if isinstance(x, np.ndarray)]
    rest = args[len(arrays) :]
    row(f"np.linalg.{name}", lambda *x: function(*x, *rest, **options), *arrays)


def fourier(name: str, x, **options) -> None:
    """A row that calls a function of np.fft."""
    function = getattr(np.fft, name)
    row(f"np.fft.{name}", lambda x: function(x, **options), x)


linalg("solve", square(3), real(3, 2))
linalg("inv", square(3, 2))
linalg("det", square(3))
linalg("slogdet", square(3))
linalg("cholesky", definite(3))
linalg("qr", real(4, 3))
row("np.linalg.svd", lambda x: np.abs(np.linalg.svd(x, full_matrices=False)[0]), real(4, 3))
linalg("svdvals", real(4, 3))
row("np.linalg.eigh", lambda x: np.linalg.eigh(x)[0], definite(3))
linalg("eigvalsh", definite(3))
row("np.linalg.eig", lambda x: np.sum(np.linalg.eig(x)[0] ** 2), square(3))
row("np.linalg.eigvals", lambda x: np.sum(np.linalg.eigvals(x) ** 2), square(3))
linalg("pinv", real(4, 3))
linalg("matrix_rank", real(4, 3))
linalg("norm", real(3, 4), axis=1)
linalg("norm", real(3, 4), "nuc")
linalg("vector_norm", real(3, 4), ord=3, axis=0)
linalg("matrix_norm", real(3, 4))
linalg("cond", square(3))
row("np.linalg.lstsq", lambda a, b: np.linalg.lstsq(a, b)[0], real(5, 3), real(5))
linalg("matrix_power", square(3), 3)
row("np.linalg.multi_dot", lambda a, b, c: np.linalg.multi_dot([a, b, c]), real(2, 3), real(3, 4),
    real(4, 2))  # fmt: skip
linalg("cross", real(3), real(3))
linalg("diagonal", real(3, 3))
linalg("trace", real(3, 3))
linalg("matmul", real(2, 3), real(3, 2))
linalg("matrix_transpose", real(2, 3))
linalg("outer", real(2), real(3))
linalg("tensordot", real(2, 3), real(3, 2), axes=1)
linalg("vecdot", real(2, 3), real(2, 3))
linalg("tensorinv", real(4, 6, 8, 3) + np.eye(24).reshape(4, 6, 8, 3) * 9)
linalg("tensorsolve", real(2, 3, 6) + np.eye(6).reshape(2, 3, 6) * 5, real(2, 3))

for _name in ("fft", "ifft", "hfft"):
    fourier(_name, cplx(5))
for _name in ("fft2", "ifft2", "fftn", "ifftn", "irfft2", "irfftn"):
    fourier(_name, cplx(3, 4))
for _name in ("rfft", "ihfft"):
    fourier(_name, real(6), norm="ortho")
for _name in ("rfft2", "rfftn"):
    fourier(_name, real(3, 4))
fourier("irfft", cplx(4), n=7)
for _name in ("fftshift", "ifftshift"):
    fourier(_name, real(5))
