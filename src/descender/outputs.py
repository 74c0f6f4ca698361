"""The files that a verb writes: their names, and whether one that is there already may be replaced."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from descender.errors import DescenderError, OutputError

LONGEST_NAME = 48
OURS = ("descender", "b'descender")
"""How what we write into a picture begins."""


def slug(text: str) -> str:
    """A name for the files of a formula.

    >>> slug("(1-x)**2 + 100*(y-x**2)**2")
    '1_x_2_100_y_x_2_2'
    """
    name = re.sub(r"\W+", "_", text).strip("_")
    if len(name) > LONGEST_NAME:
        name = name[:LONGEST_NAME].rsplit("_", 1)[0]
    return name or "cost"


def file_name(text: str) -> str:
    """A name for the files of a target: letters, digits, dots and dashes of it, so that it never is a path.

    >>> file_name("../km/h"), file_name("late"), file_name("")
    ('km_h', 'late', 'model')
    """
    return re.sub(r"[^\w.-]+", "_", text).strip("._") or "model"


def script_files(path: str | os.PathLike) -> list[Path]:
    """A script, and the file beside it into which data go that are too long for it.

    >>> [file.name for file in script_files("walk.py")]
    ['walk.py', 'walk.npz']
    """
    path = Path(path)
    if path.suffix != ".py":
        raise OutputError(
            f"{path}: a script is saved as .py, by the end of its name; its data go into a .npz beside it"
        )
    return [path, path.with_suffix(".npz")]


def check_outputs(paths: Iterable[Path | None], force: bool = False) -> None:
    """Refuse, before anything is computed, to replace a file that is not ours."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise OutputError(f"{path} is a folder; a file of this name would be written")
        above = next((p for p in path.parents if p.exists()), None)
        if above is not None and not above.is_dir():
            raise OutputError(f"{path} cannot be written: {above} is a file and no folder")
        if above is not None and not os.access(above, os.W_OK):
            raise OutputError(f"{path} cannot be written: nothing may be written into {above}")
        if path.exists() and not force and not is_ours(path):
            raise OutputError(
                f"{path} exists and was not written by descender: it is not replaced; give another "
                "name or folder, or force it"
            )


def is_ours(path: Path) -> bool:
    """Whether descender wrote a file: a record, a picture with our name in it, a script with our mark."""
    try:
        match path.suffix:
            case ".parquet" | ".jsonl":
                from descender.record import Record

                return bool(Record.load(path).facts is not None)
            case ".png" | ".gif":
                from PIL import Image

                with Image.open(path) as image:
                    return str(image.info.get("Software", image.info.get("comment", ""))).startswith(OURS)
            case ".descender":
                from descender.model import Model

                return bool(Model.load(path).features is not None)
            case ".html":
                return b'<meta name="generator" content="descender' in path.read_bytes()[:2000]
            case ".svg" | ".pdf":
                return b"descender" in path.read_bytes()
            case ".py":
                from descender.export import MARK

                return MARK in path.read_text(encoding="utf-8")[:200]
            case ".npz":
                import numpy as np

                with path.open("rb") as file, np.load(file) as archive:
                    return "descender" in archive.files
    except (OSError, ValueError, DescenderError):
        pass
    return False
