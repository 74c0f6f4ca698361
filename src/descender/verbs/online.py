"""Learning from a stream, sample by sample: endless, in constant memory."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.losses import LOSSES, read_loss
from descender.costs.risk import Risk
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
from descender.methods.advance import Options
from descender.methods.auto import textbook
from descender.methods.estimates import mini_batches
from descender.methods.rates import Constant
from descender.methods.rules import RULES
from descender.methods.textbook import PLAIN_STEPS, compiled_walk, plain_walk
from descender.model import Model

AUTOMATIC = ("adagrad", Constant(0.5))
"""Without a rate: AdaGrad on columns standardised by what was seen of them so far."""
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
    columns are standardised by their running mean and deviation and the rule is AdaGrad; with a number, the columns are
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
        **hyperparameters: Any,
    ):
        if read_loss(loss).scores_per_class:
            one_score = [name for name, known in LOSSES.items() if not known.scores_per_class]
            raise OptionError(f"loss={loss!r}; {suggest(loss, one_score)}")
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
        self.mean: NDArray[np.float64] = np.empty(0)
        self.square: NDArray[np.float64] = np.empty(0)
        self.origin: NDArray[np.float64] = np.empty(0)
        self.total: NDArray[np.float64] = np.empty(0)
        self._position: Any = None
        self.losses: NDArray[np.float64] = np.empty(0)
        self._book: Any = None
        self._compiled: Any = None

    def learn(self, X: ArrayLike, y: ArrayLike) -> None:
        """Learn the rows of `X` (k, d) in their order; the same as learning them one by one, to the last bit.

        Raises :class:`DataError` or :class:`ShapeError` for a sample that is wrong, with its number, and
        :class:`DivergedError` if the rate is too high for the data.  The samples before it were then learnt.
        """
        self._learn(X, y, self.samples)

    def _learn(self, X: Any, y: Any, first: int) -> None:
        """Learn the samples after sample number `first`, up to the first one that is wrong."""
        rows, targets, wrong = self._sound(X, y, first)
        if len(rows) and not self.samples:
            self._begin(rows)
        self.losses = np.empty(0)
        # which steps are compiled is a matter of how many there were, and never of how the samples arrived
        early = max(PLAIN_STEPS - self.samples, 0)
        for part in (slice(0, early), slice(early, None)):
            if len(rows[part]) and not self._steps(rows[part], targets[part]):
                raise DivergedError(
                    f"the weights left the finite numbers at sample {first + len(self.losses) + 1}; "
                    "give a smaller learning_rate, or leave it out"
                )
        if wrong:
            raise wrong

    def _steps(self, rows: NDArray, targets: NDArray) -> bool:
        """Take a step for each sample; whether all of them led to finite weights."""
        before = self.mean, self.square, self.total
        X = self._standardise(rows, learn=True) if self.automatic else rows
        risk = Risk(X, targets, self.loss, l2=self.l2)
        if self.samples < PLAIN_STEPS:
            step = plain_walk(risk, self._book)
        else:
            kernel = risk.kernel()
            self._compiled = self._compiled or compiled_walk(kernel, self._book)
            step = partial(self._compiled, data=kernel.data)
        batches = next(mini_batches(len(rows), 1, np.random.default_rng(0), shuffle=False))
        log, none = np.zeros((len(rows), len(walk.COLUMNS))), np.empty((0, len(self.w)))
        position = self._position
        done, why = step(self._book.rate, self.options, batches, position, none, self.samples, log, none, none)
        sound = why != walk.NOT_FINITE
        if not sound:  # the sample that led there leaves no trace
            done = int(np.isfinite(log).all(axis=1).argmin())
            self.mean, self.square, self.total = before
            if self.automatic:
                self._standardise(rows[:done], learn=True)
            if not np.isfinite(position["w"]).all():
                position.back()
        self.samples += done
        self.w = position.answer(self.samples)
        self.losses = np.concatenate([self.losses, log[:done, 0]])
        return sound

    def _sound(self, X: Any, y: Any, first: int) -> tuple[NDArray, NDArray, DescenderError | None]:
        """The samples up to the first one that is wrong, as numbers, and what is wrong with that one."""
        rows, targets, wrong = _numbers(X, y, first)
        if wrong and not len(rows):
            raise wrong
        width = len(self.mean) if self.samples else rows.shape[-1]
        if rows.ndim != 2 or targets.shape != rows.shape[:1]:
            raise ShapeError(f"X has shape {rows.shape} and y has shape {targets.shape}; expected one target a row")
        if rows.shape[1] != width:
            raise ShapeError(f"a sample has {rows.shape[1]} columns; the first had {width}")
        finite, loss = np.isfinite(rows), read_loss(self.loss)
        suits = np.isfinite(targets) & loss.suits(targets)
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
        samples, first = _pairs(rows, target), 0
        total, count = 0.0, 0
        wrong: InputError | None = None
        while not wrong:
            chunk, wrong = _take(samples, min(AT_ONCE, every - count))
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
        try:
            rows = np.array(X, dtype=np.float64, ndmin=2)
        except (TypeError, ValueError) as error:
            raise DataError(f"X must hold numbers, the same count in each row: {error}") from None
        if rows.ndim != 2 or rows.shape[1] != len(self.mean):
            raise ShapeError(f"X has shape {rows.shape}; expected rows of {len(self.mean)} columns")
        rows = self._standardise(rows, learn=False) if self.automatic else rows
        return rows @ self.w[:-1] + self.w[-1]

    def predict(self, X: ArrayLike) -> NDArray[np.float64]:
        """The predicted numbers, or probabilities of class 1."""
        return read_loss(self.loss).predict(self.scores(X))

    def model(self, names: Sequence[str], target: str = "y") -> Model:
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
        if len(names) != len(self.mean):
            raise ShapeError(f"{len(names)} names for {len(self.mean)} columns: expected one each")
        if target in names:
            raise ColumnError(f"the target {target} is among the columns that it is learnt from")
        d = len(names)
        mean, scale = (self.mean, self.scale) if self.automatic else (np.zeros(d), np.ones(d))
        columns = tuple(Number(*known, missing=0.0) for known in zip(names, mean.tolist(), scale.tolist(), strict=True))
        two = self.loss in OF_TWO_CLASSES
        coding = TargetCoding(target, "binary", (0, 1)) if two else TargetCoding(target, "regression")
        facts = {"n_rows": self.samples, "l2": self.l2, "online": True}
        return Model(Encoder(columns), coding, self.loss, self.w[:-1].copy(), np.array(self.w[-1]), facts=facts)

    @property
    def scale(self) -> NDArray[np.float64]:
        """The running deviation of each column; 1 where it did not vary."""
        deviation = np.sqrt(self.square / max(self.samples, 1))
        return np.where(deviation > 0, deviation, 1.0)

    def _begin(self, rows: NDArray) -> None:
        d = rows.shape[1]
        self.w, self.mean, self.square = np.zeros(d + 1), np.zeros(d), np.zeros(d)
        self.origin, self.total = rows[0].copy(), np.zeros(d)
        probe = Risk(rows[:1], np.zeros(1), self.loss, l2=self.l2)
        named = "sgd" if self.method == "auto" else self.method
        method, rate = AUTOMATIC if self.automatic else (named, self.learning_rate)
        self._book = textbook(probe, str(method), rate, 1, self.options, "stop", **self.hyperparameters)
        self._position = self._book.position(self.w)

    def _standardise(self, rows: NDArray, learn: bool) -> NDArray:
        """The rows less the mean and over the deviation of all samples up to each of them, or of those seen so far.

        Sums accumulate in the order of the samples, so that the bits do not depend on how many arrive at a time; the
        first sample is subtracted from all, so that a large offset costs no digits.
        """
        if not learn:
            return (rows - self.mean) / self.scale
        if not len(rows):
            return rows
        count = self.samples + np.arange(1.0, len(rows) + 1.0)[:, None]
        self.total, sums = _running(self.total, rows - self.origin)
        means = self.origin + sums / count
        change = rows - np.vstack([self.mean, means[:-1]])
        self.square, squares = _running(self.square, np.maximum(change * (rows - means), 0.0))
        self.mean = means[-1]
        deviation = np.sqrt(squares / count)
        return (rows - means) / np.where(deviation > 0, deviation, 1.0)


def _running(start: NDArray, rows: NDArray) -> tuple[NDArray, NDArray]:
    """The sum after the last row, and after each of them."""
    sums = np.cumsum(np.vstack([start, rows]), axis=0)[1:]
    return sums[-1], sums


def _numbers(X: Any, y: Any, first: int) -> tuple[NDArray, NDArray, DescenderError | None]:
    """Samples as numbers, up to the first one that is none or has another width, and what is wrong with that one."""
    try:
        return np.array(X, dtype=np.float64, ndmin=2), np.atleast_1d(np.asarray(y, dtype=np.float64)), None
    except (TypeError, ValueError, OverflowError):
        pass
    rows: list[NDArray] = []
    targets: list[float] = []
    wrong: DescenderError | None = None
    many = isinstance(X, Iterable)
    for number, (x, target) in enumerate(zip(X if many else [X], y if many else [y], strict=False), first + 1):
        try:
            row, value = np.atleast_1d(np.asarray(x, dtype=np.float64)), float(target)
        except (TypeError, ValueError, OverflowError):
            wrong = DataError(f"sample {number} is {x!r} with the target {target!r}: expected numbers")
            break
        if rows and row.shape != rows[0].shape:
            wrong = ShapeError(f"sample {number} has {row.size} columns; the first had {rows[0].size}")
            break
        rows.append(row)
        targets.append(value)
    return np.array(rows), np.array(targets), wrong


def _take(samples: Iterator[Any], most: int) -> tuple[list[Any], InputError | None]:
    """Up to `most` samples, and what is wrong with the next one."""
    taken = []
    try:
        for sample in itertools.islice(samples, most):
            taken.append(sample)
    except InputError as error:
        return taken, error
    return taken, None


def _pairs(rows: Iterable[Any], target: str | None) -> Iterator[tuple[Sequence[float], float]]:
    """(x, y) of pairs, or of mappings whose columns are those of the first."""
    names: list[str] | None = None
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            try:
                x, y = row
                yield np.atleast_1d(np.asarray(x, dtype=np.float64)).tolist(), float(y)
            except (TypeError, ValueError, OverflowError):
                raise DataError(f"sample {number} is {row!r}: expected a pair of numbers x and a number y") from None
            continue
        if target is None or target not in row:
            raise DataError(f"sample {number} has no {target!r}; {suggest(str(target), row)}")
        names = names or [name for name in row if name != target]
        try:
            yield [float(row[name]) for name in names], float(row[target])
        except KeyError as error:
            raise DataError(f"sample {number} has no {error.args[0]!r}, which the first one had") from None
        except (TypeError, ValueError, OverflowError):
            bad = next(n for n in [*names, target] if not _is_number(row[n]))
            raise DataError(f"sample {number}: {bad} is {row[bad]!r}, not a number") from None


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError, OverflowError):
        return False
    return True
