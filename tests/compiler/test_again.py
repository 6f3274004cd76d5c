"""Convolutions of both sides of ties: the second is made from the first."""

from contextlib import nullcontext

import numpy as np
import pytest

import chainrule as cr
from chainrule import nn
from chainrule.compiler.again import convolutions_again
from chainrule.ops.refuse import Refused
from chainrule.program.evaluate import Plan

rng = np.random.default_rng(11)


def network(images, strides=1, pool=nn.max_pool):
    def loss(p):
        x = images
        for w, b in zip(p[:-1:2], p[1:-1:2], strict=True):
            x = np.maximum(nn.convolution(x, w, strides=strides, padding="same") + b, 0)
            x = pool(x, 2) if pool else x
        return np.sum((np.mean(x, axis=(1, 2)) @ p[-1]) ** 2)

    return loss


def parameters(dtype=float):
    shapes = (3, 3, 1, 4), (4,), (3, 3, 4, 6), (6,), (3, 3, 6, 5), (5,), (5, 2)
    return [(rng.normal(size=s) * (len(s) > 1)).astype(dtype) for s in shapes]


def settled_names(compiled, *args):
    program = compiled.trace_of(*args)[0].native.settled().region.program
    return [e.op.name for e in program.equations]


@pytest.mark.parametrize(
    ("strides", "pool", "dtype"),
    [(1, nn.max_pool, "d"), (1, nn.mean_pool, "d"), (2, None, "d"), (1, nn.max_pool, "f")],
)
def test_both_sides_of_a_network_share_convolutions(strides, pool, dtype):
    images = rng.normal(size=(3, 16, 16, 1)).astype(dtype)
    images[:2, 2:14, 1:13] = 0.0
    loss, p = network(images, strides, pool), parameters(dtype)
    compiled = cr.compile(cr.grad(loss))
    for found, wanted in zip(compiled(p), cr.grad(loss)(p), strict=True):
        size = np.max(np.abs(wanted))
        np.testing.assert_allclose(found, wanted, rtol=0, atol=size * (1e-12, 1e-4)[dtype == "f"])
    plain = cr.grad(loss, kinks="convention")(p)
    assert any(np.max(np.abs(a - b)) > 1e-5 for a, b in zip(compiled(p), plain, strict=True))
    names = settled_names(compiled, p)
    assert names.count("convolution_again") == 2
    assert names.count("convolution") == 3 + 2


def normalised(images):
    """A network with a background that ties in windows alone, and a choice of three numbers."""

    def loss(p):
        x = nn.convolution(images, p[0])
        x = x - np.mean(x, axis=(0, 1, 2))
        x = x / np.sqrt(np.mean(x * x, axis=(0, 1, 2)) + 1e-5) * p[1] + p[2]
        x = nn.max_pool(np.maximum(x, 0), 2)
        return np.sum((np.mean(x, axis=(1, 2)) @ p[3]) ** 2) + np.maximum(np.sum(p[4]), 0) * p[4][0]

    return loss


@pytest.mark.parametrize("ties", [False, True])
def test_where_no_comparison_ties_one_side_is_enough(ties):
    images = rng.normal(size=(3, 12, 12, 1))
    images[:2, 2:9, 3:10] = 0.0
    loss = normalised(images)
    p = [rng.normal(size=shape) for shape in ((3, 3, 1, 4), (4,), (4,), (4, 2))]
    p.append(np.array([1.0, -1.0, 0.0 if ties else 0.5]))
    compiled = cr.compile(cr.grad(loss))
    for _ in range(3):
        for found, wanted in zip(compiled(p), cr.grad(loss)(p), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    slope = [0.5, 0.5, 0.5] if ties else [1.5, 1.0, 1.0]
    np.testing.assert_allclose(compiled(p)[4], slope, rtol=1e-12)
    trace, arguments = compiled.trace_of(p)
    even = trace.native.settled().settled().region.program
    names = [e.op.name for e in even.equations]
    assert names.count("window_share") == 1
    values = [np.array(x) for x in trace.values(trace.operands(arguments))]
    with pytest.raises(Refused) if ties else nullcontext():
        Plan(even).run(values)


def test_one_network_of_two_arguments_is_no_pair_of_sides():
    def distance(w, x, y):
        return np.sum((nn.convolution(x, w) - nn.convolution(y, w)) ** 2)

    images = np.ones((1, 6, 6, 2))
    program = cr.trace(distance, np.ones((3, 3, 2, 4)), images, images.copy())
    made = convolutions_again(program)
    assert [e.op.name for e in made.equations] == [e.op.name for e in program.equations]


def test_groups_and_three_axes_stay_as_they_are():
    def twice(w, x, a, b, **options):
        return [nn.convolution(x * c, w, **options) for c in (a, b)]

    for w, x, options, again in [
        ((3, 3, 2, 4), (1, 6, 6, 2), {}, 1),
        ((3, 3, 1, 4), (1, 6, 6, 2), {"groups": 2}, 0),
        ((2, 2, 2, 1, 2), (1, 4, 4, 4, 1), {}, 0),
    ]:
        arrays = [np.ones(shape) for shape in (w, x, x, x)]
        program = cr.trace(lambda *args, o=options: twice(*args, **o), *arrays)
        names = [e.op.name for e in convolutions_again(program).equations]
        assert names.count("convolution_again") == again
