"""The brute-force table beside the descent."""

import numpy as np
import pytest

from descender.errors import OptionError, StartError
from descender.verbs.sweep import LIMIT, read_ranges, sweep


@pytest.mark.parametrize("d", [1, 2, 3])
def test_every_point_of_the_grid_is_tried(d):
    names = "abc"[:d]
    formula = " + ".join(f"({name} - {k + 1})**2" for k, name in enumerate(names))
    found = sweep(formula, dict.fromkeys(names, (-5, 5, 11)))
    assert found.nfev == found.costs.size == 11**d
    assert found.x.tolist() == [1, 2, 3][:d]
    assert found.fun == 0
    assert found.points()[found.best].tolist() == found.x.tolist()
    expected = ((found.points() - np.arange(1, d + 1)) ** 2).sum(axis=1)
    assert found.costs.ravel() == pytest.approx(expected)
    assert found.walk.success
    assert found.walk.x == pytest.approx(found.x, abs=1e-6)
    assert found.walk.nfev < 20


def test_the_random_start_lies_within_the_ranges_and_is_seeded():
    starts = [sweep("w**2", "w=3:4:5", seed=seed).walk.record.facts["start"][0] for seed in (0, 0, 1)]
    assert starts[0] == starts[1] != starts[2]
    assert all(3 <= start <= 4 for start in starts)


def test_another_minimum_is_noted():
    found = sweep("x**4 - 2*x**2 + 0.3*x", "x=-2:2", start="x=1")
    assert found.walk["x"] == pytest.approx(0.96015, abs=1e-4)
    assert any("higher minimum" in note for note in found.notes)
    assert not sweep("x**4 - 2*x**2 + 0.3*x", "x=-2:2", start="x=-1").notes


def test_the_end_of_a_range_is_noted():
    assert any("end of the range of x" in note for note in sweep("(x - 9)**2", "x=0:1:3").notes)


def test_points_without_a_cost_are_left_out():
    found = sweep("x - log(x)", "x=-1:2:7", start="x=2")
    assert found.x.tolist() == [1.0]
    assert "not a finite number at 3 of the points" in found.notes[0]
    with pytest.raises(StartError, match="at any point of the grid"):
        sweep("log(x)", "x=-2:-1", start="x=1")


def test_an_affordable_sweep_only():
    with pytest.raises(OptionError, match=r"101 x 101 x 101 x 101 = 104,060,401 evaluations.*at most 56 points a side"):
        sweep("a*b*c*d", "a=0:1 b=0:1 c=0:1 d=0:1")
    with pytest.raises(OptionError, match="no affordable grid"):
        sweep("+".join(f"x{k}" for k in range(30)), {f"x{k}": (0, 1, 2) for k in range(30)})
    with pytest.raises(OptionError, match="1,000,000,000,000 evaluations"):
        sweep("a", "a=0:1:1e12")
    assert LIMIT == 10_000_000


def test_progress_is_told():
    told = []
    sweep("w**2", "w=0:1:50001", progress=lambda done, total: told.append((done, total)))
    assert told == [(20_000, 50_001), (40_000, 50_001)]


def test_values_may_be_listed():
    assert read_ranges(("a", "b"), {"a": [3.0, 1.0], "b": (0, 1, 2)})[0].tolist() == [3, 1]


@pytest.mark.parametrize(
    ("ranges", "told"),
    [
        ("w", "is not NAME=LOW:HIGH"),
        ("w=1:0", "expected LOW below HIGH"),
        ("w=0:1:2.5", "whole number"),
        ("w=0:1:0", "whole number"),
        ("w=0:1:2:3", "has 4 numbers"),
        ("w=0:inf", "finite numbers"),
        ("w=a:b", "not made of numbers"),
        ("w=0:1 w=1:2", "given twice"),
        ("v=0:1", "no variable"),
        ("", "is not NAME=LOW:HIGH"),
    ],
)
def test_ranges_that_are_none(ranges, told):
    with pytest.raises(OptionError, match=told):
        sweep("w**2", ranges)


def test_a_misspelt_column_is_told():
    data = {"height": [1.0, 2.0], "weight": [2.0, 4.0]}
    formula = "mean((weigth - m*height)**2)"
    with pytest.raises(OptionError, match="did you mean the column weight"):
        sweep(formula, "m=0:2:3", data=data)
    with pytest.raises(OptionError, match=r"'weight', which is a column of the data.*did you mean the column weight"):
        sweep(formula, "m=0:2:3 weight=0:1:3", data=data)
    with pytest.raises(OptionError, match="did you mean m"):
        sweep("(mm - 1)**2 + m**2", "m=0:2:3 mmm=0:1:3")


def test_a_grid_of_two_weights_is_drawn_as_one_image():
    from descender.pictures.slices import describe_sweep, draw_sweep

    found = sweep("(a - 1)**2 + log(b)**2", "a=-5:5:101 b=-1:5:101", start="a=4 b=3")
    ax = draw_sweep(describe_sweep(found.points(), found.costs.ravel(), found.walk.record, found.names))
    (image,) = ax.collections
    shades = image.get_array()
    assert shades.shape == (101, 101)
    assert shades.mask[found.axes[1] <= 0].all()  # no cost there
    k, j = np.unravel_index(np.ma.argmin(shades), shades.shape)
    assert [found.axes[0][j], found.axes[1][k]] == pytest.approx(found.x)
    scattered = draw_sweep(describe_sweep([[0.0, 0.0], [1.0, 2.0], [3.0, 1.0]], [1.0, 2.0, 3.0]))
    assert len(scattered.collections[0].get_offsets()) == 3
