"""The cost over one weight, its tangents, and the sweep."""

import numpy as np
import pytest
from drawn import QUARTIC, ROSENBROCK, gd, saved

from descender.descent import descend
from descender.errors import OptionError, ShapeError
from descender.pictures import slices
from descender.walk import Stop


def test_tangents_have_the_slope_of_the_curve_and_touch_it(tmp_path):
    walk = descend(QUARTIC, np.array([0.3]), gd(0.05), Stop(max_steps=60))
    data = slices.describe_slice(QUARTIC, walk)
    t = data.tangents
    assert t.slope == pytest.approx(4 * t.at**3 - 6 * t.at + 1)
    assert t.value == pytest.approx(t.at**4 - 3 * t.at**2 + t.at)
    assert t.at == pytest.approx(walk.record.path[t.step, 0])
    assert (t.step[0], t.step[-1]) == (0, walk.nit)
    assert data.value == pytest.approx(data.w**4 - 3 * data.w**2 + data.w)
    assert data.lowest == pytest.approx((walk.x[0], walk.fun))
    saved(slices.draw_slice(data), tmp_path)
    chosen = slices.describe_slice(QUARTIC, walk, steps=[3], limits=(-2, 2))
    assert chosen.tangents.step.tolist() == [3]
    assert (chosen.w[0], chosen.w[-1]) == (-2.0, 2.0)


def test_a_slice_is_of_one_weight_and_of_steps_that_were_taken():
    with pytest.raises(ShapeError, match="path and surface"):
        slices.describe_slice(ROSENBROCK, [[1.0, 1.0]])
    with pytest.raises(OptionError, match="no point after step 9"):
        slices.describe_slice(QUARTIC, [0.0, 0.1], steps=[9])


def test_a_sweep_stands_beside_the_descent_with_both_counts(tmp_path):
    grid = np.linspace(-2, 2, 41)
    costs = [QUARTIC.value(np.array([w])) for w in grid]
    walk = descend(QUARTIC, np.array([-1.9]), gd(0.02), Stop(max_steps=30))
    data = slices.describe_sweep(grid, costs, walk.record)
    assert (data.best, data.evaluations) == (int(np.argmin(costs)), 41)
    assert data.descent_evaluations == walk.nfev
    assert data.path[-1] == pytest.approx(walk.x)
    ax = slices.draw_sweep(data)
    texts = [t.get_text() for t in ax.get_legend().get_texts()]
    assert "41 evaluations" in texts[0]
    assert f"{walk.nfev} evaluations" in texts[1]
    saved(ax, tmp_path)
    flat = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    wide = slices.describe_sweep(flat, [ROSENBROCK.value(w) for w in flat])
    assert wide.weights[wide.best] == pytest.approx([1.0, 1.0])
    saved(slices.draw_sweep(wide), tmp_path)
    with pytest.raises(ShapeError):
        slices.describe_sweep(grid, costs[1:])
