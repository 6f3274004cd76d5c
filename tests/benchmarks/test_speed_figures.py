"""What the benchmark makes of its measurements."""

import json

import numpy as np
import pytest

from benchmarks.speed import machine, memory, report
from benchmarks.speed.contender import OBJECTIVE, Contender, Workload, difference, flat, immediate
from benchmarks.speed.figures import Row
from benchmarks.speed.measure import Measurement, Plan, Process, Result
from benchmarks.speed.workloads import WORKLOADS

LIMITS = {
    "fma_float32": 1e11, "fma_float64": 5e10,
    "copy": {"L1": 1e11, "L2": 5e10, "L3": 2e10, "memory": 1e10},
}  # fmt: skip


def row(times: dict, **options) -> Row:
    """A row whose contenders took these seconds, of 1e9 flops and 1e3 bytes."""
    settings = {"flops": lambda sizes: 1e9, "traffic": lambda sizes: 1e3} | options
    workload = Workload("some", {}, lambda rng: None, {}, **settings)
    results = {name: Result(bursts=[time] * 3, minimum=time) for name, time in times.items()}
    return Row("some row", workload, {}, 1, results, LIMITS)


def test_the_ratio_is_between_the_best_forms():
    found = row({"chainrule": 0.04, "chainrule scan": 0.02, "jax": 0.05, "torch": 0.06})
    assert found.ours[0] == "chainrule scan" and found.peer[0] == "jax"
    assert found.ratio == pytest.approx(2.5)


def test_the_objective_is_no_contender():
    found = row({"chainrule": 0.04, OBJECTIVE: 0.01, "jax": 0.08}, objectives=3)
    assert found.ours[0] == "chainrule" and found.evaluations == pytest.approx(4.0)
    assert any("4.0 objectives, not 3" in text for text in found.missed())


def test_a_row_below_the_ratio_is_met_at_the_roofline():
    """1e9 flops at 1e11 a second take 0.01 s: 0.0115 s are 87 % of that, 0.0125 s are 80 %."""
    speeds = [
        [text for text in row({"chainrule": time, "torch": 0.013}).missed() if "roofline" in text]
        for time in (0.0115, 0.0125)
    ]
    assert speeds[0] == [] and speeds[1] == ["1.04x the best peer, not 1.5x; 80% of the roofline"]


def test_compile_times_are_measured_against_jaxs():
    found = row({"chainrule": 0.01, "jax": 0.03})
    found.results["jax"].first = 1.03
    found.results["chainrule"].first, found.results["chainrule"].first_cached = 0.61, 0.06
    assert found.missed() == ["compile time 0.60 of JAX's, not 0.5"]


def test_memory_counts_beyond_a_megabyte():
    found = row({"chainrule": 0.01, "torch": 0.03})
    found.results["torch"].memory = 5_000_000
    found.results["chainrule"].memory = 5_500_000
    assert found.missed() == []
    found.results["chainrule"].memory = 7_000_000
    assert found.missed() == ["peak memory 7.0 MB, not 5.0 MB"]


def test_bandwidth_rows_beyond_the_caches_are_held_to_the_copy():
    size = 1e10  # bytes: a second at the limit of memory
    options = {"figure": "bandwidth", "traffic": lambda sizes: size, "flops": lambda sizes: 0.0}
    assert row({"chainrule": 1.05, "numpy": 1.0}, **options).missed() == []
    assert row({"chainrule": 2.0, "numpy": 9.0}, **options).missed() == [
        "50% of the copy bandwidth, not 90%"
    ]


def test_a_row_that_did_not_run_says_why():
    found = row({"jax": 1.0})
    found.results["chainrule"] = Result(error="MemoryError: all of it")
    assert found.missed() == ["not run: MemoryError: all of it"]


def test_differences_are_counted_in_tolerances():
    workload = Workload("some", {}, lambda rng: None, {}, tolerance=1e-3, loose=1e-1)
    a, b = [np.array([1.0, 0.0]), np.ones(4)], [np.array([1.0, 1e-3]), 1.05 * np.ones(4)]
    assert difference(workload, a, a) == 0
    assert difference(workload, a, b) == pytest.approx(1.0, rel=1e-3)
    assert difference(workload, a, [a[0], 1.5 * a[1]]) > 3
    assert difference(workload, a, a[:1]) == float("inf")
    assert difference(workload, a, [a[0], np.nan * a[1]]) == float("inf")


def test_results_of_any_structure_are_flat_arrays():
    found = flat({"a": (1.0, [np.ones(2)]), "b": np.float32(3)})
    assert [x.tolist() for x in found] == [1.0, [1.0, 1.0], 3.0]


def test_a_level_is_the_smallest_that_holds_the_bytes():
    sizes = machine.caches()
    assert machine.level_of(1) == "L1" and machine.level_of(sizes["L3"] + 1) == "memory"
    assert sizes["L1"] < sizes["L2"] < sizes["L3"]


def test_the_larger_of_two_measurements_counts():
    new = {"a": 2.0, "copy": {"L1": 1.0}}
    assert machine.larger({}, new) == new
    assert machine.larger({"a": 1.0, "copy": {"L1": 3.0}}, new) == {"a": 2.0, "copy": {"L1": 3.0}}


def test_the_emitted_copy_copies_and_the_chains_are_chains():
    code = machine._Code()
    source, to = machine.aligned(4096), machine.aligned(4096)
    source[:] = np.random.default_rng(0).integers(0, 256, 4096)
    code.copy(to.ctypes.data, source.ctypes.data, 4096, 1)
    np.testing.assert_array_equal(to, source)
    place = machine.aligned(64).view(np.float32)
    place[:] = 1.0
    code.fma["float32"](place.ctypes.data, 2)  # 1 -> 2 -> 3, twelve times, and 1 + 1
    assert place[0] == 12 * 3 + 2


@pytest.mark.skipif(not memory._STATUS.exists(), reason="the mark cannot be reset here")
def test_memory_sees_an_array_that_is_gone():
    memory.reset()
    before = memory.resident()
    np.ones(4_000_000).sum()
    assert memory.peak() - before > 16_000_000


def test_a_worker_builds_times_and_weighs(tmp_path):
    process = Process("chainrule", 1, str(tmp_path))
    sizes = {"chain": "line", "size": 1000}
    values = str(tmp_path / "values.npz")
    built = process.ask(
        do="build", workload="elementwise", sizes=sizes, contender="chainrule", values=values
    )
    assert built["steps"] == 1 and built["first"] > 0
    inputs = WORKLOADS["elementwise"].inputs(np.random.default_rng(0), **sizes)
    expected = WORKLOADS["elementwise"].contenders["numpy"](inputs).check()
    with np.load(values) as file:
        assert difference(WORKLOADS["elementwise"], [file["arr_0"]], expected) <= 1
    assert all(0 < time < 1 for time in process.ask(do="burst", seconds=0.01)["times"])
    assert process.ask(do="memory")["peak"] >= 0
    assert (
        "KeyError"
        in process.ask(do="build", workload="none", sizes={}, contender="chainrule", values="")[
            "error"
        ]
    )
    process.close()


def test_contenders_that_compute_something_else_are_not_timed(tmp_path):
    """Two of three agree; the third gets an error, not a time."""
    workload = Workload("some", {}, lambda rng: None, {})
    measurement = Measurement(workload, {}, 1, Plan())

    class Closed:
        def close(self):
            pass

    for name, value in (("chainrule", 1.0), ("numpy", 1.0), ("torch", 1.1)):
        np.savez(tmp_path / f"{name}.npz", np.array([value]))
        measurement.results[name], measurement.processes[name] = Result(), Closed()
    measurement._compare(tmp_path)
    assert list(measurement.processes) == ["chainrule", "numpy"]
    assert "computes something else" in measurement.results["torch"].error


def test_the_page_and_the_json_have_every_row(tmp_path):
    rows = [row({"chainrule": 0.01, "jax": 0.05}), row({"chainrule": 0.1, "jax": 0.05})]
    report.write(rows, machine.describe(), {1: LIMITS}, "./bench", tmp_path)
    page = (tmp_path / "speed.md").read_text()
    assert "2 rows; geometric mean of the ratios 1.58; 1 below parity; 1 with" in page
    assert "- some row: 0.50x the best peer, not 1.5x; 10% of the roofline" in page
    found = json.loads((tmp_path / "speed.json").read_text())
    assert [r["ratio"] for r in found["rows"]] == pytest.approx([5.0, 0.5])
    assert found["rows"][0]["contenders"]["jax"]["median"] == 0.05


def test_a_plain_contender_is_called_and_checked():
    made = immediate(lambda x: (x, 2 * x), np.ones(2))
    assert isinstance(made, Contender) and made.steps == 1
    assert [x.tolist() for x in made.check()] == [[1.0, 1.0], [2.0, 2.0]]
