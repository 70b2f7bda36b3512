import sys

import numpy as np
import pytest

from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE
from lightning_neuro.safe_mutation.tasks.maze_drawing import draw_maze

WAY = [[36, 184], [60, 184], [90, 150]]


def test_walls_and_path_are_drawn_where_they_are():
    pytest.importorskip("matplotlib")
    lines = [line.get_xydata() for line in draw_maze(WAY).axes[0].lines]
    assert [tuple(line.ravel()) for line in lines[:13]] == list(HARD_MAZE.walls)
    assert lines[13].tolist() == WAY


def test_the_way_left_shades_the_maze_and_leaves_the_unreachable_blank():
    pytest.importorskip("matplotlib")
    image = draw_maze().axes[0].images[0].get_array()
    assert image[184, 36] == 521
    assert np.ma.is_masked(image[0, 0])


def test_it_draws_into_given_axes():
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.add_subplot()
    assert draw_maze(WAY, axes) is figure
    assert len(axes.lines) == 14


def test_refusals(monkeypatch):
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match=r"places \(T, 2\), got shape \(3,\)"):
        draw_maze([1, 2, 3])
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"lightning-neuro\[plot\]"):
        draw_maze()
