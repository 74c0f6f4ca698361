"""Films: what moves is where the walk was."""

import json
import re

import numpy as np
import pytest
from drawn import ROSENBROCK
from PIL import Image

from descender import minimize
from descender.errors import CapabilityError, OptionError
from descender.pictures import film


@pytest.fixture(scope="module")
def parabola():
    return minimize("(x - 3)**2", "x=0", "gd", learning_rate=0.25, max_steps=6)


def test_the_frames_are_the_steps(parabola):
    data = film.describe_film(parabola)
    assert len(data.frames) == 7
    path = parabola.record.path[:, 0]
    for k, frame in enumerate(data.frames):
        so_far, tangent, here = frame.marks
        assert so_far.x == pytest.approx(path[: k + 1])
        assert so_far.y == pytest.approx((path[: k + 1] - 3) ** 2)
        assert (here.x[0], here.y[0]) == pytest.approx((path[k], (path[k] - 3) ** 2))
        slope = np.diff(tangent.y) / np.diff(tangent.x)
        assert slope[0] == pytest.approx(2 * (path[k] - 3))
    assert data.frames[2].caption == "step 2: x = 2.25, J = 0.5625, slope −1.5"


def test_a_path_grows_step_by_step(valley):
    data = film.describe_film(valley, resolution=9)
    assert len(data.frames) == valley.nit + 1
    line, point = data.frames[10].marks
    assert np.column_stack([line.x, line.y]) == pytest.approx(valley.record.path[:11])
    assert (point.x[0], point.y[0]) == pytest.approx(tuple(valley.record.path[10]))
    assert data.frames[10].caption.startswith("step 10: J = ")


def test_of_a_long_walk_few_frames_are_shown_the_first_steps_and_the_last():
    steps = np.arange(100_000)
    shown = film.chosen(steps, 60)
    assert len(shown) <= 60
    assert shown[:3].tolist() == [0, 1, 2]
    assert shown[-1] == 99_999
    walk = minimize(ROSENBROCK, [-1.2, 1.0], "gd", learning_rate=1e-3, max_steps=5_000)
    frames = film.describe_film(walk, resolution=9).frames
    assert max(len(mark.x) for frame in frames for mark in frame.marks) <= film.POINTS


def test_walks_race_side_by_side(valley):
    gd = minimize(ROSENBROCK, [-1.2, 1.0], "gd", learning_rate=1e-3, max_steps=50)
    data = film.describe_film({"L-BFGS": valley, "gd": gd}, resolution=9)
    assert data.names == ("L-BFGS", "gd")
    last = data.frames[-1].marks
    assert (last[1].x[0], last[1].y[0]) == pytest.approx(tuple(valley.x))
    assert (last[3].x[0], last[3].y[0]) == pytest.approx(tuple(gd.x))
    assert last[0].colour != last[2].colour


def test_a_gif_moves_and_a_page_holds_the_same_numbers(parabola, tmp_path):
    with Image.open(parabola.animate(tmp_path / "walk.gif")) as image:
        assert image.n_frames == 7
        first = np.asarray(image.convert("L"), dtype=float)
        image.seek(6)
        assert np.abs(np.asarray(image.convert("L"), dtype=float) - first).max() > 100
    text = parabola.animate(tmp_path / "walk.html").read_text(encoding="utf-8")
    figures = json.JSONDecoder().raw_decode(text, re.search(r"const figures = ", text).end())[0]
    frames = figures["film"]["frames"]
    assert frames[0]["caption"] == "step 0: x = 0, J = 9, slope −6"
    assert frames[1]["data"][2] == {"x": [1.5], "y": [2.25]}


def test_what_does_not_move_is_refused(parabola, tmp_path):
    with pytest.raises(OptionError, match=r"\.gif or \.html"):
        parabola.animate(tmp_path / "walk.mp4")
    with pytest.raises(CapabilityError, match="slice and path move"):
        film.describe_film(parabola, "cost")
    with pytest.raises(OptionError, match="at least 2"):
        film.describe_film(parabola, frames=1)
    assert not list(tmp_path.iterdir())


def test_a_walk_that_leaves_all_bounds_is_a_film():
    walk = minimize("x**4", "x=3", "gd", learning_rate=1)
    data = film.describe_film(walk)
    assert walk.nit == 4
    assert data.frames[0].caption == "step 0: x = 3, J = 81, slope 108"
    assert json.dumps(film.plotly_film(data), allow_nan=False)
