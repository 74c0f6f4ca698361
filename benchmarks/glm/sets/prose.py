"""Lines of Python source: does a line stand in a docstring or comment, or is it code?"""

from __future__ import annotations

import ast
import re

import numpy as np

from ..objective import Objective
from ..problem import Problem
from . import add
from .text import WORD, files, weighted

ROWS = 300_000


def prose():
    """300,000 lines of four words at least, from every fourth file."""
    lines, told, word = [], [], re.compile(WORD)
    for _, path in list(files())[::4]:
        text = path.read_text(encoding="utf-8", errors="replace")
        try:
            inside = _docstrings(ast.parse(text))
        except (SyntaxError, ValueError):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if len(word.findall(line)) >= 4:
                lines.append(line.replace("#", " "))
                told.append(number in inside or line.lstrip().startswith("#"))
    chosen = np.sort(np.random.default_rng(0).permutation(len(lines))[:ROWS])
    X = weighted([lines[i] for i in chosen], ngram_range=(1, 2), min_df=4)
    return X, np.asarray(told, dtype=float)[chosen]


def _docstrings(tree: ast.AST) -> set[int]:
    """The numbers of the lines within strings that are statements."""
    inside: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            inside.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return inside


add(
    Problem("prose text", "sparse text logistic", prose, Objective("log_loss", l2=1 / ROWS)),
    Problem("prose text l1", "l1 logistic, sparse text", prose, Objective("log_loss", l1=6 / ROWS)),
)
