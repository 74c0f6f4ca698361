"""A typed formula as a cost: exact derivatives, NumPy evaluation, and a kernel for the compiled loops.

The expression becomes straight-line code in which each common subexpression has one name.  That one text is read three
ways: with ``math`` on Python numbers, with NumPy on columns of data (and at points where ``math`` would raise), and by
Numba inside a loop over rows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from descender.costs.cost import Cost, Kernel, Rows, Vector
from descender.costs.display import Show, pretty
from descender.costs.grammar import Reader, Reading
from descender.costs.parts import KINKED, Expr
from descender.costs.program import Program, kernel_source, write_program
from descender.costs.syntax import identifier
from descender.errors import DataError, FormulaError, ShapeError

__all__ = ["Formula", "pretty"]

QUICK = 10_000
"""Rows that are read in well under a millisecond: who watches need not hear of each reading."""


class Formula(Cost):
    r"""A cost J(w) typed as a formula of named variables, optionally with columns of data.

    Over the rows i of the columns, ``mean(e)`` is :math:`\frac1n \sum_i e_i` and ``sum(e)`` is :math:`\sum_i e_i`.
    The derivatives are exact: with reductions :math:`M_k` of :math:`e_k`,

    .. math:: \frac{dJ}{dv} = \frac{\partial J}{\partial v}
              + \sum_k \frac{\partial J}{\partial M_k}\, M_k\!\left[\frac{\partial e_k}{\partial v}\right].

    ``log(cosh(u))``, ``log(1 + exp(u))``, ``1/(1 + exp(-u))`` and their kin are evaluated without overflow.  Outside
    the domain of a function the value is nan or infinite, never an exception.

    Parameters
    ----------
    text
        the formula; ``^`` is read as ``**``
    data
        columns by name, each of shape (n_samples,); those that the formula uses must be finite numbers
    constants
        fixed numbers by name; ``pi`` and ``e`` are known unless a name given here shadows them
    variables
        the variables in the order of `w`; by default the remaining names as they appear in the text

    Attributes
    ----------
    text, names, n_samples, smooth
        the formula as typed; its variables; the number of rows (None without data); whether it has no kinks
    column_names
        all columns that were given, read by the formula or not
    splits
        whether rows enter only through means or sums of which the cost is a linear function, so that some rows
        estimate all of it.  Some rows stand for themselves: a mean is over those rows, a sum is the sum over those
        rows only, as the textbook's stochastic step has it; what stands beside a sum is borne by each row alike, so
        that the batches of an epoch add up to the cost.

    Raises
    ------
    FormulaError
        for a text that is no formula, with the place
    DataError, ShapeError
        for a column that is not finite numbers, or of another length

    Examples
    --------
    >>> rosenbrock = Formula("(1-x)**2 + 100*(y-x**2)**2")
    >>> rosenbrock.names, rosenbrock.value([0.0, 1.0])
    (('x', 'y'), 101.0)
    >>> print(pretty(rosenbrock.derivatives["x"]))
    -400 x (y - x^2) - 2 (1 - x)
    >>> line = Formula("mean((y - (m*x + c))**2)", data={"x": [0, 1, 2], "y": [1, 3, 5]})
    >>> line.derivatives["m"]
    'mean(-2*x*(y - (m*x + c)))'
    >>> line.gradient([1.0, 0.0])
    array([-5.33333333, -4.        ])

    """

    def __init__(
        self,
        text: str,
        data: Mapping[str, ArrayLike] | None = None,
        constants: Mapping[str, float] | None = None,
        variables: Sequence[str] | None = None,
    ) -> None:
        if not isinstance(text, str):
            raise FormulaError(f'the formula is {text!r:.80}, expected a text such as "(x - 3)**2"')
        data = {} if data is None else data
        columns = {identifier(name): name for name in data if isinstance(name, str)}
        if isinstance(variables, str):
            variables = variables.replace(",", " ").split()
        _check_names(columns, constants or {}, variables)
        numbers = {identifier(name): _constant(name, value) for name, value in (constants or {}).items()}
        if variables is not None:
            variables = [identifier(name) for name in variables]
        self.text = text
        self._reading = Reader(text, columns, numbers, variables).formula()
        self.names, self.column_names = self._reading.variables, tuple(columns)
        self._columns = _columns({name: data[columns[name]] for name in self._reading.columns})
        self._numbers = tuple(numbers[name] for name in self._reading.constants)
        self.n_samples = len(self._columns[0]) if self._columns else None
        self.slow = (self.n_samples or 0) > QUICK
        self.smooth = not self._reading.functions & KINKED
        try:
            self._gradient = [self._derivative(self._reading.expr, name) for name in self.names]
            self._program = write_program([self._reading.expr, *self._gradient], self._reading)
        except RecursionError:
            raise FormulaError("the formula is nested too deeply: split it or simplify it") from None

    def value_and_gradient(self, w: ArrayLike, rows: Rows | None = None) -> tuple[float, Vector]:
        """J(w) and its gradient, shape (n_parameters,); with `rows` the reductions are over those rows only."""
        value, *gradient = self._run(self._program if rows is None else self._part, w, rows)
        return float(value), np.array(gradient)

    def values(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """J at each row of `points`, for pictures: all at once where no data are read, to the last digits of NumPy.

        >>> Formula("log(x) + y").values(np.array([[1.0, 2.0], [0.0, 2.0]]))
        array([  2., -inf])
        """
        if self._columns:
            return np.array([self.value(w) for w in points], dtype=np.float64)
        with np.errstate(all="ignore"):
            (value,) = self._height.arrays(list(points.T), self._numbers, 0)
        return np.array(np.broadcast_to(value, len(points)), dtype=np.float64)

    def hessian(self, w: ArrayLike) -> NDArray[np.floating]:
        """The exact matrix of second derivatives at w; a kink counts as curvature zero.

        >>> Formula("x**2*y + y**3").hessian([1.0, 2.0])
        array([[ 4.,  2.],
               [ 2., 12.]])
        """
        upper = np.triu_indices(len(self.names))
        matrix = np.empty((len(self.names), len(self.names)))
        matrix[upper] = self._run(self._curvature, w, None)
        matrix.T[upper] = matrix[upper]
        return matrix

    @cached_property
    def derivatives(self) -> dict[str, str]:
        """The partial derivative by each variable, in the language of formulas; :func:`pretty` makes it mathematics.

        >>> Formula("log(cosh(x))").derivatives
        {'x': 'tanh(x)'}
        """
        show = Show(self._reading, self.n_samples)
        return {name: show.best(slope) for name, slope in zip(self.names, self._gradient, strict=True)}

    @cached_property
    def splits(self) -> bool:
        """Whether the cost is linear in its means and sums over rows."""
        import sympy as sp

        parts, expr = self._reading.parts, self._reading.expr

        def has_data(e: Expr) -> bool:
            return bool(parts.reach(e) & set(self._reading.columns))

        def linear(term: Expr) -> bool:
            inside = [factor for factor in sp.Mul.make_args(term) if has_data(factor)]
            if len(inside) != 1:
                return not inside
            part = parts.get(inside[0])
            return part is not None and (part.kind != "group" or all(linear(t) for t in part.inner.args))

        return self.n_samples is not None and linear(expr)

    def as_mean(self) -> Formula:
        """The same cost with each sum over rows written as n times a mean, so that some rows estimate all of it.

        >>> J = Formula("sum((x - w)**2)", {"x": [1.0, 2.0, 3.0]})
        >>> J.value([0.0], [1]), J.as_mean().value([0.0], [1]), J.as_mean().value([0.0])
        (4.0, 12.0, 14.0)
        """
        text = re.sub(r"\bsum\s*\(", f"{self.n_samples}*mean(", self.text)
        if text == self.text:
            return self
        return Formula(text, self.columns, self.constants, self.names)

    def kernel(self) -> Kernel:
        """The value and gradient as a loop over rows, the same for the same formula wherever it is made."""
        return Kernel(kernel_source(self._part, self._reading), (*self._columns, *self._numbers))

    @cached_property
    def _part(self) -> Program:
        """Value and gradient for some rows."""
        expr = self._borne(self._reading.expr) if self.n_samples and self._has_sum(self._reading.expr) else None
        if expr is None or expr == self._reading.expr or not self.splits:
            return self._program
        return write_program([expr, *(self._derivative(expr, name) for name in self.names)], self._reading)

    def _has_sum(self, expr: Expr) -> bool:
        """Whether an expression grows with the number of rows."""
        parts = self._reading.parts
        held = [part for symbol in expr.free_symbols if (part := parts.get(symbol)) is not None]
        return parts.rows in expr.free_symbols or any(
            part.kind == "sum" or (part.kind == "group" and self._has_sum(part.inner)) for part in held
        )

    def _borne(self, expr: Expr) -> Expr:
        """The terms that are no sums times the share of the rows in all."""
        import sympy as sp

        parts, terms = self._reading.parts, []
        for term in sp.Add.make_args(expr):
            groups = parts.groups(term)
            if not self._has_sum(term):
                term = term * parts.rows / self.n_samples
            elif groups and parts.rows not in term.free_symbols:
                term = term.subs({symbol: self._borne(inner) for symbol, inner in groups.items()})
            terms.append(term)
        return sp.Add(*terms)

    @cached_property
    def _height(self) -> Program:
        return write_program([self._reading.expr], self._reading)

    @cached_property
    def _curvature(self) -> Program:
        pairs = [(i, j) for i in range(len(self.names)) for j in range(i, len(self.names))]
        outputs = [self._derivative(self._gradient[i], self.names[j]) for i, j in pairs]
        return write_program(outputs, self._reading)

    @property
    def reading(self) -> Reading:
        """The formula as it was read, for algebra."""
        return self._reading

    @property
    def slopes(self) -> list[Expr]:
        """The derivatives as SymPy has them, with held parts."""
        return list(self._gradient)

    @property
    def columns(self) -> dict[str, NDArray[np.float64]]:
        """The columns of data that the formula uses."""
        return dict(zip(self._reading.columns, self._columns, strict=True))

    @property
    def constants(self) -> dict[str, float]:
        """The given constants that the formula uses."""
        return dict(zip(self._reading.constants, self._numbers, strict=True))

    def _derivative(self, expr: Expr, name: str) -> Expr:
        import sympy as sp

        return self._reading.parts.derivative(expr, sp.Symbol(name, real=True))

    def _run(self, program: Program, w: ArrayLike, rows: Rows | None) -> Sequence[float]:
        w = np.asarray(w, dtype=np.float64)
        if w.shape != (len(self.names),):
            wanted = f"({len(self.names)},) for {', '.join(self.names[:10])}"
            raise ShapeError(f"w has shape {w.shape}, expected {wanted}: one number for each variable")
        if not self._columns:
            try:
                return program.floats(w.tolist(), self._numbers, 0)
            except (ArithmeticError, ValueError):  # math raises outside a domain; NumPy answers nan or inf
                pass
        columns = self._columns if rows is None else tuple(column[rows] for column in self._columns)
        with np.errstate(all="ignore"):
            return program.arrays(list(w), (*columns, *self._numbers), len(columns[0]) if columns else 0)


def _check_names(columns: Collection[str], constants: Collection[str], variables: Sequence[str] | None) -> None:
    """Each name has one meaning."""
    listed = list(variables or ())
    for name in [*constants, *listed]:
        if not isinstance(name, str) or not identifier(name).isidentifier():
            raise FormulaError(f"{name!r} cannot be a name in a formula: use letters, digits and _")
    for kind, names in (("a column of data", columns), ("a constant", constants)):
        for name in listed:
            if name in names:
                raise FormulaError(f"{name} is given as a variable and as {kind}: give it one meaning")
    for name in constants:
        if name in columns:
            raise FormulaError(f"{name} is given as a constant and as a column of data: give it one meaning")
    for k, name in enumerate(listed):
        if name in listed[:k]:
            raise FormulaError(f"variables names {name} twice: name each variable once")


def _constant(name: str, value: float) -> float:
    """A constant as a finite float."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise FormulaError(f"the constant {name} is {value!r}, expected a finite number")
    return number


def _columns(given: Mapping[str, ArrayLike]) -> tuple[NDArray[np.float64], ...]:
    """The columns as finite float64 vectors of one length."""
    columns: dict[str, NDArray[np.float64]] = {}
    for name, values in given.items():
        array = np.asarray(values)
        if array.ndim != 1:
            raise ShapeError(f"the column {name} has shape {array.shape}, expected one number for each row")
        wrong = [] if array.dtype.kind in "biuf" else [i for i, v in enumerate(array) if not isinstance(v, Real)]
        if wrong:
            shown = f"{array[wrong[0]]!s:.40} in row {wrong[0]}"
            raise DataError(f"the column {name} has {shown} (rows count from 0), expected a number")
        array = np.ascontiguousarray(array, dtype=np.float64)
        if not np.isfinite(array).all():
            row = int(np.flatnonzero(~np.isfinite(array))[0])
            advice = "leave such rows out or fill them in"
            raise DataError(f"the column {name} has {array[row]} in row {row} (rows count from 0): {advice}")
        columns[name] = array
    for name, array in columns.items():
        first = next(iter(columns))
        if len(array) != len(columns[first]):
            raise ShapeError(f"the column {name} has {len(array)} rows, but {first} has {len(columns[first])}")
        if not len(array):
            raise DataError(f"the column {name} has no rows: a mean or sum needs at least one")
    return tuple(columns.values())
