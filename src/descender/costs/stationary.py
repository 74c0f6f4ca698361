"""Where all derivatives of a typed formula are zero, by algebra, in a process of its own that a time limit really ends.

Algebra may take for ever, and no thread can be stopped within it.  So the formula's text goes to another process, which
reads it by the same whitelisted parser, solves, and answers with plain numbers; when the time is up it is killed.
Run as a program, this module is that process: JSON on standard input, JSON on standard output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender.costs.formula import Formula
from descender.costs.parts import Expr, rational
from descender.errors import DescenderError

DIGITS = 50
"""Digits of a root while others are computed from it."""
MEMORY = 8 << 30
"""Bytes that the other process may take, where the system can limit them."""
LARGEST_DATA = 1_000_000
"""Numbers of the columns that are sent to the other process."""
SHOWN = 40
"""Characters up to which an exact number is written out."""


class Solved(NamedTuple):
    """What algebra found.

    ``points``, of shape (k, d), are the real solutions, ``exact`` their coordinates as text where that is short, else
    "".  ``families`` describes solutions that are not isolated or are without end.  ``complete`` tells whether these
    are known to be all; ``failure`` why there is no answer, "" where there is one.
    """

    points: NDArray[np.float64]
    exact: list[list[str]]
    families: list[str]
    complete: bool
    failure: str = ""


def solve_gradient(formula: Formula, seconds: float) -> Solved:
    """The real points at which every derivative of the formula is zero, sought for at most so many seconds.

    >>> solve_gradient(Formula("(x - 3)**2 + x*y + y**2"), 20).points
    array([[ 4., -2.]])
    """
    d = formula.n_parameters
    nothing = Solved(np.empty((0, d)), [], [], False)
    if not formula.smooth:
        return nothing._replace(failure="the formula has kinks, where there is no derivative to be set to zero")
    if sum(map(np.size, formula.columns.values())) > LARGEST_DATA:
        return nothing._replace(failure=f"the columns have more than {LARGEST_DATA:,} numbers")
    asked = {
        "text": formula.text,
        "variables": list(formula.names),
        "constants": formula.constants,
        "columns": {name: column.tolist() for name, column in formula.columns.items()},
        "seconds": seconds,
    }
    package = str(Path(__file__).parents[2])
    paths = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable or "python3", "-W", "ignore", "-m", "descender.costs.stationary"]
    try:
        done = subprocess.run(
            command, input=json.dumps(asked), capture_output=True, text=True, timeout=seconds,
            env={**os.environ, "PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return nothing._replace(failure=f"no answer within {seconds:g} seconds")
    except OSError as error:
        return nothing._replace(failure=f"no process could be started for it: {error.strerror or error}")
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return nothing._replace(failure=f"its process ended with status {done.returncode}, short of memory or of time")
    points = np.array(found.pop("points"), dtype=np.float64).reshape(-1, d)
    return Solved(points=points, **found)


def main() -> None:
    """Answer on standard output what is asked on standard input."""
    asked = json.load(sys.stdin)
    _limit(asked["seconds"])
    print(json.dumps(answer(asked)))


def _limit(seconds: float) -> None:
    """Bound the time and memory of this process also where its parent is gone."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 2, int(seconds) + 2))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):  # no such limits here
        pass


def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """The fields of :class:`Solved` as plain data."""
    nothing: dict[str, Any] = {"points": [], "exact": [], "families": [], "complete": False}
    try:
        formula = Formula(asked["text"], asked["columns"] or None, asked["constants"], asked["variables"])
        slopes, unknowns = written_out(formula)
        points, exact, families, complete = solve(slopes, unknowns)
    except (NotImplementedError, DescenderError) as error:
        return nothing | {"failure": f"no method of algebra: {error}"}
    except (MemoryError, RecursionError, ArithmeticError, ValueError, TypeError, AttributeError) as error:
        # SymPy raises all of these where an expression is beyond it
        return nothing | {"failure": f"no method of algebra: SymPy gave up ({type(error).__name__}: {error!s:.80})"}
    return {"points": points, "exact": exact, "families": families, "complete": complete, "failure": ""}


def written_out(formula: Formula) -> tuple[list[Expr], list[Expr]]:
    """The derivatives with held sums put back in, means over rows as numbers, and constants as fractions."""
    import sympy as sp

    values = {name: rational(value) for name, value in formula.constants.items()}
    unknowns = [sp.Symbol(name) for name in formula.names]
    plain = {sp.Symbol(name, real=True): symbol for name, symbol in zip(formula.names, unknowns, strict=True)}
    plain |= {sp.Symbol(name, real=True): value for name, value in values.items()}
    slopes = []
    for slope in formula.slopes:
        expr = slope
        while any(part := [s for s in expr.free_symbols if _part(formula, s) is not None]):
            expr = expr.xreplace({s: _put_back(formula, s) for s in part})
        expr = expr.subs(sp.Symbol("#n", real=True), formula.n_samples or 1)
        slopes.append(expr.xreplace(plain))
    return slopes, unknowns


def _part(formula: Formula, symbol: Expr) -> Any:
    return formula.reading.parts.get(symbol)


def _put_back(formula: Formula, symbol: Expr) -> Expr:
    """What a symbol holds: a sum as it is; a mean or a sum over rows with the moments of the columns as numbers."""
    import sympy as sp

    part = _part(formula, symbol)
    if part.kind == "group":
        return part.inner
    inner = part.inner
    while held := {s: _part(formula, s).inner for s in inner.free_symbols if _part(formula, s) is not None}:
        if any(_part(formula, s).kind != "group" for s in held):
            raise NotImplementedError("a mean within a mean")
        inner = inner.xreplace(held)
    variables = [sp.Symbol(name, real=True) for name in formula.names]
    columns = {sp.Symbol(name, real=True): column for name, column in formula.columns.items()}
    constants = {sp.Symbol(name, real=True): rational(value) for name, value in formula.constants.items()}
    try:
        terms = sp.Poly(inner.xreplace(constants), *variables).terms()
    except sp.PolynomialError:
        raise NotImplementedError("over rows only powers and products of the variables can be summed up") from None
    reduce, total = (np.mean, np.sum)[part.kind == "sum"], sp.S.Zero
    for powers, factor in terms:
        row = sp.lambdify(list(columns), factor, "numpy")(*columns.values())
        moment = float(reduce(np.broadcast_to(row, (formula.n_samples or 1,))))
        total += sp.Rational(moment) * sp.prod(v**p for v, p in zip(variables, powers, strict=True))
    return total


Answer = tuple[list[list[float]], list[list[str]], list[str], bool]


def solve(slopes: list[Expr], unknowns: list[Expr]) -> Answer:
    """Real solutions: of polynomials all of them, by elimination; else what SymPy finds."""
    import sympy as sp

    numerators, denominators = zip(*(sp.fraction(sp.together(slope)) for slope in slopes), strict=True)
    polynomials = [sp.expand(n) for n in numerators]
    try:
        rational_numbers = all(sp.Poly(p, *unknowns).domain in (sp.ZZ, sp.QQ) for p in polynomials)
    except sp.PolynomialError:
        rational_numbers = False
    if rational_numbers:
        found = eliminate([p for p in polynomials if p != 0], unknowns)
        if found is not None:
            kept = [p for p in found if all(_size(den, unknowns, p) > 10.0**-30 for den in denominators)]
            return [[float(v) for v in p] for p in kept], [[_short(v) for v in p] for p in kept], [], True
    if len(unknowns) == 1 and not rational_numbers:
        line = on_the_line(slopes[0], unknowns[0])
        if line is not None:
            return line
    return by_solve(slopes, unknowns)


def eliminate(polynomials: list[Expr], unknowns: list[Expr]) -> list[list[Expr]] | None:
    """All real solutions of a system of polynomials with finitely many complex ones, else None.

    A lexicographic Gröbner basis is a triangle: its last polynomial has the last variable alone, whose real roots are
    isolated exactly; each leaves polynomials in one variable less.
    """
    import sympy as sp

    if not polynomials:
        return None
    basis = sp.groebner(polynomials, *unknowns, order="grevlex")
    if basis.exprs == [1]:
        return []
    if not basis.is_zero_dimensional:
        return None
    triangle = [sp.Poly(e, *unknowns) for e in (basis.fglm("lex") if len(unknowns) > 1 else basis).exprs]
    points: list[list[Expr]] = [[]]
    for j in range(len(unknowns) - 1, -1, -1):
        last = [
            p.as_expr() for p in triangle if not p.free_symbols & set(unknowns[:j]) and unknowns[j] in p.free_symbols
        ]
        points = [[root, *point] for point in points for root in _roots(last, unknowns[j], unknowns[j + 1 :], point)]
    return points


def _roots(polynomials: list[Expr], unknown: Expr, known: list[Expr], point: list[Expr]) -> list[Expr]:
    """The real roots that all `polynomials` share once the later variables have their values."""
    import sympy as sp

    if not point:
        return [root for root, _ in sp.Poly(polynomials[0], unknown).real_roots(multiple=False)]
    numbers = {k: sp.N(v, DIGITS) for k, v in zip(known, point, strict=True)}
    exact = all(v.is_Rational for v in point)
    put = dict(zip(known, point, strict=True)) if exact else numbers
    left = [sp.Poly(p.subs(put), unknown) for p in polynomials]
    left = [p for p in left if _largest(p) > 10.0**-30]
    if exact:
        shared = left[0]
        for p in left[1:]:
            shared = sp.gcd(shared, p)
        return [root for root, _ in shared.real_roots(multiple=False)] if shared.degree() > 0 else []
    lowest = _trimmed(min(left, key=lambda p: _trimmed(p).degree()))
    roots = [r for r in lowest.nroots(n=DIGITS, maxsteps=500) if abs(sp.im(r)) < 10.0**-20 * (1 + abs(r))]
    return [sp.re(r) for r in roots if all(abs(p.eval(sp.re(r))) < 1e-15 * (1 + _largest(p)) for p in left)]


def _trimmed(p: Expr) -> Expr:
    """The polynomial without leading coefficients that are zero but for rounding."""
    import sympy as sp

    coefficients, size = p.all_coeffs(), _largest(p)
    while len(coefficients) > 1 and abs(coefficients[0]) < 10.0**-30 * size:
        coefficients = coefficients[1:]
    return sp.Poly(coefficients, p.gens[0])


def _largest(p: Expr) -> float:
    return float(max(abs(c) for c in p.all_coeffs()))


def _size(expr: Expr, unknowns: list[Expr], point: list[Expr]) -> float:
    return float(abs(expr.subs(dict(zip(unknowns, [v.evalf(DIGITS) for v in point], strict=True))).evalf(DIGITS)))


def on_the_line(slope: Expr, unknown: Expr) -> Answer | None:
    """The real zeros of a function of one variable where SymPy knows the whole set, else None."""
    import sympy as sp

    x = sp.Symbol(unknown.name, real=True)
    found = sp.solveset(slope.xreplace({unknown: x}), x, sp.S.Reals)
    parts = found.args if isinstance(found, sp.Union) else (found,)
    points, families = [], []
    for part in parts:
        if isinstance(part, sp.FiniteSet):
            points += list(part)
        elif isinstance(part, sp.ImageSet) and part.base_sets == (sp.S.Integers,):
            n = part.lamda.variables[0]
            families.append(f"{unknown} = {part.lamda.expr.xreplace({n: sp.Symbol('n')})} for every whole number n")
            points += [part.lamda.expr.subs(n, k) for k in (-1, 0, 1)]
        elif part is not sp.S.EmptySet:
            return None
    values = [sp.N(p, DIGITS) for p in points]
    if any(not v.is_Float and not v.is_Rational for v in values):
        return None
    order = sorted(range(len(points)), key=lambda k: values[k])
    return [[float(values[k])] for k in order], [[_short(points[k])] for k in order], families, True


def by_solve(slopes: list[Expr], unknowns: list[Expr]) -> Answer:
    """What ``solve`` finds, which may not be all."""
    import sympy as sp

    points, exact, families = [], [], []
    for solution in sp.solve([s for s in slopes if s != 0], unknowns, dict=True) if any(slopes) else [{}]:
        values = [solution.get(u, u) for u in unknowns]
        if any(v.free_symbols for v in values):
            families.append(
                ", ".join(f"{u} = {v}" for u, v in zip(unknowns, values, strict=True) if u != v) or "anywhere"
            )
            continue
        numbers = [complex(sp.N(v, 30)) for v in values]
        if max(abs(z.imag) for z in numbers) < 1e-12 * max(1.0, *(abs(z) for z in numbers)):
            points.append([z.real for z in numbers])
            exact.append([_short(v) for v in values])
    if not points and not families:
        raise NotImplementedError("found no point, and does not say whether there is none")
    return points, exact, families, False


def _short(value: Expr) -> str:
    """An exact number as text, where it is one and short."""
    text = str(value)
    return "" if value.is_Float or "CRootOf" in text or len(text) > SHOWN else text.replace("**", "^")


if __name__ == "__main__":
    main()
