"""How the pages become a site: `make docs`."""

import importlib.util
import re
from pathlib import Path

import descender

project = "descender"
author = "The descender developers"
copyright = author
version = release = descender.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx_copybutton"]
root_doc = "index"
exclude_patterns = ["schemas"]
html_theme = "furo"
html_title = "descender"
html_show_sphinx = False
templates_path: list[str] = []

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 4
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

# MathJax from a package that carries it: the pages make no request to anywhere
MATHJAX = Path(importlib.util.find_spec("jupyter_server_mathjax").submodule_search_locations[0]) / "static"
html_static_path = [str(MATHJAX)]
mathjax_path = "MathJax.js?config=TeX-AMS-MML_HTMLorMML-full,Safe"
mathjax2_config = {
    "tex2jax": {"inlineMath": [["\\(", "\\)"]], "displayMath": [["\\[", "\\]"]], "processClass": "math"},
    "HTML-CSS": {"availableFonts": [], "webFont": "STIX-Web", "imageFont": None},
    "showMathMenu": False,
    "messageStyle": "none",
}


def headings(app, what, name, obj, options, lines):
    """Headings within docstrings: below them stands a definition list as it is."""
    lines[:] = re.sub(r"^(\w[\w ]*)\n-{3,}$", r".. rubric:: \1\n", "\n".join(lines), flags=re.MULTILINE).split("\n")


def setup(app):
    app.connect("autodoc-process-docstring", headings)
