"""Functions that kernels of many programs call: compiled once, called from wherever they are."""

import re

import numpy as np
from mpmath import mp, mpf

import chainrule as cr
from chainrule.compiler import building, cache
from chainrule.compiler.kept import Request
from chainrule.compiler.llvm.vecmath_angles import huge_angles
from chainrule.compiler.shared_functions import is_shared, shared_text, taken_out, with_shared
from chainrule.tracing import trace_call

HUGE = np.array([1e200, 0.5, -(2.0**40), 6381956970095103.0 * 2.0**797])


def texts(f, *args):
    program = trace_call(f, args, {}, concrete=False).program
    return building.built(Request(program, {}, None, None, False), program).texts


def test_a_program_holds_a_shared_function_once_and_calls_it_by_its_name():
    def f(x, y):
        return np.sin(x), np.cos(np.sum(y, 0)) @ np.sin(y @ y)

    written = texts(f, np.ones(7), np.ones((9, 9)))
    assert [is_shared(text) for text in written] == [False, True] + [False] * (len(written) - 2)
    assert sum(len(re.findall(r"define .*huge_angles\(", text)) for text in written) == 1
    callers = [text for text in written if "call void @huge_angles(" in text]
    assert callers and all(text.count("declare void @huge_angles(") == 1 for text in callers)
    assert not any("declare void @huge_angles(" in t for t in written if t not in callers)
    assert not any(map(is_shared, texts(lambda x: np.exp(x), np.ones(7))))


def test_every_copy_is_taken_out_whatever_its_kernel_is_called():
    copies = [huge_angles(f"@{kernel}.huge_angles") for kernel in ("k0", "k1", "k.s")]
    calls = "call void @k1.huge_angles(ptr %x)\ncall void @k.s.huge_angles(ptr %x)"
    left = taken_out("\n".join([*copies, calls]))
    assert left.strip().splitlines() == ["call void @huge_angles(ptr %x)"] * 2
    shared, (declared, other) = with_shared([left, "define void @f()"])
    assert shared == [shared_text("huge_angles")] and other == "define void @f()"
    assert declared.startswith("declare void @huge_angles(ptr %x") and "cold nounwind" in declared


def test_huge_angles_are_right_in_scalars_vectors_and_products():
    at = HUGE[0]
    assert cr.compile(lambda x: np.sin(x))(at) == float(mp.sin(mpf(float(at))))
    vectors = cr.compile(lambda x: np.sin(x) + 0 * x)(HUGE)
    epilogue = cr.compile(lambda a, b: np.sin(a @ b))(np.eye(4) * HUGE, np.eye(4))
    for x, value, in_product in zip(HUGE, vectors, np.diag(epilogue), strict=True):
        truth = float(mp.sin(mpf(float(x))))
        assert abs(value - truth) <= np.spacing(abs(truth))
        assert abs(in_product - truth) <= np.spacing(abs(truth))


def test_a_second_program_does_not_compile_it_again(tmp_path, monkeypatch):
    compiled = []
    real = cache.object_code
    for module in (cache, building):
        monkeypatch.setattr(
            module, "object_code", lambda text, level=2: compiled.append(text) or real(text, level)
        )
    for folder in ("", str(tmp_path / "kept")):
        monkeypatch.setenv("CHAINRULE_CACHE", folder)
        building._latest.clear()
        compiled.clear()
        for f in (lambda x: np.sin(x) * 3, lambda x: np.cos(x) * 5):
            cr.compile(f)(HUGE)
        assert sum(map(is_shared, compiled)) == 1
