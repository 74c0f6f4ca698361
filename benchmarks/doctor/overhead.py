"""What watching costs: the same steps with and without, in turns.

    python -m benchmarks.doctor.overhead

Wall time is what a user waits for, and CPU time stands beside it; each is a trimmed mean over rounds of the time of a
step, deep looks included.  Where a network's numbers come to lie in memory makes its steps faster or slower by several
percent: each pair is made anew a few times, the watched one first in every second, and beside the cost stands the
difference between two networks that nobody watches.  The promise is the larger of 5 % of a step and 50 microseconds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import descender


def perceptron(width: int, deep: int) -> Callable[[], Any]:
    """A network of rectified layers for 64 columns and 10 classes."""

    def make() -> Any:
        layers: list[Any] = []
        for i in range(deep):
            layers += [nn.Linear(64 if i == 0 else width, width), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(width, 10)), torch.randn(64, 64)

    return make


def convolutions() -> Any:
    """Two layers of convolutions on images of 28 x 28."""
    module = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
        nn.Dropout(0.2), nn.Linear(512, 10),
    )  # fmt: skip
    return module, torch.randn(64, 1, 28, 28)


NETWORKS = {
    "perceptron, 2 x 64": perceptron(64, 2), "perceptron, 3 x 256": perceptron(256, 3),
    "perceptron, 8 x 512": perceptron(512, 8), "convolutions": convolutions,
}  # fmt: skip

PAIRS, ROUNDS = 4, 20
"""With 40 steps before, 20 rounds of 50 reach step 1,040: three deep looks are among them."""


def stepping(make: Callable[[], Any], watched: bool) -> tuple[Callable[[int], tuple[float, float]], Any]:
    """A function that trains some steps and tells wall and CPU time of one."""
    torch.manual_seed(0)
    module, X = make()
    y = torch.randint(0, 10, (len(X),))
    optimizer = torch.optim.Adam(module.parameters(), 1e-4)
    watch = descender.watch(module, optimizer) if watched else None

    def steps(count: int) -> tuple[float, float]:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(count):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(module(X), y)
            loss.backward()
            optimizer.step()
        return (time.perf_counter() - wall) / count, (time.process_time() - cpu) / count

    return steps, watch


def _trimmed(values: list[float]) -> float:
    """The mean without the two lowest and the two highest."""
    return statistics.fmean(sorted(values)[2:-2])


def difference(make: Callable[[], Any], watched: bool) -> NDArray:
    """The time of a step, and by how much the second of two networks takes longer; wall and CPU time of each."""
    pairs, found = [], []
    for swapped in (False, True) * (PAIRS // 2):
        first, second = (stepping(make, each) for each in ((watched, False) if swapped else (False, watched)))
        (plain, _), (other, watch) = (second, first) if swapped else (first, second)
        count = max(min(int(0.25 / plain(40)[0]), 50), 10)
        other(40)
        rounds = [(plain(count), other(count)) for _ in range(ROUNDS)]
        pairs.append([statistics.median(a[i] for a, _ in rounds) for i in (0, 1)])
        found.append([_trimmed([b[i] - a[i] for a, b in rounds]) for i in (0, 1)])
        if watch is not None:
            watch.close()
    return np.median([pairs, found], axis=1)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("| network | a step | watched: wall more | CPU more | two unwatched: wall | promised |")
    print("|---|---|---|---|---|---|")
    for name, make in NETWORKS.items():
        step, more = 1e6 * difference(make, True)
        _, luck = 1e6 * difference(make, False)
        allowed = max(0.05 * step[0], 50.0)
        print(f"| {name} | {step[0]:,.0f} µs | {more[0]:,.0f} µs, {more[0] / step[0]:.1%} | {more[1]:,.0f} µs "
              f"| {luck[0]:,.0f} µs | {allowed:,.0f} µs |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
