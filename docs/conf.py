"""How the pages become a site: `make docs`."""

import re

import descender

project = "descender"
author = "The descender developers"
copyright = author
version = release = descender.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.mathjax", "sphinx-mathjax-offline", "sphinx_copybutton"]
root_doc = "index"
exclude_patterns = ["schemas", "notebooks"]
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


def headings(app, what, name, obj, options, lines):
    """Headings within docstrings: below them stands a definition list as it is."""
    lines[:] = re.sub(r"^(\w[\w ]*)\n-{3,}$", r".. rubric:: \1\n", "\n".join(lines), flags=re.MULTILINE).split("\n")


def setup(app):
    """What Sphinx calls."""
    app.connect("autodoc-process-docstring", headings)
