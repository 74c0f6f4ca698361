"""A fitted linear model: one weight a feature, and coefficients in the units of the data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from descender import cards
from descender.data.columns import Odd
from descender.model import Model


@dataclass
class LinearModel(Model):
    """A linear model with everything it needs to read new rows.

    ``weights`` are (features,) for one score a row, (classes, features) for softmax, in the encoder's units;
    :attr:`coefficients` are in the units of the data.
    """

    weights: NDArray[np.float64]
    intercept: NDArray[np.float64]

    format = "descender model 2"

    @property
    def coefficients(self) -> NDArray[np.float64]:
        """The change of the score per unit of each number and per level of the others: (features,) or (features, K)."""
        return self.encoder.raw(self.weights.T, self.intercept)[0]

    @property
    def raw_intercept(self) -> NDArray[np.float64]:
        """The score where every number is 0 and every level is the left-out one."""
        return self.encoder.raw(self.weights.T, self.intercept)[1]

    def _card(self) -> str:
        """The largest coefficients, in the units of the data and per deviation."""
        if self.weights.ndim > 1:
            return ""
        order = np.argsort(-np.abs(self.weights), kind="stable")[:10]
        rows = [[self.features[j], float(self.coefficients[j]), float(self.weights[j])] for j in order]
        rows.append(["(intercept)", float(self.raw_intercept), float(self.intercept)])
        more = len(self.features) - len(order)
        told = cards.line(f"and {more:,} smaller") if more else ""
        return cards.table(["feature", "per unit", "as encoded"], rows) + told

    def scores(self, X: Any) -> NDArray[np.float64]:
        """The scores of encoded rows: (n,) or (n, K)."""
        return X @ self.weights.T + self.intercept

    def table_scores(self, table: Any, numbers: NDArray, odd: dict[str, Odd] | None = None) -> NDArray[np.float64]:
        """Each row is added up on its own, feature by feature."""
        return self.encoder.scores(table, self.weights, self.intercept, numbers, odd)

    def parts(self) -> tuple[dict[str, NDArray], dict[str, Any]]:
        """Weights and intercept."""
        return {"weights": np.ascontiguousarray(self.weights), "intercept": np.atleast_1d(self.intercept)}, {}

    @classmethod
    def of_parts(
        cls, common: Mapping[str, Any], arrays: Mapping[str, NDArray], facts: Mapping[str, Any]
    ) -> LinearModel:
        """Weights of the shape that features and classes call for."""
        weights, intercept = arrays["weights"], arrays["intercept"]
        model = cls(**common, weights=weights, intercept=intercept if weights.ndim > 1 else intercept.reshape(()))
        expected = (*model.outputs, len(model.features))
        if weights.shape != expected or model.intercept.shape != model.outputs:
            raise ValueError(f"weights of shape {weights.shape} for {expected}")
        return model
