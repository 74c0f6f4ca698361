"""What notebooks show: tables with the numbers of the result, in which names are text."""

import re
import sys
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.utils.validation import check_is_fitted

import descender
from descender import live
from descender.doctor.finding import Finding

SCRIPT = "<script>alert(1)</script>"


class Whole(HTMLParser):
    """The tags and the text of a piece of HTML, which must be closed as it was opened."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + " "


@pytest.fixture(scope="module")
def hostile():
    rng = np.random.default_rng(0)
    data = {SCRIPT: rng.normal(size=60), "b": rng.normal(size=60)}
    y = np.where(data[SCRIPT] + data["b"] > 0, "<i>yes</i>", "no")
    return descender.fit(data | {f"target {SCRIPT}": y}, f"target {SCRIPT}", l2=0.1)


def test_a_walk_shows_where_it_ended(tmp_path):
    walk = descender.minimize("(x - 3)**2", "x=0", method="gd", learning_rate=0.1)
    page = Whole(walk._repr_html_())
    assert "svg" in page.tags
    assert all(word in page.text for word in ("x", "3", "gradient norm", "evaluations", "gd, as asked"))
    diverged = descender.minimize("x**2", "x=1", method="gd", learning_rate=3.0)
    page = Whole(diverged._repr_html_())
    assert "D101" in page.text
    many = descender.minimize("x**4 - 2*x**2 + x/2", starts="grid 5 -2..2")
    assert {"Minima", "60%"} & set(Whole(many._repr_html_()).text.split())


def test_a_record_shows_its_first_and_last_rows():
    record = descender.minimize("(x - 3)**2", "x=0", method="gd", learning_rate=0.1, max_steps=20).record
    page = Whole(record._repr_html_())
    assert page.tags.count("tr") == 1 + 8
    assert "Record of 21 rows" in page.text
    assert Whole(descender.Record({})._repr_html_()).text.startswith("Record of 0 rows")


def test_names_of_the_data_are_text(hostile):
    for shown in (hostile, hostile.model, hostile.walk, hostile.walk.record):
        page = Whole(shown._repr_html_())
        assert not {"script", "i"} & set(page.tags)
    assert SCRIPT in Whole(hostile.model._repr_html_()).text
    assert f"target {SCRIPT}" in Whole(hostile._repr_html_()).text
    finding = Finding("constant-labels", "critical", f"the column {SCRIPT}", "<b>look</b>")
    page = Whole(finding._repr_html_())
    assert (page.tags.count("b"), "script" in page.tags) == (1, False)
    assert SCRIPT in page.text


def test_a_fit_shows_its_metrics_beside_guessing(hostile):
    text = Whole(hostile._repr_html_()).text
    assert "baseline" in text
    assert f"{hostile.metrics['holdout']['log_loss']:.6g}" in text


def test_estimators_keep_scikit_learns():
    model = descender.LinearRegressor(l2=0.1).fit(np.arange(8.0).reshape(4, 2) ** 2, np.arange(4.0))
    check_is_fitted(model)
    assert "sk-" in model._repr_html_()


class Notebook:
    """What a notebook was asked to show, each time anew, with a clock that goes as it is told."""

    def __init__(self, monkeypatch, each):
        self.shown, self.now, self.each = [], 0.0, each
        shell = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=object()))
        display = SimpleNamespace(HTML=str, display=self.display)
        monkeypatch.setitem(sys.modules, "IPython", shell)
        monkeypatch.setitem(sys.modules, "IPython.display", display)
        monkeypatch.setattr(live.time, "monotonic", self.tick)

    def tick(self):
        self.now += self.each
        return self.now

    def display(self, text, display_id=False):
        assert display_id
        self.shown.append(text)
        return SimpleNamespace(update=self.shown.append)


def test_a_long_walk_tells_a_notebook_how_far_it_is(monkeypatch):
    notebook = Notebook(monkeypatch, each=0.05)
    walk = descender.minimize(
        lambda w: float((w**4).sum()), [3.0], "gd", gradient=lambda w: 4 * w**3, learning_rate=0.001, max_steps=300
    )
    *told, last = notebook.shown
    steps = [int(re.search(r"step ([\d,]+), cost", text)[1].replace(",", "")) for text in told]
    assert steps == sorted(steps)
    assert 1 < len(steps) <= notebook.now / live.APART
    assert walk.nit == 300
    assert last == ""
    assert live.current() is None


def test_a_short_walk_and_one_outside_of_notebooks_show_nothing(monkeypatch):
    notebook = Notebook(monkeypatch, each=0.0)
    descender.minimize("x**4", "x=3", "gd", learning_rate=0.001, max_steps=200)
    assert notebook.shown == []
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    notebook.each = 1.0
    descender.minimize("x**4", "x=3", "gd", learning_rate=0.001, max_steps=200)
    assert notebook.shown == []


def test_a_fit_and_all_within_it_share_a_line_in_which_names_are_text(monkeypatch, hostile):
    notebook = Notebook(monkeypatch, each=0.3)
    X = np.random.default_rng(0).normal(size=(80, 2))
    found = descender.fit({SCRIPT: X[:, 0], "b": X[:, 1], "<b>y</b>": X[:, 0] + 1}, "<b>y</b>")
    assert found.walk.success
    assert notebook.shown[-1] == ""
    assert any("read" in text for text in notebook.shown)
    assert not any("<script" in text or "<b>" in text for text in notebook.shown)


def test_the_line_goes_away_when_something_fails(monkeypatch):
    notebook = Notebook(monkeypatch, each=1.0)
    with pytest.raises(descender.errors.TargetError):
        descender.fit({"a": [1.0, 2.0, 3.0], "y": [1.0, 1.0, 1.0]}, "y", task="binary")
    assert live.current() is None
    assert notebook.shown[-1:] in ([], [""])


@pytest.mark.slow
def test_a_real_notebook_shows_progress_and_takes_it_away():
    nbformat = pytest.importorskip("nbformat", reason="nbclient is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    source = (
        "import time, numpy as np, descender\n"
        "def slow(w):\n    time.sleep(0.02)\n    return float((w**4).sum())\n"
        "walk = descender.minimize(slow, [3.0], 'gd', gradient=lambda w: 4*w**3, learning_rate=0.001, max_steps=100)\n"
        "walk"
    )
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    shown = []
    client = nbclient.NotebookClient(book, timeout=200, kernel_name="python3")
    client.on_notebook_complete = None
    handle = client.process_message

    def see(message, cell, at):
        if message["msg_type"] in ("display_data", "update_display_data"):
            shown.append(message["content"]["data"]["text/html"])
        return handle(message, cell, at)

    client.process_message = see
    client.execute()
    assert any(re.search(r"step \d+, cost", text) for text in shown)
    assert len(shown) < 30
    assert shown[-1] == ""
    *_, result = book.cells[0].outputs
    assert "gradient norm" in result["data"]["text/html"]
