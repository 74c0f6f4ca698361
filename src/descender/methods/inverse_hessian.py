"""What a quasi-Newton walk has learnt of the curvature, as SciPy hands it out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import LbfgsInvHessProduct

from descender.methods.lbfgs import Pairs


class InverseHessian(LbfgsInvHessProduct):
    """The inverse Hessian that the last steps of L-BFGS imply: SciPy's operator, and an array where one is wanted.

    ``H @ v`` needs no matrix; ``np.diag(H)``, ``H[0, 1]`` and ``H.todense()`` make one, as of SciPy's BFGS, where
    ``hess_inv`` is an array.  It begins with the metric of the walk, not with the identity.

    >>> pairs = Pairs(5, np.ones(2))
    >>> pairs.add(np.array([1.0, 0.0]), np.array([4.0, 0.0])), pairs.add(np.array([0.0, 1.0]), np.array([0.0, 2.0]))
    (True, True)
    >>> InverseHessian(pairs, 2).todense()
    array([[0.25, 0.  ],
           [0.  , 0.5 ]])
    """

    def __init__(self, pairs: Pairs, d: int):
        steps = [s for s, _, _ in pairs.pairs]
        changes = [y / pairs.factor for _, y, _ in pairs.pairs]
        empty = np.empty((0, d))
        super().__init__(np.array(steps) if steps else empty, np.array(changes) if steps else empty)
        self.pairs = pairs

    def _matvec(self, x: NDArray) -> NDArray:
        """The product with a vector."""
        return self.pairs.factor * self.pairs.solve(np.asarray(x, dtype=np.float64).ravel())

    def todense(self) -> NDArray[np.float64]:
        """The matrix."""
        H = np.array([self._matvec(row) for row in np.eye(self.shape[0])])
        return 0.5 * (H + H.T)

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray:
        return self.todense() if dtype is None else self.todense().astype(dtype)

    def __getitem__(self, key: Any) -> Any:
        return self.todense()[key]
