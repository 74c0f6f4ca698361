"""scikit-learn's door to the pictures: estimators of ours and of others, on given axes and on new ones."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPRegressor
from sklearn.svm import LinearSVC

import descender
from descender import (
    DecisionBoundaryDisplay,
    LinearClassifier,
    LinearRegressor,
    LossCurveDisplay,
    PathDisplay,
    PenaltyPathDisplay,
    WeightImagesDisplay,
)
from descender.errors import CapabilityError, OptionError
from descender.pictures import style

RNG = np.random.default_rng(3)
X = RNG.normal(size=(80, 3))
Y = (X @ [2.0, -1.0, 0.5] > 0).astype(int)


@pytest.fixture(scope="module")
def model():
    return LinearClassifier(l2=0.1).fit(X, Y)


def test_a_display_draws_on_the_given_axes_and_again_on_others(model):
    ax = style.axes()
    display = LossCurveDisplay.from_estimator(model, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert display.data.series[0].y == pytest.approx(model.record_["cost"])
    assert display.plot() is display
    assert display.ax_ is not ax


def test_curves_of_several_outputs_and_of_others_estimators():
    several = LinearRegressor(l2=0.1).fit(X, X[:, :2])
    assert [s.label for s in LossCurveDisplay.from_estimator(several).data.series] == ["output 0", "output 1"]
    other = MLPRegressor(hidden_layer_sizes=[3], max_iter=200, tol=1.0).fit(X, X[:, 0])
    assert LossCurveDisplay.from_estimator(other).data.series[0].y == pytest.approx(other.loss_curve_)
    with pytest.raises(CapabilityError, match="LogisticRegression has no record_"):
        LossCurveDisplay.from_estimator(LogisticRegression())


@pytest.mark.parametrize("make", [lambda: LogisticRegression(), lambda: LinearSVC()])
def test_the_boundary_of_any_classifier_is_that_of_its_predictions(make):
    other = make().fit(X, Y)
    data = DecisionBoundaryDisplay.from_estimator(other, X, Y, features=[2, 0], resolution=9).data
    assert data.scatter.names == ("x2", "x0")
    at = np.array([[data.x[3], data.y[5]]])
    row = np.array([[at[0, 1], X[:, 1].mean(), at[0, 0]]])
    assert other.classes_[data.winner[5, 3]] == other.predict(row)[0]
    assert data.accuracy == pytest.approx(other.score(X, Y))  # of whole rows, not of two of their cells


def test_the_boundary_of_named_columns_of_a_frame():
    frame = pd.DataFrame(X, columns=["身高", "b", "<c>"])
    named = LinearClassifier(l2=0.1).fit(frame, np.array(["no", "yes"])[Y])
    display = DecisionBoundaryDisplay.from_estimator(
        named, frame, np.array(["no", "yes"])[Y], features=["b", "<c>"], resolution=9
    )
    assert display.data.scatter.classes == ("no", "yes")
    assert display.data.scatter.notes[-1] == "the other column stays at its mean"
    with pytest.raises(OptionError, match="did you mean b"):
        DecisionBoundaryDisplay.from_estimator(named, frame, Y, features=["bb", "<c>"])
    with pytest.raises(OptionError, match="name two"):
        DecisionBoundaryDisplay.from_estimator(named, frame, Y, features=["b", "b"])


def test_a_penalty_path(model):
    chosen = LinearRegressor(l2="auto").fit(X, X @ [1.0, 0.0, 2.0] + RNG.normal(size=80))
    display = PenaltyPathDisplay.from_estimator(chosen, features=["a", "b", "c"])
    assert display.data.chosen == chosen.path_.chosen
    assert len(display.ax_) == 2
    assert display.figure_ is display.ax_[0].figure
    with pytest.raises(CapabilityError, match="chose no penalty"):
        PenaltyPathDisplay.from_estimator(model)


def test_weights_as_images():
    digits = load_digits()
    two = LogisticRegression(max_iter=200).fit(digits.data[:100] / 16, digits.target[:100] % 2)
    assert WeightImagesDisplay.from_estimator(two).data.images[0] == pytest.approx(two.coef_.reshape(8, 8))
    assert WeightImagesDisplay.from_estimator(two, shape=(4, 16)).data.titles == ("1",)
    with pytest.raises(CapabilityError, match="no coef_"):
        WeightImagesDisplay.from_estimator(MLPRegressor())


def test_a_path_on_its_own_cost_or_on_a_given_one():
    walk = descender.minimize("a**2 + 4*b**2", "a=1 b=1")
    display = PathDisplay.from_record(walk.record, resolution=7)
    assert display.data.names == ("a", "b")
    scaled = descender.minimize(lambda w: float(w @ w), [1.0, 2.0])
    with pytest.raises(CapabilityError):
        PathDisplay.from_record(scaled.record)
    assert PathDisplay.from_record(scaled.record, cost=scaled.cost, resolution=7).data.path[0].tolist() == [1.0, 2.0]


def test_a_display_looks_into_a_pipeline_and_a_search():
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X = np.random.default_rng(3).normal(size=(60, 4))
    pipe = make_pipeline(StandardScaler(), LinearClassifier(l2=0.1))
    search = GridSearchCV(pipe, {"linearclassifier__l2": [0.1, 1.0]}, cv=2).fit(X, X[:, 0] > 0)
    curve, expected = (LossCurveDisplay.from_estimator(one).data for one in (search, search.best_estimator_[-1]))
    np.testing.assert_array_equal(curve.series[0].y, expected.series[0].y)
    drawn = WeightImagesDisplay.from_estimator(search).data.images
    np.testing.assert_array_equal(drawn.ravel(), search.best_estimator_[-1].coef_.ravel())
