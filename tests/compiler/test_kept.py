"""Compiled programs kept on disk: found again, right again, and never anything else."""

import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
import types

import numpy as np
import pytest

import chainrule as cr
from chainrule import backends
from chainrule.compiler import building, cache, kept, region
from chainrule.compiler.kept import Request
from chainrule.compiler.source import changed_among_imported
from chainrule.program.digest import digest
from chainrule.program.program import Equation, Program
from chainrule.tracing import trace_call


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "kept"))
    return tmp_path / "kept"


@pytest.fixture
def builds(monkeypatch, place):
    """The requests of the programs that are built."""
    found = []
    real = building.built
    monkeypatch.setattr(building, "built", lambda r, p: found.append(r) or real(r, p))
    return found


def twice(f, *args, **options):
    """The results of a function compiled anew, and again: the second is from the disk."""
    return [cr.compile(f, **options)(*args) for _ in range(2)]


def slope(x):
    return cr.grad(lambda y: np.sum(np.exp(y) * y))(x)


def test_program_is_built_once(builds):
    x = np.array([0.5, -2.0])
    first, second = twice(slope, x)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, np.exp(x) * (1 + x))
    assert len(builds) == 1


def test_equal_program_of_another_function_is_found(builds):
    np.testing.assert_array_equal(
        cr.compile(lambda x: np.tanh(x) + 1.0)(np.ones(3)),
        cr.compile(lambda other: np.tanh(other) + 1.0)(np.ones(3)),
    )
    assert len(builds) == 1


@pytest.mark.parametrize(
    "f, x",
    [
        (lambda x: x * 2.0, np.ones(3)),
        (lambda x: x * 3.0, np.ones(4)),
        (lambda x: x * 3.0, np.ones(3, np.float32)),
        (lambda x: 3.0 * x + x, np.ones(3)),
    ],
)
def test_other_program_is_not_taken_for_it(builds, f, x):
    cr.compile(lambda x: x * 3.0)(np.ones(3))
    np.testing.assert_array_equal(cr.compile(f)(x), f(x))
    assert len(builds) == 2


def test_what_is_asked_for_tells_programs_apart(builds):
    x = np.linspace(1.0, 2.0, 5)
    for options in ({}, {"check": "nan"}, {"stabilize": False}, {"memory": 10_000}):
        twice(slope, x, **options)
    assert len(builds) == 4


def test_argument_is_updated_in_place(builds):
    def step(w, x):
        w -= 0.5 * x

    for _ in range(2):
        w = np.ones(3)
        cr.compile(step)(w, np.arange(3.0))
        np.testing.assert_array_equal(w, 1.0 - 0.5 * np.arange(3.0))
    assert len(builds) == 1


def test_error_names_the_line_of_the_function_that_was_called(builds):
    def first(x, i):
        return x[i] * 2.0

    def second(x, i):
        return x[i] * 2.0  # here

    cr.compile(first)(np.ones(3), 1)
    with pytest.raises(IndexError):
        cr.compile(second)(np.ones(3), 7)
    with pytest.raises(cr.errors.NotANumber, match="log made an infinity"):
        twice(lambda x: np.log(x), np.ones(2), check="nan")
        cr.compile(lambda x: np.log(x), check="nan")(np.zeros(2))


def test_tie_is_settled(builds):
    def kinked(x):
        return cr.grad(lambda y: np.maximum(y, 0.0) - np.maximum(-y, 0.0))(x)

    for _ in range(2):
        compiled = cr.compile(kinked)
        assert compiled(2.0) == 1.0 and compiled(0.0) == 1.0 and compiled(0.0) == 1.0
    assert [r.stage for r in builds] == [0, 1]


def test_lost_digits_are_found(builds):
    def cancels(x):
        return (1.0 + x) ** 3 - 1.0 - 3.0 * x - 3.0 * x * x

    x = 1e-7
    for found in twice(cancels, x):
        assert found == pytest.approx(x**3, rel=1e-12)
    assert len(builds) == 1


def test_program_with_equations_on_the_evaluator_is_not_kept(builds):
    def smallest(x):
        return x[np.argpartition(x, 0)[0]]

    for found in twice(smallest, np.arange(8.0), check="nan"):
        assert found == 0.0
    native = cr.compile(smallest).trace_of(np.arange(8.0))[0].native
    assert native.sites and len(builds) == 3


def test_program_of_fourier_transforms_finds_its_functions_again(builds):
    x = np.arange(8.0)
    for found in twice(lambda x: np.abs(np.fft.fft(x)), x):
        np.testing.assert_allclose(found, np.abs(np.fft.fft(x)))
    assert len(builds) == 1


def test_program_of_lapack_finds_its_functions_again(builds):
    a = np.eye(3) + 0.1 * np.arange(9.0).reshape(3, 3)
    for found in twice(lambda a: np.linalg.solve(a, np.ones(3)), a):
        np.testing.assert_allclose(found, np.linalg.solve(a, np.ones(3)))
    assert len(builds) == 1


def test_long_kernel_is_found_by_another_program(place, monkeypatch):
    compiled = []
    real = cache.object_code
    monkeypatch.setattr(cache, "object_code", lambda *a: compiled.append(a[0]) or real(*a))
    a = np.ones((40, 40))
    first = cr.compile(lambda x: np.sin(3.0 * x) @ x)(a)
    long = [text for text in compiled if len(text) >= region._ALONE]
    compiled.clear()
    second = cr.compile(lambda x: np.sin(2.0 * x) @ x)(a)
    assert long and not any(text in compiled for text in long)
    assert compiled
    np.testing.assert_allclose(first, np.sin(3.0 * a) @ a, rtol=1e-13)
    np.testing.assert_allclose(second, np.sin(2.0 * a) @ a, rtol=1e-13)


def test_explain_shows_the_kernels_of_a_program_from_the_disk(builds):
    x = np.linspace(0.0, 1.0, 7)
    reports = [cr.explain(cr.compile(slope), x, runs=3) for _ in range(2)]
    assert [r.does for r in reports[0].rows] == [r.does for r in reports[1].rows]
    assert all(row.calls == 1 for row in reports[1].rows)


def _entries(place):
    """The descriptions of programs in the cache."""
    return [p for p in place.iterdir() if b'"kernels"' in p.read_bytes()]


@pytest.mark.parametrize("damage", [
    lambda content: content[:-1],
    lambda content: content.replace(b'"arena": ', b'"arena": 1'),
    lambda content: b"",
])  # fmt: skip
def test_damaged_description_is_built_again_and_rewritten(builds, place, damage):
    x = np.ones(3)
    wanted = cr.compile(slope)(x)
    (entry,) = _entries(place)
    whole = entry.read_bytes()
    entry.write_bytes(damage(whole))
    np.testing.assert_array_equal(cr.compile(slope)(x), wanted)
    assert len(builds) == 2 and entry.read_bytes() == whole


@pytest.mark.parametrize("change", [
    {"objects": ["zz"]}, {"objects": ["00" * 32]}, {"arena": "1"}, {"kernels": 3}, {"more": 1},
    {"externals": ["lapack.unheard_of"]}, {"externals": 3},
])  # fmt: skip
def test_description_of_another_form_is_not_used(builds, place, change):
    x = np.ones(3)
    wanted = cr.compile(slope)(x)
    (entry,) = _entries(place)
    key = bytes.fromhex(entry.name)
    content = cache.read(key)
    assert content is not None
    cache.keep(key, json.dumps({**json.loads(content), **change}).encode())
    np.testing.assert_array_equal(cr.compile(slope)(x), wanted)
    assert len(builds) == 2 and cache.read(key) == content


def test_object_code_that_is_gone_is_made_again(builds, place):
    x = np.ones(3)
    wanted = cr.compile(slope)(x)
    (entry,) = _entries(place)
    content = cache.read(bytes.fromhex(entry.name))
    assert content is not None
    for name in json.loads(content)["objects"]:
        (place / name).unlink()
    np.testing.assert_array_equal(cr.compile(slope)(x), wanted)
    assert len(builds) == 2


def test_entry_is_for_one_source_of_chainrule(builds, monkeypatch):
    cr.compile(slope)(np.ones(3))
    monkeypatch.setattr(kept, "source_digest", lambda loaded: "another")
    cr.compile(slope)(np.ones(3))
    assert len(builds) == 2


def test_nothing_is_kept_once_the_source_has_changed(builds, place, monkeypatch):
    x = np.ones(3)
    monkeypatch.setattr(backends, "_LOADED", 0.0)  # all files are younger
    twice(slope, x)
    assert len(builds) == 2 and not _entries(place)
    monkeypatch.setattr(kept, "source_digest", lambda loaded: "as it was")
    twice(slope, x)  # the source changed while the first one was built
    assert len(builds) == 4 and not _entries(place)


def test_source_that_changed_counts_where_it_is_imported(tmp_path, monkeypatch):
    loaded = time.time()
    assert not changed_among_imported(loaded)
    late = tmp_path / "late.py"
    late.write_text("")
    os.utime(late, (loaded + 5, loaded + 5))
    module = types.ModuleType("chainrule.late")
    monkeypatch.setitem(sys.modules, "chainrule.late", module)
    assert not changed_among_imported(loaded)  # made by nobody's source
    module.__file__ = str(late)
    assert changed_among_imported(loaded) and not changed_among_imported(loaded + 10)
    late.unlink()
    assert changed_among_imported(loaded)


def test_source_is_looked_at_once_for_each_time_that_it_is_loaded(tmp_path, monkeypatch):
    file, loaded, seen = tmp_path / "twice.py", time.time(), []
    file.write_text("")
    os.utime(file, (loaded - 5, loaded - 5))
    spec = importlib.util.spec_from_file_location("chainrule.twice", file)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "chainrule.twice", module)
    spec._initializing = True  # as while it is imported: what will be read is not known yet
    assert not changed_among_imported(loaded)
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda place: seen.append(str(place)) or real(place))
    spec._initializing = False
    assert not changed_among_imported(loaded) and seen == [str(file)]
    assert not changed_among_imported(loaded) and seen == [str(file)]
    os.utime(file, (loaded + 5, loaded + 5))
    assert not changed_among_imported(loaded)  # what runs was read before
    assert changed_among_imported(loaded - 10)  # but another time of loading is not answered yet
    module.__spec__ = importlib.util.spec_from_file_location("chainrule.twice", file)
    assert changed_among_imported(loaded)  # loaded again


def test_without_a_folder_nothing_is_kept(builds, monkeypatch):
    monkeypatch.setenv("CHAINRULE_CACHE", "")
    twice(slope, np.ones(3))
    assert len(builds) == 2


_PROCESS = """
import sys
import time
import types
import numpy as np
import chainrule as cr
from chainrule import backends
f = cr.compile(cr.grad(lambda x: np.sum(np.tanh(x @ x.T))))
g = cr.compile(lambda x: cr.checkpoint(lambda y: np.sin(y))(x))
print(f(np.ones((3, 3))).tobytes().hex(), g(np.ones(2)).tobytes().hex())
print(*sorted(m for m in sys.modules if m.startswith("chainrule.compiler")))
"""


def _process(place, seed: str) -> tuple[str, set[str]]:
    environment = {**os.environ, "CHAINRULE_CACHE": str(place), "PYTHONHASHSEED": seed}
    made = subprocess.run(
        [sys.executable, "-c", _PROCESS], env=environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    values, modules = made.stdout.splitlines()
    return values, set(modules.split())


def test_another_process_finds_it_and_loads_no_emitter(place):
    first, modules = _process(place, "1")
    assert "chainrule.compiler.emitters" in modules
    second, modules = _process(place, "2")
    assert second == first
    for name in ("building", "emitters", "region", "entry_code", "llvm.code"):
        assert f"chainrule.compiler.{name}" not in modules


# --- digests --------------------------------------------------------------------------------------


def program(f, *args):
    return trace_call(f, args, {}).program


def test_digest_counts_neither_names_nor_lines():
    x = np.ones(3)
    assert digest(program(lambda x: np.sin(x) * 2.0, x)) == digest(
        program(lambda other: np.sin(other) * 2.0, x)
    )


def test_digest_is_the_same_for_every_trace_of_a_checkpoint():
    def f(x):
        inner = cr.checkpoint(lambda y: np.sin(y) * np.exp(y))
        return cr.grad(lambda y: np.sum(inner(inner(y))))(x)

    x = np.ones(3)
    first, second = program(f, x), program(f, x)
    assert digest(first) is not None
    assert digest(first) == digest(second)


def test_digest_tells_numbers_that_are_written_alike_apart():
    x = np.ones(3)
    made = {digest(program(lambda x, c=c: x + c, x)) for c in (0.0, -0.0, 1.0, np.nan, -np.nan)}
    assert len(made) == 5


def test_program_with_an_object_of_the_users_has_no_digest():
    plain = program(lambda x: np.sin(x), np.ones(3))
    (equation,) = plain.equations
    changed = Equation(equation.op, equation.inputs, {"rule": np.sin}, equation.outputs)
    assert digest(plain) is not None
    assert digest(Program(plain.inputs, [changed], plain.outputs)) is None


def test_key_is_of_all_that_is_asked(place):
    plain = program(lambda x: x + 1.0, np.ones(2))
    asked = Request(plain, {}, None, None, False, loaded=time.time())
    changed = [
        asked, asked._replace(written={0: 0}), asked._replace(check="nan"),
        asked._replace(memory=1), asked._replace(stable=True), asked._replace(stage=1),
    ]  # fmt: skip
    assert len({kept.key_of(request) for request in changed}) == len(changed)


@pytest.mark.parametrize("processors", [1, 3])
def test_modules_are_compiled_by_as_many_threads_as_there_are_processors(processors, monkeypatch):
    """More would take turns, and each describes the processor to LLVM anew."""
    meeting, seen = threading.Barrier(processors), set()

    def compiled(text):
        seen.add(threading.get_ident())
        meeting.wait(timeout=60)
        return text[:1].encode()

    monkeypatch.setattr(building, "processors", lambda: processors)
    monkeypatch.setattr(building, "_object_code", compiled)
    texts = [letter * 10_000 for letter in "abc"]
    assert building._compiled(texts) == [b"a", b"b", b"c"]
    assert len(seen) == processors and threading.get_ident() not in seen
