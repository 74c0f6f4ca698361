"""Checks of a table: columns that may give the answer away."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender.data.encode import Encoder
from descender.doctor.finding import Finding
from descender.kernels.sparse_columns import sparse_squares

LEAK_SHARE = 0.9
"""The share of what the whole model explains that one column alone may explain without a question."""

HEIGHT = 4096
"""Rows that are read at a time."""
SEVERAL = ("number", "word", "entry")
"""Kinds of features that do not exclude one another in a row, as levels do."""


def explained_alone(encoder: Encoder, X: Any, y: NDArray) -> dict[str, float]:
    """For each column the share of the variance of `y` that its features explain one by one.

    Levels, of which a row has one, are added up; of words, of which it may have several, the best one counts.  `X` is
    dense or CSR.
    """
    centre, spread = float(y.mean()), float(y.var())
    if spread == 0.0:
        return {}
    r, n = y - centre, X.shape[0]
    if isinstance(X, np.ndarray):
        mean, square, product = (np.zeros(X.shape[1]) for _ in range(3))
        for start in range(0, n, HEIGHT):
            part = X[start : start + HEIGHT]
            mean += part.sum(axis=0)
            square += np.einsum("ij,ij->j", part, part)
            product += part.T @ r[start : start + HEIGHT]
    else:
        mean, square, product = X.T @ np.ones(n), sparse_squares(X, np.ones(n))[0], X.T @ r
    mean, square, product = mean / n, square / n, product / n
    variance = np.maximum(square - mean**2, 1e-300)
    exclusive = np.array([feature.kind not in SEVERAL for feature in encoder.details])
    own = product**2 / np.where(exclusive, np.maximum(mean, 1e-300), variance)
    shares: dict[str, float] = {}
    groups: dict[tuple[str, str], list[int]] = {}
    for j, feature in enumerate(encoder.details):
        groups.setdefault((feature.column, feature.kind), []).append(j)
    for (column, kind), members in groups.items():
        total = float(own[members].max() if kind in SEVERAL else own[members].sum())
        rest = 1.0 - float(mean[members].sum())
        if kind not in SEVERAL and rest > 1e-9:  # the level without a feature of its own explains its share, too
            total += float(product[members].sum()) ** 2 / rest
        shares[column] = min(shares.get(column, 0.0) + total / spread, 1.0)
    return shares


def explained_jointly(X: Any, y: NDArray, members: list[int]) -> float:
    """The share of the variance of `y` that least squares on some features explain together."""
    r, k = y - y.mean(), len(members)
    gram, product, total = np.zeros((k, k)), np.zeros(k), np.zeros(k)
    for start in range(0, X.shape[0], HEIGHT):
        part = X[start : start + HEIGHT][:, members]
        part = part if isinstance(part, np.ndarray) else part.toarray()
        gram += part.T @ part
        product += part.T @ r[start : start + HEIGHT]
        total += part.sum(axis=0)
    gram -= np.outer(total, total) / X.shape[0]
    return float(product @ np.linalg.lstsq(gram, product, rcond=1e-10)[0] / max(float(r @ r), 1e-300))


def leaking_column(encoder: Encoder, X: Any, y: NDArray, explained: float) -> Finding | None:
    """D031: one column alone explains nearly all that the model does; is it known when one predicts?"""
    if explained <= 0.05 or len(shares := explained_alone(encoder, X, y)) < 2:
        return None
    for name in sorted(shares, key=lambda column: -shares[column]):
        if shares[name] < LEAK_SHARE * explained:
            return None
        members = [j for j, feature in enumerate(encoder.details) if feature.column == name]
        if len({encoder.details[j].kind for j in members}) > 1:  # the parts of a moment tell much the same
            shares[name] = min(explained_jointly(X, y, members), shares[name])
        if shares[name] >= LEAK_SHARE * explained:
            break
    else:
        return None
    share = shares[name] / explained
    return Finding(
        "leaked-label",
        "info",
        f"R² {shares[name]:.2f} of {explained:.2f}",
        f"is it known when you predict? if not, --exclude {name}",
        {"column": name},
        f"{name} alone explains {min(share, 1.0):.0%} of what the model explains",
    )
