"""How a network is trained on samples: what is set aside to watch, how many steps few of them are worth, the walk."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender import live
from descender.costs.losses import LogLoss, Loss, Softmax
from descender.costs.network.layers import Recurrent
from descender.costs.network.network import Network
from descender.doctor.finding import Finding, root_first
from descender.doctor.layers import exploding_gradient, vanishing_gradient
from descender.errors import OptionError
from descender.kernels.threads import one_blas_thread
from descender.methods.method import Budget
from descender.methods.training import plan
from descender.verbs.choosing import check_numbers, choose_method
from descender.verbs.minimize import minimize
from descender.walk import Walk

HELD_OUT_FROM = 1000
"""Samples from which on `early_stopping="auto"` holds some out."""
FOLDED_FROM, CLASSES_FOLDED_FROM, FOLDS = 50, 100, 4
"""Samples from which on, below that, folds tell how many steps to take.  Classes take more: the held-out cost of sure
errors ends a training before its share of right answers is highest.
"""

LOOKS, FOLD_PATIENCE = 200, 8
"""Looks at the held-out cost of a fold, about; the part of its plan after which a fold without a lower one ends.  On
nine sets of 150 to 800 samples twice the patience took up to twice the time, and lowered that cost by 0.2 % at most."""
LEARNT, SEEN = 0.5, 256
"""The share of the first cost above which a training went wrong; rows by which its layers are then looked at."""


class Samples(NamedTuple):
    """Rows to learn from or to watch by: X, y, and their weights, if they have any."""

    X: Any
    y: NDArray
    weight: NDArray | None = None

    def take(self, rows: NDArray) -> Samples:
        """Some of them."""
        return Samples(self.X[rows], self.y[rows], None if self.weight is None else self.weight[rows])


class Trained(NamedTuple):
    """A network, the walk of its training, and how well it did on held-out samples at each look at their cost."""

    network: Network
    walk: Walk
    scores: list[float]


class How(NamedTuple):
    """How to train: a method and its options, budgets, and whether rows that are set aside watch over it.

    `early_stopping` is "auto" (from 1,000 samples on), True or False; `patience` the epochs to wait for a lower
    held-out cost, at least a quarter of the plan.  With `tol` these epochs are just so many, and a cost counts as lower
    if it is by `tol`: the held-out cost, or, where nothing watches, the mean of the batches of an epoch.  `verbose`
    prints a line an epoch.
    """

    method: str = "auto"
    options: dict[str, Any] = {}
    epochs: int | None = None
    early_stopping: bool | str = "auto"
    validation_fraction: float = 0.1
    patience: int = 10
    max_seconds: float | None = None
    seed: int = 0
    tol: float | None = None
    verbose: bool = False

    @property
    def automatic(self) -> bool:
        """Whether early stopping is left to the number of samples."""
        if not isinstance(self.early_stopping, bool | np.bool_) and self.early_stopping != "auto":
            raise OptionError(f"early_stopping={self.early_stopping!r}: expected 'auto', True or False")
        return not isinstance(self.early_stopping, bool | np.bool_)

    def watches(self, n: int) -> bool:
        """Whether some of n samples are to be set aside."""
        return n >= HELD_OUT_FROM if self.automatic else bool(self.early_stopping)


def set_aside(y: NDArray, how: How, by_class: bool) -> tuple[NDArray, NDArray] | None:
    """The rows to learn from and those that watch, each class with its share; None where nothing is to watch."""
    from sklearn.model_selection import train_test_split

    if not how.watches(len(y)):
        return None
    if not 0 < how.validation_fraction < 1:
        raise OptionError(f"validation_fraction={how.validation_fraction!r}: expected a share between 0 and 1")
    alike = y if by_class and shared(y, how.validation_fraction) else None
    rows = np.arange(len(y))
    return tuple(train_test_split(rows, test_size=how.validation_fraction, random_state=how.seed, stratify=alike))


def shared(y: NDArray, share: float) -> bool:
    """Whether every class can have its share on both sides."""
    counts = np.bincount(y.astype(np.intp))
    counts = counts[counts > 0]
    held = int(np.ceil(share * len(y)))
    return bool(counts.min() >= 2 and min(held, len(y) - held) >= len(counts))


def train(
    make: Callable[..., Network],
    learn: Samples,
    watch: Samples | None,
    how: How,
    *,
    by_class: bool = False,
    start: NDArray | None = None,
    numbers: NDArray | None = None,
    columns: Sequence[str] | None = None,
    **options: Any,
) -> Trained:
    """The network that ``make(X, y, weight)`` builds, and the walk of its training.

    With `watch` its cost is looked at once an epoch, and the weights that had the lowest are the answer.  Without, of
    50 (classes: 100) to 999 samples, four folds tell how many of the planned steps to take, and all are learnt from.
    `numbers` and `columns` are what findings call the rows of `learn` and their columns.
    `options` go to :func:`~descender.minimize`.
    """
    network = make(*learn)
    network.numbers, network.columns = numbers, columns
    begin = network.start(how.seed) if start is None else start
    n, steps, seconds = len(learn.y), None, how.max_seconds
    enough = n >= (CLASSES_FOLDED_FROM if by_class else FOLDED_FROM)
    folded = how.automatic and watch is None and enough and how.method == "auto" and how.epochs is None
    if folded and start is None:
        seconds = None if seconds is None else seconds / (FOLDS + 1)
        steps = _steps(make, learn, how._replace(max_seconds=seconds), by_class)
    judge = None if watch is None else HeldOut(network, watch)
    with live.printed(per_epoch(network, how)) if how.verbose else nullcontext():
        walk = _walk(network, begin, how._replace(max_seconds=seconds), judge, steps, **options)
    if found := _layers(network, begin, walk):
        walk.findings = root_first([*walk.findings, *found])
        walk.record.facts["findings"] = [finding.as_dict() for finding in walk.findings]
    walk.replay = None  # of the whole training, of which this walk is a part: the caller knows how to do that again
    if walk.status == "budget" and (seconds is None or walk.record["seconds"][-1] < seconds):
        walk.success, walk.status, walk.message = True, "planned", f"took its {walk.nit:,} steps"
        if watch is not None:
            best = np.nanargmin(walk.record["holdout_cost"])
            walk.message += f": the answer is that of step {walk.record['step'][best]:,}"
    return Trained(network, walk, [] if judge is None else judge.scores)


def per_epoch(network: Network, how: How) -> int:
    """The steps of an epoch, or of what a method calls an iteration."""
    return 1 if how.method == "lbfgs" else plan(network.n_samples, how.options.get("batch_size")).per_epoch


def _layers(network: Network, start: NDArray, walk: Walk) -> list[Finding]:
    """What the layers had at the start, where the training then went wrong: gradients that vanish or explode."""
    costs = walk.record["cost"][:1]
    deep = len(network.dense(start)) >= 3 or any(isinstance(layer, Recurrent) for layer in network.layers)
    if not deep or not len(costs) or walk.fun < LEARNT * abs(costs[0]):
        return []
    vectors = network.error_vectors(start, np.arange(min(network.n_samples, SEEN)))
    found = [exploding_gradient(walk.record, [vectors]), vanishing_gradient(vectors)]
    return [finding for finding in found if finding is not None]


def _walk(network: Network, start: NDArray, how: How, judge: HeldOut | None, steps: int | None, **more: Any) -> Walk:
    """Train from a start, watched by a held-out cost, or for so many of the planned steps."""
    options = {"on_divergence": "recover", **how.options}
    if how.method == "lbfgs":
        options = {"max_steps": how.epochs or 200, "gradient_tol": how.tol}
        options["max_evaluations"] = how.options.get("max_evaluations")
    else:
        planned = plan(network.n_samples, options.get("batch_size"), how.epochs).epochs
        options["max_epochs"] = how.epochs if how.method == "auto" else planned
        options["patience"] = how.patience
        if how.tol is None:
            options["patience"] = None if judge is None else max(how.patience, planned // 4)
        options["patience_tol"] = how.tol
        options["max_steps"] = steps
    return minimize(
        network, start, how.method, seed=how.seed, holdout=judge, max_seconds=how.max_seconds, **options | more
    )


class HeldOut:
    """The held-out cost at a point; beside it, `scores` notes how well it does."""

    def __init__(self, network: Network, watch: Samples):
        self.network, self.watch, self.scores = network, watch, list[float]()

    def __call__(self, w: NDArray) -> float:
        """The mean loss of the held-out samples."""
        X, y, weight = self.watch
        with np.errstate(over="ignore", invalid="ignore"):
            z = self.network.scores(w, X)
        self.scores.append(score(self.network.loss, z, y, weight))
        return self.network.mean_loss(z, y, weight)


def score(loss: Loss, z: NDArray, y: NDArray, weight: NDArray | None = None) -> float:
    r"""The share of samples whose classes (or all of whose labels) are right; of numbers :math:`R^2`, outputs averaged.

    >>> score(Softmax, np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([0.0, 0.0]))
    0.5
    """
    if loss is Softmax or loss is LogLoss:
        right = z.argmax(axis=1) == y if loss is Softmax else (z > 0) == (y > 0)
        return float(np.average(right if right.ndim == 1 else right.all(axis=1), weights=weight))
    with np.errstate(all="ignore"):
        error = np.average(np.square(loss.predict(z) - y, dtype=np.float64), axis=0, weights=weight)
        spread = np.average(np.square(y - np.average(y, axis=0, weights=weight)), axis=0, weights=weight)
        return float(np.mean(1.0 - error / spread))


def _steps(make: Callable[..., Network], learn: Samples, how: How, by_class: bool) -> int:
    """How many steps few samples are worth: where the held-out cost is lowest, on average over folds."""
    from sklearn.model_selection import KFold, StratifiedKFold

    shares, curves = np.linspace(0.0, 1.0, LOOKS + 1)[1:], []
    folds: Any = StratifiedKFold if by_class and shared(learn.y, 1 / FOLDS) else KFold
    splits = folds(FOLDS, shuffle=True, random_state=how.seed % 2**32).split(np.zeros(len(learn.y)), learn.y)
    with one_blas_thread(), np.errstate(all="ignore"):
        for k, (rows, test) in enumerate(splits):
            looks = _fold(make(*learn.take(rows)), learn.take(test), how._replace(seed=how.seed + k))
            curves.append(np.interp(shares, *np.transpose(looks)))
    whole = plan(len(learn.y), how.options.get("batch_size"))
    return max(1, round(float(shares[np.argmin(np.mean(curves, axis=0))]) * whole.epochs)) * whole.per_epoch


def _fold(network: Network, test: Samples, how: How) -> list[tuple[float, float]]:
    """Of a training of which nothing else is wanted: shares of its plan, and the held-out cost there."""
    options = {"learning_rate": "auto", "batch_size": None, "clip_norm": None, **how.options}
    check_numbers(clip_norm=options["clip_norm"], max_seconds=how.max_seconds)
    known = {name: options.pop(name) for name in ("learning_rate", "batch_size", "clip_norm")}
    known |= dict.fromkeys(("tol", "clip_value", "max_epochs", "gradient_tol", "step_tol"))
    known["on_divergence"] = options.pop("on_divergence", "recover")
    begin = network.start(how.seed)
    method, _ = choose_method(network, how.method, **known, hyperparameters=options, start=begin)
    planned, judge = plan(network.n_samples, known["batch_size"]), HeldOut(network, test)
    every, patience = max(1, planned.epochs // LOOKS), max(how.patience, planned.epochs // FOLD_PATIENCE)
    epochs, best, looks = 0, 0, [(0.0, judge(begin))]
    lowest = looks[0][1]
    ends = np.inf if how.max_seconds is None else time.perf_counter() + how.max_seconds
    for block in method.blocks(network, begin, np.random.default_rng(how.seed), Budget()):
        epochs += block.epoch_ends
        if block.epoch_ends and epochs % every == 0:
            looks.append((epochs / planned.epochs, judge(block.w)))
            if looks[-1][1] < lowest:
                lowest, best = looks[-1][1], epochs
        spent = epochs >= planned.epochs or time.perf_counter() > ends
        if spent or epochs - best > patience or block.outcome is not None:
            break
    return looks
