"""Remedies that are tried on our own walks and fits, and kept on demand."""

import copy
import json
import pickle

import numpy as np
import pytest
from typer.testing import CliRunner

import descender
from descender.cli import app
from descender.costs.network.build import recurrent
from descender.costs.network.network import Network
from descender.costs.risk import Risk
from descender.doctor.calm import calm
from descender.doctor.causes import BY_SLUG
from descender.doctor.remedies import AGAINST
from descender.errors import CapabilityError, CostError, OptionError

pytestmark = pytest.mark.usefixtures("uncompiled")

TOO_HIGH = {"method": "gd", "learning_rate": 5.0, "max_steps": 60}


def causes(walk, least=("warning", "critical")):
    return [finding.cause for finding in walk.findings if finding.severity in least]


def test_a_rate_that_is_too_high_is_divided_until_the_walk_arrives():
    walk = descender.minimize("x**2", "x=1", **TOO_HIGH)
    before = (*walk.x, walk.fun)
    third, tenth = walk.confirm()
    assert (third.code, third.repaired) == ("learning_rate=1.7", False)
    assert (tenth.code, tenth.repaired, tenth.after) == ("learning_rate=0.5", True, "0")
    assert str(third).endswith("no repair")
    assert f"instead of {walk.fun:.3g}" in str(tenth)
    assert (*walk.x, walk.fun) == before, "the walk itself stays as it is"


def test_a_trial_is_the_walk_that_one_gets_by_asking_for_it():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 3))
    risk = Risk(X, X @ [1.0, 2.0, 3.0] + rng.normal(size=80), "squared_error")
    asked = {"method": "sgd", "batch_size": 8, "seed": 5, "max_epochs": 6}
    walk = descender.minimize(risk, learning_rate=3.0, **asked)
    trial = walk.confirm()[-1]
    assert trial.repaired
    name, value = trial.code.split("=")
    same = descender.minimize(risk, **asked | {name: eval(value)})
    assert trial.after == f"{same.fun:.3g}"
    mended = descender.minimize(risk, learning_rate=3.0, on_trouble="repair", **asked)
    assert (mended.x == same.x).all()
    assert mended.nfev > same.nfev


def test_a_recurrent_start_that_no_rate_survives_is_calmed():
    rng = np.random.default_rng(0)
    frequency, phase = rng.uniform(0.2, 0.6, (60, 1)), rng.uniform(0.0, 6.0, (60, 1))
    waves = np.sin(frequency * np.arange(21) + phase)
    network = Network(recurrent(1, 8, 1, "relu", gain=3.0), waves[:, :20, None], waves[:, 20])
    start = network.start(0)
    walk = descender.minimize(network, start, "minibatch", batch_size=10, learning_rate=1e-2, max_epochs=8)
    trial = walk.confirm()[-1]
    assert (trial.remedy, trial.repaired) == ("another start", True), str(trial)
    same = descender.minimize(
        network, calm(network, start), "minibatch", batch_size=10, learning_rate=1e-2, max_epochs=8
    )
    assert trial.after == f"{same.fun:.3g}"


def test_a_schedule_keeps_its_form():
    walk = descender.minimize("x**2", "x=1", method="gd", learning_rate="inverse-time 5 0.001", max_steps=50)
    assert walk.confirm()[-1].code == "learning_rate='inverse-time 0.5 0.001'"


def test_nan_that_was_let_be_is_found_and_repaired():
    walk = descender.minimize("x**2", "x=1", **TOO_HIGH | {"max_steps": 2000}, on_divergence="continue")
    assert np.isnan(walk.fun)
    assert causes(walk) == ["learning-rate-too-high"]
    assert str(walk.confirm()[-1]) == "learning rate / 10: 0 instead of NaN"


def test_the_automatic_method_leaves_a_saddle():
    asked = {"method": "gd", "learning_rate": 0.1}
    walk = descender.minimize("x**2 - y**2 + y**4", "x=1, y=0", **asked)
    assert causes(walk) == ["not-a-minimum"]
    mended = descender.minimize("x**2 - y**2 + y**4", "x=1, y=0", on_trouble="repair", **asked)
    assert mended.fun == pytest.approx(-0.25)
    assert not causes(mended)
    assert mended.findings[0].severity == "info"
    assert mended.findings[0].evidence.startswith("repaired: method gd -> auto, which ended at -0.25 instead of")
    assert mended.record.facts["repaired"] == mended.findings[0].evidence
    assert mended.record.facts["findings"] == [finding.as_dict() for finding in mended.findings]


def test_what_no_option_helps_against_has_no_trials():
    walk = descender.minimize("x", "x=8", method="gd", learning_rate=0.1, max_steps=100, on_trouble="repair")
    assert causes(walk) == ["unbounded"]
    assert walk.confirm() == []


def test_a_remedy_that_only_hides_the_fault_is_no_repair():
    """Clipping alone keeps this walk finite; it ends no lower than it began."""
    walk = descender.minimize("x**2", "x=1", method="gd", learning_rate=1e6, max_steps=30)
    for trial in walk.confirm():
        assert trial.repaired == (trial.after == "0"), trial


def test_a_healthy_walk_has_nothing_to_try():
    walk = descender.minimize("x**2", "x=1")
    assert walk.confirm() == []
    asked = {"method": "gd", "learning_rate": 0.25}
    same = descender.minimize("x**2", "x=1", on_trouble="repair", **asked)
    plain = descender.minimize("x**2", "x=1", **asked)
    assert (same.x == plain.x).all()
    assert same.nfev == plain.nfev
    assert not same.findings


def test_where_nothing_helps_the_walk_stays_as_it_is_and_says_what_was_tried():
    calls, limit = [], np.inf

    def fun(w):
        calls.append(w)
        if len(calls) > limit:
            raise RuntimeError("no more")
        return float(np.sum(w**2))

    walk = descender.minimize(fun, [1.0], **TOO_HIGH)
    limit = len(calls)
    trials = walk.confirm()
    assert {trial.after for trial in trials} == {CostError.__name__}
    assert not any(trial.repaired for trial in trials)
    calls.clear()
    same = descender.minimize(fun, [1.0], **TOO_HIGH, on_trouble="repair")
    assert same.fun == walk.fun
    assert causes(same) == causes(walk)
    assert same.notes == [f"tried: {trial}" for trial in trials]


def test_a_walk_that_was_interrupted_is_not_repaired():
    def stop(step):
        if step.number == 40:
            raise KeyboardInterrupt

    walk = descender.minimize("x**2", "x=1", **TOO_HIGH, callback=stop, on_trouble="repair")
    assert walk.status == "interrupted"
    assert causes(walk) == ["learning-rate-too-high"]


def test_a_callback_is_not_called_by_a_trial():
    seen = []
    walk = descender.minimize("x**2", "x=1", **TOO_HIGH, callback=lambda step: seen.append(step.number))
    steps = len(seen)
    assert walk.confirm()[-1].repaired
    assert len(seen) == steps


def test_a_walk_that_was_loaded_cannot_be_walked_again():
    walk = descender.minimize("x**2", "x=1", **TOO_HIGH)
    loaded = pickle.loads(pickle.dumps(walk))
    assert loaded.fun == walk.fun
    for other in (loaded, copy.deepcopy(walk)):
        with pytest.raises(CapabilityError, match="cannot be walked again"):
            other.confirm()


@pytest.mark.parametrize("verb", [lambda **k: descender.minimize("x**2", "x=1", **k),
                                  lambda **k: descender.fit("example:heights", "weight", **k)])  # fmt: skip
def test_an_unknown_word_is_refused(verb):
    with pytest.raises(OptionError, match="on_trouble='mend': expected 'tell' or 'repair'"):
        verb(on_trouble="mend")


def test_remedies_are_listed_by_known_causes():
    assert set(AGAINST) <= set(BY_SLUG)


LINE = {"method": "gd", "learning_rate": 3.0, "epochs": 50}


def test_a_softmax_that_did_not_arrive_is_not_called_unbounded():
    """Its gradient is the same where all scores are raised by one number, which is no slope without end."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    walk = descender.minimize(Risk(X, (X @ [1.0, 2.0, 3.0] > 0) * 1.0, "softmax"), method="sgd")
    assert walk.status == "budget"
    assert not causes(walk)


def test_a_fit_is_repaired_and_says_so():
    ill = descender.fit("example:heights", "weight", **LINE)
    assert [trial.repaired for trial in ill.confirm()] == [True]
    assert causes(ill) == ["learning-rate-too-high"]
    fit = descender.fit("example:heights", "weight", **LINE, on_trouble="repair")
    said = {word: text for word, text, _ in fit.lines}
    assert said["repaired"] == "learning rate 3.0 -> 1.0, which ended at 10.2 instead of 2.06e+34"
    assert fit.findings[0].evidence == f"repaired: {said['repaired']}"
    assert not causes(fit)
    asked = descender.fit("example:heights", "weight", **LINE | {"learning_rate": 1.0})
    assert fit.model.coefficients == asked.model.coefficients
    assert "on_trouble='repair'" in fit.options["command"]
    assert fit.asked["learning_rate"] == 1.0, "the script replays the walk that was kept"


NETWORK = {"model": "mlp", "activation": "sigmoid", "method": "sgd", "learning_rate": 0.1, "epochs": 5}


def test_a_network_whose_gradients_vanish_gets_another_activation():
    fit = descender.fit("example:breast_cancer", **NETWORK, hidden=(16,) * 6, on_trouble="repair")
    assert fit.model.architecture.activation == "relu"
    assert fit.findings[0].cause == "vanishing-gradient"
    assert fit.findings[0].severity == "info"
    assert fit.metrics["holdout"]["accuracy"] > 0.9
    assert fit.findings[0].evidence.startswith("repaired: activation sigmoid -> relu, which ended at")


def test_a_training_that_only_comes_to_the_best_guess_is_not_repaired():
    """The ReLUs of this network die, too: its end is as high as that of the sigmoids, and 22 % below its start."""
    fit = descender.fit("example:iris", **NETWORK | {"epochs": 10}, hidden=(8,) * 8)
    assert causes(fit) == ["vanishing-gradient"]
    trials = {trial.remedy: trial for trial in fit.confirm()}
    assert float(trials["ReLU"].after) > 1.09
    assert not trials["ReLU"].repaired
    assert trials["batch normalisation"].repaired == (float(trials["batch normalisation"].after) < 0.9)


def test_a_network_whose_rate_is_too_high_takes_the_automatic_one():
    fit = descender.fit("example:iris", model="mlp", learning_rate=1000.0, epochs=20)
    trials = fit.confirm()
    assert [trial.repaired for trial in trials] == [False] * (len(trials) - 1) + [True]
    assert float(trials[-1].after) < 1.0 < float(trials[-1].before)


def test_the_command_line_repairs(tmp_path):
    run = CliRunner().invoke(app, ["fit", "example:heights", "--target", "weight", "--method", "gd", "-a", "3",
                                   "-e", "50", "--on-trouble", "repair", "--no-files"])  # fmt: skip
    assert run.exit_code == 0, run.output
    assert "repaired" in run.output
    assert "learning rate 3 -> 1.0, which ended at 10.2 instead of" in run.output
    ask = ["minimize", "x**2", "--start", "x=1", "--method", "gd", "-a", "5", "--steps", "60", "--no-files", "--json"]
    told = json.loads(CliRunner().invoke(app, [*ask, "--on-trouble", "repair"]).stdout)
    assert told["findings"][0]["severity"] == "info"
    assert "repaired" in told["findings"][0]["evidence"]
    wrong = CliRunner().invoke(app, [*ask, "--on-trouble", "mend"])
    assert wrong.exit_code == 2
    assert "expected 'tell' or 'repair'" in wrong.stderr


def test_the_operation_that_is_not_defined_is_named_with_its_row_and_value():
    rates = {"method": "gd", "learning_rate": 10.0}
    walk = descender.minimize("x - log(x)", "x=5", **rates)
    found = next(finding for finding in walk.findings if finding.code == "D901")
    assert found.evidence == "at step 1, log(x) is not finite for x = -3"
    assert found.where == {"step": 1, "operation": "log(x)"}
    assert walk.confirm()[-1].repaired
    data = {"t": [9.0, 8.0, 6.0, 9.0]}
    walk = descender.minimize("mean(sqrt(t - a)) + 0*a", "a=5", data=data, method="gd", learning_rate=5.0)
    found = next(finding for finding in walk.findings if finding.code == "D901")
    assert found.where["operation"] == "sqrt(t - a)"
    assert found.where["row"] == 2
    lost = walk.record.facts["findings"]
    assert [finding["code"] for finding in lost] == [finding.code for finding in walk.findings]


def test_an_overflow_is_no_undefined_operation():
    walk = descender.minimize("exp(x**2)", "x=3", method="gd", learning_rate=0.1, max_steps=50)
    assert [finding.code for finding in walk.findings] == ["D101"]
