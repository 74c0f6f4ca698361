"""The numbers that the page draws, against scikit-learn and against the rows themselves."""

import re

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, classification_report, confusion_matrix

from browsing import CHROMIUM, opened
from descender import fit
from descender.data.source import open_source
from descender.pictures import bars, classes, predictions
from descender.report import context, write_report
from test_report import read

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def flights():
    """Delays of some carriers: two classes, columns of every kind."""
    n = 3000
    table = {
        "carrier": RNG.choice(["UA", "AA", "B6", "<b>DL</b>"], n, p=[0.4, 0.3, 0.2, 0.1]),
        "distance": RNG.gamma(2, 400, n),
        "delay at départ 出发": np.where(RNG.random(n) < 0.1, np.nan, RNG.exponential(20, n) - 10),
        "remark": [f"{('heavy snow', 'no remark', 'heavy rain')[k]} {i}" for i, k in enumerate(RNG.integers(0, 3, n))],
        "night": RNG.random(n) < 0.3,
    }
    z = 0.08 * np.nan_to_num(table["delay at départ 出发"]) + (table["carrier"] == "UA") - table["night"] - 1
    return fit(table | {"late": RNG.random(n) < 1 / (1 + np.exp(-z))}, "late", l2=1e-3, compare=False), table


def test_thresholds_count_as_the_confusion_matrix_does(flights):
    result, _ = flights
    y, p = result.holdout_y, 1 / (1 + np.exp(-result.holdout_scores))
    shown = context(result)["judged"]
    assert shown["classes"] == ["False", "True"]
    assert shown["at"][shown["start"]] == 0.5
    for k in (0, 17, shown["start"], 80, 100):
        (tn, fp), (fn, tp) = confusion_matrix(y, p > shown["at"][k], labels=[0, 1])
        assert [shown[name][k] for name in ("tn", "fp", "fn", "tp")] == [tn, fp, fn, tp]
    assert shown["tp"][30] != shown["tp"][70]  # a planted fault, one threshold for all, would be seen


def test_precision_and_recall_are_those_of_scikit_learn(flights):
    result, _ = flights
    y, z = result.holdout_y, result.holdout_scores
    found = classes.describe_precision_recall(y, z)
    assert found.average == pytest.approx(average_precision_score(y, z), rel=1e-12)
    assert found.share == y.mean()
    called = z >= z[:, None]  # by the threshold of each row
    recall, precision = called @ y / y.sum(), called @ y / called.sum(axis=1)
    for r, p in list(zip(found.recall, found.precision, strict=True))[:-1:17]:  # the last point is no threshold
        assert np.min(np.abs(recall - r) + np.abs(precision - p)) < 1e-12


def test_classes_are_those_of_the_classification_report():
    result = fit("example:iris", compare=False)
    actual, predicted = result.holdout_y.astype(int), result.holdout_scores.argmax(axis=1)
    names = list(result.model.coding.classes)
    theirs = classification_report(
        actual, predicted, labels=[0, 1, 2], target_names=names, output_dict=True, zero_division=0
    )
    ours = classes.describe_classes(names, actual, predicted)
    for k, name in enumerate(names):
        assert ours.precision[k] == pytest.approx(theirs[name]["precision"], rel=1e-12)
        assert ours.recall[k] == pytest.approx(theirs[name]["recall"], rel=1e-12)
        assert ours.f1[k] == pytest.approx(theirs[name]["f1-score"], rel=1e-12)
        assert ours.rows[k] == theirs[name]["support"]
    assert [row["name"] for row in context(result)["classes"]] == names


def test_the_importance_of_a_column_is_the_deviation_of_what_it_adds(flights):
    result, table = flights
    model = result.model
    X = model.encoder.transform(open_source(table).table, sparse=False)
    effects = bars.describe_importance(model.encoder.details, model.weights)
    assert {effect.name for effect in effects} == set(table)
    for effect in effects:
        members = list(effect.members)
        added = X[:, members] @ model.weights[members]
        loose = (
            0.25 if effect.name in ("remark", "delay at départ 出发") else 0.05
        )  # parts as if independent; other rows
        assert effect.spread == pytest.approx(added.std(), rel=loose, abs=0.01)
    assert [e.spread for e in effects] == sorted((e.spread for e in effects), reverse=True)


def test_every_coefficient_stands_under_its_column_with_its_odds(flights):
    result, _ = flights
    said = context(result)
    assert said["coefficient_columns"] == ["per unit", "odds times", "per deviation", "mean", "deviation"]
    rows = {row["name"]: (column["name"], row["numbers"]) for column in said["columns"] for row in column["rows"]}
    assert set(rows) == set(result.model.features)
    j = result.model.features.index("distance")
    assert rows["distance"][0] == "distance"
    assert float(rows["distance"][1][1]) == pytest.approx(np.exp(result.model.coefficients[j]), rel=1e-3)
    assert rows["carrier = <b>DL</b>"][0] == "carrier"


def test_a_rate_is_moved_by_factors():
    counts = RNG.poisson(np.exp(0.5 * np.linspace(-1, 1, 400)))
    result = fit({"x": np.linspace(-1, 1, 400), "y": counts}, "y", loss="poisson", task="regression", compare=False)
    said = context(result)
    assert said["effects_note"].startswith("How much the logarithm of y changes for one standard deviation")
    assert said["coefficient_columns"][:2] == ["per unit", "rate times"]


def test_residuals_are_what_was_less_what_was_predicted():
    y, predicted = RNG.normal(size=500), RNG.normal(size=500)
    points, spread = predictions.describe_residuals(y, predicted)
    assert np.array_equal(points.residual, y - predicted)
    assert spread.counts.sum() + spread.outside == 500
    y, predicted = RNG.standard_cauchy(5000), np.zeros(5000)
    cells, spread = predictions.describe_residuals(y, predicted)
    assert cells.cells.sum() == 5000
    assert spread.counts.sum() + spread.outside == 5000
    assert spread.edges[-1] < 200  # a wild row does not squeeze all others into one bar
    assert np.array_equal(spread.counts[0], np.histogram(y - predicted, spread.edges)[0])
    for same in (np.zeros(9), np.full(5000, 3.0)):
        found, spread = predictions.describe_residuals(same, same)
        assert spread.counts.sum() == len(same)
        assert np.isfinite(found.x_edges).all()


def test_the_score_histogram_counts_each_class(flights):
    y, p = flights[0].holdout_y, 1 / (1 + np.exp(-flights[0].holdout_scores))
    found = predictions.describe_score_histogram(y, p, ["no", "yes"], "p", (0.0, 1.0))
    assert found.counts.sum(axis=1).tolist() == [(y == 0).sum(), (y == 1).sum()]
    assert found.counts[1, -1] == ((p >= found.edges[-2]) & (y == 1)).sum()
    assert len(found.edges) == 41  # 600 rows; 16 have fewer bins
    assert len(predictions.describe_score_histogram([0, 1] * 8, np.arange(16.0), ["no", "yes"], "p").edges) == 9


def test_ten_thousand_features_make_a_page_that_can_be_read(tmp_path):
    from scipy import sparse

    X = sparse.random_array((300, 10_000), density=0.002, rng=RNG, format="csr")
    result = fit(X, np.asarray(X[:, :50].sum(axis=1)).ravel(), l2=0.1, compare=False)
    path = write_report(result, tmp_path / "wide.html")
    assert path.stat().st_size < 7_000_000
    said = context(result)
    assert said["columns_note"] == (
        "10,000 columns and an intercept, in the units of the data; the 300 that move it most are shown"
    )
    assert len(said["columns"]) == 300
    assert len(said["figures"]["effects"]["data"][0]["x"]) <= 20


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
def test_the_slider_shows_the_counts_in_a_browser(flights, tmp_path):
    result, _ = flights
    path = write_report(result, tmp_path / "late.html")
    dom, complaints = opened(path)
    assert complaints == []
    (tn, fp), (fn, tp) = confusion_matrix(result.holdout_y, result.holdout_scores > 0)
    table = re.search(r'<table class="counts">(.*?)</table>', dom, flags=re.DOTALL)[1]
    assert re.findall(r"<td>([\d,]+)</td>", table) == [f"{n:,}" for n in (tn, fp, fn, tp)]
    assert f"recall {tp / (tp + fn):.3g}"[:9] in dom


def test_the_page_says_how_to_make_it_again(flights, tmp_path):
    text = read(write_report(flights[0], tmp_path / "again.html").read_text(encoding="utf-8")).text
    assert re.search(r"descender \S+, Python 3\.\d+", text)
    assert "出发" in text
    assert "l2=0.001" in text
    assert "scikit-learn" in text
