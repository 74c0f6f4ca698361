"""Every question of the page, and the function that answers it."""

from __future__ import annotations

import json
import sys
import traceback
from importlib import import_module
from typing import Any

from descender.errors import DescenderError
from descender.lab.asked import Asked, read_asked
from descender.lab.workers import Answer

QUESTIONS = {
    "ground": "ground.ground",
    "race": "walks.race",
    "step": "walks.step",
    "table": "tables.describe_table",
    "script": "exports.script",
    "page": "exports.page",
}
"""Those of ``/ask/NAME``, and the function of this package that answers each: imported where it is asked for first."""


def answer(name: str, asked: Asked, folder: str) -> Any:
    """The answer to a question; `folder` is where dropped files lie."""
    module, _, function = QUESTIONS[name].partition(".")
    return getattr(import_module(f"descender.lab.{module}"), function)(asked, folder)


class Respond:
    """Answers questions by their names; `folder` is where dropped files lie."""

    def __init__(self, folder: str):
        self.folder = folder

    def __call__(self, name: str, given: Any) -> Answer:
        """The answer; what is wrong with the question is said in ``refused``."""
        try:
            if name == "warm":
                return _warm(self.folder)
            found = answer(name, read_asked(given), self.folder)
            return found if isinstance(found, Answer) else Answer(200, to_json(found))
        except DescenderError as error:
            return refusal(str(error))
        except (MemoryError, RecursionError, OverflowError) as error:
            return refusal(f"this is too large for the lab ({type(error).__name__})")
        except Exception:  # whatever it is, the next question is answered
            traceback.print_exc(file=sys.stderr)
            return Answer(500, to_json({"error": "the lab failed on this; the terminal it runs in tells why"}))


def refusal(why: str) -> Answer:
    """What is wrong with a question: an answer like others, because to mistype a formula is no failure of the page."""
    return Answer(200, to_json({"refused": why}))


def to_json(found: Any) -> bytes:
    """Compact JSON; a number that is not finite stands as null."""
    try:
        return json.dumps(found, separators=(",", ":"), allow_nan=False).encode()
    except ValueError:
        return json.dumps(_finite(found), separators=(",", ":")).encode()


def _finite(found: Any) -> Any:
    if isinstance(found, float):
        return found if abs(found) < float("inf") else None
    if isinstance(found, dict):
        return {key: _finite(value) for key, value in found.items()}
    return [_finite(value) for value in found] if isinstance(found, list | tuple) else found


def _warm(folder: str) -> Answer:
    """Import what the first question needs, and have the compiler ready."""
    asked = read_asked({"cost": "(1-x)**2 + 100*(y-x**2)**2", "methods": ["gd learning_rate=0.001"], "steps": 300})
    for name in ("ground", "race"):
        answer(name, asked, folder)
    return Answer(200, b"{}")
