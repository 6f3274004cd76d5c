"""Rows for convolution and pooling of networks; the references are loops over places."""

import itertools

import numpy as np

from tests.ops.table import given, integers, normal, samples


def padded(x, padding, x_dilation, fill=0):
    """x with holes and padding, entry by entry."""
    lengths = [
        max((n - 1) * d + 1 if n else 0, 0) + low + high
        for n, (low, high), d in zip(x.shape[1:-1], padding, x_dilation, strict=True)
    ]
    out = np.full((x.shape[0], *lengths, x.shape[-1]), fill, x.dtype)
    for place in np.ndindex(*x.shape[1:-1]):
        to = [low + i * d for i, (low, _), d in zip(place, padding, x_dilation, strict=True)]
        if all(0 <= t < n for t, n in zip(to, lengths, strict=True)):
            out[(slice(None), *to)] = x[(slice(None), *place)]
    return out


def windows(x, window, strides, padding, x_dilation, w_dilation, fill=0):
    """Pairs of a place in the result and the entries (N, *window, C) that its window sees."""
    x = padded(x, padding, x_dilation, fill)
    reach = [(k - 1) * d + 1 for k, d in zip(window, w_dilation, strict=True)]
    lengths = zip(x.shape[1:-1], reach, strides, strict=True)
    starts = [range(0, n - r + 1, s) for n, r, s in lengths]
    places = np.ndindex(*map(len, starts))
    for place, start in zip(places, itertools.product(*starts), strict=True):
        axes = [
            [a + d * k for k in range(size)]
            for a, size, d in zip(start, window, w_dilation, strict=True)
        ]
        yield place, x[np.ix_(range(x.shape[0]), *axes, range(x.shape[-1]))]


def result(pieces):
    """An array (N, *places, channels) of a dictionary by place."""
    lengths = [max(p[a] for p in pieces) + 1 for a in range(len(next(iter(pieces))))]
    first = next(iter(pieces.values()))
    out = np.empty((first.shape[0], *lengths, first.shape[-1]), first.dtype)
    for place, value in pieces.items():
        out[(slice(None), *place)] = value
    return out


def convolved(x, w, *, strides, padding, x_dilation, w_dilation, groups):
    inner, outer = w.shape[-2], w.shape[-1] // groups
    pieces = {}
    for place, seen in windows(x, w.shape[:-2], strides, padding, x_dilation, w_dilation):
        blocks = [
            np.tensordot(
                seen[..., g * inner : (g + 1) * inner], w[..., g * outer : (g + 1) * outer],
                w.ndim - 1,
            )
            for g in range(groups)
        ]  # fmt: skip
        pieces[place] = np.concatenate(blocks, -1)
    return result(pieces)


def weights(x, y, *, window, strides, padding, x_dilation, w_dilation, groups):
    inner, outer = x.shape[-1] // groups, y.shape[-1] // groups
    out = np.zeros((*window, inner, y.shape[-1]), x.dtype)
    for place, seen in windows(x, window, strides, padding, x_dilation, w_dilation):
        at = y[(slice(None), *place)]
        for g in range(groups):
            block = slice(g * outer, (g + 1) * outer)
            out[..., block] += np.tensordot(
                seen[..., g * inner : (g + 1) * inner], at[:, block], (0, 0)
            )
    return out


def pooled(x, combine, fill, *, window, strides, padding, w_dilation, x_dilation=None):
    x_dilation = x_dilation or (1,) * len(window)
    axes = tuple(range(1, x.ndim - 1))
    return result({
        place: combine(seen, axis=axes)
        for place, seen in windows(x, window, strides, padding, x_dilation, w_dilation, fill)
    })  # fmt: skip


def picked(x, out, dx, **options):
    """The mean of dx over the ties of each window."""
    dx = padded(dx, options["padding"], (1,) * len(options["window"]))
    inside = options | {"padding": ((0, 0),) * len(options["window"]),
                        "x_dilation": (1,) * len(options["window"])}  # fmt: skip
    x = padded(x, options["padding"], (1,) * len(options["window"]), np.nan)
    pieces = {}
    pairs = zip(windows(x, **inside), windows(dx, **inside), strict=True)
    for (place, seen), (_, moving) in pairs:
        axes = tuple(range(1, seen.ndim - 1))
        ties = seen == np.expand_dims(out[(slice(None), *place)], axes)
        pieces[place] = np.where(ties, moving, 0).sum(axes) / np.maximum(ties.sum(axes), 1)
    return result(pieces)


def tied(x, out, **options):
    """Whether more than one entry of each window is the largest."""
    inside = options | {"padding": ((0, 0),) * len(options["window"]),
                        "x_dilation": (1,) * len(options["window"])}  # fmt: skip
    x = padded(x, options["padding"], (1,) * len(options["window"]), np.nan)
    pieces = {}
    for place, seen in windows(x, **inside):
        axes = tuple(range(1, seen.ndim - 1))
        best = np.expand_dims(out[(slice(None), *place)], axes)
        pieces[place] = (seen == best).sum(axes) > 1
    return result(pieces)


def shared(x, out, y, **options):
    """The transpose of `picked`, one unit vector after the other."""
    total = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        unit = np.zeros(x.shape)
        unit[place] = 1.0
        total[place] = np.sum(picked(x, out, unit, **options) * y)
    return total


# (x, w, strides, padding, x_dilation, w_dilation, groups)
_CONVOLUTIONS = [
    ((2, 7, 3), (3, 3, 4), (1,), ((0, 0),), (1,), (1,), 1),
    ((2, 6, 4), (3, 2, 6), (2,), ((2, 1),), (1,), (2,), 2),
    ((1, 5, 2), (2, 2, 3), (1,), ((-1, 1),), (2,), (1,), 1),
    ((2, 5, 4, 2), (3, 2, 2, 3), (1, 1), ((1, 1), (1, 0)), (1, 1), (1, 1), 1),
    ((1, 5, 6, 3), (3, 3, 1, 6), (2, 2), ((1, 1), (0, 1)), (1, 1), (1, 1), 3),
    ((2, 3, 3, 4), (2, 2, 2, 2), (2, 1), ((1, 2), (-1, 2)), (3, 2), (2, 1), 2),
    ((1, 3, 4, 3, 2), (2, 2, 2, 2, 3), (1, 2, 1), ((0, 0), (1, 1), (0, 1)), (1,) * 3, (1,) * 3, 1),
    ((1, 7, 2), (2, 2, 1), (3,), ((0, 0),), (1,), (1,), 1),
]
for _x, _w, _strides, _padding, _xd, _wd, _groups in _CONVOLUTIONS:
    _options = dict(strides=_strides, padding=_padding, x_dilation=_xd, w_dilation=_wd)
    _places = convolved(np.zeros(_x), np.zeros(_w), **_options, groups=_groups).shape
    samples("convolution", normal(*_x), normal(*_w), **_options, groups=_groups, dtypes="fdD",
            reference=lambda x, w, o=_options, g=_groups: convolved(
                x, w, **o, groups=g))  # fmt: skip
    samples("convolution_again", normal(*_x), normal(*_w), normal(*_x), normal(*_places),
            **_options, groups=_groups, dtypes="fdD", active=(0, 1),
            reference=lambda x, w, y, known, o=_options, g=_groups: convolved(
                x, w, **o, groups=g))  # fmt: skip
    samples("convolution_weights", normal(*_x), normal(*_places), window=_w[:-2], **_options,
            groups=_groups, dtypes="fdD",
            reference=lambda x, y, o=_options, g=_groups, k=_w[:-2]: weights(
                x, y, window=k, **o, groups=g))  # fmt: skip

# (x, window, strides, padding, w_dilation)
_POOLS = [
    ((2, 6, 3), (2,), (2,), ((0, 0),), (1,)),
    ((1, 6, 2), (3,), (1,), ((1, 1),), (2,)),
    ((1, 5, 4, 2), (3, 2), (2, 1), ((1, 1), (0, 1)), (1, 1)),
    ((1, 4, 4, 2), (2, 2), (3, 3), ((-1, 0), (0, 0)), (1, 1)),
    ((1, 3, 3, 2, 1), (2, 2, 2), (1, 1, 1), ((0, 0),) * 3, (1, 1, 1)),
]
for _x, _window, _strides, _padding, _wd in _POOLS:
    _options = dict(window=_window, strides=_strides, padding=_padding, w_dilation=_wd)
    for _xd in ((1,) * len(_window), (2,) * len(_window)):
        samples("window_sum", normal(*_x), x_dilation=_xd, dtypes="fdDl",
                window=_window, strides=_strides, padding=_padding, w_dilation=_wd,
                reference=lambda x, o=_options, d=_xd: pooled(
                    x, np.sum, 0, **o, x_dilation=d))  # fmt: skip
    samples("window_max", normal(*_x), **_options, dtypes="fd",
            reference=lambda x, o=_options: pooled(x, np.max, -np.inf, **o))  # fmt: skip
    _some = np.random.default_rng(5).integers(0, 3, _x).astype(float)  # many ties
    _out = pooled(_some, np.max, -np.inf, **_options)
    samples("window_pick", given(_some), given(_out), normal(*_x), **_options,
            dtypes="fd", active=(2,),
            reference=lambda x, out, dx, o=_options: picked(x, out, dx, **o))  # fmt: skip
    samples("window_ties", given(_some), given(_out), **_options, dtypes="fd", active=(),
            reference=lambda x, out, o=_options: tied(x, out, **o))  # fmt: skip
    samples("window_share", given(_some), given(_out), normal(*_out.shape), **_options,
            dtypes="fd", active=(2,),
            reference=lambda x, out, y, o=_options: shared(x, out, y, **o))  # fmt: skip
samples("window_max", integers(-9, 9, 2, 5, 3), window=(2,), strides=(1,), padding=((1, 0),),
        w_dilation=(1,), dtypes="lb", active=(),
        reference=lambda x: np.maximum(np.concatenate([x[:, :1], x[:, :-1]], 1), x))  # fmt: skip
