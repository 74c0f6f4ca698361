"""The doctor beside training loops that are not ours: PyTorch loops that are handed over, or watched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def diagnose(source: Any, *, seed: int = 0, ignore: Iterable[str] | str = ()) -> Any:
    """What is wrong with a training: findings, the most likely cause first, each root before its symptoms.

    source
        a function ``make(seed)`` that returns a PyTorch loop: any object with ``module``, ``optimizer``, ``batches``
        (iterable once an epoch), ``loss_fn(outputs, y)``, ``step(batch) -> float``, ``steps``, the data ``X`` and
        ``y``, and optionally ``validate() -> float``.  The loop is run to its end, from the outside: nothing of it is
        changed.  Suspected causes are told apart by running it again with a remedy applied.  Or a record, a walk, a
        fit, a history as a dict of lists, or the path of a record or log:
        :func:`~descender.verbs.diagnose.diagnose_log`
    seed
        what `make` is called with; every run is made anew with the same
    ignore
        codes or causes that are not to be told, such as ``"D415"`` or ``"overfitting"``

    >>> import torch, descender
    >>> class Training:
    ...     def __init__(self, seed):
    ...         torch.manual_seed(seed)
    ...         self.X = torch.randn(40, 3)
    ...         self.X[7, 2] = float("nan")
    ...         self.y = self.X[:, 0]
    ...         self.module = torch.nn.Linear(3, 1)
    ...         self.optimizer = torch.optim.SGD(self.module.parameters(), lr=0.1)
    ...         self.batches = [(self.X, self.y)]
    ...         self.loss_fn = lambda z, y: (z[:, 0] - y).square().mean()
    ...         self.steps = 10
    ...     def step(self, batch):
    ...         self.optimizer.zero_grad()
    ...         loss = self.loss_fn(self.module(batch[0]), batch[1])
    ...         loss.backward()
    ...         self.optimizer.step()
    ...         return loss.item()
    >>> findings = descender.diagnose(Training)
    >>> findings[0].code, findings[0].evidence
    ('D014', 'X[7, 2] is NaN; 1 of 40 rows have such entries, and at step 0 the loss was no longer finite')
    >>> findings.confirm()[0].repaired
    True

    Returns a list of :class:`~descender.doctor.finding.Finding`; its method ``confirm()`` runs the loop again with the
    remedies of the first finding and tells how each ended.
    """
    if callable(source):
        from descender.watching.diagnosing import diagnose_loop

        return diagnose_loop(source, seed, ignore)
    from descender.verbs.diagnose import diagnose_log

    return diagnose_log(source, ignore)


def watch(module: Any = None, optimizer: Any = None, *, tell: Any = None, ignore: Iterable[str] | str = ()) -> Any:
    """Watch a PyTorch module and its optimizer while your own loop trains them; or, without these, fits.

    It listens by hooks and never changes the training: not its numbers, and not its random numbers.  When the first
    gradient is not finite, the forward and backward pass that made it is done again on a copy, before the optimizer
    steps: the operation, layer, row, feature and value are told at once - to `tell`, or to the logger ``descender``.
    Statistics of layers are sampled, so that memory is constant and watching costs next to nothing.

    Use it as a context, or call ``close()``; ``findings`` lists what was found, the root before its symptoms.

    >>> import torch, descender
    >>> model = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> X = torch.tensor([[1.0, 2.0], [3.0, float("nan")]])
    >>> with descender.watch(model, optimizer, tell=lambda finding: None) as watched:
    ...     model(X).mean().backward()
    ...     optimizer.step()
    >>> watched.findings[0].code, watched.findings[0].evidence
    ('D014', 'row 1 of the batch of step 0 is nan in column 1')

    Without a module it is a callback for estimators, scikit-learn's (from 1.9 on, those that know ``set_callbacks``)
    and ours: after each step the loss of some rows is noted, and the fitted model is compared with the minimum of its
    own objective.  Of estimators that know none, ``look(model, X, y)`` notes the loss after each ``partial_fit``.

    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> watched = descender.watch()
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")       # scikit-learn says that it did not converge
    ...     model = LogisticRegression(max_iter=30).set_callbacks(watched).fit(X, y)
    >>> watched.findings[0].code, watched.findings[0].cause
    ('D011', 'unscaled-columns')
    """
    if module is None and optimizer is None:
        from descender.watching.fits import FitWatch

        return FitWatch(tell, ignore)
    from descender.watching.listening import Watch

    return Watch(module, optimizer, tell, ignore)
