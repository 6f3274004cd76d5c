"""The table of right derivatives: asking, judging, counting, printing, and the command."""

import json
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from chainrule.lab.__main__ import main
from chainrule.lab.right_derivatives import libraries
from chainrule.lab.right_derivatives.asking import answers
from chainrule.lab.right_derivatives.case import CLASSES, DIRECTED, Case, Group
from chainrule.lab.right_derivatives.cases import cases
from chainrule.lab.right_derivatives.judge import verdict
from chainrule.lab.right_derivatives.report import as_json, markdown, text
from chainrule.lab.right_derivatives.run import Result, Row, run


@cache
def answered(group: str) -> Result:
    """What chainrule, in a process of its own, answers to a class of cases."""
    return run([group], names=["chainrule"])


def square(np, x):
    return np.sum(x * x)


def case(**given) -> Case:
    return Case("kinks", "square", square, ((np.array([1.0, 2.0]),),), **given)


def test_composed_cases_may_be_imported_before_those_that_they_are_made_of():
    code = "import {0}.composed as _, {0} as package; print(len(package.cases()))"
    command = [sys.executable, "-c", code.format(cases.__module__)]
    assert int(subprocess.run(command, capture_output=True, check=True).stdout) == len(cases())


def test_verdicts():
    right, truth = [np.array([2.0, 4.0])], [[np.array([2.0, 4.0])]]
    assert verdict(case(), [right], truth) == "right"
    assert verdict(case(), [[np.array([2.0, 4.0 + 1e-7])]], truth) == "wrong"
    assert verdict(case(), [[np.array([2.0, np.nan])]], truth) == "nan"
    assert verdict(case(), ["TypeError: no"], truth) == "refused"
    assert verdict(case(), None, truth) == "absent"
    assert verdict(case(), [[np.array([2.0])]], truth) == "wrong"  # another shape
    assert verdict(case(), [right, "E: no"], truth * 2) == "refused"
    assert verdict(case(), [[np.array([0.0, 4.0])], "E: no"], truth * 2) == "wrong"


def test_answers_of_every_ask():
    library = libraries.load("chainrule")
    x = np.array([1.0, 2.0])
    eye = np.eye(2)
    asked = {
        "grad": [2 * x],
        "value_and_grad": [5.0, 2 * x],
        "hessian": [2 * eye],
        "jacobian": [2 * x],
    }
    for ask, expected in asked.items():
        for found, true in zip(answers(library, case(ask=ask))[0], expected, strict=True):
            np.testing.assert_array_equal(found, true)
    for ask, along, true in [("jvp", x, 10.0), ("vjp", 3.0, 6 * x), ("hvp", x, 2 * x)]:
        np.testing.assert_array_equal(answers(library, case(ask=ask, along=along))[0][0], true)


def test_answers_by_compile_and_lanes():
    library = libraries.load("chainrule")
    points = ((np.array([1.0, 2.0]),), (np.array([3.0, 4.0]),))
    lanes = Case("kinks", "square", square, points, by="vmap")
    np.testing.assert_array_equal(answers(library, lanes)[0][0], [[2.0, 4.0], [6.0, 8.0]])
    compiled = answers(library, case(by="compile"))
    np.testing.assert_array_equal(compiled[0][0], [2.0, 4.0])


def test_an_error_is_an_answer():
    def fails(np, x):
        raise ValueError("no such thing")

    library = libraries.load("chainrule")
    assert answers(library, Case("kinks", "fails", fails, ((1.0,),))) == [
        "ValueError: no such thing"
    ]


def test_the_table_counts_and_marks_what_is_not_installed():
    rows = [
        Row(case(), [[np.array([2.0, 4.0])]], {"jax": [[[2.0, 4.0]]]}, {"jax": "right"}),
        Row(case(), [[np.array([2.0, 4.0])]], {"jax": [[[0.0, 4.0]]]}, {"jax": "wrong"}),
    ]
    table = markdown(Result(rows, {"jax": "0.10", "torch": None}), each=True)
    assert "| class | cases | JAX 0.10 | PyTorch (not installed) |" in table
    assert "| 2 | **1** (1 wrong) | – |" in table
    assert "| `square` | grad | [2, 4] | wrong: [0, 4] | – |" in table


def test_text_is_short():
    assert text([np.array(1.0), np.arange(10.0)]) == "1, [0, 1, 2, 3, 4, 5, 6, 7, ...]"


def test_names_are_unique_and_asks_are_known():
    group = Group("kinks", 0.0, "grad", [])
    group(at=1.0)(square)
    with pytest.raises(ValueError, match="two cases are named square"):
        group(at=1.0)(square)
    with pytest.raises(ValueError, match="ask is one of"):
        group("gradient", at=1.0)(square)
    with pytest.raises(ValueError, match="2 points with 1 answers"):
        group(points=[1.0, 2.0], expect=1.0)


def test_unknown_classes_are_refused():
    with pytest.raises(ValueError, match="the classes are kinks"):
        cases(["kink"])


def test_every_case_can_be_asked():
    for one in cases():
        assert one.group in CLASSES and one.points
        assert (one.along is not None) == (one.ask in DIRECTED), one.name


@pytest.mark.slow
@pytest.mark.parametrize("group", list(CLASSES))
def test_chainrule_answers_every_case(group):
    """Every answer is right."""
    result = answered(group)
    assert len(result.rows) == len(cases([group]))
    found = {row.case.name for row in result.rows if row.verdicts["chainrule"] != "right"}
    assert not found


def test_command(tmp_path, capsys):
    json_file, table_file = tmp_path / "out.json", tmp_path / "out.md"
    chosen = ["right-derivatives", "--class", "lipschitz", "--only", "chainrule", "--cases"]
    assert main([*chosen, "--json", str(json_file), "--markdown", str(table_file)]) == 0
    printed = capsys.readouterr().out
    assert printed == table_file.read_text()
    found = json.loads(json_file.read_text())
    assert found["versions"] == {"chainrule": "this one"}
    assert sum(found["classes"]["lipschitz"]["chainrule"].values()) == len(cases(["lipschitz"]))
    by_name = {row["case"]: row for row in found["cases"]}
    assert by_name["absolute_value"]["verdicts"]["chainrule"] == "right"
    assert found == json.loads(json.dumps(as_json(answered("lipschitz"))))


def test_earlier_answers_stand_beside_new_ones():
    rows = cases(["lipschitz"])
    earlier = {
        "versions": {"chainrule": "old", "torch": "2", "jax": None},
        "cases": [
            {
                "class": "lipschitz",
                "case": c.name,
                "answers": {"torch": [[[np.inf]]] * len(c.points)},
            }
            for c in rows
        ],
    }
    result = run(["lipschitz"], names=["chainrule"], earlier=earlier)
    assert result.versions == {"chainrule": "this one", "torch": "2", "jax": None}
    assert {row.verdicts["torch"] for row in result.rows} == {"wrong"}
    del earlier["cases"][0]
    with pytest.raises(ValueError, match=f"no earlier answer of torch to lipschitz/{rows[0].name}"):
        run(["lipschitz"], names=["chainrule"], earlier=earlier)


def test_command_refuses_an_unknown_class(capsys):
    assert main(["right-derivatives", "--class", "kink"]) == 2
    assert "the classes are" in capsys.readouterr().err
