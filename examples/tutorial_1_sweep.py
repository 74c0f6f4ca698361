"""Tutorial 1: the bottom of a cost, by trying every weight and by walking downhill.

python examples/tutorial_1_sweep.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np

from descender import minimize
from descender.costs.formula import Formula, pretty
from descender.pictures.slices import describe_slice, describe_sweep, draw_slice, draw_sweep
from descender.pictures.style import SKY, save

x = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
y = np.array([2.3, 3.8, 6.4, 7.7, 10.4])
data = {"x": x, "y": y}


def main(out="out"):
    """Run the tutorial and write its pictures into `out`."""
    out = Path(out)

    # One weight, y = w x.  The sweep computes the cost of 101 weights and keeps the smallest.
    cost = Formula("mean((y - w*x)**2)", data=data)
    weights = np.linspace(-1, 5, 101)
    costs = np.array([cost.value([w]) for w in weights])
    swept = weights[costs.argmin()]
    print(f"sweep    {len(weights):>6} evaluations   w = {swept:.6f}   J = {costs.min():.6f}")

    # The descent starts anywhere, looks at the slope under its feet, and steps the other way.
    start = np.random.default_rng(3).uniform(-1, 5, size=1)
    walk = minimize(cost, start, "gd", learning_rate=0.02, step_tol=1e-10)
    print(f"descent  {walk.nfev:>6} evaluations   w = {walk['w']:.6f}   J = {walk.fun:.6f}   from w = {start[0]:.3f}")
    print(f"         dJ/dw = {pretty(cost.derivatives['w'])}; {walk.message}")
    ax = draw_slice(describe_slice(cost, walk, limits=(-1, 5), steps=[0, 1, 2, 4]))
    ax.plot(weights, costs, ".", color=SKY, ms=5, zorder=2, label=f"sweep: {len(weights)} evaluations")
    ax.set_title(f"The descent came to w = {walk['w']:.4f} with {walk.nfev} evaluations", loc="left")
    ax.legend(frameon=False)
    save(ax, out / "1-sweep.png")

    # Two weights, y = m x + c: the sweep needs 101 values of each, the descent only a gradient that is one longer.
    line = Formula("mean((y - (m*x + c))**2)", data=data)
    grid = np.stack(np.meshgrid(np.linspace(0, 4, 101), np.linspace(-2, 2, 101)), axis=-1).reshape(-1, 2)
    grid_costs = np.array([line.value(w) for w in grid])
    down = minimize(line, "m=0.5, c=-1.5")
    print(f"\nm, c     sweep {len(grid):>8,} evaluations   J = {grid_costs.min():.6f}")
    print(f"         descent {down.nfev:>6,} evaluations   J = {down.fun:.6f}")
    save(draw_sweep(describe_sweep(grid, grid_costs, down.record)), out / "1-sweep-2d.png")

    # Many weights: 101 values for each of d weights are 101^d costs.
    print("\n weights              sweep    descent")
    descents = {}
    for d in (1, 2, 3, 10, 100):
        names = [f"w{k}" for k in range(d)]
        bowl = Formula(" + ".join(f"{k + 1}*({name} - {k % 3})**2" for k, name in enumerate(names)))
        descents[d] = minimize(bowl, np.full(d, 5.0)).nfev
        print(f"{d:>8} {101.0**d:>18,.3g} {descents[d]:>10}")

    # Where the gradient is zero the walk would stand still, but only at a minimum is it allowed to.
    print()
    left = {}
    for model, where in (("w**2*x", "w=0"), ("u*v*x", "u=0, v=0")):
        left[model] = minimize(f"mean((y - {model})**2)", where, data=data)
        print(f"y = {model} from {where}: {left[model].notes[0]}")
        ended = ", ".join(f"{name} = {w:.4f}" for name, w in left[model].variables.items())
        print(f"    ended at {ended}: J = {left[model].fun:.6f}")
    return {
        "sweep": (swept, costs.min()),
        "descent": walk,
        "line": (grid_costs.min(), down),
        "descents": descents,
        "left": left,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
