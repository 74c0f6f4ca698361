"""Pages: one HTML file each, with Plotly's script within, that works offline; everything from data is escaped."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from descender.record import write_beside


def write(path: Path, template: str, **values: Any) -> Path:
    """Write a page from a template of this package to `path`, beside first and then renamed."""
    text = render(template, **values)
    write_beside(path, lambda file: file.write(text.encode()))
    return path


def render(template: str, figures: Mapping[str, Any], **values: Any) -> str:
    """A page of figures from a template of this package; text is escaped, mappings stand in its script as JSON."""
    import jinja2

    from descender import __version__

    loader = jinja2.PackageLoader("descender")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["script"] = script
    in_space = any("scene" in figure["layout"] for figure in figures.values())
    scripts = {"plotly": plotly_script(), "plotly_in_space": plotly_script("gl3d") if in_space else ""}
    return environment.get_template(template).render(version=__version__, figures=figures, **scripts, **values)


def plotly_script(part: str = "cartesian") -> str:
    """The part of Plotly's script that draws what is flat, or in space (``"gl3d"``): it makes a global ``Plotly``.

    Without the function around it that suits other systems of modules: a browser would read all within it once more,
    which is a third of what the script takes to start.
    """
    text = (files("descender.pictures") / "scripts" / f"plotly-{part}.min.js").read_text(encoding="utf-8")
    licence, rest = text.split("*/\n", 1)
    body = rest[rest.index('"use strict";') : rest.rindex("window.Plotly = Plotly;")]
    return f"{licence}*/\n{body}"


def script(values: Mapping[str, Any] | list[Any]) -> str:
    """JSON within a script: "</script>" would end the element, and "<!--<script>" hide its end."""
    return json.dumps(values, allow_nan=False).replace("<", "\\u003c")
