"""The command line: what people see, what programs read, and what a wrong input is told."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from commands import as_json, process, run
from descender.cli import app
from descender.cli.words import rewrite
from descender.record import Record

pytestmark = pytest.mark.usefixtures("own_folder")
ROSENBROCK = "(1-x)**2 + 100*(y-x**2)**2"
LINE = "mean((weight - (m*height + c))**2)"
VERBS = ("fit", "minimize", "sweep", "draw")  # and online, in a file of its own


class TestFiles:
    def test_ours_are_replaced(self):
        for _ in range(2):
            assert run("minimize", "x**2", "--start", "x=1").exit_code == 0

    @pytest.mark.parametrize("name", ["x_2.record.parquet", "x_2.png", "x_2.svg", "script.py", "x_2.html"])
    def test_others_are_refused_before_anything_is_computed(self, name):
        Path(name).write_text("mine")
        words = ["minimize", "x**2", "--start", "x=1", "--export-python", "script.py", "--picture"]
        words.append("x_2.svg" if name.endswith("svg") else "x_2.png")
        result = run(*words)
        assert result.exit_code == 2
        assert f"{name} exists and was not written by descender" in result.stderr
        assert result.stdout == ""
        assert Path(name).read_text() == "mine"
        assert [path.name for path in Path().iterdir()] == [name]
        assert run(*words, "--force").exit_code == 0
        assert Path(name).read_bytes() != b"mine"

    def test_another_picture_is_not_ours(self):
        Image.new("RGB", (2, 2)).save("x_2.png")
        assert run("minimize", "x**2", "--start", "x=1").exit_code == 2

    def test_a_file_is_no_folder(self):
        Path("taken").write_text("")
        result = run("minimize", "x**2", "--start", "x=1", "--out", "taken")
        assert result.exit_code == 2
        assert "taken is a file and no folder" in result.stderr


WRONG = [
    (["minimize", "x**2"], "--start x=1, or --random-start"),
    (["minimize", "x**2", "--start"], "--start"),
    (["minimize", "x**2", "--start", "y=1"], "start names 'y', which is no variable here"),
    (["minimize", "x**2 + y**2", "--start", "x=1"], "no value for y"),
    (["minimize", "x**2", "--start", "x=one"], "'x=one' is not NAME=NUMBER"),
    (["minimize", "x**2", "--start", "x=1", "x=2"], "x is given twice"),
    (["minimize", "x**2", "--start", "x=nan"], "not finite"),
    (["minimize", "log(x)", "--start", "x=-1"], "J is nan at the start"),
    (["minimize", "2x", "--start", "x=1"], "write products with *"),
    (["minimize", "(x", "--start", "x=1"], "never closed"),
    (["minimize", "", "--start", "x=1"], "the formula is empty"),
    (["minimize", "foo(x)", "--start", "x=1"], "foo"),
    (["minimize", "x**2", "--start", "x=1", "--method", "adm"], "--method adm; did you mean adam?"),
    (["minimize", "x**2", "--start", "x=1", "--method", "sgd"], "reads some samples"),
    (["minimize", "x**2", "--start", "x=1", "-a", "-1"], "must be a positive finite number"),
    (["minimize", "x**2", "--start", "x=1", "-a", "constnt"], "did you mean constant?"),
    (["minimize", "x**2", "--start", "x=1", "--steps", "-3"], "--steps -3: expected a number of at least 0"),
    (["minimize", "x**2", "--start", "x=1", "--steps", "1.5"], "is not a whole number"),
    (["minimize", "x**2", "--start", "x=1", "--clip-norm", "0"], "--clip-norm"),
    (["minimize", "x**2", "--start", "x=1", "--on-divergence", "weep"], "--on-divergence weep; known: stop"),
    (["minimize", "x**2", "--start", "x=1", "--tol", "1e-3"], "give --gradient-tol"),
    (["minimize", "x**2", "--start", "x=1", "--set", "beta=0.9", "--method", "gd"], "has no option 'beta'"),
    (["minimize", "x**2", "--start", "x=1", "--constant", "x"], "'x' is not NAME=NUMBER"),
    (["minimize", "x**2", "--start", "x=1", "--random-start"], "leave one out"),
    (["minimize", "x**2", "--start", "x=1", "--picture", "walk.gif"], "saved as .png, .svg or .pdf"),
    (["minimize", "x**2", "--start", "x=1", "--colour"], "No such option"),
    (["minimize", "x**2", "y**2", "--start", "x=1"], "unexpected extra argument"),
    (["minimize", "mean(m*a)", "--start", "m=1", "--data", "absent.csv"], "absent.csv: no such file"),
    (["minimize", "mean(m*a)", "--start", "m=1", "--data", "example:hights"], "did you mean heights?"),
    (
        ["minimize", "mean((weigth-m*height)**2)", "--data", "example:heights", "--start", "m=1"],
        "did you mean the column weight?",
    ),
    (
        ["minimize", "mean((weigth-m*height)**2)", "--data", "example:heights"],
        "weigth: did you mean the column weight?",
    ),
    (
        ["minimize", "mean((weigth-m*height)**2)", "--data", "example:heights", "--start", "1"],
        "did you mean the column weight?",
    ),
    (
        ["minimize", "mean((weight-m*heigth)**2)", "--data", "example:heights", "--start", "height=1"],
        "a column of the data and",
    ),
    (["minimize"], "Missing argument"),
    (["minimise", "x**2"], "Did you mean 'minimize'?"),
    (["sweep", "w**2"], "Give --range w=-5:5:101"),
    (["sweep", "w**2", "--range", "w=5:-5"], "expected LOW below HIGH"),
    (["sweep", "w**2", "--range", "v=-5:5"], "range of 'v', which is no variable here"),
    (["sweep", "w**2", "--range", "w=a:b"], "is not made of numbers"),
    (["sweep", "a*b*c*d", "--range", "a=0:1", "b=0:1", "c=0:1", "d=0:1"], "104,060,401 evaluations"),
    (["draw", "absent.parquet"], "no record at absent.parquet"),
    (["draw"], "Missing argument"),
    (["fit", "absent.csv", "--target", "y"], "absent.csv: no such file"),
    (["fit", "example:iris", "--target", "specie"], "did you mean species?"),
    (["fit", "example:iris", "--preset", "sigmod"], "did you mean sigmoid?"),
    (["fit", "example:iris", "--exclude", "petal"], "is no column"),
]


@pytest.mark.parametrize(("words", "told"), WRONG, ids=[shlex.join(words) for words, _ in WRONG])
def test_a_wrong_input_is_told_and_nothing_is_written(words, told):
    result = run(*words)
    assert result.exit_code == 2
    assert told in " ".join(re.sub(r"[│╭╮╰╯─]", "", result.stderr).split())
    assert "Traceback" not in result.stderr
    assert not list(Path().iterdir())


def test_a_wrong_input_leaves_standard_output_empty_for_programs():
    result = run("minimize", "x**2", "--start", "y=1", "--json")
    assert (result.exit_code, result.stdout) == (2, "")


class TestSweep:
    def test_table_counts_and_growth(self):
        result = run("sweep", "(w - 2)**2 + 1", "--range", "w=-5:5:101")
        assert result.exit_code == 0
        assert re.search(r"^ +2 +1  <- smallest$", result.stdout, re.MULTILINE)
        assert "sweep      101 evaluations: w = 2, J = 1\n" in result.stdout
        assert re.search(r"^descent    \d+ steps, \d+ evaluations: w = 2, J = 1,", result.stdout, re.MULTILINE)
        assert "10,510,100,501 in 5 variables" in result.stdout
        assert Record.load("w_2_2_1.sweep.record.parquet").facts["sweep"]["evaluations"] == 101
        assert Path("w_2_2_1.sweep.png").exists()

    def test_json(self):
        words = [
            "sweep",
            LINE,
            "--data",
            "example:heights",
            "--range",
            "m=0:2:5",
            "c=-200:100:4",
            "--start",
            "m=1",
            "c=0",
        ]
        found = as_json(*words, "--no-files")
        assert found["nfev"] == 20
        assert found["descent"]["fun"] < found["fun"]
        assert found["growth"][2] == {"variables": 3, "evaluations": 125}


class TestFit:
    def test_files_and_json(self):
        found = as_json("fit", "example:heights", "--target", "weight")
        assert found["converged"] is True
        assert {Path(found[kind]).suffix for kind in ("model", "record", "report")} == {
            ".descender",
            ".parquet",
            ".html",
        }
        assert run("fit", "example:heights", "--target", "weight").exit_code == 0
        Path("weight.html").write_text("mine")
        result = run("fit", "example:heights", "--target", "weight")
        assert (result.exit_code, "weight.html exists" in result.stderr) == (2, True)

    def test_the_fifth_tutorial(self):
        result = run("fit", "example:blobs", "--preset", "sigmoid", "-e", "10", "-a", "0.01", "--explain", "--no-files")
        assert result.exit_code == 0
        assert [int(k) for k in re.findall(r"^epoch +(\d+)", result.stdout, re.MULTILINE)] == [1, 5, 10]
        assert "precision    recall  f1-score   support" in result.stdout
        assert "slope of the loss = error × prediction × (1 - prediction)" in result.stdout

    def test_its_pictures_are_written_and_are_ours(self):
        words = ["fit", "example:blobs", "--preset", "sigmoid", "-e", "10", "-a", "0.01"]
        found = as_json(*words)
        assert found["pictures"] == {"boundary": "label.boundary.png", "loss": "label.loss.png"}
        for path in found["pictures"].values():
            with Image.open(path) as image:
                assert image.info["Software"].startswith("descender")
        assert run(*words).exit_code == 0
        Path("label.loss.png").write_text("mine")
        result = run(*words)
        assert (result.exit_code, "label.loss.png exists" in result.stderr) == (2, True)

    def test_standard_input_is_explained_too(self):
        rows = "\n".join(f"{x},{3 * x + 1}" for x in range(40))
        words = ["fit", "--target", "y", "--method", "gd", "-a", "0.1", "-e", "5", "--explain", "--no-files", "-"]
        result = CliRunner().invoke(app, words, input=f"x,y\n{rows}\n")
        assert result.exit_code == 0
        assert "error = prediction - target = 0 - 1 = -1" in result.stdout

    def test_what_cannot_be_explained_is_said_and_the_files_are_written(self):
        result = run("fit", "example:iris", "--explain")
        assert result.exit_code == 0
        assert "softmax has one for each class" in result.stdout
        assert Path("species.descender").exists()


class TestHelp:
    def test_without_words_the_help_is_shown(self):
        result = run()
        assert all(verb in result.output for verb in VERBS)

    def test_version(self):
        assert re.fullmatch(r"descender \d+\.\d+\.\d+\n", run("--version").stdout)

    @pytest.mark.parametrize(
        "verb", [*(pytest.param(v, marks=pytest.mark.slow) for v in VERBS if v != "sweep"), "sweep"]
    )
    def test_the_examples_run(self, verb):
        command = next(c for c in app.registered_commands if c.callback.__name__ == verb)
        examples = [
            line.strip() for line in command.callback.__doc__.splitlines() if line.strip().startswith("descender ")
        ]
        assert examples
        shown = run(verb, "--help").output
        for example in examples:
            assert example[:60] in shown
            if "example:flights" in example:
                continue
            result = run(*shlex.split(example)[1:])
            assert result.exit_code in (0, 1) if "0.0021" in example else result.exit_code == 0, result.output

    @pytest.mark.parametrize("words", [[], ["fit"], ["lab"]], ids=str)
    def test_the_help_says_no_type_of_what_takes_no_value(self, words):
        shown = run(*words, "--help").output
        assert "--help" in shown
        assert "<bool>" not in shown

    def test_the_help_names_every_method(self):
        from descender.methods.auto import METHODS

        shown = run("minimize", "--help").output
        assert all(method in shown for method in METHODS)


class TestTerminal:
    def test_nothing_but_lines_in_a_pipe(self):
        result = process("minimize", "(x - 3)**2", "--start", "x=-1", "--no-files")
        assert (result.returncode, result.stderr) == (0, "")
        assert "\033" not in result.stdout
        assert len(result.stdout.splitlines()) == 3

    def test_a_wrong_input_has_no_traceback(self):
        result = process("minimize", "x**2", "--start", "x=one")
        assert (result.returncode, result.stdout) == (2, "")
        assert result.stderr.startswith("error: ")

    @pytest.mark.skipif(os.name == "nt", reason="signals")
    def test_an_interrupt_keeps_the_best_so_far(self, tmp_path):
        rows = np.random.default_rng(0).normal(size=(20_000, 2))
        np.savetxt("rows.csv", rows, fmt="%.6f", delimiter=",", header="a,b", comments="")
        words = ["minimize", "mean((b - m*a - c)**2) + k**2", "--data", "rows.csv", "--start", "m=9", "c=9", "k=9"]
        words += ["-a", "1e-9", "--steps", "1e12", "--name", "long"]
        command = [sys.executable, "-u", "-m", "descender.cli", *words]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            assert running.stdout.readline().startswith("read")
            while not running.stdout.readline().startswith("dJ/dk"):  # the last that is told before the walk
                pass
            time.sleep(1.5)
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=200)
        assert (running.returncode, err) == (1, "")
        assert "Interrupted: this is the last point." in out
        assert len(Record.load(tmp_path / "long.record.parquet")) > 100

    def test_the_help_comes_at_once(self):
        code = "import sys, descender.cli; print([m for m in ('numpy', 'scipy', 'sympy') if m in sys.modules])"
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True)
        assert result.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "rewritten"),
    [
        ("--table --json", ["--table=5", "--json"]),
        ("--table 10", ["--table=10"]),
        ("-a inverse-time 0.1 0.01 --steps 3", ["-a", "inverse-time 0.1 0.01", "--steps", "3"]),
        ("-a 0.1 x**2", ["-a", "0.1", "x**2"]),
        ("--start x=1 y=2 x**2+y", ["--start=x=1", "--start=y=2", "x**2+y"]),
        ("-e100", ["-e100"]),
        ("-exp(x) -e 3", ["-e", "3", "--", "-exp(x)"]),
        ("-q", ["-q"]),
        ("-- -x**2 --start", ["--", "-x**2", "--start"]),
    ],
)
def test_words_are_rewritten(words, rewritten):
    options = {"--json": False} | dict.fromkeys(["--table", "-a", "--steps", "--start", "-e"], True)
    assert rewrite(words.split(), options) == rewritten
