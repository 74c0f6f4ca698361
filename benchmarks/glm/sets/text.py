"""Python's own library and the packages that descender stands on, as text: where does a piece of source come from?

What is read depends on the versions that are installed, and on nothing else: the files are taken in sorted order.
"""

from __future__ import annotations

import importlib.util
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..objective import Objective
from ..problem import Problem
from . import add

PACKAGES = (
    "sympy",
    "scipy",
    "sklearn",
    "numpy",
    "pandas",
    "matplotlib",
    "numba",
    "jax",
    "hypothesis",
    "duckdb",
    "mypy",
)
LINES = 8
WORD = r"[A-Za-z_]\w+|[^\w\s]{2,}"


def files() -> Iterator[tuple[str, Path]]:
    """(package, file): the standard library first."""
    roots = {"": Path(sysconfig.get_path("stdlib"))}
    for name in PACKAGES:
        found = importlib.util.find_spec(name)
        if found is not None and found.submodule_search_locations:
            roots[name] = Path(found.submodule_search_locations[0])
    for name, root in roots.items():
        for path in sorted(root.rglob("*.py")):
            parts = path.relative_to(root).parts
            if not (name == "" and parts[0] in ("site-packages", "test", "idlelib", "lib2to3")) and path.is_file():
                yield name, path


def _pieces(lines: int) -> tuple[list[str], list[str]]:
    """Pieces of source of so many lines that are not empty, with the packages that they are from."""
    texts, names = [], []
    for name, path in files():
        kept = [line for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        for start in range(0, len(kept) - lines + 1, lines):
            texts.append("\n".join(kept[start : start + lines]))
            names.append(name)
    return texts, names


def weighted(texts: list[str], **more):
    """Words and pairs of words by their tf-idf, rows of unit length."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    make = TfidfVectorizer(token_pattern=WORD, dtype=np.float32, sublinear_tf=True, **more)
    return make.fit_transform(texts)


def code():
    """150,000 pieces of eight lines: from a package of numbers and figures, or from elsewhere?"""
    texts, names = _pieces(LINES)
    chosen = np.sort(np.random.default_rng(0).permutation(len(texts))[:150_000])
    X = weighted([texts[i] for i in chosen], ngram_range=(1, 2), min_df=4)
    return X, np.isin([names[i] for i in chosen], ["scipy", "sklearn", "numpy", "pandas", "matplotlib"]).astype(float)


def packages():
    """30,000 pieces of eight lines, 8,000 words: which of twelve packages is it from?"""
    texts, names = _pieces(LINES)
    chosen = np.sort(np.random.default_rng(1).permutation(len(texts))[:30_000])
    X = weighted([texts[i] for i in chosen], max_features=8_000)
    return X, np.unique([names[i] for i in chosen], return_inverse=True)[1]


add(
    Problem("code text", "sparse text logistic", code, Objective("log_loss", l2=1 / 150_000)),
    Problem("code text l1", "l1 logistic, sparse text", code, Objective("log_loss", l1=3 / 150_000)),
    Problem("code text hinge", "hinge", code, Objective("hinge", l2=1 / 150_000)),
    Problem("packages text", "softmax", packages, Objective("softmax", l2=1 / 30_000)),
)
