"""A network's outputs for many rows: in blocks of one size, so that a row's are always the same.

Each block is filled up with zeros, and has rows of zeros behind it: products sum their last rows,
too few for a tile, in another order. One compilation then serves any number of rows, and the
outputs of a row have the same bits in whatever company it comes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse

from chainrule.compiled import compile

BLOCK = 128
BEHIND = 32  # rows of zeros; no tile of a product is higher


def outputs_of(function: Callable, model, x, scaling, dtype) -> np.ndarray:
    """function(model, rows) for all rows of x (N, C), scaled: (N, ...) of the model's dtype.

    `function` is one of the compiled ones below; x may be sparse: a block of it is dense at a time.
    """
    found = []
    for start in range(0, x.shape[0], BLOCK):
        rows = dense(x[start : start + BLOCK])
        block = np.zeros((BLOCK + BEHIND, rows.shape[1]), dtype)
        block[: len(rows)] = scaling(rows)
        found.append(function(model, block)[: len(rows)])
    return np.concatenate(found)


def dense(x) -> np.ndarray:
    """A sparse matrix as an array; an array as it is."""
    return x.toarray() if scipy.sparse.issparse(x) else x


@compile(stabilize=False)
def scores(model, x):
    """The model's outputs, at inference."""
    return model(x)


@compile(stabilize=False)
def codes(model, x):
    """An autoencoder's codes."""
    return model.encode(x)


@compile(stabilize=False)
def decoded(model, x):
    """An autoencoder's outputs for codes."""
    return model.decode(x)
