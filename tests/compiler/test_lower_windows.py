"""Convolutions and pooling over three axes, and of other numbers, against the evaluator."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.ops.pooling import window_max, window_pick, window_share, window_sum, window_ties
from chainrule.ops.windows import convolution, convolution_weights
from tests.compiler.test_schedule import compiled

rng = np.random.default_rng(0)

CONVOLUTIONS = {
    "plain": {},
    "strides": dict(strides=(2, 1, 3), padding=((1, 0), (0, 2), (1, 1))),
    "holes": dict(x_dilation=(2, 1, 2), w_dilation=(1, 2, 2), padding=((2, 1), (1, 1), (0, 3))),
    "cut": dict(padding=((-1, 2), (0, -1), (1, -2)), x_dilation=(2, 1, 1)),
    "groups": dict(groups=2, strides=(1, 2, 2)),
}
POOLS = {
    "plain": {},
    "strides": dict(strides=(2, 1, 3), padding=((1, 1), (0, 1), (1, 0))),
    "holes": dict(w_dilation=(1, 2, 2), padding=((0, 1), (1, 1), (2, 0)), strides=(1, 2, 1)),
    "cut": dict(padding=((-1, 1), (0, -1), (0, 0))),
}


def convolving(**given):
    ones = (1, 1, 1)
    plain = dict(strides=ones, padding=((0, 0),) * 3, x_dilation=ones, w_dilation=ones, groups=1)
    return plain | given


def native(f, *args):
    made, values = compiled(f, *args)
    assert not made.sites
    return made.run(values)[0]


def assert_near(found, wanted):
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.dtype == wanted.dtype and found.shape == wanted.shape
    if wanted.dtype.kind not in "fc":
        return np.testing.assert_array_equal(found, wanted)
    bound = 32 * np.finfo(wanted.dtype).eps * np.nanmax(np.abs(wanted), initial=0)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=bound)


@pytest.mark.parametrize("dtype", "fD")
@pytest.mark.parametrize("kind", CONVOLUTIONS)
def test_convolution_over_three_axes(kind, dtype):
    params = convolving(**CONVOLUTIONS[kind])
    x = rng.normal(size=(2, 5, 4, 6, 4)).astype(dtype)
    w = rng.normal(size=(2, 2, 3, 4 // params["groups"], 6)).astype(dtype)
    if dtype == "D":
        x, w = x * (1 + 2j), w * (3 - 1j)
    y = convolution(x, w, **params)
    assert_near(native(lambda x, w: convolution(x, w, **params), x, w), y)
    params["window"] = w.shape[:-2]
    found = native(lambda x, y: convolution_weights(x, y, **params), x, y)
    assert_near(found, convolution_weights(x, y, **params))


@pytest.mark.parametrize("dtype", "df")
@pytest.mark.parametrize("kind", ["plain", "strides", "holes", "cut"])
def test_images_of_one_channel_are_seen_slice_by_slice(kind, dtype):
    """Kernels run along channels; one filter over one channel is a loop along the image."""
    two = {k: v[1:] if isinstance(v, tuple) else v for k, v in CONVOLUTIONS[kind].items()}
    params = dict(strides=(1, 1), padding=((0, 0),) * 2, x_dilation=(1, 1), w_dilation=(1, 1))
    params |= {"groups": 1, **two}
    x, w = rng.normal(size=(3, 8, 9, 1)).astype(dtype), rng.normal(size=(2, 3, 1, 1)).astype(dtype)
    made, values = compiled(lambda x, w: convolution(x, w, **params), x, w)
    assert "convolution" not in {e.op.name for e in made.region.program.equations}
    assert_near(made.run(values)[0], convolution(x, w, **params))
    pool = dict(window=(2, 3), strides=(1, 1), padding=((0, 0),) * 2, w_dilation=(1, 1))
    pool |= {k: v[1:] for k, v in POOLS[kind].items()}
    made, values = compiled(lambda x: window_max(x, **pool), x)
    assert "window_max" not in {e.op.name for e in made.region.program.equations}
    assert_near(made.run(values)[0], window_max(x, **pool))


@pytest.mark.parametrize("dtype", "dfel?")
@pytest.mark.parametrize("kind", POOLS)
def test_pooling_over_three_axes(kind, dtype):
    params = dict(window=(2, 2, 3), strides=(1, 1, 1), padding=((0, 0),) * 3, w_dilation=(1, 1, 1))
    params |= POOLS[kind]
    x = rng.integers(0, 4, (2, 5, 4, 6, 3)).astype(dtype)  # with ties
    if dtype in "df":
        x[0, 2, 2, 2] = np.nan
    out = window_max(x, **params)
    assert_near(native(lambda x: window_max(x, **params), x), out)
    x_dilation = (1, 1, 1) if kind == "plain" else (2, 1, 2)
    summed = params | {"x_dilation": x_dilation}
    clean = np.nan_to_num(x)
    assert_near(native(lambda x: window_sum(x, **summed), clean), window_sum(clean, **summed))
    if dtype not in "df":
        return
    other = rng.normal(size=x.shape).astype(dtype)
    for op, more in ((window_pick, [other]), (window_ties, []), (window_share, [out + 1])):
        found = native(lambda *a, op=op: op(*a, **params), x, out, *more)
        np.testing.assert_allclose(found, op(x, out, *more, **params), rtol=1e-5, atol=1e-5)


def test_gradient_of_a_network_over_volumes_needs_no_evaluator():
    def loss(w, x):
        y = convolution(x, w, **convolving(padding=((1, 1),) * 3))
        pool = dict(window=(2,) * 3, strides=(2,) * 3, padding=((0, 0),) * 3, w_dilation=(1,) * 3)
        return np.sum(window_max(np.tanh(y), **pool) ** 2)

    x, w = rng.normal(size=(2, 4, 4, 4, 2)), rng.normal(size=(3, 3, 3, 2, 4))
    slope = cr.compile(lambda w, x: cr.grad(loss)(w, x))
    assert_near(slope(w, x), cr.grad(loss)(w, x))
    assert "on the evaluator: nothing" in str(cr.explain(slope))
