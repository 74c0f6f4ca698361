"""The command line as tests call it: within this process, as a program that reads JSON, or as a process."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from descender.cli import app


def run(*words, **options):
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False, **options)


def as_json(*words, status=0):
    result = run(*words, "--json")
    assert result.exit_code == status, result.stderr
    assert result.stderr == ""
    return json.loads(result.stdout, parse_constant=pytest.fail)


def process(*words, **options):
    command = [sys.executable, "-m", "descender.cli", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, **options)
