"""The causes that the doctor knows: one list, by which findings are named, ordered and documented.

A cause is a slug that never changes, with a code that is never given to another.  :data:`CAUSES` is in the order of
its codes; ``docs/findings`` is made of it.
"""

from __future__ import annotations

from typing import NamedTuple

from descender.errors import OptionError

PAGES = "docs/findings"
"""The folder in which each code has its page."""


class Cause(NamedTuple):
    """What can go wrong: its code and slug, a title, what it means, the signs it is known by, and what helps.

    ``aliases`` are other words for it; ``above`` the causes of which this one is the root, so that it is named first.
    """

    code: str
    slug: str
    title: str
    meaning: str
    signs: str
    remedies: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    above: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        """Where it is explained."""
        return f"{PAGES}/{self.code.lower()}.md"


_C = Cause
CAUSES: tuple[Cause, ...] = (
    # data
    _C("D011", "unscaled-columns", "columns on very different scales",
       "Columns in units of their own: the cost is steep along one weight and flat along another, and no single rate suits both.",
       "The spread of the largest column is a hundred times that of the smallest or more, and the same training on standardised columns does far better.",
       ("standardise the columns", "a method that scales for itself"),
       ("unscaled-features", "feature-scaling", "ill-conditioned-data"),
       ("learning-rate-too-high", "learning-rate-too-low", "exploding-gradient", "saturation", "dead-units", "half-precision-overflow")),
    _C("D012", "outlier-rows", "a row far away from all others",
       "One row, or a few, by its size alone pulls the weights to itself: a typing error, a unit, a sensor that failed.",
       "A value tens of times farther from the median than 99 of 100 others, and a gradient more than a hundred times the median row's.",
       ("look at the row, correct it or leave it out", "Huber's loss", "clip the gradient"),
       ("outlier", "outliers", "outlier-row"),
       ("learning-rate-too-high", "exploding-gradient", "unscaled-columns", "vanishing-gradient", "saturation", "dead-units", "overfitting")),
    _C("D013", "constant-columns", "a column that never changes",
       "It tells nothing, and its weight is one more bias.",
       "All values of a column are the same.",
       ("drop it",), ("constant-column", "constant-feature")),
    _C("D014", "nan-input", "missing or infinite values in the data",
       "One NaN in a row makes the loss of its batch NaN, and then every weight.",
       "Entries of X or y that are not finite: the first is named by row and column.",
       ("leave out the rows that are not complete", "fill the holes, with the median of the column"),
       ("nan-in-data", "missing-values", "nan-data", "bad-data"),
       ("nan-operation", "learning-rate-too-high", "exploding-gradient")),
    _C("D031", "leaked-label", "a column that gives the answer away",
       "It is known only once the target is: the model learns nothing else and will fail where it has to predict.",
       "One column alone tells the target almost perfectly, and no other comes near.",
       ("leave the column out",), ("label-leakage", "target-leakage", "data-leakage", "leakage", "leaked-column"),
       ("overfitting",)),
    _C("D033", "separable", "the classes are separable, and there is no penalty",
       "Weights grow without end, like the logarithm of time, and the cost goes to 0: there is no minimum.",
       "The cost ends far below one millionth of its start.",
       ("a penalty, such as l2",), ("separable-data", "perfect-separation"),
       ("learning-rate-too-low", "steps-used-up")),
    # rate and descent
    _C("D101", "learning-rate-too-high", "learning rate too high",
       "Steps are longer than the curvature allows: the cost rises, or is thrown about far above where it could be.",
       "The loss blows up or ends no better than a constant guess, and the same training with a third, a tenth or a thirtieth of the rate does far better.",
       ("rate / 3", "rate / 10", "an automatic rate", "scale the columns"),
       ("lr-too-high", "divergence", "diverging-loss", "learning-rate-too-large"),
       ("exploding-gradient", "oscillation", "dead-units", "saturation", "vanishing-gradient", "nan-operation")),
    _C("D102", "unbounded", "unbounded below",
       "The cost has no minimum in the direction that the walk took.",
       "The cost falls without end, as steeply as before.",
       ("check the sign of the cost, or bound it",), ("unbounded-below", "no-minimum")),
    _C("D103", "not-a-minimum", "not a minimum",
       "The gradient is zero, and the curvature is that of a saddle or a maximum.",
       "Curvatures at the end, some of them negative.",
       ("start elsewhere", "a method that leaves saddles: auto"), ("saddle-point", "maximum")),
    _C("D104", "plateau", "a plateau",
       "The slope is so small that nothing is gained, and does not become smaller.",
       "Many steps hardly lowered the cost, though the gradient is as large as before.",
       ("a far larger rate", "leave the rate out"), ("flat-cost",)),
    _C("D105", "steps-used-up", "iterations used up",
       "It ended because its budget did, not because it had arrived.",
       "As many iterations as were allowed.", ("more iterations",), ("max-iter", "not-converged")),
    _C("D106", "stopped-by-hold-out", "stopped by its own hold-out",
       "It ended on purpose, by the score of rows that it did not learn from.",
       "early_stopping is set.", ("choose a penalty instead",), ("early-stopping",)),
    _C("D107", "loose-tolerance", "its stopping rule was content too soon",
       "Its own criterion was met above the minimum.",
       "Fewer iterations than allowed, and a cost above the minimum.", ("a smaller tol",), ("tolerance",)),
    _C("D108", "learning-rate-too-low", "learning rate too low",
       "Steps so small that the budget ends before anything is learnt.",
       "The loss hardly fell, and the same training with ten, a hundred or a thousand times the rate learns.",
       ("rate x 3", "rate x 10", "rate x 100", "an automatic rate"),
       ("lr-too-low", "learning-rate-too-small", "slow-convergence", "slow-training"),
       ("steps-used-up",)),
    _C("D109", "momentum-too-high", "momentum too high",
       "The memory of past steps is longer than the training: it runs past every minimum.",
       "A momentum of 0.99 or more, and the same training with 0.9 does far better.",
       ("momentum 0.9", "a lower rate"), ("momentum",), ("learning-rate-too-high", "oscillation", "exploding-gradient", "dead-units", "saturation")),
    _C("D110", "oscillation", "oscillation",
       "The loss is thrown up and down about a level that it could be far below.",
       "A lower rate for the last part of the training lowers the loss by far.",
       ("a rate that decays", "larger batches", "less momentum", "average the weights"), ("noise-floor", "unstable-loss")),
    # gradients and layers
    _C("D201", "exploding-gradient", "exploding gradient",
       "Errors grow from layer to layer on their way back, or from step to step of a sequence.",
       "Gradients that grow by more than twice a layer and are huge or not finite, where lowering the rate alone does not help.",
       ("clip the gradient at twice its median norm", "a lower rate", "another initialisation", "another activation"),
       ("exploding-gradients", "gradient-explosion"), ("nan-operation",)),
    _C("D202", "vanishing-gradient", "vanishing gradient",
       "Errors shrink from layer to layer on their way back, so that the first layers do not learn.",
       "The gradient of the first layer is below a thousandth of that of the last, and the loss is that of a constant guess.",
       ("ReLU with He's initialisation", "another initialisation", "normalisation", "residual connections"),
       ("vanishing-gradients", "gradient-vanishing"), ("learning-rate-too-low",)),
    _C("D203", "dead-units", "dead units",
       "Units that are 0 for every row: no gradient passes, and they never recover.",
       "At least 70 % of the units of a layer are 0 for every row that was looked at.",
       ("leaky ReLU", "a lower rate", "another initialisation"),
       ("dying-relu", "dead-relu", "dead-neurons"), ("learning-rate-too-low", "vanishing-gradient")),
    _C("D204", "saturation", "saturated units",
       "Sigmoids and tanhs far out, where they are flat: hardly any gradient passes.",
       "The input of more than half of the units of a layer is beyond 5 on average over rows.",
       ("another initialisation", "scale the columns", "another activation"),
       ("saturated-units", "saturated-activations", "activation-saturation"), ("learning-rate-too-low", "vanishing-gradient")),
    _C("D205", "bad-initialisation", "bad initial weights",
       "Weights that start alike stay alike, and a layer of such units is one unit; weights that start far too large or small make the first steps useless.",
       "All units of a hidden layer have the same weights, at the start and later; or activations that grow or shrink a thousandfold through the layers.",
       ("He's or Glorot's initialisation",),
       ("bad-initialization", "initialisation", "initialization", "symmetric-weights", "zero-weights"),
       ("vanishing-gradient", "learning-rate-too-low", "dead-units", "class-collapse")),
    _C("D210", "wrong-gradient", "the gradient is wrong",
       "The derivative that is handed over is not that of the cost.",
       "Difference quotients in double precision, along random directions, disagree with it; the worst parameter is named.",
       ("correct its formula", "let it be made by automatic differentiation"),
       ("gradient-error", "wrong-backward", "incorrect-gradient"),
       ("learning-rate-too-high", "learning-rate-too-low", "exploding-gradient", "steps-used-up", "unbounded")),
    # targets
    _C("D301", "labels-shuffled", "the targets do not belong to the rows",
       "Rows and targets are out of line, as after sorting or joining one of them alone.",
       "No method tells held-out targets better than guessing does: neighbours, a linear model, trees, nor this training.",
       ("look for where rows and targets part: sorting, joining, shuffling one alone",),
       ("shuffled-labels", "misaligned-labels", "labels-misaligned", "random-labels"), ("overfitting", "label-noise", "learning-rate-too-low")),
    _C("D302", "label-noise", "many labels are wrong",
       "A good part of the labels is that of other classes.",
       "Rows whose neighbourhood is of one mind have another label as often as rows at the border.",
       ("look at the rows that are named", "smoothed labels", "fewer steps"),
       ("noisy-labels", "wrong-labels", "mislabelled-data", "mislabeled-data"), ("overfitting",)),
    _C("D303", "constant-labels", "all targets are alike",
       "There is nothing to learn.", "One value in all of y.",
       ("look at how the target is made",), ("constant-targets", "constant-target", "single-class")),
    _C("D304", "class-collapse", "only one class is ever predicted",
       "One class is so frequent that answering it always is where the training came to rest.",
       "One answer for every row, though another method tells the classes apart.",
       ("weigh the classes", "sample them evenly"), ("class-imbalance", "imbalanced-classes", "mode-collapse")),
    _C("D305", "output-mismatch", "the outputs do not suit the targets",
       "A loss for numbers on numbers of classes, an output that cannot reach the targets, targets that the loss does not know.",
       "Squared errors of class numbers; targets outside of the range of the last activation; a loss that is always 0.",
       ("the right pair of output and loss: class scores with cross-entropy, a linear output with squared errors",),
       ("wrong-loss", "loss-mismatch", "regression-on-codes", "wrong-label-coding", "label-coding", "output-layer-mismatch"),
       ("overfitting", "learning-rate-too-low")),
    _C("D306", "softmax-twice", "softmax twice",
       "Probabilities are given to a loss that takes scores: the gradient is small, and the loss cannot come near 0.",
       "Outputs of the module are probabilities, and the loss takes their softmax, or sigmoid, once more.",
       ("leave the softmax to the loss",), ("double-softmax", "softmax-on-logits-twice", "sigmoid-twice"),
       ("learning-rate-too-low", "output-mismatch", "vanishing-gradient")),
    _C("D307", "broadcasting", "(n, 1) against (n,)",
       "Every output is compared with every target, and the best answer is a constant.",
       "The loss does not change when targets change places; outputs and targets differ in shape.",
       ("bring both to one shape",), ("broadcast", "shape-mismatch", "broadcast-loss"),
       ("learning-rate-too-low", "labels-shuffled", "output-mismatch")),
    # the loop
    _C("D401", "gradients-not-reset", "gradients are not reset",
       "Each step adds its gradient to those of all steps before.",
       "The gradient of one step is still there when the next is added.",
       ("optimizer.zero_grad() before backward()",), ("missing-zero-grad", "zero-grad", "accumulated-gradients", "no-zero-grad"),
       ("learning-rate-too-high", "exploding-gradient", "momentum-too-high", "oscillation", "dead-units", "saturation")),
    _C("D402", "loss-summed", "the loss is summed, not averaged",
       "The gradient grows with the batch, and the rate was meant for a mean.",
       "A batch taken twice has twice the loss; divided by the batch size the training does far better.",
       ("reduction='mean'", "divide the rate by the batch size"), ("sum-reduction", "summed-loss", "loss-reduction"),
       ("learning-rate-too-high", "exploding-gradient", "dead-units", "saturation")),
    _C("D403", "eval-mode", "evaluation mode in training",
       "Dropout does nothing, and batch normalisation uses statistics that it never learnt.",
       "The layers that know two modes were in evaluation mode whenever they trained.",
       ("module.train() before each step, or after each validation",), ("evaluation-mode", "missing-train-mode", "model-eval"),
       ("overfitting",)),
    _C("D404", "optimizer-recreated", "the optimizer is made anew",
       "Its moments begin at nothing each time: it never remembers.",
       "Several optimizers, one after another, moved the same parameters.",
       ("make the optimizer once, before the loop",), ("optimiser-recreated", "optimizer-reset", "recreated-optimizer"),
       ("learning-rate-too-high", "oscillation")),
    _C("D405", "schedule-ends-early", "the schedule ends early",
       "The rate is as good as zero long before the training ends.",
       "Less than a hundredth of the highest rate for most of the steps, and the same training without the schedule does better.",
       ("stretch the schedule over the steps of the training", "step it once an epoch"),
       ("lr-schedule-ends-early", "scheduler-per-batch", "schedule-to-zero", "learning-rate-zero"), ("learning-rate-too-low",)),
    _C("D406", "detached-part", "a part that gets no gradient",
       "Its parameters want a gradient and never get one: a detach(), a no_grad(), a NumPy round trip.",
       "The part is used in every step, and the gradient of its parameters is None.",
       ("remove the detach()",), ("detached", "detached-graph", "no-gradient"), ("vanishing-gradient", "learning-rate-too-low", "dead-units")),
    _C("D407", "not-in-optimizer", "a part that the optimizer was not given",
       "Its parameters get a gradient and never move.",
       "Parameters with a gradient that are in no group of any optimizer that stepped.",
       ("give the optimizer all parameters",), ("missing-parameters", "parameters-not-in-optimizer", "not-in-optimiser"),
       ("gradients-not-reset", "vanishing-gradient", "exploding-gradient")),
    _C("D408", "frozen-part", "a frozen part that the optimizer was given",
       "Its parameters want no gradient, though the optimizer was meant to move them.",
       "requires_grad is False in every step, and the same training with the part thawed does far better.",
       ("requires_grad_(True)", "or leave it out of the optimizer, to say that it is meant"), ("frozen-layer", "frozen-by-mistake")),
    _C("D409", "tiny-batches", "batch normalisation of tiny batches",
       "Mean and spread of two or three values are noise.",
       "A layer of batch normalisation saw at most 4 values a channel in training.",
       ("larger batches", "layer or group normalisation"), ("batch-norm-tiny-batch", "small-batch-batchnorm", "tiny-batch")),
    _C("D410", "data-order", "batches of one kind",
       "Rows come sorted: each batch pulls to its own class, and the next pulls back.",
       "Targets are far more alike within batches than between them, in the order in which they are read.",
       ("shuffle the rows each epoch",), ("unshuffled-data", "sorted-data", "not-shuffled"),
       ("oscillation", "learning-rate-too-high", "learning-rate-too-low", "momentum-too-high", "class-collapse", "overfitting")),
    _C("D411", "clipping-too-low", "clipped to nothing",
       "The threshold is so low that every gradient is cut to a small part of itself.",
       "Every step clipped, to less than a tenth, and the same training without clipping learns.",
       ("clip at twice the median norm", "do not clip"), ("clip-too-low", "overclipping", "gradient-clipping"),
       ("learning-rate-too-low", "vanishing-gradient")),
    _C("D412", "penalty-sign", "a penalty of the wrong sign",
       "Large weights are rewarded: they grow without end.",
       "The gradient beyond that of the loss points along the weights, outwards.",
       ("add the penalty, do not subtract it",), ("wrong-penalty-sign", "negative-regularisation", "negative-regularization"),
       ("learning-rate-too-high", "exploding-gradient", "overfitting", "unbounded")),
    _C("D413", "penalty-too-strong", "a penalty far too strong",
       "The weights are held at nothing, and the outputs are as good as constant.",
       "Little is learnt, and the same training without its penalty learns far more, on held-out rows, too.",
       ("a tenth of the penalty", "no penalty"), ("weight-decay-too-high", "over-regularised", "over-regularized", "underfitting"),
       ("learning-rate-too-low", "vanishing-gradient", "dead-units")),
    _C("D414", "wrong-sign", "the loss has the wrong sign",
       "The training climbs instead of descending.",
       "The loss becomes smaller the farther outputs are from their targets; or steps go up the gradient.",
       ("change the sign",), ("loss-sign", "gradient-ascent", "sign-error"),
       ("learning-rate-too-high", "exploding-gradient", "unbounded", "overfitting")),
    _C("D415", "overfitting", "overfitting",
       "It learns its own rows by heart: the loss of others rises while its own falls.",
       "The validation loss is at its end well above its lowest, and the training loss fell on.",
       ("stop where the validation loss is lowest", "a penalty or dropout", "more rows"), ("overfit",)),
    _C("D416", "loop-raises", "the loop raises an exception",
       "A step did not end.", "The exception, and the step.", ("see the exception",), ("exception", "error")),
    _C("D417", "not-learning", "it does not learn",
       "The loss ends no better than that of a constant guess, though the targets can be told from the rows.",
       "A simple model tells held-out targets, and this training does not tell its own.",
       ("look at the findings below, and at the model",), ("underfit", "no-learning")),
    # numbers
    _C("D901", "nan-operation", "an operation that makes NaN or infinity",
       "A logarithm of 0, a root of a negative number, a division by 0: the first is named, with layer, row and the value.",
       "The first operation whose inputs are finite and moderate and whose result, or derivative, is not.",
       ("bound the input of the operation", "an equivalent that is stable, such as log_softmax"),
       ("nan", "nan-loss", "invalid-operation", "numerical-error")),
    _C("D902", "half-precision-overflow", "half precision overflows",
       "float16 ends at 65,504: a value beyond is infinite.",
       "The first infinity is made in half precision of values that float32 holds.",
       ("float32, or bfloat16", "torch.amp with a GradScaler", "scale the columns"),
       ("fp16-overflow", "half-precision", "float16-overflow"), ("nan-operation", "exploding-gradient", "learning-rate-too-high")),
)  # fmt: skip

BY_SLUG = {cause.slug: cause for cause in CAUSES}
BY_NAME = {name: cause for cause in CAUSES for name in (cause.code.lower(), cause.slug, *cause.aliases)}


def cause_of(name: str) -> Cause:
    """The cause by its code, slug or any other word for it.

    >>> cause_of("lr too high").code, cause_of("D415").slug
    ('D101', 'overfitting')
    """
    found = BY_NAME.get(str(name).strip().lower().replace(" ", "-").replace("_", "-"))
    if found is None:
        raise OptionError(f"{name!r} is no finding: expected a code such as D101 or a cause such as {CAUSES[0].slug!r}")
    return found
