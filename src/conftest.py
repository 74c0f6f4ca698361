"""Modules that need an extra are no doctests where it is not installed."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("torch") else ["descender/watching/*"]
