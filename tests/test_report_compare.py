"""The page about a race: what it says, what it draws, that names in it are text."""

import numpy as np
import pytest

from browsing import CHROMIUM, opened
from descender import compare
from descender.pictures.race import describe_gaps, plotly_gaps
from test_report import figures, read


@pytest.fixture(scope="module")
def race():
    methods = ["auto", "gd learning_rate=0.01", "momentum learning_rate=0.001"]
    return compare("(1-x)**2 + 100*(y-x**2)**2", "x=-1.2 y=1", methods, max_evaluations=300)


@pytest.fixture(scope="module")
def page(race, tmp_path_factory):
    return race.report(tmp_path_factory.mktemp("race") / "race.html", "descender compare <b>")


def test_it_has_the_answer_the_table_and_what_went_wrong(race, page):
    parsed = read(page.read_text(encoding="utf-8"))
    assert parsed.whole
    for text in (*race.answers, race.summary[1:], "gd learning_rate=0.01: diverged", "descender compare <b>"):
        assert text in parsed.text
    for racer in race.racers:
        assert f"{racer.name} {'reached ' * racer.reached}" in parsed.text
    drawn = figures(parsed)["gaps"]
    assert {trace["name"] for trace in drawn["data"]} == {racer.name for racer in race.racers}
    assert page.stat().st_size < 2_000_000


def test_lines_stand_where_they_are_on_paper_and_differ_without_colour():
    lines = [(f"<i>{k}</i>", [0, 10, 20], [1.0, 0.1, 10.0**-k], True) for k in range(9)]
    data = describe_gaps([*lines, ("away", [0, 5], [1.0, np.inf], False)])
    drawn = plotly_gaps(data)["data"]
    for line, trace in zip(data.lines, [trace for trace in drawn if trace["mode"] == "lines"], strict=True):
        assert (trace["x"], trace["y"]) == (line.work.tolist(), line.gap.tolist())
    marked = [trace for trace in drawn if trace["mode"] == "lines+markers"]
    looks = {(trace["marker"]["symbol"], trace["line"]["dash"]) for trace in marked}
    assert len(looks) == len(data.lines)
    assert not any("<i>" in trace["name"] for trace in drawn)
    assert [trace["name"] for trace in drawn if trace["mode"] == "markers"] == ["away"]


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
def test_a_browser_draws_it(page):
    dom, complaints = opened(page)
    assert complaints == []
    assert "main-svg" in dom[dom.index('id="gaps"') :][:3000]
