"""Learning from a stream, sample by sample: endless, in constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from descender.costs.losses import LOSSES, Softmax, read_loss
from descender.costs.risk import Risk, check_rows
from descender.data.columns import Number
from descender.data.encode import Encoder
from descender.data.files import check_names
from descender.data.target import TargetCoding
from descender.errors import (
    CapabilityError,
    ColumnError,
    DataError,
    DescenderError,
    DivergedError,
    InputError,
    OptionError,
    ShapeError,
    TargetError,
    suggest,
)
from descender.methods import advance as walk
from descender.methods import textbook as driver
from descender.methods.advance import Options
from descender.methods.auto import textbook
from descender.methods.estimates import mini_batches
from descender.methods.rates import Constant
from descender.methods.rules import RULES
from descender.methods.textbook import Noise, compiled_walk, plain_walk
from descender.model.linear import LinearModel
from descender.verbs.samples import numbers_of, pairs_of, take
from descender.verbs.standardise import RunningColumns, running

AUTOMATIC = ("adagrad", Constant(0.3))
"""Without a rate: AdaGrad on columns standardised by what was seen of them so far."""
SCALED = ("squared_error", "huber", "quantile")
"""Losses of targets in any unit: their automatic rate is in the targets' deviation, and the intercept begins at one."""
METHODS = ("auto", "sgd", *RULES)
"""Methods that one sample at a time can follow."""
OF_TWO_CLASSES = tuple(k for k, loss in LOSSES.items() if "binary" in loss.tasks and "regression" not in loss.tasks)
"""Losses whose target is class 0 or 1 and whose prediction is the probability of 1."""
AT_ONCE = 256
"""Samples of a stream that are taken from an iterator before the walk goes on."""


class Seen(NamedTuple):
    """Where a stream stands: samples so far, and the mean loss of the latest ones *before* each was learnt."""

    samples: int
    loss: float
    w: NDArray[np.float64]


class Online:
    r"""A linear model that learns one sample at a time.

    Each sample x, y moves the weights by one step of a textbook rule on its own loss,
    :math:`w \leftarrow w - a\,\ell'(w\cdot x + b,\ y)\,x`; nothing of it is kept.  With ``learning_rate="auto"`` the
    columns are standardised by their running mean and deviation and the rule is AdaGrad, at a rate in the deviation of
    the targets where these have a unit; with a number, the columns are
    taken as they are and the rule is plain stochastic gradient descent, or the `method` that was named.

    H. Robbins and S. Monro, 1951; B. P. Welford, *Note on a method for calculating corrected sums of squares and
    products*, 1962.

    >>> model = Online("squared_error", learning_rate=0.1)
    >>> for x in [0.0, 1.0, 2.0] * 200:
    ...     model.learn([[x]], [3.0 * x + 1.0])
    >>> np.round(model.w, 6)
    array([3., 1.])
    """

    def __init__(
        self,
        loss: str = "squared_error",
        *,
        method: str = "auto",
        learning_rate: Any = "auto",
        l2: float = 0.0,
        clip_norm: float | None = None,
        n_classes: int | None = None,
        **hyperparameters: Any,
    ):
        if read_loss(loss).scores_per_class and n_classes is None:
            one_score = [name for name, known in LOSSES.items() if not known.scores_per_class]
            raise OptionError(f"loss={loss!r}; {suggest(loss, one_score)}")
        self.n_classes = n_classes
        self.loss, self.l2, self.automatic = loss, l2, isinstance(learning_rate, str) and learning_rate == "auto"
        if method not in METHODS:
            raise OptionError(f"method={method!r}; {suggest(str(method), METHODS)}")
        if self.automatic and method not in ("auto", AUTOMATIC[0]):
            raise OptionError(f"method={method!r} needs a learning_rate; without one {AUTOMATIC[0]} finds its own")
        if clip_norm is not None and not clip_norm > 0:
            raise OptionError(f"clip_norm={clip_norm!r}: expected a positive bound")
        self.method, self.learning_rate, self.hyperparameters = method, learning_rate, hyperparameters
        # a sample that teaches nothing, or a step of length 0, is no reason to leave out those after it
        bound = np.inf if clip_norm is None else float(clip_norm)
        self.options = Options(clip_norm=bound, gradient_tol=-1.0, step_tol=-1.0)
        self.samples = 0
        self.w: NDArray[np.float64] = np.empty(0)
        self.columns: Any = None
        self._position: Any = None
        self.spread: NDArray[np.float64] = np.zeros(2)
        self._noise: Any = None
        self.losses: NDArray[np.float64] = np.empty(0)
        self.sparse = False
        self._book: Any = None
        self._compiled: Any = None
        self._probe: Any = None

    def __getstate__(self) -> dict[str, Any]:
        """What is kept of it in a file: compiled code is not, and is found again."""
        return vars(self) | {"_compiled": None}

    def learn(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Learn the rows of `X` (k, d) in their order; the same as learning them one by one, to the last bit.

        `X` may be sparse: its columns are then scaled by their root mean square and stay sparse.  A loss that is
        multiplied by a `sample_weight` is the loss of a sample that counts as much more.

        Raises :class:`DataError` or :class:`ShapeError` for a sample that is wrong, with its number, and
        :class:`DivergedError` if the rate is too high for the data.  The samples before it were then learnt.
        """
        self._learn(X, y, self.samples, sample_weight)

    def _learn(self, X: Any, y: Any, first: int, sample_weight: Any = None) -> None:
        """Learn the samples after sample number `first`, up to the first one that is wrong."""
        rows, targets, wrong = self._sound(X, y, first)
        s = None if sample_weight is None else check_rows(np.zeros((len(y), 0)), y, sample_weight)[2]
        if rows.shape[0] and not self.samples:
            self._begin(rows, targets)
        self.losses = np.empty(0)
        for part in _segments(self.samples, len(targets)):
            if not self._steps(rows[part], targets[part], None if s is None else s[part]):
                raise DivergedError(
                    f"the weights left the finite numbers at sample {first + len(self.losses) + 1}; "
                    "give a smaller learning_rate, or leave it out"
                )
        if wrong:
            raise wrong

    def _steps(self, rows: Any, targets: NDArray, s: NDArray | None) -> bool:
        """Take a step for each sample; whether all of them led to finite weights."""
        before, kept = self.spread, self.columns.kept()
        rate = self._book.rate
        if self.automatic and self.loss.split()[0] in SCALED:
            if self.samples & (self.samples - 1) == 0:
                self._unit = self._deviation()
            rate = rate._replace(rate=rate.rate * self._unit)
            self.spread = running(self.spread, np.vander(targets - self._first, 3)[:, 1::-1])[0]
        X = self.columns.learn(rows) if self.automatic else rows
        risk = self._risk(X, targets, s)
        if self.samples < driver.PLAIN_STEPS:
            step = plain_walk(risk, self._book)
        else:
            kernel = risk.kernel()
            self._compiled = self._compiled or compiled_walk(kernel, self._book)
            step = partial(self._compiled, data=kernel.data)
        batches = next(mini_batches(len(targets), 1, np.random.default_rng(0), shuffle=False))
        log, none = walk.new_log(len(targets)), np.empty((0, len(self.w)))
        position = self._position
        noise = self._noise.next(len(targets), self.samples)
        done, why = step(rate, self.options, batches, position, noise, self.samples, log, none, none)
        sound = why != walk.NOT_FINITE
        if not sound:  # the sample that led there leaves no trace
            done = int(np.isfinite(log).all(axis=0).argmin())
            self.spread = before
            self.columns.back(kept)
            if self.automatic:
                self.columns.learn(rows[:done])
            if not np.isfinite(position["w"]).all():
                position.back()
        self.samples += done
        self.w = position.answer(self.samples)
        self.losses = np.concatenate([self.losses, log[0, :done]])
        return sound

    def _risk(self, X: Any, y: NDArray, s: NDArray | None = None) -> Risk:
        """The cost of each sample for itself: the loss times its weight, and the penalty."""
        risk = Risk(X, y, self.loss, l2=self.l2, sample_weight=s, n_classes=self.n_classes)
        risk.denominator = float(len(y))  # those that came together share nothing
        return risk

    def _sound(self, X: Any, y: Any, first: int) -> tuple[Any, NDArray, DescenderError | None]:
        """The samples up to the first one that is wrong, as numbers, and what is wrong with that one."""
        if sparse.issparse(X):
            return self._sound_sparse(X, y)
        rows, targets, wrong = numbers_of(X, y, first)
        if wrong and not len(rows):
            raise wrong
        rows = sparse.csr_array(rows) if self.sparse else rows
        width = len(self.columns.mean) if self.samples else rows.shape[-1]
        if rows.ndim != 2 or targets.shape != rows.shape[:1]:
            raise ShapeError(f"X has shape {rows.shape} and y has shape {targets.shape}; expected one target a row")
        if rows.shape[1] != width:
            raise ShapeError(f"a sample has {rows.shape[1]} columns; the first had {width}")
        loss, suits = self._suits(targets)
        if self.sparse:
            rows, targets, _ = self._sound_sparse(rows, targets)
            return rows, targets, wrong
        finite = np.isfinite(rows)
        sound = finite.all(axis=1) & suits
        if sound.all():
            return rows, targets, wrong
        bad = int(sound.argmin())
        who = f"sample {first + bad + 1}"
        if suits[bad]:
            wrong = DataError(
                f"{who}: column {finite[bad].argmin()} is not a finite number; fill or leave out such samples"
            )
        else:
            wrong = TargetError(f"{who}: the target is {targets[bad]:g}; {self.loss} needs {loss.targets}")
        return rows[:bad], targets[:bad], wrong

    def _sound_sparse(self, X: Any, y: Any) -> tuple[Any, NDArray, None]:
        """Sparse samples, all of which must be sound."""
        if self.samples and not self.sparse:
            return self._sound(X.toarray(), y, self.samples)  # type: ignore[return-value]
        X, y, _ = check_rows(X, y, None)
        if self.samples and X.shape[1] != len(self.columns.mean):
            raise ShapeError(f"a sample has {X.shape[1]} columns; the first had {len(self.columns.mean)}")
        loss, suits = self._suits(y)
        if not suits.all():
            bad = int(suits.argmin())
            raise TargetError(
                f"sample {self.samples + bad + 1}: the target is {y[bad]:g}; {self.loss} needs {loss.targets}"
            )
        return X, y, None

    def _suits(self, targets: NDArray) -> tuple[Any, NDArray]:
        """The loss, and which targets it accepts."""
        loss = read_loss(self.loss)
        if self.n_classes is not None and self.n_classes > 2 and "multiclass" in loss.tasks:
            return Softmax, Softmax.suits(targets) & (targets < self.n_classes)
        return loss, np.isfinite(targets) & loss.suits(targets)

    def follow(self, rows: Iterable[Any], target: str | None = None, every: int = 1000) -> Iterator[Seen]:
        """Learn from an iterator of (x, y) pairs, or of mappings with a `target`; look up after `every` samples.

        The iterator may be endless; at most a few hundred samples are held at a time.

        >>> import itertools
        >>> stream = (((x,), 2.0 * x) for x in itertools.cycle([0.0, 1.0, 2.0]))
        >>> seen = list(itertools.islice(Online().follow(stream, every=500), 3))
        >>> [s.samples for s in seen], seen[-1].loss < 1e-3
        ([500, 1000, 1500], True)
        """
        if every < 1:
            raise OptionError(f"every={every}: expected at least 1")
        samples, first = pairs_of(rows, target), 0
        total, count = 0.0, 0
        wrong: InputError | None = None
        while not wrong:
            chunk, wrong = take(samples, min(AT_ONCE, every - count))
            if not chunk:
                break
            self._learn([x for x, _ in chunk], [y for _, y in chunk], first)
            first += len(chunk)
            total, count = total + float(self.losses.sum()), count + len(chunk)
            if count >= every:
                yield Seen(self.samples, total / count, self.w.copy())
                total, count = 0.0, 0
        if wrong:
            raise wrong
        if count:
            yield Seen(self.samples, total / count, self.w.copy())

    def scores(self, X: ArrayLike) -> NDArray[np.float64]:
        """The scores of rows."""
        if not self.samples:
            raise CapabilityError("nothing was learnt yet: call learn or follow first")
        rows: Any
        try:
            rows = X if sparse.issparse(X) else np.array(X, dtype=np.float64, ndmin=2)
        except (TypeError, ValueError) as error:
            raise DataError(f"X must hold numbers, the same count in each row: {error}") from None
        if rows.ndim != 2 or rows.shape[1] != len(self.columns.mean):
            raise ShapeError(f"X has shape {rows.shape}; expected rows of {len(self.columns.mean)} columns")
        if sparse.issparse(rows):
            W, b = self.coefficients
            return rows @ W.T + b
        W, b = self._probe.split(self.w)
        rows = self.columns.standardised(rows) if self.automatic else rows
        return rows @ W.T + b

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """The predicted numbers, or probabilities of class 1; of more classes, one column each."""
        return read_loss(self.loss).predict(self.scores(X).T).T

    @property
    def coefficients(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weights (d,) and intercept (), or (K, d) and (K,) for K classes, in the units of the columns."""
        W, b = self._probe.split(self.w)
        if not self.automatic:
            return W.copy(), np.array(b)
        W = W / self.columns.scale
        return W, b - W @ self.columns.mean

    def resume(self, W: NDArray, b: NDArray, X: Any, y: NDArray, seen: int, s: NDArray | None = None) -> None:
        r"""Begin at weights in the units of the columns, as if `seen` samples like those of `X` had led there.

        The columns' means and deviations are those of `X`, and AdaGrad's sums of squared gradients are `seen` times
        their mean over `X` at these weights, so that the next steps are small beside what was learnt.
        """
        rows, y, _ = self._sound(X, y, 0)
        self._begin(rows, y)
        self.samples = max(int(seen), rows.shape[0])
        self.spread = np.array([y - y[0], (y - y[0]) ** 2]).mean(axis=1) * self.samples
        self._unit = self._deviation()
        if self.automatic:
            self.columns.resume(rows, self.samples)
            rows = self.columns.standardised(rows)
            b, W = b + W @ self.columns.mean, W * self.columns.scale
        self.w = self._probe.join(W, b)
        self._position = self._book.position(self.w)
        if self.automatic:
            risk = self._risk(rows, y, s)
            slopes = np.atleast_2d(risk.loss.slope(risk.scores(self.w, rows), y)) * (1.0 if s is None else s)
            squares = rows.power(2) if self.sparse else rows**2
            share = self.samples / rows.shape[0]
            self._position.states[:] = share * risk.join((squares.T @ (slopes**2).T).T, (slopes**2).sum(axis=1))

    def model(self, names: Sequence[str], target: str = "y") -> LinearModel:
        """The model as learnt so far, which finds the columns `names` by name and predicts `target`; to be saved.

        Numbers are standardised as they were for learning: by the running mean and deviation, or not at all where a
        rate was given.  Its coefficients are in the units of the columns.

        >>> online = Online(learning_rate=0.1)
        >>> online.learn([[0.0], [1.0], [2.0]] * 200, [1.0, 4.0, 7.0] * 200)
        >>> model = online.model(["size"], "price")
        >>> model.coefficients.round(6), model.predict({"size": [10.0]}).round(6)
        (array([3.]), array([31.]))
        """
        if not self.samples:
            raise CapabilityError("nothing was learnt yet: call learn or follow first")
        names = [str(name) for name in names]
        check_names(names, "the model")
        if len(names) != len(self.columns.mean):
            raise ShapeError(f"{len(names)} names for {len(self.columns.mean)} columns: expected one each")
        if target in names:
            raise ColumnError(f"the target {target} is among the columns that it is learnt from")
        known = zip(names, self.mean.tolist(), self.scale.tolist(), strict=True)
        columns = tuple(Number(*facts, missing=0.0) for facts in known)
        W, b = self._probe.split(self.w)
        two = self.loss in OF_TWO_CLASSES and W.ndim == 1
        coding = TargetCoding(target, "binary", (0, 1)) if two else TargetCoding(target, "regression")
        if W.ndim == 2:
            coding = TargetCoding(target, "multiclass", tuple(range(len(W))))
        facts = {"n_rows": self.samples, "l2": self.l2, "online": True}
        return LinearModel(Encoder(columns), coding, self.loss, W.copy(), np.array(b), facts=facts)

    @property
    def mean(self) -> NDArray[np.float64]:
        """The running mean of each column; 0 where a rate was given, which takes columns as they are."""
        return self.columns.mean

    @property
    def scale(self) -> NDArray[np.float64]:
        """The running deviation of each column; 1 where it did not vary, and where a rate was given."""
        return self.columns.scale

    def _begin(self, rows: Any, targets: NDArray) -> None:
        d, self.sparse = rows.shape[1], sparse.issparse(rows)
        self._probe = probe = self._risk(rows[:1], np.zeros(1))
        self.columns = RunningColumns(rows)
        named = "sgd" if self.method == "auto" else self.method
        method, rate = AUTOMATIC if self.automatic else (named, self.learning_rate)
        self._book = textbook(probe, str(method), rate, 1, self.options, "stop", **self.hyperparameters)
        self.w, self.spread = np.zeros(probe.n_parameters), np.zeros(2)
        self._first, self._unit = float(targets[0]), 0.0
        if self.automatic and self.loss.split()[0] in SCALED:
            self.w[-1] = self._first
        self._position = self._book.position(self.w)
        self._noise = Noise(self._book.rule, d + 1, np.random.default_rng(0))

    def _deviation(self) -> float:
        """The deviation of the targets so far."""
        first, second = self.spread / max(self.samples, 1)
        return float(np.sqrt(max(second - first**2, 0.0)))


def _segments(samples: int, count: int) -> Iterator[slice]:
    """The next samples in parts that end after 1, 2, 4, 8 ... samples of the stream.

    How a part is walked is a matter of how many samples there were before it, and never of how they arrived.
    """
    start = 0
    while start < count:
        stop = min(count, (1 << (samples + start).bit_length()) - samples)
        yield slice(start, stop)
        start = stop
