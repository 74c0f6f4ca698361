"""How long does the lab take from the mouse to the screen, and until a surface appears?

A real server, and Debian's headless Chromium driven by Playwright.  The start of a walk of 1,000 steps of plain descent
on Rosenbrock's cost is dragged to 60 places; the page itself notes the time from each mouse event to the frame that
shows the new path (performance.measure "drag").  Then costs that the lab has not seen are typed, and the page notes the
time from the question to the drawn surface ("surface").  The path that is shown must be the one that the library walks.

python benchmarks/lab.py [ROUNDS]
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

import numpy as np

from descender import minimize

ROSENBROCK = "(1-x)**2 + 100*(y-x**2)**2"
COSTS = (
    "(x**2 + y - 11)**2 + (x + y**2 - 7)**2", "x**2 + 3*y**2 + sin(3*x)", "log(1 + x**2) + y**2/3 + x*y/9",
    "(1.5 - x + x*y)**2 + (2.25 - x + x*y**2)**2", "0.26*(x**2 + y**2) - 0.48*x*y", "exp(x/4) + exp(-x/3) + y**2",
)  # fmt: skip
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def main(rounds=60):
    """Measure and print."""
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        print("no Chromium is installed (apt-get install chromium): nothing was measured")
        return
    command = [sys.executable, "-m", "descender.cli", "lab", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as playwright:
        try:
            address = re.search(r"http\S+", server.stdout.readline())[0]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            words = {"J": ROSENBROCK, "start": "-1.2,1", "m": "gd learning_rate=0.001", "steps": 1000}
            page.goto(f"{address}#{urlencode(words)}")
            page.wait_for_selector("html[data-ready]")
            page.wait_for_timeout(1500)  # the first walk of 1,000 steps waits for the compiler
            began = cpu(server.pid)
            drags = drag(page, rounds)
            used = (cpu(server.pid) - began) / max(len(drags), 1)
            check(page)
            surfaces = surface(page)
            browser.close()
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(10)
    told("drag, 1,000 steps", drags, f"; {used * 1e3:.0f} ms of processor time of the server each")
    told("surface of a new cost", surfaces, "")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")


def drag(page, rounds):
    """Drag the start about; milliseconds from each mouse event to the frame that shows its path."""
    box = page.locator("#stage").bounding_box()
    across, up = np.random.default_rng(0).uniform(0.15, 0.85, (2, rounds))
    at = [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in zip(across, up, strict=True)]
    page.mouse.move(*at[0])
    page.mouse.down()
    page.wait_for_timeout(300)
    page.evaluate("performance.clearMeasures()")
    for place in at:
        page.mouse.move(*place)
        page.wait_for_timeout(60)
    page.wait_for_timeout(300)
    page.mouse.up()
    page.wait_for_timeout(300)
    return page.evaluate("performance.getEntriesByName('drag').map((entry) => entry.duration)")


def check(page):
    """The path that is shown is the library's."""
    row = page.locator("#race tbody tr").first
    start, shown = (json.loads(row.get_attribute(f"data-{name}")) for name in ("start", "x"))
    assert shown == minimize(ROSENBROCK, start, "gd", learning_rate=0.001, max_steps=1000).x.tolist()


def surface(page):
    """Type costs; milliseconds until each is drawn."""
    page.evaluate("performance.clearMeasures()")
    for cost in COSTS:
        page.locator("#cost").fill(cost)
        page.wait_for_timeout(2500)
    return page.evaluate("performance.getEntriesByName('surface').map((entry) => entry.duration)")


def cpu(pid):
    """Seconds of processor time of a process and of those that it began."""
    total = 0.0
    for process in [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def told(name, times, more):
    """A line about some times in milliseconds."""
    quick, half, most, last = np.quantile(times, [0, 0.5, 0.95, 1])
    print(f"{name}: median {half:.0f} ms of {len(times)}, {quick:.0f} to {last:.0f}, 95 % within {most:.0f}{more}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
