"""Every question of the page, and the function that answers it."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from typing import Any

from descender.errors import DescenderError
from descender.lab.asked import Asked, read_asked
from descender.lab.workers import Answer


def _ground(asked: Asked, folder: str) -> Any:
    from descender.lab.ground import ground

    return ground(asked, folder)


def _race(asked: Asked, folder: str) -> Any:
    from descender.lab.walks import race

    return race(asked, folder)


def _step(asked: Asked, folder: str) -> Any:
    from descender.lab.walks import step

    return step(asked, folder)


def _table(asked: Asked, folder: str) -> Any:
    from descender.lab.tables import describe_table

    return describe_table(asked, folder)


def _script(asked: Asked, folder: str) -> Answer:
    from descender.lab.exports import script

    return script(asked, folder)


def _page(asked: Asked, folder: str) -> Answer:
    from descender.lab.exports import page

    return page(asked, folder)


QUESTIONS: dict[str, Callable[[Asked, str], Any]] = {
    "ground": _ground,
    "race": _race,
    "step": _step,
    "table": _table,
    "script": _script,
    "page": _page,
}
"""Those of ``/ask/NAME``: each takes what was asked and the folder of dropped files."""


class Respond:
    """Answers questions by their names; `folder` is where dropped files lie."""

    def __init__(self, folder: str):
        self.folder = folder

    def __call__(self, name: str, given: Any) -> Answer:
        """The answer; what is wrong with the question is said in ``refused``."""
        try:
            if name == "warm":
                return _warm(self.folder)
            found = QUESTIONS[name](read_asked(given), self.folder)
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
    _ground(asked, folder)
    _race(asked, folder)
    return Answer(200, b"{}")
