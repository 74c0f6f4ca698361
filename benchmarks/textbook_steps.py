"""10,000 plain gradient steps on Rosenbrock's valley: descender, Python, NumPy and PyTorch, the same recursion.

Each contender takes the same steps from the same start at the same rate; the ends must agree to 1e-9.  Compilation is
done before the clock starts (descender keeps it on disk, so that only the first process ever pays it).  Times are the
median of five turns, taken in rotation, so that a busy moment of the machine hits all of them.

    python benchmarks/textbook_steps.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from descender import minimize
from descender.costs.formula import Formula
from descender.methods.advance import new_log
from descender.methods.auto import textbook
from descender.methods.estimates import full_batch
from descender.methods.textbook import compiled_walk

FORMULA = "(1-x)**2 + 100*(y-x**2)**2"
START, RATE, STEPS, TURNS = (-1.2, 1.0), 0.001, 10_000, 5


def whole_call() -> tuple[float, ...]:
    """What a user calls: the formula read and differentiated, the walk recorded, its end judged."""
    walk = minimize(FORMULA, START, method="gd", learning_rate=RATE, max_steps=STEPS, step_tol=0.0)
    return tuple(walk.x)


def loop_alone() -> Callable[[], tuple[float, ...]]:
    """The compiled loop on its own, the log of every step included."""
    cost = Formula(FORMULA)
    method = textbook(cost, "gd", RATE)
    step, batches = compiled_walk(cost.kernel(), method), full_batch(None, STEPS)
    log, none = new_log(STEPS), np.empty((0, 2))

    def run() -> tuple[float, ...]:
        position = method.position(np.array(START))
        step(method.rate, method.options, batches, position, none, 0, log, none, none)
        return tuple(position["w"])

    return run


def plain_python() -> tuple[float, ...]:
    """Two floats and their two derivatives."""
    x, y = START
    for _ in range(STEPS):
        dx, dy = -400 * x * (y - x**2) - 2 * (1 - x), 200 * (y - x**2)
        x, y = x - RATE * dx, y - RATE * dy
    return x, y


def plain_numpy() -> tuple[float, ...]:
    """An array of two numbers."""
    w = np.array(START)
    for _ in range(STEPS):
        x, y = w
        w = w - RATE * np.array([-400 * x * (y - x**2) - 2 * (1 - x), 200 * (y - x**2)])
    return tuple(w)


def pytorch() -> Callable[[], tuple[float, ...]] | None:
    """torch.optim.SGD and automatic differentiation, on one thread; two scalars, which is its fastest form."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)

    def run() -> tuple[float, ...]:
        x, y = (torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in START)
        optimizer = torch.optim.SGD([x, y], lr=RATE)
        for _ in range(STEPS):
            optimizer.zero_grad()
            cost = (1 - x) ** 2 + 100 * (y - x**2) ** 2
            cost.backward()
            optimizer.step()
        return x.item(), y.item()

    return run


def main() -> None:
    """Time them in rotation and print the table."""
    runs = {
        "descender, whole minimize call": whole_call,
        "descender, the loop alone": loop_alone(),
        "plain Python": plain_python,
        "NumPy": plain_numpy,
        "PyTorch": pytorch(),
    }
    contenders = {name: run for name, run in runs.items() if run is not None}
    ends = {name: run() for name, run in contenders.items()}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(TURNS):
        for name, run in contenders.items():
            began = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - began)
    median = {name: statistics.median(spent) for name, spent in times.items()}
    for name, end in ends.items():
        assert np.allclose(end, ends["plain Python"], rtol=1e-9), f"{name} ended at {end}"

    print(f"{STEPS:,} steps of gradient descent on {FORMULA}, rate {RATE}; median of {TURNS}")
    ours = median["descender, whole minimize call"]
    for name, spent in median.items():
        print(f"  {name:32} {spent * 1e3:10.2f} ms   {spent / ours:8.2f} x the whole call")
    if "PyTorch" not in median:
        print("  PyTorch is not installed: pip install torch")
        return
    times_call, times_loop = median["PyTorch"] / ours, median["PyTorch"] / median["descender, the loop alone"]
    print(f"PyTorch takes {times_call:,.0f} times as long as the whole call, {times_loop:,.0f} times as the loop")


if __name__ == "__main__":
    main()
