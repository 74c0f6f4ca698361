"""What the scikit-learn doors of networks share: from checked arrays to a walk, and to scikit-learn's attributes.

Columns are brought to mean 0 and deviation 1 within, and so are the targets of a regression: how they are scaled does
not matter, and ``coefs_`` and ``intercepts_`` are those of the columns that were passed in.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold, StratifiedKFold, train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from descender.costs.network.build import perceptron
from descender.costs.network.network import Network
from descender.descent import Walk
from descender.errors import OptionError
from descender.estimators.base import curve, epochs
from descender.methods.training import plan
from descender.verbs.minimize import minimize

HELD_OUT_FROM = 1000
"""Samples from which on `early_stopping="auto"` holds some out."""
FOLDED_FROM, FOLDS = 100, 4
"""Samples from which on, below that, folds tell how many steps to take."""
ACTIVATION_NAMES = {"logistic": "sigmoid"}
"""What scikit-learn calls otherwise."""


class Perceptron(BaseEstimator):
    """What both doors share: from checked arrays to a walk, and from the walk to scikit-learn's attributes."""

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] | int = (100,),
        activation: str = "relu",
        *,
        solver: str = "auto",
        alpha: float = 1e-4,
        batch_size: int | str = "auto",
        learning_rate: Any = "auto",
        learning_rate_init: float | None = None,
        max_iter: int | None = None,
        random_state: Any = 0,
        tol: float = 1e-4,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool | str = "auto",
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
        clip_norm: float | None = None,
        dropout: float = 0.0,
        normalisation: str | None = None,
        residual: bool = False,
        initialisation: str | None = None,
        max_seconds: float | None = None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.random_state = random_state
        self.tol = tol
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.clip_norm = clip_norm
        self.dropout = dropout
        self.normalisation = normalisation
        self.residual = residual
        self.initialisation = initialisation
        self.max_seconds = max_seconds

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _train(self, X: Any, y: NDArray, s: NDArray | None, loss: str, outputs: int) -> None:
        """Train on scaled columns; y as the loss wants it."""
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        warm = self.warm_start and hasattr(self, "_network")
        n, automatic = X.shape[0], isinstance(self.early_stopping, str) and self.early_stopping == "auto"
        held = None
        if n >= HELD_OUT_FROM if automatic else self.early_stopping:
            X, y, s, held = self._hold_out(X, y, s, seed)
        if not warm:
            self._center, self._scale = column_scales(X, s)
        make = partial(self._build, loss=loss, outputs=outputs, seed=seed)
        X = self._scaled(X)
        network = make(X, y, s)
        start = network.start(seed)
        if warm and self._w.shape != start.shape:
            raise OptionError("warm_start=True: the last fit had other sizes of layers; fit anew with warm_start=False")
        judge, steps = None, None
        if held is not None:
            judge = partial(_held_out, network, self._scaled(held[0]), held[1], held[2])
        elif automatic and n >= FOLDED_FROM and self.solver == "auto" and self.max_iter is None and not warm:
            steps = self._steps(make, X, y, s, seed)
        walk = self._walk(network, self._w if warm else start, seed, judge, steps)
        self._take(network, walk)

    def _build(self, X: Any, y: NDArray, s: NDArray | None, loss: str, outputs: int, seed: int) -> Network:
        layers = perceptron(
            X.shape[1], self.hidden_layer_sizes, outputs, ACTIVATION_NAMES.get(self.activation, self.activation),
            initialisation=self.initialisation, normalisation=self.normalisation, dropout=self.dropout,
            residual=self.residual,
        )  # fmt: skip
        total = float(len(y) if s is None else s.sum())
        return Network(layers, X, y, loss, l2=self.alpha / total, sample_weight=s, seed=seed)

    def _steps(self, make: Callable[..., Network], X: Any, y: NDArray, s: NDArray | None, seed: int) -> int:
        """How many steps few samples are worth: where the held-out cost is lowest, on average over folds."""
        shares, curves = np.linspace(0.0, 1.0, 201)[1:], []
        folds: Any = StratifiedKFold if self._by_class(y) else KFold
        for k, (train, test) in enumerate(folds(FOLDS, shuffle=True, random_state=seed % 2**32).split(X, y)):
            part = (lambda rows: None) if s is None else s.__getitem__
            network = make(X[train], y[train], part(train))
            judge = partial(_held_out, network, X[test], y[test], part(test))
            walk = self._walk(network, network.start(seed + k), seed, judge)
            held = walk.record["holdout_cost"][:-1]
            held = held[np.isfinite(held)]
            curves.append(np.interp(shares, np.arange(len(held)) / plan(len(train), self._size()).epochs, held))
        whole = plan(X.shape[0], self._size())
        return max(1, round(float(shares[np.argmin(np.mean(curves, axis=0))]) * whole.epochs)) * whole.per_epoch

    def _walk(self, network: Network, start: NDArray, seed: int, judge: Any, steps: int | None = None) -> Walk:
        """Train from a start, watched by a held-out cost, or for so many of the planned steps."""
        method, options = self._method()
        if method == "lbfgs":
            options = {"max_steps": self.max_iter or 200}
        else:
            planned = plan(network.n_samples, options["batch_size"], self.max_iter).epochs
            options["max_epochs"] = self.max_iter if method == "auto" else planned
            options["patience"] = None if judge is None else max(self.n_iter_no_change, planned // 4)
            options["clip_norm"], options["max_steps"] = self.clip_norm, steps
        return minimize(network, start, method, seed=seed, holdout=judge, max_seconds=self.max_seconds, **options)

    def _method(self) -> tuple[str, dict[str, Any]]:
        """The method and its options, by scikit-learn's names for them."""
        first = 1e-3 if self.learning_rate_init is None else self.learning_rate_init
        rate = self.learning_rate
        planned = self.solver == "auto" and self.learning_rate_init is None
        if isinstance(rate, str):  # scikit-learn's "adaptive" is another thing than the rate of that name
            words = {"auto": "auto" if planned else first, "constant": first, "adaptive": f"plateau {first!r}"}
            rate = words.get(rate, rate)
        options = {"batch_size": self._size(), "learning_rate": rate, "on_divergence": "recover"}
        if self.solver == "sgd":
            return "nesterov" if self.nesterovs_momentum else "momentum", options | {"beta": self.momentum}
        if self.solver == "adam":
            return "adam", options | {"beta1": self.beta_1, "beta2": self.beta_2, "epsilon": self.epsilon}
        return self.solver, options

    def _size(self) -> int | None:
        """The batch size that was given, if one was."""
        size = None if isinstance(self.batch_size, str) and self.batch_size == "auto" else self.batch_size
        if size is not None and (isinstance(size, str | bool) or size < 1):
            raise OptionError(f"batch_size={self.batch_size!r}: expected 'auto' or a whole number of at least 1")
        return size

    def _hold_out(self, X: Any, y: NDArray, s: NDArray | None, seed: int) -> tuple[Any, NDArray, NDArray | None, Any]:
        if not 0 < self.validation_fraction < 1:
            raise OptionError(f"validation_fraction={self.validation_fraction!r}: expected a share between 0 and 1")
        alike = y if self._by_class(y) else None
        rows = np.arange(X.shape[0])
        train, test = train_test_split(rows, test_size=self.validation_fraction, random_state=seed, stratify=alike)
        if s is None:
            return X[train], y[train], None, (X[test], y[test], None)
        return X[train], y[train], s[train], (X[test], y[test], s[test])

    def _by_class(self, y: NDArray) -> bool:
        """Whether each class should have its share of the held-out samples."""
        return False

    def _scaled(self, X: Any) -> Any:
        """X on the scale that the network was trained on; sparse rows are not moved."""
        if isinstance(X, np.ndarray):
            return ((X - self._center) / self._scale).astype(X.dtype)
        return X.multiply(1.0 / self._scale).tocsr().astype(X.dtype)

    def _outputs(self, X: Any) -> NDArray:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, accept_sparse="csr", dtype=[np.float64, np.float32])
        return self._network.scores(self._w, self._scaled(X))

    def _take(self, network: Network, walk: Walk) -> None:
        """The attributes of a finished training, and a warning if its budget was not enough."""
        self._network, self._w = network, walk.x
        network.value(walk.x)  # so that batch normalisation knows what it does at this very point
        network.forget()
        self.record_, self.findings_ = walk.record, walk.findings
        self.loss_, self.loss_curve_ = walk.fun, curve(walk)
        self.n_iter_ = max(epochs(walk), 1)
        self.t_ = self.n_iter_ * network.n_samples
        held = walk.record["holdout_cost"]
        held = held[np.isfinite(held)]
        self.validation_costs_ = held if len(held) else None
        self.n_outputs_, self.n_layers_ = network.n_outputs, len(network.layers)
        self.coefs_, self.intercepts_ = self._raw(network, walk.x)
        if walk.status == "not_finite":
            warnings.warn(f"{walk.message}. {' '.join(map(str, walk.findings))}", ConvergenceWarning, stacklevel=4)

    def _raw(self, network: Network, w: NDArray) -> tuple[list[NDArray], list[NDArray]]:
        """Weights and biases of each dense layer, the first for columns as they were passed in."""
        dense = network.dense(w)
        coefs, intercepts = [p["weight"].copy() for p in dense], [p["bias"].copy() for p in dense]
        coefs[0] = (coefs[0] / self._scale[:, None]).astype(coefs[0].dtype)
        intercepts[0] = (intercepts[0] - self._center @ coefs[0]).astype(intercepts[0].dtype)
        return coefs, intercepts


def _held_out(network: Network, X: Any, y: NDArray, s: NDArray | None, w: NDArray) -> float:
    return network.held_out(w, X, y, s)


def column_scales(X: Any, s: NDArray | None) -> tuple[NDArray, NDArray]:
    """Mean and deviation of each column, float64; of sparse ones 0 and the root mean square.  A constant has 1."""
    weights = np.full(X.shape[0], 1.0) if s is None else s
    weights = weights / weights.sum()
    if isinstance(X, np.ndarray):
        center = weights @ X.astype(np.float64, copy=False)
        variance = weights @ np.square(X - center)
        noise = (8 * np.finfo(X.dtype).eps * np.abs(center)) ** 2
    else:
        center, noise = np.zeros(X.shape[1]), np.zeros(X.shape[1])
        variance = np.asarray(X.multiply(X).T @ weights).ravel()
    return center, np.sqrt(np.where(variance > noise, variance, 1.0))
