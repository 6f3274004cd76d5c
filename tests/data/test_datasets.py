"""The bundled sets: what their table says is what is in them; an absent package is named."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris

from chainrule import errors
from chainrule.data import DATASETS, Preparation, Table, load, summary

loaded = cache(load)


@pytest.mark.parametrize("name", DATASETS)
def test_a_set_is_what_it_says_or_its_package_is_named(name):
    dataset = DATASETS[name]
    if not dataset.installed:
        with pytest.raises(errors.MissingExtra, match=f"pip install {dataset.distribution}"):
            load(name)
        return
    table, info = loaded(name)
    targets = [info["target"]] if isinstance(info["target"], str) else info["target"]
    assert len(table) == info["rows"]
    columns = table.without(targets).columns.values()
    assert sum(int(np.prod(c.values.shape[1:])) for c in columns) == info["columns"]
    preparation = Preparation.fitted(table, target=info["target"])
    assert preparation.task == info["task"]
    assert np.isfinite(preparation.inputs(table)).all()
    if info["shape"]:
        assert np.prod(info["shape"]) == info["columns"]
    json.dumps(info)


def test_scikit_learns_sets_are_scikit_learns():
    table, _ = load("iris")
    assert np.array_equal(table["petal width (cm)"], load_iris().data[:, 3])
    assert table["species"][[0, 50, 100]].tolist() == ["setosa", "versicolor", "virginica"]
    table, _ = load("digits")
    assert np.array_equal(table["image"], load_digits().data)
    assert np.array_equal(table["digit"], load_digits().target)


def test_the_digits_of_mnist_are_images():
    table, info = loaded("mnist_5k")
    assert (table["image"].min(), table["image"].max()) == (0, 255)
    assert np.bincount(table["digit"].astype(int)).tolist() == [500] * 10
    ink = table["image"].reshape(-1, *info["shape"]).mean(axis=(1, 2, 3))
    assert ink[table["digit"] == 1].mean() < ink[table["digit"] == 0].mean()


def test_names_that_are_none_are_refused_with_those_that_are(monkeypatch):
    with pytest.raises(errors.DataError) as caught:
        load("mnist")
    assert all(repr(name) in str(caught.value) for name in DATASETS)
    absent = replace(DATASETS["iris"], package="no_such_package")
    monkeypatch.setitem(DATASETS, "iris", absent)
    with pytest.raises(errors.MissingExtra, match="pip install no_such_package"):
        load("iris")


def test_a_summary_holds_the_figures_of_each_kind():
    table = Table.of({
        "n": [1.0, np.nan, 3.0, np.inf], "b": [True, False, None, True], "w": ["x", "y", "y", None],
        "d": np.array(["2024-01-01", "2023-01-01", "NaT", "2024-01-02"], "datetime64[D]"),
        "a": np.zeros((4, 2, 3), np.uint8), "e": [None] * 4, "huge": [1e308, 1e308, -1e308, 0.0],
    })  # fmt: skip
    found = {row.pop("name"): row for row in summary(table)}
    assert found["n"] == {
        "kind": "number", "missing": 1, "least": 1.0, "mean": 2.0, "std": 1.0, "greatest": 3.0,
    }  # fmt: skip
    assert found["b"] == {"kind": "boolean", "missing": 1, "true": 2 / 3}
    assert found["w"]["frequent"] == [["y", 2], ["x", 1]]
    assert found["d"]["first"][:10] + found["d"]["last"][:10] == "2023-01-012024-01-02"
    assert found["a"] == {"kind": "array", "missing": 0, "shape": [2, 3, 1], "dtype": "uint8"}
    assert found["e"]["missing"] == 4
    assert found["huge"]["std"] is None
    json.dumps(found, allow_nan=False)
