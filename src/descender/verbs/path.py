"""The penalty chosen: a path of fits from heavy to weak shrinkage, judged on rows that they did not learn from."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray


@dataclass(frozen=True)
class PenaltyPath:
    """A path of penalty strengths, each judged by the mean loss on rows that were not learnt from.

    ``kind`` is "l2" or "l1"; ``strengths`` fall; ``scores`` and ``errors`` are the mean held-out loss of each and its
    standard error; ``best`` and ``chosen`` are indices; ``folds`` counts the judgements of each strength and ``how``
    says of which rows; ``nonzeros`` counts the weights that are not zero, ``coefficients`` are (strengths, features).
    """

    kind: str
    strengths: NDArray
    scores: NDArray
    errors: NDArray
    best: int
    chosen: int
    folds: int
    how: str
    nonzeros: NDArray
    coefficients: NDArray
