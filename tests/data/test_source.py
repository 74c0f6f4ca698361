"""Data as users give it: what is read, what is refused, and in which words."""

import contextlib
import gzip
import io
import itertools
import json
import os
import subprocess
import sys
import threading

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from descender.data.blocks import open_blocks
from descender.data.delimited import Delimited
from descender.data.kinds import learn_column
from descender.data.source import add_target, open_source
from descender.data.sql import connect
from descender.errors import ColumnError, DataError, TargetError

PLAIN = "a,b\n1,x\n2,y\n3,z\n"


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def as_npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


READABLE = {
    "plain.csv": PLAIN,
    "tabs.tsv": PLAIN.replace(",", "\t"),
    "semicolons.csv": PLAIN.replace(",", ";"),
    "bars.txt": PLAIN.replace(",", "|"),
    "windows.csv": PLAIN.replace("\n", "\r\n"),
    "old-mac.csv": PLAIN.replace("\n", "\r"),
    "bom.csv": b"\xef\xbb\xbf" + PLAIN.encode(),
    "utf16.csv": PLAIN.encode("utf-16"),
    "packed.csv.gz": gzip.compress(PLAIN.encode()),
    "packed-unsaid.csv": gzip.compress(PLAIN.encode()),
    "spaces.csv": PLAIN.replace(",", ", "),
    "blank-lines.csv": PLAIN + "\n\n",
    "quotes.csv": '"a","b"\n1,"x"\n2,"y"\n3,"z"\n',
    "signs[1]*.csv": PLAIN,
    "it's.csv": PLAIN,
    "lines.jsonl": '{"a":1,"b":"x"}\n{"a":2,"b":"y"}\n{"a":3,"b":"z"}\n',
    "list.json": '[{"a":1,"b":"x"},{"a":2,"b":"y"},{"a":3,"b":"z"}]',
}


@pytest.mark.parametrize("name", READABLE)
def test_every_format_gives_the_same_table(tmp_path, name):
    source = open_source(write(tmp_path, name, READABLE[name]))
    assert source.table.to_pydict() == {"a": [1, 2, 3], "b": ["x", "y", "z"]}
    assert source.name == name.removesuffix(".gz").rsplit(".", 1)[0]
    assert source.notes == ()


def test_a_folder_named_like_a_partition_adds_no_column(tmp_path):
    folder = tmp_path / "year=2013"
    folder.mkdir()
    pq.write_table(pa.table({"a": [1, 2]}), folder / "x.parquet")
    assert open_source(write(folder, "x.csv", PLAIN)).table.column_names == ["a", "b"]
    assert open_source(folder / "x.parquet").table.column_names == ["a"]


def test_signs_of_patterns_in_a_path_stand_for_themselves(tmp_path):
    write(tmp_path, "x1.csv", "c\n8\n9\n")
    write(tmp_path, "xy.csv", "c\n8\n9\n")
    for name in ("x[1].csv", "x?.csv", "x*.csv"):
        assert open_source(write(tmp_path, name, PLAIN)).table.num_rows == 3


def test_rows_keep_their_order(tmp_path):
    n = 300_000
    pq.write_table(pa.table({"i": np.arange(n)}), tmp_path / "i.parquet", row_group_size=10_000)
    write(tmp_path, "i.csv", "i\n" + "\n".join(map(str, range(n))))
    for name in ("i.parquet", "i.csv"):
        assert np.array_equal(open_source(tmp_path / name).table["i"].to_numpy(), np.arange(n))


def test_missing_cells_of_every_spelling(tmp_path):
    spelt = ["", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "?"]
    path = write(tmp_path, "m.csv", "a,b\n" + "".join(f"{cell},1\n" for cell in spelt) + "2,1\n3,1\n")
    table = open_source(path).table
    assert table["a"].null_count == len(spelt)
    assert table["a"].to_pylist()[-2:] == [2, 3]


SPELT = ["1 -3", "2.5 1e5", ".5 5.", "+4", "007", "1.5 inf NA", "1e400", "9223372036854775808", "é b", "-0.0"]
SPELT += ["2013-01-01 2013-1-1", "2013-01-01T05:00:00Z", "2013-01-01T05:00 NA", '"1"', "", " ", "1,2"]


def test_what_arrow_reads_is_what_duckdb_reads(tmp_path, monkeypatch):
    """Plain text goes to the faster of the two; where they might differ Arrow gives up."""
    paths, plain, quickly = [], Delimited.plain, []
    for k, spelt in enumerate(SPELT):
        rows = [f"{cell},{j},x" for j, cell in enumerate((spelt.split() or [spelt]) * 4)]
        text = "\r\n".join(["a,b,c", *rows]) if k % 2 else "\n".join(["a,b,c", *rows, ""])
        paths.append(write(tmp_path, f"{k}.csv", text))

    def answer(path):
        with contextlib.suppress(DataError):
            return open_source(path).table

    monkeypatch.setattr(Delimited, "plain", lambda *args: quickly.append(plain(*args)) or quickly[-1])
    ours = [answer(path) for path in paths]
    assert 6 < sum(table is not None for table in quickly) < len(paths) - 2
    monkeypatch.setattr(Delimited, "plain", lambda *args: None)
    for one, other in zip(ours, map(answer, paths), strict=True):
        assert repr(one and (one.schema, one.to_pydict())) == repr(other and (other.schema, other.to_pydict()))


NOTED = {
    "latin.csv": ("a,b\n1,café\n2,x\n".encode("latin-1"), "latin.csv is not UTF-8 text: read as Latin-1"),
    "far.csv": (
        ("a\n" + "x\n" * 700_000 + "café\n").encode("latin-1"),  # beyond the piece that is looked at first
        "far.csv is not UTF-8 text: read as Latin-1",
    ),
    "nohead.csv": ("1,2\n3,5\n", "the first line of {}nohead.csv holds numbers, not names: its columns are called x0"),
    "hash.csv": ("# by hand\n# a,b,c\na,b\n1,2\n3,4\n", "the first 2 lines begin with # in {}hash.csv: left out as"),
    "hash.csv.gz": (gzip.compress(b"#\na,b\n1,2\n3,4\n"), "the first line begins with # in {}hash.csv.gz: left out as"),
    "unnamed.csv": (",b\n0,1\n1,2\n", "column 1 of {}unnamed.csv has no name: it is called column1"),
    "comma.csv": ("a;b\n1,5;2\n2,5;3\n", "column a of {}comma.csv is read with decimal commas"),
    "stray.csv": (
        "a,b\n" + "1,2\n" * 30_000 + "oops,4\n",
        'column a of {}stray.csv: 1 of its 30,001 values is no number, such as "oops" in row 30,001',
    ),
}


@pytest.mark.parametrize("name", NOTED)
def test_what_was_assumed_is_noted(tmp_path, name):
    content, note = NOTED[name]
    (noted,) = open_source(write(tmp_path, name, content)).notes
    assert note.replace("{}", f"{tmp_path}/") in noted


def test_a_header_may_begin_with_a_hash(tmp_path):
    for text in ("#,b\n1,2\n3,4\n", "# made by hand\n#,b\n1,2\n3,4\n"):
        assert open_source(write(tmp_path, "h.csv", text)).table.to_pydict() == {"#": [1, 3], "b": [2, 4]}


def test_columns_of_numbers_may_be_named_by_years_or_positions(tmp_path):
    assert open_source(write(tmp_path, "y.csv", "id,2013,2014\nx,1,2\ny,3,4\n")).table.num_rows == 2
    assert open_source(write(tmp_path, "p.csv", ",0,1,2\n0,5,6,7\n1,8,9,10\n")).table.num_rows == 2
    assert open_source(write(tmp_path, "iris.csv", "5.1,3.5,setosa\n4.9,3.0,setosa\n")).table.num_rows == 2


def test_a_space_after_each_comma_is_no_part_of_the_cells(tmp_path):
    path = write(tmp_path, "adult.csv", "i, age, work, zip\n1, 39, Private, 01\n2, ?, ?, 02\n3, 50, State-gov, 03\n")
    assert open_source(path).table.to_pydict() == {
        "i": [1, 2, 3],
        "age": [39, None, 50],
        "work": ["Private", None, "State-gov"],
        "zip": ["01", "02", "03"],
    }


def test_digits_with_a_leading_zero_stay_text_and_infinities_are_numbers(tmp_path):
    table = open_source(write(tmp_path, "z.csv", "zip,x\n02134,1.5\n10001,inf\n")).table
    assert table["zip"].to_pylist() == ["02134", "10001"]
    assert table["x"].to_pylist() == [1.5, float("inf")]


def test_truth_values_are_true_and_false_and_other_words_stay_as_they_are(tmp_path):
    path = write(tmp_path, "b.csv", "a,b,c,d\nyes,TRUE,Y,\nno,False,N,false\nyes,TRUE,Y,true\n")
    table = open_source(path).table
    assert table["a"].to_pylist() == ["yes", "no", "yes"]
    assert table["b"].to_pylist() == [True, False, True]
    assert table["c"].to_pylist() == ["Y", "N", "Y"]
    assert table["d"].to_pylist() == [None, False, True]


def test_nested_rows_are_columns_named_as_paths(tmp_path):
    rows = [{"id": k, "user": {"age": k, "it's": {"city": "Rome"}}, "a": [k]} for k in range(3)]
    rows[1] = {"id": 1, "user": None}
    path = write(tmp_path, "n.jsonl", "\n".join(map(json.dumps, rows)))
    table = open_source(path).table
    assert table.column_names == ["id", "user.age", "user.it's.city", "a"]
    assert table["user.it's.city"].to_pylist() == ["Rome", None, "Rome"]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "n.parquet")
    for data in (path, tmp_path / "n.parquet", pa.Table.from_pylist(rows)):
        with open_blocks(data, {"user.it's.city": "category"}, ["user.age"]) as blocks:
            found = pa.concat_tables(blocks)
        assert found.to_pydict() == {"user.age": [0, None, 2], "user.it's.city": ["Rome", None, "Rome"]}
    with pytest.raises(ColumnError, match=r'names column "a\.b" 2 times'):
        open_source(pa.table({"a.b": [1, 2], "a": [{"b": 1}, {"b": 2}]}))


RANDOM = np.random.default_rng(0).integers(0, 10**6, 400_000)
UNREADABLE = {
    "empty.csv": ("", "is empty"),
    "blank.csv": ("\n\n", "blank lines only"),
    "header.csv": ("a,b\n", "a header and no row below it"),
    "one.csv": ("a,b\n1,2\n", "has one row: nothing to learn from"),
    "hash.csv": ("# by hand\na,b\n1,2\n3\n4,5\n", 'line 4 ("3") has 1 cell where the first line has 2'),
    "spaced.txt": ("a b\n1 x\n2 y\n", "are parted by spaces, as it seems: put commas or tabs between them"),
    "twice.csv": ("a,b,a\n1,2,3\n1,2,3\n", "the header of"),
    "long.csv": ("a,b\n1,2\n3,4,5\n", 'line 3 ("3,4,5") has 3 cells where the first line has 2'),
    "short.csv": ("a,b\n1,2\n3\n4,5\n", 'line 3 ("3") has 1 cell where the first line has 2'),
    "deep.csv": ("a,b\n" + "1,2\n" * 30_000 + "3,4,5\n", 'line 30,002 ("3,4,5") has 3 cells'),
    "quote.csv": ('a,b\n"x,2\n3,4\n', "opens a quote that is never closed"),
    "title.csv": ("My report\n\na,b\n1,2\n", 'line 3 ("a,b") has 2 cells where the first line has 1'),
    "binary.csv": (bytes(range(256)) * 4, "is a binary file"),
    "picture.png": (b"\x89PNG\r\n\x1a\n\0\0\0", "is a binary file"),
    "damaged.csv.gz": (gzip.compress(PLAIN.encode() * 9)[:30], "is a damaged gzip file"),
    "cut.csv.gz": (
        gzip.compress(b"a\n" + b"\n".join(b"%d" % k for k in RANDOM))[:-99],
        "cannot be read: Unexpected end of GZIP",
    ),
    "bad.parquet": (b"PAR1 and no more", "cannot be read as parquet"),
    "bad.jsonl": (
        '{"a":1}\n{"a":2\n{"a":3}\n',
        "bad.jsonl, line 2 is no JSON: Expecting ',' delimiter, at its 7. sign",
    ),
    "bad.json": ('[{"a":1},{"a"}]', "bad.json cannot be read as json: Malformed JSON"),
    "latin.jsonl": (b'{"a":"x"}\n{"a":"\xe9"}\n', "latin.jsonl, line 2 is not UTF-8 text"),
    "bad.json.gz": (
        gzip.compress(b'{"a":1}\n\n{"a"}\n'),
        "bad.json.gz, line 3 is no JSON: Expecting ':' delimiter, at its 5. sign",
    ),
    "book.xlsx": (b"PK\3\4", "is an Excel workbook: save the sheet as CSV"),
    "data.pkl": (b"\x80\4", "is a pickle, which can run code"),
    "objects.npy": (as_npy(np.array([1, "a"], dtype=object)), "it holds Python objects, which can run code"),
    "complex.npy": (as_npy(np.ones((3, 2), dtype=complex)), "holds complex128: expected real numbers"),
    "nested.npy": (as_npy(np.zeros(3, dtype=[("x", "f8", 2)])), "the field x holds ('<f8', (2,)): expected one number"),
    "short.npy": (b"\x93NUMPY\1", "cannot be read as an array of numbers"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_files_that_are_refused(tmp_path, name):
    content, text = UNREADABLE[name]
    with pytest.raises(DataError) as error:
        open_source(write(tmp_path, name, content))
    assert text in str(error.value)
    assert name in str(error.value)


def test_names_that_lead_nowhere(tmp_path):
    write(tmp_path, "flights.csv", PLAIN)
    with pytest.raises(DataError, match=r"no such file; in .*: did you mean flights\.csv\?"):
        open_source(tmp_path / "flihgts.csv")
    with pytest.raises(DataError, match="there is no folder"):
        open_source(tmp_path / "nowhere" / "x.csv")
    with pytest.raises(DataError, match=r"is a folder: give one file, or read several with sql="):
        open_source(tmp_path)
    with pytest.raises(DataError, match="did you mean example:blobs"):
        open_source("blobs")
    with pytest.raises(DataError, match="is an address: download the file first"):
        open_source("https://example.org/x.csv")
    with pytest.raises(DataError, match='there is no example "blob": did you mean blobs'):
        open_source("example:blob")


def test_predicting_needs_one_row_only(tmp_path):
    path = write(tmp_path, "one.csv", "a,b\n1,2\n")
    assert open_source(path, least_rows=1).table.num_rows == 1


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(PLAIN.encode()))))
    source = open_source("-")
    assert (source.name, source.described, source.table.num_rows) == ("input", "standard input", 3)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(DataError, match="standard input is empty"):
        open_source("-")


def test_a_pipe_is_read_once(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(PLAIN,))
    writer.start()
    assert open_source(pipe).table.num_rows == 3
    writer.join()


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    path = write(tmp_path, "secret.csv", PLAIN)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(DataError, match=r"secret\.csv may not be read: permission denied"):
        open_source(path)


def test_no_heavy_package_is_loaded_before_it_is_needed():
    modules = "descender.data.source, descender.data.encode, descender.data.target, descender.data.split"
    heavy = "{'duckdb', 'pyarrow', 'sklearn', 'pandas', 'scipy'}"
    code = f"import sys, {modules}; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_tables_in_memory(tmp_path):
    columns = {"a": [1.0, 2.0], "b": ["x", None]}
    expected = pa.table(columns)
    frame = pd.DataFrame(columns, index=[5, 6])
    for data in (columns, {"a": np.array([1.0, 2.0]), "b": pd.Series(["x", None])}, frame, expected):
        assert open_source(data).table.to_pydict() == expected.to_pydict()
    assert open_source(expected.to_reader()).table.equals(expected)
    X = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.save(tmp_path / "x.npy", X)
    for data in (X, np.asfortranarray(X), X.astype(">f4"), tmp_path / "x.npy"):
        table = open_source(data).table
        assert table.to_pydict() == {"x0": [0, 2, 4], "x1": [1, 3, 5]}
        assert table.schema.types == [pa.float32()] * 2
    fields = np.array([(1, 2.0, "b"), (3, 4.0, "c")], dtype=[("p", ">i4"), ("q", np.longdouble), ("r", "U3")])
    np.save(tmp_path / "fields.npy", fields)
    table = open_source(tmp_path / "fields.npy").table
    assert table.to_pydict() == {"p": [1, 3], "q": [2, 4], "r": ["b", "c"]}
    assert open_source(fields[["p", "r"]]).table.to_pydict() == {"p": [1, 3], "r": ["b", "c"]}


def test_columns_of_pandas_that_arrow_does_not_know():
    frame = pd.DataFrame({"s": pd.arrays.SparseArray([0, 1, 0]), "p": pd.period_range("2020-01", periods=3, freq="M")})
    table = open_source(frame).table
    assert table["s"].to_pylist() == [0, 1, 0]
    assert [moment.month for moment in table["p"].to_pylist()] == [1, 2, 3]
    hours = np.datetime64("2024-01-01T00") + np.arange(3).astype("timedelta64[h]")
    table = open_source({"t": hours, "d": hours - hours[0], "m": hours.astype("datetime64[M]")}).table
    assert [moment.hour for moment in table["t"].to_pylist()] == [0, 1, 2]
    assert [gone.seconds for gone in table["d"].to_pylist()] == [0, 3600, 7200]


def test_arrow_types_with_few_functions_are_read_all_the_same():
    runs = pa.RunEndEncodedArray.from_arrays([2, 3], [1.0, 2.0])
    kinds = {"v": pa.array(["a", None, "b"], pa.string_view()), "r": runs}
    frame = pl.DataFrame(
        {
            "e": pl.Series(["a", "b", None], dtype=pl.Enum(["a", "b"])),
            "c": pl.Series(["a", "b", None], dtype=pl.Categorical),
            "x": [1.0, 2.0, None],
        }
    )
    for data in (pa.table(kinds), frame, frame.lazy(), pa.table({"v": []}, pa.schema([("v", pa.string_view())]))):
        table = open_source(data, least_rows=0).table
        assert table.take(np.arange(table.num_rows)).to_pydict() == table.to_pydict()
        assert not table.num_rows or all(learn_column(name, table[name]) for name in table.column_names)
    assert open_source(pa.table(kinds)).table.to_pydict() == {"v": ["a", None, "b"], "r": [1.0, 1.0, 2.0]}
    assert open_source(frame.lazy()).table["c"].to_pylist() == ["a", "b", None]


def test_standard_input_may_be_rows_of_json_or_parquet(monkeypatch, tmp_path):
    packed = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2]}), packed)
    for content in (b'{"a": 1}\n{"a": 2}\n', packed.getvalue()):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert open_source("-").table.to_pydict() == {"a": [1, 2]}


def test_a_pandas_nan_is_missing():
    assert open_source(pd.DataFrame({"a": [1.0, np.nan]})).table["a"].null_count == 1


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (np.zeros(3), r"shape \(3,\): expected two dimensions.*reshape\(-1, 1\)"),
        (np.zeros((2, 2), complex), "holds complex128: expected real numbers"),
        (np.array([["a", "b"]] * 2), "expected real numbers; a dict of columns may hold text"),
        ({"a": [1, 2], "b": [1]}, "columns of different lengths \\(a has 2, b has 1\\)"),
        ({"a": np.zeros((2, 2))}, r"column a is an array of shape \(2, 2\)"),
        ({"a": 3}, "column a is a single int"),
        ({"a": "text"}, "column a is a single str"),
        ({"a": [1, "x"]}, "column a mixes kinds of cells"),
        ({"a": [np.datetime64("2020-01-01")] * 2}, "column a cannot be read"),
        ({"a": [2**70, 1]}, "column a cannot be read"),
        ({}, "has no columns"),
        ({"a": []}, "has no rows: nothing to learn from"),
        (pd.DataFrame([[1, 2], [3, 4]], columns=["a", "a"]), 'a pandas DataFrame names column "a" 2 times'),
        (pa.table([[1, 2], [3, 4]], names=["a", "a"]), 'an Arrow table names column "a" 2 times'),
        (7, "int is no table: expected a path"),
        (None, "NoneType is no table"),
    ],
)
def test_data_in_memory_that_is_refused(data, text):
    with pytest.raises(DataError, match=text):
        open_source(data)


def test_a_query_sees_the_file_under_two_names(tmp_path):
    path = write(tmp_path, "my flights.csv", PLAIN)
    for view in ("data", '"my flights"'):
        source = open_source(path, sql=f"SELECT b, a * 2 AS c FROM {view} WHERE a > 1")
        assert source.table.to_pydict() == {"b": ["y", "z"], "c": [4, 6]}
        assert source.name == "my flights"
    pq.write_table(pa.table({"a": [1, 2, 3]}), tmp_path / "p.parquet")
    for view in ("data", "p"):
        assert open_source(tmp_path / "p.parquet", sql=f"FROM {view} LIMIT 2").table.num_rows == 2
    source = open_source(None, sql=f"SELECT * FROM '{tmp_path}/p.parquet'")
    assert (source.name, source.table.num_rows) == ("query", 3)
    assert open_source({"a": [1, 2]}, sql="SELECT a FROM data").name == "data"


def test_a_query_that_writes_is_refused(tmp_path):
    target = tmp_path / "written.csv"
    for sql in (
        f"COPY data TO '{target}'",
        f"WITH x AS (COPY data TO '{target}') SELECT * FROM data",
        f"SELECT 1; COPY data TO '{target}'",
        f"ATTACH '{target}' AS x",
        f"EXPORT DATABASE '{target}'",
        "INSERT INTO data VALUES (1)",
        "INSTALL httpfs",
        "",
    ):
        with pytest.raises(DataError, match="one SELECT, which only reads"):
            open_source({"a": [1, 2]}, sql=sql)
    assert not target.exists()


def test_a_query_sees_no_variables_and_errors_name_what_it_can_see():
    with pytest.raises(DataError, match=r'Table with name source does not exist.*visible as "data"'):
        open_source({"a": [1, 2]}, sql="SELECT * FROM source")
    here = pa.table({"a": [1]})
    with pytest.raises(duckdb.Error, match="here does not exist"):
        connect().sql("FROM here").fetchall()
    assert here.num_rows == 1
    with pytest.raises(DataError, match="syntax error"):
        open_source({"a": [1, 2]}, sql="SELECT FROM WHERE")
    with pytest.raises(ColumnError, match='names column "a" 2 times'):
        open_source({"a": [1, 2]}, sql="SELECT a, a FROM data")


DELAYS = {"delay": [3.0, 20.0, None, 40.0], "carrier": ["UA", "AA", "UA", "B6"], "e = f": [1, 2, 3, 4]}


def test_a_target_by_name_wins_over_an_expression():
    source, name = add_target(open_source(DELAYS), "e = f")
    assert (name, source.read, source.left_out) == ("e = f", (), 0)
    assert source.inputs == ("delay", "carrier")


@pytest.mark.parametrize("target", ["late = delay > 15", '"late" = DELAY > 15', "late=(delay > 15) -- minutes"])
def test_a_target_by_an_expression(target):
    source, name = add_target(open_source(DELAYS), target)
    assert (name, source.target, source.read, source.left_out) == ("late", "late", ("delay",), 1)
    assert source.table["late"].to_pylist() == [False, True, True]
    assert source.row_numbers.tolist() == [1, 2, 4]
    assert source.inputs == ("carrier", "e = f")


def test_rows_without_a_target_are_left_out_nan_too():
    source, _ = add_target(open_source(pa.table({"y": pa.array([1.0, None, float("nan"), 2.0])})), "y")
    assert (source.left_out, source.table["y"].to_pylist(), source.row_numbers.tolist()) == (2, [1.0, 2.0], [1, 4])


@pytest.mark.parametrize(
    ("target", "kind", "text"),
    [
        ("dellay", ColumnError, 'no column "dellay" to learn: did you mean delay'),
        ("delay > 15", ColumnError, 'a formula needs a name: "target = delay > 15"'),
        ("late = dellay > 15", ColumnError, "reads dellay, which is no column: did you mean delay"),
        ("delay = delay > 15", TargetError, "would replace the column delay"),
        ("late = delay >", TargetError, "is no SQL expression: syntax error"),
        ("late = nofunction(delay)", TargetError, "cannot be evaluated: .*nofunction does not exist"),
        ("late = carrier > 15", TargetError, "cannot be evaluated: .*VARCHAR|Could not convert"),
        ("late = avg(delay)", TargetError, "must give one value for each row"),
        ("late = delay, carrier", TargetError, "must give one value for each row"),
        ("late = *", TargetError, "must give one value for each row"),
        ("late = 1", TargetError, "must give one value for each row"),
        ("late = delay) FROM data; DROP TABLE data; SELECT (1", TargetError, "is no SQL expression"),
        ("late = delay / 0.0 ", TargetError, "the target late is infinite in row 1 of"),
        ("late = nullif(delay, delay)", TargetError, "has no value in any of the 4 rows"),
    ],
)
def test_targets_that_are_refused(target, kind, text):
    with pytest.raises(kind, match=text):
        add_target(open_source(DELAYS), target)


def test_names_that_differ_in_case_only(tmp_path):
    source = open_source(write(tmp_path, "case.csv", "a,A,b\n1,4,7\n2,5,8\n"))
    assert source.table.to_pydict() == {"a": [1, 2], "A": [4, 5], "b": [7, 8]}
    assert add_target(source, "A")[0].inputs == ("a", "b")
    assert add_target(source, "t = b > 7")[0].table["t"].to_pylist() == [False, True]
    with pytest.raises(TargetError, match="cannot tell a from A: rename one of them"):
        add_target(source, "t = a > 1")


def test_a_grouped_query_is_the_same_every_time():
    rng = np.random.default_rng(0)
    data = {"g": rng.integers(0, 5000, 50_000), "x": rng.standard_normal(50_000)}
    tables = [open_source(data, sql="SELECT g, sum(x) AS s FROM data GROUP BY g").table for _ in range(3)]
    assert all(a.equals(b) for a, b in itertools.pairwise(tables))
