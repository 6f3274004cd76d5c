"""`chainrule source`, `graph` and `lab`, and the rules that all commands share."""

import json

import numpy as np
import pytest

from chainrule.cli import main

MODEL = """
import numpy as np


def course(x):
    return 10 * np.log(1 + np.exp(-2 * x))


def loss(w, x, y):
    return np.mean((x @ w - y) ** 2)


def halves(parts, rate):
    return rate * (parts["a"].sum() + parts["b"][1])


def fails(x):
    if x > 0:
        raise ValueError("x must not be positive")
    return x


number = 3
"""


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return path


def code(text: str) -> dict:
    names: dict = {}
    exec(text, names)
    return names


def test_source_prints_a_gradient_that_runs_by_itself(model, capsys):
    assert main(["source", f"{model}:course", "0.5"]) == 0
    slope = code(capsys.readouterr().out)["grad_course"](0.5)
    assert slope == pytest.approx(-20 * np.exp(-1) / (1 + np.exp(-1)), rel=1e-15)


def test_the_argument_that_the_derivative_is_by_may_be_named(model, capsys):
    assert main(["source", f"{model}:course", "x=0.5"]) == 0
    named = capsys.readouterr().out
    assert main(["source", f"{model}:course", "0.5"]) == 0
    assert capsys.readouterr().out == named


def test_source_by_two_arguments_named_and_numbered(model, capsys):
    texts = ["f64[3]", "f64[4,3]", "y=f64[4]", "--by", "w", "--by", "1"]
    assert main(["source", f"{model}:loss", *texts]) == 0
    w, x, y = np.ones(3), np.arange(12.0).reshape(4, 3), np.zeros(4)
    by_w, by_x = code(capsys.readouterr().out)["grad_loss"](w, x, y)
    residual = (x @ w - y) / 2
    np.testing.assert_allclose(by_w, x.T @ residual)
    np.testing.assert_allclose(by_x, np.outer(residual, w))


def test_source_takes_negative_numbers_and_prints_the_function_itself(model, capsys):
    assert main(["source", f"{model}:course", "-0.5", "--derivative", "none"]) == 0
    assert code(capsys.readouterr().out)["course"](0.0) == pytest.approx(10 * np.log(2))


def test_source_takes_containers_and_files(model, tmp_path, capsys):
    np.save(tmp_path / "rate.npy", np.float64(2.0))
    parts = "{'a': [1.0, 2.0], 'b': (0.5, 1.5)}"
    assert main(["source", f"{model}:halves", parts, f"@{tmp_path / 'rate.npy'}"]) == 0
    assert "def grad_halves" in capsys.readouterr().out


def test_source_writes_a_file(model, tmp_path, capsys):
    target = tmp_path / "slope.py"
    assert main(["source", f"{model}:course", "0.5", "--output", str(target)]) == 0
    assert capsys.readouterr().out == "" and "def grad_course" in target.read_text()


def test_source_imports_a_file_beside_the_one_given(model, capsys):
    (model.parent / "other.py").write_text("from model import course\n")
    assert main(["source", f"{model.parent / 'other.py'}:course", "0.5"]) == 0
    assert "def grad_course" in capsys.readouterr().out


def test_graph_prints_values_and_adjoints(model, capsys):
    assert main(["graph", f"{model}:course", "0.5"]) == 0
    assert "result = 10.0 * e  3.133   1" in capsys.readouterr().out


def test_graph_as_json_and_as_a_drawing(model, tmp_path, capsys):
    drawing = tmp_path / "course.svg"
    arguments = ["graph", f"{model}:course", "0.5", "--json", "--output", str(drawing)]
    assert main(arguments) == 0
    nodes = {n["name"]: n for n in json.loads(capsys.readouterr().out)["nodes"]}
    assert nodes["x"]["adjoint"] == pytest.approx(-20 * np.exp(-1) / (1 + np.exp(-1)))
    assert nodes["b"]["reads"] == ["a"] and drawing.read_text().startswith("<svg")


def test_lab_passes_its_arguments_on(capsys):
    assert main(["lab", "--help"]) == 0
    assert "right-derivatives" in capsys.readouterr().out
    assert main(["lab", "no-such-experiment"]) == 2


def test_info_of_the_installation(capsys):
    assert main(["info", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["libraries"]["numpy"] == np.__version__ and "pytest" not in facts["libraries"]
    assert main(["info"]) == 0
    assert np.__version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["sorce"], 2, 'Did you mean "source"?'),
        (["source", "MODEL:course", "1.0", "--derivative", "foo"], 2, "Choose from"),
        (["source", "MODEL", "1.0"], 2, "expected FILE:FUNCTION"),
        (["source", "MODEL:course"], 2, "missing a required argument: 'x'"),
        (["source", "MODEL:course", "1.0", "2.0"], 2, "too many positional arguments"),
        (["source", "MODEL:course", "x=1.0", "2.0"], 2, "stands after a named argument"),
        (["source", "MODEL:course", "x y"], 2, "'x y' is no argument"),
        (["source", "MODEL:course", "1.0", "--by", "z"], 2, "has no argument z. It has: x."),
        (["source", "MODEL:course", "3"], 1, "Pass a float"),
        (["source", "MODEL:nothing", "3"], 1, "It has: course, loss, halves, fails."),
        (["source", "MODEL:number", "3"], 1, "is a int, not a function"),
        (["source", "MODEL:fails", "1.0"], 1, "model.py:19 raised ValueError: x must not be"),
        (["source", "MODEL:course", "@no.npy"], 1, "no.npy: No such file"),
        (["source", "no.py:course", "3"], 1, "no.py: no such file"),
        (["graph", "MODEL:course", "1.0", "--output", "/no/such/folder/a.svg"], 1, "No such file"),
    ],
)
def test_mistakes_end_with_a_message_and_the_exit_code(
    model, arguments, exit_code, message, capsys
):
    given = [one.replace("MODEL", str(model)) for one in arguments]
    assert main(given) == exit_code
    out, err = capsys.readouterr()
    assert message in err and out == "" and "Traceback" not in err


def test_debug_shows_the_traceback_of_a_mistake(model, capsys):
    assert main(["source", f"{model}:fails", "1.0", "--debug"]) == 1
    assert 'raise ValueError("x must not be positive")' in capsys.readouterr().err


def test_a_file_that_is_not_python_is_named_with_its_line(model, capsys):
    model.write_text("x = 1\ndef f(:\n")
    assert main(["source", f"{model}:f", "1.0"]) == 1
    assert "model.py:2 is not Python" in capsys.readouterr().err


def test_an_interrupted_command_ends_with_130(model, capsys):
    model.write_text("raise KeyboardInterrupt")
    assert main(["source", f"{model}:f", "1.0"]) == 130
    assert capsys.readouterr().err == "chainrule: interrupted\n"


def test_help_names_every_command(capsys):
    from chainrule.cli.commands import COMMANDS

    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(name in told and command.help in told for name, command in COMMANDS.items())


@pytest.mark.parametrize("name", ["source", "graph", "info"])
def test_each_command_explains_itself(name, capsys):
    assert main([name, "--help"]) == 0
    assert f"Usage: chainrule {name}" in capsys.readouterr().out


def test_a_drawing_that_cannot_be_written_names_its_own_path(model, tmp_path, capsys):
    target = tmp_path / "none" / "x.svg"
    assert main(["graph", f"{model}:course", "1.0", "--output", str(target)]) == 1
    said = capsys.readouterr().err
    assert f"{target} could not be written" in said and ".part" not in said


def test_a_whole_number_is_refused_in_the_users_words(model, capsys):
    assert main(["source", f"{model}:course", "3"]) == 1
    said = capsys.readouterr().err
    assert "argument 0 of course is of dtype int64, which has no derivative" in said
