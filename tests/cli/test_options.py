"""The options of `fit`: from a file and from the line, and the plan that they make."""

import json

import numpy as np
import pytest

from chainrule import errors
from chainrule.cli.checking import check
from chainrule.cli.failures import Failed, Misused
from chainrule.cli.job import job_of
from chainrule.cli.models import KINDS, network, parsed
from chainrule.cli.options import Options, merged, options_in
from chainrule.cli.plan import plan, validation_share
from chainrule.train.recipe import recipe

TOML = """
data = "iris"
target = "species"
hidden = [16, 8]
batch-size = 8
step_size = 0.01
dropout = 0
batch_norm = false
ignore = ["sepal width (cm)"]
"""


def test_a_toml_file_says_options_of_every_type(tmp_path):
    path = tmp_path / "job.toml"
    path.write_text(TOML)
    source, options = options_in(path)
    assert source == "iris"
    assert options == {
        "target": ("species",), "hidden": "16,8", "batch_size": 8, "step_size": "0.01",
        "dropout": 0.0, "batch_norm": False, "ignore": ("sepal width (cm)",),
    }  # fmt: skip


def test_a_json_file_says_the_same(tmp_path):
    path = tmp_path / "job.json"
    path.write_text(json.dumps({"epochs": 3, "task": "regression"}))
    assert options_in(path) == (None, {"epochs": 3, "task": "regression"})


def test_the_line_wins_over_the_file():
    line = Options(epochs=3, dropout=0.0)
    assert merged(line, {"epochs": 9, "dropout": 0.5, "seed": 4}) == {
        "epochs": 3, "dropout": 0.0, "seed": 4,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epocs = 3", "there is no option epocs. Did you mean epochs?"),
        ('epochs = "three"', "epochs = 'three', expected a whole number"),
        ("epochs = true", "epochs = True, expected a whole number"),
        ("epochs = 2.5", "epochs = 2.5, expected a whole number"),
        ("dropout = true", "dropout = True, expected a number"),
        ('precision = "float8"', "expected one of float16, float32, float64"),
        ("target = 3", "target = 3, expected one or a list of text"),
        ("data = 3", "data = 3, expected the path or name"),
        ("epochs 3", "is not TOML"),
    ],
)
def test_a_file_with_a_mistake_is_named_with_it(tmp_path, text, message):
    path = tmp_path / "job.toml"
    path.write_text(text)
    with pytest.raises(Failed, match="job.toml") as raised:
        options_in(path)
    assert message in str(raised.value)


def test_sizes_of_layers_and_skips():
    assert parsed("hidden", "32") == [32] and parsed("filters", "8, 16") == [8, 16]
    assert parsed("hidden", "0") == [] and parsed("skips", "0-2, 1-3") == [[0, 2], [1, 3]]
    for wrong in ("a", "12,,3", "-3", "1.5", "12,0"):
        with pytest.raises(Misused, match="expected sizes"):
            parsed("hidden", wrong)
    for wrong in ("a", "1", "1-2-3", "1-"):
        with pytest.raises(Misused, match="expected pairs"):
            parsed("skips", wrong)


def test_a_model_refuses_options_that_it_does_not_take():
    with pytest.raises(Misused, match="--model linear takes no --hidden. It takes: --init"):
        network("linear", (4,), 3, 0, {"hidden": [3]})
    with pytest.raises(Misused, match="no model is called lstm. Known: mlp"):
        network("lstm", (4,), 3, 0, {})
    with pytest.raises(Misused, match="--model mlp: "):
        network("mlp", (4,), 3, 0, {"hidden": [3], "activation": "reluu"})


VECTORS = {
    "mlp": {"hidden": [4, 4], "skips": [[0, 1], [1, 2]], "input_clip": 3.0, "dropout": 0.1},
    "linear": {"init": "glorot"},
    "residual": {"hidden": [6], "depth": 6, "batch_norm": False, "activation": "tanh"},
    "dense": {"hidden": [4], "depth": 4, "growth": 2},
}
IMAGES = {"cnn": {"filters": [2], "hidden": [3]}, "resnet8": {}, "densenet40": {"dropout": 0.1}}


@pytest.mark.parametrize("kind", [*VECTORS, *IMAGES])
def test_each_kind_gives_scores_and_is_built_again_by_its_seed(kind):
    options = {**VECTORS, **IMAGES}[kind]
    for shape in [(16,), (8, 8, 1)] if kind in VECTORS else [(8, 8, 1)]:
        model = network(kind, shape, 3, 0, options)
        assert model(np.ones((2, *shape), np.float32)).shape == (2, 3)
        again = network(kind, shape, 3, 0, options)
        for one, other in zip(model.parameters(), again.parameters(), strict=True):
            np.testing.assert_array_equal(one, other)


def test_each_kind_says_what_it_is_and_takes_options_of_fit():
    assert set(VECTORS) | set(IMAGES) < set(KINDS)
    for kind in KINDS.values():
        assert kind.about and set(kind.takes) <= set(Options.__dataclass_fields__)


def test_a_network_of_images_needs_images():
    with pytest.raises(Misused, match=r"--model cnn: the shape of an image is \(H, W, C\)"):
        network("cnn", (16,), 3, 0, {})
    with pytest.raises(Misused, match="its layers are all of one size"):
        network("residual", (16,), 3, 0, {"hidden": [3, 4]})


@pytest.fixture(scope="module")
def iris():
    return job_of("iris", {"seed": 3}, 0.1)


def test_a_job_splits_by_class_and_fits_the_preparation_without_the_test(iris):
    assert {part: len(rows) for part, rows in iris.rows.items()} == {
        "training": 108, "test": 30, "validation": 12,
    }  # fmt: skip
    assert len(np.unique(np.concatenate(list(iris.rows.values())))) == 150
    assert np.bincount(iris.arrays("test").targets).tolist() == [10, 10, 10]
    seen = np.sort(np.concatenate([iris.rows["training"], iris.rows["validation"]]))
    inputs = iris.preparation.inputs(iris.table[seen])
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-6)


def test_a_job_is_a_function_of_its_options(iris):
    again = job_of("iris", {"seed": 3}, 0.1)
    other = job_of("iris", {"seed": 4}, 0.1)
    assert all(np.array_equal(iris.rows[part], again.rows[part]) for part in iris.rows)
    assert not np.array_equal(iris.rows["test"], other.rows["test"])
    assert iris.preparation.to_json() == again.preparation.to_json()


def test_groups_stay_together_and_times_are_split_by_order(tmp_path):
    path = tmp_path / "rows.csv"
    lines = [f"{i % 7},{i / 10},{i % 3 + i / 8},{i}" for i in range(60)]
    path.write_text("\n".join(["patient,x,y,day", *lines]))
    job = job_of(str(path), {"target": ("y",), "groups": "patient"}, None)
    patients = job.table["patient"]
    assert not set(patients[job.rows["test"]]) & set(patients[job.rows["training"]])
    assert job.preparation.columns == ["x", "day"]
    job = job_of(str(path), {"target": ("y",), "time": "day", "test": 0.25}, None)
    assert job.rows["test"].tolist() == list(range(45, 60))


def test_rare_classes_are_balanced_by_weights_or_by_frequencies(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x,k\n" + "".join(f"{i},{'a' if i % 4 else 'b'}\n" for i in range(80)))
    for balance, name in (("weights", "sample_weights"), ("batches", "frequencies")):
        job = job_of(str(path), {"target": ("k",), "balance": balance}, None)
        found, test = job.arrays("training"), job.arrays("test")
        weights = getattr(found, name)
        assert weights[found.targets == 0].sum() == pytest.approx(weights[found.targets == 1].sum())
        assert getattr(test, name) is None
    with pytest.raises(Misused, match="--balance is for classes"):
        job_of(str(path), {"target": ("x",), "balance": "weights"}, None)


def test_images_are_augmented_in_training_only(iris):
    job = job_of("digits", {"flip": True, "crop": 1, "seed": 5}, 0.1)
    assert job.arrays("training").augment.config() == {"flip": True, "crop": 1, "seed": 5}
    assert job.arrays("validation").augment is None and job.arrays("test").augment is None
    with pytest.raises(Misused, match="--flip and --crop are for images"):
        job_of("iris", {"crop": 1}, None)


def test_numbers_are_whitened_if_asked(iris):
    job = job_of("iris", {"scale": "zca", "test": 0}, None)
    covariance = np.cov(job.arrays("training").inputs, rowvar=False, bias=True)
    np.testing.assert_allclose(covariance, np.eye(4), atol=1e-4)


def test_rows_without_a_target_are_left_out_with_a_note(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + "".join(f"{i},{'' if i % 10 == 0 else i / 7}\n" for i in range(40)))
    job = job_of(str(path), {"target": ("y",)}, None)
    assert len(job.table) == 36
    assert "4 of 40 rows have no target and are left out" in job.notes


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, Misused, "say what to predict: --target COLUMN"),
        ({"target": ("z",)}, errors.DataError, "has no column 'z'"),
        ({"target": ("y",), "test": 1.0}, Misused, "--test is a share from 0 to below 1"),
        ({"target": ("y",), "groups": "z"}, errors.DataError, "has no column 'z'"),
    ],
)
def test_a_job_that_cannot_be_says_why(tmp_path, options, error, message):
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n" + "".join(f"{i},{i / 7}\n" for i in range(40)))
    with pytest.raises(error) as raised:
        job_of(str(path), options, None)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": ("name",)}, "40 different values in 40 rows: too many for classes"),
        ({"target": ("x",), "task": "classification"}, "too many for classes"),
        ({"target": ("k",), "groups": "k"}, "no row of the class"),
    ],
)
def test_classes_that_cannot_be_learned_are_refused(tmp_path, options, message):
    path = tmp_path / "rows.csv"
    path.write_text("name,x,k\n" + "".join(f"n{i},{i},{'abc'[i % 3]}\n" for i in range(40)))
    with pytest.raises(Failed, match=message):
        job_of(str(path), options, None)


def test_no_such_data_names_the_bundled_sets():
    with pytest.raises(Failed, match="neither a file or folder, nor a bundled data set") as raised:
        job_of("iriss", {}, None)
    assert "iris, " in str(raised.value)


def test_the_plan_is_the_recipe_where_options_say_nothing(iris):
    usual, found = recipe("classification", 108, 4, 3), plan(iris, {})
    assert found["model"] == {"kind": "mlp", **usual["model"]}
    assert found["fit"]["epochs"] == usual["fit"]["epochs"]
    assert found["fit"]["optimizer"]["decay"] == usual["fit"]["decay"]


def test_options_change_the_plan(iris):
    found = plan(iris, {"hidden": "7", "optimizer": "sgd", "l2": 0.5, "step_size": "range"})
    assert found["model"]["hidden"] == [7]
    assert found["fit"]["optimizer"] == {"name": "sgd", "l2": 0.5}
    assert found["fit"]["step_size"] == "range"
    # the recipe's step size suits its own optimizer, not another one
    assert plan(iris, {"optimizer": "sgd"})["fit"]["step_size"] is None


def test_full_batch_optimisation_leaves_out_what_it_cannot_have(iris):
    found = plan(iris, {"optimizer": "lbfgs"})
    assert found["model"]["dropout"] == 0 and found["model"]["batch_norm"] is False
    assert found["fit"]["schedule"] is None and found["fit"]["step_size"] is None


def test_patience_brings_a_validation_set_and_needs_one():
    assert validation_share({"patience": 3}) == 0.1 and validation_share({}) is None
    job = job_of("iris", {"validation": 0.0}, 0.1)
    with pytest.raises(Misused, match="--patience watches the validation"):
        plan(job, {"patience": 3})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adamm"}, "optimizer is an Optimizer or one of sgd"),
        ({"optimizer": "lbfgs", "l2": 0.1}, "optimizer 'lbfgs': .*l2"),
        ({"optimizer": "lbfgs", "schedule": "cosine"}, "optimizer 'lbfgs' takes no schedule"),
        ({"schedule": "cosinus"}, "schedule is one of constant"),
        ({"loss": "square"}, "loss is a function"),
        ({"step_size": "botou"}, "step_size is a positive number, 'bottou' or 'range'"),
        ({"epochs": 0}, "epochs is a whole number from 1"),
        ({"steps": 0}, "steps is a whole number from 1"),
        ({"model": "lstm"}, "no model is called lstm"),
        ({"model": "linear", "hidden": "3"}, "--model linear takes no --hidden"),
        ({"hidden": "a"}, "--hidden a: expected sizes"),
        ({"activation": "reluu"}, "--model mlp: .*reluu"),
        ({"init": "hee"}, "--model mlp: .*hee"),
        ({"dropout": 1.5}, "--model mlp: "),
        ({"test": 1.0}, "--test is a share from 0"),
        ({"validation": -0.1}, "--validation is a share from 0"),
        ({"type": ("zip",)}, "--type zip: expected COLUMN=KIND"),
        ({"date": ("day",)}, "--date day: expected COLUMN=FORM"),
        ({"target": ("y",), "groups": "y"}, "--groups y is what is to be predicted"),
        ({"target": ("y",), "time": "y"}, "--time y is what is to be predicted"),
    ],
)
def test_wrong_options_are_refused_before_any_data_are_read(options, message):
    with pytest.raises(Misused, match=message):
        check("no such file", options)


def test_the_target_of_a_bundled_set_is_no_group():
    with pytest.raises(Misused, match="--groups species is what is to be predicted"):
        check("iris", {"groups": "species"})


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "lbfgs"},
        {"optimizer": "sgd", "l2": 0.1, "step_size": "range", "schedule": "steps"},
        {"model": "cnn", "filters": "4,8", "dropout": 0.1},
        {"hidden": "none", "skips": "0-1", "steps": 10, "precision": "float16", "memory": "1MB"},
        {"target": ("y",), "groups": "patient", "delimiter": "tab", "validation": 0.0},
    ],
)
def test_right_options_pass(options):
    check("no such file", options)


def test_steps_stand_in_the_place_of_epochs(iris):
    found = plan(iris, {"steps": 70})["fit"]
    assert found["steps"] == 70 and found["epochs"] is None
    found = plan(iris, {"steps": 70, "epochs": 3})["fit"]
    assert found["steps"] == 70 and found["epochs"] == 3


def test_a_target_that_never_varies_is_said(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("x,y,z\n" + "".join(f"{i},2.5,{i / 7}\n" for i in range(40)))
    job = job_of(str(path), {"target": ("y", "z")}, None)
    assert [n for n in job.notes if "warning" in n] == [
        "warning: the target 'y' is 2.5 in every row to learn from: all that can be learned is "
        "this number. Look at --target, and at how the table is read."
    ]
    assert not any("warning" in n for n in job_of(str(path), {"target": ("z",)}, None).notes)


def test_dates_in_a_form_of_their_own_and_files_without_names(tmp_path):
    path = tmp_path / "days.txt"
    path.write_text("".join(f"{1 + i % 28:02}.{1 + i % 12:02}.2024  {i}.5\n" for i in range(40)))
    options = {"target": ("column 2",), "header": False, "date": ("column 1=%d.%m.%Y",)}
    job = job_of(str(path), options, None)
    assert job.table["column 1"][1] == np.datetime64("2024-02-02")
    assert "column 1: month" in job.preparation.names or any(
        "month" in name for name in job.preparation.names
    )
