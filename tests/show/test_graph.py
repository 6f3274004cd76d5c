"""Computation graphs: nodes, values, adjoints, groups, and the drawing."""

import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from tests.show import functions
from tests.show.functions import X, course, network, network_arguments, two_paths


def table(graph) -> dict:
    """Each node's title with its value and adjoint."""
    return {node.title: (node.value, node.adjoint) for node in graph.nodes}


def texts(svg: str) -> list[str]:
    return [e.text for e in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


# --- the course's two examples --------------------------------------------------------------------


def test_the_courses_function_is_five_compositions_with_values_and_adjoints():
    assert str(cr.graph(course, 0.5)).splitlines() == [
        "node               value   adjoint",
        "x                  0.5     -5.379",
        "a = -2.0 * x       -1      2.689",
        "b = exp(a)         0.3679  7.311",
        "c = 1.0 + b        1.368   7.311",
        "e = log(c)         0.3133  10",
        "result = 10.0 * e  3.133   1",
    ]


def test_an_inputs_adjoint_is_the_gradient():
    graph = cr.graph(course, 0.5)
    assert graph.nodes[0].adjoint == cr.grad(course)(0.5)
    assert graph.nodes[-1].value == course(0.5)


def test_adjoints_of_two_paths_add_up():
    graph = cr.graph(two_paths, 0.5, 2.0)
    found = table(graph)
    assert found["x1"] == (0.5, np.cos(0.5) + 2.0)
    assert found["x2"] == (2.0, 0.5)
    assert found["a = sin(x1)"] == (np.sin(0.5), 1.0)
    assert found["b = x1 * x2"] == (1.0, 1.0)
    assert [node.sources for node in graph.nodes] == [[], [], [0], [0, 1], [2, 3]]


def test_edges_between_numbers_show_local_derivatives():
    shown = texts(cr.graph(two_paths, 0.5, 2.0).svg())
    assert {"0.8776", "2", "0.5", "1"} <= set(shown)


def test_a_value_used_twice_by_one_node_has_one_edge_with_the_whole_derivative():
    graph = cr.graph(lambda x: x * x, 3.0)
    assert graph.nodes[1].sources == [0]
    assert texts(graph.svg()).count("6") == 2  # the adjoint, and the edge


# --- arrays, and results without adjoints ---------------------------------------------------------


def test_adjoints_of_arrays_are_gradients():
    arguments = network_arguments()
    graph = cr.graph(network, *arguments)
    _, pull = cr.vjp(network, *arguments, stabilize=False)  # as it is written
    gradient = pull(1.0)[0]
    found = table(graph)
    for name in ("w1", "b1", "w2"):
        assert np.array_equal(found[f'params["{name}"]'][1], gradient[name])
    assert any(node.name == "hidden" and "tanh" in node.expression for node in graph.nodes)


def test_arrays_show_shape_norm_and_range():
    shown = str(cr.graph(lambda x: np.sum(x * 2.0), np.arange(12.0).reshape(3, 4)))
    assert "3 x 4, norm 22.5, in [0, 11]" in shown


def test_broadcasting_is_no_node():
    titles = [n.title for n in cr.graph(lambda x, y: np.sum(x[:, None] * y), X, X).nodes]
    assert titles == ["x", "y", "a = x * y", "result = sum(a)"]


def test_a_result_that_is_no_number_has_values_but_no_adjoints():
    graph = cr.graph(lambda x: np.sin(x) * 2.0, X)
    assert not graph.has_adjoints
    assert all(node.adjoint is None for node in graph.nodes)
    assert "adjoint" not in graph.svg()


def test_integers_have_no_adjoint():
    graph = cr.graph(lambda x, n: np.sum(x[n]), X, np.array([0, 2]))
    found = {node.name: node.adjoint for node in graph.nodes}
    assert found["n"] is None and np.array_equal(found["x"], [1.0, 0.0, 1.0])


@pytest.mark.parametrize("f", [lambda x: x, lambda x: 3.0, lambda x: None], ids=["x", "3", "None"])
def test_a_function_without_operations_has_a_drawing(f):
    ET.fromstring(cr.graph(f, 2.0).svg())


@pytest.mark.parametrize("name", ["scan", "while", "cond", "random numbers", "training step"])
def test_control_flow_and_effects_are_drawn(name):
    f, *arguments = functions.CASES[name]
    graph = cr.graph(f, *arguments)
    ET.fromstring(graph.svg())
    assert len(graph.nodes) > 1


def test_the_graph_of_a_derivative_is_drawn():
    graph = cr.graph(cr.grad(course), 0.5)
    assert "grad" in graph.title or "gradient" in graph.title
    assert graph.nodes[-1].adjoint == 1.0


# --- groups ---------------------------------------------------------------------------------------


def layer(x, weights, offset):
    z = x @ weights + offset
    return np.maximum(z, 0.0)


def deep(params, x):
    for weights, offset in params:
        x = layer(x, weights, offset)
    return np.sum(x)


def deep_arguments(layers: int):
    rng = np.random.default_rng(1)
    params = [(rng.normal(size=(4, 4)), rng.normal(size=4)) for _ in range(layers)]
    return params, rng.normal(size=(3, 4))


def test_a_large_network_is_drawn_by_calls_of_functions():
    params, x = deep_arguments(25)
    graph = cr.graph(deep, params, x)
    names = [node.name for node in graph.nodes]
    assert [n for n in names if n.startswith("layer")][:3] == ["layer", "layer 2", "layer 3"]
    assert "params[7]" in names and len(names) < 60
    by_name = {node.name: node for node in graph.nodes}
    assert by_name["layer 3"].note.startswith("3 operations, lines ")
    assert by_name["params[7]"].note == "2 arrays, 20 numbers"


def test_a_groups_adjoint_is_that_of_its_result():
    params, x = deep_arguments(3)
    graph = cr.graph(deep, params, x, group="function")
    last = next(node for node in graph.nodes if node.name == "layer 3")
    assert np.array_equal(last.adjoint, np.ones((3, 4)))


def test_a_groups_gradient_norm_covers_its_parameters():
    params, x = deep_arguments(25)
    graph = cr.graph(deep, params, x)
    gradient = cr.grad(deep)(params, x)
    node = next(node for node in graph.nodes if node.name == "params[3]")
    assert np.array_equal(node.adjoint, np.concatenate([g.ravel() for g in gradient[3]]))


def test_group_none_draws_every_operation_and_line_draws_lines():
    params, x = deep_arguments(30)
    assert len(cr.graph(deep, params, x, group="none").nodes) > 90
    lines = cr.graph(deep, params, x, group="line")
    assert all(node.note for node in lines.nodes if node.sources)


def test_a_long_loop_stays_readable():
    graph = cr.graph(functions.running_product, np.linspace(0.1, 1.0, 300))
    assert len(graph.nodes) <= 65
    assert graph.nodes[0].adjoint == pytest.approx(
        cr.grad(functions.running_product)(np.linspace(0.1, 1.0, 300))
    )


def test_an_unknown_group_is_refused():
    with pytest.raises(ValueError, match='"auto", "none", "function" or "line", not "layer"'):
        cr.graph(course, 0.5, group="layer")


# --- drawing and saving ---------------------------------------------------------------------------


def test_the_drawing_is_well_formed_and_tells_what_each_colour_is():
    svg = cr.graph(lambda x, y: np.sum((x < y) * x), X, 2 * X).svg()
    shown = texts(svg)
    assert "value" in shown and "adjoint: the derivative of the result by the node" in shown
    assert any("x < y" in text for text in shown)


def test_everything_lies_inside_the_drawing():
    params, x = deep_arguments(4)
    for graph in (cr.graph(course, 0.5), cr.graph(deep, params, x)):
        root = ET.fromstring(graph.svg())
        width, height = float(root.get("width")), float(root.get("height"))
        for box in root.iter("{http://www.w3.org/2000/svg}rect"):
            assert 0 <= float(box.get("x", 0)) <= width - float(box.get("width"))
            assert 0 <= float(box.get("y", 0)) <= height - float(box.get("height"))


def test_a_notebook_shows_the_drawing():
    graph = cr.graph(course, 0.5)
    assert graph._repr_svg_() == graph.svg()


def test_save_writes_the_whole_file_or_nothing(tmp_path, monkeypatch):
    path = tmp_path / "graph.svg"
    graph = cr.graph(course, 0.5)
    graph.save(path)
    assert path.read_text() == graph.svg()
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk")))
    with pytest.raises(OSError, match="disk"):
        cr.graph(two_paths, 0.5, 2.0).save(path)
    assert path.read_text() == graph.svg() and os.listdir(tmp_path) == ["graph.svg"]


@pytest.mark.parametrize(("f", "arguments"), [(course, (0.5,)), (two_paths, (0.5, 2.0))])
def test_the_drawings_in_the_documentation_are_up_to_date(f, arguments):
    """To draw them again: `cr.graph(f, *arguments).save("docs/images/...")`."""
    path = Path(__file__).parents[2] / "docs" / "images" / f"{f.__name__}.svg"
    without_lines = [re.sub(r"\.py:\d+", ".py", t) for t in
                     (path.read_text(), cr.graph(f, *arguments).svg())]  # fmt: skip
    assert without_lines[0] == without_lines[1]
