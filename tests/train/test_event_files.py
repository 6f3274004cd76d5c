"""Event files against their specifications and TensorBoard's own reader."""

import logging
import math
import os

import numpy as np
import pytest

from chainrule.train import event_files
from chainrule.train.runs import Run

# RFC 3720, appendix B.4
CHECKS = {
    bytes(32): 0x8A9136AA,
    b"\xff" * 32: 0x62A8AB43,
    bytes(range(32)): 0x46DD794E,
    bytes(range(31, -1, -1)): 0x113FDB5C,
}


def read_back(folder):
    """{tag: [(step, value)]} as TensorBoard reads a folder of event files."""
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    logging.getLogger("tensorboard").setLevel(logging.ERROR)
    accumulator = accumulators.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    return {
        tag: [(event.step, event.value) for event in accumulator.Scalars(tag)]
        for tag in accumulator.Tags()["scalars"]
    }


@pytest.mark.parametrize("data", CHECKS)
def test_the_crc_is_castagnolis(data):
    assert event_files.crc32c(data) == CHECKS[data]


def test_tensorboard_reads_every_value(tmp_path):
    values = [0.5, -1e30, math.pi, math.inf, 1e300, 0.0, 2**40]
    content = event_files.beginning(1.0)
    for i, value in enumerate(values):
        content += event_files.scalars(2.0 + i, 3**i * 10**6, {"loss": value, "größe/b": -value})
    (tmp_path / "events.out.tfevents.1.x").write_bytes(content)
    found = read_back(tmp_path)
    with np.errstate(over="ignore"):
        expected = [float(np.float32(v)) for v in values]
    steps = [3**i * 10**6 for i in range(len(values))]
    assert found["loss"] == list(zip(steps, expected, strict=True))
    assert found["größe/b"] == [(s, -v) for s, v in found["loss"]]


def test_nan_is_a_value(tmp_path):
    content = event_files.beginning(1.0) + event_files.scalars(2.0, 1, {"loss": math.nan})
    (tmp_path / "events.out.tfevents.1.x").write_bytes(content)
    ((step, value),) = read_back(tmp_path)["loss"]
    assert step == 1 and math.isnan(value)


def test_a_run_that_is_resumed_has_each_step_once(tmp_path):
    with Run.create(tmp_path / "run", {}) as run:
        for step in range(1, 8):
            run.scalars(step, loss=1 / step)
    (path,) = (tmp_path / "run/tensorboard").iterdir()
    path.write_bytes(path.read_bytes()[:-5])  # killed in the middle of a record
    with Run.open(tmp_path / "run") as run:
        for step in range(5, 10):  # from the checkpoint of step 4
            run.scalars(step, loss=1 / step)
    assert len(os.listdir(tmp_path / "run/tensorboard")) == 1
    found = read_back(tmp_path / "run/tensorboard")["loss"]
    assert found == [(step, float(np.float32(1 / step))) for step in range(1, 10)]
    assert [line["step"] for line in run.metrics()] == list(range(1, 10))
