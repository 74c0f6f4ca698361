"""The cost of a network on samples: forward pass, backpropagation, one flat parameter vector."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import blas

from descender.costs.cost import Cost, Rows, Vector
from descender.costs.losses import Loss, Softmax, check_targets, read_loss
from descender.costs.network.body import Body, Names
from descender.costs.network.layers import Dense, Layer, Mode, Recurrent, ones
from descender.costs.network.trace import Trace, trace
from descender.costs.risk import check_rows
from descender.errors import CapabilityError, DataError, OptionError, ShapeError

STARTED_BY = 1000
"""Samples, at least, by which the first layer's start is scaled."""
FEW = 64
"""Samples of a block of that."""
BLOCK_NUMBERS = 1 << 22
"""Activations that a reading of all samples holds at a time, where samples do not look at each other."""


class ErrorVector(NamedTuple):
    """What comes back to one layer: sizes of its signal, of its error vector and of its gradient, and of its weights.

    ``signal`` and ``error`` are root mean squares over the nodes and samples of its output, ``gradient`` is the norm of
    the gradient of its weights, ``node`` the root mean square over its nodes of that norm for the weights of one node,
    ``spectral`` the largest singular value of each weight matrix by name.  A recurrent layer has an error vector at
    each state that it went through: ``through_time`` holds their root mean squares, that of the last state last.
    """

    layer: str
    signal: float
    error: float
    gradient: float
    node: float
    spectral: dict[str, float]
    through_time: tuple[float, ...] = ()


class Network(Body, Cost):
    r"""The mean loss of a network over samples, plus an l2 penalty on its weights.

    .. math:: J(w) = \frac{\sum_i s_i\, \ell(f_w(x_i), y_i)}{\sum_i s_i} + \frac{\lambda_2}{2} \sum_W \lVert W \rVert^2

    Parameters: `layers`, as made by :func:`~descender.costs.network.build.perceptron`; `X` (n, inputs), dense or CSR,
    or (n, steps, inputs) where the first layer is recurrent; `y` (n,), or (n, outputs) for several numbers or labels a
    sample, the mean of whose losses is the loss; `loss` a name of ``LOSSES``; `l2`; `sample_weight` (n,); `seed` of
    what dropout drops.

    J is computed in the dtype of X (float32 or float64) and summed in float64.  With `rows`, dropout is active and
    batch normalisation looks at those rows; a reading of all samples drops nothing.

    >>> from descender.costs.network.build import perceptron
    >>> network = Network(perceptron(1, [2], 1, "tanh"), [[0.0], [1.0]], [0.0, 1.0])
    >>> network.n_parameters, network.start(seed=0).shape
    (7, (7,))
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        X: ArrayLike,
        y: ArrayLike,
        loss: str = "squared_error",
        *,
        l2: float = 0.0,
        sample_weight: ArrayLike | None = None,
        seed: int = 0,
    ):
        if not isinstance(l2, int | float | np.number) or not (np.isfinite(l2) and l2 >= 0):
            raise OptionError(f"l2={l2!r}: a penalty strength is a finite number of at least 0")
        Body.__init__(self, layers)
        self.loss: Loss = read_loss(loss)
        self.l2, self.seed, self.readings = float(l2), seed, 0
        self.X, self.y, self.sample_weight = _samples(X, y, sample_weight, self.loss)
        self.n_outputs = self._check_outputs(self.width(self.X.shape[-1]))
        self.n_samples: int = self.X.shape[0]
        self.total_weight = float(self.n_samples if self.sample_weight is None else self.sample_weight.sum())
        self.smooth = self.convex = self.slow = False
        self.seldom_read = True
        ways = zip(self.layers, self.layout.places, strict=True)
        self.penalised = [places[name][0] for layer, places in ways for name in layer.penalised]
        self.draws = any(getattr(layer, "share", 0.0) > 0 for layer in self.all_layers)
        self.taken: NDArray | None = None
        self.numbers: NDArray | None = None  # what samples and columns are called in the data as they were given
        self.columns: Sequence[str] | None = None
        self.dtype = self.X.dtype.type
        widest = max(int(np.prod(shape[-1:])) for layer in self.layers for shape in layer.shapes.values())
        steps = self.X.shape[1] if self.X.ndim == 3 else 1
        alone = all(layer.per_sample for layer in self.layers)
        self.block = max(BLOCK_NUMBERS // (widest * steps * len(self.layers)), 64) if alone else self.n_samples

    @property
    def names(self) -> Sequence[str]:  # type: ignore[override]
        """Layer, parameter and index of each number of w."""
        return Names(self.layout)

    @property
    def n_parameters(self) -> int:
        """The length of w."""
        return self.layout.size

    @np.errstate(over="ignore", invalid="ignore")
    def start(self, seed: int = 0) -> Vector:
        """Initial parameters, in the dtype of the samples.

        Where no initialisation was asked for, the first layer begins as if the columns had been brought to mean 0, and
        all together to variance 1: that its nodes bend within the samples does not depend on how these are scaled.
        """
        w = super().start(seed)
        first = self.layers[0]
        if isinstance(first, Dense) and first.by_samples:
            n = self.X.shape[0]
            some = np.arange(0, n, max(1, n // STARTED_BY))
            center, square = mean_and_square(
                self.X[some], None if self.sample_weight is None else self.sample_weight[some]
            )
            scale = float(np.sqrt(max(square.mean() - np.mean(center**2), 0.0)))
            p = self.layout.views(w)[0]
            if np.isfinite(scale) and scale > 1e-9 * np.abs(center).max(initial=0.0):
                p["weight"] /= scale
                p["bias"] -= center @ p["weight"].astype(np.float64)
        return w

    def default_start(self) -> Vector:
        """What the seed draws."""
        return self.start(self.seed)

    def value_and_gradient(self, w: Vector, rows: Rows | None = None) -> tuple[float, Vector]:
        """J(w) and its gradient; from some `rows`, an estimate of both."""
        self._check(w)
        w = w.astype(self.X.dtype, copy=False)
        gradient = np.zeros_like(w)
        return self.gradient_into(gradient, w, rows), gradient

    def gradient_into(self, gradient: Vector, w: Vector, rows: Rows | None = None) -> float:
        """J(w), with its gradient written into `gradient`, which is of the dtype of X, as `w` is."""
        mode, total, share = self._mode(rows), 0.0, self._share(rows)
        whole = rows is not None or self.block >= self.n_samples
        if not whole:
            gradient[:] = 0.0
        for X, y, s in [self._batch(rows)] if rows is not None else self._blocks():
            part = gradient if whole else np.empty_like(w)
            outputs, memory = self.forward(w, X, mode)
            values, error = self._judge(outputs, y)
            total += float(np.add.reduce(values if s is None else s * values, dtype=np.float64))
            error *= self.X.dtype.type(share) if s is None else (share * s).astype(self.X.dtype)[:, None]
            for _ in self.backward(w, memory, error, part):
                pass
            if not whole:
                gradient += part
        value = total * share
        if self.l2:
            value += self._penalise(w, gradient)
        return value

    def value(self, w: Vector, rows: Rows | None = None) -> float:
        """J(w)."""
        self._check(w)
        w = w.astype(self.X.dtype, copy=False)
        mode, total = self._mode(rows), 0.0
        for X, y, s in [self._batch(rows)] if rows is not None else self._blocks():
            values, _ = self._judge(self.forward(w, X, mode)[0], y)
            total += float(np.sum(values if s is None else s * values, dtype=np.float64))
        return total * self._share(rows) + (self._penalise(w) if self.l2 else 0.0)

    @np.errstate(over="ignore", invalid="ignore")
    def error_vectors(self, w: Vector, rows: Rows | None = None) -> list[ErrorVector]:
        """How large signals, error vectors and gradients are at each layer that has parameters, first layer first."""
        w = w.astype(self.X.dtype, copy=False)
        gradient, told = np.zeros_like(w), []
        X, y, _ = self._batch(rows) if rows is not None else next(self._blocks())
        outputs, memory = self.forward(w, X, Mode())
        _, error = self._judge(outputs, y)
        error = error / len(error)
        errors = [error, *self.backward(w, memory, error, gradient)]
        ways = zip(
            self.layers, self.layout.views(w), self.layout.views(gradient), self._signals(w, X), memory,
            reversed(errors[:-1]), strict=True,
        )  # fmt: skip
        for k, (layer, p, g, signal, kept, back) in enumerate(ways):
            if layer.shapes:
                matrices = {
                    name: float(np.linalg.norm(v, 2)) for name, v in p.items() if v.ndim == 2 and np.isfinite(v).all()
                }
                norm = _size(g.values())
                states = [back]
                if isinstance(layer, Recurrent):
                    states += [before for _, before in layer.through_time(p, kept, back)][:-1]
                sizes = tuple(map(_rms, reversed(states))) if isinstance(layer, Recurrent) else ()
                node = norm / np.sqrt(back.shape[-1])
                name = f"layer{k} ({layer.name})"
                told.append(ErrorVector(name, signal, _rms(back), norm, float(node), matrices, sizes))
        return told

    @np.errstate(all="ignore")
    def layer_gradients(self, w: Vector, rows: Rows) -> dict[str, float]:
        """The norm of what each layer with parameters has of the gradient of some rows, first layer first.

        The rows are read as a whole network reads them, and nothing of the training is changed by that.
        """
        w, learnt = w.astype(self.X.dtype, copy=False), self.statistics
        gradient = np.zeros_like(w)
        outputs, memory = self.forward(w, self.X[rows], Mode())
        _, error = self._judge(outputs, self.y[rows])
        for _ in self.backward(w, memory, error / len(error), gradient):
            pass
        self.statistics = learnt
        ways = enumerate(zip(self.layers, self.layout.views(gradient), strict=True))
        return {f"layer{k} ({layer.name})": _size(g.values()) for k, (layer, g) in ways if layer.shapes}

    def trace(self, w: Vector, rows: Rows | None = None, start: Vector | None = None) -> Trace | None:
        """What is not finite first where J and its gradient are computed at w: see :func:`trace`."""
        return trace(self, w, rows, start)

    def scores(self, w: Vector, X: Any) -> NDArray:
        """The outputs for new samples: (n,) where there is one a sample, else (n, outputs)."""
        w = w.astype(self.X.dtype, copy=False)
        starts = range(0, max(X.shape[0], 1), self.block)
        parts = [self.forward(w, X[i : i + self.block], Mode(frozen=True))[0] for i in starts]
        out = np.concatenate(parts)
        return out[:, 0] if self.n_outputs == 1 else out

    @np.errstate(over="ignore", invalid="ignore")
    def mean_loss(self, z: NDArray, y: NDArray, sample_weight: NDArray | None = None) -> float:
        """The mean loss of samples with these :meth:`scores`; without penalty."""
        values = self._judge(z[:, None] if z.ndim == 1 else z, y)[0]
        return float(np.average(values, weights=sample_weight))

    def forget(self) -> None:
        """Let go of the samples; what remains can still be asked for scores."""
        self.X, self.y, self.sample_weight, self.taken = self.X[:0], self.y[:0], None, None

    def _signals(self, w: Vector, X: Any) -> list[float]:
        out, a = [], X
        for layer, p in zip(self.layers, self.layout.views(w), strict=True):
            a, _ = layer.forward(p, a, Mode())
            out.append(_rms(a))
        return out

    def _judge(self, outputs: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
        """The loss of each sample, and its derivative by the outputs: the error vector that goes back."""
        if self.loss is Softmax:
            return softmax_value_and_slope(outputs, y)
        if y.ndim == 2:
            return self.loss.value(outputs, y).mean(axis=1), self.loss.slope(outputs, y) / outputs.dtype.type(
                y.shape[1]
            )
        z = outputs[:, 0]
        return self.loss.value(z, y), self.loss.slope(z, y).astype(outputs.dtype, copy=False)[:, None]

    def _penalise(self, w: Vector, gradient: Vector | None = None) -> float:
        total = 0.0
        add = blas.saxpy if w.dtype == np.float32 else blas.daxpy
        for place in self.penalised:
            weights = w[place]
            total += float(weights @ weights)
            if gradient is not None:
                add(weights, gradient[place], a=self.l2)  # in place
        return 0.5 * self.l2 * total

    def _mode(self, rows: Rows | None) -> Mode:
        if rows is None:
            return Mode()
        self.readings += 1
        return Mode(np.random.default_rng((self.seed, self.readings))) if self.draws else Mode()

    def _share(self, rows: Rows | None) -> float:
        return (1.0 if rows is None else self.n_samples / len(rows)) / self.total_weight

    def _batch(self, rows: Rows) -> tuple[Any, NDArray, NDArray | None]:
        s = self.sample_weight
        return self._take(rows), self.y.take(rows, axis=0), None if s is None else s[rows]

    def _blocks(self) -> Iterator[tuple[Any, NDArray, NDArray | None]]:
        s = self.sample_weight
        for i in range(0, self.n_samples, self.block):
            part = slice(i, i + self.block)
            yield self.X[part], self.y[part], None if s is None else s[part]

    def _take(self, rows: Rows) -> Any:
        """Some samples, in an array that is used again for the next ones."""
        X = self.X
        if not isinstance(X, np.ndarray):
            return X[rows]
        if self.taken is None or len(self.taken) != len(rows) or self.taken.dtype != X.dtype:
            self.taken = np.empty((len(rows), *X.shape[1:]), dtype=X.dtype)
        return np.take(X, rows, axis=0, out=self.taken, mode="clip")

    def _check_outputs(self, outputs: int) -> int:
        if self.loss is Softmax:
            classes = int(self.y.max()) + 1
            if outputs < classes:
                raise ShapeError(
                    f"the targets have {classes} classes, the last layer {outputs} outputs; give one for each"
                )
        elif self.y.ndim == 2:
            if outputs != self.y.shape[1]:
                raise ShapeError(
                    f"y has shape {self.y.shape}, the last layer {outputs} outputs; give one for each column"
                )
        elif outputs != 1:
            raise ShapeError(f"{self.loss.name} needs one output, the last layer has {outputs}")
        return outputs

    def _check(self, w: Vector) -> None:
        if w.shape != (self.layout.size,):
            raise ShapeError(f"w has shape {w.shape}; this network has {self.layout.size} parameters")


def softmax_value_and_slope(z: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    """:class:`~descender.costs.losses.Softmax` of scores (n, K) and its slope, in one pass over all classes.

    Sums are products with ones: of many short rows NumPy's own take three times longer.
    """
    n, classes = z.shape
    chosen = np.arange(0, n * classes, classes)
    chosen += y.astype(np.intp, copy=False)
    z = z - np.maximum.reduce(z, axis=1, keepdims=True)
    flat = z.reshape(-1)
    value = flat.take(chosen)
    np.exp(z, out=z)
    total = np.dot(z, ones(classes, z.dtype))
    z /= total[:, None]
    flat[chosen] -= 1.0
    return np.log(total) - value, z


def mean_and_square(X: Any, s: NDArray | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean of each column and of its squares, with the weights `s` of the rows; X is dense or CSR."""
    share = np.full(X.shape[0], 1.0) if s is None else s.astype(np.float64)
    share, mean, square = share / (share.sum() or 1.0), np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for i in range(0, len(share), FEW):  # a block of float64 stays in the cache
        part, own = X[i : i + FEW].astype(np.float64), share[i : i + FEW]
        mean += part.T @ own
        square += (np.square(part, out=part) if isinstance(part, np.ndarray) else part.multiply(part)).T @ own
    return mean, square


def _size(parts: Iterable[NDArray]) -> float:
    """The norm of some arrays together, without overflow."""
    flat = [part.reshape(-1) for part in parts]
    return math.hypot(*(float((blas.snrm2 if v.dtype == np.float32 else blas.dnrm2)(v)) for v in flat))


def _rms(a: Any) -> float:
    values = a if isinstance(a, np.ndarray) else a.data
    with np.errstate(all="ignore"):
        return float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))) if values.size else 0.0


def _samples(X: Any, y: Any, sample_weight: Any, loss: Loss) -> tuple[Any, NDArray, NDArray | None]:
    """Samples, targets and weights, checked; sequences may end in steps of NaN."""
    try:
        Y = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"the targets y must be numbers: {error}") from None
    if Y.ndim == 2 and loss is Softmax:
        raise CapabilityError(
            f"y has shape {Y.shape}: softmax takes one class a sample; log_loss takes a row of labels"
        )
    sequences = not hasattr(X, "tocsr") and np.ndim(X) == 3
    if sequences:
        X = np.asarray(X)
        X = np.ascontiguousarray(X if X.dtype in (np.float32, np.float64) else X.astype(np.float64))
        check_sequences(X)
    if Y.ndim not in (1, 2):
        raise ShapeError(f"y has shape {Y.shape}; expected one target a sample, or a row of them")
    first = Y if Y.ndim == 1 else Y[:, 0]
    rows, _, s = check_rows(np.zeros((len(X), 1)) if sequences else X, first, sample_weight)
    for column in Y.T if Y.ndim == 2 else [Y]:
        check_targets(loss, column)
    X = X if sequences else rows
    return X, Y if loss is Softmax else Y.astype(X.dtype), s


def check_sequences(X: NDArray) -> None:
    """Refuse an array (samples, steps, inputs) in which a sequence is empty, not finite or interrupted."""
    if X.shape[0] == 0 or X.shape[1] == 0 or X.shape[2] == 0:
        raise DataError(f"X has shape {X.shape}; expected (samples, steps, inputs), none of them 0")
    missing = np.isnan(X)
    given = ~missing.all(axis=2)
    if (missing.any(axis=2) & given).any() or np.isinf(X).any():
        raise DataError(
            "X has steps with missing or infinite inputs; only whole steps at the end of a sequence may be NaN"
        )
    short = np.flatnonzero(~given[:, 0])
    if short.size:
        raise DataError(f"the sequence of sample {short[0]} has no steps; leave such samples out")
    if (np.diff(given.astype(np.int8), axis=1) > 0).any():
        raise DataError("X has steps of NaN within a sequence; only those at its end may be NaN")
