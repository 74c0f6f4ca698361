"""What the lab answers: the numbers are those of the library."""

import io
import runpy
import zipfile

import numpy as np
import pytest

from descender.costs.formula import Formula
from descender.errors import OptionError
from descender.explain import explain_step
from descender.lab.asked import read_asked
from descender.lab.costs import ROWS
from descender.lab.exports import recorded
from descender.lab.lessons import LESSONS
from descender.verbs.minimize import minimize

ROSENBROCK = "(1-x)**2 + 100*(y-x**2)**2"
LINE = "a,b\n" + "\n".join(f"{k},{2 * k + 1 + (-1) ** k * 0.3}" for k in range(12))


def test_a_race_has_the_walks_of_the_library(page):
    specs = ["gd learning_rate=0.001", "momentum learning_rate=0.0005 beta=0.8", "auto"]
    found = page.ask("race", cost=ROSENBROCK, start=[-1.2, 1.0], methods=specs, steps=150)
    gd, momentum, auto = found["racers"]
    own = minimize(ROSENBROCK, [-1.2, 1.0], "gd", learning_rate=0.001, max_steps=150)
    assert gd["x"] == own.x.tolist()
    np.testing.assert_array_equal(gd["path"], own.record.path)
    assert gd["steps"] == list(range(151))
    same = minimize(ROSENBROCK, [-1.2, 1.0], "momentum", learning_rate=0.0005, beta=0.8, max_steps=150)
    assert momentum["fun"] == same.fun
    assert auto["success"]
    assert auto["x"] == pytest.approx([1, 1])


def test_a_method_that_cannot_walk_does_not_stop_the_others(page):
    first, second = page.ask("race", cost="x**2", start=[1], methods=["sgd", "gd"])["racers"]
    assert "this cost has none" in first["error"]
    assert second["success"]


def test_the_ground_is_the_cost(page):
    found = page.ask("ground", cost=ROSENBROCK, start=[-1.2, 1.0], methods=["auto"])
    cost = Formula(ROSENBROCK)
    assert found["z"][3][5] == pytest.approx(cost.value([found["x"][5], found["y"][3]]))
    (x0, x1), (y0, y1) = found["limits"]
    assert x0 < -1.2 < 1.0 < x1
    assert y0 < 1.0 < y1
    assert found["derivatives"] == [["x", "-400 x (y - x^2) - 2 (1 - x)"], ["y", "200 (y - x^2)"]]
    near = page.ask("ground", cost=ROSENBROCK, start=[-1.2, 1.0], limits=[[0, 2], [0, 2]])
    assert near["limits"] == [[0, 2], [0, 2]]


def test_a_curve_shows_the_walk_and_the_bottom(page):
    found = page.ask("ground", cost="log(cosh(x))", start=[10], methods=["gd learning_rate=0.001"], steps=5)
    assert found["kind"] == "curve"
    (low, high), z = found["limits"][0], found["z"]
    assert low < 0 < 10 < high
    assert z == pytest.approx(np.logaddexp(found["x"], -np.array(found["x"])) - np.log(2))


def test_a_start_without_a_finite_cost_is_told_and_the_derivatives_are_there(page):
    found = page.ask("ground", cost="x - log(x) + y**2", start=[-1, 0])
    assert found["kind"] == "contour"
    assert "J is not finite at the start" in found["error"]
    assert found["limits"][0][0] < 0 < found["limits"][0][1]
    assert found["derivatives"]
    nowhere = page.ask("ground", cost="sqrt(-1 - x**2)", start=[1])
    assert (nowhere["kind"], "not finite" in nowhere["error"]) == ("none", True)


@pytest.mark.parametrize("number", [1, 7, 40])
def test_a_step_is_written_out_as_the_library_does(page, number):
    asked = {"cost": ROSENBROCK, "start": [-1.2, 1.0], "methods": ["gd learning_rate=0.001"], "steps": 40}
    found = page.ask("step", **asked, step=number)
    cost = Formula(ROSENBROCK)
    walk = minimize(cost, [-1.2, 1.0], "gd", learning_rate=0.001, max_steps=40)
    assert found["lines"] == explain_step(cost, walk, step=number)
    assert found["w"] == walk.record.path[number].tolist()
    assert found["gradient"] == cost.gradient(walk.record.path[number]).tolist()


def test_a_dropped_table_is_learnt_from(page):
    kept = page.drop(LINE).json()
    assert [column["name"] for column in kept["columns"]] == ["a", "b"]
    assert kept["columns"][1]["models"][0] == "squared_error"
    asked = {"data": kept["data"], "target": "b", "model": "squared_error", "methods": ["auto"]}
    walk = page.ask("race", **asked)["racers"][0]
    assert walk["success"]
    drawn = page.ask("ground", **asked)["drawn"]
    assert drawn["kind"] == "line"
    model = page.ask("step", **asked, step=walk["nit"])["model"]
    slope, intercept = np.polyfit(drawn["x"], drawn["y"], 1)
    assert model == pytest.approx(slope * np.array(drawn["across"]) + intercept, rel=1e-4)
    formula = page.ask("race", cost="mean((b - (m*a + c))**2)", data=kept["data"], start={"m": 0}, methods=["auto"])
    assert formula["start"] == [0, 1]
    assert formula["racers"][0]["x"] == pytest.approx([slope, intercept])


def test_of_many_rows_some_are_played_with_and_told(page):
    x = np.arange(30_000)
    kept = page.drop("a,b\n" + "\n".join(f"{a},{b}" for a, b in zip(x, 2 * x + 1, strict=True))).json()
    assert kept["rows"] == ROWS
    asked = {"data": kept["data"], "target": "b", "model": "squared_error", "methods": ["auto"]}
    ground = page.ask("ground", **asked)
    assert ground["n_samples"] == ROWS
    assert "10,000 of the 30,000 rows, drawn at random" in "; ".join(ground["notes"])
    drawn = np.array(ground["drawn"]["x"])
    assert (np.diff(drawn) > 0).all(), "the rows keep their order"
    assert (drawn[0] < 1_000, drawn[-1] > 29_000) == (True, True)
    assert page.ask("race", **asked)["racers"][0]["success"]


def test_two_features_and_two_classes_have_a_boundary(page):
    asked = {"data": "example:blobs", "target": "label", "model": "log_loss", "methods": ["gd learning_rate=1"]}
    drawn = page.ask("ground", **asked)["drawn"]
    share = np.array(page.ask("step", **asked, step=100)["model"])
    assert drawn["kind"] == "boundary"
    assert share.shape == (len(drawn["up"]), len(drawn["across"]))
    place = [np.abs(np.array(drawn[axis])[:, None] - np.array(drawn[of])).argmin(axis=0)
             for axis, of in (("up", "y"), ("across", "x"))]  # fmt: skip
    right = (share[place[0], place[1]] > 0.5) == np.array(drawn["label"], dtype=bool)
    assert right.mean() > 0.97


def test_what_diverges_has_its_finding(page):
    walk = page.ask("race", cost=ROSENBROCK, start=[-1.2, 1], methods=["gd learning_rate=0.01"])["racers"][0]
    assert [finding["code"] for finding in walk["findings"]] == ["D101"]
    assert walk["cost"][-1] is None or np.isfinite(walk["cost"][-1])


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.title)
def test_every_lesson_can_be_asked_for(lesson):
    asked = read_asked(lesson.asked)
    assert asked.methods == tuple(lesson.asked["methods"])
    assert asked.start == tuple(lesson.asked["start"])


def test_the_lessons_of_each_tutorial_walk(page):
    firsts = {lesson.tutorial: lesson for lesson in LESSONS}
    assert sorted(firsts) == [1, 2, 3, 4, 5]
    for lesson in firsts.values():
        asked = lesson.asked | {"steps": 30}
        assert page.ask("ground", **asked)["kind"] != "none"
        assert all("error" not in racer for racer in page.ask("race", **asked)["racers"])


def test_a_script_ends_where_the_page_says(page, tmp_path, capsys):
    asked = {"cost": ROSENBROCK, "start": [-1.2, 1], "methods": ["adam learning_rate=0.05"], "steps": 60}
    answer = page.post("script", asked)
    assert answer.headers["content-disposition"] == 'attachment; filename="walk.py"'
    (tmp_path / "walk.py").write_bytes(answer.content)
    names = runpy.run_path(str(tmp_path / "walk.py"))
    capsys.readouterr()
    assert names["w"] == pytest.approx(page.ask("race", **asked)["racers"][0]["x"], rel=1e-9)


def test_a_script_of_a_model_comes_with_its_rows(page, tmp_path, capsys):
    asked = {"data": "example:blobs", "target": "label", "model": "log_loss", "methods": ["gd learning_rate=1"]}
    answer = page.post("script", asked)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path)
    names = runpy.run_path(str(tmp_path / "walk.py"))
    capsys.readouterr()
    assert names["w"] == pytest.approx(page.ask("race", **asked)["racers"][0]["x"], rel=1e-9)


def test_a_page_that_replays_is_whole(page):
    asked = {"cost": "x**2 + 3*y**2", "start": [2, 1], "methods": ["gd learning_rate=0.1"], "steps": 20}
    text = page.post("page", asked).text
    assert "Plotly" in text
    assert 'src="/' not in text
    assert 'href="/' not in text
    assert text.count("</script>") == text.count("<script") == 5


def test_a_page_that_replays_has_the_steps(tmp_path):
    asked = read_asked({"cost": "x**2", "start": [2], "methods": ["gd learning_rate=0.1", "sgd"], "steps": 20})
    held = recorded(asked, str(tmp_path))
    assert list(held["steps"][0]) == list(range(21))
    assert held["steps"][1] == {}


def test_the_catalogue_is_the_library(page):
    from descender.methods.auto import METHODS

    found = page.client.get("/catalogue").json()
    assert tuple(method["name"] for method in found["methods"]) == METHODS
    assert all(method["text"] for method in found["methods"])
    assert {"name": "cosine", "numbers": ["rate", "steps", "lowest"]} in found["rates"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"steps": 10**9}, "at most|from 1 to 10,000"),
        ({"steps": True}, "whole number"),
        ({"start": [float("inf")]}, "finite"),
        ({"start": ["1"]}, "finite"),
        ({"methods": ["gd"] * 7}, "at most 6"),
        ({"methods": ["nothing"]}, "method='nothing'"),
        ({"cost": "x" * 2001}, "at most 2,000"),
        ({"cost": 3}, "expected text"),
        ({"limits": [[1, 1]]}, "low < high"),
        ({"limits": 7}, "expected a list"),
        ({"colour": "red"}, "colour"),
        ([], "JSON object"),
    ],
)
def test_what_is_beyond_the_bounds_is_refused(given, told):
    with pytest.raises(OptionError, match=told):
        read_asked(given)
