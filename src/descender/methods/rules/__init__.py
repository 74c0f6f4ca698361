"""Update rules: how a gradient becomes a step.

A rule is a NamedTuple of hyperparameters with one elementwise formula::

    formula(p, w, g, s, rate, t) -> (w, s)

`p` holds the hyperparameters, `g` the (clipped) gradient, `s` one array for each name in ``slots``, all zero at the
start.  The formula uses arithmetic and NumPy functions only, no ``if``: the same text runs on whole arrays in Python
and coordinate by coordinate in the compiled loop.

To add a rule, write its class in the file of its family and name it in `RULES`.
"""

from descender.methods.rules.adaptive import AdaGrad, Adam, RMSProp
from descender.methods.rules.momentum import GradientAveraging, Momentum, Nesterov
from descender.methods.rules.plain import GradientDescent

RULES = {
    "gd": GradientDescent,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "averaging": GradientAveraging,
    "adagrad": AdaGrad,
    "rmsprop": RMSProp,
    "adam": Adam,
}
