"""The scikit-learn doors: the protocol, the same optimum as scikit-learn's own models, weights, callbacks."""

import pickle
import warnings

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import (
    ElasticNet,
    HuberRegressor,
    Lasso,
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    RidgeClassifier,
)
from sklearn.metrics import d2_pinball_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from descender import LinearClassifier, LinearRegressor
from descender.costs.risk import Risk
from descender.errors import DescenderError, OptionError, TargetError

REPRESENTATIVE = [LinearRegressor(), LinearClassifier()]
GRID = [
    LinearRegressor(l1=0.01),
    LinearRegressor(fit_intercept=False),
    LinearRegressor(l2=0.1, l1=0.1, warm_start=True),
    LinearClassifier(l1=0.01),
    LinearClassifier(class_weight="balanced"),
    LinearRegressor("huber 1.0"),
    LinearRegressor("poisson"),
    LinearRegressor("quantile 0.9"),
    LinearClassifier("hinge"),
    LinearClassifier("squared_hinge"),
    LinearClassifier("squared_error"),
    LinearClassifier("sigmoid_squared_error"),
]


@parametrize_with_checks(REPRESENTATIVE)
def test_the_protocol_of_scikit_learn_is_kept(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(GRID)
def test_the_protocol_is_kept_with_every_loss_and_penalty(estimator, check):
    check(estimator)


def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X * 20.0, y / 50.0


def cost(model, X, y, s=None, codes=None):
    """F of a fitted model, of ours or of theirs, by its public attributes."""
    codes = y if codes is None else codes
    softmax = model.coef_.ndim == 2 and len(model.coef_) > 1
    loss = "softmax" if softmax else "log_loss" if hasattr(model, "classes_") else "squared_error"
    return lambda l2, l1: Risk(X, codes, loss, l2=l2, l1=l1, sample_weight=s).value(
        np.concatenate([np.ravel(model.coef_), np.ravel(model.intercept_)])
    )


def assert_same_bottom(ours, theirs, X, y, l2, l1, s=None, atol=1e-6):
    """Both at the same cost to 1e-8, ours not above; the same coefficients."""
    low, high = cost(ours, X, y, s)(l2, l1), cost(theirs, X, y, s)(l2, l1)
    assert low <= high * (1 + 1e-13)
    assert low == pytest.approx(high, rel=1e-8)
    np.testing.assert_allclose(np.ravel(ours.coef_), np.ravel(theirs.coef_), rtol=1e-5, atol=atol)
    np.testing.assert_allclose(np.ravel(ours.intercept_), np.ravel(theirs.intercept_), rtol=1e-5, atol=atol)


WEIGHTS = [None, "random"]


def weights(kind, n):
    return None if kind is None else np.random.default_rng(1).uniform(0.1, 3.0, n)


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_ridge_is_l2_of_alpha_over_the_weights(alpha, kind):
    X, y = diabetes()
    s = weights(kind, len(y))
    l2 = alpha / (len(y) if s is None else s.sum())
    ours = LinearRegressor(l2=None if alpha == 1.0 else l2).fit(X, y, s)
    assert_same_bottom(ours, Ridge(alpha=alpha).fit(X, y, s), X, y, l2, 0.0, s)


def test_linear_regression_is_no_penalty():
    X, y = diabetes()
    assert_same_bottom(LinearRegressor(l2=0).fit(X, y), LinearRegression().fit(X, y), X, y, 0.0, 0.0)


@pytest.mark.parametrize("ratio", [1.0, 0.4])
def test_elastic_net_is_alpha_shared_by_its_ratio(ratio):
    X, y = diabetes()
    theirs = Lasso(alpha=0.05, tol=1e-14, max_iter=10**6) if ratio == 1.0 else None
    theirs = theirs or ElasticNet(alpha=0.05, l1_ratio=ratio, tol=1e-14, max_iter=10**6)
    l1, l2 = 0.05 * ratio, 0.05 * (1 - ratio)
    ours = LinearRegressor(l2=l2, l1=l1).fit(X, y)
    assert_same_bottom(ours, theirs.fit(X, y), X, y, l2, l1)
    assert np.array_equal(ours.coef_ == 0, theirs.coef_ == 0)


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("class_weight", [None, "balanced", {0: 1.0, 1: 3.0}])
def test_logistic_regression_is_l2_of_one_over_c_and_the_weights(class_weight, kind):
    X, y = cancer()
    s = weights(kind, len(y))
    theirs = LogisticRegression(C=1.0, class_weight=class_weight, tol=1e-12, max_iter=10**5, solver="newton-cholesky")
    ours = LinearClassifier(class_weight=class_weight).fit(X, y, s)
    theirs.fit(X, y, s)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-8)


def test_logistic_regression_with_l1():
    X, y = cancer()
    C = 0.1
    theirs = LogisticRegression(C=C, l1_ratio=1.0, solver="saga", tol=1e-10, max_iter=10**5).fit(X, y)
    l1 = 1 / (C * len(y))
    assert_same_bottom(LinearClassifier(l2=0, l1=l1).fit(X, y), theirs, X, y, 0.0, l1, atol=1e-4)


def test_multinomial_logistic_regression():
    X, y = load_iris(return_X_y=True)
    ours = LinearClassifier().fit(X, y)
    theirs = LogisticRegression(tol=1e-12, max_iter=10**5, solver="newton-cholesky").fit(X, y)
    assert_same_bottom(ours, theirs, X, y, 1 / len(y), 0.0)
    np.testing.assert_allclose(ours.predict_log_proba(X), theirs.predict_log_proba(X), atol=1e-6)


def test_the_penalty_is_chosen_where_asked():
    X, y = diabetes()
    noise = np.random.default_rng(0).standard_normal((len(y), 60))
    model = LinearRegressor(l1="auto").fit(np.column_stack([X, noise]), y)
    assert model.path_.strength == model.l1_ > 0
    assert model.l2_ == 0.0
    theirs = Lasso(alpha=model.l1_, tol=1e-12, max_iter=10**6).fit(np.column_stack([X, noise]), y)
    np.testing.assert_allclose(model.coef_, theirs.coef_, atol=1e-6)
    X, y = cancer()
    chosen = LinearClassifier(l2="auto").fit(X, y)
    fixed = LinearClassifier(l2=chosen.l2_).fit(X, y)
    np.testing.assert_allclose(chosen.coef_, fixed.coef_, atol=1e-7)
    assert not hasattr(chosen, "partial_fit")
    assert LinearClassifier().fit(X, y).l2_ == 1 / len(y)
    both = LinearRegressor(l2="auto").fit(*np.array_split(np.column_stack([X, X[:, :2]]), [30], axis=1))
    assert both.l2_.shape == (2,)
    with pytest.raises(OptionError, match="one of them"):
        LinearClassifier(l2="auto", l1="auto").fit(X, y)
    with pytest.raises(OptionError, match="l2="):
        LinearClassifier(l2="1/n").fit(X, y)


@pytest.mark.parametrize("kind", WEIGHTS)
def test_poisson_regression_and_its_score(kind):
    X, y = diabetes()
    s = weights(kind, len(y))
    theirs = PoissonRegressor(alpha=0.02, solver="newton-cholesky", tol=1e-10).fit(X, y, s)
    ours = LinearRegressor("poisson", l2=0.02).fit(X, y, s)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-8)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-8)
    assert ours.score(X, y, s) == pytest.approx(theirs.score(X, y, s), rel=1e-9)


def test_huber_regression_at_the_scale_that_it_found():
    X, y = diabetes()
    theirs = HuberRegressor(epsilon=1.2, alpha=3.0, tol=1e-9, max_iter=10**5).fit(X, y)
    ours = LinearRegressor(f"huber {1.2 * theirs.scale_}", l2=3.0 * theirs.scale_ / len(y)).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-4)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-4)
    assert 0.4 < ours.score(X, y) < 0.6
    assert LinearRegressor().fit(X, y).score(X, y) == r2_score(y, LinearRegressor().fit(X, y).predict(X))


def test_a_quantile_is_the_linear_program_of_scikit_learn():
    X, y = diabetes()
    theirs = QuantileRegressor(quantile=0.8, alpha=0.01).fit(X, y)
    ours = LinearRegressor("quantile 0.8", l2=0, l1=0.01).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-5)
    assert ours.score(X, y) == pytest.approx(d2_pinball_score(y, theirs.predict(X), alpha=0.8), abs=1e-6)
    assert ours.certificate_.rigorous
    assert ours.certificate_.relative < 1e-6


@pytest.mark.parametrize("classes", [2, 3])
def test_hinge_is_a_support_vector_machine(classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < classes], y[y < classes]
    ours = LinearClassifier("hinge", l2=1 / (0.5 * len(y))).fit(X, y)
    for k in range(classes if classes > 2 else 1):
        theirs = SVC(kernel="linear", C=0.5, tol=1e-8).fit(X, y == (k if classes > 2 else 1))
        np.testing.assert_allclose(ours.coef_[k], theirs.coef_[0], atol=5e-4)
    assert ours.certificate_.relative < 1e-12
    assert not hasattr(ours, "predict_proba")


@pytest.mark.parametrize("classes", [2, 3])
def test_squared_hinge_is_a_linear_svc_whose_intercept_is_free(classes):
    X, y = load_iris(return_X_y=True)
    X, y = X[y < classes], y[y < classes]
    C = 0.05
    theirs = LinearSVC(C=C, intercept_scaling=1e4, tol=1e-10, max_iter=10**6, dual=False).fit(X, y)
    ours = LinearClassifier("squared_hinge", l2=1 / (C * len(y))).fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=2e-4)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=2e-3)
    assert not hasattr(ours, "predict_proba")


def test_squared_error_of_classes_is_ridge_classifier():
    X, y = load_iris(return_X_y=True)
    ours, theirs = LinearClassifier("squared_error").fit(X, y), RidgeClassifier().fit(X, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-9)
    np.testing.assert_allclose(ours.decision_function(X), theirs.decision_function(X), atol=1e-9)
    assert not hasattr(ours, "predict_proba")


def test_several_outputs_are_several_regressions():
    X, y = diabetes()
    Y = np.column_stack([y, -2 * y + X[:, 0]])
    ours, theirs = LinearRegressor().fit(X, Y), Ridge().fit(X, Y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-9)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), atol=1e-9)
    parts = [LinearRegressor().fit(X, column).certificate_ for column in Y.T]
    assert ours.certificate_.value == pytest.approx(sum(part.value for part in parts))
    assert ours.certificate_.relative == max(part.relative for part in parts)
    assert [len(curve) for curve in ours.loss_curve_] == [len(record["cost"]) for record in ours.record_]


def test_columns_need_no_scaling_and_the_cost_is_that_of_the_columns_as_given():
    X, y = load_breast_cancer(return_X_y=True)
    assert X.std(axis=0).max() / X.std(axis=0).min() > 1e4
    model = LinearClassifier(l2=0.01).fit(X, y)
    w = np.append(model.coef_, model.intercept_)
    risk = Risk(X, y, "log_loss", l2=0.01)
    assert risk.value(w) == pytest.approx(model.certificate_.value, rel=1e-12)
    assert np.abs(risk.gradient(w)).max() < 1e-9
    assert model.certificate_.rigorous
    assert model.certificate_.relative < 1e-12
    assert model.loss_curve_[-1] == pytest.approx(model.certificate_.value)
    assert model.loss_curve_[0] > model.loss_curve_[-1]


def test_small_problems_do_not_depend_on_tol():
    X, y = cancer()
    rough, fine = LinearClassifier(tol=0.1).fit(X, y), LinearClassifier(tol=1e-12).fit(X, y)
    np.testing.assert_array_equal(rough.coef_, fine.coef_)


@pytest.mark.parametrize("door", [LinearClassifier(tol=1e-3), LinearClassifier("squared_error", tol=1e-3)])
def test_weights_are_repetitions_and_rows_of_weight_zero_are_not_there(door):
    X, y = load_digits(return_X_y=True)
    X, y = X[:400], y[:400] % 3
    s = np.random.default_rng(0).integers(0, 4, len(y)).astype(float)
    again = np.repeat(np.arange(len(y)), s.astype(int))
    weighted, repeated = clone(door).fit(X, y, s), clone(door).fit(X[again], y[again])
    np.testing.assert_allclose(weighted.decision_function(X), repeated.decision_function(X), rtol=1e-7, atol=1e-8)
    present = clone(door).fit(X[s > 0], y[s > 0], s[s > 0])
    np.testing.assert_array_equal(weighted.coef_, present.coef_)
    y = np.where(s == 0, 7, y)
    assert clone(door).fit(X, y, s).classes_.tolist() == [0, 1, 2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sparse_is_dense_and_float32_stays(dtype):
    X, y = load_digits(return_X_y=True)
    X = X.astype(dtype)
    door = LinearClassifier(l2=0.1, tol=1e-6 if dtype == np.float32 else 1e-14)
    dense, thin = clone(door).fit(X, y), clone(door).fit(sparse.csr_array(X), y)
    assert dense.coef_.dtype == dense.intercept_.dtype == dense.decision_function(X).dtype == dtype
    np.testing.assert_allclose(dense.coef_, thin.coef_, atol=1e-3 if dtype == np.float32 else 1e-8)
    assert thin.predict(sparse.coo_array(X)).tolist() == thin.predict(X).tolist()


def test_a_warm_start_begins_where_the_last_fit_ended():
    X, y = cancer()
    model = LinearClassifier(warm_start=True).fit(X, y)
    cold, low = model.n_iter_, model.certificate_.value
    model.fit(X, y)
    assert model.n_iter_ < cold
    assert model.certificate_.value == pytest.approx(low, rel=1e-12)
    with pytest.raises(TargetError, match="warm_start"):
        model.fit(X, y + 1)
    iris = LinearClassifier(warm_start=True).fit(*load_iris(return_X_y=True))
    assert iris.fit(*load_iris(return_X_y=True)).n_iter_ <= 2


def test_it_lives_in_pipelines_searches_and_pickles():
    X, y = load_breast_cancer(return_X_y=True)
    pipe = make_pipeline(StandardScaler(), LinearClassifier())
    search = GridSearchCV(pipe, {"linearclassifier__l2": [1e-4, 1e-2, 1.0]}, cv=3).fit(X, y)
    assert search.best_params_["linearclassifier__l2"] < 1.0
    assert cross_val_score(LinearRegressor(), *diabetes(), cv=3).mean() > 0.4
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict_proba(X), search.predict_proba(X))
    assert again[-1].certificate_ == search.best_estimator_[-1].certificate_


def test_names_of_columns_are_kept_and_checked():
    pd = pytest.importorskip("pandas", reason="data frames are pandas'")
    X, y = cancer()
    frame = pd.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])])
    model = LinearClassifier().fit(frame, y)
    assert model.feature_names_in_[:2].tolist() == ["c0", "c1"]
    assert model.n_features_in_ == X.shape[1]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[frame.columns[::-1]])


class Watcher:
    """A callback of scikit-learn that notes what it is told, and stops after some steps."""

    def __init__(self, most=10**9):
        self.most, self.begun, self.ended = most, [], []

    def setup(self, estimator, context):
        self.begun.append("setup")

    def teardown(self, estimator, context):
        self.ended.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.begun.append(context.task_name)

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        self.ended.append(context.task_name)
        if context.task_name == "step":
            self.last = fitted_estimator.coef_.copy(), fitted_estimator.score(X, y)
        return self.ended.count("step") >= self.most


def test_callbacks_see_each_step_and_a_model_that_predicts():
    X, y = cancer()
    watcher = Watcher()
    model = LinearClassifier().set_callbacks(watcher).fit(X, y)
    assert watcher.begun[:2] == ["setup", "fit"]
    assert watcher.ended[-2:] == ["fit", "teardown"]
    assert sorted(watcher.begun[1:]) == sorted(watcher.ended[:-1])
    assert watcher.ended.count("step") == model.n_iter_
    np.testing.assert_array_equal(watcher.last[0], model.coef_)
    assert watcher.last[1] == model.score(X, y)


def test_a_callback_ends_the_walk_and_nothing_warns():
    X, y = cancer()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = LinearClassifier().set_callbacks(Watcher(2)).fit(X, y)
    assert model.n_iter_ == 2
    assert model.certificate_.relative > 1e-6


def test_callbacks_see_the_outputs_of_a_fit_with_several():
    X, y = load_iris(return_X_y=True)
    watcher = Watcher()
    LinearClassifier("squared_error").set_callbacks(watcher).fit(X, y)
    assert watcher.ended.count("output") == 3


def test_the_callbacks_of_scikit_learn_work():
    X, y = cancer()
    monitor = ScoringMonitor(scoring="accuracy")
    model = LinearClassifier().set_callbacks(monitor).fit(X, y)
    steps = [row for row in monitor.get_logs(select="most_recent").data if row["task_name"] == "step"]
    assert len(steps) == model.n_iter_
    assert steps[-1]["accuracy"] == model.score(X, y)


@pytest.mark.parametrize(
    "door",
    [
        LinearClassifier(),
        LinearClassifier(l2="auto", max_iter=30),
        LinearClassifier("hinge", max_iter=30),
        LinearClassifier(method="sgd", learning_rate=0.01, max_iter=2),
        LinearClassifier(method="gd", learning_rate=0.1, max_iter=3),
    ],
)
def test_the_progress_bar_of_scikit_learn_works_whatever_the_method(door, capsys):
    X, y = cancer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clone(door).set_callbacks(ProgressBar()).fit(X, y)
        alone = clone(door).fit(X, y)
        seen = clone(door).set_callbacks(watcher := Watcher()).fit(X, y)
    assert "LinearClassifier - fit" in capsys.readouterr().out
    assert watcher.ended.count("step") > 0
    np.testing.assert_array_equal(alone.coef_, seen.coef_)


def test_a_budget_that_is_used_up_warns_with_what_is_known():
    X, y = load_digits(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="used up 1 steps; not near the minimum|used up 1 steps; certified"):
        model = LinearClassifier(max_iter=1).fit(X, y)
    assert model.certificate_.rigorous
    assert model.certificate_.relative > 1e-6


def test_the_textbook_is_behind_the_same_door():
    X, y = cancer()
    with pytest.warns(ConvergenceWarning, match="certified|not near"):
        model = LinearClassifier(method="sgd", learning_rate=0.01, max_iter=3).fit(X, y)
    assert model.n_iter_ == 3
    assert len(model.loss_curve_) == 4
    assert model.score(X, y) > 0.95
    with pytest.warns(ConvergenceWarning, match="D101 learning rate too high"):
        wild = LinearClassifier(method="gd", learning_rate=1e4, max_iter=20, l2=1.0).fit(X, y)
    assert [finding.code for finding in wild.findings_] == ["D101"]
    assert np.isfinite(wild.coef_).all()


@pytest.mark.parametrize(
    ("door", "says"),
    [
        (LinearClassifier("log_los"), "did you mean log_loss"),
        (LinearClassifier(l2=-1.0), "l2=-1.0"),
        (LinearClassifier(tol=0.0), "tol=0.0"),
        (LinearClassifier(method="adan"), "did you mean adam"),
        (LinearClassifier(max_iter=1.5), "max_iter=1.5"),
        (LinearClassifier(options={"beta": 0.5}), "beta"),
    ],
)
def test_wrong_parameters_are_refused_in_words(door, says):
    with pytest.raises(DescenderError, match=says):
        door.fit(*cancer())
    assert issubclass(OptionError, ValueError)


@pytest.mark.parametrize("s", [-1.0, [1.0, 2.0], "heavy", np.nan])
def test_wrong_weights_are_refused(s):
    with pytest.raises(DescenderError, match="sample_weight"):
        LinearRegressor().fit(*diabetes(), sample_weight=s)


def test_plain_rows_are_checked_before_a_prediction_as_any_others_are():
    X, y = load_iris(return_X_y=True)
    model = LinearClassifier().fit(X, y)
    assert model.predict(X[:1]).tolist() == model.predict(X[:1].tolist()) == [0]
    assert np.isfinite(model.decision_function(np.full((300, 4), 1e306))).all()  # whose sum is not finite
    for wrong, told in [(np.array([[np.nan, 1, 2, 3]]), "NaN"), (np.ones((1, 3)), "3 features"), (X[:0], "0 sample")]:
        with pytest.raises(ValueError, match=told):
            model.predict(wrong)
    pd = pytest.importorskip("pandas", reason="data frames are pandas'")
    model.fit(pd.DataFrame(X, columns=list("abcd")), y)
    with pytest.warns(UserWarning, match="feature names"):
        model.predict(X[:1])
