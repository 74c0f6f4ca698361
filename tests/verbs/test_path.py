"""The path of penalties: each point against scikit-learn, the choice on rows that were not learnt from, its limits."""

import dataclasses

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import ElasticNet, LogisticRegression, PoissonRegressor, Ridge

from descender import fit
from descender.costs.certificate import certificate
from descender.costs.risk import Risk
from descender.data.split import crossed, forward, once
from descender.errors import CapabilityError, OptionError
from descender.methods.path import leave_one_out, rotated
from descender.methods.squares import squares_path
from descender.verbs import path as module
from descender.verbs.path import choose_penalty
from descender.verbs.path_walks import penalised

STRENGTHS = np.geomspace(3.0, 1e-4, 7)


def rows(n=400, d=6, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ np.diag(np.linspace(0.5, 2.0, d)) + rng.normal(size=d)
    z = X @ (rng.normal(size=d) / np.sqrt(d))
    return X, z, rng


def targets(loss, z, rng):
    if loss == "log_loss":
        return (z + rng.logistic(size=len(z)) > 0).astype(float)
    if loss == "softmax":
        return np.argmax(rng.gumbel(size=(3, len(z))) + np.outer([0, 1, -1], z), axis=0).astype(float)
    if loss == "poisson":
        return rng.poisson(np.exp(np.clip(z, -3, 3))).astype(float)
    return z + rng.normal(size=len(z)) + 5.0


def peer(loss, kind, strength, X, y, s):
    """The scores that scikit-learn's model gives, as a function of rows."""
    total = s.sum()
    if loss == "squared_error" and kind == "l2":
        return Ridge(alpha=strength * total, tol=1e-12).fit(X, y, s).predict
    if loss == "squared_error":
        return ElasticNet(alpha=strength, l1_ratio=1.0, tol=1e-12, max_iter=10**6).fit(X, y, s).predict
    if loss == "poisson":
        model = PoissonRegressor(alpha=strength, solver="newton-cholesky", tol=1e-10, max_iter=1000).fit(X, y, s)
        return lambda rows: np.log(model.predict(rows))
    if kind == "l2":
        model = LogisticRegression(C=1 / (strength * total), solver="newton-cholesky", tol=1e-10, max_iter=1000)
    else:
        model = LogisticRegression(C=1 / (strength * total), solver="saga", l1_ratio=1.0, tol=1e-9, max_iter=10**5)
    model.fit(X, y, s)
    return lambda rows: model.decision_function(rows).T


CASES = [
    ("squared_error", "l2"),
    ("squared_error", "l1"),
    ("log_loss", "l2"),
    ("log_loss", "l1"),
    ("softmax", "l2"),
    ("poisson", "l2"),
]


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize(("loss", "kind"), CASES)
def test_every_point_is_the_fit_that_scikit_learn_finds(loss, kind, as_sparse):
    X, z, rng = rows(240 if kind == "l1" else 400)
    y, s = targets(loss, z, rng), rng.uniform(0.2, 2.0, len(z))
    folds = crossed(len(y), 3)
    risk = Risk(sparse.csr_matrix(X) if as_sparse else X, y, loss, sample_weight=s)
    strengths = STRENGTHS[::3] * (0.02 if kind == "l1" else 1.0)
    found = choose_penalty(risk, kind, folds=folds, strengths=strengths, tol=1e-12)
    for at, strength in enumerate(found.strengths):
        expected = []
        for k in range(3):
            learns, judges = folds.learns(k), folds.judges(k)
            scores = peer(loss, kind, strength, X[learns], y[learns], s[learns])(X[judges])
            expected.append((s[judges].sum(), np.average(risk.loss.value(scores, y[judges]), weights=s[judges])))
        total, losses = np.array(expected).T
        tight = 2e-3 if (loss, kind) == ("log_loss", "l1") else 2e-5  # saga is the one that is not exact
        assert found.scores[at] == pytest.approx(total @ losses / total.sum(), rel=tight)
        error = np.sqrt((total / total.sum()) @ (losses - found.scores[at]) ** 2 / 2)
        assert found.errors[at] == pytest.approx(error, rel=30 * tight, abs=1e-6)


@pytest.mark.parametrize(("loss", "kind"), [*CASES, ("huber 1.0", "l2"), ("squared_hinge", "l2"), ("softmax", "l1")])
def test_gaps_are_bounds_and_weights_shrink(loss, kind):
    X, z, rng = rows(150, 4)
    y = targets("log_loss" if loss == "squared_hinge" else loss, z, rng)
    risk = Risk(X, y, loss)
    found = choose_penalty(risk, kind, strengths=STRENGTHS, folds=crossed(150, 3))
    assert found.certified.all()
    for at, strength in enumerate(found.strengths):
        here = penalised(risk, kind, strength, None)
        best = choose_penalty(risk, kind, strengths=np.array([strength]), folds=crossed(150, 3), tol=1e-13).start
        start = found.start if at == found.chosen else None
        if start is not None:
            assert here.value(start) - here.value(best) <= found.gaps[at] * max(here.value(start), 1e-3) * 1.001 + 1e-12
    sizes = np.linalg.norm(found.coefficients, axis=1)
    assert (np.diff(sizes) >= -1e-6 * sizes.max()).all()
    if kind == "l1":
        assert found.nonzeros[0] <= found.nonzeros[-1]
    assert found.scores[found.best] == found.scores.min()


def test_leaving_out_one_row_is_leaving_out_one_row():
    X, z, rng = rows(30, 3)
    y, s = targets("squared_error", z, rng), rng.uniform(0.5, 2.0, 30)
    points = leave_one_out(Risk(X, y, sample_weight=s), STRENGTHS)
    for point in points[::3]:
        losses = []
        for i in range(30):
            rest = np.arange(30) != i
            model = Ridge(alpha=point.strength * s.sum(), tol=1e-12).fit(X[rest], y[rest], s[rest])
            losses.append(0.5 * (model.predict(X[i : i + 1])[0] - y[i]) ** 2)
        assert point.losses[0] == pytest.approx(np.average(losses, weights=s), rel=1e-9)
    chosen = choose_penalty(Risk(X, y, sample_weight=s))
    assert chosen.how == "leaving out each of 30 rows in turn"
    assert chosen.folds == 1


def test_more_columns_than_rows_are_turned_into_as_many():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(60, 900))
    y = (X[:, :3].sum(axis=1) + rng.normal(size=60) > 0).astype(float)
    for loss in ("log_loss", "squared_error"):
        risk = Risk(X, y, loss, l2=0.3)
        small, back = rotated(risk)
        assert small.n_features == 60
        v = rng.normal(size=61)
        assert risk.value(back(v)) == pytest.approx(small.value(v), rel=1e-9)
        found = choose_penalty(risk)
        assert found.coefficients.shape[1] == 900
        assert found.certified[found.chosen]
        assert found.gaps[found.chosen] < 1e-3


def test_one_standard_error_chooses_the_strongest_that_is_not_worse():
    X, _, rng = rows(300, 20)
    y = 2 * X[:, 0] + 3 * X[:, 7] + 3 * rng.normal(size=300)
    risk = Risk(X, y)
    best = choose_penalty(risk, "l1")
    simple = choose_penalty(risk, "l1", one_standard_error=True)
    assert (simple.best, best.chosen) == (best.best, best.best)
    bound = best.scores[best.best] + best.errors[best.best]
    assert simple.strength > best.strength
    assert simple.scores[simple.chosen] <= bound < simple.scores[simple.chosen - 1]
    assert simple.nonzeros[simple.chosen] < best.nonzeros[best.chosen]
    assert "one standard error" in str(simple)
    assert "lowest held-out loss" in str(best)


def test_walks_choose_what_newton_chooses(monkeypatch):
    X, z, rng = rows(200, 5)
    risk = Risk(X, targets("log_loss", z, rng), "log_loss")
    fast = choose_penalty(risk, seed=3)
    monkeypatch.setattr(module, "_smooth", lambda loss: False)
    monkeypatch.setattr(module, "_curvature", lambda *_: 0.25)
    slow = choose_penalty(risk, seed=3, strengths=None)
    common = np.interp(np.log(slow.strengths[::-1]), np.log(fast.strengths[::-1]), fast.scores[::-1])[::-1]
    inside = (slow.strengths <= fast.strengths[0]) & (slow.strengths >= fast.strengths[-1])
    np.testing.assert_allclose(slow.scores[inside], common[inside], rtol=2e-2)
    assert slow.scores[slow.chosen] == pytest.approx(fast.scores[fast.chosen], rel=2e-3)
    assert len(slow.strengths) < len(fast.strengths)


def test_a_path_that_ends_early_chooses_what_the_whole_one_does():
    X, _, rng = rows(300, 20)
    risk, folds = Risk(X, 2 * X[:, 0] + 3 * X[:, 7] + 3 * rng.normal(size=300)), crossed(300, 5)
    some, whole = (choose_penalty(risk, "l1", folds=folds, early=early) for early in (True, False))
    count = len(some.strengths)
    assert count < len(whole.strengths) == module.COUNT["l1"]
    assert some.chosen == whole.chosen
    np.testing.assert_allclose(some.scores, whole.scores[:count], rtol=1e-9)
    assert (whole.scores[count - 3 : count] > whole.scores[whole.best]).all()
    given = choose_penalty(risk, "l1", folds=folds, strengths=whole.strengths)
    assert len(given.strengths) == len(whole.strengths)


def test_many_classes_are_walked_and_few_go_together():
    X, _, rng = rows(300, 6)
    for classes, together in ((3, True), (35, False)):
        y = rng.integers(0, classes, size=300).astype(float)
        assert module._at_once(Risk(X, y, "softmax", n_classes=classes), X.shape[1]) is together


@pytest.mark.parametrize("loss", ["hinge", "quantile 0.7"])
def test_losses_without_curvature_have_a_path_too(loss):
    X, z, rng = rows(120, 3)
    y = targets("log_loss" if loss == "hinge" else "squared_error", z, rng)
    found = choose_penalty(Risk(X, y, loss))
    assert found.scores[found.chosen] == found.scores.min()
    assert found.scores[found.chosen] < 0.9 * found.scores[0]


def test_many_rows_are_judged_by_one_hold_out(monkeypatch):
    X, z, rng = rows(2000, 5)
    risk = Risk(X, targets("log_loss", z, rng), "log_loss")
    monkeypatch.setattr(module, "MANY_ROWS", 1000)
    found = choose_penalty(risk)
    assert found.folds == 1
    assert "as 2,000 rows are many" in found.how
    assert 0 < found.errors[found.best] < 0.1
    squares = choose_penalty(Risk(X, z + rng.normal(size=2000)), "l1")
    assert squares.folds == 1
    assert 0 < squares.errors[squares.best] < 0.1


def test_ctrl_c_chooses_among_what_was_found():
    X, z, rng = rows(200, 5)
    risk = Risk(X, targets("log_loss", z, rng), "log_loss")

    def stop(done, planned):
        if done == 12:
            raise KeyboardInterrupt

    found = choose_penalty(risk, progress=stop)
    assert len(found.strengths) == 12
    assert found.how.endswith("interrupted")


def test_paths_refuse_what_cannot_be():
    X, z, _ = rows(60, 3)
    risk = Risk(X, z)
    for options, text in (
        ({"kind": "l3"}, "kind='l3'"),
        ({"strengths": np.array([0.0, 1.0])}, "positive"),
        ({"strengths": np.array([])}, "positive"),
        ({"folds": once(np.zeros(60, dtype=bool), "never")}, "a fold has no row"),
    ):
        with pytest.raises(OptionError, match=text):
            choose_penalty(risk, **options)
    with pytest.raises(CapabilityError, match="convex"):
        choose_penalty(Risk(X, (z > 0) * 1.0, "sigmoid_squared_error"))


# --- within fit


def table(n=400, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    late = rng.permutation(n)
    group = rng.integers(0, 40, n)
    y = X[:, 0] + 0.3 * X[:, 1] + rng.normal(size=n)
    return {
        **{f"x{j}": X[:, j] for j in range(4)},
        "day": np.datetime64("2024-01-01") + late,
        "patient": [f"p{g}" for g in group],
        "weight": rng.uniform(0.1, 3.0, n),
        "y": y,
        "ill": np.where(y > 0.8, "yes", "no"),
    }


def test_the_default_penalty_is_chosen_and_a_number_costs_nothing():
    chosen = fit("example:breast_cancer")
    assert chosen.path is not None
    assert chosen.model.facts["l2"] == chosen.path.strength
    assert chosen.certificate.rigorous
    given_ = fit("example:breast_cancer", l2=chosen.path.strength)
    assert given_.path is None
    assert given_.walk.fun == pytest.approx(chosen.walk.fun, rel=1e-5)
    assert "penalty" not in given_.seconds
    old = fit("example:breast_cancer", l2="1/n")
    assert old.model.facts["l2"] == 1 / old.model.facts["n_rows"]
    assert chosen.metrics["holdout"]["log_loss"] < 1.2 * old.metrics["holdout"]["log_loss"]
    told = chosen.as_json()["penalty"]
    assert told["l2"] == told["path"]["strength"] == told["path"]["strengths"][told["path"]["chosen"]]


def test_a_textbook_method_keeps_its_penalty():
    for options in ({"method": "gd", "epochs": 3}, {"learning_rate": 0.1}, {"epochs": 2}, {"l1": 0.01}):
        result = fit("example:breast_cancer", **options)
        assert result.path is None
        assert result.model.facts["l2"] == 1 / result.model.facts["n_rows"]
    assert fit("example:breast_cancer", method="gd", epochs=3, l2="auto").path is not None


def test_l1_is_chosen_too():
    result = fit("example:diabetes", l1="auto")
    assert result.path.kind == "l1"
    assert (result.model.facts["l1"], result.model.facts["l2"]) == (result.path.strength, 0.0)
    assert result.certificate.rigorous
    with pytest.raises(OptionError, match="one of the two is chosen"):
        fit("example:diabetes", l1="auto", l2="auto")
    with pytest.raises(OptionError, match="expected a number or 'auto' or '1/n'"):
        fit("example:diabetes", l2="much")


def test_few_rows_have_the_old_penalty_and_say_so():
    result = fit({"x": [1.0, 2.0, 3.0, 4.0], "y": [1.0, 2.1, 2.9, 4.0]}, "y")
    assert result.path is None
    assert any("too few to choose by" in text for word, text, _ in result.lines if word == "penalty")
    with pytest.raises(CapabilityError, match="needs 20 training rows"):
        fit({"x": [1.0, 2.0, 3.0, 4.0], "y": [1.0, 2.1, 2.9, 4.0]}, "y", l1="auto")


def test_held_out_rows_do_not_choose():
    data = table()
    held = fit(data, "y", exclude=("ill", "weight"))
    mask = np.isin(data["y"], held.holdout_y)
    other = dict(data, y=np.where(mask, 1e3, data["y"]))
    assert fit(other, "y", exclude=("ill", "weight")).path.strength == held.path.strength
    one = data["y"].copy()
    one[np.flatnonzero(~mask)[:5]] = 1e3  # a planted fault: training rows do
    assert fit(dict(data, y=one), "y", exclude=("ill", "weight")).path.strength != held.path.strength


def test_earlier_rows_teach_and_later_ones_judge(monkeypatch):
    data, seen = table(), []
    monkeypatch.setattr(module, "forward", lambda times, k: seen.append(forward(times, k)) or seen[-1])
    result = fit(data, "y", exclude=("ill", "weight", "patient"), time="day")
    days = np.argsort(np.argsort(data["day"]))
    judged = np.isin(data["y"], result.holdout_y)
    assert judged.sum() == 80
    assert days[judged].min() > days[~judged].max()
    folds = seen[0]
    for k in range(len(folds.judge)):
        assert days[~judged][folds.judges(k)].min() > days[~judged][folds.learns(k)].max()
    assert "forward" in result.path.how


def test_no_group_is_on_both_sides(monkeypatch):
    data, seen = table(), []
    monkeypatch.setattr(module, "crossed", lambda *a: seen.append(crossed(*a)) or seen[-1])
    result = fit(data, "y", exclude=("ill", "weight"), group="patient")
    judged, patients = np.isin(data["y"], result.holdout_y), np.array(data["patient"])
    assert not set(patients[judged]) & set(patients[~judged])
    assert 0.1 < judged.mean() < 0.35
    for k in range(5):
        inside = patients[~judged]
        assert not set(inside[seen[0].judges(k)]) & set(inside[seen[0].learns(k)])
    assert not any(name.startswith("patient") for name in result.model.features)
    assert "no group" in result.path.how


def test_weights_count_in_the_cost_and_in_the_metrics():
    data = table()
    result = fit(data, "y", exclude=("ill", "patient", "day"), weight="weight", l2=1e-3, tol=1e-10)
    assert result.model.features == ("x0", "x1", "x2", "x3")
    held = np.isin(data["y"], result.holdout_y)
    X, s = np.column_stack([data[f"x{j}"] for j in range(4)]), data["weight"]
    Z = X @ result.model.coefficients + result.model.raw_intercept
    assert result.metrics["holdout"]["rmse"] == pytest.approx(
        np.sqrt(np.average((Z[held] - data["y"][held]) ** 2, weights=s[held]))
    )
    scale = np.array([feature.scale for feature in result.model.encoder.details])
    peer_ = Ridge(alpha=1e-3 * s[~held].sum(), tol=1e-12).fit(X[~held] / scale, data["y"][~held], s[~held])
    np.testing.assert_allclose(peer_.coef_, result.model.weights, rtol=1e-6)
    doubled = {name: np.concatenate([np.asarray(v), np.asarray(v)]) for name, v in data.items()}
    doubled["weight"] = np.concatenate([s, np.zeros(400)])
    assert fit(doubled, "y", exclude=("ill", "patient", "day"), weight="weight", holdout=0.0).path.strength > 0


def test_class_weights_are_those_of_scikit_learn():
    data = table()
    out = ("y", "patient", "day", "weight")
    for given_, theirs in (("balanced", "balanced"), ({"yes": 3.0}, {0: 1.0, 1: 3.0})):
        result = fit(data, "ill", exclude=out, class_weight=given_, l2=1e-2, holdout=0.0, tol=1e-13)
        details = result.model.encoder.details
        X = np.column_stack([data[f"x{j}"] for j in range(4)])
        X = (X - [f.mean for f in details]) / [f.scale for f in details]
        y = (data["ill"] == "yes").astype(int)
        by_class = len(y) / (2 * np.bincount(y)) if theirs == "balanced" else np.array([1.0, 3.0])
        model = LogisticRegression(
            C=1 / (1e-2 * by_class[y].sum()), class_weight=theirs, solver="newton-cholesky", tol=1e-12
        ).fit(X, y)
        np.testing.assert_allclose(result.model.weights, model.coef_[0], rtol=1e-5)
    for wrong, text in (("even", "expected 'balanced'"), ({"maybe": 1.0}, "no class"), ({"yes": -1.0}, "at least 0")):
        with pytest.raises(OptionError, match=text):
            fit(data, "ill", exclude=out, class_weight=wrong)
    with pytest.raises(OptionError, match="has no classes"):
        fit(data, "y", exclude=("ill", "patient", "day", "weight"), class_weight="balanced")


def test_roles_are_refused_with_advice():
    from descender.errors import DataError

    data = table()
    for options, error, text in (
        ({"weight": "wight"}, OptionError, "did you mean weight"),
        ({"group": "y"}, OptionError, "is the target"),
        ({"weight": "patient"}, DataError, "expected numbers"),
        ({"weight": "x0"}, DataError, "a weight is a number of at least 0"),
    ):
        with pytest.raises(error, match=text):
            fit(data, "y", **options)
    one = dict(data, day=["2024-01-01"] * 400)
    with pytest.raises(OptionError, match="same value in every row"):
        fit(one, "y", time="day")
    with pytest.raises(OptionError, match="one group only"):
        fit(one, "y", group="day")


def test_trees_are_judged_on_the_same_rows():
    result = fit(table(), "y", exclude=("ill", "weight"), compare=True)
    ours, theirs = result.metrics["holdout"], result.comparison["metrics"]
    assert ours.keys() == theirs.keys()
    assert result.comparison["rows"] == 400 - len(result.holdout_y)
    line = next(text for word, text, _ in result.lines if word == "compared")
    assert line.startswith("gradient-boosted trees reach rmse")
    assert "no gain from trees" in line  # the truth is linear
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, 500)
    bent = fit({"x": x, "y": np.cos(3 * x)}, "y", compare=True)
    assert "the linear form costs you" in next(text for word, text, _ in bent.lines if word == "compared")
    three = fit("example:iris", compare=True).comparison
    assert {"log_loss", "accuracy", "balanced_accuracy", "brier"} == set(three["metrics"])
    assert fit("example:iris", holdout=0.0, compare=True).comparison is None


def test_a_path_is_plain_data():
    import json

    path = fit("example:diabetes").path
    plain = json.loads(json.dumps(path.as_json()))
    assert plain["scores"] == path.scores.tolist()
    assert dataclasses.is_dataclass(path)
    for name in ("strengths", "scores", "errors", "nonzeros", "gaps", "certified"):
        assert len(plain[name]) == len(path.strengths)
    assert path.coefficients.shape == (len(path.strengths), 10)


def test_moments_tell_what_rows_tell():
    X, z, rng = rows(90, 4)
    y, s = targets("squared_error", z, rng), rng.uniform(0, 1, 90)
    folds = once(np.arange(90) % 3 == 0, "thirds")
    risk = Risk(X + 100.0, y, sample_weight=s, l2=0.0)
    for point in squares_path(risk, "l2", STRENGTHS, folds):
        here = penalised(risk, "l2", point.strength, s * folds.learns(0))
        assert certificate(here, point.w).relative < 1e-9
        rows_ = np.flatnonzero(folds.judges(0))
        losses = risk.loss.value(risk.scores(point.w, risk.X[rows_]), y[rows_])
        assert point.losses[0] == pytest.approx(np.average(losses, weights=s[rows_]), rel=1e-8)
        assert point.squares[0] == pytest.approx(np.average(losses**2, weights=s[rows_]), rel=1e-8)


# --- on the command line


def on_the_command_line(folder, *words):
    from typer.testing import CliRunner

    from descender.cli import app

    data = table(200)
    path = folder / "ill.csv"
    names = list(data)
    cells = zip(*data.values(), strict=True)
    path.write_text("\n".join([",".join(names), *(",".join(map(str, row)) for row in cells)]))
    words = ("fit", str(path), "--target", "y", "--exclude", "ill", "--out", str(folder), *words)
    return CliRunner().invoke(app, words)


def test_the_command_chooses_compares_and_tells_it_in_json(tmp_path):
    import json

    ran = on_the_command_line(tmp_path, "--weight", "weight", "--group", "patient", "--json")
    assert ran.exit_code == 0, ran.output
    told = json.loads(ran.stdout)
    assert told["penalty"]["path"]["how"].endswith("no group in two of them")
    assert told["comparison"]["metrics"].keys() == told["metrics"]["holdout"].keys()
    assert {"read", "encode", "penalty", "fit", "compare", "report"} <= told["seconds"].keys()
    assert ran.stderr == ""
    ran = on_the_command_line(tmp_path, "--time", "day", "--l1", "auto", "--one-standard-error", "--no-compare")
    assert ran.exit_code == 0, ran.output
    assert "l1 = " in ran.stdout
    assert "forward steps in time" in ran.stdout
    assert "trees" not in ran.stdout
    ran = on_the_command_line(tmp_path, "--l2", "1/n", "--no-compare")
    assert ran.exit_code == 0, ran.output
    assert "penalty" not in ran.stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--l2", "many"), "--l2 many: expected a number, auto or 1/n"),
        (("--l1", "1/n"), "--l1 1/n: expected a number or auto"),
        (("--l1", "-1"), "--l1 -1.0: a penalty strength"),
        (("--class-weight", "yes=x"), "is not CLASS=NUMBER"),
        (("--class-weight", "balanced"), "has no classes"),
        (("--weight", "wieght"), "did you mean weight?"),
        (("--l1", "auto", "--l2", "auto"), "one of the two is chosen"),
    ],
)
def test_the_command_refuses_with_a_message(tmp_path, words, text):
    ran = on_the_command_line(tmp_path, *words)
    shown = " ".join((ran.output + str(ran.exception or "")).split())
    assert ran.exit_code != 0
    assert text in shown
