"""Definitions cut from chainrule's files: complete, without annotations, each name once."""

import ast

import numpy as np
import pytest

from chainrule.program.op import REGISTRY
from chainrule.show.definitions import Definitions, is_plain_lambda


def text_of(definitions: Definitions) -> str:
    return "\n\n".join([*sorted(definitions.imports), *definitions.blocks])


def test_a_function_is_taken_with_all_that_it_uses():
    definitions = Definitions(set())
    name = definitions.take("chainrule.ops.samplers", "normal_from_bits")
    namespace: dict = {}
    exec(text_of(definitions), namespace)
    bits = np.random.default_rng(1).integers(0, 2**64, 50, np.uint64)
    from chainrule.ops.samplers import normal_from_bits

    assert np.array_equal(namespace[name](bits), normal_from_bits(bits))


def test_annotations_and_chainrules_errors_are_left_behind():
    definitions = Definitions(set())
    definitions.take("chainrule.ops.random", "transformed_bits")
    definitions.take("chainrule.ops.linalg", "_solve")
    text = text_of(definitions)
    assert "errors." not in text and "chainrule" not in text
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.returns is None
            assert all(a.annotation is None for a in node.args.args + node.args.kwonlyargs)


def test_private_names_lose_their_underscore_where_nothing_else_has_the_name():
    definitions = Definitions({"solve"})
    assert definitions.take("chainrule.ops.linalg", "_solve") == "_solve"
    assert definitions.take("chainrule.ops.linalg", "_inverse") == "inverse"


def test_functions_of_one_name_from_two_modules_are_told_apart():
    definitions = Definitions(set())
    first = definitions.take("chainrule.ops.special.gamma_functions", "scipy_special")
    assert first == "scipy_special"
    one = definitions.take("chainrule.ops.samplers_elementary", "log")
    definitions.names["exp"] = "something else"
    other = definitions.take("chainrule.ops.samplers_elementary", "exp")
    assert one == "log" and other != "exp"


def test_a_definition_given_as_text_is_entered_once_and_renamed_beside_another():
    definitions = Definitions({"scale"})
    assert definitions.written("scale", "def scale(x):\n    return x") == "scale_"
    assert definitions.written("scale", "def scale(x):\n    return x") == "scale_"
    assert definitions.blocks == ["def scale_(x):\n    return x"]


@pytest.mark.parametrize("name", ["sort", "iota", "argmax"])
def test_a_lambda_becomes_a_function(name):
    value = REGISTRY[name].evaluate
    assert is_plain_lambda(value)
    definitions = Definitions(set())
    definitions.lambda_(name, value)
    assert definitions.blocks[0].startswith(f"def {name}(")
    ast.parse(definitions.blocks[0])
