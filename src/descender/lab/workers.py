"""Processes that answer questions one at a time, and are ended where they take too long.

No thread can be stopped within algebra or a compiled loop, so that what came over the wire is computed in a process of
its own.  A process keeps nothing but what it may forget: costs that it read, walks that it took.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

SECONDS = 25.0
"""That an answer may take; a walk has a smaller budget of its own."""
WAITING = 24
"""Questions that may wait for a process; further ones are turned away."""


class Answer(NamedTuple):
    """The status of HTTP, the body, its type, and the name of the file that it is, if it is one."""

    status: int
    body: bytes
    type: str = "application/json"
    file: str = ""


Respond = Callable[[str, Any], Answer]


class Workers:
    """So many processes; a question about a cost goes to the one that knows it, if that is free."""

    def __init__(self, respond: Respond, count: int = 2, seconds: float = SECONDS):
        self._respond, self.seconds = respond, seconds
        self._free = threading.Condition()
        self._waiting = 0
        self._workers = [_Worker(respond) for _ in range(count)]

    def ask(self, name: str, given: Any, key: object = None) -> Answer:
        """The answer to a question, at most `seconds` from when a process began with it."""
        worker = self._take(key)
        if worker is None:
            return Answer(503, b'{"error": "the lab is busy: try again in a moment"}')
        try:
            worker.key = key
            return worker.ask(name, given, self.seconds)
        finally:
            with self._free:
                worker.busy = False
                self._free.notify()

    def _take(self, key: object) -> _Worker | None:
        with self._free:
            if self._waiting >= WAITING:
                return None
            self._waiting += 1
            try:
                if not self._free.wait_for(lambda: any(not w.busy for w in self._workers), self.seconds):
                    return None
                free = [worker for worker in self._workers if not worker.busy]
                worker = next((w for w in free if w.key == key), free[-1])
                worker.busy = True
                return worker
            finally:
                self._waiting -= 1

    def close(self) -> None:
        """End all processes; who still waits for an answer is told at once that there is none."""
        with self._free:
            for worker in self._workers:
                worker.last = True
                if worker.busy:
                    worker.process.kill()
            self._free.wait_for(lambda: not any(worker.busy for worker in self._workers), self.seconds)
            for worker in self._workers:
                worker.end()


class _Worker:
    def __init__(self, respond: Respond):
        self.respond, self.busy, self.key, self.last = respond, False, object(), False
        self._begin()

    def _begin(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.line, other = context.Pipe()
        self.process = context.Process(target=_serve, args=(other, self.respond), daemon=True)
        self.process.start()
        other.close()

    def ask(self, name: str, given: Any, seconds: float) -> Answer:
        try:
            self.line.send((name, given))
            if self.line.poll(seconds):
                return self.line.recv()
            text = f"this takes longer than {seconds:g} seconds: fewer steps, methods or rows, or a shorter formula"
            answer = Answer(504, f'{{"error": "{text}"}}'.encode())
        except (EOFError, OSError):
            answer = Answer(500, b'{"error": "the process that computed this came to its end: try again"}')
        self.end()
        if not self.last:
            self._begin()
        return answer

    def end(self) -> None:
        if self.line.closed:
            return
        self.line.close()
        self.process.kill()
        self.process.join()
        self.process.close()


def _serve(line: Any, respond: Respond) -> None:
    """Answer what comes over the line, until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server hears Ctrl-C, and closes the line
    with contextlib.suppress(EOFError, OSError, BrokenPipeError):
        respond("warm", {})
        while True:
            name, given = line.recv()
            line.send(respond(name, given))
