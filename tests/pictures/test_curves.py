"""Curves of a record are its columns; the data choose the axes."""

import numpy as np
import pytest
from drawn import ROSENBROCK, gd, saved

from descender.descent import descend
from descender.errors import OptionError
from descender.pictures import curves, paths
from descender.record import Record
from descender.walk import Stop


def test_a_full_batch_curve_is_the_recorded_cost(valley, tmp_path):
    data = curves.describe_curve(valley.record)
    (line,) = data.series
    assert line.y == pytest.approx(valley.record["cost"])
    assert line.x.tolist() == list(range(valley.nit + 1))
    assert data.log
    assert (data.x_label, data.y_label) == ("step", "cost J")
    assert data.title.startswith(f"L-BFGS, {valley.nit} steps")
    saved(valley.plot(), tmp_path)


def test_batches_all_rows_and_held_out_rows_are_three_lines(batches, tmp_path):
    _, walk = batches
    batch, full, held = curves.describe_curve(walk.record).series
    assert [s.kind for s in (batch, full, held)] == ["batch", "full", "holdout"]
    assert len(batch.x) == 120
    assert full.x.tolist() == [0, *range(6, 121, 6), 120]
    assert held.y == pytest.approx(full.y + 1.0)
    saved(walk.plot(), tmp_path)
    norms = curves.describe_curve(walk.record, "rows_seen", "gradient_norm").series
    assert [s.kind for s in norms] == ["batch"]


def test_long_curves_are_thinned_and_it_is_said(tmp_path):
    y = np.sin(np.arange(50_000) / 100.0) + 2.0
    y[31_234] = 90.0
    data = curves.describe_curve(Record({"step": np.arange(50_000), "cost": y}))
    assert len(data.series[0].x) <= paths.DRAWN
    assert data.series[0].y.max() == 90.0
    assert not data.log
    assert "of 50,000 points drawn" in data.notes[0]
    saved(curves.draw_curve(data), tmp_path)


@pytest.mark.parametrize(
    ("cost", "log"),
    [([3.0, 2.0, 1.0], False), ([3.0, 1e-2, 1e-5], True), ([3e4, 1.0, -1.0], False), ([1e4, 1.0, 0.0], True)],
)
def test_the_data_choose_the_axis(cost, log):
    data = curves.describe_curve(Record({"step": np.arange(3), "cost": np.array(cost)}))
    assert data.log is log
    assert bool(data.notes) is (log and 0.0 in cost)


def test_the_excess_counts_from_the_lowest_cost_of_all_rows():
    record = Record({"step": np.arange(3), "cost": np.array([1005.0, 6.0, 5.0])})
    data = curves.describe_curve(record, excess=True)
    assert data.series[0].y == pytest.approx([1000.0, 1.0])
    assert data.y_label == "cost above the lowest"


def test_the_certificate_is_a_band_below_the_lowest_cost(tmp_path):
    record = Record({"step": np.arange(2), "cost": np.array([3.0, 2.0])}, facts={"certificate": {"gap": 0.25}})
    data = curves.describe_curve(record)
    assert data.band == (1.75, 2.0)
    assert data.band_label == "certified: the minimum is at most 0.25 lower"
    saved(curves.draw_curve(data), tmp_path)
    record.facts["certificate"] = {"gap": 0.25, "rigorous": False}
    assert curves.describe_curve(record).band_label.startswith("estimated")


def test_values_that_are_not_finite_are_left_out_and_counted(tmp_path):
    record = Record({"step": np.arange(4), "cost": np.array([1.0, 1e100, 1e299, np.inf])})
    data = curves.describe_curve(record)
    assert data.series[0].y.tolist() == [1.0, 1e100]
    assert data.notes[0].startswith("2 values are left out")
    saved(curves.draw_curve(data), tmp_path)
    with pytest.raises(OptionError, match="nothing to draw"):
        curves.describe_curve(Record({"step": np.arange(1), "cost": np.array([np.nan])}))


def test_a_race_counts_from_the_lowest_of_all(valley, tmp_path):
    slow = descend(ROSENBROCK, np.array([-1.2, 1.0]), gd(0.001), Stop(max_steps=1000))
    data = curves.describe_race({"gd": slow.record, "L-BFGS": valley.record}, "step")
    assert [s.label for s in data.series] == ["gd", "L-BFGS"]
    assert data.series[0].y[-1] == pytest.approx(slow.fun - valley.fun)
    assert data.log_x == 1.0
    saved(curves.draw_curve(data), tmp_path)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"against": "steps"}, "did you mean step"),
        ({"what": "loss"}, "known: cost"),
        ({"what": "step_norm"}, "no column"),
    ],
)
def test_a_column_that_is_not_there_is_refused(options, text):
    with pytest.raises(OptionError, match=text):
        curves.describe_curve(Record({"step": np.arange(2), "cost": np.ones(2)}), **options)


def test_the_share_of_clipped_steps_is_counted_in_stretches():
    clipped = np.zeros(1000)
    clipped[:100:2] = 1.0
    data = curves.describe_curve(Record({"step": np.arange(1000), "clipped": clipped}), what="clipped")
    (line,) = data.series
    assert len(line.x) == curves.STRETCHES
    assert line.y.tolist() == [0.5] * 5 + [0.0] * 45
    assert (line.x[0], line.x[-1], data.log) == (19.0, 999.0, False)


@pytest.mark.parametrize(("power", "log_x"), [(-1.5, 1.0), (0.0, 0.0)])
def test_the_data_choose_the_horizontal_axis(power, log_x):
    steps = np.arange(5000)
    falling = (1.0 + steps) ** power if power else 5000.0 - steps
    data = curves.describe_curve(Record({"step": steps, "cost": 1.0 + falling}))
    assert data.log_x == log_x
    spec = curves.plotly_curve(data)
    assert (spec["layout"]["xaxis"].get("type") == "log") is bool(log_x)
    assert min(spec["data"][0]["x"]) == (0.5 if log_x else 0.0)
