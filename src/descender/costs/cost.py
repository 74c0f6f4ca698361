"""What every cost offers to a method, whatever it is made of."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.floating]
Rows = NDArray[np.intp]


class Kernel(NamedTuple):
    """A cost as text for the compiled loops, and the arrays that the text reads.

    `source` defines ``evaluate(w, data, rows) -> (value, gradient)`` in the part of Python and NumPy
    that Numba compiles, with explicit loops; the names ``np`` and ``math`` are in scope.  `rows` is an
    array of sample indices, empty for a cost without samples.  `data` is a tuple of arrays and numbers.
    """

    source: str
    data: tuple


class Cost:
    r"""A number J(w) to be minimised, with its gradient.

    A subclass implements :meth:`value_and_gradient`; the rest has sensible defaults.  Attributes are facts
    that methods may rely on, declared and never guessed:

    ``names``
        one name for each of the parameters, in the order of `w`;
    ``n_samples``
        the number of samples that the cost is a mean (or sum) over, or None if it does not split;
    ``smooth``, ``convex``
        whether the gradient is continuous, whether every local minimum is global;
    ``dtype``
        of `w` and its gradient;
    ``slow``
        whether an evaluation may take so long that who watches wants to hear of each;
    ``seldom_read``
        whether a walk by batches reads all samples only after epochs 4, 8, 16 ...: its batches tell enough.
    """

    names: tuple[str, ...] = ()
    n_samples: int | None = None
    smooth: bool = True
    convex: bool = False
    slow: bool = True
    seldom_read: bool = False
    dtype: type = np.float64

    @property
    def n_parameters(self) -> int:
        """The length of `w`."""
        return len(self.names)

    def default_start(self) -> Vector | None:
        """Where a walk begins that was given no start; None if one has to be given."""
        return None

    def value_and_gradient(self, w: Vector, rows: Rows | None = None) -> tuple[float, Vector]:
        """J(w) and its gradient, of all samples or as estimated from some `rows`."""
        raise TypeError(f"{type(self).__name__} does not define value_and_gradient")

    def gradient_into(self, gradient: Vector, w: Vector, rows: Rows | None = None) -> float:
        """J(w), with its gradient written into `gradient`; `w` itself is not changed."""
        value, gradient[:] = (
            self.value_and_gradient(w.copy(), rows) if rows is not None else self.value_and_gradient(w.copy())
        )
        return value

    def value(self, w: Vector, rows: Rows | None = None) -> float:
        """J(w)."""
        return self.value_and_gradient(w, rows)[0]

    def gradient(self, w: Vector, rows: Rows | None = None) -> Vector:
        """The vector of partial derivatives of J at w."""
        return self.value_and_gradient(w, rows)[1]

    def hessian(self, w: Vector) -> NDArray[np.floating] | None:
        """The matrix of second derivatives at w where the cost knows it exactly, else None."""
        return None

    def kernel(self) -> Kernel | None:
        """The cost for the compiled loops, or None where it can only be called from Python."""
        return None
