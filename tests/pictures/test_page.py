"""Plotly's script in pages: as it was published, and told apart from what a page carries."""

import hashlib
import re
from importlib.resources import files

import pytest

from descender.pictures.page import plotly_script, render

SCRIPTS = files("descender.pictures") / "scripts"


@pytest.mark.parametrize("part", ["cartesian", "gl3d"])
def test_the_script_is_the_published_one_without_its_wrapper(part):
    content = (SCRIPTS / f"plotly-{part}.min.js").read_bytes()
    assert f"| `{hashlib.sha256(content).hexdigest()}` |" in (SCRIPTS / "README.md").read_text()
    script = plotly_script(part)
    assert script.startswith(f"/**\n* plotly.js ({part} - minified) v")
    assert "MIT license" in script[:300]
    assert '"use strict";var Plotly=(' in script[:300]
    assert "moduleName" not in script
    assert len(content) - len(script) < 500
    assert not re.search("</script|<script|<!--", script)  # what would end the element that it stands in


def test_a_page_carries_what_draws_in_space_only_if_something_stands_there():
    flat = {"film": {"data": [], "layout": {}, "frames": []}}
    solid = flat | {"surface": {"data": [], "layout": {"scene": {}}}}
    pages = [render("film.html", figures, title="t") for figures in (flat, solid)]
    assert [plotly_script("gl3d") in page for page in pages] == [False, True]
