"""Preparations: scikit-learn and NumPy by hand as judges, JSON exact both ways, errors by name."""

import json

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from chainrule import errors
from chainrule.data import Preparation, Table, load, read
from chainrule.data.encodings import date_parts

RNG = np.random.default_rng(0)
MIXED = RNG.normal(size=(200, 3)) @ np.array([[1.0, 2, 0], [0, 100, 3], [0, 0, 0.01]]) + 5
NUMBERS = Table.of({"a": MIXED[:, 0], "b": MIXED[:, 1], "c": MIXED[:, 2]})


def fitted(columns, **options) -> Preparation:
    return Preparation.fitted(Table.of(columns), **{"target": None} | options)


def raised(call) -> str:
    with pytest.raises(errors.DataError) as caught:
        call()
    return str(caught.value)


# --- scaling -------------------------------------------------------------------------------------


def test_numbers_are_standardised_as_scikit_learn_does():
    table, info = load("breast_cancer")
    preparation = Preparation.fitted(table, target=info["target"])
    raw = np.stack([table[name] for name in preparation.columns], axis=1)
    found = preparation.inputs(table)
    assert (found.dtype, found.flags.c_contiguous) == (np.float32, True)
    np.testing.assert_allclose(found, StandardScaler().fit_transform(raw), rtol=1e-5, atol=1e-6)


def test_centring_takes_the_mean_away_and_none_nothing():
    centred = Preparation.fitted(NUMBERS, target=None, scale="center").inputs(NUMBERS)
    np.testing.assert_allclose(centred, MIXED - MIXED.mean(axis=0), rtol=1e-5, atol=1e-5)
    plain = Preparation.fitted(NUMBERS, target=None, scale="none").inputs(NUMBERS)
    assert np.array_equal(plain, MIXED.astype(np.float32))


def test_pca_whitening_is_scikit_learns_up_to_signs():
    found = Preparation.fitted(NUMBERS, target=None, scale="pca").inputs(NUMBERS)
    wanted = PCA(whiten=True).fit_transform(StandardScaler().fit_transform(MIXED))
    wanted *= np.sqrt(200 / 199)  # ours divides by N, theirs by N - 1
    wanted *= np.sign((found * wanted).sum(axis=0))
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_zca_whitening_is_the_symmetric_root_of_the_inverse_correlations():
    found = Preparation.fitted(NUMBERS, target=None, scale="zca").inputs(NUMBERS)
    scaled = StandardScaler().fit_transform(MIXED)
    sizes, axes = np.linalg.eigh(np.corrcoef(MIXED.T))
    wanted = scaled @ axes @ np.diag(sizes**-0.5) @ axes.T
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.cov(found.T, bias=True), np.eye(3), atol=1e-4)


def test_directions_without_variation_are_left_out_by_pca_and_not_stretched_by_zca():
    columns = {"a": MIXED[:, 0], "twice": 2 * MIXED[:, 0], "c": MIXED[:, 2]}
    table = Table.of(columns)
    pca = Preparation.fitted(table, target=None, scale="pca")
    assert pca.inputs(table).shape == (200, 2)
    assert pca.names == ["component 1", "component 2"]
    zca = Preparation.fitted(table, target=None, scale="zca").inputs(table)
    assert np.abs(zca).max() < 10


def test_huge_and_tiny_numbers_do_not_overflow():
    table = Table.of({"huge": [1e308, -1e308, 0.0], "tiny": [1e-300, 2e-300, 3e-300]})
    found = Preparation.fitted(table, target=None).inputs(table)
    np.testing.assert_allclose(found.T, [[1.2247449, -1.2247449, 0], [-1.2247449, 0, 1.2247449]],
                               atol=1e-6)  # fmt: skip
    preparation = Preparation.fitted(table.without(["huge"]), target=None)
    far = preparation.inputs(Table.of({"tiny": [1e300]}))
    assert np.isfinite(far).all()


def test_a_method_that_is_none_is_refused():
    words = raised(lambda: Preparation.fitted(NUMBERS, target=None, scale="standard"))
    assert "scale is one of none, center, standardize, pca, zca, got 'standard'" in words


# --- columns -------------------------------------------------------------------------------------


def test_missing_numbers_are_the_median_and_marked():
    table = Table.of({"n": [1.0, np.nan, 3.0, 8.0]})
    preparation = Preparation.fitted(table, target=None, scale="none")
    assert preparation.names == ["n", "n is missing"]
    assert preparation.inputs(table).tolist() == [[1, 0], [3, 1], [3, 0], [8, 0]]
    other = Preparation.fitted(Table.of({"n": [1.0, 3.0, 8.0]}), target=None, scale="none")
    assert other.inputs(table).tolist() == [[1], [3], [3], [8]]


def test_booleans_are_0_and_1_and_their_mean_where_missing():
    table = Table.of({"b": [True, False, True, None]})
    found = Preparation.fitted(table, target=None, scale="none").inputs(table)
    np.testing.assert_allclose(found, [[1, 0], [0, 0], [1, 0], [2 / 3, 1]], rtol=1e-6)


def test_categories_are_scikit_learns_one_hot_columns():
    words = RNG.choice(["red", "green", "blue"], 50)
    table = Table.of({"colour": words})
    found = Preparation.fitted(table, target=None).inputs(table)
    wanted = OneHotEncoder(sparse_output=False).fit_transform(words[:, None])
    assert np.array_equal(found, wanted)


def test_rare_and_unseen_categories_are_other():
    table = Table.of({"w": ["a"] * 5 + ["b"] * 3 + ["c", "d"]})
    preparation = Preparation.fitted(table, target=None, rare=2)
    assert preparation.names == ["w=a", "w=b", "w is another"]
    found = preparation.inputs(Table.of({"w": ["d", "b", "new", None]}))
    assert found.tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
    few = Preparation.fitted(table, target=None, levels=1)
    assert few.names == ["w=a", "w is another"]


def test_unseen_categories_are_none_of_them_where_none_was_rare():
    preparation = fitted({"w": ["a", "b"] * 3})
    assert preparation.inputs(Table.of({"w": ["new", "a"]})).tolist() == [[0, 0], [1, 0]]


def test_categories_that_are_all_rare_have_columns_of_their_own():
    assert fitted({"w": ["a", "b", "c"]}).names == ["w=a", "w=b", "w=c"]
    assert fitted({"w": ["a", "a", "b"]}).names == ["w=a", "w=b"]


def test_missing_categories_have_a_column_where_some_were_missing():
    table = Table.of({"w": ["a", "b", None, "a", "b"]})
    preparation = Preparation.fitted(table, target=None)
    assert preparation.names == ["w=a", "w=b", "w is missing"]
    assert preparation.inputs(table)[2].tolist() == [0, 0, 1]


def test_dates_are_their_parts():
    moments = np.array(["2024-02-29T23:59:59.5", "1969-12-31", "NaT"], "datetime64[us]")
    assert date_parts(moments)[:2].tolist() == [[2024, 2, 29, 3, 86399.5], [1969, 12, 31, 2, 0]]
    assert np.isnan(date_parts(moments)[2]).all()
    table = Table.of({"d": np.array(["2024-01-01", "2024-01-09", "NaT"], "datetime64[D]")})
    preparation = Preparation.fitted(table, target=None, scale="none")
    assert preparation.names == ["d.day", "d.weekday", "d is missing"]
    assert preparation.inputs(table).tolist() == [[1, 0, 0], [9, 1, 0], [5, 0.5, 1]]


def test_columns_that_say_nothing_are_left_out_with_a_reason():
    count = 40
    columns = {
        "x": np.arange(count) % 7.0,
        "same": np.ones(count),
        "word": ["w"] * count,
        "empty": np.full(count, np.nan),
        "key": [f"k{i}" for i in range(count)],
        "row_id": 100 + (7 * np.arange(count)) % 41,
        "time": np.arange(count),
    }
    preparation = fitted(columns)
    assert preparation.columns == ["x", "time"]
    assert preparation.left_out == {
        "same": "it is the same in every row",
        "word": "it is the same in every row",
        "empty": "it has no values",
        "key": "its texts are all different, as names or ids are",
        "row_id": "its numbers are all different, as ids are, and so it is called",
    }
    assert "no columns to learn from. 'same': it is the same" in raised(
        lambda: fitted({"same": np.ones(3)})
    )


def test_free_text_is_refused_with_the_way_out():
    reviews = [None, *(f"the film number {i} was a long and very dull one" for i in range(59))]
    columns = {"review": reviews, "stars": np.arange(60) % 5}
    words = raised(lambda: fitted(columns, target="stars"))
    assert "row 1, column 'review' holds free text" in words
    assert "ignore=['review']" in words
    columns["x"] = np.arange(60.0)
    for ignore in ("review", ["review"]):
        assert fitted(columns, target="stars", ignore=ignore).columns == ["x"]


def test_infinite_numbers_are_refused_where_they_stand(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,inf\n4,5\n")
    table = read(tmp_path / "t.csv")
    words = raised(lambda: Preparation.fitted(table, target="a"))
    assert "t.csv, line 3, column 'b': inf is not finite" in words


# --- arrays and images ---------------------------------------------------------------------------


def test_vectors_share_one_standard_deviation():
    vectors = RNG.normal(size=(50, 4)) * [1, 2, 0, 5] + 3
    table = Table.of({"v": vectors})
    found = Preparation.fitted(table, target=None).inputs(table)
    scale = np.sqrt(vectors.var(axis=0).mean())
    np.testing.assert_allclose(found, (vectors - vectors.mean(axis=0)) / scale, rtol=1e-5,
                               atol=1e-6)  # fmt: skip


def test_images_are_standardised_by_channel_and_keep_their_shape():
    images = RNG.integers(0, 256, (20, 5, 4, 3)).astype(np.uint8)
    table = Table.of({"image": images, "kind": ["a", "b"] * 10})
    preparation = Preparation.fitted(table, target="kind")
    assert preparation.shape == (5, 4, 3)
    assert len(preparation.scale["mean"]) == 3
    real = images.astype(float)
    wanted = (real - real.mean(axis=(0, 1, 2))) / real.std(axis=(0, 1, 2))
    np.testing.assert_allclose(preparation.inputs(table), wanted, rtol=1e-4, atol=1e-6)
    again = Preparation.from_json(json.loads(json.dumps(preparation.to_json())))
    assert np.array_equal(again.inputs(table), preparation.inputs(table))
    small = Table.of({"image": images[:, :4]})
    assert "(4, 4, 3), where the preparation was fitted to (5, 4, 3)" in raised(
        lambda: preparation.inputs(small)
    )


def test_zca_whitens_all_entries_of_images():
    images = RNG.normal(size=(60, 2, 2, 1)) @ np.array([[2.0]]) + RNG.normal(size=(60, 1, 1, 1))
    table = Table.of({"image": images})
    found = Preparation.fitted(table, target=None, scale="zca").inputs(table)
    assert found.shape == (60, 2, 2, 1)
    np.testing.assert_allclose(np.cov(found.reshape(60, 4).T, bias=True), np.eye(4), atol=1e-4)


def test_images_beside_other_columns_and_with_nan_are_refused():
    images = np.zeros((4, 2, 2, 1))
    images[1, 0, 0, 0] = np.nan
    words = raised(lambda: fitted({"image": images}))
    assert "row 1, column 'image' has values that are missing" in words
    words = raised(lambda: fitted({"image": np.zeros((4, 2, 2, 1)), "n": [1.0, 2, 3, 4]}))
    assert "ignore=['n']" in words


# --- other tables --------------------------------------------------------------------------------


def test_missing_columns_are_named_and_extra_ones_not_looked_at():
    preparation = Preparation.fitted(NUMBERS, target=None)
    words = raised(lambda: preparation.inputs(NUMBERS.without(["a", "c"])))
    assert "the table lacks 'a', 'c', which the model was trained with" in words
    extra = Table.of({**{n: c.values for n, c in NUMBERS.columns.items()}, "z": ["?"] * 200})
    assert np.array_equal(preparation.inputs(extra), preparation.inputs(NUMBERS))


def test_columns_of_another_kind_are_converted_where_they_have_one_meaning(tmp_path):
    preparation = fitted({"code": ["1", "2", "A"] * 4, "flag": [True, False] * 6, "n": range(12)})
    plain = Table.of({"code": ["2", "1"], "flag": [False, True], "n": [3, 4]})
    for columns in (
        {"code": [2.0, 1.0], "flag": [0.0, 1.0], "n": ["3", "4"]},
        {"code": ["2", "1"], "flag": ["false", "TRUE"], "n": ["3.0", "4"]},
    ):
        found = preparation.inputs(Table.of(columns))
        assert np.array_equal(found, preparation.inputs(plain))
    nothing = Table.of({"code": [np.nan], "flag": [np.nan], "n": [None]})
    assert preparation.inputs(nothing).shape == (1, 5)
    (tmp_path / "t.csv").write_text("code,flag,n\n01,true,1\n")
    assert read(tmp_path / "t.csv", types=preparation.types)["code"].tolist() == ["01"]


@pytest.mark.parametrize("columns, words", [
    ({"n": [1.0, 2.0], "b": [True, True], "d": ["2024-01-01", "soon"]},
     "row 1, column 'd': 'soon' is not a date"),
    ({"n": ["1", "x"], "b": [True, True], "d": ["2024-01-01"] * 2},
     "row 1, column 'n': 'x' is not a number"),
    ({"n": [1.0, 2.0], "b": [1.0, 2.0], "d": ["2024-01-01"] * 2},
     "row 1, column 'b': 2.0 is neither true nor false"),
    ({"n": [1.0, 2.0], "b": [True, True], "d": [1.0, 2.0]}, "is of the kind number, not date"),
])  # fmt: skip
def test_values_that_do_not_fit_their_column_are_named(columns, words):
    days = np.array(["2024-01-01", "2024-02-02", "2024-03-03"], "datetime64[D]")
    preparation = fitted({"n": [1.0, 2.0, 3.0], "b": [True, False, True], "d": days})
    assert words in raised(lambda: preparation.inputs(Table.of(columns)))


def test_rows_are_prepared_one_by_one_alike():
    table, info = load("auto_mpg")
    preparation = Preparation.fitted(table, target=info["target"])
    whole = preparation.inputs(table)
    assert np.array_equal(preparation.inputs(table[[7]])[0], whole[7])
    assert preparation.inputs(table[[]]).shape == (0, whole.shape[1])


# --- targets -------------------------------------------------------------------------------------


@pytest.mark.parametrize("values, task, labels", [
    (["b", "a", "b"], "classification", ["a", "b"]),
    ([True, False, True], "classification", [False, True]),
    ([2, 0, 2, 0, 0, 2, 0, 2, 0, 2], "classification", [0, 2]),
    (list(range(10)), "regression", None),
    ([0.5, 1.0, 0.5], "regression", None),
])  # fmt: skip
def test_the_task_is_found_from_the_target(values, task, labels):
    preparation = fitted({"x": RNG.normal(size=len(values)), "y": values}, target="y")
    assert (preparation.task, preparation.labels) == (task, labels)
    if labels:
        numbers = preparation.targets(Table.of({"y": values}))
        assert numbers.dtype == np.int64
        assert preparation.target_back(numbers).tolist() == values


def test_the_task_may_be_given():
    columns = {"x": [1.0, 2.0, 4.0], "y": [1, 2, 2]}
    assert fitted(columns, target="y", task="regression").labels is None
    columns = {"x": [1.0, 2.0, 4.0], "y": [1.5, 2.0, 2.0]}
    assert fitted(columns, target="y", task="classification").labels == [1.5, 2]
    assert "task is auto" in raised(lambda: fitted(columns, target="y", task="sort"))


def test_regression_targets_are_standardised_and_turned_back():
    table, info = load("linnerud")
    preparation = Preparation.fitted(table, target=info["target"])
    raw = np.stack([table[name] for name in info["target"]], axis=1)
    found = preparation.targets(table)
    np.testing.assert_allclose(found, StandardScaler().fit_transform(raw), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(preparation.target_back(found), raw, rtol=1e-6)
    one = Preparation.fitted(table, target="Pulse", standardize_target=False)
    assert np.array_equal(one.targets(table), table["Pulse"].astype(np.float32))


@pytest.mark.parametrize("values, options, words", [
    (["a", None, "b"], {}, "row 1, column 'y': None stands where the target is missing"),
    (["a", "a", "a"], {}, "the target is 'a' in every row"),
    ([1.0, np.inf, 2.0], {}, "row 1, column 'y': inf is not finite"),
    (["a", "b", "a"], {"task": "regression"}, "row 0, column 'y': 'a' is not a number"),
    (np.array(["2024-01-01"] * 3, "M8[D]"), {"task": "classification"}, "text, booleans or"),
    (["a", "b", "a"], {"target": "z"}, "has no column 'z'"),
    (["a", "b", "a"], {"target": ["y", "y"]}, "target names a column twice"),
    (np.zeros((3, 2)), {}, "column 'y' holds arrays; a target is a class or a number"),
])  # fmt: skip
def test_targets_that_cannot_be_learned_are_refused(values, options, words):
    columns = {"x": [1.0, 2.0, 4.0], "y": values}
    assert words in raised(lambda: fitted(columns, **{"target": "y"} | options))


def test_classes_that_were_not_there_are_named(tmp_path):
    preparation = fitted({"x": [1.0, 2.0], "y": ["cat", "dog"]}, target="y")
    (tmp_path / "t.csv").write_text("x,y\n1,cat\n2,cow\n")
    words = raised(lambda: preparation.targets(read(tmp_path / "t.csv")))
    assert "t.csv, line 3, column 'y': 'cow' is no class" in words
    assert "It knows: 'cat', 'dog'" in words
    assert "without a target" in raised(lambda: fitted({"x": [1.0, 2.0]}).targets(NUMBERS))


LABELLED = {"x": [1.0, 2.0, 4.0, 3.0], "n": [0, 1, 1, 0], "b": [True, False, True, True],
            "t": ["no", "yes", "yes", "no"]}  # fmt: skip


def test_several_columns_of_two_values_are_labels_of_minus_one_and_one():
    preparation = fitted(LABELLED, target=["n", "b", "t"])
    assert (preparation.task, preparation.labels) == ("multilabel", None)
    assert preparation.types == {"x": "number", "n": "number", "b": "boolean", "t": "text"}
    found = preparation.targets(Table.of(LABELLED))
    assert found.dtype == np.float32
    assert found.tolist() == [[-1, 1, -1], [1, -1, 1], [1, 1, 1], [-1, 1, -1]]
    back = preparation.target_back(0.1 * found)
    assert back.tolist() == [[0, True, "no"], [1, False, "yes"], [1, True, "yes"], [0, True, "no"]]
    assert "needed are 3 labels a row" in raised(lambda: preparation.target_back(found[:, :2]))


@pytest.mark.parametrize("columns, task", [
    ({"n": [0, 1, 1, 0], "m": [0, 1, 0, 1]}, "multilabel"),
    ({"n": [0, 1, 1, 0], "m": [0, 1, 0, 2]}, "regression"),
    ({"n": [0, 1, 1, 0], "m": [0.0, 0.5, 1.0, 0.0]}, "regression"),
    ({"n": [0, 1, 1, 0], "b": [True, False, True, True]}, "multilabel"),
    ({"n": [0.5, 1, 1, 0], "b": [True, False, True, True]}, "regression"),
])  # fmt: skip
def test_several_columns_are_labels_or_numbers(columns, task):
    columns, target = {"x": LABELLED["x"], **columns}, list(columns)
    assert fitted(columns, target=target).task == task
    assert fitted(columns, target=target, task="regression").task == "regression"


@pytest.mark.parametrize("second, words", [
    (["a", "b", "c", "a"], "column 't': 'c' is one of 3 values, and a label has two"),
    (["a", "a", "a", "a"], "column 't': the label is 'a' in every row"),
    (["a", None, "b", "a"], "row 1, column 't': None stands where the target is missing"),
])  # fmt: skip
def test_columns_that_are_no_labels_are_refused(second, words):
    assert words in raised(lambda: fitted({**LABELLED, "t": second}, target=["n", "t"]))


def test_columns_that_cannot_be_labels_are_refused_by_their_kind():
    days = np.array(["2024-01-01", "2024-01-02"] * 2, "M8[D]")
    words = raised(lambda: fitted({**LABELLED, "d": days}, target=["n", "d"], task="multilabel"))
    assert "column 'd' holds dates; a label is a column of two values" in words
    words = raised(lambda: fitted(LABELLED, target="n", task="multilabel"))
    assert "have a target column each, got 'n' alone" in words
    words = raised(lambda: fitted(LABELLED, target=["n", "t"], task="classification"))
    assert "Several columns of two values each are the task multilabel" in words


def test_a_value_that_no_label_has_is_named():
    preparation = fitted(LABELLED, target=["n", "t"])
    words = raised(lambda: preparation.targets(Table.of({**LABELLED, "t": ["no", "maybe"] * 2})))
    assert "row 1, column 't': 'maybe' is no class" in words and "It knows: 'no', 'yes'" in words


def test_labels_come_back_from_json():
    preparation = fitted(LABELLED, target=["n", "b", "t"])
    again = Preparation.from_json(json.loads(json.dumps(preparation.to_json())))
    assert again == preparation
