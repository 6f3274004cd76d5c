"""Every NumPy function of the table, compiled: the second call runs the program of the first."""

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule import backends, errors
from tests.numpy.against_numpy import assert_same, copies
from tests.numpy.samples import all_rows

for _file in sorted(Path(__file__).parent.glob("samples_*.py")):
    import_module(f"tests.numpy.{_file.stem}")  # each fills the table

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

ACCEPTED = [row for row in all_rows() if not row.refused]


@pytest.mark.parametrize("row", ACCEPTED, ids=lambda row: row.id)
def test_a_compiled_function_does_what_numpy_does(row, monkeypatch):
    monkeypatch.setattr(backends, "chosen", "evaluator")
    f = cr.compile(row.f)
    for _ in range(2):
        plain, mine = copies(row.args), copies(row.args)
        with np.errstate(all="ignore"):
            wanted = row.f(*plain)
        try:
            found = f(*mine)
        except errors.ConcreteValueNeeded:
            assert_same(list(mine), list(copies(row.args)), exact=False)
            pytest.skip("the shape or the dtype of its result depends on values")
        assert_same(found, wanted, exact=False)
        assert_same(list(mine), list(plain), exact=False)
