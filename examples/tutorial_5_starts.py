"""Tutorial 5, second part: the same program from two hundred starts, and a loss on which no start is stuck.

python examples/tutorial_5_starts.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np
from tutorial_5_sigmoid import PROGRAM, halves

from descender import minimize
from descender.costs.risk import Risk
from descender.pictures.basins import describe_ends, draw_ends
from descender.pictures.style import save


def main(out="out"):
    """Run the tutorial and write its picture into `out`."""
    out = Path(out)
    train, test, y_train, y_test = halves()

    def accuracy(w):
        return np.mean((test @ w > 0) == y_test)

    # The summed error after 100 epochs depends on where the walk began.
    cost = Risk(train, y_train, "sigmoid_squared_error", intercept=False, reduction="sum")
    starts = np.random.default_rng(0).standard_normal((3, 200)).T
    walks = [minimize(cost, start, **PROGRAM) for start in starts]
    sums = np.array([2 * walk.record["cost"][-2] for walk in walks])
    stuck = np.flatnonzero(sums > 100)
    print(f"{np.mean((sums >= 0.17) & (sums <= 0.34)):.1%} of 200 starts end at a summed error of 0.17 to 0.34,")
    print(f"{len(stuck)} above 100.  These began on the wrong side, and stopped where the sigmoid is flat:")
    save(draw_ends(describe_ends(sums)), out / "5-ends.png")
    for k in stuck:
        p = cost.loss.predict(train @ walks[k].x)
        wrong = np.abs(p - y_train) > 0.5
        at_first, flatness = np.mean((train @ starts[k] > 0) == y_train), np.median((p * (1 - p))[wrong])
        print(f"    {np.round(starts[k], 2)}: {at_first:.1%} right at first; at the end error {sums[k]:.2f},")
        print(f"        accuracy {accuracy(walks[k].x):.3f}, and p(1-p) = {flatness:.0e} where p is wrong")

    # Log loss pulls with e alone, hardest where a point is surely wrong.
    log_loss = Risk(train, y_train, "log_loss", intercept=False, reduction="sum")
    logs = [minimize(log_loss, starts[k], **PROGRAM) for k in stuck]
    print("log_loss from these starts: accuracy", ", ".join(f"{accuracy(walk.x):.3f}" for walk in logs))

    # The default method needs neither a start nor a rate, and says how far from the bottom it stopped.
    best = minimize(Risk(train, y_train, "log_loss", intercept=False, l2=0.001))
    print(f"default method: accuracy {accuracy(best.x):.3f} after {best.nfev} evaluations, {best.message}")
    return {"starts": starts, "sums": sums, "stuck": stuck, "walks": walks, "logs": logs, "best": best}


if __name__ == "__main__":
    main(*sys.argv[1:])
