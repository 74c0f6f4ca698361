"""The boundary is where the model's probability says."""

import numpy as np
import pytest
from drawn import saved

from descender.errors import OptionError, ShapeError
from descender.pictures import boundary


def test_the_boundary_is_where_the_probability_says(tmp_path):
    X = np.array([[-1.0, 0.0], [-2.0, 1.0], [1.0, 0.5], [2.0, -1.0], [-0.5, 3.0]])
    y = ["left", "left", "right", "right", "right"]
    data = boundary.describe_boundary(lambda p: 1 / (1 + np.exp(-p[:, 0])), X, y, resolution=21)
    assert data.scatter.classes == ("left", "right")
    assert data.scatter.counts.tolist() == [2, 3]
    assert data.accuracy == pytest.approx(0.8)
    assert (data.winner == (data.x > 0)).all()
    assert data.probability.sum(axis=-1) == pytest.approx(np.ones((21, 21)))
    saved(boundary.draw_boundary(data), tmp_path)


def test_a_tie_goes_to_the_first_class():
    data = boundary.describe_boundary(lambda p: np.full(len(p), 0.5), [[0, 0], [1, 1]], [0, 1], resolution=3)
    assert (data.winner == 0).all()
    assert data.accuracy == 0.5


def test_three_classes_have_a_boundary(tmp_path):
    X = np.random.default_rng(3).normal(size=(90, 2))

    def probability(p):
        z = np.exp(p @ np.array([[2.0, 0, -2], [0, 2.0, 0]]))
        return z / z.sum(axis=1, keepdims=True)

    data = boundary.describe_boundary(probability, X, probability(X).argmax(axis=1), classes=[0, 1, 2], resolution=30)
    assert data.accuracy == 1.0
    saved(boundary.draw_boundary(data), tmp_path)


def test_scatters_are_thinned_and_refuse_strangers(tmp_path):
    X = np.random.default_rng(4).normal(size=(12_000, 2))
    data = boundary.describe_scatter(X, X[:, 0] > 0)
    assert len(data.X) == boundary.DRAWN
    assert data.counts.sum() == 12_000
    assert data.notes == ("5,000 of 12,000 points drawn",)
    saved(boundary.draw_scatter(data), tmp_path)
    saved(boundary.draw_scatter(boundary.describe_scatter(X[:9])), tmp_path)
    with pytest.raises(OptionError, match="none of the classes"):
        boundary.describe_scatter(X[:3], [0, 1, 2], classes=[0, 1])
    with pytest.raises(ShapeError, match="two features"):
        boundary.describe_scatter(X[:, :1])
    with pytest.raises(OptionError, match="not scores"):
        boundary.describe_boundary(lambda p: p[:, 0] * 9, X[:5], [0, 1, 0, 1, 0])
    with pytest.raises(ShapeError, match="probability gave"):
        boundary.describe_boundary(lambda p: np.ones(3), X[:5], [0, 1, 0, 1, 0])
