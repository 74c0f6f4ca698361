"""How the pages are read by the tests: their fenced blocks, the commands in them, and what they show below these."""

import doctest
import re

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def blocks(page, language):
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def commands(page):
    """Each command that is shown, with the lines that are shown below it."""
    for block in blocks(page, "console"):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            yield command, shown


def check_shown(shown, output):
    """Every line that a page shows stands in the output, in this order; `...` stands for anything within a line."""
    lines = iter(output.splitlines())
    checker = doctest.OutputChecker()
    for line in shown.splitlines():
        if line.strip():
            assert any(checker.check_output(line.strip() + "\n", said.strip() + "\n", FLAGS) for said in lines), line
