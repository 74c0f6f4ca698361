"""Examples that are ready to open: the five tutorials, and what they lead to."""

from __future__ import annotations

from typing import Any, NamedTuple

LINE = "mean((weight - (m*(height - 170)/10 + c))**2)"
STEEP = "(x**2 + y**2 - 1)**2 + 100*x**4"
BLOBS = {"data": "example:blobs", "target": "label"}


class Lesson(NamedTuple):
    """A question that the page opens with, and what to look at."""

    tutorial: int
    title: str
    look: str
    asked: dict[str, Any]


LESSONS = (
    Lesson(1, "One weight: down the curve", "The slope gets smaller towards the bottom, and so do the steps.",
           {"cost": "mean((weight - w*height)**2)", "data": "example:heights", "start": [0.9], "steps": 60,
            "methods": ["gd learning_rate=3e-6", "gd learning_rate=3e-5"]}),
    Lesson(1, "A start where the slope is zero", "A maximum has gradient zero, too: it is recognised and left.",
           {"cost": "(x**2 - 1)**2", "start": [0.0], "steps": 60, "methods": ["gd learning_rate=0.05"]}),
    Lesson(2, "A straight line: slope and intercept", "Data shows the line turning into its place, step by step.",
           {"cost": LINE, "data": "example:heights", "start": [1.0, 0.0], "steps": 60,
            "methods": ["gd learning_rate=0.1"]}),
    Lesson(2, "The same in centimetres: a ravine", "One badly scaled column, and plain descent crawls.",
           {"cost": "mean((weight - (m*height + c))**2)", "data": "example:heights", "start": [1.0, 0.0],
            "steps": 1000, "methods": ["gd learning_rate=3e-5", "auto"]}),
    Lesson(3, "tanh: 10,000 steps from 10", "Far away the gradient is 1 and all steps are equal.",
           {"cost": "log(cosh(x))", "start": [10.0], "steps": 10_000,
            "methods": ["gd learning_rate=0.0021", "gd learning_rate=0.1"]}),
    Lesson(3, "A gradient that vanishes", "tanh(x)^2 is a plateau at 5: the walk hardly moves.",
           {"cost": "tanh(x)**2", "start": [5.0], "steps": 1000, "methods": ["gd learning_rate=0.1", "auto"]}),
    Lesson(3, "A gradient that explodes, and clipping", "Without clipping each step throws the walk further.",
           {"cost": STEEP, "start": [3.0, -2.0], "steps": 500,
            "methods": ["gd learning_rate=0.01", "gd learning_rate=0.01 clip_norm=5"]}),
    Lesson(4, "The family: batch, mini-batch, stochastic", "Same data, same readings: smaller batches are noisier.",
           {"cost": LINE, "data": "example:heights", "start": [1.0, 0.0], "steps": 300, "methods":
            ["gd learning_rate=0.1", "sgd learning_rate=0.02", "minibatch learning_rate=0.05 batch_size=10",
             "averaging learning_rate=0.02 batch_size=1"]}),
    Lesson(4, "A race in a bent valley", "Rosenbrock's valley: who finds the way along it?",
           {"cost": "(1-x)**2 + 100*(y-x**2)**2", "start": [-1.2, 1.0], "steps": 1000, "methods":
            ["gd learning_rate=0.001", "momentum learning_rate=0.001 beta=0.9", "adam learning_rate=0.05", "auto"]}),
    Lesson(4, "Four minima", "Drag the start: which valley a walk ends in depends on where it begins.",
           {"cost": "(x**2 + y - 11)**2 + (x + y**2 - 7)**2", "start": [-0.3, -0.9], "steps": 100,
            "methods": ["gd learning_rate=0.01", "momentum learning_rate=0.002 beta=0.9"]}),
    Lesson(4, "A saddle", "Down one way and up the other: gradient zero in between.",
           {"cost": "x**2 - y**2 + y**4/4", "start": [1.5, 0.001], "steps": 100,
            "methods": ["gd learning_rate=0.05", "adam learning_rate=0.05"]}),
    Lesson(5, "The sigmoid classifier", "Data shows the boundary between the two blobs as it turns.",
           {**BLOBS, "model": "sigmoid_squared_error", "scale": False, "start": [0.1, 1.0, 0.3], "steps": 100,
            "methods": ["gd learning_rate=10"]}),
    Lesson(5, "The same with the log loss", "A convex cost: every start leads to the same boundary.",
           {**BLOBS, "model": "log_loss", "start": [0.0, 0.0, 0.0], "steps": 100,
            "methods": ["gd learning_rate=1", "sgd learning_rate=0.1", "auto"]}),
)  # fmt: skip
