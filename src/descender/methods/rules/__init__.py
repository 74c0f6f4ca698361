"""Update rules: how a gradient becomes a step.

A rule is a NamedTuple of hyperparameters with one elementwise formula::

    formula(p, w, g, s, rate, t) -> (w, s)

`p` holds the hyperparameters, `g` the (clipped) gradient, `s` one array for each name in ``slots``, all zero at the
start.  The formula uses arithmetic and NumPy functions only, no ``if``: the same text runs on whole arrays in Python
and coordinate by coordinate in the compiled loop.  It asks for more by the names of further parameters: ``noise``,
normal numbers; ``origin``, the start; ``m``, the numbers that the rule names in ``memory``.  What else a rule may say:

``deviation(p, t)``
    the standard deviation of ``noise``
``terms(...)``
    elementwise, a tuple; the sum of each over the coordinates is passed on as ``sums``
``remember(...)``
    the numbers of ``memory`` for this step, from the old ones (``m``, zero at the start) and ``sums``
``settle(...)``
    the point and the slots after a step, from what bounds and a penalty left of the point (``new``); before it
    ``terms_after(...)`` may be summed and ``weigh(...)`` may change what ``memory`` holds
``extrapolates``
    whether ``settle`` leads beyond the new point: what is searched is then the parabola's rate, not a descent
``proximal_form()``
    of a rule with another form for proximal steps: that one
``answer(w, s, t)``
    what is reported after `t` steps, where that is not the point at which gradients are read
``begins_at_start``
    whether what it remembers begins as the start of the walk, and not as zero
``ranges``
    from where to where each hyperparameter may go, if not from 0 to below 1
``natural_rate``
    the learning rate that the field starts from, of a rule whose steps have a size of their own
``along_gradient``
    whether a step is the rate times the gradient, as rates that measure it, and proximal steps, take for granted
``unsearched``
    whether a smaller rate need not lower the cost, so that no rate may be searched for

To add a rule, write its class in the file of its family and name it in `RULES`.
"""

from descender.methods.rules.adaptive import (
    AdaDelta,
    AdaGrad,
    Adam,
    AdaMax,
    AdamW,
    AMSGrad,
    Lion,
    NAdam,
    Prodigy,
    RMSProp,
)
from descender.methods.rules.averaged import IterateAveraging, ScheduleFree
from descender.methods.rules.momentum import Fista, GradientAveraging, Momentum, Nesterov
from descender.methods.rules.plain import GradientDescent, GradientNoise, SignDescent

RULES = {
    "gd": GradientDescent,
    "sign": SignDescent,
    "noise": GradientNoise,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "fista": Fista,
    "averaging": GradientAveraging,
    "polyak-ruppert": IterateAveraging,
    "schedule-free": ScheduleFree,
    "adagrad": AdaGrad,
    "rmsprop": RMSProp,
    "adadelta": AdaDelta,
    "adam": Adam,
    "adamax": AdaMax,
    "amsgrad": AMSGrad,
    "nadam": NAdam,
    "adamw": AdamW,
    "lion": Lion,
    "prodigy": Prodigy,
}
