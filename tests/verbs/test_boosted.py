"""The trees that a fit is compared with read the columns of the table, a sparse matrix too."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.ensemble import HistGradientBoostingRegressor

from descender.costs.losses import LOSSES
from descender.data.entries import dense, from_sparse, width_of
from descender.verbs import boosted
from descender.verbs.fit import fit


def sparse_table(n=600, d=30):
    X = sparse.random_array((n, d), density=0.2, format="csr", random_state=np.random.default_rng(3))
    full = X.toarray()
    return X, 3.0 * full[:, 2] - 2.0 * full[:, 7] + 0.5 * (full[:, 4] > 0)


def test_the_entries_in_full_are_the_matrix():
    X, _ = sparse_table(40, 9)
    cells = from_sparse(X, "a matrix")["x"]
    assert width_of(cells.type) == 9
    assert np.array_equal(dense(cells), X.toarray())
    assert np.array_equal(dense(cells.slice(5, 20)), X.toarray()[5:25])


@pytest.mark.parametrize("loss", [name for name, loss in LOSSES.items() if "regression" in loss.tasks])
def test_the_trees_know_a_loss_for_each_of_numbers(loss):
    model = HistGradientBoostingRegressor(max_iter=2, **boosted.their_loss(loss))
    assert np.isfinite(model.fit(np.arange(40.0)[:, None], np.arange(40.0)).predict([[3.0]])).all()


def test_a_loss_that_they_do_not_have_is_a_squared_error_to_them():
    assert boosted.their_loss("log_cosh") == {"loss": "squared_error"}


def test_the_trees_see_a_sparse_matrix():
    X, y = sparse_table()
    of_sparse = fit(X, y, compare=True).comparison["metrics"]
    of_full = fit(X.toarray(), y, compare=True).comparison["metrics"]
    assert of_sparse["rmse"] == pytest.approx(of_full["rmse"], rel=1e-12)
    assert of_sparse["r2"] > 0.8


def test_a_matrix_too_wide_to_be_written_out_is_told(monkeypatch):
    X, y = sparse_table()
    monkeypatch.setattr(boosted, "MOST_NUMBERS", X.shape[0] * X.shape[1] - 1)
    told = []
    result = fit(X, y, compare=True, progress=lambda word, text, seconds: told.append(f"{word} {text}"))
    assert result.comparison is None
    assert any("compared not with trees" in line and "600 x 30" in line for line in told)
