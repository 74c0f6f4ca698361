"""What goes wrong with tables, through the command line: an error of ours or a word about it, and nothing lost."""

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from commands import run
from descender.data.source import open_source
from descender.data.split import holdout
from descender.errors import DataError

pytestmark = pytest.mark.usefixtures("own_folder")
RNG = np.random.default_rng(0)
N = 300
X = RNG.normal(size=N)
Y = 2 * X + 0.1 * RNG.normal(size=N)
ROWS = [f"{a:.4f},{b:.4f}" for a, b in zip(X, Y, strict=True)]
TOWNS = [f"{('Köln', 'München', 'Orléans')[i % 3]},{row}" for i, row in enumerate(ROWS)]
HELD = int(np.flatnonzero(holdout(N))[0])


def fit(path, *words):
    return run("fit", path, "--target", "y", "--l2", "0.001", "--no-compare", *words)


def table(header, rows, encoding="utf-8"):
    return (header + "\n" + "\n".join(rows) + "\n").encode(encoding)


def changed(row, at=122):
    return table("x,y", [*ROWS[:at], row, *ROWS[at + 1 :]])


def column(cells, name="k"):
    return table(f"{name},x,y", [f"{cell},{row}" for cell, row in zip(cells, ROWS, strict=True)])


REFUSED = {
    "text in the target": (changed("1,oops"), 'the target y in row 123 is "oops", and most others are numbers'),
    "an infinite value": (changed("inf,1"), "column x, row 123 is infinite"),
    "an infinite target": (changed("1,-inf"), "the target y is infinite in row 123"),
    "1e308": (changed("1e308,1"), r"column x, row 123 is 1e\+308: magnitudes above 1e\+300"),
    "a target of 1e308": (changed("1,1e308"), r"the target y in row 123 is 1e\+308"),
    "a target of 1e200": (changed("1,1e200"), r"the target y in row 123 is 1e\+200: give it in a larger unit"),
    "targets of 1e-200": (
        table("x,y", [f"{a:.4f},{b * 1e-200}" for a, b in zip(X, Y, strict=True)]),
        "the values of the target y differ by .*e-199 at most: give it in a smaller unit",
    ),
    "a target beyond 64 bits": (
        table("x,y", [f"{a:.4f},{10**25 + 7 * i}" for i, a in enumerate(X)]),
        "y goes from 10{25} to 1.*2093, where the numbers of float64 are .* apart: learn its distance",
    ),
    "a target beyond 2**53": (
        table("x,y", [f"{a:.4f},{2**60 + 7 * i}" for i, a in enumerate(X)]),
        "float64 are 256 apart",
    ),
    "a target of 41 digits": (
        table("x,y", [f"{a:.4f},{10**40 + 7 * i}" for i, a in enumerate(X)]),
        "in every row, as far as the 16 digits",
    ),
    "a feature of 400 digits": (changed("9" * 400 + ",1"), "column x, row 123 is infinite"),
    "a short row": (changed("1"), r'line 124 \("1"\) has 1 cell where the first line has 2'),
    "a long row": (changed("1,2,3"), r'line 124 \("1,2,3"\) has 3 cells where the first line has 2'),
    "an open quote": (changed('"1,2'), "opens a quote that is never closed|cannot be read"),
    "nothing but zeros": (table("x,y", ["0,0"] * 40), "there is nothing to learn"),
    "a name twice": (table("x,x,y", [f"1,{row}" for row in ROWS]), 'names column "x" 2 times'),
    "NUL bytes": (changed("\0,1"), "is a binary file"),
    "no column to learn from": (table("y", [f"{v}" for v in Y]), "no column is left to learn from"),
    "no target": (table("x,z", ROWS), 'no column "y" to learn'),
    "a header alone": (b"x,y\n", "no row below it"),
    "an empty file": (b"", "is empty"),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A table and the files of its fit."""
    folder = tmp_path_factory.mktemp("good")
    (folder / "good.csv").write_bytes(table("x,y", ROWS))
    assert fit(folder / "good.csv", "--out", folder).exit_code == 0
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_learnt_from_is_refused_and_nothing_is_lost(case, good, own_folder):
    content, text = REFUSED[case]
    for name, written in good.items():
        (own_folder / name).write_bytes(written)
    (own_folder / "bad.csv").write_bytes(content)
    result = fit("bad.csv")
    assert result.exit_code == 2
    assert re.search(text, " ".join(result.stderr.split())), result.stderr
    assert "Traceback" not in result.stderr
    (own_folder / "bad.csv").unlink()
    assert {path.name: path.read_bytes() for path in own_folder.iterdir()} == good


TOLD = {
    "text among numbers": (
        changed("oops,1"), 'column x of t.csv: 1 of its 300 values is no number, such as "oops" in row 123'
    ),
    "a constant column": (column([7] * N), "k is constant in the training rows: left out"),
    "constant in training only": (
        column([9 if i == HELD else 7 for i in range(N)]), "k is constant in the training rows: left out"
    ),
    "beyond int64": (column([2**63 + 7 * i for i in range(N)]), r"k has whole numbers beyond 2\*\*53"),
    "an identifier": (column(range(N), "id"), "id has a different value in nearly every row, as an identifier has"),
    "Latin-1": (table("town,x,y", TOWNS, "latin-1"), r"t\.csv is not UTF-8 text: read as Latin-1 \(line 2 is"),
    "GB18030": (
        table("城市,x,y", [f"{'京沪穗'[i % 3]}市,{row}" for i, row in enumerate(ROWS)], "gb18030"),
        r"t\.csv is not UTF-8 text: read as GB18030 \(line 1 is",
    ),
    "mixed encodings": (
        table("town,x,y", TOWNS[:200]) + "\n".join(TOWNS[200:]).encode("latin-1"),
        r"t\.csv mixes encodings: \d+ of its lines are not UTF-8 text, the first is line 20\d: read as Latin-1",
    ),
    "decimal commas": (
        table("x;y", [row.replace(",", ";").replace(".", ",") for row in ROWS]),
        r"column x of t\.csv is read with decimal commas",
    ),
    "dates as people write them": (
        column([f"{1 + i % 28}/{1 + i % 12}/2024" for i in range(N)], "day"), "day: read as %d/%m/%Y"
    ),
    "a leak": (
        table("x,y,z", [f"{v:.4f},{w:.4f},{w:.4f}" for v, w in zip(RNG.normal(size=N), Y, strict=True)]), "D031 z alone"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", TOLD)
def test_what_is_odd_is_told_and_the_model_stands(case, own_folder):
    content, text = TOLD[case]
    (own_folder / "t.csv").write_bytes(content)
    result = fit("t.csv")
    assert result.exit_code == 0, result.stderr
    assert re.search(text, result.stdout), result.stdout
    # the file can be predicted as it is, and from what a program reads the same is heard
    assert run("predict", "y.descender", "t.csv", "--out", "p.csv").exit_code == 0
    said = json.loads(fit("t.csv", "--json").stdout)
    heard = [*said["told"], *(f"{f['code']} {f['title']}" for f in said["findings"])]
    assert any(re.search(text, line) for line in heard)


TO_FULL = ["fit", "good.csv", "--target", "y", "--l2", "0.1", "--no-compare"]
TO_PREDICT = ["predict", "y.descender", "good.csv"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("words", [[*TO_FULL, "--no-files"], [*TO_FULL, "--no-files", "--json"], TO_PREDICT])
def test_an_output_that_takes_nothing_is_told(words, good, own_folder):
    for name, written in good.items():
        (own_folder / name).write_bytes(written)
    command = [sys.executable, "-m", "descender", *words]
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=200)
    assert ran.returncode == 2
    assert ran.stderr == "error: standard output cannot be written: No space left on device; send it elsewhere\n"


def test_a_standard_input_that_is_closed_is_told(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(DataError, match="standard input is closed"):
        open_source("-")


@pytest.mark.parametrize("kept", [0, 2])
def test_a_disk_that_is_full_loses_nothing(kept, good, own_folder, monkeypatch):
    """The model and the record may be new, the report is the old one, whole; nothing half-written stays."""
    for name, written in good.items():
        (own_folder / name).write_bytes(written)
    replace, done = os.replace, []

    def rename(old, new):
        if len(done) == kept:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done.append(new)
        replace(old, new)

    monkeypatch.setattr("os.replace", rename)
    result = fit("good.csv")
    assert result.exit_code == 2
    assert "cannot be written: No space left on device; nothing was replaced" in " ".join(result.stderr.split())
    assert {path.name for path in own_folder.iterdir()} == set(good)
    assert (own_folder / "y.html").read_bytes() == good["y.html"]
    assert run("predict", "y.descender", "good.csv", "--out", "p.csv").exit_code == 2
    monkeypatch.undo()
    monkeypatch.chdir(own_folder)
    assert run("predict", "y.descender", "good.csv", "--out", "p.csv").exit_code == 0


def test_a_folder_that_may_not_be_written_is_told_before_anything_is_read(own_folder, monkeypatch):
    (own_folder / "t.csv").write_bytes(table("x,y", ROWS))
    monkeypatch.setattr("os.access", lambda path, mode, **_: mode != os.W_OK)
    result = fit("t.csv", "--out", "there")
    assert result.exit_code == 2
    assert "nothing may be written into" in " ".join(result.stderr.split())
    assert not result.stdout


def test_a_count_below_zero_is_named_by_its_row(own_folder):
    (own_folder / "t.csv").write_bytes(table("x,y", [*(f"{i % 7}.5,{i % 5}.25" for i in range(60)), ",", "1,-3"]))
    result = fit("t.csv", "--loss", "poisson")
    assert result.exit_code == 2
    assert "the target y in row 62 is -3; poisson needs numbers of at least 0" in " ".join(result.stderr.split())


def test_a_leak_is_never_left_out(own_folder):
    (own_folder / "t.csv").write_bytes(TOLD["a leak"][0])
    assert "x, z" not in fit("t.csv").stdout
    said = json.loads(fit("t.csv", "--json").stdout)
    assert said["n_features"] == 2


def test_text_among_numbers_is_missing_when_predicted_too(own_folder):
    (own_folder / "t.csv").write_bytes(changed("oops,1"))
    assert fit("t.csv").exit_code == 0
    (own_folder / "new.csv").write_text("x\n1.5\nnothing\n-1\n")
    result = run("predict", "y.descender", "new.csv", "--out", "p.csv", "--json")
    assert json.loads(result.stdout)["missing"] == {"x": 1}


def test_more_columns_than_rows(own_folder):
    rows = [",".join(f"{v:.3f}" for v in RNG.normal(size=301)) for _ in range(60)]
    (own_folder / "wide.csv").write_bytes(table(",".join([*(f"x{j}" for j in range(300)), "y"]), rows))
    said = json.loads(fit("wide.csv", "--json").stdout)
    assert said["converged"]
    assert said["certificate"]["rigorous"]
    assert said["n_features"] == 300


def test_hostile_names_stay_names(own_folder):
    names = ['"<script>alert(1)</script>"', '"a\nb"', '"../../etc/passwd"', '"{{ 7*7 }}"', "价格"]
    rows = [",".join(f"{v:.3f}" for v in RNG.normal(size=5)) + f",{b:.4f}" for b in Y]
    (own_folder / "t.csv").write_bytes(table(",".join([*names, "y"]), rows))
    assert fit("t.csv").exit_code == 0
    page = (own_folder / "y.html").read_text(encoding="utf-8")
    assert "<script>alert(1)" not in page
    assert "{{ 7*7 }}" in page
    assert {path.name for path in own_folder.iterdir()} == {"t.csv", "y.descender", "y.html", "y.record.parquet"}
    assert run("predict", "y.descender", "t.csv", "--out", "p.csv").exit_code == 0


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("SELECT * FROM nowhere", "nowhere does not exist.*visible as"),
        ("SELECT x, y FROM data WHERE", "syntax error"),
        ("SELECT x / 'a' AS x, y FROM data", "Could not convert|cannot be run"),
        ("DROP TABLE data", "one SELECT, which only reads"),
        ("COPY data TO 'stolen.csv'", "one SELECT, which only reads"),
    ],
)
def test_a_query_that_is_wrong(own_folder, query, text):
    (own_folder / "t.csv").write_bytes(table("x,y", ROWS))
    result = fit("t.csv", "--sql", query)
    assert result.exit_code == 2
    assert re.search(text, " ".join(result.stderr.split()))
    assert not (own_folder / "stolen.csv").exists()


def test_two_hundred_thousand_categories_stay_small(own_folder):
    """The same with two million takes seconds, and no more memory for each; see docs/data.md."""
    n = 200_000
    rows = [f"user {i % 199_999},{i % 7},{(i % 7) * 2}" for i in range(n)]
    (own_folder / "t.csv").write_bytes(table("user,x,y", rows))
    result = fit("t.csv")
    assert result.exit_code == 0
    assert re.search("user has a different value in nearly every row|user has no value that enough", result.stdout)
