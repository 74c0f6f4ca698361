"""Starts have the minima that they fell into."""

import numpy as np
import pytest
from drawn import QUARTIC, ROSENBROCK, Bowl, gd, saved

from descender.costs.formula import Formula
from descender.descent import descend
from descender.errors import OptionError, ShapeError
from descender.pictures import basins
from descender.walk import Stop


def test_each_start_has_the_minimum_that_it_fell_into(tmp_path):
    starts = np.linspace(-2, 2, 21)[:, None]
    ends = np.array([descend(QUARTIC, s, gd(0.02), Stop(max_steps=400)).x for s in starts])
    data = basins.describe_basins(QUARTIC, starts, ends)
    top = np.roots([4, 0, -6, 1])  # the derivative: two minima and the maximum between them
    maximum = np.sort(top.real)[1]
    assert data.labels.tolist() == (starts[:, 0] > maximum).astype(int).tolist()
    assert data.counts.tolist() == np.bincount(data.labels).tolist()
    assert data.costs[0] < data.costs[1]
    assert data.one_is_lowest
    saved(basins.draw_basins(data), tmp_path)


def test_regions_are_of_the_nearest_start_and_lost_walks_have_none(tmp_path):
    cost = Formula("(x**2 - 1)**2 + y**2")
    starts = np.array([[-1.5, 0.5], [-0.5, -0.5], [0.5, 0.5], [1.5, -0.5], [0.0, 2.0]])
    ends = np.array([[-1.0, 0.0], [-1.0, 1e-5], [1.0, 0.0], [1.0, 0.0], [np.nan, 0.0]])
    data = basins.describe_basins(cost, starts, ends, limits=[(-2, 2), (-1, 2.5)], resolution=41)
    assert data.labels[4] == -1
    assert data.labels[0] == data.labels[1] != data.labels[2] == data.labels[3]
    assert data.counts.tolist() == [2, 2]
    assert data.region[np.argmin(np.abs(data.y - 0.5)), np.argmin(np.abs(data.x + 1.5))] == data.labels[0]
    assert data.region[-1, 20] == -1
    assert not data.one_is_lowest
    saved(basins.draw_basins(data), tmp_path)


def test_many_variables_and_many_minima_become_bars(tmp_path):
    rng = np.random.default_rng(1)
    ends = rng.normal(size=(40, 5))
    data = basins.describe_basins(Bowl(), ends, ends)
    assert len(data.minima) == 40
    assert (np.diff(data.costs) >= 0).all()
    saved(basins.draw_basins(data), tmp_path)
    flat = basins.describe_basins(ROSENBROCK, ends[:, :2], ends[:, :2], resolution=11)
    saved(basins.draw_basins(flat), tmp_path)
    with pytest.raises(ShapeError):
        basins.describe_basins(ROSENBROCK, ends, ends)


def test_end_costs_are_sorted_and_their_shares_counted(tmp_path):
    data = basins.describe_ends([250.0, 0.2, 0.3, np.inf], marks=[0.34])
    assert data.costs.tolist() == [0.2, 0.3, 250.0]
    assert data.share.tolist() == [0.25, 0.5, 0.75]
    assert (data.not_finite, data.marks[0][2], data.log) == (1, 0.5, True)
    saved(basins.draw_ends(data), tmp_path)
    with pytest.raises(OptionError):
        basins.describe_ends([np.nan])
