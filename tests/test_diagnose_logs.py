"""Records and logs of trainings: what is read of them, what is found in them, and what is not."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from descender import MLPClassifier, diagnose, minimize
from descender.cli import app
from descender.costs.network.build import perceptron
from descender.costs.network.network import Network
from descender.doctor.logs import read_curves
from descender.errors import CapabilityError, OptionError, RecordError
from descender.verbs.diagnose import diagnose_log

RNG = np.random.default_rng(0)
STEPS = np.arange(400)


def noisy(values, noise=0.03):
    return values * np.exp(noise * RNG.normal(size=len(values)))


def causes(source, **options):
    return [finding.cause for finding in diagnose_log(source, **options)]


HEALTHY = {
    "falls": noisy(2.3 * np.exp(-STEPS / 60) + 0.1),
    "falls like 1/t": noisy(2.0 / (1 + STEPS / 30)),
    "noisy batches of one": np.abs(RNG.standard_cauchy(400)) * 0.3 * np.exp(-STEPS / 100) + 0.1,
    "to 1e-12": 1.0 * np.exp(-STEPS / 15.0),
    "spikes that pass": np.where(STEPS % 97 == 50, 5.0, noisy(2.3 * np.exp(-STEPS / 60) + 0.1)),
    "warm-up": noisy(np.where(STEPS < 30, 2.3 + STEPS * 0.01, 2.6 * np.exp(-(STEPS - 30) / 80) + 0.1)),
    "a negative likelihood": -3.0 * (1 - np.exp(-STEPS / 60)) + 1.0 + 0.05 * RNG.normal(size=400),
    "short": np.array([1.0, 0.8, 0.7, 0.65, 0.6]),
    "edge of stability": noisy(0.3 + 0.05 * (-1.0) ** STEPS + 2 * np.exp(-STEPS / 40)),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_found_in_a_healthy_curve(name):
    assert causes({"loss": HEALTHY[name]}) == []


FAULTY = {
    "grows": (2.3 * 1.05**STEPS, "learning-rate-too-high"),
    "ends above its start": (noisy(np.where(STEPS < 100, 2.3 * np.exp(-STEPS / 60), 9.0)), "learning-rate-too-high"),
    "thrown up and stuck": (noisy(np.where((STEPS > 2) & (STEPS < 9), 1e5, 2.3)), "learning-rate-too-high"),
    "grows to NaN": (np.where(STEPS < 40, 2.0 * 1.5**STEPS, np.nan), "learning-rate-too-high"),
    "NaN at once": (np.where(STEPS < 40, HEALTHY["falls"], np.nan), "nan-operation"),
    "NaN at first": (np.full(400, np.nan), "nan-operation"),
    "hardly falls": (noisy(2.3 - 0.0006 * STEPS, 0.002), "learning-rate-too-low"),
    "swings farther and farther": (3.0 + 0.01 * 1.03**STEPS * (1 + (-1.0) ** STEPS), "learning-rate-too-high"),
    "sixty epochs that do not move": (noisy(np.full(60, 3.21), 1e-3), "not-learning"),
    "does not move": (noisy(np.full(400, 2.303), 0.01), "not-learning"),
}


@pytest.mark.parametrize("name", FAULTY)
def test_the_cause_of_a_faulty_curve_comes_first(name):
    loss, cause = FAULTY[name]
    assert causes({"loss": loss})[0] == cause
    assert cause not in causes({"loss": loss}, ignore=cause)


def test_held_out_losses_that_rise_and_rates_that_end():
    held = np.where(STEPS < 100, np.exp(-STEPS / 50.0) + 0.3, 0.43 + (STEPS - 100) * 0.002)
    assert causes({"loss": np.exp(-STEPS / 60.0), "val_loss": noisy(held)})[0] == "overfitting"
    flat = np.where(STEPS < 100, np.exp(-STEPS / 50.0) + 0.3, 0.435)
    assert causes({"loss": np.exp(-STEPS / 60.0) + 0.01, "val_loss": noisy(flat)}) == []
    ended = {"loss": HEALTHY["falls"], "lr": np.where(STEPS < 150, 0.1, 0.0)}
    assert causes(ended) == ["schedule-ends-early"]
    assert causes(ended | {"lr": 0.1 * 0.5 * (1 + np.cos(np.pi * STEPS / 400))}) == []


def test_a_norm_that_explodes_is_told_with_a_clip():
    norm = np.where(STEPS < 100, 2.0, 1e6)
    loss = np.where(STEPS < 100, HEALTHY["falls"], 1e4)
    found = diagnose_log({"loss": loss, "grad_norm": norm})
    assert {"learning-rate-too-high", "exploding-gradient"} <= {finding.cause for finding in found}
    assert any(finding.remedy == "clip_norm=4" for finding in found)


def test_norms_that_stay_nan_while_the_loss_told_is_0():
    """As in the log of a loop that leaves NaN out of its means; a norm that is lost once is loss scaling at work."""
    loss, norm = [2.0 * 0.95**k for k in range(20)], [1.0] * 20
    lost = {"loss": loss + [0.0] * 6, "grad_norm": norm + [float("nan")] * 6}
    found = diagnose_log(lost)
    assert [finding.cause for finding in found] == ["nan-operation"]
    assert found[0].where == {"step": 20}
    norm[7] = float("nan")
    assert diagnose_log({"loss": loss, "grad_norm": norm}) == []
    assert diagnose_log({"loss": [*loss, 0.1, 0.09, 0.08, 0.07], "grad_norm": norm + [float("nan")] * 4}) == []


def test_a_spike_that_the_training_recovers_from_is_no_alarm():
    norm = np.where(STEPS == 60, 1e6, 2.0)
    loss = np.where(STEPS == 60, 50.0, HEALTHY["falls"])
    assert [finding.severity for finding in diagnose_log({"loss": loss, "grad_norm": norm})] == ["info"]


def test_logs_as_others_write_them(tmp_path):
    lightning = tmp_path / "metrics.csv"
    lines = ["epoch,step,train_loss_step,val_loss,lr-Adam"]
    for k in range(50):
        lines.append(f"{k // 10},{k},{2.0 / (k + 1)},,0.1")
        if k % 10 == 9:
            lines.append(f"{k // 10},{k},,{1.0 / (k + 1)},")
    lightning.write_text("\n".join(lines))
    curves = read_curves(lightning)
    assert len(curves.loss) == 50
    assert curves.held.tolist() == [1.0 / (k + 1) for k in range(9, 50, 10)]
    assert curves.step[-1] == 49
    nested = tmp_path / "log.jsonl"
    rows = [json.dumps({"step": k, "train": {"loss": 1.0 / (k + 1)}}) for k in range(20)]
    nested.write_text("\n".join([*rows[:10], "epoch 2 begins", *rows[10:], '{"step": 20, "train": {"lo']))
    curves = read_curves(nested)
    assert len(curves.loss) == 20
    assert "2 lines are no JSON" in curves.notes[0]
    keras = tmp_path / "history.json"
    keras.write_text(json.dumps({"loss": [3.0, float("nan")], "val_loss": [4.0, 5.0]}))
    assert causes(keras) == ["nan-operation"]
    again = tmp_path / "two.csv"
    again.write_text("step,loss\n0,1\n1,0.5\n0,1\n1,0.5\n")
    assert "begin anew" in read_curves(again).notes[0]


OTHERS = {
    "trainer_state.json": json.dumps({"epoch": 3.0, "log_history": [
        *({"loss": 2.0**k, "learning_rate": 5e-5, "step": k} for k in range(30)), {"eval_loss": 1.0, "step": 30},
        {"train_runtime": 3.0, "train_loss": 0.6, "step": 30}]}),
    "metrics.csv": "epoch;Train Loss (MSE);val_loss\n" + "\n".join(
        f"{k};{k / 8:.3f};0.5".replace(".", ",") for k in range(8, 900, 9)
    ),
    "log.tsv": "epoch\ttrain/box_loss\tlr-Adam\n" + "\n".join(f"{k}\t{2.0**k}\t0.1" for k in range(30)),
    "export.csv": "Wall time,Step,Value\n" + "\n".join(f"1e9,{k},{2.0**k}" for k in range(30)),
    "export.json": json.dumps([[1e9, k, 2.0**k] for k in range(30)]),
    "sweep.csv": '"Step","run-1 - train/loss","run-1 - train/loss__MIN"\n' + "\n".join(
        f'"{k}","{2.0**k}","1"' for k in range(30)
    ),
    "console.log": "\n".join(str({"loss": f"{2.0**k:.4g}", "grad_norm": k, "epoch": k}) for k in range(30)),
    "mixed.log": "Epoch 1 starting\n" + "\n".join(
        f"{'INFO saved' if k % 7 == 6 else ''}\n{json.dumps({'step': k, 'train/loss': 2.0**k})}" for k in range(30)
    ),
    "train.log": "started\n" + "\n".join(f"12:00 INFO epoch {k} | loss: {2.0**k:.4g} | lr=1e-3" for k in range(30)),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_logs_of_many_makers(tmp_path, name):
    (tmp_path / name).write_text(OTHERS[name])
    found = diagnose_log(tmp_path / name)
    assert found[0].cause == "learning-rate-too-high", found.described
    assert len(found.curves.loss) >= 30


def test_plain_lines_that_begin_with_a_date_in_brackets(tmp_path):
    lines = [f"[2024-05-01] epoch {k} - loss: {2 * 0.9**k:.4f} - val_loss: {2 * 0.9**k + 0.1:.4f}" for k in range(30)]
    (tmp_path / "train.log").write_text("\n".join(lines), encoding="utf-8")
    found = diagnose(tmp_path / "train.log")
    assert found == []
    assert len(found.curves.loss) == len(found.curves.held) == 30


def test_a_history_with_lists_within_is_no_table_of_rows():
    history = {"loss": [1.0, 0.5, 0.3], "weights": [[1, 2, 3], [4, 5, 6], [7, 8, 9]]}
    assert diagnose_log(history).curves.loss.tolist() == history["loss"]


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_a_record_of_a_walk_that_diverged(tmp_path, ending):
    walk = minimize("x**4 - 3*x**2 + y**2", "x=2, y=1", "gd", learning_rate=0.4)
    path = walk.record.save(tmp_path / f"w.{ending}")
    assert diagnose(path)[0].cause == causes(path)[0] == causes(walk)[0] == "learning-rate-too-high"
    fine = minimize("x**4 - 3*x**2 + y**2", "x=2, y=1")
    assert causes(fine.record.save(tmp_path / f"f.{ending}")) == causes(fine) == []


def test_a_record_knows_what_was_found_with_its_cost_at_hand(tmp_path):
    walk = minimize("(1-x)**2 + 100*(y-x**2)**2", "x=-1.2, y=1", "gd", learning_rate=0.01)
    walk.record.save(tmp_path / "walk.parquet")
    found = diagnose_log(tmp_path / "walk.parquet")
    assert (found[0].cause, found[0].remedy) == ("learning-rate-too-high", walk.findings[0].remedy)
    assert [finding.cause for finding in found].count("learning-rate-too-high") == 1


def test_a_record_that_is_cut_off_is_read_as_far_as_it_goes(tmp_path):
    walk = minimize("x**2 + y**4", "x=2, y=1", "gd", learning_rate=0.1, max_steps=50)
    path = walk.record.save(tmp_path / "w.jsonl")
    text = path.read_text()
    path.write_text(text[: len(text) // 2])
    found = diagnose_log(path)
    assert 10 < len(found.curves.loss) < 50
    assert any("truncated" in note for note in found.told)


def test_trainings_of_networks():
    X = RNG.normal(size=(600, 5))
    y = (X[:, 0] * X[:, 1] > 0).astype(float)
    sound = MLPClassifier((16,), max_iter=30).fit(X, y)
    assert causes(sound) == []
    network = Network(perceptron(5, [16], 1), X, y, "log_loss")
    wild = minimize(network, network.start(0), "gd", batch_size=32, learning_rate=1e3, on_divergence="continue",
                    max_epochs=10)  # fmt: skip
    assert causes(wild.record)[0] in ("learning-rate-too-high", "nan-operation")
    healed = minimize(network, network.start(0), learning_rate=1e5, max_epochs=20)
    found = diagnose_log(healed.record)[0]
    assert "back to step" in found.evidence
    assert found.where


def test_gradients_that_vanish_are_found_in_a_training_that_fails(tmp_path):
    X = RNG.normal(size=(300, 5))
    y = (X[:, 0] > 0).astype(float)
    deep = MLPClassifier((8,) * 12, activation="sigmoid", initialisation="normal 0.3", max_iter=3).fit(X, y)
    assert "vanishing-gradient" in [finding.cause for finding in deep.findings_]
    assert "vanishing-gradient" in causes(deep.record_.save(tmp_path / "deep.jsonl"))
    sound = MLPClassifier((8,) * 4, activation="relu", max_iter=40).fit(X, y)
    assert sound.findings_ == []


def test_what_is_no_log_is_refused(tmp_path):
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    for name, words in (("empty.csv", "empty"), ("other.csv", "its columns: a, b"), ("none.csv", "no record")):
        with pytest.raises(RecordError, match=words):
            diagnose_log(tmp_path / name)
    with pytest.raises(CapabilityError, match="TensorBoard"):
        diagnose_log(tmp_path / "events.out.tfevents.1")
    with pytest.raises(CapabilityError, match="int"):
        diagnose_log(3)
    with pytest.raises(OptionError, match="overfiting"):
        diagnose_log({"loss": [1.0, 2.0]}, ignore="overfiting")


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    minimize("(x-3)**2", "x=0", "gd", learning_rate=1.2, max_steps=200).record.save("bad.record.parquet")
    words = ["diagnose", "bad.record.parquet"]
    done = runner.invoke(app, words)
    assert done.exit_code == 0
    assert "D101 learning rate too high" in done.output
    assert runner.invoke(app, [*words, "--fail-on", "warning"]).exit_code == 1
    assert runner.invoke(app, [*words, "--fail-on", "warning", "--ignore", "D101,exploding-gradient"]).exit_code == 0
    done = runner.invoke(app, [*words, "--ignore", "D101,exploding-gradient"])
    assert "not told, as asked: D101 learning-rate-too-high" in done.output
    assert "healthy" not in done.output
    assert runner.invoke(app, [*words, "--fail-on", "bad"]).exit_code == 2
    assert runner.invoke(app, ["diagnose", "nothing.csv"]).exit_code == 2


def test_lines_of_json_among_others_are_read_as_json(tmp_path):
    lines = [json.dumps({"epoch": k, "train": {"loss": 0.6 * 0.9**k}, "val": {"loss": 0.5 + 0.02 * abs(k - 10)}})
             for k in range(60)]  # fmt: skip
    (tmp_path / "mixed.log").write_text("\n".join(["INFO starting", *lines[:30], "warning: a gap", *lines[30:]]))
    found = diagnose_log(tmp_path / "mixed.log")
    assert [finding.cause for finding in found] == ["overfitting"]
    assert "2 lines are no JSON" in found.told[0]


def test_a_rate_that_is_logged_in_rows_of_its_own_belongs_to_the_losses_after_it(tmp_path):
    rows = ["step,lr-SGD,train_loss"]
    for k in range(60):
        rows += [f"{50 * k},{0.1 * 0.3**k:.3e},", f"{50 * k + 49},,{1.5 + 0.2 * max(4 - k, 0):.4f}"]
    (tmp_path / "metrics.csv").write_text("\n".join(rows))
    assert np.isfinite(read_curves(tmp_path / "metrics.csv").rate).all()
    assert causes(tmp_path / "metrics.csv") == ["schedule-ends-early"]
