"""The pages say what is so: their Python runs, their commands answer as shown, their lists are those of the code."""

import doctest
import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import descender
from descender.cli import app
from descender.methods.auto import METHODS
from docs_pages import FLAGS, blocks, check_shown, commands

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [page for folder in (".", "tutorials", "methods", "findings") for page in sorted((DOCS / folder).glob("*.md"))]
PAGES.remove(DOCS / "design.md")
CALLS = [(page, *call) for page in PAGES for call in commands(page)]
OURS = [call for call in CALLS if call[1].startswith("descender ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = "\n".join(blocks(page, "python"))
    if "import torch" in text:
        pytest.importorskip("torch", reason="PyTorch is an extra")
    test = doctest.DocTestParser().get_doctest(text, {}, page.stem, str(page), 0)
    said = []
    doctest.DocTestRunner(optionflags=FLAGS).run(test, out=said.append)
    assert not said, "".join(said)
    assert text.count(">>> ") == len(test.examples)


@pytest.mark.parametrize(("page", "command", "shown"), OURS, ids=[f"{page.stem}: {line}" for page, line, _ in OURS])
def test_a_command_answers_as_shown(page, command, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, shlex.split(command)[1:], catch_exceptions=False)
    assert done.exit_code in (0, 1), done.stderr
    check_shown(shown, done.stdout + done.stderr)


def test_the_other_commands_are_the_tutorials():
    others = {line for _, line, _ in CALLS} - {line for _, line, _ in OURS}
    scripts = {f"python examples/{path.name}" for path in (ROOT / "examples").glob("tutorial_*.py")}
    assert others <= scripts


def test_the_check_of_what_is_shown_can_fail():
    check_shown("a 1\nc ...", "a   1\nb\nc 3")
    with pytest.raises(AssertionError):
        check_shown("a 1\nc 4", "a 1\nb\nc 3")
    with pytest.raises(AssertionError):
        check_shown("c\na", "a\nb\nc")


def test_every_picture_of_the_pages_is_small_and_shown():
    shown = {name for page in PAGES for name in re.findall(r"\(\.\./pictures/([\w-]+\.png)\)", page.read_text("utf-8"))}
    drawn = {path.name for path in (DOCS / "pictures").glob("[1-5]-*.png")}
    assert shown == drawn
    assert max((DOCS / "pictures" / name).stat().st_size for name in shown) < 120_000


def test_the_pages_of_methods_are_in_step_with_the_code():
    spec = importlib.util.spec_from_file_location("make_methods", DOCS / "make_methods.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    assert set(make.methods()) == set(METHODS) - {"auto"}
    assert {f"methods/{page.name}" for page in (DOCS / "methods").glob("*")} <= set(make.pages())
    for name, text in make.pages().items():
        assert (DOCS / name).read_text("utf-8") == text, "run: python docs/make_methods.py"
    drawn = {path.stem for path in (DOCS / "pictures" / "methods").glob("*.png")}
    assert drawn == set(make.methods())


def test_the_site_is_built_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "dummy", str(DOCS), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr


def test_every_public_name_has_its_place_in_the_reference():
    told = re.findall(r"^\.\. auto(?:function|class):: (\w+)", (DOCS / "api.md").read_text("utf-8"), re.MULTILINE)
    assert sorted(told) == descender.__all__


def test_the_page_of_losses_is_in_step_with_the_code():
    spec = importlib.util.spec_from_file_location("make_losses", DOCS / "make_losses.py")
    make = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make)
    assert (DOCS / "losses.md").read_text("utf-8") == make.render(), "run: python docs/make_losses.py"


def test_every_page_is_reached_from_the_first():
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        links = [
            (page.parent / link).resolve() for link in re.findall(r"\]\(([\w./-]+\.md)\)", page.read_text("utf-8"))
        ]
        waiting += [link for link in links if link not in reached]
    assert {page.resolve() for page in PAGES} <= {page.resolve() for page in reached}
