"""Vowpal Wabbit by L-BFGS: the sum of the losses + l2 |w|^2 / 2, so its l2 is n l2; the constant is left free.

Its native format is the binary cache that it makes of a text file.  Its online learner is left out: the weights that
Python gets of it lack the factor of its lazy l2.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from ..objective import Array
from ..problem import Data, Problem
from ..solver import Setting, Solver, contender

LARGEST = 16_000_000
CONSTANT = 11650396
"""The place of the constant, before it is cut to the number of bits."""
WORDS = {"log_loss": "logistic", "squared_error": "squared"}


class Folder:
    """A folder that goes with the object."""

    def __init__(self) -> None:
        self.name = tempfile.mkdtemp()
        weakref.finalize(self, shutil.rmtree, self.name, ignore_errors=True)


@contender
class VowpalWabbit(Solver):
    """L-BFGS on the cached examples, in float32."""

    name, package, module = "Vowpal Wabbit bfgs", "vowpalwabbit", "vowpalwabbit"
    losses = tuple(WORDS)
    ladder = [{"passes": passes} for passes in (5, 8, 12, 18, 25, 35, 50, 70, 100, 140, 200)]
    ends_within = 1e-4

    def unsuited(self, problem: Problem) -> str | None:
        """Its format is made of text."""
        X = problem.data.X
        stored = X.size if problem.data.dense else X.nnz
        return f"{stored:,} numbers as text" if stored > LARGEST else None

    def convert(self, data: Data, problem: Problem) -> Any:
        """A folder with the examples as text and as its cache."""
        folder = Folder()
        X = sparse.csr_matrix(data.X)
        y = np.where(data.y > 0, 1, -1) if problem.objective.loss == "log_loss" else data.y
        with (Path(folder.name) / "rows").open("w") as out:
            for i, label in enumerate(y):
                part = slice(X.indptr[i], X.indptr[i + 1])
                pairs = zip(X.indices[part].tolist(), X.data[part].tolist(), strict=True)
                out.write(f"{label:.9g} | " + " ".join(f"{j}:{v:.9g}" for j, v in pairs) + "\n")
        made = folder, len(y), X.shape[1]
        self._run(made, "squared", "--passes 2")
        return made

    def _run(self, data: Any, loss: str, more: str) -> Any:
        from vowpalwabbit import Workspace

        folder, _, d = data
        rows = Path(folder.name) / "rows"
        learner = Workspace(
            f"-d {rows} --cache_file {rows}.cache --loss_function {loss} -b {self._bits(d)} --quiet --holdout_off "
            f"--no_bias_regularization {more}"
        )
        return learner, d

    @staticmethod
    def _bits(d: int) -> int:
        """So many that the constant has a place of its own."""
        return next(bits for bits in range(18, 30) if CONSTANT % 2**bits >= d)

    def fit(self, data: Any, problem: Problem, setting: Setting) -> Any:
        """So many passes."""
        _, n, _ = data
        twice = 2.0 if problem.objective.loss == "squared_error" else 1.0  # its squared loss has no factor 1/2
        more = f"--bfgs --mem 10 --passes {setting['passes']} --l2 {twice * problem.objective.l2 * n!r}"
        return self._run(data, WORDS[problem.objective.loss], more)

    def point(self, model: Any, problem: Problem) -> tuple[Array, Any]:
        """The weights, and that of the constant."""
        learner, d = model
        w = np.array([learner.get_weight(j) for j in range(d)])
        b = float(learner.get_weight(CONSTANT))
        learner.finish()
        return w, b
