"""The page about a fit: what it says, that it is safe to open, that a browser draws it."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from browsing import CHROMIUM, opened, opened_each
from descender import fit
from descender.pictures.page import plotly_script
from descender.report import context, write_report

RNG = np.random.default_rng(0)
N = 120
SCRIPT = "<script>alert(1)</script>"
HOSTILE = [
    SCRIPT,
    '"><img src=x onerror=alert(2)>',
    "</script><script>alert(3)</script>",
    'it\'s "quoted" & <b>bold</b>',
    "{{ 7 * 7 }}",
    "<!--<script>",
    "]]>",
    "\u2028 \\u003c \\",
]


def hostile_fit():
    """Columns, levels, classes and a target that would all like to run."""
    data = {name: RNG.normal(size=N) for name in HOSTILE}
    data["</title>"] = RNG.choice(HOSTILE, N)
    data[f"target {SCRIPT}"] = RNG.choice([SCRIPT, '"</script>"', "<i>c</i>"], N)
    return fit(data, f"target {SCRIPT}")


def comment_fit():
    """Classes of which one opens, inside a script, what only "-->" closes."""
    data = {"x": RNG.normal(size=N), "<!--<script>": RNG.normal(size=N)}
    data[f"target {SCRIPT}"] = RNG.choice(["a", "<!--<script>", "c"], N)
    return fit(data, f"target {SCRIPT}")


def binary_of_hostile_names():
    """A binary target, whose class names stand in no picture, and a leak, whose finding names a hostile column."""
    y = np.arange(N) % 2
    data = {"<img src=x onerror=alert(4)>": y + 0.01 * RNG.normal(size=N), "b": RNG.normal(size=N)}
    return fit(data | {"y": np.array(["<u>no</u>", "<u>yes</u>"])[y]}, "y")


FITS = {
    "binary": lambda: fit("example:breast_cancer"),
    "multiclass": lambda: fit("example:iris"),
    "regression": lambda: fit("example:diabetes"),
    "no hold-out": lambda: fit({"x": [1.0, 2.0, 3.0, 4.0], "y": [1.0, 2.1, 2.9, 4.0]}, "y"),
    "two rows": lambda: fit({"x": [1.0, 2.0], "y": [1.0, 2.0]}, "y"),
    "squared_error on two classes": lambda: fit("example:breast_cancer", loss="squared_error"),
    "no certificate": lambda: fit("example:blobs", preset="sigmoid"),
    "no penalty": lambda: fit("example:breast_cancer", l2=0.0, max_steps=3),
    "one class held out": lambda: fit({"x": np.arange(24.0), "y": [0, 1] * 12}, "y", holdout=0.01),
    "mini-batches": lambda: fit("example:breast_cancer", method="minibatch", epochs=5),
    "diverged": lambda: fit("example:diabetes", method="gd", learning_rate=100.0),
    "many classes": lambda: fit("example:digits", exclude=[f"pixel_{r}_{c}" for r in range(8) for c in range(4)]),
    "hostile": hostile_fit,
    "comment": comment_fit,
    "hostile and leaking": binary_of_hostile_names,
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Every fit with its page."""
    folder, made = tmp_path_factory.mktemp("reports"), {}
    for number, (name, make) in enumerate(FITS.items()):
        result = make()
        path = write_report(result, folder / f"{number}.html") or folder / f"{number}.html"
        made[name] = result, path, path.read_text(encoding="utf-8")
    return made


class Page(HTMLParser):
    """The elements of a page, the text outside scripts, and the scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words, self.scripts, self.open = [], [], [], [], []
        self.whole = True
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag not in ("meta", "br", "input"):
            self.open.append(tag)
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.whole &= self.open[-1:] == [tag]
        self.open = self.open[:-1]

    def handle_data(self, data):
        if self.open[-1:] == ["script"]:
            self.scripts[-1] += data
        elif self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.words))


def read(page):
    """The page with Plotly's own script, which is not ours to judge, cut out."""
    assert page.count(plotly_script()) == 1
    return Page(page.replace(plotly_script(), "").replace(plotly_script("gl3d"), ""))


def figures(parsed):
    """The figures as the page carries them."""
    (script,) = (script for script in parsed.scripts if "const figures = " in script)
    start = script.index("const figures = ") + len("const figures = ")
    return json.JSONDecoder(parse_constant=lambda name: pytest.fail(f"{name} in a figure")).raw_decode(script, start)[0]


@pytest.mark.parametrize("name", FITS)
def test_the_page_says_what_was_found(pages, name):
    result, _, page = pages[name]
    parsed = read(page)
    assert parsed.whole
    assert parsed.open == []
    assert page.startswith("<!doctype html>")
    spaced = re.sub(r"\s+", " ", result.name)
    assert spaced in parsed.text
    judged = result.metrics.get("holdout", result.metrics["train"])
    for value in judged.values():
        assert f"{value:.4g}" in parsed.text
    assert f"{result.metrics['baseline'][next(iter(judged))]:.4g}" in parsed.text
    if result.certificate is None:
        assert "Not certified." in parsed.text
        assert "not convex" in parsed.text
    else:
        assert str(result.certificate)[1:] in parsed.text
        assert ("proved" if result.certificate.rigorous else "estimated") in parsed.text
    assert f"{result.n_rows:,} rows of" in parsed.text
    for feature in result.model.features:
        assert re.sub(r"\s+", " ", feature) in parsed.text
    for finding in result.findings:
        assert finding.code in parsed.text
        assert finding.remedy in parsed.text
    assert ("training rows" in parsed.text) or "holdout" in result.metrics


@pytest.mark.parametrize("name", FITS)
def test_the_page_asks_nothing_of_the_network(pages, name):
    parsed = read(pages[name][2])
    assert parsed.tags.count("script") == 2
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & set(parsed.tags)
    fetching = {"src", "href", "srcset", "action", "data", "poster", "background", "xlink:href"}
    assert [found for found in parsed.attributes if found[1] in fetching] == []
    assert not any(name.startswith("on") for _, name, _ in parsed.attributes)
    style = re.search(r"<style>(.*?)</style>", pages[name][2], flags=re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    assert re.search(r"https?://|fetch\(|XMLHttpRequest|import\(", parsed.scripts[1]) is None
    # a planted fault is seen
    faulty = Page('<p><img src="http://example.org/x.png" onload="go()"></p>')
    assert [found[1] in fetching for found in faulty.attributes] == [True, False]


@pytest.mark.parametrize("name", FITS)
def test_the_page_is_small_and_its_numbers_are_numbers(pages, name):
    result, path, page = pages[name]
    assert path.stat().st_size < 7_000_000
    parsed = read(page)
    for figure in figures(parsed).values():  # json that is strict about NaN
        assert figure["data"]
        assert "layout" in figure
    ids = [value for _, attribute, value in parsed.attributes if attribute == "id"]
    assert set(figures(parsed)) == set(ids) - {"threshold", "cut"}
    assert ("cut" in ids) == (result.task == "binary" and 0 < result.holdout_y.sum() < len(result.holdout_y))
    assert len(ids) == len(set(ids))
    assert not re.search(r"\b(nan|None|inf|undefined)\b", parsed.text.replace("(missing)", ""))


ALWAYS = {"columns", "effects"}
EXPECTED = {
    "binary": ALWAYS | {"roc", "precision", "calibration", "histogram"},
    "multiclass": ALWAYS | {"confusion"},
    "regression": ALWAYS | {"predicted", "residuals", "spread"},
    "one class held out": ALWAYS,
}


@pytest.mark.parametrize("name", EXPECTED)
def test_every_task_has_its_pictures(pages, name):
    result, _, page = pages[name]
    path = {"penalties", "growth"} if result.path is not None else set()
    walked = {"descent"} if len(result.walk.record) > 1 else set()
    assert set(figures(read(page))) == EXPECTED[name] | path | walked
    assert ("so there is nothing to draw" in read(page).text) == (not walked)
    assert ("It began at the bottom" in read(page).text) == (not walked and result.walk.success)
    assert json.loads(json.dumps(context(pages[name][0])["figures"])) == figures(read(pages[name][2]))


def test_the_confusion_counts_the_held_out_rows(pages):
    result, _, page = pages["multiclass"]
    heat = figures(read(page))["confusion"]["data"][0]
    predicted = result.holdout_scores.argmax(axis=1)
    for i, actual in enumerate(result.model.coding.classes):
        for j in range(3):
            assert heat["z"][i][j] == np.sum((result.holdout_y == i) & (predicted == j)), actual
    assert heat["x"] == heat["y"] == ["setosa", "versicolor", "virginica"]


def test_the_table_has_the_coefficients_of_the_model(pages):
    result, _, page = pages["regression"]
    text = read(page).text
    for feature, raw, own in zip(result.model.features, result.model.coefficients, result.model.weights, strict=True):
        assert f"{feature} {raw:#.4g} {own:#.4g}" in text
    assert f"(intercept) {float(result.model.raw_intercept):#.4g}" in text


def test_without_held_out_rows_the_page_says_so(pages):
    for name in ("no hold-out", "two rows"):
        text = read(pages[name][2]).text
        assert re.search("On [24] training rows its (rmse|log loss) is", text)
        assert "held-out" not in text.replace("Nothing of the encoding was learnt from held-out rows", "")


def test_what_is_far_from_the_minimum_is_called_so(pages):
    for name, far in (("mini-batches", True), ("binary", False)):
        result, _, page = pages[name]
        assert (result.certificate.relative > 0.1) is far
        assert ("Not near the minimum: it lies at most" in read(page).text) is far
        assert ("Certified within" in read(page).text) is not far


def test_small_words(pages):
    text = read(pages["binary"][2]).text
    assert "for one standard deviation of a number" in text
    assert "minibatch, as asked." in read(pages["mini-batches"][2]).text  # the name of a method stays as it is
    unscaled = read(pages["no certificate"][2]).text
    assert "for one unit of a number" in unscaled
    assert "deviation" not in unscaled
    single = read(pages["no hold-out"][2]).text
    assert "from 1 feature." in single
    assert not re.search(r"\b1 (features|steps|readings|rows|coefficients)\b", single)
    assert (
        figures(read(pages["regression"][2]))["effects"]["layout"]["xaxis"]["title"]["text"] == "change of progression"
    )


def test_pictures_of_the_page_have_no_title_to_run_out_of_it(pages):
    for name in ("no certificate", "mini-batches", "no penalty"):
        head = figures(read(pages[name][2]))["descent"]["layout"]["title"]["text"]
        assert "logarithmic" not in head
        assert max(map(len, re.sub("<span[^>]*>|</span>", "", head).split("<br>"))) <= 48


def test_shares_stay_within_0_and_1(pages):
    bins = figures(read(pages["binary"][2]))["calibration"]["data"][0]
    low = np.array(bins["y"]) - bins["error_y"]["arrayminus"]
    high = np.array(bins["y"]) + bins["error_y"]["array"]
    assert low.min() >= 0
    assert high.max() <= 1
    assert (high > low).any()


# --- names that would like to run


@pytest.mark.parametrize("name", ["hostile", "hostile and leaking"])
def test_names_are_text_wherever_they_stand(pages, name):
    page = pages[name][2]
    parsed = read(page)
    assert parsed.tags.count("script") == 2
    assert not {"img", "i", "u"} & set(parsed.tags)
    shown = json.dumps(figures(parsed)["effects"], ensure_ascii=False)
    if name == "hostile":  # Plotly reads tags in labels: none are left
        for text in ("&lt;script&gt;alert(1)&lt;/script&gt;", "&amp; &lt;b&gt;bold&lt;/b&gt;", "{{ 7 * 7 }}"):
            assert text in shown
        assert set(re.findall("<[^>]*>", shown)) <= {"<br>", "<extra>", "</extra>"}  # Plotly's own
    title = re.search(r"<title>(.*?)</title>", page, flags=re.DOTALL)[1]
    assert "<" not in title
    # a planted fault: a page that does not escape is seen
    faulty = Page(page.replace(plotly_script(), "").replace("&lt;", "<"))
    assert not faulty.whole
    assert {"img", "i", "u"} & set(faulty.tags) or faulty.tags.count("script") > 2


def test_classes_are_text_in_pictures_too(pages):
    heat = figures(read(pages["hostile"][2]))["confusion"]["data"][0]
    assert "<i>c</i>" not in heat["x"] + heat["y"]
    assert "&lt;i&gt;c&lt;/i&gt;" in heat["x"]


def test_no_name_can_open_a_comment_in_the_script(pages):
    page = pages["comment"][2].replace(plotly_script(), "")
    script = page[page.index("const figures = ") :]
    assert "<!--" not in script[: script.index("const colour")]
    assert "<script" not in script[: script.index("const colour")]


# --- in a browser


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
def test_a_browser_draws_every_picture(pages):
    names = ["binary", "hostile", "comment"]
    for name, (dom, complaints) in zip(names, opened_each(*(pages[name][1] for name in names)), strict=True):
        page = pages[name][2]
        assert complaints == []
        wanted = len(figures(read(page)))
        assert len(re.findall(r'<svg[^>]*class="main-svg"', dom)) >= wanted  # one or more for each
        for picture in figures(read(page)):
            drawn = dom[dom.index(f'id="{picture}"') :]
            assert drawn.index("main-svg") < 2000, picture
        body = dom[dom.index("<body") :]
        assert "<img" not in body.replace("&lt;img", "")
        assert "Infinity" not in re.sub(r"<script.*?</script>", "", body, flags=re.DOTALL)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
def test_a_browser_complains_of_a_broken_page(pages, tmp_path):
    broken = tmp_path / "broken.html"
    broken.write_text(pages["binary"][2].replace("by.react(id", "by.react(id + 'x'"), encoding="utf-8")
    dom, complaints = opened(broken)
    assert complaints
    assert 'class="main-svg"' not in dom[dom.index("<body") :]
