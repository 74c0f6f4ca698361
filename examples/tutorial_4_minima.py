"""Tutorial 4, third part: several minima, many starts, and what algebra can and cannot solve.

python examples/tutorial_4_minima.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np

from descender import minimize, stationary_points
from descender.pictures.style import save

# Himmelblau's function has four minima of depth zero; tilted, they look alike but only one is the lowest.
TILTED = "(x**2 + y - 11)**2 + (x + y**2 - 7)**2 + 2*x + 5*y"
SOLVED = ("x**4 - 2*x**2 + x/2", "x**2/10 + cos(x)", TILTED)


def main(out="out"):
    """Run the tutorial and write its pictures into `out`."""
    out = Path(out)

    # Set the gradient to zero and solve: it works for some small formulas.  Descent works for all of these.
    exact = {}
    for text in SOLVED:
        walk = minimize(text, [2.0, 2.0] if "y" in text else [2.0])
        print(f"J = {text}\n    descent: {walk.variables}, J = {walk.fun:.6g}, {walk.nfev} evaluations")
        exact[text] = stationary_points(text, seconds=20)
        print("    algebra: " + str(exact[text]).replace("\n", "\n        "))

    # A descent ends in the valley in which it starts; so start in many places and keep the lowest end.
    starts = np.random.default_rng(1).uniform(-5, 5, size=(200, 2))
    walk = minimize(TILTED, None, "gd", learning_rate=0.005, step_tol=1e-8, starts=starts)
    print(f"\n{len(starts)} starts of J = {TILTED}")
    for point, J, fell, _, _ in walk.minima:
        print(f"    {len(fell):>3} ended at ({point[0]:.4f}, {point[1]:.4f}), J = {J:.4f}")
    save(walk.minima.plot(), out / "4-basins.png")
    return {"exact": exact, "walk": walk, "basins": walk.minima.basins()}


if __name__ == "__main__":
    main(*sys.argv[1:])
