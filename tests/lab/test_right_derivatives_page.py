"""The page of right derivatives: its computed parts, and that they are of the present cases."""

from pathlib import Path

import numpy as np
import pytest

from chainrule.lab.right_derivatives.case import CLASSES
from chainrule.lab.right_derivatives.cases import cases
from chainrule.lab.right_derivatives.page import END, EXAMPLES, begin, examples, put_into, source
from chainrule.lab.right_derivatives.run import Result, Row

PAGE = Path(__file__).parents[2] / "docs" / "right-derivatives.md"


def named(group, name):
    return next(case for case in cases([group]) if case.name == name)


def result_of(case):
    truth = [[np.array(1.0)]]
    answers = {"chainrule": [[1.0]], "torch": [[0.0]], "jax": None, "autograd": ["Error: no"]}
    verdicts = {"chainrule": "right", "torch": "wrong", "jax": "absent", "autograd": "refused"}
    versions = {
        "chainrule": "this one",
        "torch": "2",
        "jax": "1",
        "autograd": "1",
        "pytensor": None,
    }
    return Result([Row(case, truth, answers, verdicts)], versions)


def test_an_example_is_the_source_with_every_answer(monkeypatch):
    case = named("kinks", "ramp_of_x_less_ramp_of_minus_x")
    monkeypatch.setitem(EXAMPLES, "kinks", (case.name,))
    found = examples(result_of(case), "kinks")
    assert found.startswith(
        "```python\ndef ramp_of_x_less_ramp_of_minus_x(np, x):\n    return ramp("
    )
    assert "The gradient at 0.0:" in found
    assert "| truth | chainrule | PyTorch | JAX | HIPS autograd |" in found
    assert "| 1 | 1 | **0** | – | refused |" in found


def test_a_page_without_markers_is_refused(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("no markers")
    with pytest.raises(ValueError, match="the page has no line"):
        put_into(page, result_of(named("kinks", "elu")))
    assert page.read_text() == "no markers"


def test_every_example_is_a_case():
    assert list(EXAMPLES) == list(CLASSES)
    for group, names in EXAMPLES.items():
        for name in names:
            assert source(named(group, name)).startswith("def ")


def test_the_page_counts_the_present_cases():
    text = PAGE.read_text()
    for group, words in CLASSES.items():
        line = next(line for line in text.split("\n") if line.startswith(f"| {words} |"))
        assert f"| {words} | {len(cases([group]))} |" in line, "run the command with --page again"
        assert begin(f"examples of {group}") in text and END in text
