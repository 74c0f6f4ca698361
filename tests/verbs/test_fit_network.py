"""``fit(..., model="mlp")``: networks on the path of tables, from the file to the judgement and back."""

import json

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from typer.testing import CliRunner

from descender import Model, fit, predict
from descender.cli import app
from descender.errors import CapabilityError, InputError, OptionError, RecordError, ShapeError
from descender.model.network import ROWS, NetworkModel
from descender.verbs.verify import verify

RNG = np.random.default_rng(0)
N = 1400
TABLE = pd.DataFrame(
    {
        "x": RNG.uniform(-3, 3, N),
        "z": np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(size=N)),
        "colour": RNG.choice(["red", "green", "blue"], N),
        "nothing": RNG.normal(size=N),
        "fold": np.arange(N) % 40,
    }
)
TABLE["y"] = 5000 + 300 * np.cos(1.5 * TABLE.x) + 100 * (TABLE.colour == "red") + RNG.normal(0, 10, N)
TABLE["sign"] = np.where(np.cos(1.5 * TABLE.x) > 0, "up", "down")
TABLE["third"] = np.digitize(TABLE.y, [4900, 5100])
OUT = ["y", "sign", "third", "fold"]


def without(target):
    return [name for name in OUT if name != target]


@pytest.fixture(scope="module")
def fits():
    how = {"model": "mlp", "hidden": (30, 30), "epochs": 60}
    return {target: fit(TABLE, target, exclude=without(target), **how) for target in ("y", "sign", "third")}


def test_a_network_learns_what_no_linear_model_can(fits):
    line = fit(TABLE, "y", exclude=without("y")).metrics["holdout"]
    assert fits["y"].metrics["holdout"]["r2"] > 0.97 > 0.5 > line["r2"]
    assert fits["sign"].metrics["holdout"]["accuracy"] > 0.95
    assert fits["third"].metrics["holdout"]["accuracy"] > 0.85
    for result in fits.values():
        assert result.walk.success
        assert result.certificate is None
        assert any(word == "network" and "rows watch" in text for word, text, _ in result.lines)


def test_the_answer_is_the_point_with_the_lowest_cost_of_the_rows_that_watch(fits):
    record = fits["y"].walk.record
    assert record["holdout_cost"][-1] == pytest.approx(np.nanmin(record["holdout_cost"]), rel=1e-12)


def test_columns_are_told_by_what_shuffling_them_does(fits):
    names = [effect.name for effect in fits["y"].effects]
    assert names[:2] == ["x", "colour"]
    assert fits["y"].effects[0].spread == pytest.approx(300 / np.sqrt(2), rel=0.15)


@pytest.mark.parametrize("target", ["y", "sign", "third"])
def test_a_saved_network_predicts_the_same_bits_row_by_row(fits, target, tmp_path):
    model = fits[target].model
    path = model.save(tmp_path / "m.descender")
    loaded = Model.load(path)
    assert isinstance(loaded, NetworkModel)
    before = model.decision_function(TABLE)
    assert np.array_equal(before, loaded.decision_function(TABLE))
    some = RNG.permutation(N)[: ROWS + 9]
    assert np.array_equal(before[some], loaded.decision_function(TABLE.iloc[some]))
    assert path.read_bytes() == loaded.save(tmp_path / "n.descender").read_bytes()
    with safe_open(path, "numpy") as file:
        assert file.get_tensor("layer0.weight").shape == (len(model.features), 30)
    done = predict(loaded, TABLE, tmp_path / "p.csv")
    assert done.rows == N
    assert done.missing == {"z": int(TABLE.z.isna().sum())}
    column = pd.read_csv(tmp_path / "p.csv")["predicted"]
    assert np.array_equal(column, model.predict(TABLE)) if target != "sign" else (column == model.predict(TABLE)).all()


def test_verify_tells_the_data_of_the_fit_from_others(fits, tmp_path):
    path = fits["y"].model.save(tmp_path / "m.descender")
    TABLE.to_csv(tmp_path / "same.csv", index=False)
    other = TABLE.assign(y=np.where(np.arange(N) == np.flatnonzero(~TABLE.x.isna())[7], 9e3, TABLE.y))
    other.to_csv(tmp_path / "other.csv", index=False)
    recipe = fit(tmp_path / "same.csv", "y", exclude=without("y"), model="mlp", hidden=8, epochs=2)
    found = verify(recipe.model.save(path), tmp_path / "same.csv")
    assert found.ok
    assert "not convex" in str(found)
    assert found.verdict.rigorous is False
    assert not verify(path, tmp_path / "other.csv").ok


def test_a_damaged_network_is_refused(fits, tmp_path):
    path = fits["y"].model.save(tmp_path / "m.descender")
    blob = bytearray(path.read_bytes())
    blob[-3] ^= 1
    path.write_bytes(blob)
    with pytest.raises(RecordError, match="not what was saved"):
        Model.load(path)


def test_groups_and_times_divide_the_rows_that_watch_too():
    how = {"model": "mlp", "hidden": 4, "epochs": 2, "exclude": ["sign", "third"]}
    for role in ({"group": "fold"}, {"time": "fold"}):
        result = fit(TABLE, "y", **how, **role)
        learnt = result.model.facts["trained_on"]
        assert 0.8 * result.model.facts["n_rows"] < learnt < result.model.facts["n_rows"]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"model": "mpl"}, OptionError, "did you mean"),
        ({"hidden": (8,)}, OptionError, "model='mlp'"),
        ({"activation": "tanh"}, OptionError, "model='mlp'"),
        ({"model": "mlp", "hidden": "8,x"}, ShapeError, "widths"),
        ({"model": "mlp", "hidden": (8, 0)}, ShapeError, "widths"),
        ({"model": "mlp", "activation": "rellu"}, OptionError, "relu"),
        ({"model": "mlp", "l1": 0.1}, CapabilityError, "l1"),
        ({"model": "mlp", "l2": "auto"}, CapabilityError, "number"),
        ({"model": "mlp", "preset": "sigmoid"}, OptionError, "preset"),
        ({"model": "mlp", "tol": 1e-6}, OptionError, "tol"),
        ({"model": "mlp", "early_stopping": "yes"}, OptionError, "early_stopping"),
        ({"model": "mlp", "dropuot": 0.5}, InputError, "dropuot"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said(options, error, words):
    with pytest.raises(error, match=words):
        fit(TABLE, "y", exclude=without("y"), **options)


def test_options_of_the_descent_and_budgets_are_kept():
    how = {"model": "mlp", "hidden": (8,), "exclude": without("sign")}
    result = fit(TABLE, "sign", method="adam", learning_rate=0.003, batch_size=128, epochs=3, **how)
    assert result.walk.method == "adam"
    assert np.nanmax(result.walk.record["learning_rate"]) == 0.003
    quick = fit(TABLE, "sign", max_seconds=1e-3, normalisation="batch", class_weight="balanced", loss="hinge", **how)
    assert quick.walk.status == "budget"
    assert np.isfinite(quick.walk.fun)
    huber = fit(TABLE, "y", loss="huber 30", model="mlp", hidden=4, epochs=1, exclude=without("y"))
    assert huber.model.loss == "huber 30"


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["fit", "example:iris", "--model", "mlp", "--hidden", "8,8", "-e", "80", "--no-compare", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["certificate"] is None
    assert said["metrics"]["holdout"]["accuracy"] > 0.8
    page = (tmp_path / "species.html").read_text(encoding="utf-8")
    assert "A network (4-8-8-3, relu)" in page
    assert "The largest coefficients" not in page
    done = CliRunner().invoke(app, ["verify", "species.descender", "example:iris"])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["fit", "example:iris", "--hidden", "8"])
    assert done.exit_code == 2
    assert "--model mlp" in done.output
    done = CliRunner().invoke(app, ["fit", "example:iris", "--model", "mlp", "--explain"])
    assert done.exit_code == 2
