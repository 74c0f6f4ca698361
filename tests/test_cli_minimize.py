"""descender minimize: what it tells, draws and writes; many starts, algebra and bounds."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from commands import as_json, run
from descender.record import Record

pytestmark = pytest.mark.usefixtures("own_folder")
ROSENBROCK = "(1-x)**2 + 100*(y-x**2)**2"
LINE = "mean((weight - (m*height + c))**2)"


class TestMinimize:
    def test_tells_derivatives_method_outcome_and_files(self):
        result = run("minimize", ROSENBROCK, "--start", "x=-1.2", "y=1")
        assert result.exit_code == 0
        lines = result.stdout.splitlines()
        assert lines[:2] == ["dJ/dx = -400 x (y - x^2) - 2 (1 - x)", "dJ/dy = 200 (y - x^2)"]
        assert lines[2].startswith("L-BFGS, because two variables")
        assert re.match(r"\d+ steps, \d+ evaluations: x = 1, y = 1, J = .*e-.*, gradient .*\.  A minimum: ", lines[3])
        assert (
            lines[4] == "wrote      1_x_2_100_y_x_2_2.record.parquet   1_x_2_100_y_x_2_2.png   1_x_2_100_y_x_2_2.html"
        )
        assert Record.load("1_x_2_100_y_x_2_2.record.parquet").path[-1] == pytest.approx([1, 1])
        with Image.open("1_x_2_100_y_x_2_2.png") as image:
            assert image.info["Software"].startswith("descender")

    @pytest.mark.parametrize(
        "start",
        [
            ["--start", "x=-1.2", "y=1"],
            ["--start", "x=-1.2,y=1"],
            ["--start", "x=-1.2,", "y=1"],
            ["--start", "y=1", "--start", "x=-1.2"],
            ["--start=x=-1.2 y=1"],
            ["--start", "-1.2", "1"],
        ],
    )
    def test_spellings_of_a_start(self, start):
        found = as_json("minimize", ROSENBROCK, *start, "--no-files")
        assert found["start"] == {"x": -1.2, "y": 1}
        assert found["x"] == pytest.approx({"x": 1, "y": 1})

    def test_options_may_come_first(self):
        assert as_json("minimize", "--start", "x=0", "--no-files", "(x-3)**2")["x"] == pytest.approx({"x": 3})

    @pytest.mark.parametrize("formula", ["-x**2", "-x", "-(x - 1)**2"])
    def test_a_formula_may_begin_with_a_minus(self, formula):
        found = as_json("minimize", formula, "--start", "x=0.5", "--no-files", status=1)
        assert (found["formula"], found["status"]) == (formula, "unbounded")

    def test_a_rate_too_high_is_found_and_its_remedy_works(self):
        words = ["minimize", ROSENBROCK, "--start", "x=-1.2", "y=1", "--method", "gd", "--no-files"]
        result = run(*words, "--learning-rate", "0.01")
        assert result.exit_code == 1
        assert "stopped at step 5: the next J is not finite" in result.stdout
        assert "D101 learning rate too high" in result.stdout
        rate = re.search(r"try --learning-rate (\S+),", result.stdout)[1]
        assert run(*words, "-a", rate, "--steps", 100).exit_code == 0

    def test_json_has_the_documented_fields(self):
        found = as_json("minimize", "(x - 3)**2 + y**2", "--start", "x=0", "y=1")
        expected = "x fun jac nit nfev njev success converged message status method why findings notes"
        expected += " record picture script report"
        assert {*expected.split(), "formula", "derivatives", "start"} == set(found)
        assert found["converged"] is True
        assert Path(found["record"]).exists()
        assert Path(found["picture"]).exists()

    def test_what_is_not_finite_is_a_string(self):
        found = as_json(
            "minimize", "x**2", "--start", "x=1", "-a", 10, "--on-divergence", "continue", "--steps", 2000,
            "--no-files", status=1,
        )  # fmt: skip
        assert (found["x"]["x"], found["fun"]) == ("NaN", "NaN")
        assert np.isnan(float(found["fun"]))

    def test_a_budget_that_was_asked_for_is_no_failure(self):
        words = ["minimize", "log(cosh(x))", "--start", "x=10", "--method", "gd", "-a", "0.0021", "--no-files"]
        asked = as_json(*words, "--steps", "1e4")
        assert (asked["converged"], asked["nit"]) == (False, 10_000)
        assert asked["x"]["x"] == pytest.approx(8.249e-06, rel=1e-3)
        result = run(*words)
        assert result.exit_code == 1
        assert "--steps N allows more" in result.stdout

    def test_data_constants_settings_and_schedule(self):
        found = as_json(
            "minimize", "mean((weight - (m*height + c))**2) + k*m**2", "--data", "example:heights",
            "--start", "m=1", "c=0", "--constant", "k=0.5", "--method", "momentum", "--set", "beta=0.5",
            "--learning-rate", "inverse-time", "1e-5", "0.1", "--steps", 20, "--no-files",
        )  # fmt: skip
        assert found["nit"] == 20
        assert as_json("minimize", LINE, "--data", "example:heights", "--start", "m=1 c=0", "--no-files")["x"] == (
            pytest.approx({"m": 0.939746635, "c": -92.5658142})
        )

    def test_sql_chooses_the_rows(self):
        query = "SELECT height, weight FROM heights WHERE height > 170"
        result = run(
            "minimize", LINE, "--data", "example:heights", "--sql", query, "--start", "m=1", "c=0", "--no-files"
        )
        assert "read       13 rows" in result.stdout

    def test_random_start_is_seeded(self):
        words = ["minimize", "x**4 - 2*x**2 + y**2", "--random-start", "--no-files"]
        assert as_json(*words) == as_json(*words)
        assert as_json(*words)["start"] != as_json(*words, "--seed", 1)["start"]

    def test_a_start_at_a_maximum_is_said_and_left(self):
        result = run("minimize", "x**4 - 2*x**2", "--start", "x=0", "--no-files")
        assert "note       the gradient is zero at the start, but it is a maximum" in result.stdout

    def test_errors_without_squares_are_recognised(self):
        words = ["minimize", "mean(weight - (m*height + c))", "--data", "example:heights", "--start", "m=1", "c=0"]
        result = run(*words, "--no-files")
        assert result.exit_code == 1
        assert "Unbounded below along" in result.stdout
        assert "did you mean to square the errors?" in result.stdout

    def test_table_shows_the_first_and_last_steps(self):
        words = ["minimize", LINE, "--data", "example:heights", "--start", "m=1", "c=0", "-a", "1e-5", "--steps", 50]
        result = run(*words, "--no-files", "--table", "2")
        lines = result.stdout.splitlines()
        head = next(k for k, line in enumerate(lines) if "iteration" in line)
        assert lines[head].split() == ["iteration", "m", "c", "dJ/dm", "dJ/dc", *["step", "m", "step", "c"], "cost"]
        first = [float(cell) for cell in lines[head + 1].split()]
        assert first[:3] == [0, 1, 0]
        assert first[5:7] == pytest.approx([1e-5 * g for g in first[3:5]], rel=1e-5)
        assert [line.split()[0] for line in lines[head + 1 : head + 6]] == ["0", "1", "...", "49", "50"]

    def test_explain_and_export(self):
        result = run("minimize", "(x - 3)**2", "--start", "x=1", "-a", "0.1", "--steps", 4, "--no-files", "--explain",
                     "--export-python", "walk.py")  # fmt: skip
        assert "= 1 - 0.1 × (-4)" in result.stdout
        script = subprocess.run([sys.executable, "walk.py"], capture_output=True, text=True, timeout=200, check=True)
        assert float(script.stdout.split()[2]) == pytest.approx(3 - 2 * 0.8**4)

    def test_picture_goes_where_it_is_asked(self):
        run(
            "minimize", "a**2 + b**2 + c**2", "--start", "a=1", "b=2", "c=3", "--no-files", "--picture", "sub/plane.svg"
        )
        assert b"descender" in Path("sub/plane.svg").read_bytes()
        assert not list(Path().glob("*.parquet"))

    def test_out_and_name(self):
        found = as_json("minimize", "x**2", "--start", "x=1", "--out", "walks", "--name", "square")
        assert found["record"] == os.path.join("walks", "square.record.parquet")


def test_many_starts_give_a_table_of_minima_and_the_picture_of_their_basins():
    result = run("minimize", "x**4 - 2*x**2 + x/2", "--starts", "grid", "9", "-2..2", "--name", "two")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert any(line.startswith("note       9 starts: 2 minima, this the lowest seen") for line in lines)
    head = next(k for k, line in enumerate(lines) if line.split() == ["x", "J", "starts", "share"])
    assert lines[head + 1].split()[:2] == ["-1.05745", "-1.51475"]
    assert lines[head + 2].split()[:2] == ["0.930403", "-0.516749"]
    assert Path("two.png").stat().st_size > 5_000
    assert sum(m["starts"] for m in Record.load("two.record.parquet").facts["minima"]) == 9


def test_many_starts_as_json():
    result = run("minimize", "x**4 - 2*x**2 + x/2", "--starts", "sobol 8 -2..2", "--json", "--no-files")
    found = json.loads(result.stdout)
    assert [m["fun"] for m in found["minima"]] == sorted(m["fun"] for m in found["minima"])
    assert found["x"] == found["minima"][0]["x"]
    assert sum(m["share"] for m in found["minima"]) == 1
    wrong = run("minimize", "x**2", "--starts", "grid")
    assert wrong.exit_code == 2
    assert "--starts grid: expected" in wrong.stderr


def test_algebra_beside_the_walk():
    result = run("minimize", "x**4 - 2*x**2 + x/2", "--start", "x=2", "--exact", "20.5", "--no-files")
    assert result.exit_code == 0, result.stderr
    assert "algebra    3 stationary points, and there are no others\n" in result.stdout
    assert [line.split()[-1] for line in result.stdout.splitlines() if line.endswith("mum")] == [
        "minimum", "minimum", "maximum",
    ]  # fmt: skip
    found = as_json("minimize", "x**2/10 + cos(x)", "--start", "x=2", "--exact", "--no-files")["stationary"]
    assert found["points"] == []
    assert found["failure"].startswith("no method of algebra")


def test_bounds_are_kept():
    found = as_json("minimize", "(x - 3)**2 + (y + 1)**2", "--start", "x=0", "y=5", "--bounds", "x=..1", "y=0..")
    assert found["x"] == {"x": 1.0, "y": 0.0}
    assert "within x=..1, y=0.." in found["why"]
    wrong = run("minimize", "x**2", "--start", "x=1", "--bounds", "z=0..1")
    assert wrong.exit_code == 2
    assert "z" in wrong.stderr
