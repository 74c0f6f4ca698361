"""A lab session as a script of NumPy that walks it again, or as one page that replays it without a server."""

from __future__ import annotations

import base64
import html
import io
import json
import re
import tempfile
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from descender.costs.formula import Formula
from descender.errors import DescenderError, OptionError
from descender.export import write_python
from descender.export_fit import write_fit
from descender.lab.asked import Asked
from descender.lab.catalogue import catalogue
from descender.lab.costs import open_cost
from descender.lab.ground import ground
from descender.lab.walks import describe_step, described_points, race, walk_of
from descender.lab.workers import Answer
from descender.pictures.page import plotly_script
from descender.verbs.racing import read_entry

WRITTEN_OUT = 150
"""Steps of each walk that a replaying page writes out; all others are drawn as well."""


def script(asked: Asked, folder: str) -> Answer:
    """The walk of one racer as Python; with its data in a .zip where they are too long for the script."""
    if not asked.racer < len(asked.methods):
        raise OptionError(f"racer={asked.racer}: there are {len(asked.methods)}, counted from 0")
    spec = asked.methods[asked.racer]
    opened, walk = open_cost(asked, folder), walk_of(asked, spec, folder)
    options = read_entry(spec).options
    with tempfile.TemporaryDirectory() as out:
        path = Path(out) / "walk.py"
        if isinstance(opened.cost, Formula):
            written = write_python(opened.cost, walk, path, data=opened.data, **options)
        else:
            written, _ = write_fit(opened.cost, walk, options, path)  # type: ignore[arg-type]
        if len(written) == 1:
            return Answer(200, path.read_bytes(), "text/x-python", "walk.py")
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in written:
                archive.write(file, file.name)
        return Answer(200, packed.getvalue(), "application/zip", "walk.zip")


def page(asked: Asked, folder: str) -> Answer:
    """The page of the lab with all it shows of this session in it: one file, which opens anywhere."""
    return Answer(200, frozen_page(recorded(asked, folder)).encode(), "text/html", "descender-walk.html")


def recorded(asked: Asked, folder: str) -> dict[str, Any]:
    """The answers that a page needs to show a session again."""
    opened = open_cost(asked, folder)
    steps: list[dict[int, Any]] = []
    for spec in asked.methods:
        try:
            walk = walk_of(asked, spec, folder)
        except DescenderError:
            steps.append({})
            continue
        numbers = walk.record["step"][described_points(walk)[0]].astype(int)
        some = numbers[np.unique(np.linspace(0, len(numbers) - 1, WRITTEN_OUT).astype(int))]
        steps.append({int(number): describe_step(opened, walk, int(number)) for number in some})
    question = {
        "cost": asked.cost, "data": asked.data, "target": asked.target, "model": asked.model,
        "features": asked.features, "scale": asked.scale, "methods": asked.methods, "steps": asked.steps,
        "seed": asked.seed, "shown": asked.shown, "limits": asked.limits, "step": asked.step, "racer": asked.racer,
    }  # fmt: skip
    return {
        "asked": question, "catalogue": catalogue(), "ground": ground(asked, folder), "race": race(asked, folder),
        "steps": steps,
    }  # fmt: skip


def static(name: str) -> bytes:
    """A file of the page."""
    return (files("descender.lab") / "static" / name).read_bytes()


def modules(index: str) -> dict[str, str]:
    """The page's modules: the name by which they import each other, and their address."""
    return json.loads(re.findall(r'<script type="importmap">(.*?)</script>', index, re.DOTALL)[0])["imports"]


def frozen_page(answers: dict[str, Any]) -> str:
    """The page with its style, its modules, Plotly's script and these answers within."""
    from descender.lab.answers import to_json

    index = static("index.html").decode()
    inside = {
        name: "data:text/javascript;base64," + base64.b64encode(static(Path(address).name)).decode()
        for name, address in modules(index).items()
    }
    held = to_json(answers).decode().replace("<", "\\u003c")
    parts = {
        r"<title>.*?</title>": f"<title>{html.escape(_name(answers['asked']))} - descender</title>",
        r'<script type="importmap">.*?</script>':
            f'<script type="importmap">{json.dumps({"imports": inside})}</script>\n'
            f'<script type="application/json" id="frozen">{held}</script>',
        r'<link rel="stylesheet"[^>]*>': f"<style>{static('lab.css').decode()}</style>",
        r'<script src="/plotly\.js"[^>]*></script>': 
            f"<script>{plotly_script()}</script>\n"
            f'<script type="text/plain" id="in-space">{plotly_script("gl3d")}</script>',
        r'<script type="module" src="[^"]*"></script>': '<script type="module">import "lab/app";</script>',
    }  # fmt: skip
    for pattern, text in parts.items():
        before, after = re.split(pattern, index, flags=re.DOTALL)
        index = before + text + after
    return index


def _name(asked: dict[str, Any]) -> str:
    return asked["cost"] or f"{asked['model']} of {asked['target']}"
