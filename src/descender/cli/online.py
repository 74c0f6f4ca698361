"""``descender online DATA --target COLUMN``: learning from rows as they arrive, sample by sample, without an end."""

from __future__ import annotations

import itertools
import signal
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from descender.cli import options as o
from descender.cli.output import Teller, fitting, print_json, progress
from descender.outputs import check_outputs, slug

if TYPE_CHECKING:
    from descender.model.linear import LinearModel


def online(
    data: Annotated[
        str, typer.Argument(help="A CSV file, - for standard input, or example:NAME; numbers only.", metavar="DATA")
    ],
    target: Annotated[
        str | None, o.option("--target", help="The column to learn.", panel=o.START, metavar="COLUMN")
    ] = None,
    exclude: o.Exclude = None,
    loss: Annotated[
        str,
        o.option(
            "--loss",
            panel=o.METHOD,
            metavar="NAME",
            help="squared_error; log_loss or sigmoid_squared_error for a target of 0 and 1.",
        ),
    ] = "squared_error",
    method: Annotated[
        str, o.option("--method", help="With a learning rate: sgd, {rules}.", panel=o.METHOD, metavar="NAME")
    ] = "auto",
    learning_rate: o.LearningRate = "auto",
    set: o.Settings = None,
    samples: Annotated[int | None, o.count("--samples", help="Samples, at most.", panel=o.STOP)] = None,
    every: Annotated[int, o.count("--every", help="Show the loss of each N samples.", panel=o.OUTPUT)] = 1000,
    out: o.Out = ".",
    name: o.Name = None,
    no_files: o.NoFiles = False,
    force: o.Force = False,
    as_json: o.AsJson = False,
) -> None:
    """Learn from a stream, in constant memory, until it ends or Ctrl-C.

    descender online example:blobs --target label --loss log_loss --every 200

    \b
    awk 'BEGIN {print "x,y"; for (;;) {x = rand(); print x "," 3 * x + 1}}' |
      descender online - --target y --samples 20000

    The loss is that of samples not learnt yet. Without a rate, columns may be of any scale.
    """  # fmt: skip
    from descender.data.stream import Stream
    from descender.errors import DataError, OptionError
    from descender.verbs.online import OF_TWO_CLASSES, Online

    for option, number in (("samples", samples), ("every", every)):
        if number is not None and number < 1:
            raise OptionError(f"{option}={number}: expected at least 1")
    tell = Teller(quiet=as_json)
    settings: dict[str, Any] = dict(o.assignments("--set", set))
    learner = Online(loss, method=method, learning_rate=learning_rate, **settings)
    with Stream(data, target, o.words_of(exclude), binary=loss in OF_TWO_CLASSES) as stream, Interrupt() as interrupt:
        path = None if no_files else Path(out) / f"{name or slug(stream.target)}.descender"
        check_outputs([path], force)
        tell.say(f"{stream.described}: {', '.join(stream.names)}; the target is {stream.target}", "read")
        last, mean_loss = 0, None
        with progress("learning"):
            for seen in learner.follow(itertools.islice(interrupt.rows(stream), samples), every=every):
                count, last, mean_loss = seen.samples - last, seen.samples, seen.loss
                tell.say(f"{last:,} samples, mean loss {seen.loss:.6g} of the last {count:,}", "learnt")
    if not last:
        if interrupt.came:
            raise typer.Abort
        raise DataError(f"{stream.described} has a header line and no rows below it: nothing to learn from")
    why = "interrupted" if interrupt.came else "as many as asked" if last == samples else "the input ended"
    model = learner.model(stream.names, stream.target)
    tell.say(f"{last:,} samples: {why}", "stopped")
    tell.lines(["", *weight_lines(model), ""])
    if path is not None:
        tell.say(str(model.save(path)), "wrote")
    if as_json:
        print_json(
            {
                "target": stream.target,
                "loss": loss,
                "samples": last,
                "stopped": why,
                "mean_loss": mean_loss,
                "weights": dict(zip(stream.names, model.coefficients.tolist(), strict=True)),
                "intercept": float(model.raw_intercept),
                "model": None if path is None else str(path),
            }
        )


def weight_lines(model: LinearModel) -> list[str]:
    """The weight of each column per its unit, and the intercept: of the score, the log-odds of two classes."""
    rows = [*zip(model.features, model.coefficients.tolist(), strict=True), ("intercept", float(model.raw_intercept))]
    return fitting(["column", "weight"], rows)


class Interrupt:
    """Ctrl-C as an end of the rows: it breaks off the waiting for one, and never the learning of one.

    A second Ctrl-C does what it did before.
    """

    def __init__(self) -> None:
        self.came = self.waiting = False
        self._before: Any = None

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, *_: object) -> None:
        self.came = True
        signal.signal(signal.SIGINT, self._before)
        if self.waiting:
            raise KeyboardInterrupt

    def rows(self, rows: Iterable[Any]) -> Iterator[Any]:
        """The rows up to an interrupt."""
        coming = iter(rows)
        while not self.came:
            try:
                self.waiting = True
                row = next(coming)
            except (StopIteration, KeyboardInterrupt):
                return
            finally:
                self.waiting = False
            yield row
