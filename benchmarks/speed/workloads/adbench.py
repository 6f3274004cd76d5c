"""ADBench's own inputs, where they are; each workload generates the same kind where they are not.

Šrajer, Kukelova & Fitzgibbon, "A benchmark of selected algorithmic differentiation tools on some
problems in computer vision and machine learning", 2018 (github.com/microsoft/ADBench). The files
are looked for in the folder that $CHAINRULE_ADBENCH names, `../shared/adbench` by default.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from benchmarks.speed.measure import ROOT

FOLDER = Path(os.environ.get("CHAINRULE_ADBENCH", ROOT.parent / "shared" / "adbench"))


def numbers(name: str) -> Numbers | None:
    """The numbers of a file, in order; None where there is no such file."""
    path = FOLDER / name
    return Numbers(np.array(path.read_text().split(), float)) if path.exists() else None


class Numbers:
    """Numbers taken off the front, in the shapes asked for."""

    def __init__(self, values: np.ndarray):
        self.values = values

    def take(self, *shape: int) -> np.ndarray:
        count = int(np.prod(shape))
        taken, self.values = self.values[:count], self.values[count:]
        return taken.reshape(shape)

    def rest(self, *shape: int) -> np.ndarray:
        return self.values.reshape(shape)
