"""The README tells the truth: every command on it runs and prints what stands there.

Where an output was changed on purpose, ``python tests/test_readme.py`` writes the new one into the page.
"""

import doctest
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "README.md"
README = PAGE.read_text(encoding="utf-8")
DESCENDER = Path(sys.executable).with_name("descender")
CONSOLE = re.findall(r"^```console\n\$ (descender [^\n]*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
PYTHON = "\n".join(re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE))
VARYING = [
    (re.compile(r"\s+\d+\.\d+ s$"), ""),  # how long it took
    (re.compile(r"-?\d[\d.]*e[-+]?\d+"), "#"),  # what is nearly zero, or enormous
    (re.compile(r"\b\d+ (reads|evaluations|steps?)\b"), r"# \1"),  # the last digits of a library may add one
    (re.compile(r"(\d\.\d{3})\d+"), r"\1"),
    (re.compile(r"\s+"), " "),
]


def said(text):
    """The lines of an output without what differs from run to run."""
    lines = []
    for line in text.splitlines():
        for pattern, instead in VARYING:
            line = pattern.sub(instead, line)
        lines.append(line.strip())
    return [line for line in lines if line]


def run(command, folder):
    words = [DESCENDER, *shlex.split(command)[1:]]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)


def test_the_commands_are_found():
    assert len(CONSOLE) >= 3
    assert PYTHON.count(">>>") >= 5


@pytest.mark.parametrize(("command", "shown"), CONSOLE, ids=[command[:40] for command, _ in CONSOLE])
def test_a_command_prints_what_the_page_shows(command, shown, tmp_path):
    ran = run(command, tmp_path)
    assert "Traceback" not in ran.stderr
    assert ran.returncode in (0, 1), ran.stderr
    assert said(ran.stdout + ran.stderr) == said(shown)
    for name in re.findall(r"^wrote +(.*)$", shown, re.MULTILINE)[-1].split():
        assert (tmp_path / name).stat().st_size > 0


@pytest.mark.slow
def test_the_doctor_says_what_the_page_shows(tmp_path):
    pytest.importorskip("torch", reason="the example is a training in PyTorch")
    shown = re.search(r"^```\n\$ python (examples/\w+\.py)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    script = PAGE.parent / shown.group(1)
    ran = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=200, check=True
    )
    assert said(ran.stdout) == said(shown.group(2))


def test_python_prints_what_the_page_shows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples = doctest.DocTestParser().get_doctest(PYTHON, {}, "README.md", "README.md", 0)
    told = []
    outcome = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(examples, out=told.append)
    assert outcome.failed == 0, "".join(told)


def test_a_changed_output_is_seen():
    assert said("cost 0.21 in 3 reads   1.2 s") == said("cost 0.21 in 4 reads   0.9 s")
    assert said("cost 0.21") != said("cost 0.31")
    assert said("certified") != said("estimated")


def rewrite(page):
    """The page with what its commands print now."""
    for command, shown in CONSOLE:
        with tempfile.TemporaryDirectory() as folder:
            ran = run(command, folder)
        now = "".join(f"{line.rstrip()}\n" for line in (ran.stdout + ran.stderr).splitlines())
        page = page.replace(f"$ {command}\n{shown}```", f"$ {command}\n{now}```")
    return page


if __name__ == "__main__":
    PAGE.write_text(rewrite(README), encoding="utf-8")
