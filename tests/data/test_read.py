"""Frames, Parquet, NumPy's files and folders of images: the same tables, the same complaints."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from chainrule import errors
from chainrule.data import Table, read

COLUMNS = {
    "n": [1.5, None, 3.0],
    "i": [1, 2, 3],
    "b": [True, False, None],
    "w": ["x", None, "é"],
    "d": [datetime.date(2024, 2, 29), None, datetime.date(1969, 12, 31)],
    "t": [datetime.datetime(2024, 1, 1, 6, 30), datetime.datetime(1960, 1, 1), None],
}


def checked(table: Table) -> None:
    """The table is the one of COLUMNS."""
    assert [c.kind for c in table.columns.values()] == [
        "number", "number", "boolean", "text", "date", "date",
    ]  # fmt: skip
    np.testing.assert_array_equal(table["n"], [1.5, np.nan, 3.0])
    np.testing.assert_array_equal(table["i"], [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(table["b"], [1.0, 0.0, np.nan])
    assert table["w"].tolist() == ["x", None, "é"]
    days = np.array(["2024-02-29", "NaT", "1969-12-31"], "datetime64[us]")
    np.testing.assert_array_equal(table["d"], days)
    moments = np.array(["2024-01-01T06:30", "1960-01-01", "NaT"], "datetime64[us]")
    np.testing.assert_array_equal(table["t"], moments)


def test_frames_of_every_library_give_the_same_table(tmp_path):
    polars = pl.DataFrame(COLUMNS)
    checked(read(polars))
    checked(read(polars.lazy()))
    arrow = pa.table(COLUMNS)
    checked(read(arrow))
    pq.write_table(arrow, tmp_path / "t.parquet")
    checked(read(tmp_path / "t.parquet"))
    pandas = pd.DataFrame(COLUMNS)
    pandas["d"] = pd.to_datetime(pandas["d"])
    pandas["b"] = pandas["b"].astype("boolean")
    pandas.set_index(pandas.index * 2 + 1).to_parquet(tmp_path / "p.parquet")
    checked(read(tmp_path / "p.parquet"))
    checked(read(pandas))
    checked(read(pd.DataFrame(COLUMNS)))  # booleans and days as objects, with None


def test_categories_zones_and_decimals_are_read():
    frame = pd.DataFrame({"c": pd.Categorical(["u", "v", None])})
    assert read(frame)["c"].tolist() == ["u", "v", None]
    zoned = pl.Series("z", [datetime.datetime(2024, 1, 1)]).dt.replace_time_zone("Europe/Oslo")
    assert str(read(pl.DataFrame([zoned]))["z"][0]) == "2023-12-31T23:00:00.000000"
    moment = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))
    assert str(read({"z": [moment, None]})["z"][0]) == "2023-12-31T23:00:00.000000"
    assert read(pl.DataFrame({"q": [1, None]}, schema={"q": pl.Decimal(6, 2)}))["q"][0] == 1.0


@pytest.mark.parametrize("frame, words", [
    (pl.DataFrame({"a": [[1, 2], [3]]}), "column 'a'"),
    (pd.DataFrame([[1, 2]], columns=["a", "a"]), "'a'"),
    (pd.DataFrame({"a": [1, "x"]}, dtype=object), "column 'a', row 0: 1 is of type int"),
    (pd.DataFrame({"a": ["x", {}]}), "column 'a', row 1: {} is of type dict"),
])  # fmt: skip
def test_frames_that_are_no_tables_are_refused(frame, words):
    with pytest.raises(errors.DataError) as caught:
        read(frame)
    assert words in str(caught.value)


def test_numpys_files_are_read_without_pickles(tmp_path):
    np.savez(tmp_path / "t.npz", x=np.zeros((3, 2)), y=np.array(["a", "b", "c"]), n=[1, 2, 3])
    table = read(tmp_path / "t.npz", target="y")
    assert [c.kind for c in table.columns.values()] == ["array", "text", "number"]
    np.savez(tmp_path / "c.npz", y=np.zeros((3, 1)))
    assert read(tmp_path / "c.npz").columns["y"].kind == "number"
    np.save(tmp_path / "m.npy", np.arange(6).reshape(3, 2))
    assert read(tmp_path / "m.npy")["1"].tolist() == [1.0, 3.0, 5.0]
    fields = np.array([(1.0, "u"), (2.0, "v")], [("size", float), ("word", "U1")])
    np.save(tmp_path / "f.npy", fields)
    assert read(tmp_path / "f.npy")["word"].tolist() == ["u", "v"]
    np.save(tmp_path / "p.npy", np.array([{}, []], object), allow_pickle=True)
    with pytest.raises(errors.DataError, match="cannot be read as arrays"):
        read(tmp_path / "p.npy")
    np.savez(tmp_path / "u.npz", x=np.zeros(3), y=np.zeros(2))
    with pytest.raises(errors.DataError, match="differ in length: {'x': 3, 'y': 2}"):
        read(tmp_path / "u.npz")
    np.savez(tmp_path / "s.npz", x=np.float64(1.0))
    with pytest.raises(errors.DataError, match="'x' is no array of rows"):
        read(tmp_path / "s.npz")


@pytest.mark.parametrize("name", ["t.parquet", "t.npy", "t.npz"])
def test_files_that_are_damaged_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"not what it says")
    with pytest.raises(errors.DataError, match=f"{name} cannot be read as"):
        read(tmp_path / name)


def test_kinds_may_be_asked_for_whatever_the_source():
    table = read({"k": [1.0, 2.0, np.nan], "d": ["1.2.2024", None, "3.2.2024"]},
                 types={"k": "text"}, dates={"d": "%d.%m.%Y"})  # fmt: skip
    assert table["k"].tolist() == ["1", "2", None]
    assert str(table["d"][2])[:10] == "2024-02-03"
    with pytest.raises(errors.DataError, match="row 1, column 'w': 'x' is not a number"):
        read({"w": ["1", "x"]}, types={"w": "number"})


def test_options_of_other_sources_are_refused(tmp_path):
    with pytest.raises(errors.DataError, match="delimiter= is for delimited text, not for a dict"):
        read({"a": [1.0]}, delimiter=";")
    (tmp_path / "a.csv").write_text("a\n1\n")
    with pytest.raises(errors.DataError, match="size= is for folders of images"):
        read(tmp_path / "a.csv", size=(2, 2))


@pytest.mark.parametrize("source, words", [
    ("nowhere.csv", "nowhere.csv does not exist"),
    (__file__, "the ending '.py' is none that is known"),
    (5, "a path, a data frame or a dict of columns, got int"),
    ({"a": [1], "b": [1, 2]}, "differ in length"),
    ({"a": 1}, "needs an array of values"),
    ({"a": [1j]}, "dtype complex128"),
])  # fmt: skip
def test_what_is_no_source_is_refused(source, words):
    with pytest.raises(errors.DataError) as caught:
        read(source)
    assert words in str(caught.value)


# --- folders of images ---------------------------------------------------------------------------


def pictures(folder, *, size=(4, 3), mode="RGB"):
    """Two classes of two images each; each image of one value."""
    values = {"cats/1": 10, "cats/2": 20, "dogs/1": 30, "dogs/sub/2": 40}
    for name, value in values.items():
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, value if mode == "L" else (value, 0, 255)).save(path)
    return folder


def test_folders_are_classes_and_rows_are_known_by_their_files(tmp_path):
    table = read(pictures(tmp_path), target="class")
    assert table["image"].shape == (4, 3, 4, 3)
    assert table["image"].dtype == np.uint8
    assert table["image"][:, 0, 0].tolist() == [[v, 0, 255] for v in (10, 20, 30, 40)]
    assert table["class"].tolist() == ["cats", "cats", "dogs", "dogs"]
    assert table[[3]].place(0, "image").endswith("file dogs/sub/2.png, column 'image'")


def test_gray_images_have_one_channel_unless_three_are_asked_for(tmp_path):
    pictures(tmp_path, mode="L")
    assert read(tmp_path)["image"][:, 0, 0, 0].tolist() == [10, 20, 30, 40]
    assert read(tmp_path, channels=3)["image"].shape == (4, 3, 4, 3)
    assert read(tmp_path, size=(6, 5))["image"].shape == (4, 6, 5, 1)


def test_photographs_are_turned_as_the_camera_was_held(tmp_path):
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40)
    exif = image.getexif()
    exif[0x0112] = 6  # turned by 90 degrees
    image.save(tmp_path / "a.png", exif=exif)
    found = read(tmp_path)["image"][0, :, :, 0]
    assert found.tolist() == [[120, 0], [160, 40], [200, 80]]


def test_images_without_classes_are_a_table_to_predict_from(tmp_path):
    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    assert list(read(tmp_path).columns) == ["image"]


def test_folders_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(errors.DataError, match="holds no images"):
        read(tmp_path)
    pictures(tmp_path)
    Image.new("RGB", (5, 5)).save(tmp_path / "dogs" / "3.png")
    with pytest.raises(errors.DataError) as caught:
        read(tmp_path)
    assert "3.png is 5 x 5 pixels" in str(caught.value)
    assert "size=(3, 4)" in str(caught.value)
    whole = (tmp_path / "dogs" / "1.png").read_bytes()
    (tmp_path / "dogs" / "3.png").write_bytes(whole[:50])
    with pytest.raises(errors.DataError, match=r"3.png cannot be read as an image"):
        read(tmp_path)
    (tmp_path / "dogs" / "3.png").unlink()
    Image.new("RGB", (4, 3)).save(tmp_path / "loose.png")
    with pytest.raises(errors.DataError, match=r"loose.png lies beside the folders"):
        read(tmp_path)
    Image.new("F", (4, 3)).save(tmp_path / "loose.tif")
    with pytest.raises(errors.DataError, match=r"their scale is not known.*\.npz"):
        read(tmp_path / "loose.tif")
    with pytest.raises(errors.DataError, match="channels is 1"):
        read(tmp_path, channels=2)


def test_durations_of_numpy_are_seconds():
    found = read({"wait": np.array([2, "NaT"], "timedelta64[m]")}).columns["wait"]
    assert found.kind == "number" and found.values[0] == 120 and np.isnan(found.values[1])


def test_masked_entries_are_missing():
    masked = {name: np.ma.masked_array(values, [0, 1, 0])
              for name, values in {"x": [1.5, 9.0, 2.5], "n": [1, 2, 3], "b": [True, True, False],
                                   "t": ["u", "v", "w"]}.items()}  # fmt: skip
    table = read(masked)
    assert [c.kind for c in table.columns.values()] == ["number", "number", "boolean", "text"]
    assert [c.missing.tolist() for c in table.columns.values()] == [[False, True, False]] * 4
    assert table["n"][2] == 3


@pytest.mark.parametrize("library", [pd, pl])
def test_one_column_is_no_table(library):
    with pytest.raises(errors.DataError, match=r"it is one column; write column\.to_frame\(\)"):
        read(library.Series([1.0, 2.0]))


def test_images_of_16_bits_mean_what_those_of_8_bits_do(tmp_path):
    gray = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    for name, values in {"a.png": gray, "b.png": gray * np.uint16(257),
                         "c.tif": gray * np.uint16(257) + np.uint16(100)}.items():
        (tmp_path / "cells").mkdir(exist_ok=True)
        Image.fromarray(values).save(tmp_path / "cells" / name)
    images = read(tmp_path)["image"]
    assert images.shape == (3, 3, 4, 1) and images.dtype == np.float32
    assert (images[0] == gray[..., None]).all() and (images[1] == images[0]).all()
    np.testing.assert_allclose(images[2], gray[..., None] + 100 / 257, rtol=1e-6)
    assert (read(tmp_path, channels=3)["image"] == images).all()
    small = read(tmp_path, size=(2, 2))["image"]
    assert np.abs(small[1] - small[0]).max() <= 0.5  # those of 8 bits are rounded
    assert read(tmp_path / "cells" / "a.png")["image"].dtype == np.uint8


@pytest.mark.parametrize("library", [dict, pl.DataFrame, pd.DataFrame, pa.table])
def test_keys_of_more_digits_than_a_number_holds_are_text(library):
    keys = np.array([2**53 + 1, 2**53, -(2**62)])
    assert read(library({"key": keys}))["key"].tolist() == [str(key) for key in keys]
    assert read(library({"n": keys[1:2]})).columns["n"].kind == "number"


def test_columns_that_do_not_matter_are_text_as_they_stand(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n2,3\n3,about 9\n4,5\n")
    with pytest.raises(errors.DataError, match="'about 9' is not a number"):
        read(path)
    for options in ({"ignore": ["b"]}, {"only": ["a"]}):
        table = read(path, **options)
        assert table["b"].tolist() == ["2", "3", "about 9", "5"] and table["a"].sum() == 10
    frame = pl.DataFrame({"a": [1.0, 2.0], "b": [{"x": 1}, None]})
    with pytest.raises(errors.DataError, match=r"leave it out: ignore=\['b'\]"):
        read(frame)
    assert read(frame, ignore=["b"])["b"].tolist() == ["{'x': 1}", None]


def test_durations_and_times_are_seconds_and_equal_lists_an_array():
    frame = pl.DataFrame({
        "wait": [datetime.timedelta(minutes=2), None],
        "at": [datetime.time(1, 0, 0, 500_000), None],
        "vector": [[1.0, 2.0], [3.0, 4.0]],
    })  # fmt: skip
    table = read(frame)
    np.testing.assert_array_equal(table["wait"], [120, np.nan])
    np.testing.assert_array_equal(table["at"], [3600.5, np.nan])
    assert table.column("vector").kind == "array" and table["vector"].tolist() == [[1, 2], [3, 4]]
    as_objects = read(frame.select("vector").to_pandas())
    np.testing.assert_array_equal(as_objects["vector"], table["vector"])
    for ragged in ([[1.0], [2.0, 3.0]], [[1.0], None], [["a"], ["b"]]):
        with pytest.raises(errors.DataError, match="'vector' holds lists"):
            read({"vector": np.array([*ragged, None], object)[:-1]})


def test_gray_images_have_a_channel_and_other_arrays_stay():
    gray, waves = np.zeros((3, 5, 4), np.uint8), np.zeros((3, 5, 4))
    table = read({"gray": gray, "waves": waves})
    assert table["gray"].shape == (3, 5, 4, 1) and table["waves"].shape == (3, 5, 4)


def test_frames_may_have_numbers_as_names_and_values_of_numpy_in_objects():
    table = read(pd.DataFrame(np.arange(6.0).reshape(3, 2)))
    assert list(table.columns) == ["0", "1"] and table["1"].tolist() == [1, 3, 5]
    levels = pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")])
    assert read(pd.DataFrame(np.ones((3, 2)), columns=levels))["('a', 'y')"].tolist() == [1, 1, 1]
    assert read(pd.DataFrame({"s": pd.arrays.SparseArray([0, 1, 0])}))["s"].tolist() == [0, 1, 0]
    mixed = np.array([np.int64(1), 2.5, np.float32("nan")], object)
    np.testing.assert_array_equal(read({"m": mixed})["m"], [1, 2.5, np.nan])
    moments = np.array([np.datetime64("2024-01-01T00", "ns"), None], object)
    assert read({"d": moments}).column("d").kind == "date"
    with pytest.raises(errors.DataError, match=r"row 0: b'x' is of type bytes\.\n"):
        read({"b": np.array([b"x", b"y"], object)})
