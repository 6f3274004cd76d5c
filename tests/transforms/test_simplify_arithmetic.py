"""Rewrites of arithmetic, logic and casts: each alone, where it applies and where it must not."""

import pytest

from chainrule.program.parse import parse
from chainrule.transforms.simplify import named, simplify
from tests.transforms.rewriting import becomes, body, one, stays

XY = "x: f64[40], y: f64[40]"
CXY = "c: bool[40], x: f64[40], y: f64[40]"


def unary(op: str, dtype: str = "f64") -> str:
    return one(f"a = {op} : {dtype}[40]", f"x: {dtype}[40]", f"{dtype}[40]")


@pytest.mark.parametrize(
    ("name", "op", "dtype"),
    [
        ("multiply by one", "multiply x 1.0", "f64"),
        ("multiply by one", "multiply 1 x", "i64"),
        ("multiply by one", "multiply 1:f32 x", "f32"),
        ("multiply by one", "multiply True x", "bool"),
        ("divide by one", "divide x 1.0", "f64"),
        ("add nothing", "add x -0.0", "f64"),
        ("add nothing", "add 0 x", "i64"),
        ("add nothing", "add x False", "bool"),
        ("subtract nothing", "subtract x 0.0", "f64"),
        ("subtract nothing", "subtract x 0", "i64"),
        ("cast of a cast", "cast x dtype=f64", "f64"),
        ("stop_gradient", "stop_gradient x", "f64"),
        ("both the same", "maximum x x", "f64"),
        ("both the same", "logical_and x x", "bool"),
    ],
)
def test_neutral_elements_go(name, op, dtype):
    becomes(name, unary(op, dtype), "return x")


@pytest.mark.parametrize(
    ("name", "op", "dtype"),
    [
        ("multiply by one", "multiply x 2.0", "f64"),
        ("multiply by one", "multiply x 1+0j", "c128"),
        ("divide by one", "divide 1.0 x", "f64"),
        ("divide by one", "divide x 1+0j", "c128"),
        ("add nothing", "add x 0.0", "f64"),
        ("subtract nothing", "subtract x -0.0", "f64"),
        ("subtract nothing", "subtract 0.0 x", "f64"),
        ("multiply by minus one", "multiply x -1+0j", "c128"),
        ("both the same", "logical_and x x", "i64"),
        ("divide by a power of two", "divide x 3.0", "f64"),
        ("divide by a power of two", "divide x 0.0", "f64"),
        ("divide by a power of two", "divide x inf", "f64"),
        ("divide by a power of two", "divide 2.0 x", "f64"),
    ],
)
def test_what_is_not_neutral_stays(name, op, dtype):
    out = dtype if not op.startswith("logical") else "bool"
    stays(name, one(f"a = {op} : {out}[40]", f"x: {dtype}[40]", f"{out}[40]"))


@pytest.mark.parametrize(
    ("name", "equations", "wanted"),
    [
        ("multiply by minus one", "a = multiply x -1.0 : f64[40]", "a = negative x; return a"),
        ("divide by a power of two", "a = divide x 8.0 : f64[40]",
         "a = multiply x 0.125; return a"),
        ("divide by a power of two", "a = divide x -0.5 : f64[40]",
         "a = multiply x -2.0; return a"),
        ("twice the same", "a = negative x : f64[40]; b = negative a : f64[40]", "return x"),
        ("add a negative", "a = negative x : f64[40]; b = add y a : f64[40]",
         "b = subtract y x; return b"),
        ("add a negative", "a = negative x : f64[40]; b = add a y : f64[40]",
         "b = subtract y x; return b"),
        ("add a negative", "a = negative x : f64[40]; b = subtract y a : f64[40]",
         "b = add y x; return b"),
        ("product of negatives",
         "a = negative x : f64[40]; b = negative y : f64[40]; c = multiply a b : f64[40]",
         "c = multiply x y; return c"),
        ("product of negatives", "a = negative x : f64[40]; b = divide a 3.0 : f64[40]",
         "b = divide x -3.0; return b"),
        ("product of negatives", "a = negative x : f64[40]; b = multiply 3.0 a : f64[40]",
         "b = multiply -3.0 x; return b"),
        ("negative of a product", "a = multiply x 3.0 : f64[40]; b = negative a : f64[40]",
         "b = multiply x -3.0; return b"),
        ("negative of a product", "a = divide 3.0 x : f64[40]; b = negative a : f64[40]",
         "b = divide -3.0 x; return b"),
        ("sign that is lost", "a = negative x : f64[40]; b = square a : f64[40]",
         "b = square x; return b"),
        ("sign that is lost", "a = absolute x : f64[40]; b = absolute a : f64[40]",
         "b = absolute x; return b"),
    ],
)  # fmt: skip
def test_signs_move(name, equations, wanted):
    becomes(name, one(equations, XY), wanted)


@pytest.mark.parametrize(
    ("name", "equations"),
    [
        ("add a negative", "a = negative x : f64[40]; b = subtract a y : f64[40]"),
        ("product of negatives", "a = negative x : f64[40]; b = multiply a y : f64[40]"),
        ("negative of a product", "a = multiply x y : f64[40]; b = negative a : f64[40]"),
        ("negative of a product", "a = subtract x y : f64[40]; b = negative a : f64[40]"),
        ("sign that is lost", "a = negative x : f64[40]; b = sign a : f64[40]"),
    ],
)
def test_signs_stay(name, equations):
    stays(name, one(equations, XY))


@pytest.mark.parametrize("dtype", ["f16", "f32", "i32", "u8"])
def test_signs_move_in_every_dtype(dtype):
    text = f"a = negative x : {dtype}[40]; b = subtract y a : {dtype}[40]"
    inputs = f"x: {dtype}[40], y: {dtype}[40]"
    becomes("add a negative", one(text, inputs, f"{dtype}[40]"), "b = add y x; return b")


# --- selection and logic --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "equations", "wanted"),
    [
        ("select of one value", "a = select True x y : f64[40]", "return x"),
        ("select of one value", "a = select False x 0.5 : f64[40]",
         "a = broadcast 0.5 shape=(40,) axes=(); return a"),
        ("select of one value", "a = select c x x : f64[40]", "return x"),
        ("select of one value", "n = logical_not c : bool[40]; a = select n x y : f64[40]",
         "a = select c y x; return a"),
        ("select of one value", "i = select c x y : f64[40]; a = select c i 1.0 : f64[40]",
         "a = select c x 1.0; return a"),
        ("select of one value", "i = select c x y : f64[40]; a = select c 1.0 i : f64[40]",
         "a = select c 1.0 y; return a"),
        ("select by the opposite",
         "n = logical_not c : bool[40]; i = select n x y : f64[40]; a = select c 1.0 i : f64[40]",
         "a = select c 1.0 x; return a"),
        ("negation", "e = equal x y : bool[40]; n = logical_not e : bool[40]; "
         "a = select n x y : f64[40]", "n = not_equal x y; a = select n x y; return a"),
    ],
)  # fmt: skip
def test_choices(name, equations, wanted):
    becomes(name, one(equations, CXY), wanted)


@pytest.mark.parametrize(
    ("name", "equations", "wanted"),
    [
        ("select of truth", "a = select c True False : bool[40]", "return c"),
        ("select of truth", "a = select c False True : bool[40]", "a = logical_not c; return a"),
        ("logic with a known truth", "a = logical_and c True : bool[40]", "return c"),
        ("logic with a known truth", "a = logical_or False c : bool[40]", "return c"),
        ("logic with a known truth", "a = logical_or c True : bool[40]",
         "a = broadcast True shape=(40,) axes=(); return a"),
        ("negation", "a = logical_not c : bool[40]; b = logical_not a : bool[40]", "return c"),
    ],
)  # fmt: skip
def test_logic(name, equations, wanted):
    becomes(name, one(equations, "c: bool[40]", "bool[40]"), wanted)


def test_less_has_no_opposite_because_of_nan():
    stays("negation", one("a = less x y : bool[40]; b = logical_not a : bool[40]", XY, "bool[40]"))


def test_a_choice_of_other_values_stays():
    stays("select of one value", one("a = select c x y : f64[40]", CXY))
    stays("select of truth", one("a = select c True True : bool[40]", "c: bool[40]", "bool[40]"))


# --- scale ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "equations",
    [
        "a = scale x 2.0 : f64[40]",
        "a = scale x x : f64[40]",
        "p = cast c dtype=f64 : f64[40]; q = select c 0.5 0.0 : f64[40]; a = scale p q : f64[40]",
        "p = cast c dtype=f64 : f64[40]; q = tanh p : f64[40]; a = scale q p : f64[40]",
        "p = cast c dtype=f64 : f64[40]; q = add p p : f64[40]; r = multiply q q : f64[40]; "
        "a = scale p r : f64[40]",
    ],
)
def test_scale_of_numbers_is_a_product(equations):
    text = one(equations, CXY)
    becomes("scale of numbers", text, body_with(text, "multiply"))


def body_with(text: str, name: str) -> str:
    return body(text.replace("a = scale", f"a = {name}"))


@pytest.mark.parametrize(
    "equations",
    [
        "a = scale x y : f64[40]",
        "a = scale x 0.0 : f64[40]",
        "a = scale x inf : f64[40]",
        "p = tanh x : f64[40]; a = scale p 0.0 : f64[40]",  # tanh(nan) is nan
        "p = cast c dtype=f64 : f64[40]; a = scale p x : f64[40]",  # 0 * inf
        "p = cast c dtype=f64 : f64[40]; q = multiply p 1e200 : f64[40]; "
        "r = multiply q q : f64[40]; a = scale r p : f64[40]",  # q * q overflows
    ],
)
def test_scale_stays_where_zero_may_meet_inf(equations):
    stays("scale of numbers", one(equations, CXY))


# --- casts and constants --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "middle", "target", "wanted"),
    [
        ("f32", "f64", "f32", "return x"),
        ("f32", "f64", "f16", "b = cast x dtype=f16; return b"),
        ("i16", "f32", "f64", "b = cast x dtype=f64; return b"),
        ("bool", "f64", "i8", "b = cast x dtype=i8; return b"),
        ("f64", "c128", "f64", "return x"),
        ("i8", "i64", "u8", "b = cast x dtype=u8; return b"),
        ("f64", "f32", "f64", None),
        ("i64", "f64", "i64", None),
        ("i32", "f32", "i32", None),
        ("u16", "f16", "u16", None),
        ("f32", "f64", "i32", None),
    ],
)
def test_casts_after_exact_ones(source, middle, target, wanted):
    equations = f"a = cast x dtype={middle} : {middle}[40]; "
    equations += f"b = cast a dtype={target} : {target}[40]"
    text = one(equations, f"x: {source}[40]", f"{target}[40]")
    if wanted is not None:
        becomes("cast of a cast", text, wanted)
    elif target[0] == "f":
        stays("cast of a cast", text)
    else:  # casts of inf to whole numbers warn in NumPy
        assert len(simplify(parse(text), named(["cast of a cast"])).equations) == 2


def test_parts_of_complex_numbers():
    inputs, out = "x: f64[40], z: c128[40]", "f64[40]"
    becomes("parts of a complex number",
            one("j = join x 2.0 : c128[40]; a = real j : f64[40]", inputs, out), "return x")
    becomes("parts of a complex number",
            one("j = join x 2.0 : c128[40]; a = imag j : f64[40]", inputs, out),
            "a = broadcast 2.0 shape=(40,) axes=(); return a")
    joined = "r = real z : f64[40]; i = imag z : f64[40]; j = join r i : c128[40]"
    becomes("parts joined again", one(joined, inputs, "c128[40]"), "return z")
    stays("parts joined again", one(joined.replace("join r i", "join i r"), inputs, "c128[40]"))


def test_numbers_are_folded():
    becomes("constant folding", one("k = add 1.5 2.0 : f64[]; a = multiply x k : f64[]", "x: f64[]",
            "f64[]"), "a = multiply x 3.5; return a")
    becomes("constant folding", one("k = divide 1.0 0.0 : f64[]; a = cast k dtype=f32 : f32[]",
            "x: f64[]", "f32[]"), "return inf:f32")


def test_an_operation_that_raises_is_not_folded():
    text = one("a = power 2 -1 : i64[]", "x: f64[40]", "i64[]")
    assert len(simplify(parse(text)).equations) == 1
