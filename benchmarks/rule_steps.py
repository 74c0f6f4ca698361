"""10,000 steps of every rule and every rate on a cost of two variables: descender's compiled loop and JAX's `lax.scan`.

Both take the same steps in float64 from the same start, and must agree to 1e-9: of a rate that measures after 20 steps,
since last bits grow where a rate depends on where they led, else at the end.  JAX gets the rule from optax
where optax has it, else from its paper (`rule_steps_jax.py`), and keeps nothing on the way; descender's loop notes
cost, norms and rate of every step.  Compilation is done before the clock starts; the shortest of many turns, in
rotation.

    python benchmarks/rule_steps.py [NAME ...]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from descender.costs.formula import Formula
from descender.methods.advance import Options, new_log
from descender.methods.auto import textbook
from descender.methods.estimates import full_batch
from descender.methods.rules import RULES
from descender.methods.textbook import Noise, compiled_walk

FORMULA = "(1-x)**2 + 100*(y-x**2)**2"
START, STEPS, TURNS = (-1.2, 1.0), 10_000, 40
RATES = {"gd": 1e-3, "noise": 1e-3, "momentum": 1e-4, "nesterov": 1e-4, "averaging": 1e-3, "polyak-ruppert": 1e-3,
         "schedule-free": 1e-3, "rmsprop": 1e-5, "adadelta": 0.01, "prodigy": 1e-4}  # fmt: skip
"""The learning rates; 0.0001 where none is given."""
OTHERS = ("inverse-time 0.001 0.001", "exponential 0.001 0.9999", "step 0.001 2000 0.5", "cosine 0.001 10000",
          "one-cycle 0.001 10000", "warm-up 100 cosine 0.001 10000", "polyak 0", "polyak-estimated", "adaptive", "dog",
          "backtracking")  # fmt: skip
"""The rates beside the constant one, with gradient descent."""


def cases() -> dict[str, tuple[str, Any]]:
    """What is raced, by the name of its line: a rule and a rate."""
    rules: dict[str, tuple[str, Any]] = {name: (name, RATES.get(name, 1e-4)) for name in RULES}
    rates = {f"gd, {rate.split()[0]}": ("gd", rate) for rate in OTHERS}
    return {**rules, "gd, clipped": ("gd, clipped", 1e-3), **rates}


def ours(name: str, rate: Any, steps: int = STEPS) -> tuple[Callable[[], tuple[float, ...]], Any]:
    """The compiled loop, and the noise that it adds."""
    cost = Formula(FORMULA)
    options = Options(clip_norm=1.0) if name.endswith("clipped") else Options()
    method = textbook(cost, name.split(",")[0], rate, options=options)
    step, batches = compiled_walk(cost.kernel(), method), full_batch(None, steps)
    log, none = new_log(steps), np.empty((0, 2))
    noise = Noise(method.rule, 2, np.random.default_rng(0)).next(steps, 0)
    positions = [method.position(np.array(START)) for _ in range(TURNS + 1)]  # JAX's start is made beforehand, too
    options = method.options._replace(gradient_tol=-1.0, step_tol=-1.0)

    def run() -> tuple[float, ...]:
        position = positions.pop()
        step(method.rate, options, batches, position, noise, 0, log, none, none)
        return tuple(position.answer(steps))

    return run, noise


def main() -> None:
    """Time them in rotation and print the table."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from rule_steps_jax import scan

    print(f"{STEPS:,} steps on {FORMULA}; milliseconds, shortest of {TURNS}")
    print(f"  {'rule':22}{'descender':>10}{'lax.scan':>10}{'times':>8}")
    slower = []
    for line, (name, rate) in cases().items():
        if sys.argv[1:] and line not in sys.argv[1:]:
            continue
        mine, noise = ours(name, rate)
        runs = {"descender": mine, "lax.scan": scan(name, rate, noise, STEPS)}
        ends = [run() for run in runs.values()]
        if rate in OTHERS:
            ends = [ours(name, rate, 20)[0](), scan(name, rate, noise, 20)()]
        assert np.allclose(*ends, rtol=1e-9, atol=1e-9), f"{line} ended at {ends}"
        best = dict.fromkeys(runs, np.inf)
        for _ in range(TURNS):
            for who, run in runs.items():
                began = time.perf_counter()
                run()
                best[who] = min(best[who], time.perf_counter() - began)
        here, there = best["descender"] * 1e3, best["lax.scan"] * 1e3
        slower += [line] if here > there else []
        print(f"  {line:22}{here:10.3f}{there:10.3f}{there / here:8.2f}", flush=True)
    print(f"slower than lax.scan: {', '.join(slower) or 'none'}")


if __name__ == "__main__":
    main()
