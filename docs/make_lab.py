"""Draw the pictures of the lab's page: its own page, in Debian's headless Chromium.

python docs/make_lab.py
"""

import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlencode

from descender.lab.lessons import LESSONS

PICTURES = Path(__file__).parent / "pictures"
WANTED = {
    "lab": ("A race in a bent valley", {"step": 150}, "light"),
    "lab-data": ("A straight line: slope and intercept", {"step": 9, "tab": "data"}, "dark"),
    "lab-solid": ("Four minima", {"tab": "solid"}, "light"),
}


def address_of(lesson, more):
    """The part of an address that opens a lesson."""
    asked = dict(lesson.asked) | more
    words = {"J": asked.pop("cost", ""), "start": ",".join(map(str, asked.pop("start"))), "m": asked.pop("methods")}
    return urlencode(words | asked, doseq=True)


def main():
    """Draw all of them."""
    from playwright.sync_api import sync_playwright

    command = [sys.executable, "-m", "descender.cli", "lab", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as playwright:
        address = re.search(r"http://127[^ ]+", server.stdout.readline())[0]
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (title, more, scheme) in WANTED.items():
            lesson = next(lesson for lesson in LESSONS if lesson.title == title)
            page = browser.new_page(viewport={"width": 1320, "height": 800}, color_scheme=scheme)
            page.goto(f"{address}#{address_of(lesson, more)}")
            page.wait_for_selector("html[data-ready]")
            page.wait_for_timeout(3000)
            page.screenshot(path=PICTURES / f"{name}.png")
            page.close()
        browser.close()
        server.send_signal(signal.SIGINT)


if __name__ == "__main__":
    main()
