"""The scikit-learn doors of networks."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn import datasets
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import d2_tweedie_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier as SklearnMLP
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from descender import diagnose
from descender.costs.network.activations import ACTIVATIONS
from descender.costs.network.network import Network
from descender.errors import CapabilityError, DataError, InputError, OptionError, ShapeError, TargetError
from descender.estimators.mlp import MLPClassifier, MLPRegressor
from descender.estimators.scales import column_scales
from descender.methods import training


@parametrize_with_checks([MLPClassifier((5,), max_iter=30), MLPRegressor((20,), max_iter=40)])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def halves(load, seed=0, dtype=np.float64):
    X, y = load(return_X_y=True)
    return train_test_split(X.astype(dtype), y, random_state=seed)


@pytest.mark.parametrize(
    ("load", "least"),
    [(datasets.load_digits, 0.965), (datasets.load_wine, 0.95), (datasets.load_breast_cancer, 0.94)],
)
def test_defaults_learn_classes_from_columns_as_they_are(load, least):
    X, X_test, y, y_test = halves(load)
    model = MLPClassifier().fit(X, y)
    assert model.score(X_test, y_test) >= least
    assert model.predict_proba(X_test).sum(axis=1) == pytest.approx(1.0)


def test_defaults_learn_a_surface_and_say_what_they_did():
    X, y = datasets.make_friedman1(1500, noise=0.5, random_state=0)
    X_test, y_test = datasets.make_friedman1(500, noise=0.0, random_state=1)
    model = MLPRegressor().fit(X, y)
    assert model.score(X_test, y_test) > 0.95
    assert model.validation_costs_ is not None
    assert len(model.loss_curve_) == model.n_iter_
    assert model.loss_curve_[-1] < 0.1 * model.loss_curve_[0]
    assert "NAdam" in model.record_.facts["why"]


def test_the_scale_of_columns_and_targets_does_not_matter():
    X, X_test, y, _ = halves(datasets.load_diabetes)
    units = np.geomspace(1e-6, 1e6, X.shape[1])
    plain = MLPRegressor((20,), max_iter=30).fit(X, y)
    other = MLPRegressor((20,), max_iter=30).fit(X * units + 3 * units, 1e3 * y - 5e4)
    np.testing.assert_allclose(other.predict(X_test * units + 3 * units), 1e3 * plain.predict(X_test) - 5e4, rtol=1e-4)


@pytest.mark.parametrize("make", [MLPClassifier, MLPRegressor])
def test_weights_are_those_of_the_columns_as_passed_in(make):
    X, X_test, y, _ = halves(datasets.load_iris)
    model = make((7, 6), activation="tanh", max_iter=40).fit(5 + 100 * X, y.astype(float))
    a = 5 + 100 * X_test
    for k, (W, b) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        a = a @ W + b
        a = np.tanh(a) if k < 2 else a
    expected = model.decision_function(5 + 100 * X_test) if make is MLPClassifier else model.predict(5 + 100 * X_test)
    np.testing.assert_allclose(a if a.shape[1] > 1 else a[:, 0], expected, rtol=1e-9, atol=1e-9)


def test_a_row_of_weight_two_is_two_rows_where_all_are_read_at_once():
    X, _, y, _ = halves(datasets.load_iris)
    X, y = X[:40], y[:40]
    weights = np.random.default_rng(0).integers(0, 3, 40)
    weighted = MLPClassifier((8,), max_iter=60, batch_size=500).fit(X, y, weights)
    repeated = MLPClassifier((8,), max_iter=60, batch_size=500).fit(
        np.repeat(X, weights, axis=0), np.repeat(y, weights)
    )
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-6)


def test_sparse_rows_are_read_as_they_are():
    X = sparse.random(300, 40, 0.1, random_state=0, format="csr")
    sums = np.asarray(X[:, :20].sum(axis=1)).ravel()
    labels = (sums > np.median(sums)).astype(int)
    model = MLPClassifier((10,), max_iter=200).fit(X, labels)
    assert model.score(X, labels) > 0.95
    np.testing.assert_allclose(model.decision_function(X), model.decision_function(X.tocoo()))


def test_float32_stays_float32():
    X, X_test, y, _ = halves(datasets.load_wine, dtype=np.float32)
    model = MLPClassifier((8,), max_iter=20).fit(X, y)
    assert {W.dtype for W in model.coefs_} == {np.dtype(np.float32)}
    assert model.decision_function(X_test).dtype == np.float32


@pytest.mark.parametrize("activation", [*ACTIVATIONS, "logistic"])
def test_every_activation_lowers_the_cost(activation):
    X, _, y, _ = halves(datasets.load_wine)
    model = MLPClassifier((12, 12), activation, max_iter=200).fit(X, y)
    assert model.loss_ < 0.2 * np.log(3)


@pytest.mark.parametrize(
    "options",
    [
        {"normalisation": "batch"}, {"normalisation": "layer"}, {"dropout": 0.2}, {"residual": True},
        {"initialisation": "orthogonal"}, {"clip_norm": 0.5}, {"solver": "sgd", "learning_rate_init": 0.1},
        {"solver": "adam", "learning_rate_init": 0.01}, {"solver": "lbfgs"},
        {"solver": "rmsprop", "learning_rate_init": 0.01},
        {"class_weight": "balanced"}, {"early_stopping": True}, {"batch_size": 10}, {"learning_rate": 0.02},
    ],
    ids=str,
)  # fmt: skip
def test_options_do_what_they_say_and_the_cost_falls(options):
    X, _, y, _ = halves(datasets.load_iris)
    model = MLPClassifier((16, 16), **{"max_iter": 60, **options}).fit(X, y)
    assert model.score(X, y) > 0.9
    assert (model.validation_costs_ is not None) == bool(options.get("early_stopping"))


def test_the_weights_with_the_lowest_held_out_cost_are_kept():
    X, y = datasets.make_friedman1(200, noise=4.0, random_state=0)
    model = MLPRegressor((200,), early_stopping=True, validation_fraction=0.3, max_iter=400).fit(X, y)
    costs = model.validation_costs_
    assert model.n_iter_ < 400
    assert costs[-1] == costs.min()  # the last row of the record is the answer


def test_few_noisy_samples_are_not_learnt_by_heart():
    X, X_test, y, y_test = halves(datasets.load_diabetes)
    assert MLPRegressor().fit(X, y).score(X_test, y_test) > 0.15
    assert MLPRegressor(early_stopping=False).fit(X, y).score(X_test, y_test) < 0.1


def test_folds_tell_how_long_to_learn_from_fifty_numbers_but_not_from_as_few_classes(monkeypatch):
    monkeypatch.setattr(training, "STEPS", 400)
    rng = np.random.default_rng(0)
    X, noise = rng.normal(size=(60, 3)), rng.normal(size=60)
    assert MLPRegressor((8,)).fit(X, noise).n_iter_ < 200
    assert MLPRegressor((8,)).fit(X[:49], noise[:49]).n_iter_ == 400
    assert MLPClassifier((8,)).fit(X, noise > 0).n_iter_ == 400


@pytest.mark.parametrize("early_stopping", [False, True])
def test_tol_ends_a_training_whose_cost_no_longer_falls(early_stopping):
    X, _, y, _ = halves(datasets.load_wine)
    options = {"early_stopping": early_stopping, "max_iter": 60, "n_iter_no_change": 3}
    whole = MLPClassifier((8,), **options | {"n_iter_no_change": 60}).fit(X, y)
    ended = MLPClassifier((8,), tol=0.05, **options).fit(X, y)
    assert ended.n_iter_ < whole.n_iter_ == 60
    costs = ended.validation_costs_[1:-1] if early_stopping else ended.loss_curve_
    assert costs[:-4].min() - costs.min() <= 4 * 0.05
    at_once = MLPClassifier((8,), tol=1e9, **options).fit(X, y)
    assert at_once.n_iter_ == 5 - early_stopping  # the first look is the lowest; of what watches, it is at the start
    with pytest.raises(OptionError, match="tol=-1"):
        MLPClassifier(tol=-1.0).fit(X, y)


def test_scikit_learns_solvers_end_by_its_tol():
    X, _, y, _ = halves(datasets.load_iris)
    model = MLPClassifier((8,), solver="adam", learning_rate_init=0.1, batch_size=32, max_iter=400).fit(X, y)
    assert model.n_iter_ < 400
    assert "has not fallen" in model.record_.facts["message"]
    rough = MLPClassifier((8,), solver="lbfgs", tol=0.1).fit(X, y)
    assert rough.n_iter_ < MLPClassifier((8,), solver="lbfgs").fit(X, y).n_iter_


def test_samples_of_several_labels():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 8))
    Y = (X @ rng.normal(size=(8, 3)) > 0).astype(int)
    model = MLPClassifier((8,), max_iter=60).fit(X, Y)
    assert model.classes_.tolist() == [0, 1, 2]
    assert (model.predict(X) == Y).mean() > 0.9
    np.testing.assert_array_equal(model.predict(X), model.predict_proba(X) > 0.5)
    alone = MLPClassifier((8,), max_iter=30, class_weight="balanced")
    with pytest.raises(OptionError, match="class_weight"):
        alone.fit(X, Y)
    with pytest.raises(TargetError, match="columns of 0 and 1"):
        MLPClassifier().fit(X, Y * 2 + np.arange(200)[:, None] % 2)


def test_a_warm_start_goes_on():
    X, _, y, _ = halves(datasets.load_wine)
    model = MLPClassifier((8,), max_iter=5, warm_start=True).fit(X, y)
    first = model.loss_
    for _ in range(5):
        model.fit(X, y)
    assert model.loss_ < first
    with pytest.raises(OptionError, match="other sizes"):
        model.set_params(hidden_layer_sizes=(9,)).fit(X, y)


def test_a_first_part_is_an_epoch_of_fit_and_others_go_on():
    X, X_test, y, y_test = halves(datasets.load_digits)
    part = MLPClassifier((8,), solver="sgd").partial_fit(X, y, classes=np.unique(y))
    whole = MLPClassifier((8,), solver="sgd", max_iter=1, early_stopping=False).fit(X, y)
    np.testing.assert_array_equal(part.coefs_[0], whole.coefs_[0])
    model = MLPClassifier()
    for _ in range(5):
        for rows in np.split(np.arange(1200), 4):
            model.partial_fit(X[rows], y[rows], classes=range(10))
    assert model.score(X_test, y_test) > 0.88
    assert (model.n_iter_, len(model.loss_curve_), model.t_) == (20, 20, 6000)
    assert model.best_loss_ == model.loss_curve_.min()
    surface, target = MLPRegressor(), 1e6 * (X[:, 20] + X[:, 30])
    for _ in range(8):
        surface.partial_fit(X, target)
    assert surface.score(X, target) > 0.7


@pytest.mark.parametrize(
    ("options", "told", "says"),
    [
        ({}, {}, "classes must be passed"),
        ({}, {"classes": [0, 1]}, "the model knows the classes"),
        ({"solver": "lbfgs"}, {"classes": [0, 1, 2]}, "lbfgs"),
        ({"early_stopping": True}, {"classes": [0, 1, 2]}, "early_stopping"),
        ({"class_weight": "balanced"}, {"classes": [0, 1, 2]}, "balanced"),
    ],
)
def test_what_no_part_tells_is_asked_for(options, told, says):
    X, y = datasets.load_iris(return_X_y=True)
    with pytest.raises(InputError, match=says):
        MLPClassifier(**options).partial_fit(X, y, **told)


@pytest.mark.parametrize("two", [False, True])
def test_attributes_are_those_of_scikit_learn(two):
    X, y = datasets.load_iris(return_X_y=True)
    options = {"hidden_layer_sizes": (4, 3), "max_iter": 2, "early_stopping": two}
    with pytest.warns(ConvergenceWarning):
        theirs = SklearnMLP(**options).fit(X, y == 0 if two else y)
    ours = MLPClassifier(**options).fit(X, y == 0 if two else y)
    assert {name for name in vars(theirs) if name.endswith("_")} <= {*vars(ours)}
    for name in ("n_layers_", "n_outputs_", "out_activation_", "n_iter_", "t_", "n_features_in_"):
        assert getattr(ours, name) == getattr(theirs, name), name
    for name in ("best_loss_", "best_validation_score_", "validation_scores_"):
        assert (getattr(ours, name) is None) == (getattr(theirs, name) is None), name
    assert [part.shape for part in ours.coefs_] == [part.shape for part in theirs.coefs_]


def test_held_out_scores_are_those_of_the_weights_that_are_kept():
    X, y = datasets.load_iris(return_X_y=True)
    for model, train in ((MLPClassifier((4,), max_iter=8), y), (MLPRegressor((4,), max_iter=8), X[:, 0])):
        model.set_params(early_stopping=True, validation_fraction=0.2, random_state=3).fit(X, train)
        seed = int(np.random.RandomState(3).randint(np.iinfo(np.int32).max))
        alike = y if train is y else None
        held = train_test_split(np.arange(150), test_size=0.2, random_state=seed, stratify=alike)[1]
        best = model.validation_scores_[int(np.argmin(model.validation_costs_))]
        assert best == pytest.approx(model.score(X[held], train[held]))


def test_counts_are_predicted_by_exponentials():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 2)).astype(np.float32)
    rates = np.exp(1.0 + X[:, 0] * np.tanh(X[:, 1]))
    y = rng.poisson(rates)
    model = MLPRegressor(loss="poisson", max_iter=40).fit(X, y)
    assert (y == 0).any()
    assert model.predict(X).dtype == np.float32
    assert model.predict(X).min() > 0
    assert d2_tweedie_score(rates, model.predict(X), power=1) > 0.8
    with pytest.raises(TargetError, match="at least 0"):
        model.fit(X, y - 1.0)
    with pytest.raises(OptionError, match="loss='poison'; did you mean poisson"):
        model.set_params(loss="poison").fit(X, y)


def test_logarithms_of_probabilities_have_no_end():
    X, y = datasets.load_iris(return_X_y=True)
    for target in (y, y == 1, np.column_stack([y == 0, y == 2])):
        model = MLPClassifier((4,), max_iter=5).fit(X, target.astype(int))
        np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X))
        assert np.isfinite(model.predict_log_proba(X * 1e5)).all()


def test_it_stands_in_pipelines_searches_and_files():
    X, X_test, y, _ = halves(datasets.load_iris)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), MLPClassifier(max_iter=5)), {"mlpclassifier__alpha": [1e-4, 1]}, cv=2
    )
    search.fit(X, y)
    assert search.best_score_ > 0.5
    model = MLPClassifier((6,), initialisation="normal 0.5", normalisation="batch", max_iter=20).fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X_test), model.predict_proba(X_test))
    assert clone(model).get_params() == model.get_params()


def test_the_same_seed_gives_the_same_bits():
    X, _, y, _ = halves(datasets.load_wine)
    one, two = (MLPClassifier((8,), dropout=0.3, max_iter=10, random_state=3).fit(X, y) for _ in range(2))
    for a, b in zip(one.coefs_, two.coefs_, strict=True):
        np.testing.assert_array_equal(a, b)


def test_column_scales_know_constants_even_when_large():
    X = np.column_stack([np.full(50, 1e9), np.arange(50.0), 1e-9 * np.arange(50.0)])
    scales = column_scales(X, None)
    assert scales.size[0] == 1.0
    assert scales.kept.tolist() == [1, 2]
    fourth = (((X - X.mean(axis=0)) ** 4).mean(axis=0) / 3) ** 0.25
    np.testing.assert_allclose(scales.size[1:], fourth[1:])
    np.testing.assert_allclose(column_scales(X, None, power=2).size[1:], X.std(axis=0)[1:])
    np.testing.assert_allclose(scales.center, X.mean(axis=0))
    np.testing.assert_allclose(column_scales(sparse.csr_array(X), None).size, ((X**4).mean(axis=0) / 3) ** 0.25)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scales_of_many_rows_are_those_of_any_unit(dtype):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(3, 2, 1000), rng.random(1000) < 0.01]).astype(dtype)
    plain, weights = column_scales(X, None), rng.integers(0, 3, 1000)
    np.testing.assert_allclose(column_scales(X * dtype(1e18), None).size, plain.size * 1e18, rtol=1e-5)
    repeated = column_scales(np.repeat(X, weights, axis=0), None)
    np.testing.assert_allclose(column_scales(X, weights).size, repeated.size, rtol=1e-5)
    assert plain.size[0] == pytest.approx(2, rel=0.1)
    assert np.abs(plain.of(X)).max() < 6  # of deviations the seldom ones were 10


def test_a_column_that_was_constant_in_training_says_nothing():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    X[:, 1] = 5.0
    model = MLPRegressor((4,), max_iter=3).fit(X, X[:, 0])
    other = X.copy()
    other[:, 1] = 1e6
    np.testing.assert_array_equal(model.predict(X), model.predict(other))
    assert model.coefs_[0].shape == (3, 4)
    assert not model.coefs_[0][1].any()


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"hidden_layer_sizes": (0,)}, InputError, "outputs=0"),
        ({"hidden_layer_sizes": None}, OptionError, "hidden_layer_sizes=None"),
        ({"hidden_layer_sizes": "10"}, OptionError, "hidden_layer_sizes='10'"),
        ({"shuffle": "no"}, OptionError, "shuffle='no'"),
        ({"activation": "rellu"}, OptionError, "did you mean relu"),
        ({"solver": "adm"}, OptionError, "solver='adm'; did you mean adam"),
        ({"batch_size": 0}, OptionError, "batch_size=0"),
        ({"batch_size": "large"}, OptionError, "batch_size='large'"),
        ({"dropout": 1.0}, OptionError, "dropout=1.0"),
        ({"normalisation": "bach"}, OptionError, "batch"),
        ({"early_stopping": True, "validation_fraction": 1.5}, OptionError, "validation_fraction=1.5"),
        ({"learning_rate": "fast"}, OptionError, "fast"),
        ({"alpha": -1.0}, OptionError, "alpha=-1.0: expected a number of at least 0"),
        ({"alpha": "x"}, OptionError, "alpha='x'"),
        ({"n_iter_no_change": 0}, OptionError, "n_iter_no_change=0: expected a number of at least 1"),
        ({"max_iter": -1}, OptionError, "max_iter=-1"),
        ({"residual": "yes"}, OptionError, "residual='yes': expected True or False"),
    ],
)
def test_what_does_not_fit_is_said(options, error, says):
    X, y = datasets.load_iris(return_X_y=True)
    with pytest.raises(error, match=says):
        MLPClassifier(**options).fit(X, y)


@pytest.mark.parametrize("make", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("unit", [1e30, 1e300, 1e-300])
def test_columns_of_any_size_are_learnt_from(make, unit):
    X, _, y, _ = halves(datasets.load_iris)
    y = (y == 0).astype(float)
    plain = make((6,), max_iter=20).fit(X, y)
    other = make((6,), max_iter=20).fit(X * [unit, 1.0, 1.0, 1.0], y)
    np.testing.assert_allclose(other.predict(X * [unit, 1.0, 1.0, 1.0]), plain.predict(X), atol=1e-6)
    assert all(np.isfinite(W).all() for W in other.coefs_ + other.intercepts_)


def test_targets_of_any_size_are_learnt():
    X, _, y, _ = halves(datasets.load_diabetes)
    plain = MLPRegressor((6,), max_iter=10).fit(X, y).predict(X)
    for unit in (1e300, 1e-300):
        np.testing.assert_allclose(MLPRegressor((6,), max_iter=10).fit(X, unit * y).predict(X) / unit, plain, rtol=1e-6)


@pytest.mark.parametrize("make", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_told(make, value):
    X, _, y, _ = halves(datasets.load_iris)
    gap, gone = X.copy(), y.astype(float)
    gap[7, 2] = gone[3] = value
    with pytest.raises(DataError, match="row 7, column 2"):
        make((6,)).fit(gap, y)
    with pytest.raises(TargetError, match="Leave out such rows"):
        make((6,)).fit(X, gone)


def test_what_is_not_finite_is_told_of_new_rows_too():
    X, _, y, _ = halves(datasets.load_iris)
    model = MLPClassifier((3,), max_iter=1).fit(X, y)
    X[5, 2] = np.nan
    with pytest.raises(DataError, match="row 5, column 2"):
        model.predict(X)


def test_one_class_is_refused():
    with pytest.raises(TargetError, match="only one class"):
        MLPClassifier().fit(np.zeros((4, 1)), np.ones(4))


def test_a_remedy_of_a_fitted_network_is_tried_by_a_twin_on_the_same_samples():
    X, y = datasets.load_wine(return_X_y=True)
    model = MLPClassifier((20,), solver="adam", learning_rate_init=10.0, max_iter=30).fit(X, y)
    before = model.predict_proba(X)
    found = diagnose(model)
    assert found[0].cause == "learning-rate-too-high"
    trials = found.confirm()
    assert [trial.repaired for trial in trials][-1]
    assert trials[-1].code.startswith("learning_rate=")
    again = MLPClassifier((20,), solver="adam", learning_rate=float(trials[-1].code.partition("=")[2]), max_iter=30)
    assert f"{again.fit(X, y).loss_:.3g}" == trials[-1].after  # the remedy is the code that it tells
    np.testing.assert_array_equal(model.predict_proba(X), before)
    model = pickle.loads(pickle.dumps(model))
    with pytest.raises(CapabilityError, match="cannot be walked again"):
        diagnose(model).confirm()


def test_the_rate_falls_by_a_power_of_the_samples_learnt_from_as_in_scikit_learn():
    X, y = datasets.load_iris(return_X_y=True)
    how = {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.2, "power_t": 0.3, "batch_size": 50}
    model = MLPClassifier((5,), max_iter=3, tol=0.0, early_stopping=False, **how).fit(X, y)
    rates = model.record_["learning_rate"]
    rates = rates[np.isfinite(rates)]
    theirs = SklearnMLP((5,), max_iter=3, **how)
    with pytest.warns(ConvergenceWarning):
        theirs.fit(X, y)
    np.testing.assert_allclose(rates, np.repeat(0.2 / np.array([1, 151, 301]) ** 0.3, 3), rtol=1e-12)
    assert theirs._optimizer.learning_rate == pytest.approx(0.2 / 451**0.3)  # of the epoch that did not come
    model.partial_fit(X, y)
    assert model.record_["learning_rate"][0] == pytest.approx(0.2 / 451**0.3)


def test_verbose_prints_an_epoch_a_line_and_changes_nothing(capsys):
    X, y = datasets.load_iris(return_X_y=True)
    quiet = MLPRegressor((5,), max_iter=4).fit(X, y)
    assert capsys.readouterr().out == ""
    loud = MLPRegressor((5,), max_iter=4, verbose=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(", loss = ")[0] for line in lines] == [f"Iteration {k}" for k in (1, 2, 3, 4)]
    np.testing.assert_allclose([float(line.rpartition(" ")[2]) for line in lines], quiet.loss_curve_, atol=1e-8)
    np.testing.assert_array_equal(loud.predict(X), quiet.predict(X))


def test_a_network_without_layers_is_refused():
    for layers in ([], [3]):
        with pytest.raises(ShapeError, match="expected layers in a row"):
            Network(layers, [[0.0]], [0.0])
