"""Tutorial 2: the straight line, weight = m height + c, by hand and by the default method.

python examples/tutorial_2_straight_line.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np

from descender import minimize
from descender.costs.formula import Formula, pretty
from descender.data.examples import example
from descender.pictures.fits import describe_line_steps, describe_lines, draw_lines
from descender.pictures.style import save
from descender.pictures.surface import describe_contour, draw_surface

FORMULA = "mean((weight - (m*height + c))**2)"


def main(out="out"):
    """Run the tutorial and write its pictures into `out`."""
    out = Path(out)
    table = example("heights").table()
    cm, kg = table["height"].to_numpy(), table["weight"].to_numpy()
    height = (cm - 170) / 10  # decimetres above 170 cm: numbers of about the size of 1

    # Which of these lines is best?  The one whose squared errors have the smallest sum.
    candidates = describe_lines(
        height,
        kg,
        [(0, 67, "flat"), (5, 67, "a guess"), (9, 66.6, "a better one")],
        "height (dm above 170 cm)",
        "weight (kg)",
    )
    for label, total in zip(candidates.labels, candidates.sums, strict=True):
        print(f"{label:>14}: sum of squared errors {total:,.1f}")
    save(draw_lines(candidates, errors_of=2, squares=True), out / "2-candidates.png")

    # The chain rule gives both partial derivatives; start at intercept 0, slope 1, and step.
    cost = Formula(FORMULA, data={"height": height, "weight": kg})
    for name, slope in cost.derivatives.items():
        print(f"dJ/d{name} = {pretty(slope)}")
    rate = 0.1
    walk = minimize(cost, "m=1, c=0", "gd", learning_rate=rate, step_tol=1e-12)
    print(
        f"\n{'step':>4} {'m':>11} {'c':>11} {'dJ/dm':>11} {'dJ/dc':>11} {'step in m':>11} {'step in c':>11} {'J':>12}"
    )
    table = [(k, *w, *(g := cost.gradient(w)), *(-rate * g), cost.value(w)) for k, w in enumerate(walk.record.path)]
    for row in (*table[:4], table[10], table[50], table[-1]):
        print(f"{row[0]:>4} " + " ".join(f"{number:>11.4g}" for number in row[1:-1]) + f" {row[-1]:>12.6f}")
    print(f"stopped: {walk.message}")

    # The closed form knows the answer for this one cost.
    closed = np.polyfit(height, kg, 1)
    print(f"closed form m = {closed[0]:.12f}, c = {closed[1]:.12f}; off by {np.abs(walk.x / closed - 1).max():.1e}")
    save(draw_surface(describe_contour(cost, walk.record, limits=((-4, 22), (-5, 130)))), out / "2-surface.png")
    steps = describe_line_steps(
        height, kg, walk, [0, 1, 2, 5, 10, walk.nit], "m", "c", *("height (dm above 170 cm)", "weight (kg)")
    )
    save(draw_lines(steps), out / "2-steps.png")

    # In centimetres the bowl is a ravine, a million times steeper across than along; plain descent crawls.
    raw = Formula(FORMULA, data={"height": cm, "weight": kg})
    crawl = minimize(raw, "m=1, c=0", "gd", learning_rate=3e-5, max_steps=10_000)
    best = minimize(raw, "m=1, c=0")
    print(f"\nin cm, plain descent after {crawl.nit:,} steps: c = {crawl['c']:.4f}, J = {crawl.fun:.4f}")
    print(f"in cm, default method: c = {best['c']:.4f}, J = {best.fun:.4f} after {best.nfev} evaluations")

    # Without the squares there is no bottom: a line far above all points has an ever smaller "error".
    slip = minimize("mean(weight - (m*height + c))", "m=1, c=0", data={"height": height, "weight": kg})
    print(f"\nwithout squares: {slip.message}\n    {slip.findings[0].remedy}")
    return {
        "sums": candidates.sums,
        "walk": walk,
        "table": table,
        "closed": closed,
        "crawl": crawl,
        "raw": best,
        "slip": slip,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
