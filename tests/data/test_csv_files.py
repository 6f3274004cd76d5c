"""Delimited text: what is read, and complaints that name file, line, column and value."""

import gzip
import zipfile

import numpy as np
import pytest

from chainrule import errors
from chainrule.data import MISSING, read


@pytest.fixture
def table(tmp_path):
    """A function that writes text (or bytes) to a file and reads it."""

    def made(text, name="cars.csv", **options):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read(path, **options)

    return made


def complaint(table, text, **options) -> str:
    with pytest.raises(errors.DataError) as caught:
        table(text, **options)
    return str(caught.value)


# --- kinds of columns ----------------------------------------------------------------------------


def test_each_column_has_the_kind_that_all_its_values_have(table):
    found = table(
        "n,whole,flag,day,word\n1.5,1,true,2024-02-29,a\n-2e3,2,FALSE,2023-01-01T06:30:00,b\n"
        ".5,3,True,1999-12-31,1\n"
    )
    kinds = [column.kind for column in found.columns.values()]
    assert kinds == ["number", "number", "boolean", "date", "text"]
    assert found["n"].tolist() == [1.5, -2000.0, 0.5]
    assert found["flag"].tolist() == [1.0, 0.0, 1.0]
    assert found["day"][1] == np.datetime64("2023-01-01T06:30:00", "us")
    assert found["word"].tolist() == ["a", "b", "1"]


@pytest.mark.parametrize("text", [*MISSING, "  ", " NA "])
def test_missing_values_are_missing_in_every_kind(table, text):
    found = table(f'n,w,d,b\n1,x,2024-01-01,true\n"{text}","{text}","{text}","{text}"\n2,y,,\n')
    assert np.isnan(found["n"][1])
    assert found["w"][1] is None
    assert np.isnat(found["d"][1:]).all()
    assert np.isnan(found["b"][1:]).all()
    assert found.columns["w"].missing.tolist() == [False, True, False]


def test_other_texts_may_stand_for_missing_values(table):
    assert np.isnan(table("n\n1\n-\n3\n", missing=["-"])["n"][1])
    assert table("w\nNA\nx\n", missing=["-"])["w"].tolist() == ["NA", "x"]
    assert table("w,v\n,1\nx,2\n", missing=[])["w"].tolist() == [None, "x"]


def test_a_column_without_values_is_numbers_that_are_missing(table):
    found = table("a,b\n1,\n2,NA\n")
    assert found.columns["b"].kind == "number"
    assert np.isnan(found["b"]).all()


def test_the_only_value_that_is_no_number_is_named(table):
    text = "name,age\n" + "".join(f"p{i},{20 + i}\n" for i in range(15)) + "q,thirty\nr,40\n"
    found = complaint(table, text)
    assert "cars.csv, line 17, column 'age': 'thirty' is not a number, as the others" in found
    assert "missing=[*data.MISSING, 'thirty']" in found
    assert "types={'age': 'text'}" in found
    assert table(text, types={"age": "text"})["age"][15] == "thirty"
    assert np.isnan(table(text, missing=[*MISSING, "thirty"])["age"][15])


def test_the_line_counts_newlines_inside_quotes_and_blank_lines(table):
    found = complaint(table, 'w,n\n"two\nlines",1\n\n"a",2\nb,x\nc,3\n')
    assert "line 6, column 'n': 'x'" in found


def test_a_few_strays_are_mistakes_and_many_make_categories(table):
    numbers = "".join(f"{i}\n" for i in range(100))
    assert "(5 values are like this)" in complaint(table, "n\n" + "x\n" * 5 + numbers)
    assert table("n\n" + "x\ny\nz\n" * 3 + numbers).columns["n"].kind == "text"
    assert table("n\n1\nA\n").columns["n"].kind == "text"


def test_a_day_that_does_not_exist_is_named(table):
    found = complaint(table, "d\n2023-01-31\n2023-02-29\n2023-03-01\n")
    assert "line 3, column 'd': '2023-02-29' is not a date" in found


@pytest.mark.parametrize("text", ["1_000", "0x10", "1,5", "١٢", "1e", "--1", "1 2", "$5", "nan5"])
def test_what_float_or_people_take_for_a_number_is_none(table, text):
    assert f"{text!r} is not a number" in complaint(table, f'n\n1\n2\n"{text}"\n')


def test_numbers_have_the_marks_that_are_asked_for(table):
    found = table("a;b\n1.234,5;7\n-12,25;1.000.000\n", decimal=",", thousands=".")
    assert found["a"].tolist() == [1234.5, -12.25]
    assert found["b"].tolist() == [7.0, 1e6]
    assert table('a\n"1,234"\n"12,345.5"\n', thousands=",")["a"].tolist() == [1234.0, 12345.5]
    assert "'1,23'" in complaint(table, 'a\n"1,234"\n1\n"1,23"\n', thousands=",")
    assert "'0,126'" in complaint(table, 'a\n"1,234"\n1\n"0,126"\n', thousands=",")
    assert "decimal is" in complaint(table, "a\n1\n", decimal="x")


def test_dates_have_the_form_that_is_asked_for_and_are_in_utc(table):
    found = table("d\n1.2.2024\n29.2.2024\n", dates={"d": "%d.%m.%Y"})["d"]
    assert found.astype("datetime64[D]").astype(str).tolist() == ["2024-02-01", "2024-02-29"]
    found = table("d\n2024-01-01T00:30:00+01:00\n2024-01-01 00:30Z\n2024/01/02\n")["d"]
    assert found.astype(str).tolist() == [
        "2023-12-31T23:30:00.000000", "2024-01-01T00:30:00.000000", "2024-01-02T00:00:00.000000",
    ]  # fmt: skip
    others = "2024-01-01 00:30:00 UTC", "2024-01-01 01:30:00.5+01", "2024-01-01T00:30:00.123456789Z"
    assert table("d\n" + "\n".join(others))["d"].astype(str).tolist() == [
        "2024-01-01T00:30:00.000000", "2024-01-01T00:30:00.500000", "2024-01-01T00:30:00.123456",
    ]  # fmt: skip
    assert "'x' is not a date" in complaint(table, "d\nx\n", dates={"d": "%d.%m.%Y"})


def test_kinds_that_are_asked_for_hold_or_the_value_is_named(table):
    assert table("zip\n01234\n99999\n", types={"zip": "text"})["zip"].tolist() == ["01234", "99999"]
    assert "line 3, column 'n': 'b' is not a number (3 values are like this)." in complaint(
        table, "n\n1\nb\nc\nd\n", types={"n": "number"}
    )
    assert "'2' is neither true nor false" in complaint(table, "n\n2\n", types={"n": "boolean"})
    assert "a kind is one of number" in complaint(table, "n\n2\n", types={"n": "int"})
    assert "no column 'm', which types" in complaint(table, "n\n2\n", types={"m": "text"})


# --- the file ------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(table, delimiter):
    rows = [["name", "text", "n"], ["a", '"x,;|\t y"', "1"], ["b", "z", "2"]]
    found = table("\n".join(delimiter.join(row) for row in rows))
    assert found["text"].tolist() == ["x,;|\t y", "z"]
    assert found["n"].tolist() == [1.0, 2.0]
    found = table("a:b\n1:2\n", delimiter=":")
    assert list(found.columns) == ["a", "b"]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system_are_read(table, ending):
    found = table(ending.join(["a,b", "1,2", "3,4"]))
    assert found["b"].tolist() == [2.0, 4.0]
    assert found.lines.tolist() == [2, 3]


def test_a_byte_order_mark_is_no_part_of_the_first_name(table):
    for encoding in ("utf-8", "UTF-8", "utf8", "utf-8-sig"):
        assert list(table("\ufeffa,b\n1,2\n", encoding=encoding).columns) == ["a", "b"]
    assert table("é\nü\n".encode("latin-1"), encoding="latin-1")["é"].tolist() == ["ü"]
    assert table("a,b\n1,é\n".encode("utf-16"), encoding="utf-16")["b"].tolist() == ["é"]


def test_text_in_another_encoding_is_refused_with_its_line(table):
    found = complaint(table, "a,b\n1,x\n2,é\n".encode("latin-1"))
    assert "cars.csv, line 3: byte e9 is not utf-8 text" in found
    assert "encoding='latin-1'" in found
    assert "encoding='utf-16'" in complaint(table, "a\n1\n".encode("utf-16"))
    assert "no encoding is called 'utf-9'" in complaint(table, "a\n1\n", encoding="utf-9")
    assert "line 2: a NUL character" in complaint(table, "a\n1\0\n")


def test_packed_files_are_read(tmp_path):
    text = b"a,b\n1,x\n2,y\n"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text))
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w") as archive:
        archive.writestr("t.csv", text)
    for name in ("t.csv.gz", "t.csv.zip"):
        assert read(tmp_path / name)["a"].tolist() == [1.0, 2.0]
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text)[:-9])
    with pytest.raises(errors.DataError, match=r"t.csv.gz cannot be read"):
        read(tmp_path / "t.csv.gz")


@pytest.mark.parametrize("text, words", [
    ("", "is empty"),
    ("a,b\n", "no rows"),
    ("a,b\n1,2\n3\n", "line 3: 1 fields, where line 1 has 2"),
    ("a,b\n1,2\n3,4,5\n", "line 3: 3 fields, where line 1 has 2"),
    ("a,b,a\n1,2,3\n", "line 1: columns 1 and 3 are both called 'a'"),
    ("1.5,2\n3,4\n", "line 1: numbers ('1.5', '2') where the names of the columns belong"),
    ("5.1,setosa\n4.9,setosa\n", "line 1: values ('5.1', 'setosa') where the names of the columns"),
    ('a,b\n1,"x\n2,y\n', "line 2: unexpected end of data"),
    ('a,b\n1,"x"y\n', "line 2"),
    ("a,b\n1," + "x" * 200_000 + "\n", "field larger than field limit"),
])  # fmt: skip
def test_files_that_are_no_tables_are_refused(table, text, words):
    found = complaint(table, text)
    assert "cars.csv" in found
    assert words in found


def test_a_file_without_names_is_read_as_such(table):
    found = table("5.1,a\n4.9,b\n", header=False)
    assert list(found.columns) == ["column 1", "column 2"]
    assert found.lines.tolist() == [1, 2]
    assert list(table("0,1,2\n5,6,7\n").columns) == ["0", "1", "2"]


def test_columns_without_a_name_are_numbered_and_left_out_where_they_say_nothing(table):
    found = table(",n,,\n0,5,,x\n1,6,,y\n2,5,,z\n")
    assert list(found.columns) == ["n", "column 4"]
    assert [note.split(";")[0] for note in found.notes] == [
        "the first column has no name and numbers the rows",
        "column 3 has no name and no values",
        "column 4 has no name",
    ]


def test_a_target_that_is_not_there_is_refused_with_the_nearest_name(table):
    found = complaint(table, "price,size\n1,2\n", target="prise")
    assert "has no column 'prise'. Did you mean 'price'?" in found
    assert "It has: 'price', 'size'" in found


def test_rows_remember_their_lines_when_they_are_chosen(table):
    found = table("a,b\n1,x\n\n2,y\n3,z\n")[[2, 0]]
    assert found.lines.tolist() == [5, 2]
    assert found.place(0, "b").endswith("cars.csv, line 5, column 'b'")


@pytest.mark.parametrize("fields, words", [
    (["1,5", "2,25", "-3"], "look like numbers with a comma as their decimal mark.\n  "
     "Read with decimal=',';"),
    (["1,500", "12,250", "3"], "Read with thousands=',' or read with decimal=',';"),
    (["1,500", "0,250", "3"], "  Read with decimal=',';"),
    (["31.12.2024", "1.2.2024", "2.2.2024"], "Read with dates={'v': '%d.%m.%Y'}"),
    (["$5", "$6.50", "$1,000"], "look like numbers with a unit.\n  Take the unit away"),
    (["5%", "12.5 %", "7%"], "look like numbers with a unit"),
    (["12 kg", "7.5 kg", "80kg"], "look like numbers with a unit"),
    (["1.2k", "3M", "700k"], "look like numbers with a unit"),
    (["1 234", "12 500", "1 000 000"], "Read with thousands=' '"),
    (["(120)", "15", "(7.50)"], "with brackets around those below 0.\n  Write a minus"),
    (["3 Jan 2024", "14-Feb-2024", "1 March 2024"], "dates={'v': '%d %b %Y'}"),
    (["Jan 3, 2024", "Feb 14, 2024", "May 1, 2024 10:30 PM"], "with the names of months"),
    (["03/15/2024 10:00 PM", "3/1/2024 9:05 AM", "3/2/2024 1:00 AM"], "not written YYYY-MM-DD"),
    (["12/31/2024", "1/2/2024", "1/3/2024"], "look like dates that are not written YYYY-MM-DD"),
])  # fmt: skip
def test_numbers_and_dates_written_otherwise_are_refused_with_the_option(table, fields, words):
    text = "v;w\n" + "".join(f"{field};1\n" for field in ["", *fields])
    found = complaint(table, text)
    assert f"line 3, column 'v': {fields[0]!r}" in found
    assert words in found
    assert "types={'v': 'text'}" in found
    assert table(text, types={"v": "text"}).columns["v"].kind == "text"


def test_numbers_with_a_point_are_refused_where_commas_were_asked_for(table):
    assert "decimal='.'" in complaint(table, "v;w\n1.5;a\n2.5;b\n3.25;c\n", decimal=",")


def test_keys_of_more_digits_than_a_number_holds_are_text(table):
    found = table("key,n\n9007199254740993,9007199254740992\n9007199254740992,1\n")
    assert found["key"].tolist() == ["9007199254740993", "9007199254740992"]
    assert found.columns["n"].kind == "number"
    asked = table("key\n9007199254740993\n", types={"key": "number"})
    assert asked["key"].tolist() == [9007199254740992.0]


@pytest.mark.parametrize(("gap", "options"), [("  ", {}), (" \t", {"delimiter": " "})])
def test_any_number_of_blanks_is_one_delimiter(table, gap, options):
    found = table(
        f' mpg  weight{gap}name\n18.0   3504.{gap}"chevrolet  chevelle ""malibu"""\n'
        f" 9.5{gap} 4732  hi \n\n",
        name="auto-mpg.data", **options,
    )  # fmt: skip
    assert list(found.columns) == ["mpg", "weight", "name"]
    assert found["mpg"].tolist() == [18.0, 9.5] and found["weight"].tolist() == [3504.0, 4732.0]
    assert found["name"].tolist() == ['chevrolet  chevelle "malibu"', "hi"]
    assert found.lines.tolist() == [2, 3]


def test_blanks_in_texts_are_no_delimiter(table):
    assert table("full name\nJohn Smith\nAda Lovelace\n")["full name"][1] == "Ada Lovelace"
    found = table("the city,people\nNew York,8\nLos Angeles,4\n")
    assert found["the city"].tolist() == ["New York", "Los Angeles"]
    assert "line 3: 3 fields, where line 1 has 2" in complaint(table, "a b\n1 2\n1 2 3\n",
                                                               delimiter=" ")  # fmt: skip
