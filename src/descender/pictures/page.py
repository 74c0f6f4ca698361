"""Pages: one HTML file each, with Plotly's script within, that works offline; everything from data is escaped."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from descender.errors import MissingDependencyError
from descender.record import write_beside


def write(path: Path, template: str, **values: Any) -> Path:
    """Write a page from a template of this package to `path`, beside first and then renamed."""
    text = render(template, **values)
    write_beside(path, lambda file: file.write(text.encode()))
    return path


def render(template: str, **values: Any) -> str:
    """A page from a template of this package; text is escaped, mappings stand in its script as JSON."""
    import jinja2

    from descender import __version__

    loader = jinja2.PackageLoader("descender")
    environment = jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["script"] = script
    return environment.get_template(template).render(version=__version__, plotly=plotly_script(), **values)


def plotly_script() -> str:
    """The script that draws, out of the plotly package, which is not imported for it."""
    found = importlib.util.find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        raise MissingDependencyError("a page needs plotly: pip install plotly")
    return (Path(found.submodule_search_locations[0]) / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


def script(values: Mapping[str, Any] | list[Any]) -> str:
    """JSON within a script: "</script>" would end the element, and "<!--<script>" hide its end."""
    return json.dumps(values, allow_nan=False).replace("<", "\\u003c")
