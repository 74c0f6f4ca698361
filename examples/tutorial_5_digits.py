"""Tutorial 5, third part: the same program on images of digits, its weights drawn as images.

python examples/tutorial_5_digits.py [OUT]
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split

from descender import minimize
from descender.costs.risk import Risk
from descender.data.examples import example
from descender.pictures.style import save
from descender.pictures.weights import describe_weights, draw_weights


def main(out="out"):
    """Run the tutorial and write its pictures into `out`."""
    out = Path(out)
    table = example("digits").table()
    digit = table["digit"].to_numpy()
    pixels = np.column_stack([table[name] for name in table.column_names if name != "digit"]) / 16  # from 0 to 1
    train, test, digit_train, digit_test = train_test_split(pixels, digit, test_size=0.5, random_state=42)

    def accuracy(w):
        return np.mean((test @ w[:64] + w[64] > 0) == (digit_test == 3))

    # Is it a 3?  The tutorial's recursion, one weight a pixel.  At its rate of 0.01 the first steps throw the walk
    # to where every answer is a sure "no", and the sigmoid is flat there; a smaller rate stays where it has a slope.
    ones, is_3 = np.ones((len(train), 1)), (digit_train == 3).astype(float)
    program = Risk(np.hstack([train, ones]), is_3, "sigmoid_squared_error", intercept=False, reduction="sum")
    walks = {
        a: minimize(program, np.zeros(65), "gd", learning_rate=a, max_epochs=100, step_tol=0) for a in (0.01, 0.003)
    }
    for rate, walk in walks.items():
        summed = f"summed error {2 * walk.fun:5.2f} of {is_3.sum():.0f}"
        print(f"3 or not, rate {rate:<5}: {summed}, accuracy {accuracy(walk.x):.4f}")

    # The same question to the default method: log loss with a small penalty has one bottom, and it is certified.
    best = minimize(Risk(train, is_3, "log_loss", l2=0.001))
    print(f"3 or not, log_loss, default: accuracy {accuracy(best.x):.4f}, {best.message}")
    images = describe_weights([walks[0.003].x[:64], best.x[:64]], ["rate 0.003", "log_loss"])
    save(draw_weights(images), out / "5-three.png")

    # All ten at once: softmax, an image of weights for each digit.
    softmax = Risk(train, digit_train, "softmax", l2=0.001)
    ten = minimize(softmax)
    W, b = softmax.split(ten.x)
    predicted = (test @ W.T + b).argmax(axis=1)
    print(f"which digit, softmax, default: {ten.message}")
    print(classification_report(digit_test, predicted, digits=3))
    save(draw_weights(describe_weights(W)), out / "5-digits.png")
    return {"data": (train, test, digit_train, digit_test), "walks": walks, "best": best, "ten": ten,
            "accuracy": {**{a: accuracy(w.x) for a, w in walks.items()}, "log_loss": accuracy(best.x)},
            "predicted": predicted}  # fmt: skip


if __name__ == "__main__":
    main(*sys.argv[1:])
