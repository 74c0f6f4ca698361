"""The page about a walk: what it says, that it is small, that names in it are text, that a browser plays it."""

import json
import re

import numpy as np
import pytest

import descender
from browsing import CHROMIUM, opened
from descender.pictures.page import plotly_script
from descender.record import Record
from descender.report_walk import context, write_walk_report
from test_report import figures, read

pytestmark = pytest.mark.usefixtures("uncompiled")

ROSENBROCK = "(1-x)**2 + 100*(y-x**2)**2"
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def valley():
    return descender.minimize(ROSENBROCK, "x=-1.2 y=1")


@pytest.fixture(scope="module")
def page(valley, tmp_path_factory):
    path = valley.report(tmp_path_factory.mktemp("pages") / "valley.html")
    return path, path.read_text(encoding="utf-8")


def test_it_says_where_the_walk_ended_and_shows_its_pictures(valley, page):
    parsed = read(page[1])
    assert parsed.whole
    for text in (ROSENBROCK, "A minimum: both curvatures are positive.", "34", "dJ/dx = -400 x (y - x^2) - 2 (1 - x)"):
        assert text in parsed.text
    shown = figures(parsed)
    assert list(shown) == ["film", "surface", "cost", "gradient_norm", "step_norm", "learning_rate"]
    assert len(shown["film"]["frames"]) == valley.nit + 1
    assert shown["cost"]["data"][0]["y"] == pytest.approx(valley.record["cost"].tolist())
    assert not re.findall(
        r"(?:src|href)=[\"']?(?:https?:)?//", page[1].replace(plotly_script(), "").replace(plotly_script("gl3d"), "")
    )


def test_of_many_starts_the_minima_and_of_a_bad_walk_the_findings(tmp_path):
    many = context(descender.minimize("x**4 - 2*x**2 + x/2", starts="grid 5 -2..2"))
    assert many["minima"]["header"] == ["x", "J", "starts", "share"]
    assert len(many["minima"]["rows"]) == 2
    wrong = descender.minimize(ROSENBROCK, "x=-1.2 y=1", "gd", learning_rate=0.01)
    text = read(wrong.report(tmp_path / "wrong.html").read_text(encoding="utf-8")).text
    assert "D101 learning rate too high" in text


def test_a_record_of_a_hundred_thousand_steps_is_thinned_in_the_page_alone(tmp_path):
    n = 100_000
    cost = np.geomspace(1.0, 1e-6, n) * np.random.default_rng(0).uniform(0.5, 2.0, n)
    record = Record({"step": np.arange(n), "cost": cost, "gradient_norm": cost, "evaluations": np.arange(n)})
    path = write_walk_report(record, tmp_path / "long.html", f"a long walk {HOSTILE}")
    assert path.stat().st_size < 5_200_000
    parsed = read(path.read_text(encoding="utf-8"))
    assert "of 100,000 points drawn" in figures(parsed)["cost"]["layout"]["title"]["text"]
    assert len(record) == n
    assert HOSTILE in parsed.text
    assert parsed.tags.count("script") == 2


def test_a_walk_on_a_function_of_many_weights_says_how_much_of_it_is_seen():
    walk = descender.minimize(lambda w: float(np.arange(1, 6) @ w**2), np.ones(5))
    said = context(walk)
    assert "principal directions among 5 parameters" in said["film_notes"][0]
    assert said["derivatives"] == []
    assert said["steps"]["header"][:3] == ["step", "w0", "w1"]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
def test_a_browser_plays_the_walk(page, tmp_path):
    playing = tmp_path / "playing.html"
    last = "frame(+scrub.value);\n"
    assert page[1].count(last) >= 1
    script = 'addEventListener("load", () => { scrub.value = 3; scrub.dispatchEvent(new Event("input")); });\n'
    head, tail = page[1].rsplit(last, 1)
    playing.write_text(head + last + script + tail, encoding="utf-8")
    dom, complaints = opened(playing)
    assert [line for line in complaints if "ERROR" in line or "Uncaught" in line] == []
    assert '<output id="caption">step 3: J = ' in dom
    for picture in figures(read(page[1])):
        assert "main-svg" in dom[dom.index(f'id="{picture}"') :][:3000], picture


@pytest.mark.parametrize("cost", ["(x**2 - 1)**2 + 0.1*x", "(x**2 - 1)**2 + 0.1*x + y**2"])
def test_many_starts_are_shown_on_the_surface(cost):
    walk = descender.minimize(cost, starts="sobol 9 -2..2")
    (_, *groups, stars) = context(walk)["figures"]["basins"]["data"]
    assert sum(len(group["x"]) for group in groups) == 9
    assert stars["x"] == pytest.approx([minimum.x[0] for minimum in walk.minima])
    assert json.dumps(groups, allow_nan=False)
