"""``descender draw``: pictures, films and pages from saved records."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from descender.cli import app
from descender.verbs.minimize import minimize

ROSENBROCK = "(1-x)**2 + 100*(y-x**2)**2"


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Records of two walks on one formula, and of one over data."""
    folder = tmp_path_factory.mktemp("records")
    for name, more in {"walk": {}, "gd": {"method": "gd", "max_steps": 50}}.items():
        minimize(ROSENBROCK, "x=-1.2 y=1", **more).record.save(folder / f"{name}.record.parquet")
    over_data = minimize("mean((y - m*x)**2)", "m=0", data={"x": [1.0, 2.0], "y": [2.0, 4.1]})
    over_data.record.facts["data"] = "table.csv"
    over_data.record.save(folder / "line.record.parquet")
    return folder


@pytest.fixture
def folder(records, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in records.iterdir():
        Path(path.name).write_bytes(path.read_bytes())
    return tmp_path


def run(*words):
    return CliRunner().invoke(app, ["draw", *map(str, words)], catch_exceptions=False)


def wrote(*words):
    result = run(*words, "--json")
    assert result.exit_code == 0, result.stderr
    return [Path(name) for name in json.loads(result.stdout)["pictures"]]


def test_every_picture_that_there_is(folder):
    result = run("walk.record.parquet", "--picture", "all")
    assert result.exit_code == 0
    drawn = re.findall(r"walk\.(\w+)\.png", result.stdout)
    assert drawn == ["cost", "gradient_norm", "step_norm", "learning_rate", "overview", "path", "surface"]
    assert "no picture slice: a slice shows one weight, and this cost has 2" in result.stdout
    for kind in drawn:
        with Image.open(f"walk.{kind}.png") as image:
            assert min(image.size) > 400


def test_a_race_against_seconds_and_two_walks_on_one_surface(folder):
    both = ["walk.record.parquet", "gd.record.parquet"]
    assert wrote(*both, "--against", "seconds", "--out", "race.pdf")[0].read_bytes().startswith(b"%PDF")
    (path,) = wrote(*both, "--picture", "path", "--out", "both.svg")
    assert b"L-BFGS" not in path.read_bytes()  # words are drawn, not set
    assert run(*both, "--picture", "surface").exit_code == 2


def test_a_film_has_a_frame_for_each_step(folder):
    (path,) = wrote("walk.record.parquet", "--picture", "path", "--out", "walk.gif")
    with Image.open(path) as image:
        assert image.n_frames == 35
        assert image.info["comment"].startswith(b"descender")
    assert wrote("walk.record.parquet", "--out", "walk.gif")  # ours: replaced
    Image.new("RGB", (2, 2)).save("walk.gif")
    assert "was not written by descender" in run("walk.record.parquet", "--out", "walk.gif").stderr


def test_a_page_of_a_record(folder):
    (path,) = wrote("walk.record.parquet", "--out", "walk.html")
    text = path.read_text(encoding="utf-8")
    assert "(1-x)**2 + 100*(y-x**2)**2" in text
    assert path.stat().st_size < 7_000_000
    (film,) = wrote("walk.record.parquet", "gd.record.parquet", "--out", "both.html")
    assert '"frames"' in film.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["line.record.parquet", "--picture", "slice"], "over data, which the record does not hold"),
        (["walk.record.parquet", "--against", "second"], "did you mean seconds?"),
        (["walk.record.parquet", "--picture", "paths"], "did you mean path?"),
        (["walk.record.parquet", "--picture", "surface", "--out", "s.gif"], "slice and path move"),
        (["walk.record.parquet", "--out", "s.bmp"], ".png, .svg or .pdf"),
    ],
)
def test_what_cannot_be_drawn_is_said(folder, words, told):
    before = sorted(folder.iterdir())
    result = run(*words)
    assert result.exit_code == 2
    assert told in result.stderr
    assert sorted(folder.iterdir()) == before
