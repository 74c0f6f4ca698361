"""The lessons as notebooks: every page of docs/tutorials becomes docs/notebooks/NAME.ipynb, to be run and changed.

python docs/make_notebooks.py

Text stays text, examples become cells with the answers that the page shows, commands become cells that run them, and
after an example that walks the walk is drawn.
"""

import doctest
import json
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGES = sorted((HERE / "tutorials").glob("*.md"))
FENCE = re.compile(r"^```(\w*)\n(.*?)^```\n?", re.DOTALL | re.MULTILINE)
SETUP = "%matplotlib inline"


def markdown(text):
    """A cell of text, whose links lead from the folder of notebooks."""
    return {"cell_type": "markdown", "metadata": {}, "source": re.sub(r"\]\(([\w-]+\.md)", r"](../tutorials/\1", text)}


def code(source, shown=""):
    """A cell of code with what it prints."""
    output = [{"output_type": "stream", "name": "stdout", "text": shown}] if shown else []
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "source": source, "outputs": output}


def python_cells(block):
    """The examples of a block, a cell up to each answer; and a picture of the walk, if it made one."""
    source = ""
    examples = doctest.DocTestParser().get_examples(block)
    for example in examples:
        source += example.source
        if example.want or example is examples[-1]:
            yield code(source.rstrip(), example.want)
            source = ""
    if any(re.match(r"walk = ", example.source) for example in examples):
        yield code("walk.plot().figure")


def console_cells(block, seen):
    """Each command of a block as a cell; more of the output of a script that was run already stays text."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        if command in seen:
            yield markdown(f"```\n{shown}```")
            continue
        seen.add(command)
        script = re.fullmatch(r"python (examples/\w+\.py)", command)
        yield code(f"%run ../../{script[1]}" if script else f"!{command}", shown)


def cells(text):
    """The cells of a page."""
    yield code(SETUP)
    at, seen = 0, set()
    for fence in FENCE.finditer(text):
        before = text[at : fence.start()].strip()
        at = fence.end()
        if before:
            yield markdown(before)
        language, block = fence.groups()
        if language == "python":
            yield from python_cells(block)
        elif language == "console":
            yield from console_cells(block, seen)
        else:
            yield markdown(fence[0].strip())
    if text[at:].strip():
        yield markdown(text[at:].strip())


def notebook(page):
    """The notebook of a page, as text."""
    made = [{"id": f"cell-{k}", **cell} for k, cell in enumerate(cells(page.read_text(encoding="utf-8")))]
    for cell in made:
        cell["source"] = cell["source"].splitlines(keepends=True)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    whole = {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def main():
    """Write all notebooks."""
    for page in PAGES:
        target = HERE / "notebooks" / f"{page.stem}.ipynb"
        target.write_text(notebook(page), encoding="utf-8")
        print(target.name)


if __name__ == "__main__":
    main()
