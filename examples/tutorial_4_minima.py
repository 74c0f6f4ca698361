"""Tutorial 4, third part: several minima, many starts, and what algebra can and cannot solve.

python examples/tutorial_4_minima.py [OUT]
"""

import multiprocessing
import sys
from pathlib import Path

import numpy as np
import sympy

from descender import minimize
from descender.costs.formula import Formula
from descender.costs.grammar import Reader
from descender.pictures.basins import describe_basins, draw_basins
from descender.pictures.style import save

# Himmelblau's function has four minima of depth zero; tilted, they look alike but only one is the lowest.
TILTED = "(x**2 + y - 11)**2 + (x + y**2 - 7)**2 + 2*x + 5*y"
SOLVED = ("x**4 - 2*x**2 + x/2", "x**2/10 + cos(x)", TILTED)


def solve_exactly(text, seconds=20.0):
    """Every real point where all derivatives of a formula are zero, by algebra; or the reason why not."""
    cost = Formula(text)
    slopes = []
    for name in cost.names:
        reading = Reader(cost.derivatives[name], variables=cost.names).formula()
        slope = reading.expr
        while held := reading.parts.groups(slope):
            slope = slope.xreplace(held)
        slopes.append(slope.xreplace({s: sympy.Symbol(s.name) for s in slope.free_symbols}))
    unknowns = sympy.symbols(cost.names)
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # a process of its own can be stopped
        pool.apply(sympy.Integer, (0,))  # it is up: from here the time counts
        try:
            found = pool.apply_async(sympy.solve, (slopes, unknowns), {"dict": True}).get(seconds)
        except multiprocessing.TimeoutError:
            return f"no answer within {seconds:g} seconds"
        except NotImplementedError as error:
            return f"no method of algebra: {error}"
    if not found:
        return "found no point, and does not say whether there is none"
    points = [np.array([complex(s[u].evalf()) for u in unknowns]) for s in found if len(s) == len(unknowns)]
    return [p.real for p in points if np.abs(p.imag).max() < 1e-9 * max(1, np.abs(p).max())]


def main(out="out"):
    """Run the tutorial and write its pictures into `out`."""
    out = Path(out)

    # Set the gradient to zero and solve: it works for some small formulas.  Descent works for all of these.
    exact = {}
    for text in SOLVED:
        cost = Formula(text)
        exact[text] = solve_exactly(text)
        walk = minimize(cost, np.full(cost.n_parameters, 2.0))
        print(f"J = {text}\n    descent: {walk.variables}, J = {walk.fun:.6g}, {walk.nfev} evaluations")
        if isinstance(exact[text], str):
            print(f"    algebra: {exact[text]}")
            continue
        for point in sorted(exact[text], key=cost.value):
            print(f"    algebra: gradient zero at {np.round(point, 6)}, J = {cost.value(point):.6g}")

    # A descent ends in the valley in which it starts; so start in many places and keep the lowest end.
    cost = Formula(TILTED)
    starts = np.random.default_rng(1).uniform(-5, 5, size=(200, 2))
    ends = np.array([minimize(cost, s, "gd", learning_rate=0.005, step_tol=1e-8).x for s in starts])
    basins = describe_basins(cost, starts, ends)
    print(f"\n{len(starts)} starts of J = {TILTED}")
    for point, J, count in zip(basins.minima, basins.costs, basins.counts, strict=True):
        print(f"    {count:>3} ended at ({point[0]:.4f}, {point[1]:.4f}), J = {J:.4f}")
    save(draw_basins(basins), out / "4-basins.png")
    return {"exact": exact, "basins": basins}


if __name__ == "__main__":
    main(*sys.argv[1:])
