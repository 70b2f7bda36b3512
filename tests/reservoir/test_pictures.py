import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.reservoir.pictures import phase_portrait, projected


@given(st.integers(0, 1000))
def test_components_hold_the_most_variance_and_keep_distances_of_flat_data(seed):
    rng = np.random.default_rng(seed)
    flat = rng.standard_normal((20, 2)) @ rng.standard_normal((2, 5))  # a plane in five dimensions
    path = projected({"a": flat[:12], "b": flat[12:]})
    points = np.concatenate([path["a"], path["b"]])
    np.testing.assert_allclose(np.linalg.norm(points[0] - points[15]), np.linalg.norm(flat[0] - flat[15]), rtol=1e-9)
    assert points[:, 0].var() >= points[:, 1].var() > 0


def test_every_trajectory_is_drawn_and_named():
    states = np.random.default_rng(0).standard_normal((30, 4))
    axes = phase_portrait({"before": states, "after": 0.1 * states})
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["before", "after"]
    before, after = (np.ptp(line.get_xdata()) for line in axes.lines)
    assert after == pytest.approx(0.1 * before)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ({}, "expected 1 to 4 trajectories, got 0"),
        ({"a": np.ones(3)}, r"shape \(T, N\)"),
        ({"a": np.ones((5, 1))}, "N of 2 or more"),
        ({"a": np.ones((5, 2)), "b": np.ones((5, 3))}, "the same N"),
        ({"a": np.array([[1.0, np.nan], [0.0, 1.0]])}, "finite"),
    ],
)
def test_what_cannot_be_drawn_is_refused(states, message):
    with pytest.raises(ValueError, match=message):
        phase_portrait(states)
