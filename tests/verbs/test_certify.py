"""certify: the objective of others is reconstructed exactly, the bound is a bound, what is told is so."""

import copy
import json
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.special import logsumexp
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import (
    ElasticNet,
    ElasticNetCV,
    GammaRegressor,
    HuberRegressor,
    Lasso,
    LassoCV,
    LassoLars,
    LinearRegression,
    LogisticRegression,
    LogisticRegressionCV,
    Perceptron,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    RidgeClassifier,
    RidgeClassifierCV,
    RidgeCV,
    SGDClassifier,
    SGDRegressor,
    TweedieRegressor,
)
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from descender import LinearClassifier, LinearRegressor, certify
from descender.errors import CapabilityError, DescenderError, OptionError, ShapeError, TargetError


def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X)[:, :12], np.array(["benign", "malignant"])[y]


def flowers():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X * 20.0, y / 50.0


def two_outputs():
    X, y = diabetes()
    return X, np.column_stack([y, X[:, 0] - y])


EXACT = {"tol": 1e-12, "max_iter": 10**6}
LONG = {"max_iter": 1000, "tol": None, "random_state": 0}
CONSTANT = {"learning_rate": "constant", "eta0": 1e-4}
FASTER = {"learning_rate": "constant", "eta0": 1e-3}
NEWTON = {"solver": "newton-cholesky", "scoring": "neg_log_loss", **EXACT}
ARRIVED = [
    (LinearRegression(), diabetes),
    (LinearRegression(fit_intercept=False), two_outputs),
    (Ridge(alpha=3.0), diabetes),
    (Ridge(alpha=[1.0, 30.0]), two_outputs),
    (Ridge(alpha=3.0, fit_intercept=False), diabetes),
    (RidgeCV(alphas=[0.1, 10.0]), diabetes),
    (Lasso(alpha=0.1, **EXACT), diabetes),
    (LassoCV(alphas=[0.1, 0.2], cv=3, **EXACT), diabetes),
    (ElasticNet(alpha=0.1, l1_ratio=0.3, **EXACT), two_outputs),
    (ElasticNetCV(alphas=[0.1, 0.2], l1_ratio=[0.3, 0.6], cv=3, **EXACT), diabetes),
    (RidgeClassifier(alpha=2.0), flowers),
    (RidgeClassifier(alpha=2.0, class_weight="balanced"), cancer),
    (RidgeClassifierCV(alphas=[0.1, 10.0]), cancer),
    (LogisticRegression(C=0.3, solver="newton-cholesky", **EXACT), cancer),
    (
        LogisticRegression(C=0.3, solver="newton-cholesky", class_weight={"benign": 3.0, "malignant": 1.0}, **EXACT),
        cancer,
    ),
    (LogisticRegression(class_weight="balanced", fit_intercept=False, **EXACT), flowers),
    (LogisticRegression(C=0.2, solver="liblinear", intercept_scaling=2.0, tol=1e-9, max_iter=10**5), cancer),
    (LogisticRegression(C=0.2, l1_ratio=1.0, solver="liblinear", tol=1e-9, max_iter=10**5), cancer),
    (LogisticRegression(C=0.2, l1_ratio=0.5, solver="saga", **EXACT), cancer),
    (LogisticRegressionCV(Cs=[0.1, 1.0], cv=3, l1_ratios=(0.0,), **NEWTON, use_legacy_attributes=False), cancer),
    (SGDRegressor(alpha=0.1, learning_rate="constant", eta0=1e-4, **LONG), diabetes),
    (SGDRegressor("huber", epsilon=0.7, alpha=0.1, learning_rate="constant", eta0=1e-4, **LONG), diabetes),
    (SGDClassifier("log_loss", alpha=0.1, penalty="elasticnet", l1_ratio=0.2, **FASTER, **LONG), flowers),
    (SGDClassifier("squared_hinge", alpha=0.3, class_weight="balanced", **CONSTANT, **LONG), flowers),
    (
        SGDClassifier("squared_error", alpha=0.3, class_weight={"benign": 2.0, "malignant": 1.0}, **CONSTANT, **LONG),
        cancer,
    ),
    (LinearSVC(C=0.1, intercept_scaling=3.0, dual=False, tol=1e-9, max_iter=10**5), flowers),
    (LinearSVC(C=0.1, class_weight="balanced", dual=False, tol=1e-9, max_iter=10**5), flowers),
    (LinearSVC(C=0.1, class_weight="balanced", dual=False, tol=1e-9, max_iter=10**5), cancer),
    (LinearSVC(C=0.1, penalty="l1", class_weight="balanced", dual=False, tol=1e-9, max_iter=10**5), flowers),
    (LinearSVC(C=0.1, penalty="l1", dual=False, tol=1e-9, max_iter=10**5), flowers),
    (LinearSVC(C=0.1, loss="hinge", tol=1e-8, max_iter=10**6, random_state=0), cancer),
    (SVC(kernel="linear", C=0.1, tol=1e-8), cancer),
    (SVC(kernel="linear", C=0.1, tol=1e-8, class_weight="balanced"), cancer),
    (LassoLars(alpha=0.05), diabetes),
    (QuantileRegressor(quantile=0.7, alpha=0.01), diabetes),
    (LinearClassifier("hinge", l2=0.1), flowers),
    (HuberRegressor(epsilon=1.2, alpha=3.0, tol=1e-9, max_iter=10**5), diabetes),
    (PoissonRegressor(alpha=0.1, solver="newton-cholesky", tol=1e-10), diabetes),
    (TweedieRegressor(power=0, alpha=0.1, tol=1e-9, max_iter=10**5), diabetes),
    (LinearRegressor("huber 0.7"), diabetes),
    (LinearClassifier("squared_hinge"), flowers),
    (LinearRegressor(l2=0.1, l1=0.01), diabetes),
    (LinearRegressor(), two_outputs),
    (LinearClassifier(class_weight="balanced"), flowers),
    (LinearClassifier("squared_error", l2=0.3), flowers),
]
NEAR = {"QuantileRegressor": 1e-6, "SVC": 1e-6, "hinge": 1e-6, "SGDRegressor": 1e-5, "SGDClassifier": 1e-3}
"""How near to the bottom the stochastic ones come in that many epochs, and those with kinks; the others arrive."""
NAMES = [f"{type(model).__name__}-{i}" for i, (model, _) in enumerate(ARRIVED)]


def takes_weights(model):
    return not isinstance(model, LogisticRegressionCV | RidgeClassifierCV | RidgeCV | LassoLars)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("model", "data"), ARRIVED, ids=NAMES)
def test_a_model_that_was_fitted_to_the_end_is_at_the_bottom_of_what_it_minimised(model, data, weighted):
    X, y = data()
    s = np.random.default_rng(1).uniform(0.2, 2.0, len(y)) if weighted and takes_weights(model) else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = copy.deepcopy(model).fit(X, y) if s is None else copy.deepcopy(model).fit(X, y, sample_weight=s)
    near = NEAR.get(getattr(model, "loss", None), NEAR.get(type(model).__name__, 1e-9))
    verdict = certify(fitted, X, y, s, tol=near)
    assert verdict.ok, str(verdict)
    assert verdict.rigorous
    assert verdict.findings == []
    assert -1e-13 <= verdict.excess <= verdict.relative + 1e-13
    assert "is at the minimum of its own objective, certified within" in str(verdict)
    assert np.shape(verdict.coef) == np.shape(fitted.coef_)
    assert np.shape(verdict.intercept) == np.shape(fitted.intercept_)
    np.testing.assert_allclose(verdict.coef, fitted.coef_, atol=3e-2 if near > 1e-9 else 2e-4)
    np.testing.assert_allclose(verdict.intercept, fitted.intercept_, atol=3e-2 if near > 1e-9 else 2e-4)


@pytest.mark.parametrize(("model", "data"), ARRIVED, ids=NAMES)
def test_another_penalty_than_the_fitted_one_is_caught(model, data):
    X, y = data()
    fitted = copy.deepcopy(model).fit(X, y)
    for name in ("alpha", "alpha_", "C", "C_"):
        if getattr(fitted, name, None) is not None:
            setattr(fitted, name, np.asarray(getattr(fitted, name)) * 3.0)
    if isinstance(fitted, LinearRegression | LinearRegressor | LinearClassifier):
        fitted.coef_ = fitted.coef_ * 1.01
    assert not certify(fitted, X, y, tol=1e-6).ok


def logistic_objective(model, X, y, C):
    """scikit-learn's own formula: C times the summed loss plus half of the squared weights."""
    Z = X @ model.coef_.T + model.intercept_
    codes = np.searchsorted(model.classes_, y)
    Z = np.column_stack([np.zeros(len(Z)), Z]) if Z.shape[1] == 1 else Z
    return C * np.sum(logsumexp(Z, axis=1) - Z[np.arange(len(y)), codes]) + 0.5 * np.sum(model.coef_**2)


@pytest.mark.parametrize("data", [cancer, flowers])
def test_the_excess_is_that_of_scikit_learns_own_formula(data):
    X, y = data()
    C = 0.7
    best = LogisticRegression(C=C, solver="newton-cholesky", **EXACT).fit(X, y)
    rough = LogisticRegression(C=C, tol=0.3).fit(X, y)
    low, high = logistic_objective(best, X, y, C), logistic_objective(rough, X, y, C)
    verdict = certify(rough, X, y)
    assert verdict.excess == pytest.approx((high - low) / low, rel=1e-6)
    assert verdict.value == pytest.approx(high / (C * len(y)), rel=1e-12)
    assert verdict.minimum == pytest.approx(low / (C * len(y)), rel=1e-12)
    rough.coef_, rough.intercept_ = verdict.coef, verdict.intercept
    assert logistic_objective(rough, X, y, C) == pytest.approx(low, rel=1e-12)


@settings(max_examples=25)
@given(scale=st.floats(0.0, 3.0), seed=st.integers(0, 10**6), C=st.sampled_from([0.01, 1.0, 100.0]))
def test_the_bound_is_below_every_cost(scale, seed, C):
    X, y = cancer()
    X, y = X[::6], y[::6]
    model = LogisticRegression(C=C).fit(X, y)
    rng = np.random.default_rng(seed)
    model.coef_ = model.coef_ + scale * rng.standard_normal(model.coef_.shape)
    verdict = certify(model, X, y)
    assert verdict.bound <= verdict.minimum <= verdict.value
    assert verdict.minimum - verdict.bound <= 1e-9 * verdict.minimum
    assert verdict.relative >= verdict.excess >= 0.0


def test_a_walk_that_used_up_its_steps_on_raw_columns_is_explained():
    X, y = load_breast_cancer(return_X_y=True)
    with pytest.warns(ConvergenceWarning):
        model = LogisticRegression().fit(X, y)
    verdict = certify(model, X, y)
    assert 0.05 < verdict.excess < 1.0
    assert [finding.code for finding in verdict.findings] == ["D011", "D105"]
    assert f"your LogisticRegression stopped {100 * verdict.excess:.2g} % above the minimum" in str(verdict)
    assert "n_iter_ = 100 of max_iter = 100" in str(verdict)
    scaled = make_pipeline(StandardScaler(), LogisticRegression(tol=1e-8)).fit(X, y)
    assert certify(scaled, X, y).ok


def test_a_walk_that_went_away_is_told():
    X, y = load_breast_cancer(return_X_y=True)
    verdict = certify(SGDClassifier("log_loss", random_state=0).fit(X, y), X, y)
    assert [finding.code for finding in verdict.findings] == ["D011", "D101"]
    assert "times the minimum" in str(verdict)
    model = SGDRegressor(learning_rate="constant", eta0=0.5, max_iter=3, tol=None, random_state=0)
    X, y = diabetes()
    verdict = certify(model.fit(X, y), X, y)
    assert [finding.code for finding in verdict.findings][:1] == ["D101"]


def test_a_model_that_is_not_finite_is_nowhere():
    X, y = diabetes()
    model = Ridge().fit(X, y)
    model.coef_[0] = np.nan
    verdict = certify(model, X, y)
    assert not verdict.ok
    assert "is nowhere" in str(verdict)
    assert np.isfinite(verdict.coef).all()


def test_a_loose_tolerance_and_a_stop_by_hold_out_are_told():
    X, y = cancer()
    rough = LogisticRegression(tol=0.3).fit(X, y)
    assert [finding.code for finding in certify(rough, X, y).findings] == ["D107"]
    early = SGDClassifier("log_loss", early_stopping=True, random_state=0).fit(X, y)
    assert [finding.code for finding in certify(early, X, y).findings] == ["D106"]


def test_separable_classes_without_penalty_have_no_minimum():
    X = np.array([[0.0], [1.0], [2.0], [3.0]])
    y = [0, 0, 1, 1]
    verdict = certify(LogisticRegression(C=np.inf).fit(X, y), X, y)
    assert verdict.findings[0].code == "D033"
    assert "while the coefficients grow without end" in str(verdict)


def test_without_a_penalty_the_minimum_is_proved_all_the_same():
    X, y = cancer()
    y = np.where(np.random.default_rng(0).uniform(size=len(y)) < 0.2, "benign", y)
    verdict = certify(LogisticRegression(C=np.inf, solver="newton-cholesky", **EXACT).fit(X, y), X, y)
    assert verdict.ok
    assert verdict.rigorous
    assert "no penalty" in str(verdict)


def test_pipelines_searches_sparse_rows_and_data_frames_are_read():
    pd = pytest.importorskip("pandas", reason="data frames are pandas'")
    X, y = cancer()
    frame = pd.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])])
    search = GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": [0.1, 10.0]}, cv=3)
    assert certify(search.fit(frame, np.arange(len(y)) % 7.0), frame, np.arange(len(y)) % 7.0).ok
    thin = sparse.csr_array(np.where(np.abs(X) > 1, X, 0.0))
    assert certify(LogisticRegression(**EXACT).fit(thin, y), thin, y).ok


def test_columns_of_a_frame_go_by_their_names():
    pd = pytest.importorskip("pandas", reason="data frames are pandas'")
    X, y = cancer()[0], np.arange(569) % 7.0
    frame = pd.DataFrame(X, columns=[f"c{j}" for j in range(X.shape[1])])
    for model in (Ridge(), make_pipeline(StandardScaler(), Ridge())):
        model.fit(frame, y)
        assert certify(model, frame[frame.columns[::-1]], y).value == certify(model, frame, y).value
        with pytest.raises(ShapeError, match="X lacks c0 and has other besides"):
            certify(model, frame.rename(columns={"c0": "other"}), y)


def test_weights_that_were_forgotten_are_thought_of():
    X, y = cancer()
    X = StandardScaler().fit_transform(X)
    s = np.random.default_rng(0).uniform(0.1, 3.0, len(y))
    verdict = certify(LogisticRegression(tol=1e-9, max_iter=10_000).fit(X, y, sample_weight=s), X, y)
    assert [finding.code for finding in verdict.findings] == ["D107"]
    assert "sample_weight that it was fitted to" in str(verdict)


def test_nothing_of_the_model_or_the_data_is_changed():
    X, y = cancer()
    model = make_pipeline(StandardScaler(), LogisticRegression(tol=0.3)).fit(X, y)
    before, rows, labels = pickle.dumps(model), X.copy(), y.copy()
    certify(model, X, y)
    assert pickle.dumps(model) == before
    assert np.array_equal(X, rows)
    assert np.array_equal(y, labels)


def test_a_transformed_target_is_met_where_the_model_meets_it():
    X, y = diabetes()
    model = TransformedTargetRegressor(Ridge(alpha=2.0), func=np.log1p, inverse_func=np.expm1).fit(X, y)
    verdict = certify(model, X, y, tol=1e-9)
    assert verdict.ok, str(verdict)
    np.testing.assert_allclose(verdict.coef, model.regressor_.coef_, atol=1e-6)
    assert not certify(model.regressor_, X, y).ok


def test_the_verdict_is_plain_data_too():
    X, y = flowers()
    verdict = certify(LogisticRegression(tol=0.3).fit(X, y), X, y)
    said = json.loads(json.dumps(verdict.as_json()))
    assert said["model"] == "LogisticRegression"
    assert said["excess"] == verdict.excess
    assert np.shape(said["coef"]) == (3, 4)
    assert said["findings"][0]["code"] == "D107"


@pytest.mark.parametrize(
    ("model", "error", "says"),
    [
        (Perceptron(), CapabilityError, "Perceptron is not known; known: LinearRegression, Ridge"),
        (GammaRegressor(), CapabilityError, "GammaRegressor is not known"),
        (Lasso(positive=True), CapabilityError, "positive"),
        (SVC(), CapabilityError, r"SVC\(kernel='rbf'\) has no weights on columns"),
        (SGDRegressor(loss="epsilon_insensitive"), CapabilityError, "epsilon_insensitive"),
        (LinearClassifier("sigmoid_squared_error"), CapabilityError, "not convex"),
    ],
)
def test_an_objective_that_is_not_known_is_refused(model, error, says):
    X, y = diabetes()
    y = (y > y.mean()) + 0.5
    with pytest.raises(error, match=says):
        certify(model.fit(X, (2 * y).astype(int)), X, (2 * y).astype(int))


def test_what_does_not_fit_is_refused():
    X, y = cancer()
    model = LogisticRegression().fit(X, y)
    with pytest.raises(ShapeError, match="X has 11 columns; the LogisticRegression was fitted to 12"):
        certify(model, X[:, :11], y)
    with pytest.raises(ShapeError, match="569 rows and y has 5"):
        certify(model, X, y[:5])
    with pytest.raises(TargetError, match="the target of row 0 is 'odd'"):
        certify(model, X, np.where(np.arange(len(y)) == 0, "odd", y))
    with pytest.raises(CapabilityError, match="not fitted"):
        certify(LogisticRegression(), X, y)
    with pytest.raises(CapabilityError, match="fits 3 classes in pairs"):
        certify(SVC(kernel="linear").fit(*flowers()), *flowers())
    with pytest.raises(OptionError, match="tol=0"):
        certify(model, X, y, tol=0)
    with pytest.raises(OptionError, match="loss is for PyTorch"):
        certify(model, X, y, loss="log_loss")
    with pytest.raises(DescenderError, match="sample_weight"):
        certify(model, X, y, sample_weight=[1.0, 2.0])


def torch_fit(module, X, y, criterion, weight_decay, steps):
    torch = pytest.importorskip("torch", reason="the modules are PyTorch's")
    optimizer = torch.optim.LBFGS(module.parameters(), max_iter=steps, tolerance_grad=1e-12, tolerance_change=0.0)

    def closure():
        optimizer.zero_grad()
        value = criterion(module(X), y)
        value = value + 0.5 * weight_decay * sum((p**2).sum() for p in module.parameters())
        value.backward()
        return value

    optimizer.step(closure)
    return closure().item()


@pytest.mark.parametrize("kind", ["log_loss", "softmax", "squared_error"])
def test_linear_modules_of_pytorch_are_certified(kind):
    torch = pytest.importorskip("torch", reason="the modules are PyTorch's")
    torch.manual_seed(0)
    X, y = flowers()
    y = y if kind == "softmax" else (y == 1).astype(float) if kind == "log_loss" else X @ [1.0, 2.0, 0.0, -1.0] + y
    linear = torch.nn.Linear(4, 3 if kind == "softmax" else 1).double()
    module = linear if kind == "log_loss" else torch.nn.Sequential(linear)
    criterion = {
        "log_loss": lambda z, y: torch.nn.functional.binary_cross_entropy_with_logits(z[:, 0], y),
        "softmax": torch.nn.functional.cross_entropy,
        "squared_error": lambda z, y: 0.5 * torch.nn.functional.mse_loss(z[:, 0], y),
    }[kind]
    tensors = torch.from_numpy(X), torch.from_numpy(y)
    value = torch_fit(module, *tensors, criterion, 0.1, 500)
    verdict = certify(module, *tensors, loss=kind, l2=0.1, intercept_penalised=True, tol=1e-9)
    assert verdict.value == pytest.approx(value, rel=1e-12)
    assert verdict.ok, str(verdict)
    np.testing.assert_allclose(verdict.coef, linear.weight.detach().numpy(), atol=1e-4)
    np.testing.assert_allclose(verdict.intercept, linear.bias.detach().numpy(), atol=1e-4)
    free = certify(module, *tensors, loss=kind, l2=0.1)
    assert not free.ok
    assert linear.weight.requires_grad


def test_what_is_not_one_linear_layer_is_refused():
    torch = pytest.importorskip("torch", reason="the modules are PyTorch's")
    X, y = flowers()
    deep = torch.nn.Sequential(torch.nn.Linear(4, 2), torch.nn.ReLU(), torch.nn.Linear(2, 1))
    with pytest.raises(CapabilityError, match=r"ReLU, Linear\) is not one linear layer"):
        certify(deep, X, y, loss="squared_error")
    with pytest.raises(OptionError, match="give loss='squared_error'"):
        certify(torch.nn.Linear(4, 1), X, y)
    with pytest.raises(ShapeError, match="X has 3 columns; the module has 4 inputs"):
        certify(torch.nn.Linear(4, 1), X[:, :3], y, loss="squared_error")
