"""fit: what it says and writes."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from shop import shop

from descender import fit
from descender.errors import (
    DivergedError,
    OutputError,
)
from descender.model import Model
from descender.record import Record

SCHEMA = {
    "task": str, "loss": str, "n_rows": int, "n_features": int, "method": str, "why": str, "converged": bool,
    "message": str, "cost": float, "certificate": dict, "metrics": dict, "reads": int, "seconds": dict,
    "findings": list, "told": list, "penalty": dict, "comparison": type(None),
    "model": str, "record": str, "report": str, "script": type(None), "pictures": dict,
}  # fmt: skip


def test_json_follows_its_schema(fitted, tmp_path):
    for result in fitted.values():
        before = result.as_json()
        assert (before["model"], before["record"], before["report"]) == (None, None, None)
        result.save(tmp_path)
        plain = json.loads(json.dumps(result.as_json(), allow_nan=False))
        assert {name: type(value) for name, value in plain.items()} == SCHEMA
        assert plain["certificate"].keys() >= {"kind", "rigorous", "gap", "relative"}
        assert plain["metrics"].keys() == {"train", "holdout", "baseline"}
        assert plain["seconds"].keys() >= {"read", "encode", "fit", "report"}
        assert all(seconds >= 0 for seconds in plain["seconds"].values())
        assert plain["converged"] is True
        assert plain["n_features"] == len(result.model.features)
        first = next(iter(plain["metrics"]["holdout"]))
        assert set(plain["metrics"]["holdout"]) >= set(plain["metrics"]["baseline"]) >= {first}
        for name in ("model", "record", "report"):
            assert Path(plain[name]).exists()


@pytest.mark.parametrize(
    "options",
    [
        {"data": "example:diabetes", "method": "gd", "learning_rate": 100.0},
        {"data": "example:diabetes", "method": "sgd", "learning_rate": 10.0, "epochs": 1},
        {"data": "example:blobs", "preset": "sigmoid", "start": [1e3, 1e3, 1e3]},
        {"data": "example:blobs", "l2": 0.0, "loss": "log_loss"},
        {"data": {"x": np.arange(40.0) - 19.5, "y": [0] * 20 + [1] * 20}, "target": "y", "l2": 0.0},
        {"data": {"x": np.arange(40.0), "y": np.arange(40.0)}, "target": "y", "l2": 0.0},
    ],
)
def test_json_and_files_hold_no_nan_even_when_a_walk_goes_wrong(options, tmp_path):
    result = fit(**options)
    result.save(tmp_path)
    json.dumps(result.as_json(), allow_nan=False)
    assert np.isfinite(result.walk.x).all()
    assert np.isfinite(result.walk.record["cost"][:1]).all()


def test_a_diverged_fit_says_so():
    result = fit("example:diabetes", method="gd", learning_rate=100.0)
    assert not result.walk.success
    assert result.as_json()["converged"] is False
    assert [finding.code for finding in result.findings] == ["D101"]
    with pytest.raises(DivergedError, match="stopped at step"):
        fit("example:diabetes", method="gd", learning_rate=100.0, on_divergence="raise")


def test_saving_writes_model_record_and_report(tmp_path):
    result = fit("example:breast_cancer")
    paths = result.save(tmp_path / "new folder")
    assert sorted(path.name for path in (tmp_path / "new folder").iterdir()) == [
        "diagnosis.descender",
        "diagnosis.html",
        "diagnosis.record.parquet",
    ]
    model, record = Model.load(paths["model"]), Record.load(paths["record"])
    assert np.array_equal(model.weights, result.model.weights)
    assert np.array_equal(record["cost"], result.walk.record["cost"], equal_nan=True)
    assert record.facts["metrics"] == result.metrics
    assert record.facts["certificate"] == result.certificate._asdict()
    assert "<h1>diagnosis</h1>" in paths["report"].read_text()
    assert result.save(tmp_path, name="other")["model"] == tmp_path / "other.descender"


def test_files_are_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    result = fit("example:heights")
    paths = result.save(tmp_path)
    before = {path: path.read_bytes() for path in paths.values()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match=r"weight\.descender cannot be written: No space left on device"):
        result.save(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    monkeypatch.undo()
    result.save(tmp_path)  # over its own files
    assert set(tmp_path.iterdir()) == set(paths.values())


def test_a_file_that_is_not_ours_is_not_replaced(tmp_path):
    mine = tmp_path / "weight.html"
    mine.write_text("my own page")
    with pytest.raises(OutputError, match=r"weight\.html"):
        fit("example:heights").save(tmp_path)
    assert mine.read_text() == "my own page"


@pytest.mark.parametrize("name", ["km/h", "../up", "ABSOLUTE", "", "nul\0"])
def test_names_of_targets_do_not_lead_out_of_the_folder(tmp_path, name):
    folder = tmp_path / "out"
    name = f"{tmp_path}/elsewhere" if name == "ABSOLUTE" else name
    paths = fit({"x": np.arange(30.0), name: np.arange(30.0) ** 2}, name).save(folder)
    assert {path.resolve().parent for path in paths.values()} == {folder}


@pytest.mark.parametrize("options", [{"seed": np.int64(3)}, {"l2": np.float32(0.1)}, {"l1": np.int64(1)}])
def test_options_may_be_numpy_scalars(tmp_path, options):
    result = fit("example:heights", **options)
    assert json.loads(json.dumps(result.as_json(), allow_nan=False))["converged"]
    assert result.options.items() >= options.items()
    assert all(path.stat().st_size > 0 for path in result.save(tmp_path).values())


COMMANDS = {
    "plain": {"data": "example:breast_cancer"},
    "textbook": {"data": "example:breast_cancer", "method": "adam", "learning_rate": 0.05, "epochs": 3, "seed": 2},
    "l1 and exclude": {"data": "example:diabetes", "l1": 2.0, "exclude": ["age"], "holdout": 0.1},
}
LOST = {
    "preset": {"data": "example:blobs", "preset": "sigmoid"},
    "task": {"data": "example:wine", "target": "cultivar", "sql": "SELECT * FROM data WHERE cultivar <> 'class_0'"},
    "batch_size": {"data": "example:breast_cancer", "method": "minibatch", "batch_size": 7, "epochs": 2},
    "tol": {"data": "example:breast_cancer", "tol": 1e-2},
    "hyperparameter": {"data": "example:diabetes", "method": "momentum", "beta": 0.5, "epochs": 5},
    "start": {"data": "example:heights", "start": [1.0, 50.0], "method": "gd", "epochs": 5},
}


@pytest.mark.parametrize("case", [*COMMANDS, *LOST])
def test_the_same_again_is_the_same(case):
    result = fit(**(COMMANDS | LOST)[case])
    space = {}
    exec(result.options["command"], space)
    assert np.array_equal(space["result"].walk.x, result.walk.x)


def test_progress_hears_every_line():
    heard = []
    result = fit("example:iris", progress=lambda *line: heard.append(line))
    assert [line[:2] for line in heard] == [line[:2] for line in result.lines]
    assert [line[0] for line in heard] == ["read", "encoded", "penalty", "method", "descended", "held out"]
    assert all(isinstance(seconds, float) for _, _, seconds in heard)


def test_a_column_that_gives_the_answer_away_is_noticed(fitted):
    data = shop()
    data["receipt"] = np.where(np.array(data["bought"]) == "yes", 17.0, 0.0) + 0.1 * np.asarray(data["member"])
    found = fit(data, "bought", exclude=("plan", "spent")).findings
    assert [finding.code for finding in found] == ["D031"]
    assert found[0].title.startswith("receipt alone explains")
    assert found[0].remedy.endswith("--exclude receipt")
    assert all(result.findings == [] for result in fitted.values())
