"""The FPBench runner: programs read, translated and judged."""

import math

import numpy as np
import pytest

from benchmarks.fpbench.points import _bounds, ordinal
from benchmarks.fpbench.python_code import Unsupported, translated
from benchmarks.fpbench.read import cores_of
from benchmarks.fpbench.score import bits_of_error

_TEXT = """
; a comment (with a parenthesis
(FPCore difference (x [! :precision binary32 y])
 :name "one; two" :pre (and (<= 0.5 x 2) (> 3 y 1))
 (let* ([s (+ x 1 y)] [s (* s s)]) (if (< x y 9) (- (sqrt s) 1/2) (- s))))
(FPCore (n) (while* (< i n) ([i 0 (+ i 1)] [t 0 (+ t i)]) t))
"""


def _core(body: str, arguments: str = "x"):
    return cores_of(f"(FPCore ({arguments}) {body})")[0]


def test_a_program_becomes_the_function_it_says():
    core, loop = cores_of(_TEXT, "file")
    assert core.label == "file: one; two" and core.arguments == ("x", "y")
    f = translated(core)
    assert f.takes_arrays
    np.testing.assert_array_equal(f.function(np.array([1.0, 8.0]), 2.0), [3.5, -121.0])
    assert not translated(loop).takes_arrays
    assert translated(loop).function(4.0) == 10.0


def test_numbers_are_the_float64_of_the_python_text():
    assert translated(_core("(* x (/ 1 3))")).function(1.0) == 1 / 3
    assert translated(_core("(* x (- PI))")).function(1.0) == -math.pi
    with pytest.raises(Unsupported, match="zeta"):
        translated(_core("(zeta x)"))


def test_the_precondition_bounds_the_points():
    assert _bounds(cores_of(_TEXT)[0]) == [(0.5, 2.0), (1.0, 3.0)]


def test_bits_of_error():
    assert bits_of_error(1.0, 1.0) == bits_of_error(-0.0, 0.0) == 0.0
    assert bits_of_error(np.nextafter(1.0, 2.0), 1.0) == 1.0
    assert bits_of_error(math.nan, 1.0) == 64.0
    assert bits_of_error(-1.0, 1.0) > 62
    assert ordinal(-5e-324) == -1


def test_the_truth_is_settled_where_floats_cancel():
    pytest.importorskip("flint")
    from benchmarks.fpbench.truth import true_values

    core = _core("(- 1 (cos x))")
    x = 2.0**-300
    assert true_values(core, [x]) == [2.0**-601, x]
    assert true_values(_core("(- x x)"), [0.3]) == [0.0, 0.0]
    assert true_values(_core("(sqrt x)"), [-1.0]) is None
    assert true_values(_core("(pow x y)", "x y"), [2.0, 0.5]) == [
        math.sqrt(2.0), 0.25 * math.sqrt(2.0), math.log(2.0) * math.sqrt(2.0)
    ]  # fmt: skip
