"""The lessons as notebooks: in step with the pages, and their cells run."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
spec = importlib.util.spec_from_file_location("make_notebooks", DOCS / "make_notebooks.py")
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.ipynb"))


def code_of(path):
    """The cells of code of a notebook."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_every_lesson_is_a_notebook_in_step_with_its_page():
    assert [path.stem for path in NOTEBOOKS] == [page.stem for page in make.PAGES]
    for path, page in zip(NOTEBOOKS, make.PAGES, strict=True):
        assert path.read_text("utf-8") == make.notebook(page), "run: python docs/make_notebooks.py"


def test_links_and_pictures_of_the_notebooks_are_there():
    for path in NOTEBOOKS:
        links = re.findall(r"\]\((\.\./[\w./-]+|[\w-]+\.md)", path.read_text("utf-8"))
        assert all((path.parent / link).exists() for link in links), path
        for script in re.findall(r"%run (\S+\.py)", path.read_text("utf-8")):
            assert (path.parent / script.split("\\n")[0]).exists()


def test_a_page_becomes_text_cells_and_commands(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# Title\n\nSee [that](4-family.md).\n\n```python\n>>> walk = 1 + 1\n>>> walk\n2\n```\n\n"
        "```console\n$ python examples/x.py\nseen\n$ descender fit\n$ python examples/x.py\nmore\n```\n\nEnd.\n"
    )
    cells = json.loads(make.notebook(page))["cells"]
    assert ["".join(cell["source"]) for cell in cells] == [
        make.SETUP, "# Title\n\nSee [that](../tutorials/4-family.md).", "walk = 1 + 1\nwalk", "walk.plot().figure",
        "%run ../../examples/x.py", "!descender fit", "```\nmore\n```", "End.",
    ]  # fmt: skip
    assert cells[2]["outputs"][0]["text"] == "2\n"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_cells_run_one_after_another(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    space = {}
    ran = [source for source in code_of(path) if source[0] not in "%!"]
    for source in ran:
        exec(compile(source, path.stem, "exec"), space)
    assert ran
