"""Several walks on one surface: each in its place, with the minimum that it fell into."""

import numpy as np
import pytest
from drawn import ROSENBROCK, Bowl, gd, saved

from descender.costs.formula import Formula
from descender.descent import descend
from descender.errors import OptionError
from descender.pictures import tracks
from descender.walk import Stop

TWO = Formula("(x**2 - 1)**2 + y**2")


def test_methods_stand_on_one_ground_with_their_names(valley, tmp_path):
    slow = descend(ROSENBROCK, np.array([-1.2, 1.0]), gd(0.001), Stop(max_steps=200))
    data = tracks.describe_tracks(ROSENBROCK, {"L-BFGS": valley, "gd": slow}, resolution=25)
    assert [track.label for track in data.tracks] == ["L-BFGS", "gd"]
    assert data.tracks[0].path == pytest.approx(valley.record.path)
    assert data.tracks[1].steps[-1] == 200
    assert data.tracks[1].costs[-1] == pytest.approx(slow.fun)
    assert data.minima[0] == pytest.approx([1.0, 1.0], abs=1e-6)
    assert not data.by_basin
    ax = tracks.draw_tracks(data)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["L-BFGS", "gd"]
    colours = {line.get_color() for line in ax.get_lines() if line.get_label() in ("L-BFGS", "gd")}
    assert len(colours) == 2
    saved(ax, tmp_path)
    spec = tracks.plotly_tracks(data)
    assert [trace["name"] for trace in spec["data"][1:]] == ["L-BFGS", "gd"]


def test_many_starts_have_the_colours_of_their_minima():
    starts = np.array([[x, y] for x in (-1.8, -1.2, -0.5, 0.4, 1.1, 1.9) for y in (-1.0, 1.0)])
    walks = [descend(TWO, start, gd(0.02), Stop(max_steps=300)) for start in starts]
    data = tracks.describe_tracks(TWO, walks, resolution=15)
    assert data.by_basin
    assert data.minima[:, 0] == pytest.approx(np.sign(data.minima[:, 0]), abs=1e-3)
    of = [data.minima[track.basin, 0] for track in data.tracks]
    assert np.sign(of).tolist() == np.sign(starts[:, 0]).tolist()
    lines = [line for line in tracks.draw_tracks(data).get_lines() if line.get_zorder() == 4]
    assert len({line.get_color() for line in lines}) == 2


def test_walks_over_many_weights_share_a_plane():
    ends = [np.ones(5), -np.ones(5)]
    walks = {name: descend(Bowl(), end, gd(0.05), Stop(max_steps=50)) for name, end in zip("ab", ends, strict=True)}
    data = tracks.describe_tracks(Bowl(), walks, resolution=5)
    for track, walk in zip(data.tracks, walks.values(), strict=True):
        assert track.path[0] == pytest.approx(data.ground.plane.seen(walk.record.path[:1])[0])
    assert "principal directions among 5 parameters" in data.ground.notes[0]


def test_no_walk_is_refused():
    with pytest.raises(OptionError, match="at least one walk"):
        tracks.describe_tracks(TWO, {})
