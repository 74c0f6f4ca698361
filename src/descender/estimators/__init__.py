r"""The scikit-learn doors: linear models with scikit-learn's protocol and descender's words.  No numerics here.

What is minimised is :class:`~descender.costs.risk.Risk` of X as given: scaling goes on inside the methods and never
changes the cost, so that coefficients, penalties and certificates are those of the columns that were passed in.
"""

from descender.estimators.classifier import LinearClassifier
from descender.estimators.regressor import LinearRegressor

__all__ = ["LinearClassifier", "LinearRegressor"]
