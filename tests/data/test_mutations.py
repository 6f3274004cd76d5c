"""Damaged tables and preparations: refused by a clear error, or read; nothing else happens."""

import json
import random

import pytest

from benchmarks.training import mutated_tables
from benchmarks.training.mutations import changed
from chainrule import errors
from chainrule.data import Preparation, Table, load


def test_mutated_csv_files_are_refused_or_read():
    counts = mutated_tables.run(200, seed=1)
    assert counts["refused"] > 100
    assert counts["prepared"] > 10


def preparations():
    table, info = load("auto_mpg")
    yield Preparation.fitted(table, target=info["target"], scale="zca")
    columns = {"day": ["2024-01-01", "2024-02-02", None, "2025-03-03"], "flag": [True, None] * 2,
               "word": ["a", "b", "b", None], "y": ["u", "v"] * 2}  # fmt: skip
    table = Table.of(columns)
    yield Preparation.fitted(table, target="y")
    labels = {"x": [1.0, 2.0], "n": [0, 1], "t": ["no", "yes"]}
    yield Preparation.fitted(Table.of(labels), target=["n", "t"])
    yield Preparation.fitted(Table.of({"image": [[[1], [2]], [[3], [4]]], "y": [1, 2]}), target="y")


@pytest.mark.parametrize("number", range(4))
def test_mutated_preparations_are_refused_or_sound(number):
    stored = [*preparations()][number].to_json()
    refused = 0
    for seed in range(300):
        mutated = changed(stored, random.Random(f"{number} {seed}"))
        try:
            found = Preparation.from_json(mutated)
        except errors.FileDamaged as error:
            assert str(error).startswith("preparation")
            assert len(str(error)) < 1000
            refused += 1
        else:
            assert json.loads(json.dumps(found.to_json())) == mutated
            assert len(found.names) == len(found.sources)
    assert refused > 150


@pytest.mark.parametrize("change, words", [
    (lambda p: p.pop("scale"), "preparation.scale is None; needed is: an object with fields"),
    (lambda p: p.update(version=2), "preparation.version is 2; needed is: 1, the only one"),
    (lambda p: p.update(more=1), "preparation.more is 1; needed is: no such field"),
    (lambda p: p["scale"]["std"].append(1.0), "needed is: 1 entries"),
    (lambda p: p["scale"].update(std=[0.0]), "needed is: finite numbers above 0"),
    (lambda p: p["scale"].update(mean=[float("nan")]), "needed is: finite numbers"),
    (lambda p: p["columns"][0].update(kind="object"), "preparation.columns[0].kind is 'object'"),
    (lambda p: p["columns"][0].update(fill=None), "preparation.columns[0].fill is None"),
    (lambda p: p["columns"].append(p["columns"][0]), "names that differ"),
    (lambda p: p["target"].update(labels=["a", 1]), "preparation.target.labels"),
    (lambda p: p["target"].update(labels=["a", "a"]), "all different"),
    (lambda p: p["target"].update(labels=None), "classes, in a classification only"),
    (lambda p: p["target"].update(kind="date"), "number, boolean or text"),
    (lambda p: p["target"].update(mean=[1.0]), "needed is: 0 numbers"),
])  # fmt: skip
def test_what_does_not_fit_is_named_by_its_path(change, words):
    stored = Preparation.fitted(Table.of({"x": [1.0, 2.0], "y": ["a", "b"]}), target="y").to_json()
    change(stored)
    with pytest.raises(errors.FileDamaged) as caught:
        Preparation.from_json(stored)
    assert words in str(caught.value)


@pytest.mark.parametrize("change, words", [
    (lambda t: t.update(labels=None), "needed is: two values of one kind for each of the names"),
    (lambda t: t["labels"].pop(), "two values of one kind"),
    (lambda t: t["labels"][0].append(2), "two values of one kind"),
    (lambda t: t.update(labels=[[0, "a"], ["no", "yes"]]), "two values of one kind"),
    (lambda t: t.update(labels=[[1, 1], ["no", "yes"]]), "two values of one kind"),
    (lambda t: t.update(labels=[[0, [1]], ["no", "yes"]]), "two values of one kind"),
    (lambda t: t.update(kind="text"), "needed is: that of the first label"),
    (lambda t: t.update(std=[1.0]), "needed is: 0 numbers"),
])  # fmt: skip
def test_labels_that_do_not_fit_are_named_by_their_path(change, words):
    labels = {"x": [1.0, 2.0], "n": [0, 1], "t": ["no", "yes"]}
    stored = Preparation.fitted(Table.of(labels), target=["n", "t"]).to_json()
    change(stored["target"])
    with pytest.raises(errors.FileDamaged, match=r"^preparation\.target\.") as caught:
        Preparation.from_json(stored)
    assert words in str(caught.value)


def test_what_is_no_object_is_refused():
    for stored in (None, [], "x", 5, {1: 2}):
        with pytest.raises(errors.FileDamaged):
            Preparation.from_json(stored)


def test_a_number_that_no_float_holds_is_refused():
    stored = Preparation.fitted(Table.of({"x": [1.0, 2.0]}), target=None).to_json()
    for number in (10**400, 10**5000):
        stored["columns"][0]["fill"] = number
        with pytest.raises(errors.FileDamaged, match="needed is: a finite number"):
            Preparation.from_json(stored)
