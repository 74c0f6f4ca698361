"""Tutorial 5: a sigmoid classifier of two blobs of points, as a program of a few lines.

python examples/tutorial_5_sigmoid.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split

from descender import minimize
from descender.costs.risk import Risk
from descender.data.examples import example
from descender.pictures.boundary import describe_boundary, draw_boundary
from descender.pictures.style import BLUE, axes, save, styled

PROGRAM = {"method": "gd", "learning_rate": 0.01, "max_epochs": 100, "step_tol": 0}


def halves():
    """Two features and a column of ones, which makes the bias one more weight; a half to train and a half to test."""
    blobs = example("blobs").table()
    X = np.column_stack([blobs["x1"], blobs["x2"], np.ones(len(blobs))])
    return train_test_split(X, blobs["label"].to_numpy(), test_size=0.5, random_state=42)


def main(out="out"):
    """Run the tutorial and write its pictures into `out`."""
    out = Path(out)
    train, test, y_train, y_test = halves()

    # The sum of e^2 with e = p - y falls along -X'(e p (1-p)), its factor 2 left out: this loss is e^2 / 2.
    cost = Risk(train, y_train, "sigmoid_squared_error", intercept=False, reduction="sum")
    start = np.random.default_rng(0).standard_normal(3)
    walk = minimize(cost, start, **PROGRAM)

    epochs = PROGRAM["max_epochs"]
    losses = 2 * walk.record["cost"][:epochs]  # each before its update
    for epoch in (1, *range(5, epochs + 1, 5)):
        print(f"epoch {epoch:>3}, loss {losses[epoch - 1]:.7f}")

    predicted = (test @ walk.x > 0).astype(int)  # p > 0.5; a tie goes to class 0
    print(classification_report(y_test, predicted))

    def probability(points):
        return cost.loss.predict(np.column_stack([points, np.ones(len(points))]) @ walk.x)

    save(draw_losses(losses), out / "5-loss.png")
    save(draw_boundary(describe_boundary(probability, test[:, :2], y_test)), out / "5-boundary.png")
    return {"start": start, "walk": walk, "losses": losses, "predicted": predicted}


@styled
def draw_losses(losses):
    """The loss against the epoch."""
    ax = axes()
    ax.plot(np.arange(1, len(losses) + 1), losses, color=BLUE)
    ax.set(xlabel="epoch", ylabel="sum of squared errors", yscale="log")
    ax.grid(axis="y")
    return ax


if __name__ == "__main__":
    main(*sys.argv[1:])
