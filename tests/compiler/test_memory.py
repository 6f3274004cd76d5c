"""What compiling leaves behind: neither cycles of garbage, nor what a program was built from."""

import gc

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler import building, native
from chainrule.compiler.llvm.reductions import emit_loop
from chainrule.compiler.region import Region
from chainrule.program.garbage import clear_free_lists
from chainrule.program.program import Equation
from chainrule.tracing import trace_call
from chainrule.transforms.simplify import simplify
from chainrule.transforms.stabilize import stabilize


def softplus_of_products(x):
    return np.sum(np.log(1.0 + np.exp(x @ x.T)) + np.tanh(x) ** 2 * 1.0)


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("CHAINRULE_CACHE", str(tmp_path / "kept"))


@pytest.fixture
def garbage():
    """Gives what the collector finds when it is asked, and nothing before."""
    was_enabled = gc.isenabled()
    gc.collect()
    gc.disable()

    def found() -> list:
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        gc.set_debug(0)
        made = list(gc.garbage)
        gc.garbage.clear()
        return made

    yield found
    if was_enabled:
        gc.enable()


@pytest.mark.parametrize("rewrite", [simplify, stabilize])
def test_rewriting_leaves_no_cycles_behind(rewrite, garbage):
    program = trace_call(softplus_of_products, (np.ones((3, 3)),), {}).program
    gc.collect()
    made = rewrite(program)
    assert len(made.equations) != len(program.equations)  # there was something to rewrite
    del made
    assert not [x for x in garbage() if isinstance(x, Equation)]


def test_what_a_program_is_built_from_is_gone_before_it_is_loaded(monkeypatch):
    """A few objects that stay, among those of a region, would keep the memory of it all."""
    regions = []
    loaded = native.Loaded

    def load(*codes):
        regions.append(sum(type(x) is Region for x in gc.get_objects()))
        return loaded(*codes)

    before = sum(type(x) is Region for x in gc.get_objects())
    monkeypatch.setattr(native, "Loaded", load)
    compiled = cr.compile(cr.grad(softplus_of_products))
    compiled(np.ones((2, 2)))
    assert regions == [before]
    kept = compiled.latest_trace().native._code
    assert kept.objects == () and kept.kernels == ()


def test_after_a_large_program_no_written_kernel_is_kept():
    cr.compile(softplus_of_products)(np.ones((2, 2)))
    assert emit_loop.cache_info().currsize
    building.forget(20_000)
    assert emit_loop.cache_info().currsize
    building.forget(1 << 20)
    assert not emit_loop.cache_info().currsize


def test_free_lists_are_cleared_by_a_collection_that_looks_at_nothing():
    gc.unfreeze()  # the tests, which conftest.py has frozen
    try:
        before = gc.get_stats()[2]["collections"]
        clear_free_lists()
        assert gc.get_stats()[2]["collections"] == before + 1
        assert gc.get_freeze_count() == 0
    finally:
        gc.freeze()


def test_objects_that_a_program_has_frozen_stay_so():
    gc.freeze()
    try:
        count = gc.get_freeze_count()
        clear_free_lists()
        assert gc.get_freeze_count() == pytest.approx(count, abs=50)
    finally:
        gc.unfreeze()
