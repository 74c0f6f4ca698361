"""Pictures through scikit-learn's door: ``LossCurveDisplay.from_estimator(estimator, ax=ax)``.

A display holds the described ``data``; :meth:`Display.plot` draws it and returns the display, with the axes as ``ax_``
and their figure as ``figure_``.  Those of a decision boundary work with any classifier that speaks scikit-learn's
protocol, those of a walk with estimators that keep a record of it, and with records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.errors import CapabilityError, OptionError, suggest
from descender.pictures import boundary, curves, kinds, penalty, weights
from descender.record import Record


class Display:
    """A picture that can be drawn again and elsewhere: ``data``, and after :meth:`plot` ``ax_`` and ``figure_``."""

    draw: ClassVar[Callable[..., Any]]

    def __init__(self, data: Any):
        self.data = data

    def plot(self, ax: Any = None) -> Self:
        """Draw on `ax`, or on new axes; returns the display."""
        self.ax_ = type(self).draw(self.data, ax)
        first = self.ax_[0] if isinstance(self.ax_, list | tuple | np.ndarray) else self.ax_
        self.figure_ = first.figure
        return self


class LossCurveDisplay(Display):
    """The cost of a walk against its steps, with its certified gap, and the held-out cost where there is one.

    >>> from descender import LinearRegressor, LossCurveDisplay
    >>> X = np.arange(12.0).reshape(6, 2) ** 2
    >>> display = LossCurveDisplay.from_estimator(LinearRegressor(l2=0.1).fit(X, X[:, 0]))
    >>> display.ax_.get_xlabel(), display.figure_ is display.ax_.figure
    ('step', True)
    """

    draw = staticmethod(curves.draw_curve)

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **options: Any) -> Self:
        """That of a fitted estimator with ``record_``, one or several, or with ``loss_curve_``.

        `options` are those of :func:`~descender.pictures.curves.describe_curve`: against, what, excess.
        """
        estimator = _last(estimator)
        record = getattr(estimator, "record_", None)
        if record is None:
            costs = getattr(estimator, "loss_curve_", None)
            if costs is None or not len(costs):
                raise CapabilityError(f"{_name(estimator)} has no record_ and no loss_curve_: fit it first")
            record = Record({"step": np.arange(1, len(costs) + 1), "cost": np.asarray(costs, dtype=np.float64)})
        if isinstance(record, list):
            named = {f"output {k}": one for k, one in enumerate(record)}
            own: dict[str, Any] = {"against": "step", "excess": False, **options}
            return cls(curves.describe_race(named, **own)).plot(ax)
        return cls.from_record(record, ax=ax, **options)

    @classmethod
    def from_record(cls, record: Record | Any, *, ax: Any = None, **options: Any) -> Self:
        """That of a record, or of a walk with one."""
        return cls(curves.describe_curve(record, **options)).plot(ax)


class PathDisplay(Display):
    """A walk on the contours of its cost: over two parameters, or in the plane in which it mostly lies.

    >>> from descender import PathDisplay, minimize
    >>> PathDisplay.from_record(minimize("a**2 + 4*b**2", "a=1 b=1"), resolution=9).ax_.get_ylabel()
    'b'
    """

    draw = staticmethod(kinds.KINDS["path"].draw)

    @classmethod
    def from_record(cls, record: Record | Any, *, cost: Any = None, ax: Any = None, **options: Any) -> Self:
        """That of a walk; of a record, on the formula that it tells of, or on `cost`.

        `options` are those of :func:`~descender.pictures.surface.describe_contour`: parameters, limits, resolution.
        """
        target = kinds.cost_of(record) if cost is None else cost
        return cls(kinds.KINDS["path"].describe(target, record, **options)).plot(ax)


class DecisionBoundaryDisplay(Display):
    """The classes of a classifier over two features, with the probability shaded and the points on it.

    >>> from descender import DecisionBoundaryDisplay, LinearClassifier
    >>> X = np.random.default_rng(0).normal(size=(60, 3))
    >>> model = LinearClassifier(l2=0.1).fit(X, X[:, 2] > 0)
    >>> data = DecisionBoundaryDisplay.from_estimator(model, X, X[:, 2] > 0, features=[0, 2], resolution=20).data
    >>> data.scatter.names, data.scatter.notes
    (('x0', 'x2'), ('the other column stays at its mean',))
    """

    draw = staticmethod(boundary.draw_boundary)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        features: Sequence[int | str] = (0, 1),
        resolution: int = 150,
        ax: Any = None,
    ) -> Self:
        """That of any fitted classifier, for two of the columns of X (an array or data frame); `features` name them.

        The other columns stay at their mean, or at what they hold most often if they are no numbers.  The share of
        points on their own side counts what the classifier says of the whole rows.
        """
        names = [str(c) for c in X.columns] if hasattr(X, "columns") else [f"x{j}" for j in range(np.shape(X)[1])]
        chosen = [_place(feature, names) for feature in features]
        if len(set(chosen)) != 2:
            raise OptionError(f"features={list(features)}: name two columns")
        label = np.asarray(y)
        known = list(getattr(estimator, "classes_", np.unique(label)))
        cells = X.to_numpy() if hasattr(X, "to_numpy") else np.asarray(X)
        points = cells[:, chosen].astype(np.float64)
        probability, told = _probability(estimator, len(known)), _said_of_others(len(names) - 2)
        data = boundary.describe_boundary(
            lambda p: probability(_rows(X, cells, chosen, p)), points, label, [names[j] for j in chosen],
            [k.item() if isinstance(k, np.generic) else k for k in known], resolution,
            winners=probability(X).argmax(axis=1),
        )  # fmt: skip
        scatter = replace(data.scatter, notes=(*data.scatter.notes, *told))
        return cls(replace(data, scatter=scatter)).plot(ax)


class PenaltyPathDisplay(Display):
    """How a penalty was chosen: the held-out loss above, the coefficients below, along the strengths.

    >>> from descender import PenaltyPathDisplay, fit
    >>> found = fit("example:diabetes")
    >>> PenaltyPathDisplay.from_path(found.path, features=found.model.features).data.kind
    'l2'
    """

    draw = staticmethod(penalty.draw_penalty)

    @classmethod
    def from_estimator(cls, estimator: Any, *, features: Sequence[str] | None = None, ax: Any = None) -> Self:
        """That of an estimator with ``path_``, whose penalty was ``"auto"``; `ax` is a pair of axes."""
        estimator = _last(estimator)
        path = getattr(estimator, "path_", None)
        if path is None or isinstance(path, list):
            told = "has a path for each output: give one of path_ to from_path" if path else "chose no penalty"
            raise CapabilityError(f"{_name(estimator)} {told}")
        known = getattr(estimator, "feature_names_in_", None) if features is None else features
        return cls.from_path(path, features=known, ax=ax)

    @classmethod
    def from_path(cls, path: Any, *, features: Sequence[str] | None = None, ax: Any = None) -> Self:
        """That of a :class:`~descender.verbs.path.PenaltyPath`, as a fit has it."""
        return cls(penalty.describe_penalty(path, features)).plot(ax)


class WeightImagesDisplay(Display):
    """The weights of a linear model as images, one for each class.

    >>> from descender import LinearRegressor, WeightImagesDisplay
    >>> X = np.random.default_rng(0).normal(size=(20, 4))
    >>> WeightImagesDisplay.from_estimator(LinearRegressor(l2=0.1).fit(X, X[:, 0])).data.images.shape
    (1, 2, 2)
    """

    draw = staticmethod(weights.draw_weights)

    @classmethod
    def from_estimator(cls, estimator: Any, *, shape: tuple[int, int] | None = None, ax: Any = None) -> Self:
        """That of an estimator with ``coef_``, whose columns are pixels row by row; `shape` is (height, width)."""
        estimator = _last(estimator)
        if not hasattr(estimator, "coef_"):
            raise CapabilityError(f"{_name(estimator)} has no coef_: only a fitted linear model has weights to draw")
        coef = np.atleast_2d(estimator.coef_)
        classes = getattr(estimator, "classes_", None)
        titles = None if classes is None else classes if len(classes) == len(coef) else classes[-1:]
        return cls(weights.describe_weights(coef, titles, shape)).plot(ax)


def _last(estimator: Any) -> Any:
    """What was fitted at the end: the last step of a pipeline, the best estimator of a search."""
    inner = getattr(estimator, "best_estimator_", None)
    inner = estimator.steps[-1][1] if inner is None and hasattr(estimator, "steps") else inner
    return estimator if inner is None else _last(inner)


def _name(estimator: Any) -> str:
    return type(estimator).__name__


def _place(feature: int | str, names: Sequence[str]) -> int:
    """The place of a column by its number or name."""
    if isinstance(feature, str):
        if feature not in names:
            raise OptionError(f"features: {feature!r} is no column; {suggest(feature, names)}")
        return names.index(feature)
    if not -len(names) <= feature < len(names):
        raise OptionError(f"features: column {feature} of {len(names)}, counted from 0")
    return int(feature) % len(names)


def _probability(estimator: Any, k: int) -> Callable[[Any], NDArray[np.float64]]:
    """Rows to the probability of each class; where there are none, 1 for the class that is predicted."""
    if hasattr(estimator, "predict_proba"):
        return lambda rows: np.asarray(estimator.predict_proba(rows), dtype=np.float64)
    if not hasattr(estimator, "classes_"):
        raise CapabilityError(f"{_name(estimator)} is no classifier: it has no classes_ and no predict_proba")
    return lambda rows: (np.asarray(estimator.predict(rows))[:, None] == estimator.classes_).astype(np.float64)


def _rows(X: Any, cells: NDArray, chosen: Sequence[int], points: NDArray) -> Any:
    """Whole rows for points of the chosen columns."""
    filled: Mapping[int, Any] = {
        j: points[:, chosen.index(j)] if j in chosen else np.repeat(_usual(cells[:, j]), len(points))
        for j in range(cells.shape[1])
    }
    if not hasattr(X, "columns"):
        return np.column_stack(list(filled.values())).astype(cells.dtype)
    if not hasattr(X, "assign"):  # Polars
        return type(X)({name: filled[j] for j, name in enumerate(X.columns)})
    frame = type(X)({name: filled[j] for j, name in enumerate(X.columns)})
    return frame.astype(X.dtypes.to_dict())


def _usual(column: NDArray) -> Any:
    """The mean of numbers; of anything else what is there most often."""
    try:
        return np.nanmean(column.astype(np.float64))
    except (TypeError, ValueError):
        values, counts = np.unique(column.astype(str), return_counts=True)
        common = values[counts.argmax()]
        return next(v for v in column.tolist() if str(v) == common)


def _said_of_others(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    return (
        ("the other column stays at its mean",) if count == 1 else (f"the other {count:,} columns stay at their mean",)
    )
