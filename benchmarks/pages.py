"""How large are the pages of a long walk and of a large fit, and how soon does a browser show them?

A fit of 1,000,000 rows and records of 100,000 steps are made and written as their pages; each is then opened in
Debian's headless Chromium, from a file.  Told are the times from the start of the navigation until its text is painted,
until its first figure is, and until all that the window shows are; then how long all others take that are drawn as one
scrolls down to them, those in space (which this browser draws without a graphics card) apart.

python benchmarks/pages.py [ROUNDS] [ROWS]
"""

import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from descender import fit, minimize
from descender.report import write_report
from descender.report_walk import write_walk_report
from lab import CHROMIUM

WATCH = """
addEventListener("DOMContentLoaded", () => {
  const note = () => {
    const pictures = [...document.querySelectorAll(".picture")];
    const seen = pictures.filter((one) => one.getBoundingClientRect().top < innerHeight);
    const [drawn, all] = [seen.filter((one) => one.querySelector(".main-svg")).length, seen.length];
    const mark = (name) => requestAnimationFrame(() => setTimeout(() => { window[name] ??= performance.now(); }));
    if (drawn) mark("first");
    if (drawn === all) mark("all");
    else setTimeout(note, 5);
  };
  note();
});
"""

SCROLL = """
async () => {
  const pictures = [...document.querySelectorAll(".picture")];
  const space = (one) => "scene" in figures[one.id].layout;
  const began = performance.now();
  let within = 0;
  for (const one of pictures) {
    const from = performance.now();
    one.scrollIntoView({ block: "center" });
    while (!one.querySelector(".main-svg")) await new Promise((done) => setTimeout(done, 5));
    if (space(one)) within += performance.now() - from;
  }
  return [performance.now() - began - within, within];
}
"""


def main(rounds=5, rows=1_000_000):
    """Measure and print."""
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        print("no Chromium is installed (apt-get install chromium): nothing was measured")
        return
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        pages = {f"fit of {rows:,} rows": large_fit(Path(folder) / "fit.html", rows)}
        pages |= {"walk of 100,000 steps": long_walk(Path(folder) / "walk.html")}
        pages |= {
            "walk of 100,000 steps in a valley": long_walk(Path(folder) / "valley.html", "(1-x)**2 + 100*(y-x**2)**2")
        }
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, path in pages.items():
            times = np.array([opened(browser, path) for _ in range(rounds)])
            text, first, every, busy, others, space = np.median(times, axis=0)
            size = path.stat().st_size / 1e6
            print(
                f"{name}: {size:.2f} MB; text {text:.2f} s, first figure {first:.2f} s, all seen {every:.2f} s (of the "
                f"processor {busy:.2f} s); the others, scrolled to: {others:.2f} s, and in space {space:.2f} s"
            )
        browser.close()
    print(f"medians of {rounds}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


def large_fit(path, rows):
    """The report of a classifier of many rows."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 8))
    data = {f"number {j}": X[:, j] for j in range(8)}
    data["place"] = rng.choice(["north", "south", "east", "west"], rows)
    data["late"] = np.where(X @ rng.normal(size=8) + rng.logistic(size=rows) > 0, "yes", "no")
    return write_report(fit(data, "late"), path)


def long_walk(path, cost="log(cosh(x)) + y**2/50"):
    """The page of a walk, from its record as it was saved."""
    walk = minimize(cost, "x=-1.2 y=1", "gd", learning_rate=1e-5, max_steps=100_000)
    record = type(walk.record).load(walk.record.save(path.with_suffix(".parquet")))
    return write_walk_report(record, path)


def opened(browser, path):
    """Seconds until the first paint, the first figure, all that are seen; of the processor; of scrolling down."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.add_init_script(WATCH)
    page.goto(path.as_uri(), wait_until="commit")
    page.wait_for_function("window.all", timeout=60_000)
    measured = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    text = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN")
    times = text, *page.evaluate("[window.first, window.all]"), 1e3 * measured["ThreadTime"], *page.evaluate(SCROLL)
    page.close()
    return [milliseconds / 1e3 for milliseconds in times]


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
