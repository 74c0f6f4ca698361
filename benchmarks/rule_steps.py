"""10,000 steps of every rule on a cost of two variables: descender's compiled loop and JAX's `lax.scan`.

Both take the same steps in float64 from the same start; the ends must agree to 1e-9.  JAX gets the rule from optax
where optax has it, else the same formula, and keeps nothing on the way; descender's loop notes cost, norms and rate of
every step.  Compilation is done before the clock starts; the shortest of many turns, taken in rotation.

    python benchmarks/rule_steps.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from descender.costs.formula import Formula
from descender.methods.auto import textbook
from descender.methods.estimates import full_batch
from descender.methods.rules import RULES
from descender.methods.textbook import Noise, compiled_walk

FORMULA = "(1-x)**2 + 100*(y-x**2)**2"
START, STEPS, TURNS = (-1.2, 1.0), 10_000, 40
RATES = {"gd": 1e-3, "noise": 1e-3, "momentum": 1e-4, "nesterov": 1e-4, "averaging": 1e-3, "polyak-ruppert": 1e-3,
         "schedule-free": 1e-3, "rmsprop": 1e-5, "adadelta": 0.01, "prodigy": 1e-4}  # fmt: skip
"""The learning rates; 0.0001 where none is given."""


def ours(name: str, rate: float) -> Callable[[], tuple[float, ...]]:
    """The compiled loop."""
    cost = Formula(FORMULA)
    method = textbook(cost, name, rate)
    step, batches = compiled_walk(cost.kernel(), method), full_batch(None, STEPS)
    log, none = np.zeros((STEPS, 6)), np.empty((0, 2))
    noise = Noise(method.rule, 2, np.random.default_rng(0)).next(STEPS, 0)
    positions = [method.position(np.array(START)) for _ in range(TURNS + 1)]  # JAX's start is made beforehand, too
    options = method.options._replace(gradient_tol=-1.0, step_tol=-1.0)

    def run() -> tuple[float, ...]:
        position = positions.pop()
        step(method.rate, options, batches, position, noise, 0, log, none, none)
        return tuple(position.answer(STEPS))

    return run


def transformation(optax: Any, name: str, rate: float) -> Any:
    """The rule in optax; None where it has none."""
    makers = {
        "gd": lambda: optax.sgd(rate),
        "sign": lambda: optax.sign_sgd(rate),
        "momentum": lambda: optax.sgd(rate, momentum=0.9),
        "nesterov": lambda: optax.sgd(rate, momentum=0.9, nesterov=True),
        "averaging": lambda: optax.chain(optax.ema(0.9, debias=False), optax.scale(-rate)),
        "schedule-free": lambda: optax.contrib.schedule_free_sgd(rate),
        "rmsprop": lambda: optax.rmsprop(rate, decay=0.99, eps=1e-8, eps_in_sqrt=False),
        "adadelta": lambda: optax.adadelta(rate, rho=0.9, eps=1e-6),
        "adam": lambda: optax.adam(rate),
        "adamw": lambda: optax.adamw(rate, weight_decay=0.01),
        "lion": lambda: optax.lion(rate, weight_decay=0.0),
        "prodigy": lambda: optax.contrib.prodigy(rate),
    }
    return makers[name]() if name in makers else None


def by_formula(jnp: Any, name: str, rate: float, gradient: Callable) -> tuple[Any, Callable, Callable]:
    """Our own formula as a step for `lax.scan`, where optax has none: the start, the step, and what is reported."""
    import inspect

    rule = RULES[name]()
    noise = jnp.asarray(Noise(rule, 2, np.random.default_rng(0)).next(STEPS, 0)) if name == "noise" else None
    text = inspect.getsource(rule.formula).split('"""')[2]
    source = "def formula(p, w, g, s, rate, t, noise, m):" + text.replace("np.", "jnp.")
    names: dict[str, Any] = {"jnp": jnp}
    exec(source, names)
    if hasattr(rule, "remember"):
        source = inspect.getsource(rule.remember).split('"""')[2].replace("np.", "jnp.")
        exec("def remember(p, m, t):" + source, names)
    w = jnp.asarray(START)

    def step(carry, t):
        w, s, m = carry
        m = names["remember"](rule, m, t) if "remember" in names else m
        xi = noise[t] if noise is not None else None
        new, s = names["formula"](rule, w, gradient(w), s, rate, t, xi, m)
        return (new, s, m), None

    numbers = tuple(jnp.zeros(()) for _ in getattr(rule, "memory", ()))
    start = (w, tuple(w if hasattr(rule, "begins_at_start") else jnp.zeros(2) for _ in rule.slots), numbers)
    return start, step, lambda carry: carry[1][0] if name == "polyak-ruppert" else carry[0]


def jax_scan(name: str, rate: float) -> Callable[[], tuple[float, ...]]:
    """`lax.scan`, compiled."""
    import jax
    import jax.numpy as jnp
    import optax

    gradient = jax.grad(lambda w: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2)
    rule = transformation(optax, name, rate)
    if rule is None:
        start, step, end = by_formula(jnp, name, rate, gradient)
    else:
        w = jnp.asarray(START)
        start = (w, rule.init(w))

        def step(carry, t):
            w, state = carry
            change, state = rule.update(gradient(w), state, w)
            return (optax.apply_updates(w, change), state), None

        def end(carry):
            free = name == "schedule-free"
            return optax.contrib.schedule_free_eval_params(carry[1], carry[0]) if free else carry[0]

    scan = jax.jit(lambda start: end(jax.lax.scan(step, start, jnp.arange(STEPS))[0]))

    def run() -> tuple[float, ...]:
        return tuple(float(x) for x in np.asarray(scan(start).block_until_ready()))

    return run


def main() -> None:
    """Time them in rotation and print the table."""
    import jax

    jax.config.update("jax_enable_x64", True)
    print(f"{STEPS:,} steps on {FORMULA}; milliseconds, shortest of {TURNS}")
    print(f"  {'rule':16}{'descender':>10}{'lax.scan':>10}{'times':>8}")
    slower = []
    for name in RULES:
        rate = RATES.get(name, 1e-4)
        runs = {"descender": ours(name, rate), "lax.scan": jax_scan(name, rate)}
        ends = [run() for run in runs.values()]
        assert np.allclose(*ends, rtol=1e-9, atol=1e-9), f"{name} ended at {ends}"
        best = dict.fromkeys(runs, np.inf)
        for _ in range(TURNS):
            for who, run in runs.items():
                began = time.perf_counter()
                run()
                best[who] = min(best[who], time.perf_counter() - began)
        mine, theirs = best["descender"] * 1e3, best["lax.scan"] * 1e3
        slower += [name] if mine > theirs else []
        print(f"  {name:16}{mine:10.3f}{theirs:10.3f}{theirs / mine:8.2f}", flush=True)
    print(f"slower than lax.scan: {', '.join(slower) or 'none'}")


if __name__ == "__main__":
    main()
