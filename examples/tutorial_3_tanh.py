"""Tutorial 3: descent on functions built on tanh; vanishing and exploding gradients, and clipping.

python examples/tutorial_3_tanh.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np

from descender import minimize
from descender.costs.formula import Formula
from descender.pictures.curves import describe_race, draw_curve
from descender.pictures.slices import describe_slice, draw_slice
from descender.pictures.style import save

STEEP = "(x**2 + y**2 - 1)**2 + 100*x**4"


def main(out="out"):
    """Run the tutorial and write its pictures into `out`."""
    out = Path(out)

    # The gradient of log(cosh(x)) is tanh(x): nearly 1 far away, nearly x close by.  Three fixed rates from x = 10:
    cost = Formula("log(cosh(x))")
    walks = {a: minimize(cost, "x=10", "gd", learning_rate=a, max_steps=10_000) for a in (0.001, 0.0021, 0.1)}
    for rate, walk in walks.items():
        print(f"rate {rate:<6}: |x| = {abs(walk['x']):.4g} after {walk.nit:,} steps")
    default = minimize(cost, "x=10")
    print(f"default    : |x| = {abs(default['x']):.4g} after {default.nfev} evaluations: {default.message}")
    ax = draw_curve(describe_race({f"rate {a}": w.record for a, w in walks.items()}, "step", "gradient_norm"))
    save(ax, out / "3-rates.png")

    # A vanishing gradient: tanh(x)**2 is a plateau at x = 10, where its slope is 1.6e-8.
    plateau = minimize("tanh(x)**2", "x=10", "gd", learning_rate=0.1, max_steps=10_000)
    left = minimize("tanh(x)**2", "x=10")
    print(f"\ntanh(x)**2, rate 0.1: x = {plateau['x']:.5f} after {plateau.nit:,} steps")
    print(f"tanh(x)**2, default : x = {left['x']:.1g} after {left.nfev} evaluations")
    save(draw_slice(describe_slice(Formula("tanh(x)**2"), left.record, limits=(-11, 11))), out / "3-plateau.png")

    # An exploding one: four powers of x make each step throw the walk further, until the numbers end.
    steep = {"start": "x=3, y=-2", "method": "gd", "learning_rate": 0.01, "on_divergence": "continue", "max_steps": 500}
    exploded = minimize(STEEP, **steep)
    clipped = minimize(STEEP, **steep, clip_norm=5)
    by_value = minimize(STEEP, **steep, clip_value=5)
    print("\nstep   gradient norm   x              clipped to norm 5")
    for k in range(5):
        x, tamed = exploded.record.path[k, 0], clipped.record.path[k, 0]
        print(f"{k:>4} {exploded.record['gradient_norm'][k]:>15.4g}   {x:<13.4g}  {tamed:.4f}")
    print(f"after 500 steps J = {exploded.fun}, clipped by norm: {clipped.fun:.1e}, by value: {by_value.fun:.1e}")
    races = {"no clipping": exploded.record, "clip_norm=5": clipped.record, "clip_value=5": by_value.record}
    save(draw_curve(describe_race(races, "step", excess=False)), out / "3-clipping.png")

    # The same log(cosh) as the loss of a line: its gradient tanh(e) x clips each error by itself, so four
    # wild points of 200 hardly matter.  All samples a step, one sample a step, or twenty.
    rng = np.random.default_rng(0)
    x = rng.uniform(-2, 2, 200)
    y = 1.5 * x - 0.5 + rng.normal(0, 0.3, 200)
    y[:4] = 40.0
    line = Formula("mean(log(cosh(y - (m*x + c))))", data={"x": x, "y": y})
    ways = {"batch": ("full", 0.5), "mini-batch of 20": (20, 0.2), "stochastic": (1, 0.02)}
    learnt = {
        name: minimize(line, "m=0, c=0", "gd", batch_size=size, learning_rate=a, max_epochs=30)
        for name, (size, a) in ways.items()
    }
    print("\n30 readings of 200 samples, 4 of them wild (true line 1.5 x - 0.5)")
    for name, walk in learnt.items():
        print(f"{name:>17}: {walk.nit:>5,} steps, m = {walk['m']:.3f}, c = {walk['c']:.3f}, J = {walk.fun:.5f}")
    squares = np.polyfit(x, y, 1)
    print(f"  squares instead:              m = {squares[0]:.3f}, c = {squares[1]:.3f}")
    save(draw_curve(describe_race({k: w.record for k, w in learnt.items()}, "rows_seen")), out / "3-batches.png")
    return {"walks": walks, "default": default, "plateau": plateau, "left": left, "exploded": exploded,
            "clipped": clipped, "by_value": by_value, "learnt": learnt, "line": line}  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
