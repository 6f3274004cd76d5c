"""Factors before sums: where they go, and that gradients of normalisations are theirs."""

import numpy as np

import chainrule as cr
from chainrule.program.parse import parse
from chainrule.transforms.closed_forms import closed_sums
from chainrule.transforms.simplify import named, simplify
from tests.transforms.rewriting import becomes, body, one, stays

NAME = "factors before a sum"
SPREAD = "b = broadcast c shape=(3,4) axes=(0,) : f64[3,4]; "
INPUTS = "x: f64[3,4], y: f64[3,4], c: f64[3]"


def counts(type_, seed: int) -> np.ndarray:
    """Small whole numbers, whose sums are exact in any order, and none of them -0."""
    return np.random.default_rng(seed).integers(1, 6, type_.shape).astype(type_.dtype)


def moves(equations: str, wanted: str, out: str = "f64[3]") -> None:
    becomes(NAME, one(SPREAD + equations, INPUTS, out), wanted, counts)


def stays_so(equations: str, out: str = "f64[3]") -> None:
    stays(NAME, one(SPREAD + equations, INPUTS, out))


def test_a_factor_of_each_row_goes_before_the_sum_along_rows():
    moves("t = multiply x b : f64[3,4]; a = sum t axes=(1,) : f64[3]",
          "a = sum x axes=(1,); t = multiply c a; return t")
    moves("u = scale b x : f64[3,4]; t = negative u : f64[3,4]; a = sum t axes=(1,) : f64[3]",
          "a = sum x axes=(1,); t = scale c a; n = negative t; return n")
    divided = SPREAD + "t = divide x b : f64[3,4]; a = sum t axes=(1,) : f64[3]"
    found = simplify(parse(one(divided, INPUTS, "f64[3]")), named([NAME, "dead code"]))
    assert [e.op.name for e in found.equations] == ["sum", "divide"]


def test_a_factor_goes_out_of_a_product():
    moves("u = multiply x b : f64[3,4]; t = scale u y : f64[3,4]; a = sum t axes=(1,) : f64[3]",
          "p = scale x y; a = sum p axes=(1,); t = multiply c a; return t")


def test_a_factor_goes_out_of_each_addend():
    moves("u = multiply x b : f64[3,4]; v = multiply b y : f64[3,4]; t = add u v : f64[3,4]; "
          "a = sum t axes=(1,) : f64[3]",
          "p = sum x axes=(1,); u = multiply c p; q = sum y axes=(1,); v = multiply c q; "
          "t = add u v; return t")
    stays_so("u = multiply x b : f64[3,4]; t = subtract u y : f64[3,4]; "
             "a = sum t axes=(1,) : f64[3]")


def test_what_varies_along_the_sum_stays_inside():
    stays_so("t = multiply x b : f64[3,4]; a = sum t axes=(0,) : f64[4]", "f64[4]")
    stays_so("t = multiply x y : f64[3,4]; a = sum t axes=(1,) : f64[3]")


def test_a_product_that_others_read_is_not_taken_apart():
    equations = SPREAD + ("u = multiply x b : f64[3,4]; t = multiply u y : f64[3,4]; "
                          "a = sum t axes=(1,) : f64[3]")  # fmt: skip
    text = one(equations, INPUTS, "f64[3], f64[3,4]").replace("return a", "return a, t")
    assert body(simplify(parse(text), named([NAME])).text()) == body(parse(text).text())


def test_what_a_value_is_made_of_stays_as_the_user_wrote_it():
    text = one(SPREAD + "t = multiply x b : f64[3,4]; a = sum t axes=(1,) : f64[3]", INPUTS,
               "f64[3]")  # fmt: skip
    program = parse(text)
    assert closed_sums(program, 1) is program
    assert closed_sums(program, 0) is not program


def normalised(x, gain, shift):
    centred = x - np.mean(x, axis=0)
    return centred / np.sqrt(np.mean(centred * centred, axis=0) + 1e-5) * gain + shift


def test_the_gradient_of_batch_norm_is_that_of_its_paper():
    """Ioffe & Szegedy, "Batch normalization", 2015, section 3."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(50, 7)) + 3.0, rng.normal(size=(50, 7))
    gain, shift = rng.normal(size=7), rng.normal(size=7)

    def loss(parameters):
        return np.sum(normalised(*parameters) * w)

    value, found = cr.value_and_grad(loss)((x, gain, shift))
    assert value == loss((x, gain, shift))  # to the last bit
    deviation = np.sqrt(x.var(axis=0) + 1e-5)
    unit = (x - x.mean(axis=0)) / deviation
    of_x = gain / deviation * (w - w.mean(axis=0) - unit * (w * unit).mean(axis=0))
    for a, b in zip(found, (of_x, (w * unit).sum(axis=0), w.sum(axis=0)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)


def test_the_gradient_of_batch_norm_takes_three_passes_over_its_input():
    """The sum for the mean; those of squares, dy and dy * (x - mean); and the result. Beside the
    value, which stays as it was written, five; six without factors before the sums."""
    x, w = np.random.default_rng(0).normal(size=(2, 500, 70))
    for derivative in (cr.grad, cr.value_and_grad):
        step = cr.compile(derivative(lambda x: np.sum(normalised(x, 2.0, 1.0) * w)))
        step(x)
        steps = step.latest_trace().native.region.steps
        assert sum(s.domain == x.shape for s in steps) == (3 if derivative is cr.grad else 5)
