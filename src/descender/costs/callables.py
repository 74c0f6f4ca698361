"""What goes into a callable and what comes out: points, real numbers, gradients, and words for anything else."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from descender.costs.cost import Vector
from descender.errors import CostError, InputError, ShapeError

COARSE = {"float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}  # the eps of types shorter than float64


def as_point(w: ArrayLike) -> Vector:
    """A copy of w as an array of floating-point numbers of shape (d,)."""
    point = np.array(w)
    if point.dtype.kind not in "fiu":
        raise InputError(f"w is {described(w)}: expected real numbers, one for each parameter")
    point = point if point.dtype.kind == "f" else point.astype(float)
    if point.ndim != 1:
        raise ShapeError(f"w has shape {point.shape}: expected one dimension, (number of parameters,)")
    return point


def real_number(returned: Any) -> float:
    """What a function returned as a float, if it is one real number in whatever wrapping.

    >>> real_number(np.array([2.5], dtype=np.float32))
    2.5
    >>> real_number(None)
    Traceback (most recent call last):
    descender.errors.CostError: the function returned None; expected one real number
    """
    try:
        array = np.asarray(returned)
        if array.dtype.kind in "fiu" and array.size == 1:
            return float(array.item())
    except (TypeError, ValueError, RuntimeError):  # ragged lists; tensors that carry a gradient
        array = np.array(None)
    try:
        if array.dtype.kind == "O" and array.ndim == 0 and hasattr(returned, "__float__"):
            return float(returned)  # Decimal, Fraction, SymPy's and Python's long numbers
    except (TypeError, ValueError, ArithmeticError, RuntimeError):
        pass
    raise CostError(f"the function returned {described(returned)}; expected one real number")


class Place(NamedTuple):
    """Where a call stands: written out only if something is wrong with it, since there may be millions."""

    what: str
    number: int
    w: Vector

    def __str__(self) -> str:
        return f"{self.what} {self.number}, at w = {shown(self.w)}"


def as_gradient(returned: Any, w: Vector, place: Place | str) -> Vector:
    """A copy of what was returned, as an array like w."""
    try:
        array = np.array(returned)
        if array.dtype.kind == "O":
            array = np.array([float(entry) for entry in array.ravel()]).reshape(array.shape)
        if array.dtype.kind not in "fiu":
            raise TypeError
    except (TypeError, ValueError, ArithmeticError, RuntimeError):
        raise CostError(f"{place}: the gradient is {described(returned)}; expected {len(w)} real numbers") from None
    if array.shape != w.shape and not array.size == len(w) == 1:
        raise ShapeError(
            f"{place}: the gradient has shape {array.shape}, that is {array.size} numbers; "
            f"expected shape {w.shape}, one for each of the {len(w)} parameters"
        )
    return array.astype(w.dtype).reshape(w.shape)


def precision_of(returned: Any) -> float:
    """The eps of what a function returned where that is coarser than float64, else 0; tensors count too."""
    if isinstance(returned, float):  # np.float64 is one; the name of a type takes longer than most functions
        return 0.0
    return COARSE.get(str(getattr(returned, "dtype", "")).rpartition(".")[2], 0.0)


def described(returned: Any) -> str:
    """A few words for a value that was not expected."""
    if returned is None:
        return "None"
    shape = getattr(returned, "shape", ())
    if shape:
        return f"an array of shape {tuple(shape)} and type {getattr(returned, 'dtype', '?')}"
    text = repr(returned)
    return f"{text if len(text) <= 40 else text[:37] + '...'} ({type(returned).__name__})"


def shown(w: Vector) -> str:
    """A point in a message: six digits, the middle left out when it is long."""
    return np.array2string(np.asarray(w), precision=6, threshold=8, edgeitems=3, separator=", ")
