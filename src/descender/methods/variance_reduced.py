r"""Variance reduction: batches whose noise falls to zero at the bottom, so that a constant rate arrives there.

With :math:`f_i` the cost of sample i, :math:`\tilde g_i` the gradient remembered of it and G the mean of all
that is remembered, a batch B gives the estimate

.. math:: g = G + \theta\, \frac{1}{|B|} \sum_{i \in B} \bigl(\nabla f_i(w) - \tilde g_i\bigr)

:math:`\theta = 1` makes it unbiased (SAGA, SVRG), :math:`\theta = |B|/n` is SAG.  SAG and SAGA remember the newest
gradient of every sample, SVRG those of all samples at one point, the snapshot.  Each is a cost around a cost: the loop,
the rules and the rates do not know of it.  Of a risk one slope a score is remembered instead of a gradient, and the
penalty, whose gradient has no noise, stays out of it all.  An l1 penalty is taken by the loop, after each step.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from descender.costs.certificate import Certificate, certificate
from descender.costs.cost import Cost, Kernel, Rows, Vector
from descender.costs.formula import Formula
from descender.costs.risk import Risk
from descender.errors import CapabilityError
from descender.kernels import reduced
from descender.kernels.texts import text_of
from descender.methods.advance import length
from descender.methods.method import Outcome

TABLE_NUMBERS = 1 << 25
"""Numbers that a table of gradients may hold: 256 MiB."""
PROBED = 512
"""Rows whose curvature is measured where no bound on it is known."""


@dataclass(frozen=True)
class Reduction:
    """What is remembered and how it is used: the estimate's own name, source, rate and memory.

    ``share`` times 1/L is the learning rate that is taken where none is given, L being the largest curvature of a
    sample's cost; ``epochs`` is how often a snapshot is taken, 0 where every step refreshes what it reads.
    """

    name: str
    about: str
    share: float
    biased: bool = False
    epochs: float = 0.0

    def check(self, cost: Cost) -> None:
        """Refuse a cost of which too much would have to be remembered."""
        size = (cost.n_samples or 0) * cost.n_parameters
        if size > TABLE_NUMBERS and not self.epochs and not isinstance(cost, Risk):
            raise CapabilityError(
                f"method={self.name!r} would remember a gradient for each of {cost.n_samples:,} samples and "
                f"{cost.n_parameters:,} parameters, {size * 8 / 2**20:,.0f} MiB of at most "
                f"{TABLE_NUMBERS * 8 >> 20} MiB: use method='svrg', which remembers one point, or a Risk, of which one "
                "slope a row is remembered"
            )

    def around(self, cost: Cost, batch_size: int) -> Reduced:
        """The cost whose gradients of some rows are estimated like that."""
        every = max(1, round(self.epochs * (cost.n_samples or 0) / batch_size)) if self.epochs else 0
        kind = Slopes if isinstance(cost, Risk) else Anchored if every else Gradients
        return kind(cost, self.biased, every)


REDUCTIONS = {
    kind.name: kind
    for kind in (
        Reduction(
            "sag",
            "The mean of the newest gradient of every sample, those not read yet left out: biased, and steady. "
            "M. Schmidt, N. Le Roux, F. Bach, *Minimizing finite sums with the stochastic average gradient*, 2017.",
            1.0,
            biased=True,
        ),
        Reduction(
            "saga",
            "SAG without its bias. A. Defazio, F. Bach, S. Lacoste-Julien, *SAGA: a fast incremental gradient method "
            "with support for non-strongly convex composite objectives*, 2014.",
            1.0 / 3.0,
        ),
        Reduction(
            "svrg",
            "A snapshot every second epoch, where all samples are read, instead of a table. R. Johnson, T. Zhang, "
            "*Accelerating stochastic gradient descent using predictive variance reduction*, 2013.",
            1.0 / 6.0,
            epochs=2.0,
        ),
    )
}
"""The methods by name; a batch is drawn anew at each step, as their proofs have it."""


class Judge:
    """Looks at the ends of epochs, ever more rarely, where a walk is.

    At the bottom it is, on a convex risk, where the certificate is within ``tol``; on another cost where the gradient
    of all samples has at most the norm ``gradient_tol``, if that is positive.
    """

    def __init__(self, cost: Cost, start: Vector, tol: float, gradient_tol: float):
        self.cost, self.tol, self.gradient_tol = cost, tol, gradient_tol
        self.epochs, self.next = 0, 1
        with np.errstate(all="ignore"):
            self.first = cost.value(start)
        self.value = self.fell = np.inf

    def due(self) -> bool:
        """Whether this end of an epoch is worth a look."""
        self.epochs += 1
        if self.epochs < self.next:
            return False
        self.next = self.epochs + max(1, self.epochs // 4)
        return True

    def rose(self, w: Vector) -> bool:
        """Look at the cost: is it higher than at the start?  Then the rate is too high, however slowly it shows."""
        before = self.value
        with np.errstate(all="ignore"):
            self.value = self.cost.value(w)
        self.fell = before - self.value
        return not self.value <= self.first

    def look(self, w: Vector) -> tuple[Outcome | None, Certificate | None]:
        """How the walk ends here, if it is at the bottom, and the certificate."""
        with np.errstate(all="ignore"):
            if isinstance(self.cost, Risk) and self.cost.convex:
                if self.fell > self.tol * max(abs(self.value), 1e-3 * abs(self.first)):
                    return None, None  # what still falls by more than is asked is not there: save two readings
                found = certificate(self.cost, w)
                content = found is not None and found.relative <= self.tol
                return (Outcome("converged", str(found)), found) if content else (None, None)
            norm = length(self.cost.gradient(w)) if self.gradient_tol > 0 else np.inf
        if not norm <= self.gradient_tol:
            return None, None
        return Outcome("small_gradient", f"the gradient is as small as asked: {norm:.3g}"), None


class Reduced(Cost):
    """A cost that remembers: :meth:`value_and_gradient` of some rows is an estimate with less noise.

    Of all rows everything is as it was.  Rows of one batch must differ.
    """

    def __init__(self, cost: Cost, biased: bool, every: int):
        self.cost, self.biased, self.every = cost, biased, every
        self.names, self.n_samples, self.smooth, self.convex = cost.names, cost.n_samples, cost.smooth, cost.convex
        self.n = cost.n_samples or 0
        self.average = np.zeros(cost.n_parameters)
        self.counts = np.zeros(2, dtype=np.int64)  # estimates that were made; samples that are remembered

    def value_and_gradient(self, w: Vector, rows: Rows | None = None) -> tuple[float, Vector]:
        """J(w) and its gradient, or an estimate of both from some rows that differ."""
        if rows is None:
            return self.cost.value_and_gradient(w)
        if self.every and self.counts[0] % self.every == 0:
            self.snapshot(w)
        self.counts[0] += 1
        return self.estimate(w, rows)

    def value(self, w: Vector, rows: Rows | None = None) -> float:
        """J(w)."""
        return self.cost.value(w, rows)

    def forget(self) -> None:
        """Remember nothing, as at the start."""
        self.average[:] = 0.0
        self.counts[:] = 0

    def reads(self, batches: NDArray) -> NDArray:
        """Gradients of single samples that the latest estimates took, one estimate for each of these batch sizes."""
        if not self.every:
            return batches
        first = int(self.counts[0]) - len(batches)
        return batches + self.n * ((first + np.arange(len(batches))) % self.every == 0)

    def snapshot(self, w: Vector) -> None:
        """Read all rows at w and remember them."""
        raise TypeError(f"{type(self).__name__} does not define snapshot")

    def estimate(self, w: Vector, rows: Rows) -> tuple[float, Vector]:
        """The estimate from some rows."""
        raise TypeError(f"{type(self).__name__} does not define estimate")

    def combine(self, change: Vector, batch: int) -> Vector:
        """The estimate, from the share of the mean that a batch changes; what is remembered takes it up."""
        if self.biased:
            self.average += change
            return self.average * (self.n / self.counts[1])
        gradient = self.average + change * (self.n / batch)
        if not self.every:
            self.average += change
        return gradient


class Slopes(Reduced):
    """A risk of which the slope of each score is remembered: n numbers, or n times the number of classes."""

    cost: Risk

    def __init__(self, cost: Cost, biased: bool, every: int):
        super().__init__(cost, biased, every)
        assert isinstance(cost, Risk)
        weights = np.ones(self.n) if cost.sample_weight is None else cost.sample_weight
        self.sigma = weights / cost.denominator
        self.table = np.full((self.n, cost.n_classes), np.nan)

    def forget(self) -> None:
        """Remember nothing, as at the start."""
        super().forget()
        self.table[:] = np.nan

    def snapshot(self, w: Vector) -> None:
        """Read all rows at w, in the blocks of the risk."""
        start = 0
        self.average[:] = 0.0
        for X, y, _ in self.cost.blocks():
            part = slice(start, start + len(y))
            slopes = self.cost.loss.slope(self.cost.scores(w, X), y)
            self.table[part] = np.atleast_2d(slopes).T
            self.average += self._spread(X, self.sigma[part] * slopes)
            start += len(y)

    def estimate(self, w: Vector, rows: Rows) -> tuple[float, Vector]:
        """The estimate from some rows."""
        risk = self.cost
        X, y, sigma = risk.X[rows], risk.y[rows], self.sigma[rows]
        z = risk.scores(w, X)
        slopes = risk.loss.slope(z, y)
        known = ~np.isnan(self.table[rows, 0])
        self.counts[1] += len(rows) - int(known.sum())
        old = np.where(known[:, None], self.table[rows], 0.0).T
        if not self.every:
            self.table[rows] = np.atleast_2d(slopes).T
        gradient = self.combine(self._spread(X, sigma * (np.atleast_2d(slopes) - old)), len(rows))
        W, b = risk.split(w)
        gradient += risk.join(risk.l2 * W + risk.pull * np.sign(W), 0.0 * b)
        share = self.n / len(rows)
        return share * float(np.sum(sigma * risk.loss.value(z, y))) + risk.penalty(w), gradient

    def _spread(self, X: object, r: NDArray) -> Vector:
        """The sum of the rows of X, each times its factor, class by class; then that of the intercepts."""
        r = np.atleast_2d(r)
        return self.cost.join((X.T @ r.T).T if self.cost.sparse else r @ X, r.sum(axis=1))  # type: ignore[attr-defined]

    def kernel(self) -> Kernel:
        """The loops over rows with this loss, around what is remembered."""
        risk = self.cost
        sample = reduced.sample_classes if risk.loss.scores_per_class else reduced.sample_one
        texts, X, numbers = risk.row_texts()
        texts += [
            text_of(sample, "sample"),
            text_of(reduced.add_row, "add_row"),
            text_of(reduced.evaluate_slopes, "evaluate"),
        ]
        size = (risk.n_features, risk.intercept, risk.l2, risk.l1, risk.pull)
        facts = (X, risk.y, self.sigma, numbers, *size, self.biased, self.every)
        working = (np.empty(risk.n_parameters), np.empty(risk.n_classes))
        return Kernel("\n\n".join(texts), (*facts, self.table, self.average, *working, self.counts))


class Around(Reduced):
    """Any cost that is a mean over samples; a formula's sums over rows are made n times a mean."""

    def __init__(self, cost: Cost, biased: bool, every: int):
        super().__init__(cost, biased, every)
        self.inner = cost.as_mean() if isinstance(cost, Formula) else cost

    def _source(self, evaluate: object) -> tuple[str, tuple] | None:
        """The text of the cost with the estimate's around it, and the data of the cost."""
        kernel = self.inner.kernel()
        if kernel is None:
            return None
        inner = re.sub(r"\bdef evaluate\(", "def evaluate_inner(", kernel.source)
        return f"{inner}\n\n{text_of(evaluate, 'evaluate')}", kernel.data


class Gradients(Around):
    """A cost of which the gradient of each sample is remembered."""

    def __init__(self, cost: Cost, biased: bool, every: int):
        super().__init__(cost, biased, every)
        self.table = np.full((self.n, cost.n_parameters), np.nan)

    def forget(self) -> None:
        """Remember nothing, as at the start."""
        super().forget()
        self.table[:] = np.nan

    def estimate(self, w: Vector, rows: Rows) -> tuple[float, Vector]:
        """The estimate from some rows, read one by one."""
        change, total = np.zeros_like(self.average), 0.0
        for m, i in enumerate(rows):
            value, fresh = self.inner.value_and_gradient(w, rows[m : m + 1])
            known = not np.isnan(self.table[i, 0])
            self.counts[1] += not known
            change += (fresh - (self.table[i] if known else 0.0)) / self.n
            self.table[i] = fresh
            total += value
        return total / len(rows), self.combine(change, len(rows))

    def kernel(self) -> Kernel | None:
        """The estimate around the text of the cost."""
        found = self._source(reduced.evaluate_gradients)
        if found is None:
            return None
        data = (found[1], self.biased, self.table, self.average, np.empty_like(self.average), self.counts)
        return Kernel(found[0], data)


class Anchored(Around):
    """A cost of which one point is remembered, and the gradient of all samples there."""

    def __init__(self, cost: Cost, biased: bool, every: int):
        super().__init__(cost, biased, every)
        self.anchor = np.zeros(cost.n_parameters)

    def reads(self, batches: NDArray) -> NDArray:
        """Each sample of a batch is read at two points."""
        return super().reads(batches) + batches

    def snapshot(self, w: Vector) -> None:
        """The gradient of all samples."""
        self.anchor[:] = w
        self.average[:] = self.inner.value_and_gradient(w, np.arange(self.n))[1]

    def estimate(self, w: Vector, rows: Rows) -> tuple[float, Vector]:
        """The estimate from some rows, read at w and at the anchor."""
        value, gradient = self.inner.value_and_gradient(w, rows)
        return value, gradient - self.inner.value_and_gradient(self.anchor, rows)[1] + self.average

    def kernel(self) -> Kernel | None:
        """The estimate around the text of the cost."""
        found = self._source(reduced.evaluate_anchor)
        if found is None:
            return None
        return Kernel(found[0], (found[1], self.every, self.anchor, self.average, np.arange(self.n), self.counts))


def sample_curvature(cost: Cost, w: Vector, seed: int = 0) -> float:
    r"""L, the largest curvature of a sample's cost: a bound for a risk, else measured at w.

    For a risk :math:`\max_i n\sigma_i\, \ell''_{\max} (|x_i|^2 + 1) + \lambda_2`.  For another cost
    :math:`\max_i |\nabla f_i(w + h u_i) - \nabla f_i(w)| / h` along the gradients :math:`u_i` of some of the samples,
    which is the curvature itself where a sample has one score.
    """
    if isinstance(cost, Risk):
        return risk_curvature(cost)
    cost = cost.as_mean() if isinstance(cost, Formula) else cost
    n = cost.n_samples or 0
    chosen = np.random.default_rng(seed).permutation(n)[:PROBED]
    largest, h = 0.0, 1e-5 * max(1.0, float(np.abs(w).max(initial=0.0)))
    with np.errstate(all="ignore"):
        for i in chosen:
            row = np.array([i], dtype=np.intp)
            gradient = cost.gradient(w, row)
            norm = float(np.linalg.norm(gradient))
            if 0.0 < norm < np.inf:
                moved = cost.gradient(w + h * gradient / norm, row)
                curvature = float(np.linalg.norm(moved - gradient)) / h
                largest = max(largest, curvature) if np.isfinite(curvature) else largest
    return largest


def risk_curvature(cost: Risk) -> float:
    """The bound on the curvature of a sample's share of a risk, as `sample_curvature` has it."""
    weights = np.ones(len(cost.y)) if cost.sample_weight is None else cost.sample_weight
    if cost.sparse:
        squares = np.asarray(cost.X.multiply(cost.X).sum(axis=1)).ravel()
    else:
        squares = np.concatenate([np.einsum("ij,ij->i", X, X) for X, _, _ in cost.blocks()])
    largest = float((weights * (squares + cost.intercept)).max())
    return cost.loss.curvature_bound * largest * len(cost.y) / cost.denominator + cost.l2
