"""``descender compare``: the table, the answer, the picture, one object for programs, and bad input."""

import json

import pytest
from typer.testing import CliRunner

from descender.cli import app
from descender.cli.compare import race_table
from descender.verbs.compare import compare

ROSENBROCK = ["(1-x)**2 + 100*(y-x**2)**2", "--start", "x=-1.2", "y=1"]


def run(*words):
    return CliRunner().invoke(app, ["compare", *words])


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_formula_has_a_table_an_answer_and_a_picture(folder):
    done = run(*ROSENBROCK, "--method", "auto,gd", "--method", "gd learning_rate=0.01", "--name", "valley")
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    header = next(line.split() for line in lines if line.startswith("method"))
    assert header[:3] == ["method", "goal", "to"]
    assert any(line.startswith("auto") and "reached" in line for line in lines)
    assert any("gd learning_rate=0.01: diverged" in line and "D101" in line for line in lines)
    assert any(line.startswith("answer") and "auto (L-BFGS)" in line for line in lines)
    assert (folder / "valley.compare.png").stat().st_size > 5_000
    assert "to 1e-6: auto (L-BFGS)" in (folder / "valley.compare.html").read_text(encoding="utf-8")
    again = run(*ROSENBROCK, "--method", "auto", "--name", "valley")  # our own file is replaced
    assert again.exit_code == 0


def test_a_table_is_raced_with_its_target():
    done = run("example:breast_cancer", "--epochs", "3", "--method", "sgd,saga", "--no-files")
    assert done.exit_code == 0, done.output
    assert "within 1 epoch: sgd" in done.output
    assert "569 rows" in done.output


def test_one_object_for_programs(folder):
    done = run(*ROSENBROCK, "--json", "--method", "auto", "--picture", "race.svg")
    told = json.loads(done.stdout)
    assert told["methods"][0]["reached"] is True
    assert told["picture"] == "race.svg"
    assert (folder / "race.svg").exists()
    assert told["summary"].startswith("within 10 evaluations: auto; to 1e-6: auto (L-BFGS)")


def test_nobody_reaches_it_unless_a_budget_was_asked_for(monkeypatch):
    from descender.verbs import compare as module

    monkeypatch.setattr(module, "EVALUATIONS", 20)
    assert run(*ROSENBROCK, "--method", "gd", "--no-files").exit_code == 1
    assert run(*ROSENBROCK, "--method", "gd", "--evaluations", "20", "--no-files").exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*ROSENBROCK, "--method", "gdd"], "did you mean gd?"),
        ([*ROSENBROCK, "--method", "gd rate=0.1"], "no option 'rate'"),
        (ROSENBROCK[:1], "where does the walk start?"),
        ([*ROSENBROCK, "--l2", "1"], "--l2 goes with a table"),
        (["example:heights", "--start", "a=1"], "--start goes with a formula"),
        (["example:height"], "did you mean heights?"),
        (["nowhere.csv", "--target", "y"], "nowhere.csv"),
        (["nowhere.csv"], "no such file"),
        ([*ROSENBROCK, "--picture", "race.gif"], ".png, .svg or .pdf"),
        ([*ROSENBROCK, "--to", "7"], "above 0 and below 1"),
        ([*ROSENBROCK, "--epochs", "3"], "has no samples"),
        (["(x - 1", "--start", "x=1"], "closed"),
    ],
)
def test_wrong_input_exits_with_2_and_words(words, said, folder):
    done = run(*words)
    assert done.exit_code == 2, done.output
    assert said in done.stderr.replace("\n       ", " ")
    assert done.stdout == ""
    assert not list(folder.iterdir())


def test_a_file_of_somebody_else_is_not_replaced(folder):
    (folder / "mine.compare.png").write_text("precious")
    done = run(*ROSENBROCK, "--name", "mine")
    assert done.exit_code == 2
    assert (folder / "mine.compare.png").read_text() == "precious"


def test_the_table_has_a_row_for_each_method():
    race = compare(*[ROSENBROCK[0], "x=-1.2 y=1", ["auto", "gd"]])
    lines = race_table(race)
    assert [line.split()[0] for line in lines[3:5]] == ["auto", "gd"]
    assert lines[4].split().count("-") == 2
