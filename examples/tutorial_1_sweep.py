"""Tutorial 1: the bottom of a cost, by trying every weight and by walking downhill.

python examples/tutorial_1_sweep.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np

from descender import minimize, sweep
from descender.costs.formula import Formula, pretty
from descender.pictures.slices import describe_slice, describe_sweep, draw_slice, draw_sweep
from descender.pictures.style import SKY, save

DATA = {"x": [1.0, 2.0, 3.0, 4.0, 5.0], "y": [2.3, 3.8, 6.4, 7.7, 10.4]}


def main(out="out"):
    """Run the tutorial and write its pictures into `out`."""
    out = Path(out)

    # One weight, y = w x.  The sweep computes the cost of 101 weights and keeps the smallest; the descent starts
    # anywhere, looks at the slope under its feet, and steps the other way.
    cost = Formula("mean((y - w*x)**2)", data=DATA)
    one = sweep(cost, "w=-1:5:101", method="gd", learning_rate=0.02, step_tol=1e-10, seed=1)
    walk = one.walk
    print(f"dJ/dw = {pretty(cost.derivatives['w'])}")
    print(f"sweep    {one.nfev:>6} evaluations   w = {one.x[0]:.6f}   J = {one.fun:.6f}")
    print(f"descent  {walk.nfev:>6} evaluations   w = {walk['w']:.6f}   J = {walk.fun:.6f}")
    print(f"stopped: {walk.message}")
    ax = draw_slice(describe_slice(cost, walk, limits=(-1, 5), steps=[0, 1, 2, 4]))
    ax.plot(one.axes[0], one.costs, ".", color=SKY, ms=5, zorder=2, label=f"sweep: {one.nfev} evaluations")
    ax.set_title(f"The descent came to w = {walk['w']:.4f} with {walk.nfev} evaluations", loc="left")
    ax.legend(frameon=False)
    save(ax, out / "1-sweep.png")

    # Two weights, y = m x + c: the sweep needs 101 values of each, the descent only a gradient that is one longer.
    two = sweep("mean((y - (m*x + c))**2)", "m=0:4:101 c=-2:2:101", "m=0.5 c=-1.5", data=DATA)
    print(f"\nm, c     sweep {two.nfev:>8,} evaluations   J = {two.fun:.6f}")
    print(f"         descent {two.walk.nfev:>6,} evaluations   J = {two.walk.fun:.6f}")
    save(draw_sweep(describe_sweep(two.points(), two.costs.ravel(), two.walk)), out / "1-sweep-2d.png")

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
        left[model] = minimize(f"mean((y - {model})**2)", where, data=DATA)
        print(f"y = {model} from {where}: {left[model].notes[0]}")
        ended = ", ".join(f"{name} = {w:.4f}" for name, w in left[model].variables.items())
        print(f"    ended at {ended}: J = {left[model].fun:.6f}")
    return {"one": one, "two": two, "descents": descents, "left": left}


if __name__ == "__main__":
    main(*sys.argv[1:])
