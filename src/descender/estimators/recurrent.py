"""The scikit-learn doors of a plain recurrent network: sequences of any lengths in, one answer for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d

from descender.costs.network.build import pad, recurrent
from descender.costs.network.layers import Layer
from descender.costs.network.network import Network, check_sequences
from descender.errors import DataError, ShapeError, TargetError
from descender.estimators.mlp import Classes, Numbers
from descender.estimators.perceptron import ACTIVATION_NAMES, Perceptron


def read_sequences(X: Any) -> NDArray:
    """Sequences as one array (samples, steps, inputs), the shorter ones filled with steps of NaN at their ends.

    `X` is a list of arrays (steps, inputs), or (steps,) for one input, of any lengths; or such an array, or
    (samples, steps) for one input.  float32 stays float32.  Raises :class:`~descender.errors.DataError` and
    :class:`~descender.errors.ShapeError` with the number of the sequence at fault.

    >>> read_sequences([[1.0, 2.0, 3.0], [4.0]])[:, :, 0].tolist()
    [[1.0, 2.0, 3.0], [4.0, nan, nan]]
    """
    if hasattr(X, "tocsr"):
        raise DataError("sequences are dense: a list of arrays (steps, inputs), or an array (samples, steps, inputs)")
    if isinstance(X, np.ndarray) and X.ndim != 1:
        if X.ndim not in (2, 3):
            raise ShapeError(f"X has shape {X.shape}; expected (samples, steps, inputs), or a list of (steps, inputs)")
        if X.dtype not in (np.float32, np.float64):
            try:
                X = X.astype(np.float64)
            except (TypeError, ValueError) as error:
                raise DataError(f"sequences must hold numbers: {error}") from None
        sequences = X if X.ndim == 3 else X[:, :, None]
        check_sequences(sequences)
        return np.ascontiguousarray(sequences)
    if not isinstance(X, Sequence | np.ndarray) or isinstance(X, str):
        raise DataError(f"X is {type(X).__name__}; expected a list of arrays (steps, inputs), one for each sample")
    single = len(X) and all(getattr(sequence, "dtype", None) == np.float32 for sequence in X)
    padded = pad(list(X), np.float32 if single else np.float64)
    for i, sequence in enumerate(X):
        lost = np.flatnonzero(~np.isfinite(padded[i, : len(sequence)]).all(axis=1))
        if lost.size:
            raise DataError(f"sequence {i} is not finite at step {lost[0]}; leave that step out, or fill it in")
    return padded


@dataclass(eq=False, repr=False)
class Sequences(Perceptron):
    """What makes a door of networks one for sequences: how they are read, and the layers."""

    hidden_size: int = 32
    activation: str = "tanh"
    _: KW_ONLY
    gain: float = 1.0
    clip_norm: float | None = 1.0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse, tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, False, True
        return tags

    def _read(self, X: Any, y: Any, **more: Any) -> tuple[Any, Any]:
        X, numbers = read_sequences(X), more.get("y_numeric", False)
        try:
            y = check_array(y, ensure_2d=False, dtype="numeric" if numbers else None, input_name="y")
            y = y if more.get("multi_output") and y.ndim == 2 else column_or_1d(y, warn=True)
        except ValueError as error:
            raise TargetError(f"{error} Leave out such sequences, or fill in their targets.") from None
        if len(y) != len(X):
            raise ShapeError(f"there are {len(X)} sequences and {len(y)} targets; expected one for each sequence")
        if more.get("reset", True):
            self.n_features_in_ = X.shape[2]
        self._check_width(X)
        return X, y

    def _check_width(self, X: NDArray) -> None:
        if X.shape[2] != self.n_features_in_:
            raise ShapeError(
                f"X has {X.shape[2]} features a step, but {type(self).__name__} is expecting {self.n_features_in_}"
            )

    def _layers(self, inputs: int, outputs: int) -> list[Layer]:
        activation = ACTIVATION_NAMES.get(self.activation, self.activation)
        return recurrent(inputs, self.hidden_size, outputs, activation, gain=self.gain)

    def _outputs(self, X: Any) -> NDArray:
        check_is_fitted(self)
        X = read_sequences(X)
        self._check_width(X)
        return self._network.scores(self._w, self._scales.of(X))

    def _weights(self, network: Network, w: NDArray) -> tuple[list[NDArray], list[NDArray]]:
        """Weights of inputs, of states and of outputs; biases of states and of outputs."""
        first, last = network.layout.views(w)
        weights = [first["weight"], first["recurrent"], last["weight"]]
        return [part.copy() for part in weights], [first["bias"].copy(), last["bias"].copy()]


@dataclass(eq=False, repr=False)
class RecurrentRegressor(Sequences, Numbers):
    r"""A plain recurrent network of numbers: it reads a sequence, and answers after its last step.

    .. math:: h_t = f(x_t W + h_{t-1} U + b), \quad h_0 = 0, \qquad \hat y = h_T V + c

    X is a list of arrays (steps, inputs) of any lengths, or one array (samples, steps, inputs), in which steps of NaN
    at the end of a sequence are not there; y is (n,), or (n, outputs).  Errors go back through all steps; their norm
    may grow or vanish with each (R. Pascanu and others, *On the difficulty of training recurrent neural networks*,
    2013), hence `clip_norm`.

    Parameters
    ----------
    hidden_size, activation
        the number of hidden nodes, and their activation: "tanh", or another of :class:`~descender.MLPRegressor`'s
    gain
        the norm of U at the start, which is drawn as a rotation: 1 keeps errors at their size where f is steep
    clip_norm
        the L2 norm above which a gradient is scaled down; None: it is not
    solver, alpha, batch_size, learning_rate, learning_rate_init, max_iter, early_stopping
        as in :class:`~descender.MLPRegressor`
    validation_fraction, n_iter_no_change, tol, warm_start, random_state, max_seconds, verbose
        as in :class:`~descender.MLPRegressor`

    Attributes: ``coefs_`` (W, U, V) and ``intercepts_`` (b, c), of inputs as passed in; the others are those of
    :class:`~descender.MLPRegressor`.

    >>> rng = np.random.default_rng(0)
    >>> X = [rng.normal(size=rng.integers(1, 6)) for _ in range(200)]
    >>> y = np.array([sequence.sum() for sequence in X])
    >>> RecurrentRegressor(8, max_iter=60).fit(X, y).score(X, y) > 0.98
    True
    """


@dataclass(eq=False, repr=False)
class RecurrentClassifier(Sequences, Classes):
    """A plain recurrent network of classes: it reads a sequence, and answers after its last step.

    Parameters and attributes are those of :class:`RecurrentRegressor`, besides `class_weight` and ``classes_``, which
    are those of :class:`~descender.MLPClassifier`.

    >>> rng = np.random.default_rng(0)
    >>> X = [rng.choice([-1.0, 1.0], size=rng.integers(1, 5)) for _ in range(200)]
    >>> y = ["odd" if np.prod(sequence) < 0 else "even" for sequence in X]
    >>> RecurrentClassifier(16, max_iter=150).fit(X, y).score(X, y)
    1.0
    """
