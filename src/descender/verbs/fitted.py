"""What :func:`descender.fit` returns: a model, the walk that found it, and what is to be said about both."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from descender import cards
from descender.costs.risk import Risk
from descender.doctor.finding import Finding
from descender.errors import CapabilityError, InputError
from descender.model import Model
from descender.outputs import check_outputs, file_name, script_files
from descender.pictures.bars import ColumnEffect
from descender.walk import Walk

if TYPE_CHECKING:
    from descender.verbs.fit_pictures import Picture
    from descender.verbs.path import PenaltyPath


class Fitted(NamedTuple):
    """A model and its walk; of a linear one also how its penalty was chosen, its cost, and what the walk was asked."""

    model: Model
    walk: Walk
    path: PenaltyPath | None = None
    risk: Risk | None = None
    steps: dict[str, Any] = {}
    effects: list[ColumnEffect] | None = None


FILES = ("model", "record", "report")
NAMED = (*FILES, "script")


@dataclass
class Fit:
    """What :func:`fit` returns: the model, the walk that found it, and what is to be said about both.

    ``metrics`` has the quality on ``train`` and ``holdout`` rows and of the ``baseline``, the best constant guess, on
    the same held-out rows (training rows where none were held out); ``seconds`` what each stage took; ``lines`` what
    the command prints, as (word, text, seconds).  ``holdout_scores`` and ``holdout_y`` are what the report draws;
    ``points`` are the same rows in their own units where two numbers tell two classes apart, and ``first_row`` is the
    cost of the first row alone, by which one step is explained.  ``path`` tells how the penalty was chosen,
    ``comparison`` what another kind of model reaches on the same rows: its ``name``, ``metrics`` and ``seconds``.
    ``risk`` is the cost over the encoded training rows of a linear model, and ``asked`` what the walk on it was asked
    for.  ``effects`` tells of each column of a network how much it moves the score.
    """

    model: Model
    walk: Walk
    name: str
    task: str
    n_rows: int
    metrics: dict[str, dict[str, float]]
    seconds: dict[str, float]
    lines: list[tuple[str, str, float | None]]
    findings: list[Finding]
    told: list[str]
    described: str
    options: dict[str, Any] = field(default_factory=dict)
    holdout_scores: NDArray = field(default_factory=lambda: np.empty(0))
    holdout_y: NDArray = field(default_factory=lambda: np.empty(0))
    points: NDArray = field(default_factory=lambda: np.empty((0, 2)))
    first_row: Risk | None = None
    path: PenaltyPath | None = None
    comparison: dict[str, Any] | None = None
    risk: Risk | None = None
    asked: dict[str, Any] = field(default_factory=dict)
    effects: list[ColumnEffect] | None = None
    paths: dict[str, Path] = field(default_factory=dict)

    @property
    def certificate(self) -> Any:
        """How far from the bottom of its cost the model is."""
        return self.walk.certificate

    def confirm(self, most: int = 1) -> list[Any]:
        """Fit again with the remedies of the first `most` findings about the descent, and tell how each ended.

        What is tried, and what counts as repaired, is told at :meth:`descender.Walk.confirm`; of a network also other
        layers are.  The fit itself stays as it is: ``fit(..., on_trouble="repair")`` keeps what is repaired.

        >>> from descender import fit
        >>> result = fit("example:heights", "weight", method="gd", learning_rate=3.0, epochs=50)
        >>> trial = result.confirm()[0]
        >>> trial.remedy, trial.code, trial.repaired
        ('learning rate / 3', 'learning_rate=1.0', True)
        """
        return self.walk.confirm(most)

    def as_json(self) -> dict[str, Any]:
        """Plain data: the schema of ``descender fit --json``."""
        found = self.certificate
        return {
            "task": self.task,
            "loss": self.model.loss,
            "n_rows": self.n_rows,
            "n_features": len(self.model.features),
            "method": self.walk.method,
            "why": self.walk.why,
            "converged": self.walk.success,
            "message": self.walk.message,
            "cost": self.walk.fun,
            "certificate": found._asdict() if found else None,
            "metrics": self.metrics,
            "penalty": self._penalty(),
            "comparison": self.comparison,
            "reads": self.walk.nfev,
            "seconds": self.seconds,
            "findings": [finding.as_dict() for finding in self.findings],
            "told": self.told,
            **{name: str(self.paths[name]) if name in self.paths else None for name in NAMED},
            "pictures": {name: str(path) for name, path in self.paths.items() if name not in NAMED},
        }

    def _penalty(self) -> dict[str, Any]:
        """The strengths, and how they were chosen if they were."""
        strengths = {name: self.model.facts.get(name) for name in ("l2", "l1")}
        return strengths | {"path": self.path.as_json() if self.path is not None else None}

    def _repr_html_(self) -> str:
        """What a notebook shows: how good it is beside guessing, how sure that is, what was noticed."""
        names = list(self.metrics.get("holdout", self.metrics["train"]))
        rows = [[which, *(numbers.get(name) for name in names)] for which, numbers in self.metrics.items()]
        said = [cards.line(f"{word}: {text}") for word, text, _ in self.lines if word in ("encoded", "descended")]
        told = [finding._repr_html_() for finding in self.findings]
        title = f"{self.name}, {self.task}, {self.n_rows:,} rows of {self.described}"
        return cards.card(title, cards.table(["", *(name.replace("_", " ") for name in names)], rows), *said, *told)

    def pictures(self) -> dict[str, Picture]:
        """What can be drawn of it besides its walk, by kind: ``boundary``, ``line``, ``loss``, ``weights``."""
        from descender.verbs.fit_pictures import fit_pictures

        return fit_pictures(self)

    def plot(self, kind: str | None = None, ax: Any = None, **options: Any) -> Any:
        """Draw it with Matplotlib; returns the axes.

        `kind` is one of :meth:`pictures` (the first of them if not given), ``"penalty"``, how that was chosen, or a
        picture of the walk as in :meth:`descender.Walk.plot`, with its options.

        >>> from descender import fit
        >>> fit("example:blobs").plot("boundary").get_xlabel()
        'x1'
        """
        known = self.pictures()
        kind = next(iter(known), "cost") if kind is None else kind
        if kind in known and not options:
            return known[kind].draw(known[kind].describe(), ax)
        if kind == "penalty" and self.path is not None:
            return self.path.plot(self.model.features, ax)
        return self.walk.plot(kind, ax, **options)

    def report(self, path: str | os.PathLike) -> Path:
        """Write the page about it, the one of :meth:`save`, to a path; it works offline.

        >>> from descender import fit
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     fit("example:heights", "weight").report(f"{folder}/heights.html").name
        'heights.html'
        """
        from descender.report import write_report

        return write_report(self, Path(path))

    def files(self, folder: str | Path = ".", name: str | None = None) -> dict[str, Path]:
        """The files that :meth:`save` writes, by kind."""
        stem = Path(folder) / file_name(name or self.name)
        endings = dict(zip(FILES, (".descender", ".record.parquet", ".html"), strict=True))
        endings |= {kind: f".{kind}.png" for kind in self.pictures()}
        return {kind: stem.with_name(stem.name + ending) for kind, ending in endings.items()}

    def save(self, folder: str | Path = ".", name: str | None = None, force: bool = False) -> dict[str, Path]:
        """Write NAME.descender (the model), NAME.record.parquet, NAME.html (the report) and NAME.KIND.png (pictures).

        Pictures are those of :meth:`pictures`; one that cannot be drawn is told in ``told``.  A file that is not
        descender's is replaced under `force` only: else :class:`~descender.errors.OutputError`, and nothing is written.
        """
        from descender.pictures.style import save as save_picture

        began = time.perf_counter()
        files = self.files(folder, name)
        check_outputs(files.values(), force)
        self.paths["model"] = self.model.save(files["model"])
        self.paths["record"] = self.walk.record.save(files["record"])
        self.paths["report"] = self.report(files["report"])
        for kind, picture in self.pictures().items():
            try:
                self.paths[kind] = save_picture(picture.draw(picture.describe()), files[kind])
            except InputError as error:
                self.told.append(f"no picture of the {kind}: {error}")
        self.seconds["report"] = time.perf_counter() - began
        return self.paths

    def export_python(self, path: str | Path, force: bool = False) -> list[Path]:
        """Write a NumPy script of this fit to `path`, and its encoded training rows as .npz beside; the files written.

        The script of a textbook method takes the steps of the walk and ends at the same weights; that of any other
        holds the weights, and computes their cost, the gradient and predictions.  Which it is, is told in ``told``.  A
        file that is not descender's is replaced under `force` only: else
        :class:`~descender.errors.OutputError`.

        >>> import descender, tempfile
        >>> result = descender.fit("example:heights", "weight", method="gd", learning_rate=0.1, epochs=30)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [file.name for file in result.export_python(f"{folder}/walk.py")]
        ['walk.py', 'walk.npz']
        >>> result.told[-1]
        'the script replays the walk'
        """
        from descender.export_fit import write_fit

        if self.risk is None:
            raise CapabilityError(
                "the rows of this fit were not kept, nor are those of a network: nothing for a script to read"
            )
        check_outputs(script_files(path), force)
        files, what = write_fit(self.risk, self.walk, self.asked, path)
        self.paths["script"] = files[0]
        self.told.append(what)
        return files
