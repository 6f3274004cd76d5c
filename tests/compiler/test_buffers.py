"""Which memory arrays get, where one kernel makes very many of them."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.compiler.steps import Group


def asked(monkeypatch, count):
    """How often kernels are asked whether arrays may share memory, for updates of so many."""
    asked = []
    may_share = Group.may_share

    def counting(group, out, source):
        asked.append(group)
        return may_share(group, out, source)

    monkeypatch.setattr(Group, "may_share", counting)

    @cr.compile
    def step(parameters, moments, slopes):
        for w, m, g in zip(parameters, moments, slopes, strict=True):
            m += 0.5 * (g - m)
            w -= 0.5 * m

    arrays = [[np.full((3, 4), float(i + k)) for i in range(count)] for k in (1, 2, 3)]
    step(*arrays)
    np.testing.assert_array_equal(arrays[1], [np.full((3, 4), i + 2.5) for i in range(count)])
    np.testing.assert_array_equal(arrays[0], [np.full((3, 4), i / 2 - 0.25) for i in range(count)])
    monkeypatch.undo()
    return len(asked)


def test_the_work_grows_with_the_number_of_arrays_not_with_its_square(monkeypatch):
    """A step of an optimizer over a hundred equal layers took minutes to compile."""
    few, many = asked(monkeypatch, 10), asked(monkeypatch, 40)
    assert many <= 4 * few + 10
    assert few == pytest.approx(20, abs=10)
