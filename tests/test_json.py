"""What ``--json`` prints is what its schema says, for every verb."""

import inspect
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from descender.cli import app

jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is in the development environment")

DOCS = Path(__file__).parents[1] / "docs"
SCHEMAS = {path.stem: json.loads(path.read_text()) for path in sorted((DOCS / "schemas").glob("*.json"))}
VERBS = {
    command.name or command.callback.__name__
    for command in app.registered_commands
    if "as_json" in inspect.signature(command.callback).parameters
}
FIT = ["fit", "example:heights", "--name", "m"]
RUNS = {
    "fit": [["fit", "example:breast_cancer"]],
    "fit without held-out rows": [["fit", "example:heights", "--holdout", "0", "--no-files"]],
    "fit of several classes": [["fit", "example:iris", "--l2", "0.01", "--no-compare"]],
    "fit of a network": [["fit", "example:iris", "--model", "mlp", "--hidden", "4", "-e", "3", "--no-compare"]],
    "fit with a preset": [["fit", "example:blobs", "--preset", "sigmoid"]],
    "fit that finds something": [["fit", "example:heights", "--method", "gd", "--learning-rate", "100", "--no-files"]],
    "predict": [FIT, ["predict", "m.descender", "example:heights", "--out", "p.csv"]],
    "predict of classes": [
        ["fit", "example:iris", "--name", "m"], ["predict", "m.descender", "example:iris", "--out", "p.csv"]
    ],
    "minimize": [["minimize", "(x-3)**2 + y**2", "--start", "x=0", "y=1"]],
    "minimize that fails": [["minimize", "x**2", "--start", "x=1", "--method", "gd", "-a", "3", "--no-files"]],
    "minimize from many starts": [["minimize", "x**4 - x**2", "--starts", "grid 5 -2..2"]],
    "minimize without a bottom": [["minimize", "x", "--start", "x=1", "--no-files"]],
    "sweep": [["sweep", "x**4 - x**2", "--range", "x=-2:2:9"]],
    "online": [["online", "example:heights", "--target", "weight"]],
    "diagnose": [
        ["minimize", "x**2", "--start", "x=1", "--method", "gd", "-a", "3", "--name", "w"],
        ["diagnose", "w.record.parquet"],
    ],
    "draw": [["minimize", "(x-3)**2", "--start", "x=0", "--name", "w"], ["draw", "w.record.parquet"]],
    "verify": [FIT, ["verify", "m.descender", "example:heights"]],
    "verify of a network": [
        ["fit", "example:iris", "--name", "m", "--model", "mlp", "--hidden", "4", "-e", "3", "--no-compare"],
        ["verify", "m.descender", "example:iris"],
    ],
    "verify on other data": [
        FIT, ["verify", "m.descender", "example:heights", "--sql", "SELECT height, 2 * weight AS weight FROM heights"]
    ],
    "compare": [["compare", "(x-3)**2 + y**4", "--start", "x=0", "y=1", "--evaluations", "200"]],
    "compare on a table": [["compare", "example:heights"]],
}  # fmt: skip


def check(verb, said):
    """Raise what is wrong with an object."""
    jsonschema.Draft202012Validator(SCHEMAS[verb]).validate(said)


@pytest.mark.parametrize("case", RUNS)
def test_a_verb_prints_what_its_schema_says(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in RUNS[case]:
        result = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
        said = json.loads(result.stdout, parse_constant=pytest.fail)
        check(words[0], said)
        for key in ("model", "record", "report", "picture", "script", "predictions"):
            assert said.get(key) is None or Path(said[key]).is_file()


def test_every_verb_has_a_schema_and_every_schema_runs():
    assert set(SCHEMAS) == VERBS
    assert {words[-1][0] for words in RUNS.values()} == VERBS
    for schema in SCHEMAS.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    page = (DOCS / "json.md").read_text(encoding="utf-8")
    for verb in VERBS:
        assert f"(schemas/{verb}.json)" in page


def test_a_planted_fault_is_seen(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["minimize", "x**2", "--start", "x=1", "--no-files", "--json"]
    said = json.loads(CliRunner().invoke(app, words, catch_exceptions=False).stdout)
    check("minimize", said)
    for fault in ({"fun": "much"}, {"more": 1}, {"nit": 1.5}, {"findings": [{"code": "X1"}]}):
        with pytest.raises(jsonschema.ValidationError):
            check("minimize", said | fault)
    with pytest.raises(jsonschema.ValidationError):
        check("minimize", {key: value for key, value in said.items() if key != "x"})
