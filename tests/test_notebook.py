"""What notebooks show: tables with the numbers of the result, in which names are text."""

from html.parser import HTMLParser

import numpy as np
import pytest
from sklearn.utils.validation import check_is_fitted

import descender
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
