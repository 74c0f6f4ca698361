"""The house rules: what `import descender` costs, how long files are, and that what is written about the code is so."""

import ast
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import pytest

import descender
from descender.costs.losses import LOSSES
from descender.methods.rules import RULES

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
HEAVY = ("numba", "sympy", "duckdb", "pyarrow", "sklearn", "matplotlib", "pandas", "plotly", "torch")
HEAVY += ("scipy.optimize", "scipy.special", "scipy.stats")
LINES = 500
MACHINE_PATH = re.compile(r"(?<![\w.~])/(?:home|root|work|Users|mnt|tmp)/\w")


def read(path):
    return path.read_text(encoding="utf-8")


def project():
    return tomllib.loads(read(ROOT / "pyproject.toml"))["project"]


def run_python(text):
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=200).stdout


def loaded_by(text):
    """The heavy packages that a fresh process has loaded after running `text`."""
    return sorted(set(HEAVY) & set(run_python(f"{text}\nimport sys; print(*sys.modules)").split()))


def test_import_loads_nothing_heavy():
    assert loaded_by("import descender") == []


def test_a_walk_on_a_function_loads_no_table_no_picture_and_no_compiler():
    assert loaded_by("import descender; descender.minimize(lambda w: (w[0] - 3) ** 2, [0.0])") == []


def test_a_command_that_fits_a_table_loads_what_it_needs(tmp_path):
    """Arrow alone would load pandas, and special functions are for few losses."""
    (tmp_path / "t.csv").write_text("x,k,y\n" + "".join(f"{i % 17},{'abc'[i % 3]},{i % 2}\n" for i in range(300)))
    run = """
        import sys
        from descender.__main__ import main
        sys.argv = ["descender", "fit", "t.csv", "--target", "y", "--l2", "0.1", "--no-compare"]
        try:
            main()
        except SystemExit as end:
            assert end.code == 0
        import pandas  # is not lost to who wants it
        """
    loaded = loaded_by(f"import os\nos.chdir({str(tmp_path)!r})\n{textwrap.dedent(run)}")
    assert loaded == ["duckdb", "pandas", "pyarrow"]
    assert (tmp_path / "y.html").exists()


def test_the_search_for_heavy_packages_finds_one():
    assert "pyarrow" in loaded_by("import pyarrow")


def test_import_takes_less_than_three_tenths_of_a_second():
    clock = "import time; t = time.perf_counter(); import descender; print(time.perf_counter() - t)"
    assert min(float(run_python(clock)) for _ in range(5)) < 0.3


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_a_file_says_what_it_is_for_and_can_be_read_in_one_sitting(path):
    text = read(path)
    assert not text.strip() or ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= LINES


@pytest.mark.parametrize("name", descender.__all__)
def test_everything_public_is_documented_with_an_example(name):
    assert ">>> " in (getattr(descender, name).__doc__ or "")


def test_names_stay_functions_after_their_modules_were_imported():
    modules = [
        ".".join(path.relative_to(ROOT / "src").with_suffix("").parts) for path in SOURCES if path.stem != "__main__"
    ]
    imports = "".join(f"import {name.removesuffix('.__init__')}\n" for name in modules)
    assert run_python(f"{imports}print(all(callable(getattr(descender, n)) for n in descender.__all__))") == "True\n"


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_states_its_formula_its_source_and_when_it_is_wrong(name):
    text = RULES[name].__doc__
    assert ".. math::" in text
    assert "Wrong choice" in text
    assert re.search(r"\b(18|19|20)\d\d\b", text), "the year of its source"


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_states_its_formula_and_its_targets(name):
    assert LOSSES[name].name == name
    assert ":math:" in LOSSES[name].__doc__
    assert LOSSES[name].targets


def test_the_version_is_one():
    assert project()["version"] == descender.__version__
    assert f"## [{descender.__version__}]" in read(ROOT / "CHANGELOG.md")


def test_only_declared_packages_are_imported():
    lists = [project()["dependencies"], *project()["optional-dependencies"].values()]
    declared = {re.match(r"[\w-]+", line).group() for lines in lists for line in lines}
    declared |= {"sklearn"} if "scikit-learn" in declared else set()
    declared |= {"PIL"} if "matplotlib" in declared else set()  # Matplotlib cannot be without it
    allowed = declared | sys.stdlib_module_names | {"descender"}
    for path in SOURCES:
        for node in ast.walk(ast.parse(read(path))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            assert {name.split(".")[0] for name in names} <= allowed, path


def test_the_makefile_has_every_target_that_is_named():
    targets = set(re.findall(r"^([a-z][a-z-]*):", read(ROOT / "Makefile"), re.MULTILINE))
    assert {"demo", "test", "lint", "test-slow", "bench", "clean"} <= targets
    for page in [*PAGES, ROOT / "benchmarks" / "README.md", ROOT / ".ci" / "run"]:
        named = re.findall(r"(?:^|^\$ |`)make ([a-z][a-z-]*)", read(page), re.MULTILINE)
        assert set(named) <= targets, page


def test_ci_runs_what_a_developer_runs():
    assert "make test\n" in read(ROOT / ".ci" / "run")


def test_links_of_the_pages_lead_somewhere():
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)|<img[^>]*src=\"([^\"]+)\"", read(page)):
            target = "".join(link)
            assert re.match(r"https?:|mailto:", target) or (page.parent / target).exists(), (page.name, target)


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, timeout=200)
    if listed.returncode != 0:
        pytest.skip("this is no git checkout, so which files are the project's is not known")
    return [ROOT / name for name in listed.stdout.split("\0") if (ROOT / name).is_file()]


def test_no_file_names_a_folder_of_somebodys_machine():
    for path in tracked():
        raw = path.read_bytes()
        found = None if b"\0" in raw else MACHINE_PATH.search(raw.decode("utf-8"))
        assert found is None or path == Path(__file__), (path.name, found)


def test_the_pattern_of_machine_paths_finds_one():
    assert MACHINE_PATH.search("see /home/ann/notes")
    assert not MACHINE_PATH.search("https://example.org/home/page and ~/work")
