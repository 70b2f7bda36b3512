import numpy as np
import pytest
from matplotlib.figure import Figure

from lightning_neuro.spectral_rnn import diagnostics_view as view


def test_columns_are_aligned_and_nothing_trails():
    lines = view.table([view.Reading("a", "12345", "wrong"), view.Reading("longer", "1")]).splitlines()
    assert lines == ["a       12345  ! wrong", "longer  1"]
    assert view.table([]) == ""


def test_the_spectrum_shows_all_neurons_and_little_noise():
    values = np.arange(12.0, 0, -1)
    assert view.spectrum(values, 2) == "12 11 | 10 9 8 7"
    assert view.spectrum(values[:2], 2) == "12 11"


def test_pictures_are_drawn_where_asked():
    ax = Figure().add_subplot()
    assert view.draw_singular_values(ax, np.array([3.0, 2.0, 0.1]), 2) is ax
    neurons, noise = ax.lines
    assert (neurons.get_ydata().tolist(), noise.get_ydata().tolist()) == ([3.0, 2.0], [0.1])
    assert ax.get_yscale() == "log"
    own = view.draw_errors(None, [0.5, 0.2])
    assert own.figure is not ax.figure
    assert own.get_yscale() == "linear"
    assert view.draw_errors(None, [0.5, 0.001]).get_yscale() == "log"
    assert view.draw_errors(None, []).get_yscale() == "linear"


def test_values_of_zero_have_no_logarithm():
    ax = view.draw_singular_values(None, np.zeros(3), 1)
    assert ax.get_yscale() == "linear"
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize(("z", "broken"), [(5.9, False), (-6.1, True)])
def test_a_broken_identity_is_seen_by_its_colour(z, broken):
    ax = view.draw_score_z(None, {"first": 0.1, "past": z})
    fine, other = ax.patches
    assert (fine.get_facecolor() != other.get_facecolor()) is broken
    assert [text.get_text() for text in ax.get_yticklabels()] == ["first", "past"]
