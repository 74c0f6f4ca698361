"""The lab as a person meets it: Debian's Chromium, a real server, mouse and keys.  Pictures go to out/lab/."""

import json
import re
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest

from descender.verbs.minimize import minimize

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium is installed (apt-get install chromium)", allow_module_level=True)

playwright.expect.set_options(timeout=20_000)  # a busy machine is slow, not wrong
OUT = Path(__file__).parents[2] / "out" / "lab"
ROSENBROCK = "(1-x)**2 + 100*(y-x**2)**2"
WIDE, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
RACE = {"J": ROSENBROCK, "start": "-1.2,1", "m": "gd learning_rate=0.001", "steps": 200}
TABLE = '"<script>document.title=1</script>",y\n' + "\n".join(f"{k},{2 * k + 1 + (-1) ** k}" for k in range(12))


class Lab:
    """A browser's page at a lab, and what it complained of and asked for."""

    def __init__(self, page, address):
        self.page, self.address = page, address
        self.errors, self.requests, self.opened = [], [], 0
        page.on("console", lambda message: self.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def open(self, **state):
        """Open a state; where the lab is open already, as a link to it does."""
        self.page.set_viewport_size(WIDE)
        self.opened += 1
        words = urlencode({**state, "opened": self.opened}, doseq=True)  # no two links are the same
        if self.page.url.startswith(self.address):
            self.page.evaluate(
                "(words) => { delete document.documentElement.dataset.ready; location.hash = words; }", words
            )
        else:
            self.page.goto(f"{self.address}#{words}")
        self.page.wait_for_selector("html[data-ready]")

    def picture(self, name):
        OUT.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=OUT / f"{name}.png")

    def until(self, expression):
        """Wait until an expression is true; the policy of the page forbids Playwright's own way."""
        for _ in range(400):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(25)
        raise AssertionError(expression)

    def rows(self):
        return self.page.locator("#race tbody tr:not(.end)")

    def end(self, k=0):
        return json.loads(self.rows().nth(k).get_attribute("data-x"))

    def written(self, start):
        expect = playwright.expect(self.page.locator("#written"))
        expect.to_contain_text(re.compile(f"^{start}"))
        return self.page.locator("#written").inner_text()


@pytest.fixture(scope="module")
def address():
    """A lab of the command line; Ctrl-C ends it without a word."""
    command = [sys.executable, "-m", "descender.cli", "lab", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        said = server.stdout.readline()
        yield re.search(r"http://127\.0\.0\.1:\d+/", said)[0]
        server.send_signal(signal.SIGINT)
        _, complaint = server.communicate(timeout=20)
    assert (server.returncode, complaint) == (0, "")


@pytest.fixture(scope="module")
def lab(address):
    """One browser for all tests of this file."""
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport=WIDE, accept_downloads=True)
        context.set_default_timeout(20_000)
        yield Lab(context.new_page(), address)
        browser.close()


@pytest.fixture(autouse=True)
def nothing_is_complained_of(lab):
    """No error in the console, and no request to anybody else."""
    lab.errors.clear()
    lab.requests.clear()
    yield
    assert not lab.errors
    ours = (lab.address, "data:", "blob:", "about:", "file:")
    assert [url for url in lab.requests if not url.startswith(ours)] == []


def stage(lab):
    box = lab.page.locator("#stage").bounding_box()
    return lambda a, b: (box["x"] + a * box["width"], box["y"] + b * box["height"])


def walked_from(lab):
    """The start of the walk that is shown, as soon as it is the one in the fields."""
    for _ in range(200):
        start = json.loads(lab.rows().first.get_attribute("data-start"))
        typed = [float(lab.page.locator(f"#start-{k}").input_value()) for k in range(len(start))]
        if start == pytest.approx(typed, rel=1e-4):
            break
        lab.page.wait_for_timeout(25)
    return start


def test_dragging_the_start_walks_at_once(lab):
    lab.open(**RACE)
    before, at = lab.end(), stage(lab)
    lab.page.mouse.move(*at(0.3, 0.3))
    lab.page.mouse.down()
    for part in (0.4, 0.5, 0.6):
        lab.page.mouse.move(*at(part, 0.3 + part / 4))
    lab.page.mouse.up()
    start = walked_from(lab)
    assert start != [-1.2, 1]
    assert lab.end() != before
    walk = minimize(ROSENBROCK, start, "gd", learning_rate=0.001, max_steps=200)
    assert lab.end() == walk.x.tolist()
    assert lab.page.evaluate("performance.getEntriesByName('drag').length") >= 1
    lab.picture("dragged")


def test_the_start_obeys_keys(lab):
    lab.open(**RACE)
    lab.page.locator("#handle").focus()
    lab.page.keyboard.press("ArrowRight")
    lab.page.keyboard.press("Shift+ArrowUp")
    lab.until("document.getElementById('start-0').value !== '-1.2'")
    x, y = walked_from(lab)
    assert x > -1.2
    assert y > 1
    assert f"y = {y:.4g}"[:6] in lab.page.locator("#handle").get_attribute("aria-label")


def test_a_typed_cost_is_walked_on(lab):
    lab.open(**RACE)
    lab.page.locator("#cost").fill("a**2 + (b -")
    playwright.expect(lab.page.locator("#cost-error")).to_contain_text("never closed")
    assert lab.page.locator("#cost").get_attribute("aria-invalid") == "true"
    lab.page.locator("#cost").fill("a**2 + 3*(b - 1)**2")
    playwright.expect(lab.page.locator("#formula")).to_contain_text("dJ/db = 6 (b - 1)")
    playwright.expect(lab.page.locator("#cost-error")).to_be_hidden()
    lab.page.locator("#method-0").select_option("auto")
    playwright.expect(lab.rows().first).to_contain_text("auto")
    assert lab.end() == pytest.approx([0, 1], abs=1e-6)


def test_one_curve_after_another_is_walked_on(lab):
    lab.open(J="(x - 2)**2", start="0", m="gd learning_rate=0.1", steps=60)
    lab.written("step")
    for cost, end in (("(x + 1)**2/2", -1.0), ("log(", None), ("cosh(x - 1)", 1.0)):
        lab.page.locator("#cost").fill(cost)
        if end is not None:
            lab.until(f"Math.abs(JSON.parse(document.querySelector('#race tbody tr').dataset.x)[0] - {end}) < 0.1")


def test_a_new_cost_is_walked_on_before_it_is_compiled(lab):
    lab.open(**RACE | {"steps": 900})
    lab.page.evaluate(
        "() => { window.shown = []; new MutationObserver(() => window.shown.push(document.getElementById('at')."
        "textContent)).observe(document.getElementById('at'), { childList: true }); }"
    )
    lab.page.locator("#cost").fill("x**2/3 + 2*y**2 + sin(x)/7")
    lab.until("shown.some((text) => text.endsWith('/ 900'))")
    assert lab.page.evaluate("shown.findIndex((text) => text.endsWith('/ 256'))") == 0
    walk = minimize("x**2/3 + 2*y**2 + sin(x)/7", [-1.2, 1], "gd", learning_rate=0.001, max_steps=900)
    assert lab.end() == walk.x.tolist()


def test_methods_race_and_the_doctor_speaks(lab):
    lab.open(**RACE)
    lab.page.locator("#add").click()
    playwright.expect(lab.rows()).to_have_count(2)
    lab.page.locator("#method-1").select_option("adam")
    lab.page.locator("#learning_rate-1").fill("0.05")
    lab.page.locator("#learning_rate-0").fill("0.01")
    lab.page.locator("#steps").focus()
    playwright.expect(lab.page.locator(".finding")).to_contain_text("D101")
    playwright.expect(lab.rows().nth(1)).to_contain_text("rate 0.05")
    walk = minimize(ROSENBROCK, [-1.2, 1], "adam", learning_rate=0.05, max_steps=200)
    assert lab.end(1) == walk.x.tolist()
    for tab in ("solid", "curve", "ground"):
        lab.page.locator(f"#tab-{tab}").click()
        lab.page.wait_for_timeout(200)
        lab.picture(f"race-{tab}")


def test_a_step_is_scrubbed_to_and_written_out(lab):
    lab.open(**RACE)
    lab.page.locator("#scrub").focus()
    lab.page.keyboard.press("Home")
    lab.page.locator("#next").click()
    lab.page.locator("#next").click()
    walk = minimize(ROSENBROCK, [-1.2, 1], "gd", learning_rate=0.001, max_steps=200)
    text = lab.written("step 2,")
    new = [float(part) for part in re.findall(r"new [xy] = .*\n.*\n +\S? ?= (\S+)", text)]
    assert new == pytest.approx(walk.record.path[2], rel=1e-5)
    lab.page.locator("#play").click()
    lab.until("parseInt(document.getElementById('at').textContent) > 4")
    lab.page.locator("#play").click()
    assert lab.page.locator("#play").get_attribute("aria-label") == "Play"


def test_the_address_holds_the_state(lab):
    lab.open(**RACE | {"m": ["gd learning_rate=0.001", "momentum learning_rate=0.0005 beta=0.8"], "step": 7})
    lab.written("step 7,")
    lab.page.locator("#tab-curve").click()
    lab.until("location.hash.includes('tab=curve')")
    ends = [lab.end(0), lab.end(1)]
    lab.page.reload()
    lab.page.wait_for_selector("html[data-ready]")
    lab.written("step 7,")
    assert [lab.end(0), lab.end(1)] == ends
    assert lab.page.locator("#tab-curve").get_attribute("aria-selected") == "true"


def test_a_dropped_table_is_learnt_from(lab):
    lab.open(**RACE)
    file = {"name": "wild.csv", "mimeType": "text/csv", "buffer": TABLE.encode()}
    lab.page.locator("#file").set_input_files(file)
    playwright.expect(lab.page.locator("#target")).to_have_value("y")
    lab.page.locator("#tab-data").click()
    playwright.expect(lab.page.locator("#plot")).to_contain_text("<script>document.title=1</script>")
    assert lab.page.title() == "descender lab"
    lab.page.locator("#scale").uncheck()
    lab.page.locator("#method-0").select_option("auto")
    playwright.expect(lab.rows().first).to_contain_text("auto")
    lab.until("JSON.parse(document.querySelector('#race tbody tr').dataset.x)[0] > 1.5")
    k = np.arange(12)
    assert lab.end() == pytest.approx(np.polyfit(k, 2 * k + 1 + (-1.0) ** k, 1), rel=1e-5)
    lab.picture("data")


def test_the_script_ends_where_the_page_does(lab, tmp_path, capsys):
    lab.open(**RACE)
    lab.page.locator("#share > summary").click()
    with lab.page.expect_download() as started:
        lab.page.locator("[data-share=script]").click()
    started.value.save_as(tmp_path / "walk.py")
    names = runpy.run_path(str(tmp_path / "walk.py"))
    capsys.readouterr()
    assert names["w"] == pytest.approx(lab.end(), rel=1e-12)


@pytest.mark.parametrize(("kind", "magic"), [("png", b"\x89PNG"), ("svg", b"<svg")])
def test_a_picture_is_saved(lab, tmp_path, kind, magic):
    lab.open(**RACE)
    lab.page.locator("#share > summary").click()
    with lab.page.expect_download() as started:
        lab.page.locator(f"[data-share={kind}]").click()
    started.value.save_as(tmp_path / "picture")
    assert (tmp_path / "picture").read_bytes().startswith(magic)


def test_a_saved_page_replays_without_a_server(lab, tmp_path):
    lab.open(**RACE | {"steps": 40})
    end = lab.end()
    lab.page.locator("#share > summary").click()
    with lab.page.expect_download() as started:
        lab.page.locator("[data-share=page]").click()
    started.value.save_as(tmp_path / "walk.html")
    lab.requests.clear()
    lab.page.goto(f"file://{tmp_path}/walk.html")
    lab.page.wait_for_selector("html[data-ready]")
    assert lab.end() == end
    lab.page.locator("#first").click()
    lab.page.locator("#next").click()
    lab.written("step 1,")
    assert lab.page.locator("#cost").is_hidden()
    assert [url for url in lab.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    lab.picture("replay")


@pytest.mark.parametrize(
    ("name", "size", "scheme"), [("light", WIDE, "light"), ("dark", WIDE, "dark"), ("phone", PHONE, "light")]
)
def test_everyone_can_read_it(lab, name, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-playwright-python is not installed")
    lab.page.emulate_media(color_scheme=scheme)
    two = ["gd learning_rate=0.01", "adam learning_rate=0.05"]
    lab.open(**RACE | {"m": two})
    lab.page.set_viewport_size(size)
    lab.page.wait_for_timeout(200)
    lab.picture(name)
    found = axe.Axe().run(lab.page).response["violations"]
    serious = [
        (one["id"], [node["target"] for node in one["nodes"]])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []
    assert lab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    lab.page.emulate_media(color_scheme="light")
