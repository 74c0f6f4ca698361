"""Tutorial 4: one cost over samples, and the family of methods that descend it.

    python examples/tutorial_4_family.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np

from descender import minimize
from descender.costs.differences import difference_quotients, finite_difference_gradient
from descender.costs.formula import Formula
from descender.costs.risk import Risk
from descender.pictures.curves import describe_curve, draw_curve
from descender.pictures.style import BLACK, BLUE, COLOURS, GREY, axes, save, styled

FAMILY = {
    "batch": {"method": "gd", "learning_rate": 0.3},
    "batch, adaptive rate": {"method": "gd", "learning_rate": "backtracking"},
    "one coordinate at a time": {"method": "coordinate", "learning_rate": 0.25},
    "mini-batches of 20": {"method": "gd", "learning_rate": 0.1, "batch_size": 20},
    "mini-batches of 10": {"method": "gd", "learning_rate": 0.1, "batch_size": 10},
    "stochastic": {"method": "gd", "learning_rate": 0.02, "batch_size": 1},
    "stochastic, falling rate": {"method": "gd", "learning_rate": "inverse-time 0.1 0.05", "batch_size": 1},
    "stochastic, averaging": {"method": "averaging", "learning_rate": 0.02, "batch_size": 1},
    "a rate per weight (Adam)": {"method": "adam", "learning_rate": 0.05, "batch_size": 10},
}


def main(out="out"):
    out = Path(out)
    rng = np.random.default_rng(4)
    x = rng.normal(1, 1, 1000)
    y = 3 * x - 1 + rng.normal(0, 1, 1000)
    cost = Formula("mean((y - (m*x + c))**2)", data={"x": x, "y": y})
    bottom = cost.value(np.polyfit(x, y, 1))

    # The gradient is a limit of difference quotients: for one number, and for a vector one coordinate at a time.
    print(difference_quotients(lambda w: np.tanh(w) ** 2, 1.0, 10.0 ** -np.arange(0, 14, 2)))
    exact, measured = cost.gradient([1.0, 0.0]), finite_difference_gradient(cost.value, [1.0, 0.0], careful=True)
    print(f"exact gradient {exact}; measured to within {measured.error}, truly off by {abs(exact - measured.value)}")

    # How many samples does each method read until 99 % of the way down is done?  (An epoch reads all 1,000.)
    walks = {name: minimize(cost, "m=-3, c=4", **way, max_epochs=20) for name, way in FAMILY.items()}
    level = bottom + 0.01 * (cost.value([-3.0, 4.0]) - bottom)
    read = {}
    print(f"\n{'':>24} {'updates':>8} {'samples read to J < ' + format(level, '.2f'):>30} {'J after 20 epochs':>18}")
    for name, walk in walks.items():
        J = np.mean((y - walk.record.path @ np.stack([x, np.ones(1000)])) ** 2, axis=1)
        readings = np.append(0, walk.record["evaluations"][:-1])  # a rate that is searched for reads more than once
        rows = walk.record["rows_seen"] if "batch_size" in FAMILY[name] else 1000 * readings
        read[name] = int(rows[J < level][0])
        print(f"{name:>24} {walk.nit:>8,} {read[name]:>30,} {walk.fun:>18.5f}")
    print(f"{'the bottom':>24} {'':>8} {'':>30} {bottom:>18.5f}")
    save(paths(cost, walks), out / "4-family.png")

    # Steps are long far away and short near: at a fixed rate a step is as long as the gradient.
    batch = walks["batch"].record
    print(f"\nbatch steps: {', '.join(f'{s:.3g}' for s in batch['step_norm'][:-1:4])}")

    # A second half that no step has seen tells what the weights are worth beyond the first: with 12 waves on 30
    # samples the training loss goes on falling while the held-out loss has turned.
    waves = np.cos(np.outer(rng.uniform(0, 3, 530), np.arange(1, 13)))
    target = waves[:, 0] + rng.normal(0, 0.5, 530)
    seen = Risk(waves[:30], target[:30])
    unseen = Risk(waves[30:], target[30:])
    over = minimize(seen, method="minibatch", batch_size=10, learning_rate=0.05, max_epochs=150, holdout=unseen.value)
    held = over.record["holdout_cost"]
    print(f"\nheld-out loss: lowest {np.nanmin(held):.4f}, at the end {held[-1]:.4f}; training loss at the end {over.fun:.4f}")
    save(draw_curve(describe_curve(over.record)), out / "4-holdout.png")
    return {"walks": walks, "read": read, "bottom": bottom, "measured": (exact, measured), "over": over}


@styled
def paths(cost, walks):
    """Five of the walks on the same contours."""
    m, c = np.meshgrid(np.linspace(-3.5, 4, 80), np.linspace(-2.5, 5, 80))
    heights = [cost.value([a, b]) for a, b in zip(m.ravel(), c.ravel(), strict=True)]
    ax = axes()
    ax.contour(m, c, np.reshape(heights, m.shape), 16, colors=GREY, linewidths=0.5)
    names = ("batch", "one coordinate at a time", "mini-batches of 20", "stochastic, averaging", "stochastic")
    for name, colour, width in zip(names, (BLACK, BLUE, *COLOURS[1:4]), (2.2, 2.2, 1.2, 1.2, 0.6), strict=True):
        ax.plot(*walks[name].record.path[:400].T, color=colour, lw=width, label=name, zorder=3 + width)
    ax.set(xlabel="m", ylabel="c", xlim=(-3.5, 4), ylim=(-2.5, 5))
    ax.legend()
    return ax


if __name__ == "__main__":
    main(*sys.argv[1:])
