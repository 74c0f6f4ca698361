"""What every tutorial draws and prints, and that it runs as a command."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from docs_pages import check_shown, commands

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PICTURES = {
    "1_sweep": ["1-sweep", "1-sweep-2d"],
    "2_straight_line": ["2-candidates", "2-surface", "2-steps"],
    "3_tanh": ["3-rates", "3-plateau", "3-clipping", "3-batches"],
    "3_backpropagation": ["3-backpropagation"],
    "3_explosion": ["3-explosion", "3-layers", "3-through-time"],
    "3_vanishing": ["3-vanishing"],
    "4_cost": ["4-holdout"],
    "4_family": ["4-family"],
    "4_minima": ["4-basins"],
    "4_stream": ["4-stream"],
    "5_sigmoid": ["5-loss", "5-boundary"],
    "5_starts": ["5-ends"],
    "5_digits": ["5-three", "5-digits"],
}


def every_picture():
    return [(name, picture) for name, pictures in PICTURES.items() for picture in pictures]


@pytest.mark.parametrize(("name", "picture"), every_picture())
def test_the_picture_is_there_and_not_blank(run, folder, name, picture):
    run(name)
    image = imread(folder / f"{picture}.png")[:, :, :3]
    assert min(image.shape[:2]) > 200
    assert 0.01 < np.mean(image.min(axis=2) < 0.97) < 0.9
    assert len(np.unique((100 * image).astype(int) @ [1, 101, 101**2])) > 10


@pytest.mark.parametrize("name", PICTURES)
def test_what_the_pages_show_of_a_tutorial_is_what_it_prints(run, name):
    calls = [call for page in (ROOT / "docs" / "tutorials").glob(f"{name[0]}-*.md") for call in commands(page)]
    shown = [lines for command, lines in calls if command == f"python examples/tutorial_{name}.py"]
    for lines in shown:
        check_shown(lines, run(name, "printed"))


def test_every_example_is_looked_at():
    assert {path.stem.removeprefix("tutorial_") for path in EXAMPLES.glob("tutorial_*.py")} == set(PICTURES)


def test_a_tutorial_runs_from_the_command_line(tmp_path):
    command = [sys.executable, "-W", "error", EXAMPLES / "tutorial_4_cost.py", tmp_path / "new" / "folder"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=True)
    assert done.stderr == ""
    assert (tmp_path / "new" / "folder" / "4-holdout.png").is_file()
