"""Which operations have a kernel of their own, and who emits it."""

from __future__ import annotations

from chainrule.compiler.kernel import Emitter
from chainrule.compiler.llvm.conv import emit_convolution
from chainrule.compiler.llvm.conv_again import emit_convolution_again
from chainrule.compiler.llvm.conv_weights import emit_convolution_weights
from chainrule.compiler.llvm.draws import TRANSFORMS, emit_standard
from chainrule.compiler.llvm.draws_bits import emit_fold_in
from chainrule.compiler.llvm.draws_discrete import (
    emit_below,
    emit_bernoulli,
    emit_categorical,
    emit_geometric,
    emit_order,
)
from chainrule.compiler.llvm.draws_rejection import (
    emit_binomial,
    emit_gamma,
    emit_poisson,
    emit_subset,
)
from chainrule.compiler.llvm.extremes import emit_arg_extreme
from chainrule.compiler.llvm.fourier import emit_fourier
from chainrule.compiler.llvm.gather import emit_gather
from chainrule.compiler.llvm.gemm_contract import emit_contract
from chainrule.compiler.llvm.lapack import LINEAR
from chainrule.compiler.llvm.lapack_orthogonal import ORTHOGONAL
from chainrule.compiler.llvm.lapack_spectral import SPECTRAL
from chainrule.compiler.llvm.linalg_loops import NAMES as MATRIX_NAMES
from chainrule.compiler.llvm.linalg_loops import emit_linalg
from chainrule.compiler.llvm.pool import (
    emit_window_max,
    emit_window_pick,
    emit_window_share,
    emit_window_sum,
)
from chainrule.compiler.llvm.prefix import emit_accumulate, emit_iota
from chainrule.compiler.llvm.refusing import emit_refuse
from chainrule.compiler.llvm.scatter import emit_scatter
from chainrule.compiler.llvm.sequences import emit_convolve, emit_recurrence, emit_segment_sum
from chainrule.compiler.llvm.sorting import emit_argsort, emit_searchsorted, emit_sort
from chainrule.compiler.llvm.special import NAMES, emit_special
from chainrule.compiler.llvm.ufunc_loops import TAKES, emit_ufunc


def _either(first: Emitter, second: Emitter) -> Emitter:
    """The kernel of the one, or where it has none of the other."""
    return lambda site: first(site) or second(site)


EMITTERS: dict[str, Emitter] = {
    **dict.fromkeys(TAKES, emit_ufunc),
    **{name: _either(emit_special, emit_ufunc) for name in NAMES},
    **LINEAR,
    **ORTHOGONAL,
    **SPECTRAL,
    **{n: _either({**LINEAR, **SPECTRAL}[n], emit_linalg) for n in MATRIX_NAMES},
    "contract": emit_contract,
    "convolve": emit_convolve,
    "convolution": emit_convolution,
    "convolution_again": emit_convolution_again,
    "convolution_weights": emit_convolution_weights,
    **dict.fromkeys(TRANSFORMS, emit_standard),
    **dict.fromkeys(("standard_gamma", "log_standard_gamma"), emit_gamma),
    **dict.fromkeys(("argmax", "argmin"), emit_arg_extreme),
    **dict.fromkeys(("fft", "rfft", "irfft"), emit_fourier),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin"), emit_accumulate),
    "argsort": emit_argsort,
    "fold_in": emit_fold_in,
    "index": emit_gather,
    "iota": emit_iota,
    "random_below": emit_below,
    "random_bernoulli": emit_bernoulli,
    "random_binomial": emit_binomial,
    "random_categorical": emit_categorical,
    "random_geometric": emit_geometric,
    "random_order": emit_order,
    "random_poisson": emit_poisson,
    "random_subset": emit_subset,
    "recurrence": emit_recurrence,
    "refuse": emit_refuse,
    "searchsorted": emit_searchsorted,
    "segment_sum": emit_segment_sum,
    "sort": emit_sort,
    "window_max": emit_window_max,
    "window_pick": emit_window_pick,
    "window_share": emit_window_share,
    "window_sum": emit_window_sum,
}

# Operations that go on with their first input where it is: their sites lack it, and the output
# holds it when the kernel starts.
UPDATES: dict[str, Emitter] = {"index_add": emit_scatter, "index_set": emit_scatter}
