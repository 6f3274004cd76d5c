"""Rewrites of sums of what is linear in an array: each alone, where it applies and where not."""

import numpy as np
import pytest

import chainrule as cr
from tests.transforms.rewriting import becomes, one, stays

PRODUCT = "sum of a product"
BATCH = "p = contract a b axes=((2,),(2,)) batch=((0,),(1,)) : f64[2,3,5]; "  # b: (5, 2, 4)
INPUTS = "a: f64[2,3,4], b: f64[5,2,4]"


def counts(type_, seed: int) -> np.ndarray:
    """Whole numbers above 0: sums are exact in any order, and no zero has a sign to lose."""
    return np.random.default_rng(seed).integers(1, 5, type_.shape).astype(type_.dtype)


def moves(name, equations, wanted, inputs=INPUTS, out="f64[2,3]"):
    becomes(name, one(equations, inputs, out), wanted, draw=counts)


def stays_so(name, equations, inputs=INPUTS, out="f64[2,3]"):
    stays(name, one(equations, inputs, out))


def test_the_sum_of_a_product_is_the_product_of_a_sum():
    moves(PRODUCT, "p = contract a b axes=((1,),(0,)) batch=((),()) : f64[3,5]; "
          "s = sum p axes=(0,) : f64[5]",
          "s = sum a axes=(0,); p = contract s b axes=((0,),(0,)) batch=((),()); return p",
          "a: f64[3,4], b: f64[4,5]", "f64[5]")


def test_matched_axes_stay_matched():
    moves(PRODUCT, BATCH + "s = sum p axes=(2,) : f64[2,3]",
          "s = sum b axes=(0,); p = contract a s axes=((2,),(1,)) batch=((0,),(0,)); return p")
    moves(PRODUCT, BATCH + "s = sum p axes=(1,2) : f64[2]",
          "s = sum a axes=(1,); t = sum b axes=(0,); "
          "p = contract s t axes=((1,),(1,)) batch=((0,),(0,)); return p", out="f64[2]")
    stays_so(PRODUCT, BATCH + "s = sum p axes=(0,) : f64[3,5]", out="f64[3,5]")


def test_a_product_is_seen_through_a_transposition():
    turned = BATCH + "t = transpose p axes=(2,0,1) : f64[5,2,3]; "
    moves(PRODUCT, turned + "s = sum t axes=(0,) : f64[2,3]",
          "s = sum b axes=(0,); p = contract a s axes=((2,),(1,)) batch=((0,),(0,)); return p")
    moves(PRODUCT, BATCH + "t = transpose p axes=(1,2,0) : f64[3,5,2]; "
          "s = sum t axes=(1,) : f64[3,2]",
          "s = sum b axes=(0,); p = contract a s axes=((2,),(1,)) batch=((0,),(0,)); "
          "t = transpose p axes=(1,0); return t", out="f64[3,2]")
    stays_so(PRODUCT, turned + "s = sum t axes=(1,) : f64[5,3]", out="f64[5,3]")


def test_products_that_others_read_are_made_anyway():
    stays_so(PRODUCT, BATCH + "s = sum p axes=(2,) : f64[2,3]; "
             "t = sum p axes=(2,) : f64[2,3]; u = add s t : f64[2,3]")


def test_terms_are_summed_apart_where_one_is_a_product():
    name = "sum with a product"
    for op in ("add", "subtract"):
        moves(name, BATCH + f"q = {op} p x : f64[2,3,5]; s = sum q axes=(2,) : f64[2,3]",
              "p = contract a b axes=((2,),(2,)) batch=((0,),(1,)); s = sum p axes=(2,); "
              f"t = sum x axes=(2,); q = {op} s t; return q", INPUTS + ", x: f64[2,3,5]")
    both = "q = add x y : f64[3,4]; s = sum q axes=(0,) : f64[4]"
    stays_so(name, both, "x: f64[3,4], y: f64[3,4]", "f64[4]")


@pytest.mark.parametrize("op", ["multiply", "scale"])
def test_a_factor_that_repeats_itself_comes_after_the_sum(op):
    name, inputs = "factors before a sum", "x: f64[5,2,3], s: f64[3]"
    spread = "r = broadcast s shape=(5,2,3) axes=(2,) : f64[5,2,3]; "
    for pair in ("r x", "x r"):
        moves(name, spread + f"p = {op} {pair} : f64[5,2,3]; t = sum p axes=(0,) : f64[2,3]",
              "t = sum x axes=(0,); r = broadcast s shape=(2,3) axes=(1,); "
              f"p = {op} r t; return p", inputs)
    stays_so(name, spread + f"p = {op} r x : f64[5,2,3]; t = sum p axes=(0,2) : f64[2]", inputs,
             "f64[2]")  # fmt: skip


@pytest.mark.parametrize("op", ["multiply", "scale"])
def test_numbers_go_to_the_smaller_factor(op):
    name, inputs = "number to the smaller factor", "x: f64[3,4], y: f64[3]"
    spread = "r = broadcast y shape=(3,4) axes=(0,) : f64[3,4]; c = multiply 2.0 x : f64[3,4]; "
    moves(name, spread + f"p = {op} c r : f64[3,4]",
          "c = multiply 2.0 y; r = broadcast c shape=(3,4) axes=(0,); "
          f"p = {op} x r; return p", inputs, "f64[3,4]")
    stays_so(name, spread + f"p = {op} c r : f64[3,4]; q = add p c : f64[3,4]", inputs, "f64[3,4]")


def test_a_gradient_by_what_was_repeated_makes_no_product_of_every_row():
    """The means of a mixture, of 50 points: cotangents are summed, and multiplied then."""
    rng = np.random.default_rng(3)
    means, roots = rng.normal(size=(4, 3)), rng.normal(size=(4, 3, 3))
    points, scales = rng.normal(size=(50, 3)), rng.normal(size=(4, 3))

    def f(means):
        centred = points[:, None, :] - means
        return np.sum(np.cosh(scales * centred + np.einsum("kij,nkj->nki", roots, centred)))

    whole_roots = roots + scales[:, :, None] * np.eye(3)
    residuals = np.einsum("kij,nkj->nki", whole_roots, points[:, None, :] - means)
    wanted = -np.einsum("kij,nki->kj", whole_roots, np.sinh(residuals))
    gradient = cr.compile(cr.grad(f))
    np.testing.assert_allclose(gradient(means), wanted, rtol=1e-12)
    sizes = [r.over for r in cr.explain(gradient).rows if r.does == "contract"]
    assert sum("50" in over for over in sizes) == 1, sizes  # the function's own
