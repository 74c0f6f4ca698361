"""A page in Debian's Chromium, for tests: what it becomes when it is scrolled through, and what is complained of."""

import shutil

try:
    from playwright.sync_api import sync_playwright
except ImportError:
    CHROMIUM = None
else:
    CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SCROLL = """
async () => {
  for (const picture of document.querySelectorAll(".picture")) {
    picture.scrollIntoView({ block: "center" });
    for (let k = 0; k < 800 && !picture.querySelector(".main-svg") && !window.failed; k += 1)
      await new Promise((done) => setTimeout(done, 10));
  }
}
"""


def opened(path):
    """The page as the browser made it, and what its console said and it asked of others."""
    return opened_each(path)[0]


def opened_each(*paths):
    """The same of several pages, one after another in one browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        found = [_scrolled(browser, path) for path in paths]
        browser.close()
    return found


def _scrolled(browser, path):
    complaints = []
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.add_init_script("addEventListener('error', () => { window.failed = true; })")
    page.on("pageerror", lambda error: complaints.append(f"ERROR: {error}"))
    page.on("console", lambda said: complaints.append(f"{said.type.upper()}: {said.text}"))
    page.on("request", lambda one: one.url.startswith("http") and complaints.append(f"ERROR: asked {one.url}"))
    page.goto(path.as_uri())
    page.evaluate(SCROLL)
    return page.content(), complaints
