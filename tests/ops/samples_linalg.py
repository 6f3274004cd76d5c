"""Rows for linear algebra and Fourier transforms."""

import numpy as np
import scipy.linalg
import scipy.signal

from tests.ops.table import Domain, given, normal, regular, samples, symmetric, uniform


def apart(*shape: int) -> Domain:
    """Square matrices whose eigenvalues are far apart."""
    centres = np.diag(3.0 * np.arange(1, shape[-1] + 1))
    return Domain(lambda rng, n: 0.2 * rng.normal(size=n) + centres, shape)


# --- linear algebra ------------------------------------------------------------------------------

samples("solve", regular(3, 3), normal(3, 2), adjoint=False, raises=True, dtypes="fdFD",
        reference=np.linalg.solve)  # fmt: skip
samples("solve", regular(2, 3, 3), normal(2, 3, 1), adjoint=True, raises=False, dtypes="dD",
        reference=lambda a, b: np.linalg.solve(a.conj().swapaxes(1, 2), b))  # fmt: skip
for _lower, _adjoint, _unit in ((True, False, False), (False, True, False), (True, True, True)):
    samples(
        "triangular_solve", regular(3, 3), normal(3, 2), dtypes="fdFD",
        lower=_lower, adjoint=_adjoint, unit_diagonal=_unit, raises=True,
        reference=lambda a, b, lower=_lower, adjoint=_adjoint, unit=_unit: (
            scipy.linalg.solve_triangular(a, b, "NC"[adjoint], lower, unit)
        ),
    )  # fmt: skip
samples("inv", regular(2, 3, 3), raises=True, dtypes="fdFD", reference=np.linalg.inv)
samples("det", regular(2, 3, 3), dtypes="fdFD", reference=np.linalg.det)
samples("det", given(np.zeros((3, 3))), reference=np.linalg.det)
samples("slogdet", regular(2, 3, 3), dtypes="fdFD", reference=np.linalg.slogdet)
samples("adjugate", regular(3, 3), dtypes="fdFD",
        reference=lambda a: np.linalg.det(a) * np.linalg.inv(a))  # fmt: skip
samples("adjugate", given(np.diag([1.0, 2.0, 0.0])), reference=lambda a: np.diag([0.0, 0.0, 2.0]))
samples("adjugate_derivative", normal(3, 3), regular(3, 3), dtypes="dD",
        reference=lambda e, a: np.linalg.det(a) * (
            np.trace(np.linalg.solve(a, e)) * np.linalg.inv(a)
            - np.linalg.inv(a) @ e @ np.linalg.inv(a)))  # fmt: skip
samples("adjugate_derivative", normal(3, 3), given(np.zeros((3, 3))), normal(3, 3))
samples("expm", normal(3, 3), dtypes="fdFD", reference=scipy.linalg.expm)
samples("expm_derivative", normal(3, 3), normal(3, 3), dtypes="dD")  # value: test_linalg.py
samples("expm_derivative", normal(3, 3), normal(3, 3), normal(3, 3))
for _upper in (False, True):
    samples("cholesky", symmetric(3, 3, shift=6.0), upper=_upper, dtypes="fdF",
            reference=lambda a, upper=_upper: np.linalg.cholesky(a, upper=upper))  # fmt: skip
for _shape in ((3, 3), (4, 2), (2, 4)):
    samples("qr", regular(*_shape), complete=False, dtypes="fdFD", reference=np.linalg.qr)
    samples("qr", regular(*_shape), complete=True, dtypes="fdFD",
            reference=lambda a: np.linalg.qr(a, "complete"))  # fmt: skip
    samples("svd", regular(*_shape), full_matrices=False, dtypes="fdFD",
            reference=lambda a: np.linalg.svd(a, full_matrices=False))  # fmt: skip
    samples("singular_values", regular(*_shape), dtypes="fdFD", reference=np.linalg.svdvals)
    samples("pinv", normal(*_shape), rcond=1e-10, dtypes="fdFD",
            reference=lambda a: np.linalg.pinv(a, 1e-10))  # fmt: skip
    samples(
        "lstsq", normal(*_shape), normal(_shape[0], 2), rcond=1e-10, dtypes="fdFD",
        reference=lambda a, b: tuple(np.linalg.lstsq(a, b, 1e-10)[i] for i in (0, 2, 3)),
    )  # fmt: skip
samples("eigh", symmetric(3, 3), lower=True, dtypes="fdFD", reference=np.linalg.eigh)
samples("eigh", normal(3, 3), lower=False, dtypes="dD", reference=lambda a: np.linalg.eigh(a, "U"))
samples("eigvalsh", symmetric(3, 3), lower=True, dtypes="fdFD", reference=np.linalg.eigvalsh)
samples("eig", apart(3, 3), dtypes="fdFD", reference=np.linalg.eig)
samples("eigvals", apart(3, 3), dtypes="fdFD", reference=np.linalg.eigvals)
samples("norm", normal(3, 4), axes=(1,), dtypes="fdFD",
        reference=lambda x: np.linalg.norm(x, axis=1))  # fmt: skip
samples("norm", normal(3, 4), axes=(0, 1), dtypes="fdFD", reference=np.linalg.norm)
samples("reciprocal_where_apart", uniform(1, 5), given(np.full(8, 0.1)), active=(0,), dtypes="fd",
        truth=lambda x, size: 1 / x)  # fmt: skip

# --- Fourier transforms --------------------------------------------------------------------------

for _norm in ("backward", "ortho", "forward"):
    samples("fft", normal(3, 5), axis=1, inverse=False, norm=_norm, dtypes="fdFD",
            reference=lambda x, norm=_norm: np.fft.fft(x, norm=norm))  # fmt: skip
    samples("fft", normal(4, 2), axis=0, inverse=True, norm=_norm, dtypes="fdFD",
            reference=lambda x, norm=_norm: np.fft.ifft(x, axis=0, norm=norm))  # fmt: skip
    for _n in (5, 6):
        samples("rfft", normal(2, _n), axis=1, norm=_norm, dtypes="fd",
                reference=lambda x, norm=_norm: np.fft.rfft(x, norm=norm))  # fmt: skip
        samples("irfft", normal(2, _n // 2 + 1), axis=1, n=_n, norm=_norm, dtypes="FD",
                reference=lambda z, n=_n, norm=_norm: np.fft.irfft(z, n, norm=norm))  # fmt: skip

# --- matrix equations, roots and logarithms -------------------------------------------------------

samples("sylvester", regular(3, 3), regular(2, 2), normal(3, 2), dtypes="fdFD",
        reference=scipy.linalg.solve_sylvester)  # fmt: skip
samples("sylvester", regular(2, 3, 3), regular(2, 2, 2), normal(2, 3, 2))
samples("stein", normal(3, 3), normal(2, 2), normal(3, 2), dtypes="dD")  # value: test_linalg.py
samples("stein", given(0.1 * np.arange(81.0).reshape(9, 9) % 0.7), given(np.diag(np.arange(9) / 9)),
        normal(9, 9))  # fmt: skip
_STATE, _INPUT = regular(3, 3, shift=1.0), normal(3, 2)
_COST, _EFFORT = symmetric(3, 3, shift=5.0), symmetric(2, 2, shift=5.0)
samples("continuous_riccati", _STATE, _INPUT, _COST, _EFFORT, tolerance=1e-6,
        reference=scipy.linalg.solve_continuous_are)  # fmt: skip
samples("discrete_riccati", _STATE, _INPUT, _COST, _EFFORT, tolerance=1e-6,
        reference=scipy.linalg.solve_discrete_are)  # fmt: skip
samples("sqrtm", symmetric(3, 3, shift=6.0), dtypes="dD", reference=scipy.linalg.sqrtm)
samples("sqrtm", regular(2, 3, 3, shift=6.0))
samples("logm", symmetric(3, 3, shift=6.0), dtypes="dD", reference=scipy.linalg.logm)
for _name in ("sqrtm_derivative", "logm_derivative"):
    samples(_name, normal(3, 3), regular(3, 3, shift=6.0), dtypes="dD")  # value: test_linalg.py
    samples(_name, normal(3, 3), regular(3, 3, shift=6.0), normal(3, 3))
samples("recurrence", given([-0.5, 0.2, 0.1]), normal(6), dtypes="fdFD",
        reference=lambda c, x: scipy.signal.lfilter([1.0], [1.0, *c], x).astype(x.dtype)
        )  # fmt: skip
samples("recurrence", uniform(-0.4, 0.4, 2), normal(2, 3, 5))
samples("recurrence", uniform(-0.4, 0.4, 3, 2), normal(3, 5))
