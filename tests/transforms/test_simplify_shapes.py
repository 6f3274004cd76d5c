"""Rewrites of what moves data, and of products: each alone, where it applies and where not."""

import pytest

from chainrule.program.parse import parse
from chainrule.transforms.simplify import named, simplify
from tests.transforms.rewriting import assert_keeps_bits, becomes, body, numbered, one, stays, whole


def moves(name: str, equations: str, wanted: str, inputs: str = "x: f64[3,4]", out="f64[3,4]"):
    becomes(name, one(equations, inputs, out), wanted)


def stays_so(name: str, equations: str, inputs: str = "x: f64[3,4]", out="f64[3,4]"):
    stays(name, one(equations, inputs, out))


# --- elementwise on what repeats ------------------------------------------------------------------

NUMBERS = "numbers in place of filled arrays"
REPEATED = "elementwise on repeated entries"


def test_filled_arrays_become_numbers():
    filled = "b = broadcast 0.5 shape=(3,4) axes=() : f64[3,4]; "
    moves(NUMBERS, filled + "a = multiply x b : f64[3,4]", "a = multiply x 0.5; return a")
    moves(NUMBERS, filled + "a = exp b : f64[3,4]",
          "a = exp 0.5; b = broadcast a shape=(3,4) axes=(); return b")
    stays_so(NUMBERS, filled + "a = barrier b token=0 : f64[3,4]")
    stays_so(NUMBERS, filled + "a = sum b axes=(1,) : f64[3]", out="f64[3]")


def test_work_is_done_before_entries_are_repeated():
    rows = "r = broadcast x shape=(5,3,4) axes=(1,2) : f64[5,3,4]; "
    out = "f64[5,3,4]"
    moves(REPEATED, rows + "a = exp r : f64[5,3,4]",
          "a = exp x; b = broadcast a shape=(5,3,4) axes=(1,2); return b", out=out)
    moves(REPEATED, rows + "s = broadcast y shape=(5,3,4) axes=(1,2) : f64[5,3,4]; "
          "a = add r s : f64[5,3,4]; b = multiply 2.0 a : f64[5,3,4]",
          "a = add x y; b = multiply 2.0 a; c = broadcast b shape=(5,3,4) axes=(1,2); return c",
          "x: f64[3,4], y: f64[3,4]", out)
    moves(REPEATED, rows + "a = less r 1.0 : bool[5,3,4]",
          "a = less x 1.0; b = broadcast a shape=(5,3,4) axes=(1,2); return b", out="bool[5,3,4]")


def test_work_is_done_before_entries_are_reshaped():
    name = "elementwise on reshaped entries"
    moves(name, "r = reshape x shape=(12,) : f64[12]; s = reshape y shape=(12,) : f64[12]; "
          "a = add r s : f64[12]; b = multiply a 2.0 : f64[12]",
          "a = add x y; b = multiply a 2.0; c = reshape b shape=(12,); return c",
          "x: f64[3,4], y: f64[3,4]", "f64[12]")
    stays_so(name, "r = reshape x shape=(12,) : f64[12]; s = reshape y shape=(12,) : f64[12]; "
             "a = add r s : f64[12]", "x: f64[3,4], y: f64[4,3]", "f64[12]")
    stays_so(name, "r = reshape x shape=(12,) : f64[12]; a = add r y : f64[12]",
             "x: f64[3,4], y: f64[12]", "f64[12]")


def test_other_placements_are_left():
    two = "r = broadcast x shape=(3,3) axes=(0,) : f64[3,3]; "
    two += "s = broadcast x shape=(3,3) axes=(1,) : f64[3,3]; a = add r s : f64[3,3]"
    stays_so(REPEATED, two, "x: f64[3]", "f64[3,3]")
    stays_so(REPEATED, "r = broadcast x shape=(3,3) axes=(0,) : f64[3,3]; a = add r y : f64[3,3]",
             "x: f64[3], y: f64[3,3]", "f64[3,3]")
    stays_so(REPEATED, "r = broadcast x shape=(1,3) axes=(1,) : f64[1,3]; a = exp r : f64[1,3]",
             "x: f64[3]", "f64[1,3]")  # no work is saved


# --- broadcast, reshape, transpose, flip ----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "equations", "wanted", "out"),
    [
        ("broadcast of a broadcast", "a = broadcast x shape=(3,4) axes=(0,1) : f64[3,4]",
         "return x", "f64[3,4]"),
        ("broadcast of a broadcast", "a = broadcast x shape=(2,3,4) axes=(1,2) : f64[2,3,4]; "
         "b = broadcast a shape=(2,5,3,4) axes=(0,2,3) : f64[2,5,3,4]",
         "b = broadcast x shape=(2,5,3,4) axes=(2,3); return b", "f64[2,5,3,4]"),
        ("reshape of a reshape", "a = reshape x shape=(12,) : f64[12]; "
         "b = reshape a shape=(3,4) : f64[3,4]", "return x", "f64[3,4]"),
        ("reshape of a reshape", "a = reshape x shape=(12,) : f64[12]; "
         "b = reshape a shape=(2,6) : f64[2,6]", "b = reshape x shape=(2,6); return b", "f64[2,6]"),
        ("reshape of a reshape", "a = broadcast 2.0 shape=(3,4) axes=() : f64[3,4]; "
         "b = reshape a shape=(12,) : f64[12]",
         "b = broadcast 2.0 shape=(12,) axes=(); return b", "f64[12]"),
        ("transpose of a transpose", "a = transpose x axes=(0,1) : f64[3,4]", "return x",
         "f64[3,4]"),
        ("transpose of a transpose", "a = transpose x axes=(1,0) : f64[4,3]; "
         "b = transpose a axes=(1,0) : f64[3,4]", "return x", "f64[3,4]"),
        ("transpose of a transpose", "a = broadcast x shape=(3,2,4) axes=(0,2) : f64[3,2,4]; "
         "b = transpose a axes=(2,1,0) : f64[4,2,3]",
         "a = transpose x axes=(1,0); b = broadcast a shape=(4,2,3) axes=(0,2); return b",
         "f64[4,2,3]"),
        ("flip of a flip", "a = flip x axes=(0,) : f64[3,4]; b = flip a axes=(0,1) : f64[3,4]",
         "b = flip x axes=(1,); return b", "f64[3,4]"),
        ("flip of a flip", "a = flip x axes=(0,1) : f64[3,4]; b = flip a axes=(0,1) : f64[3,4]",
         "return x", "f64[3,4]"),
        ("flip of a flip", "a = broadcast x shape=(2,3,4) axes=(1,2) : f64[2,3,4]; "
         "b = flip a axes=(0,) : f64[2,3,4]",
         "b = broadcast x shape=(2,3,4) axes=(1,2); return b", "f64[2,3,4]"),
    ],
)  # fmt: skip
def test_moves_of_data_are_joined(name, equations, wanted, out):
    becomes(name, one(equations, "x: f64[3,4]", out), wanted)


def test_a_transposition_of_axes_of_length_one_is_a_reshape():
    moves("transpose of a transpose", "a = transpose x axes=(1,2,0) : f64[3,4,1]",
          "a = reshape x shape=(3,4,1); return a", "x: f64[1,3,4]", "f64[3,4,1]")


@pytest.mark.parametrize(
    ("name", "equations", "out"),
    [
        ("broadcast of a broadcast", "a = broadcast x shape=(2,3,4) axes=(1,2) : f64[2,3,4]",
         "f64[2,3,4]"),
        ("reshape of a reshape", "t = transpose x axes=(1,0) : f64[4,3]; "
         "a = reshape t shape=(12,) : f64[12]", "f64[12]"),
        ("transpose of a transpose", "t = transpose x axes=(1,0) : f64[4,3]", "f64[4,3]"),
        ("flip of a flip", "t = flip x axes=(1,) : f64[3,4]", "f64[3,4]"),
    ],
)  # fmt: skip
def test_moves_of_data_stay(name, equations, out):
    stays(name, one(equations, "x: f64[3,4]", out))


# --- parts ----------------------------------------------------------------------------------------

PART = "static part of a part"


@pytest.mark.parametrize(
    ("equations", "wanted", "inputs", "out"),
    [
        ("a = index x at=((0,3,1),(0,4,1)) : f64[3,4]", "return x", "x: f64[3,4]", "f64[3,4]"),
        ("a = index x at=((1,9,2),) : f64[4]; b = index a at=((3,-1,-2),) : f64[2]",
         "b = index x at=((7,-1,-4),); return b", "x: f64[10]", "f64[2]"),
        ("a = index x at=((1,9,2),3) : f64[4]; b = index a at=(2,) : f64[]",
         "b = index x at=(5,3); return b", "x: f64[10,4]", "f64[]"),
        ("a = broadcast x shape=(3,4) axes=(1,) : f64[3,4]; "
         "b = index a at=((0,2,1),(1,3,1)) : f64[2,2]",
         "a = index x at=((1,3,1),); b = broadcast a shape=(2,2) axes=(1,); return b",
         "x: f64[4]", "f64[2,2]"),
        ("a = broadcast x shape=(3,4) axes=(1,) : f64[3,4]; b = index a at=(1,(0,4,1)) : f64[4]",
         "b = broadcast x shape=(4,) axes=(0,); return b", "x: f64[4]", "f64[4]"),
        ("a = concatenate x y axis=0 : f64[7]; b = index a at=((4,7,1),) : f64[3]",
         "return y", "x: f64[4], y: f64[3]", "f64[3]"),
        ("a = concatenate x y axis=0 : f64[7]; b = index a at=((6,3,-1),) : f64[3]",
         "b = index y at=((2,-1,-1),); return b", "x: f64[4], y: f64[3]", "f64[3]"),
        ("a = concatenate x y axis=0 : f64[7]; b = index a at=(3,) : f64[]",
         "b = index x at=(3,); return b", "x: f64[4], y: f64[3]", "f64[]"),
        ("a = index_set x y at=((1,4,1),) : f64[4]; b = index a at=((1,4,1),) : f64[3]",
         "return y", "x: f64[4], y: f64[3]", "f64[3]"),
    ],
)  # fmt: skip
def test_parts_of_parts(equations, wanted, inputs, out):
    text = one(equations, inputs, out)
    found = body(simplify(parse(text), named([PART, "dead code"])).text())
    assert found == numbered(wanted)
    assert_keeps_bits(parse(text), simplify(parse(text), named([PART])))


@pytest.mark.parametrize(
    ("equations", "inputs", "out"),
    [
        ("a = index x at=((0,4,2),) : f64[2]", "x: f64[4]", "f64[2]"),
        ("a = index x at=((3,-1,-1),) : f64[4]", "x: f64[4]", "f64[4]"),
        ("a = concatenate x y axis=0 : f64[7]; b = index a at=((3,5,1),) : f64[2]",
         "x: f64[4], y: f64[3]", "f64[2]"),
        ("a = index_set x y at=((1,4,1),) : f64[4]; b = index a at=((0,3,1),) : f64[3]",
         "x: f64[4], y: f64[3]", "f64[3]"),
        ("a = index x i at=() : f64[2]; b = index a at=(1,) : f64[]", "x: f64[4], i: i64[2]",
         "f64[]"),
    ],
)  # fmt: skip
def test_parts_that_stay(equations, inputs, out):
    before = parse(one(equations, inputs, out))
    assert simplify(before, named([PART])) is before


def test_writes_of_everything_and_of_nothing():
    inputs = "x: f64[4], y: f64[4]"
    moves("whole array written", "a = index_set x y at=((0,4,1),) : f64[4]", "return y", inputs,
          "f64[4]")
    moves("whole array written", "a = index_set x 2.0 at=((0,4,1),) : f64[4]",
          "a = broadcast 2.0 shape=(4,) axes=(); return a", inputs, "f64[4]")
    moves("whole array written", "a = index_add x y at=((0,4,1),) : f64[4]",
          "a = add x y; return a", inputs, "f64[4]")
    stays_so("whole array written", "a = index_set x y at=((3,-1,-1),) : f64[4]", inputs, "f64[4]")
    moves("nothing written", "a = index_set x 2.0 at=((2,2,1),) : f64[4]", "return x", inputs,
          "f64[4]")
    stays_so("nothing written", "a = index_set x 2.0 at=((2,3,1),) : f64[4]", inputs, "f64[4]")


ZEROS = "z = broadcast 0.0 shape=(5,4) axes=() : f64[5,4]; "


@pytest.mark.parametrize(
    ("equations", "wanted", "value"),
    [
        ("a = index_set z v at=((1,4,1),(0,4,1)) : f64[5,4]",
         "a = pad v widths=((1,1),(0,0)); return a", "v: f64[3,4]"),
        ("a = index_add z v at=((1,4,1),(0,4,1)) : f64[5,4]",
         "a = add v 0.0; b = pad a widths=((1,1),(0,0)); return b", "v: f64[3,4]"),
        ("a = index_set z v at=(2,(0,3,1)) : f64[5,4]",
         "a = reshape v shape=(1,3); b = pad a widths=((2,2),(0,1)); return b", "v: f64[3]"),
    ],
)  # fmt: skip
def test_parts_written_into_zeros(equations, wanted, value):
    moves("written into zeros", ZEROS + equations, wanted, value, "f64[5,4]")


@pytest.mark.parametrize(
    "equations",
    [
        ZEROS + "a = index_set z v at=((0,5,2),(0,4,1)) : f64[5,4]",
        ZEROS.replace("0.0", "-0.0") + "a = index_set z v at=((1,4,1),(0,4,1)) : f64[5,4]",
        ZEROS.replace("0.0", "1.0") + "a = index_set z v at=((1,4,1),(0,4,1)) : f64[5,4]",
    ],
)
def test_parts_that_are_not_written_into_a_block_of_zeros(equations):
    stays_so("written into zeros", equations, "v: f64[3,4]", "f64[5,4]")


def test_joins():
    inputs = "x: f64[4], y: f64[0], z: f64[2]"
    moves("concatenate", "a = concatenate x axis=0 : f64[4]", "return x", inputs, "f64[4]")
    moves("concatenate",
          "a = concatenate x y z axis=0 : f64[6]; b = concatenate a z axis=0 : f64[8]",
          "b = concatenate x z z axis=0; return b", inputs, "f64[8]")
    stays_so("concatenate", "a = concatenate x z axis=0 : f64[6]", inputs, "f64[6]")
    moves("pad by nothing", "a = pad x widths=((0,0),) : f64[4]", "return x", inputs, "f64[4]")
    stays_so("pad by nothing", "a = pad x widths=((0,1),) : f64[5]", inputs, "f64[5]")


# --- reductions -----------------------------------------------------------------------------------


def test_reductions_of_one_entry():
    inputs, name = "x: f64[3,1]", "reduction of one entry"
    for op in ("max", "prod"):
        moves(name, f"a = {op} x axes=(1,) : f64[3]", "a = reshape x shape=(3,); return a", inputs,
              "f64[3]")
    moves(name, "a = any x axes=(1,) : bool[3]",
          "a = cast x dtype=bool; b = reshape a shape=(3,); return b", inputs, "bool[3]")
    stays_so(name, "a = sum x axes=(1,) : f64[3]", inputs, "f64[3]")  # +0 for -0
    stays_so(name, "a = max x axes=(0,) : f64[1]", inputs, "f64[1]")


def test_reductions_of_what_repeats_or_is_transposed():
    moves("extreme of repeated entries", "r = broadcast x shape=(2,3,4) axes=(1,2) : f64[2,3,4]; "
          "a = max r axes=(0,2) : f64[3]",
          "a = broadcast x shape=(3,4) axes=(0,1); b = max a axes=(1,); return b", out="f64[3]")
    moves("extreme of repeated entries", "r = broadcast x shape=(2,3,4) axes=(1,2) : f64[2,3,4]; "
          "a = any r axes=(0,) : bool[3,4]",
          "a = broadcast x shape=(3,4) axes=(0,1); b = cast a dtype=bool; return b",
          out="bool[3,4]")
    shifted = ("m = max x axes=(1,) : f64[3]; b = broadcast m shape=(3,4) axes=(0,) : f64[3,4]; "
               "d = subtract x b : f64[3,4]; a = {} d axes=({},) : f64[{}]")  # fmt: skip
    moves("extreme of distances from the extreme", shifted.format("max", 1, 3),
          "m = max x axes=(1,); a = subtract m m; return a", out="f64[3]")
    stays_so("extreme of distances from the extreme", shifted.format("min", 1, 3), "x: f64[3,4]",
             "f64[3]")
    stays_so("extreme of distances from the extreme", shifted.format("max", 0, 4), "x: f64[3,4]",
             "f64[4]")
    moves("reduction of a transposition",
          "t = transpose x axes=(1,0) : f64[4,3]; a = min t axes=(0,) : f64[3]",
          "a = min x axes=(1,); return a", out="f64[3]")
    text = one("t = transpose x axes=(1,0) : f64[4,3]; a = sum t axes=(0,) : f64[3]",
               "x: f64[3,4]", "f64[3]")
    becomes("sum of a transposition", text, "a = sum x axes=(1,); return a", whole)
    cube = "t = transpose x axes=(2,1,0) : f64[4,3,2]; a = max t axes=(1,) : f64[4,2]"
    stays_so("reduction of a transposition", cube, "x: f64[2,3,4]", "f64[4,2]")


# --- products -------------------------------------------------------------------------------------


def product(name: str, equations: str, inputs: str, out: str, wanted: str | None = None) -> None:
    text = one(equations, inputs, out)
    if wanted is None:
        stays(name, text)
    else:
        becomes(name, text, wanted, whole)


MATRICES = "x: f64[4,3], y: f64[4,5]"


def test_transpositions_are_folded_into_products():
    product("product of a transposition", "t = transpose x axes=(1,0) : f64[3,4]; "
            "a = contract t y axes=((1,),(0,)) batch=((),()) : f64[3,5]", MATRICES, "f64[3,5]",
            "a = contract x y axes=((0,),(0,)) batch=((),()); return a")
    product("product of a transposition", "t = transpose y axes=(1,0) : f64[5,4]; "
            "a = contract x t axes=((0,),(1,)) batch=((),()) : f64[3,5]", MATRICES, "f64[3,5]",
            "a = contract x y axes=((0,),(0,)) batch=((),()); return a")
    product("product of a transposition", "t = transpose x axes=(2,1,0) : f64[4,3,2]; "
            "a = contract t y axes=((0,),(0,)) batch=((),()) : f64[3,2,5]",
            "x: f64[2,3,4], y: f64[4,5]", "f64[3,2,5]")
    product("product of a transposition", "t = transpose x axes=(1,0,2) : f64[3,2,4]; "
            "a = contract t y axes=((2,),(1,)) batch=((1,),(0,)) : f64[2,3,5]",
            "x: f64[2,3,4], y: f64[2,4,5]", "f64[2,3,5]",
            "a = contract x y axes=((2,),(1,)) batch=((0,),(0,)); return a")


def test_a_transposed_product_changes_its_operands():
    inner = "a = contract x y axes=((0,),(0,)) batch=((),()) : f64[3,5]; "
    product("transposition of a product", inner + "t = transpose a axes=(1,0) : f64[5,3]", MATRICES,
            "f64[5,3]", "t = contract y x axes=((0,),(0,)) batch=((),()); return t")
    both = f"program f({MATRICES}) -> f64[3,5], f64[5,3]\n" + inner.replace("; ", "\n")
    stays("transposition of a product", both + "t = transpose a axes=(1,0) : f64[5,3]\nreturn a, t")


def test_products_of_repeated_rows_are_made_once():
    inputs = "x: f64[3], y: f64[3,5]"
    product("product of repeated rows", "r = broadcast x shape=(4,3) axes=(1,) : f64[4,3]; "
            "a = contract r y axes=((1,),(0,)) batch=((),()) : f64[4,5]", inputs, "f64[4,5]",
            "a = broadcast x shape=(3,) axes=(0,); "
            "b = contract a y axes=((0,),(0,)) batch=((),()); "
            "c = broadcast b shape=(4,5) axes=(1,); return c")
    product("product of repeated rows", "r = broadcast x shape=(3,4) axes=(0,) : f64[3,4]; "
            "a = contract r y axes=((1,),(0,)) batch=((),()) : f64[3,5]",
            "x: f64[3], y: f64[4,5]", "f64[3,5]")


@pytest.mark.parametrize("swapped", [False, True])
def test_lanes_that_repeat_become_free_axes(swapped):
    left, right = ("r", "y") if not swapped else ("y", "r")
    axes = "((2,),(1,))" if not swapped else "((1,),(2,))"
    batch = "((0,),(2,))" if not swapped else "((2,),(0,))"
    out = "f64[6,3,5]" if not swapped else "f64[6,5,3]"
    text = one("r = broadcast x shape=(6,3,4) axes=(1,2) : f64[6,3,4]; "
               f"a = contract {left} {right} axes={axes} batch={batch} : {out}",
               "x: f64[3,4], y: f64[5,4,6]", out)
    before = parse(text)
    before.validate()
    after = simplify(before)
    assert_keeps_bits(before, after, whole)
    assert [e.op.name for e in after.equations] == ["contract", "transpose"]
    assert after.equations[0].outputs[0].type.size == before.out_types[0].size
