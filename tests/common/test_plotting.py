import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_neuro.common.plotting import SERIES, curves, histograms, spike_raster, to_svg


def test_curves_draw_every_seed_the_mean_and_the_band():
    axes = curves({"a": [[1.0, 2.0], [3.0, 6.0], [5.0, 4.0]], "b": [[0.0, 1.0]]}, xlabel="epoch").axes[0]
    assert len(axes.lines) == 3 + 1 + 1 + 1
    assert axes.lines[3].get_ydata() == pytest.approx([3.0, 4.0])
    band = axes.collections[0].get_paths()[0].vertices
    # Sample standard deviation (n - 1): both columns have 2.
    assert {(1.0, 1.0), (1.0, 5.0), (2.0, 2.0), (2.0, 6.0)} <= {tuple(point) for point in band.round(12).tolist()}
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert axes.lines[3].get_linestyle() != axes.lines[5].get_linestyle()


def test_curves_stand_at_the_given_places():
    axes = curves({"a": [[1.0, 2.0]]}, x=[10, 20]).axes[0]
    assert list(axes.lines[-1].get_xdata()) == [10, 20]
    axes = curves({"a": [[1.0, 2.0, 3.0]]}, x=[0.01, 0.02, 0.04], log_x=True).axes[0]
    assert axes.get_xscale() == "log"
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.01", "0.02", "0.04"]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 6), st.integers(1, 6), st.randoms(use_true_random=False))
def test_raster_marks_exactly_the_spikes(steps, neurons, random):
    spikes = np.array([[random.random() < 0.3 for _ in range(neurons)] for _ in range(steps)])
    marks = spike_raster(spikes).axes[0].collections[0].get_offsets()
    expected = {(t, n) for t in range(steps) for n in range(neurons) if spikes[t, n]}
    assert {tuple(int(place) for place in mark) for mark in marks} == expected


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=40))
def test_histograms_count_every_value_once(values):
    axes = histograms({"one": values, "same": values}, percentile=80).axes[0]
    assert [int(patch.get_data().values.sum()) for patch in axes.patches] == [len(values)] * 2


def test_histograms_share_their_bins():
    axes = histograms({"wide": [-2.0, 2.0], "narrow": [-0.1, 0.1]}, bins=4, percentile=100).axes[0]
    assert [patch.get_data().edges.tolist() for patch in axes.patches] == [[-2, -1, 0, 1, 2]] * 2


def test_pyplot_is_left_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    to_svg(spike_raster(np.eye(3)))
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" not in sys.modules or not sys.modules["matplotlib.pyplot"].get_fignums()


def test_svg_names_its_colours_and_escapes_its_words():
    markup = to_svg(curves({"<a & b>": [[1.0, 2.0]], "b": [[2.0, 1.0]]}, title="Loss"))
    assert "&lt;a &amp; b&gt;" in markup
    for index in range(2):
        assert f"var(--series-{index}, {SERIES[index]})" in markup
    assert "<?xml" not in markup
    assert "DOCTYPE" not in markup


def test_errors_say_what_was_expected():
    with pytest.raises(ValueError, match=r"curves: 'plain' must be a table with two dimensions, got shape \(2,\)\."):
        curves({"plain": [1.0, 2.0]})
    with pytest.raises(ValueError, match="curves: expected 1 to 4 named series, got 0"):
        curves({})
    with pytest.raises(ValueError, match="histograms: sample 'none' must hold at least one value, got none"):
        histograms({"none": []})
    with pytest.raises(ValueError, match="spike_raster: 'spikes' must be a table"):
        spike_raster([1, 0])


def test_without_matplotlib_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'lightning-neuro\[plot\]'"):
        curves({"a": [[1.0]]})
