"""The tutorials, each run once, as a learner runs it."""

import importlib
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tutorials")


@pytest.fixture(scope="session")
def run(folder):
    """Run a tutorial once, however many tests look at what it returned."""
    done = {}
    sys.path.insert(0, str(EXAMPLES))

    def once(name, what="figures"):
        if name not in done:
            printed = StringIO()
            with redirect_stdout(printed):
                figures = importlib.import_module(f"tutorial_{name}").main(folder)
            done[name] = {"figures": figures, "printed": printed.getvalue()}
        return done[name][what]

    yield once
    sys.path.remove(str(EXAMPLES))
