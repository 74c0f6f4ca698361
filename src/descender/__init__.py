"""Gradient descent with no learning rate to choose, a certificate with every fit, and a picture of every walk.

>>> import descender
>>> walk = descender.minimize("(x - 3)**2", "x=0")
>>> round(walk["x"], 9)
3.0
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "DecisionBoundaryDisplay": "descender.pictures.displays",
    "LossCurveDisplay": "descender.pictures.displays",
    "PathDisplay": "descender.pictures.displays",
    "PenaltyPathDisplay": "descender.pictures.displays",
    "WeightImagesDisplay": "descender.pictures.displays",
    "check_gradient": "descender.verbs.gradient",
    "compare": "descender.verbs.compare",
    "minimize": "descender.verbs.minimize",
    "certify": "descender.verbs.certify",
    "diagnose": "descender.watching",
    "fit": "descender.verbs.fit",
    "LinearClassifier": "descender.estimators",
    "LinearRegressor": "descender.estimators",
    "MLPClassifier": "descender.estimators.mlp",
    "MLPRegressor": "descender.estimators.mlp",
    "Model": "descender.model",
    "Online": "descender.verbs.online",
    "predict": "descender.verbs.predict",
    "Record": "descender.record",
    "RecurrentClassifier": "descender.estimators.recurrent",
    "RecurrentRegressor": "descender.estimators.recurrent",
    "stationary_points": "descender.verbs.stationary",
    "sweep": "descender.verbs.sweep",
    "Walk": "descender.walk",
    "watch": "descender.watching",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'descender' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
