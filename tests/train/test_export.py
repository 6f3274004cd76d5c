"""ONNX files: onnxruntime gives what the model gives, for any number of rows."""

import numpy as np
import onnx
import pytest
import scipy.special

import chainrule as cr
from chainrule import errors, nn
from chainrule.train import export
from tests.nn.test_builders import SAMPLES


@pytest.mark.parametrize("name", SAMPLES)
def test_every_layer_is_exported_and_gives_the_same_for_any_number_of_rows(name, tmp_path):
    shape, make = SAMPLES[name]
    model, rng = make(), np.random.default_rng(0)
    for array in (*model.parameters(), *(a for _, a in model.named_state())):
        array += rng.uniform(0.0, 0.3, array.shape).astype(array.dtype)  # no zeros, no ones
    x = np.array([[1, 4], [0, 2]]) if shape is None else rng.normal(size=shape).astype("f")
    path = export.onnx(model, tmp_path / "model.onnx", x)
    assert export.check(path, model, x) < 1e-5


def test_the_file_names_its_weights_and_leaves_the_number_of_rows_open(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.Flatten(), nn.Linear(32, 2, rng=0))
    path = export.onnx(model, tmp_path / "model.onnx", np.zeros((1, 6, 6, 1), "f"))
    graph = onnx.load(path).graph
    names = {tensor.name for tensor in graph.initializer}
    assert {"layers[2].weight", "layers[2].bias", "layers[0].bias"} <= names
    dims = [d.dim_param or d.dim_value for d in graph.input[0].type.tensor_type.shape.dim]
    assert dims == ["rows", 6, 6, 1]
    out = graph.output[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in out] == ["rows", 2]


CASES = {
    "abs": np.abs, "arctan": np.arctan, "cbrt": np.cbrt, "clip": lambda x: np.clip(x, -1, 2),
    "cumsum": lambda x: np.cumsum(x, axis=1), "einsum": lambda x: np.einsum("ni,mi->nm", x, x),
    "erfc": scipy.special.erfc, "exp2": np.exp2, "expm1": np.expm1, "flip": lambda x: x[:, ::-1],
    "floor": np.floor, "hypot": lambda x: np.hypot(x, 2 * x), "isfinite": np.isfinite,
    "last": lambda x: x[:, -1], "log1p": lambda x: np.log1p(np.abs(x)),
    "log_softmax": lambda x: scipy.special.log_softmax(x, axis=1), "logaddexp": np.logaddexp,
    "logsumexp": lambda x: scipy.special.logsumexp(x, axis=1), "max": lambda x: x.max(axis=1),
    "not_equal": lambda x: x != 0, "pad": lambda x: np.pad(x, ((0, 0), (1, 2))),
    "power": lambda x: np.abs(x) ** 1.5, "prod": lambda x: x.prod(axis=1),
    "remainder": lambda x: x % 1.5, "rows": lambda x: x[1:] - x[:-1], "sinc": np.sinc,
    "softmax": lambda x: scipy.special.softmax(x.reshape(-1, 2, 3), axis=(1, 2)),
    "std": lambda x: x.std(axis=1), "stack": lambda x: np.stack([x, -x], axis=1),
    "tile": lambda x: np.tile(x[:, None, :], (1, 3, 1)), "trunc": np.trunc,
    "two": lambda x: (x + 1, x.sum(axis=1)), "where": lambda x: np.where(x > 0, x, 0.1 * x),
    "argmax": lambda x: np.argmax(x, axis=1), "any": lambda x: (x > 1).any(axis=1),
    "gather": lambda x: x[:, np.array([2, 0, 0])], "norm": lambda x: np.linalg.norm(x, axis=1),
    "cond": lambda x: cr.cond(x.max() > 100, lambda x: -x, lambda x: x + 1, x),
    "logit": lambda x: scipy.special.logit(scipy.special.expit(x)),
    "scan": lambda x: cr.scan(lambda c, a: (c + a, c * a), x[:, 0], x.T, reverse=True),
}  # fmt: skip
TWO = {"logaddexp": lambda x: np.logaddexp(x, 1.5 * x)}


@pytest.mark.parametrize("name", CASES)
def test_functions_of_numpy_code_are_exported(name, tmp_path):
    f = TWO.get(name, CASES[name])
    x = np.random.default_rng(1).normal(0, 2, (4, 6)).astype("f")
    path = export.onnx(f, tmp_path / "f.onnx", x)
    assert export.check(path, f, x) < 1e-5


def test_formulas_lose_no_digits_for_small_and_large_arguments(tmp_path):
    x = np.array([[1e-30, 1e-12, -1e-7, 1e-3, 30.0, 88.0]], "f")
    for f in (np.expm1, lambda x: np.log1p(np.abs(x)), lambda x: np.hypot(x, x)):
        path = export.onnx(f, tmp_path / "f.onnx", x)
        found = _run(path, x)
        np.testing.assert_allclose(found, f(x.astype("d")), rtol=3e-6)


def test_float64_models_are_exported(tmp_path):
    model = nn.MLP(3, (5,), 2, activation="tanh", dtype="d", rng=0)
    x = np.random.default_rng(0).normal(size=(4, 3))
    assert export.check(export.onnx(model, tmp_path / "m.onnx", x), model, x) < 1e-12


def test_what_onnx_has_not_is_refused_with_the_operation_and_its_line(tmp_path):
    with pytest.raises(errors.NotSupported, match=r"gamma has no form in ONNX.*test_export\.py:"):
        export.onnx(lambda x: scipy.special.gamma(x), tmp_path / "f.onnx", np.ones((2, 2), "f"))
    assert not list(tmp_path.iterdir())


def test_models_that_look_at_the_number_of_rows_or_at_values_are_refused(tmp_path):
    def by_rows(x):
        return x.sum(axis=0) / len(x)

    with pytest.raises(errors.NotSupported, match="for 5 rows than for 7"):
        export.onnx(by_rows, tmp_path / "f.onnx", np.ones((2, 2), "f"))
    with pytest.raises(errors.ConcreteValueNeeded):
        export.onnx(lambda x: x if x[0, 0] > 0 else -x, tmp_path / "f.onnx", np.ones((2, 2), "f"))


def test_other_outputs_are_told(tmp_path):
    model, x = nn.Linear(3, 2, rng=0), np.ones((2, 3), np.float32)
    path = export.onnx(model, tmp_path / "m.onnx", x)
    model.weight[0, 0] += 1e-3
    with pytest.raises(errors.FileDamaged, match="largest difference is"):
        export.check(path, model, x)


def _run(path, x):
    import onnxruntime

    return onnxruntime.InferenceSession(str(path)).run(None, {"input": x})[0]


def test_the_command_exports_the_model_of_a_run_and_compares(tmp_path, capsys):
    from chainrule import train
    from chainrule.cli import main

    train.save_model(nn.MLP(4, (3,), 2, rng=0), tmp_path / "model")
    line = ["export", str(tmp_path / "model"), "--output", str(tmp_path / "m.onnx")]
    assert main(line) == 2
    assert "--shape" in capsys.readouterr().err
    assert main([*line, "--shape", "4"]) == 0
    assert "between onnxruntime and the model" in capsys.readouterr().out
    assert (tmp_path / "m.onnx").exists()


@pytest.mark.parametrize("target", ["kind", "price"])
def test_a_table_goes_in_and_predictions_in_its_words_come_out(target, tmp_path):
    from chainrule import data

    rng = np.random.default_rng(0)
    colours = ["red", "blue", None, "green", "red"]
    table = data.Table.of({
        "size": [None if i == 3 else float(v) for i, v in enumerate(rng.normal(50, 9, 40))],
        "colour": [colours[i % 5] for i in range(40)],
        "new": [bool(i % 3) for i in range(40)],
        "kind": [["plain", "fine"][i % 2] for i in range(40)],
        "price": [float(v) for v in rng.normal(5, 2, 40)],
    })  # fmt: skip
    preparation = data.Preparation.fitted(table, target=target)
    outputs = 2 if target == "kind" else 1
    model = nn.MLP(*preparation.shape, (6,), outputs, rng=0)
    path = export.onnx(model, tmp_path / "table.onnx", preparation=preparation)
    given = export.tables.columns(preparation, table)
    if "colour" in given:
        given["colour"][0] = "a colour never seen"
    assert export.check_table(path, model, preparation, table) < 1e-5
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    unseen = [*table.column("colour").values]
    unseen[0] = "a colour never seen"
    other = data.Table.of({**{n: c.texts() if c.kind == "text" else c.values for n, c in
                              table.columns.items()}, "colour": unseen})  # fmt: skip
    scores = model(preparation.inputs(other))
    found = session.run(None, given)
    if target == "kind":
        labels = preparation.target_back(scores.argmax(axis=1))
        assert found[0].tolist() == labels.tolist()
        shares = scipy.special.softmax(scores.astype("d"), axis=1)
        np.testing.assert_allclose(found[1], shares, atol=1e-6)
    else:
        np.testing.assert_allclose(found[0], preparation.target_back(scores[:, 0]), rtol=1e-5)
