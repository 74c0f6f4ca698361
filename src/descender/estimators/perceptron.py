"""What the scikit-learn doors of networks share: from checked arrays to a walk, and to scikit-learn's attributes.

Columns are brought to one scale within (:mod:`descender.estimators.scales`), and so are the targets of a regression:
how they are scaled does not matter, and ``coefs_`` and ``intercepts_`` are those of the columns that were passed in.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from descender.costs.network.build import perceptron
from descender.costs.network.layers import Layer
from descender.costs.network.network import Network
from descender.costs.risk import check_rows
from descender.errors import OptionError, TargetError, suggest
from descender.estimators.base import curve
from descender.estimators.scales import column_scales
from descender.methods.auto import METHODS
from descender.methods.training import ALPHA, BATCH, METHOD
from descender.verbs.repair import Replay
from descender.verbs.train import How, Samples, set_aside, train
from descender.walk import Walk

SKLEARN_ALPHA, SKLEARN_BATCH, SKLEARN_TOL = 1e-4, 200, 1e-4
"""What scikit-learn takes for its solvers where nothing is given."""
ONE_EPOCH_RATE = 1e-3
"""Of `partial_fit`, which does not know how many epochs will follow: what the field begins with."""
OUT_ACTIVATIONS = {"squared_error": "identity", "poisson": "exp", "log_loss": "logistic", "softmax": "softmax"}
"""What scikit-learn calls the function from outputs to predictions, by the loss."""
KEPT = 1 << 26
"""Bytes of samples up to which they stay with the walk, for ``descender.diagnose``; they are never saved."""
LEAST = {
    "alpha": 0.0, "max_iter": 0, "max_fun": 1, "max_seconds": 0.0, "n_iter_no_change": 1, "power_t": 0.0,
    "momentum": 0.0, "gain": 0.0,
}  # fmt: skip
"""Parameters that are numbers, and the least that each may be."""
TRUTHS = ("shuffle", "warm_start", "nesterovs_momentum", "residual")
FORMS = ("normalisation", "residual")
"""Parameters of the form of a network that a remedy may change, where its door has them."""
ACTIVATION_NAMES = {"logistic": "sigmoid"}
"""What scikit-learn calls otherwise."""


@dataclass(eq=False, repr=False)
class Perceptron(BaseEstimator):
    """What all doors share: from checked arrays to a walk, and from the walk to scikit-learn's attributes.

    Fields are parameters; those that only some doors ask for are fixed for the others.
    """

    _: KW_ONLY
    solver: str = "auto"
    alpha: float | None = None
    batch_size: int | str = "auto"
    learning_rate: Any = "auto"
    learning_rate_init: float | None = None
    max_iter: int | None = None
    random_state: Any = 0
    tol: float | None = None
    warm_start: bool = False
    early_stopping: bool | str = "auto"
    validation_fraction: float = 0.1
    n_iter_no_change: int = 10
    clip_norm: float | None = None
    max_seconds: float | None = None
    verbose: bool | int = False
    loss: str = field(default="squared_error", init=False)
    shuffle: bool = field(default=True, init=False)
    momentum: float = field(default=0.9, init=False)
    nesterovs_momentum: bool = field(default=True, init=False)
    beta_1: float = field(default=0.9, init=False)
    beta_2: float = field(default=0.999, init=False)
    epsilon: float = field(default=1e-8, init=False)
    max_fun: int | None = field(default=None, init=False)
    power_t: float = field(default=0.5, init=False)
    loss_curve_: NDArray = field(init=False)
    t_: int = field(init=False)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def _read(self, X: Any, y: Any, **more: Any) -> tuple[Any, Any]:
        """Rows and targets as they can be read; an entry that is not finite is told by its row and column."""
        how: dict[str, Any] = {"accept_sparse": "csr", "dtype": [np.float64, np.float32], "ensure_all_finite": False}
        try:
            X, y = validate_data(self, X, y, **how, **more)
        except ValueError as error:
            if not str(error).startswith("Input y contains"):
                raise
            raise TargetError(f"{error} Leave out such rows, or fill in their targets.") from None
        check_rows(X, np.zeros(X.shape[0]), None)
        return X, y

    def _train(
        self, X: Any, y: NDArray, s: NDArray | None, loss: str, outputs: int, by_class: bool = False, given: Any = None,
        once: bool = False,
    ) -> None:  # fmt: skip
        """Train on scaled columns; y as the loss wants it, `given` the weights of all rows, those of weight 0, too.

        With `once` it is one epoch, and goes on from what was learnt before.
        """
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        warm = (self.warm_start or once) and hasattr(self, "_network")
        self._check_parameters()
        how = self._how(seed, once, len(y))
        learn, watch, rows = Samples(X, y, s), None, set_aside(y, how, by_class)
        if rows is not None:
            watch, learn = learn.take(rows[1]), learn.take(rows[0])
            how = self._how(seed, once, len(learn.y))
        if not warm:
            self._scales = column_scales(learn.X, learn.weight)
        learn = learn._replace(X=self._scales.of(learn.X))
        watch = None if watch is None else watch._replace(X=self._scales.of(watch.X))
        start = self._w if warm else None
        make = partial(self._build, loss=loss, outputs=outputs, seed=seed)
        if warm and self._w.shape != (make(*learn).n_parameters,):
            raise OptionError("the last fit had other sizes of layers; fit anew, with warm_start=False")
        kept = np.arange(len(y)) if given is None or np.asarray(given).ndim == 0 else np.flatnonzero(np.asarray(given))
        called: dict[str, Any] = {
            "numbers": kept if rows is None else kept[rows[0]],
            "columns": getattr(self, "feature_names_in_", None),
        }
        self._take(*train(make, learn, watch, how, by_class=by_class, start=start, **called), warm)

    def _replayed(self, X: Any, y: Any, sample_weight: Any) -> Self:
        """The estimator itself; its walk can now be done again with another option, by a twin on the same arrays."""
        if self._walked.cost is None:  # the samples are too many to be kept
            return self
        own, (method, options) = self.get_params(), self._method(self._walked.cost.n_samples or 1)
        known = ("clip_norm", "activation", *(name for name in FORMS if name in own))

        def again(name: str, value: Any) -> Walk:
            free = {"learning_rate": "auto", "learning_rate_init": None}
            change = {"method": free | {"solver": value, "batch_size": "auto"}, "beta": {"momentum": value},
                      "learning_rate": free | {name: value}}.get(name, {name: value})  # fmt: skip
            twin = clone(self).set_params(**change)
            return twin.fit(X, y, sample_weight).walk

        knows = ("learning_rate", "method", *known, *(["beta"] if "beta" in options and "momentum" in own else []))
        asked = {name: own[name] for name in known} | {"method": method} | options
        self._walked.replay = Replay(asked, again, knows)
        return self

    def _check_parameters(self) -> None:
        """Refuse what is no number or no truth value where one is needed, by the name of the parameter."""
        own = self.get_params()
        for name, least in LEAST.items():
            value: Any = own.get(name)
            number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
            if not (value is None and name != "n_iter_no_change") and name in own and not (number and value >= least):
                raise OptionError(f"{name}={value!r}: expected a number of at least {least}")
        for name in TRUTHS:
            if name in own and not isinstance(own[name], bool | np.bool_):
                raise OptionError(f"{name}={own[name]!r}: expected True or False")
        if self.solver not in METHODS:
            raise OptionError(f"solver={self.solver!r}; {suggest(str(self.solver), METHODS)}")

    def _how(self, seed: int, once: bool, n: int) -> How:
        method, options = self._method(n, self.t_ if once and hasattr(self, "t_") else 0)
        how = How(
            method, options, self.max_iter, self.early_stopping, self.validation_fraction, self.n_iter_no_change,
            self.max_seconds, seed, self._tol(), bool(self.verbose),
        )  # fmt: skip
        if not once:
            return how
        if method == "lbfgs" or how.early_stopping is True:
            given = "solver='lbfgs'" if method == "lbfgs" else "early_stopping=True"
            raise OptionError(f"partial_fit takes one epoch of what it is given: {given} does not go with it; use fit")
        if method == "auto":
            rate = ONE_EPOCH_RATE if options["learning_rate"] == "auto" else options["learning_rate"]
            method, options = METHOD[0], options | {"learning_rate": rate, "batch_size": options["batch_size"] or BATCH}
        return how._replace(method=method, options=options, epochs=1, early_stopping=False, tol=None)

    def _layers(self, inputs: int, outputs: int) -> list[Layer]:
        raise TypeError(f"{type(self).__name__} does not define _layers")

    def _build(self, X: Any, y: NDArray, s: NDArray | None, loss: str, outputs: int, seed: int) -> Network:
        total = float(len(y) if s is None else s.sum())
        alpha = self.alpha if self.alpha is not None else ALPHA if self.solver == "auto" else SKLEARN_ALPHA
        layers = self._layers(X.shape[-1], outputs)
        return Network(layers, X, y, loss, l2=alpha / total, sample_weight=s, seed=seed)

    def _method(self, n: int, seen: int = 0) -> tuple[str, dict[str, Any]]:
        """The method and its options for n samples, by scikit-learn's names; `seen` were learnt from before."""
        first = 1e-3 if self.learning_rate_init is None else self.learning_rate_init
        rate = self.learning_rate
        planned = self.solver == "auto" and self.learning_rate_init is None
        if isinstance(rate, str):  # scikit-learn's "adaptive" is another thing than the rate of that name
            words = {"auto": "auto" if planned else first, "constant": first, "adaptive": f"plateau {first!r}"}
            words["invscaling"] = self._inverse_scaling(first, n, seen) if rate == "invscaling" else ""
            rate = words.get(rate, rate)
        options: dict[str, Any] = {"batch_size": self._size(), "learning_rate": rate, "clip_norm": self.clip_norm}
        options |= {} if self.shuffle else {"shuffle": False}
        if self.solver == "lbfgs":
            return "lbfgs", {"max_evaluations": self.max_fun}
        if self.solver == "sgd":
            return "nesterov" if self.nesterovs_momentum else "momentum", options | {"beta": self.momentum}
        if self.solver == "adam":
            return "adam", options | {"beta1": self.beta_1, "beta2": self.beta_2, "epsilon": self.epsilon}
        return self.solver, options

    def _inverse_scaling(self, first: float, n: int, seen: int) -> str:
        """The rate over a power of the samples that were learnt from, which are counted after each epoch."""
        size = self._size() or BATCH
        first = first / (seen + 1.0) ** self.power_t
        return f"inverse-scaling {first!r} {math.ceil(n / min(size, n))} {n / (seen + 1.0)!r} {self.power_t!r}"

    def _tol(self) -> float | None:
        """By how much a cost must fall: for scikit-learn's solvers what it takes itself; a plan takes its epochs."""
        if self.tol is not None and (isinstance(self.tol, bool | str) or not self.tol >= 0):
            raise OptionError(f"tol={self.tol!r}: expected a number of at least 0, or None")
        falling = self.solver in ("sgd", "adam") and self.learning_rate in ("auto", "constant")
        return SKLEARN_TOL if self.tol is None and falling else self.tol

    def _size(self) -> int | None:
        """The batch size that was given, if one was."""
        size = None if isinstance(self.batch_size, str) and self.batch_size == "auto" else self.batch_size
        if size is not None and (isinstance(size, str | bool) or size < 1):
            raise OptionError(f"batch_size={self.batch_size!r}: expected 'auto' or a whole number of at least 1")
        if size is None and self.solver not in ("auto", "lbfgs"):
            return SKLEARN_BATCH
        return size

    def _outputs(self, X: Any) -> NDArray:
        check_is_fitted(self)
        how: dict[str, Any] = {"accept_sparse": "csr", "dtype": [np.float64, np.float32], "ensure_all_finite": False}
        X = validate_data(self, X, reset=False, **how)
        check_rows(X, np.zeros(X.shape[0]), None)
        return self._network.scores(self._w, self._scales.of(X))

    def _take(self, network: Network, walk: Walk, scores: list[float], warm: bool) -> None:
        """The attributes of a finished training, and a warning if its budget was not enough."""
        self._network, self._w = network, walk.x
        network.value(walk.x)  # so that batch normalisation knows what it does at this very point
        few = network.X.nbytes <= KEPT if isinstance(network.X, np.ndarray) else network.X.data.nbytes <= KEPT
        shared = {id(part): part for part in (network.X, network.y)}  # not the layers: these remember what they saw
        walk.cost = copy.deepcopy(network, shared) if few else None
        self._walked = walk
        network.forget()
        self.record_, self.findings_ = walk.record, walk.findings
        batched = walk.method != "lbfgs"
        self.loss_ = walk.fun
        costs, seen = (self.loss_curve_, self.t_) if warm else (np.empty(0), 0)
        new = walk.record.epoch_costs(network.n_samples) if batched else curve(walk.record)
        self.loss_curve_ = np.concatenate([costs, new])
        self.n_iter_ = max(len(self.loss_curve_) if batched else walk.nit, 1)
        self.t_ = seen + max(len(new) if batched else walk.nit, 1) * network.n_samples
        held = walk.record["holdout_cost"]
        self.validation_costs_ = held[np.isfinite(held)] if scores else None
        self.validation_scores_ = scores or None
        self.best_validation_score_ = max(scores) if scores else None
        self.best_loss_ = float(self.loss_curve_.min()) if len(self.loss_curve_) and not scores else None
        self.coefs_, self.intercepts_ = self._raw(network, walk.x)
        self.n_outputs_, self.n_layers_ = network.n_outputs, len(self.intercepts_) + 1
        self.out_activation_ = OUT_ACTIVATIONS[network.loss.name]
        if walk.status == "not_finite":
            warnings.warn(f"{walk.message}. {' '.join(map(str, walk.findings))}", ConvergenceWarning, stacklevel=5)

    @property
    def walk(self) -> Walk:
        """The walk of the last fit, which :func:`descender.diagnose` takes again; its samples if they are few."""
        check_is_fitted(self, "_walked")
        return self._walked

    def _raw(self, network: Network, w: NDArray) -> tuple[list[NDArray], list[NDArray]]:
        """Weights and biases of each layer, the first for columns as they were passed in."""
        coefs, intercepts = self._weights(network, w)
        coefs[0], intercepts[0] = self._scales.undo(coefs[0], intercepts[0])
        return coefs, intercepts

    def _weights(self, network: Network, w: NDArray) -> tuple[list[NDArray], list[NDArray]]:
        dense = network.dense(w)
        return [p["weight"].copy() for p in dense], [p["bias"].copy() for p in dense]


@dataclass(eq=False, repr=False)
class Layered(Perceptron):
    """What makes a door one of layers in a row."""

    hidden_layer_sizes: Sequence[int] | int = (100,)
    activation: str = "relu"
    _: KW_ONLY
    shuffle: bool = True
    momentum: float = 0.9
    nesterovs_momentum: bool = True
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    max_fun: int | None = None
    dropout: float = 0.0
    normalisation: str | None = None
    residual: bool = False
    initialisation: str | None = None
    power_t: float = 0.5

    def _layers(self, inputs: int, outputs: int) -> list[Layer]:
        sizes: Any = self.hidden_layer_sizes
        if isinstance(sizes, str) or not isinstance(sizes, int | np.integer | Iterable):
            raise OptionError(f"hidden_layer_sizes={sizes!r}: expected the widths of the hidden layers, as (100, 50)")
        return perceptron(
            inputs, self.hidden_layer_sizes, outputs, ACTIVATION_NAMES.get(self.activation, self.activation),
            initialisation=self.initialisation, normalisation=self.normalisation, dropout=self.dropout,
            residual=self.residual,
        )  # fmt: skip
