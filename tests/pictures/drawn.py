"""What the tests of pictures share: costs, a way to make a walk, and a look at what was saved."""

import numpy as np

from descender.costs.cost import Cost
from descender.costs.formula import Formula
from descender.costs.risk import Risk
from descender.descent import descend
from descender.methods.lbfgs import LBFGS
from descender.methods.rates import Constant
from descender.methods.rules.plain import GradientDescent
from descender.methods.textbook import Textbook
from descender.pictures import style
from descender.walk import Stop

ROSENBROCK = Formula("(1-x)**2 + 100*(y-x**2)**2")
QUARTIC = Formula("x**4 - 3*x**2 + x")


def gd(rate: float, batch_size: int | str = "full") -> Textbook:
    return Textbook("gd", GradientDescent(), Constant(rate), batch_size)


def valley_walk():
    """Down Rosenbrock's valley."""
    return descend(ROSENBROCK, np.array([-1.2, 1.0]), LBFGS())


def batch_walk():
    """A logistic risk, and a walk on it by batches with held-out rows."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(60, 2))
    risk = Risk(X, (X @ [1.0, -2.0] + 0.3 * rng.normal(size=60) > 0).astype(float), "log_loss", l2=0.01)
    walk = descend(risk, np.zeros(3), gd(0.1, 10), Stop(max_steps=120), holdout=lambda w: 1.0 + risk.value(w))
    return risk, walk


def saved(ax, tmp_path, name="picture.png"):
    path = style.save(ax, tmp_path / name)
    assert path.stat().st_size > 2_000
    return path


class Bowl(Cost):
    """Steep along the first of five parameters, which a descent goes down first."""

    names = tuple("abcde")
    scale = np.array([10.0, 1.0, 0.1, 0.01, 0.001])

    def value_and_gradient(self, w, rows=None):
        return 0.5 * float(self.scale @ w**2), self.scale * w
