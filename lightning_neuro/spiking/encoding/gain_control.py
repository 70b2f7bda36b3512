"""The automatic gain control of Lyon's ear: four stages of adaptation, each coupled to its neighbours.

One plain loop holds the rule for a single clip; numba compiles it where installed. Without numba the same rule runs
on all clips and stages at once.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

# Of the four stages in turn: the level that each aims at, and its time constant in seconds.
TARGETS = np.array([0.0032, 0.0016, 0.0008, 0.0004])
TIME_CONSTANTS = np.array([0.64, 0.16, 0.04, 0.01])
LARGEST_ATTENUATION = 0.9


def gain_control_(loudness: np.ndarray, sample_rate: float) -> None:
    r"""Adapt in place, as the ear does to loud and to lasting sound.

    Each stage attenuates by its state, $y_c = x_c (1 - g_c)$, and then
    $g_c \leftarrow \min\big(0.9,\; \epsilon\, y_c / \theta + (1 - \epsilon)(g_{c-1} + g_c + g_{c+1}) / 3\big)$
    with $\epsilon = 1 - e^{-1/(\tau f_s)}$; the border channels are their own neighbours.

    Args:
        loudness: half-wave rectified `(B, L, C)`, float64, contiguous.
        sample_rate: in Hz.

    >>> sound = np.full((1, 4, 2), 0.01)
    >>> gain_control_(sound, 100.0)
    >>> sound[0, :, 0].round(5).tolist()
    [0.01, 6e-05, 0.0003, 0.00018]
    """
    rates = 1 - np.exp(-1 / (TIME_CONSTANTS * sample_rate))
    loop = _compiled_loop()
    if loop is None:
        _together_(loudness, rates)
        return
    for clip in loudness:
        loop(clip, rates, rates / TARGETS, LARGEST_ATTENUATION)


@cache
def _compiled_loop() -> Callable[..., None] | None:
    try:
        from numba import njit
    except ImportError:
        return None
    try:
        return njit(nogil=True, cache=True, error_model="numpy")(_one_clip_)
    except RuntimeError:  # nowhere to keep the compiled code, as in a read-only installation
        return njit(nogil=True, error_model="numpy")(_one_clip_)


def _one_clip_(loudness: Any, rates: Any, drives: Any, largest: float) -> None:
    steps, channels = loudness.shape
    gains = np.zeros((len(rates), channels))
    for t in range(steps):
        for k in range(len(rates)):
            gain, drive, share = gains[k], drives[k], (1 - rates[k]) / 3
            left = gain[0]
            for c in range(channels):
                here = gain[c]
                right = gain[c + 1] if c + 1 < channels else here
                heard = loudness[t, c] * (1 - here)
                loudness[t, c] = heard
                gain[c] = min(largest, drive * heard + share * (left + here + right))
                left = here


def _together_(loudness: np.ndarray, rates: np.ndarray) -> None:
    """All clips and stages at once: stage k works on step t - k while the first works on step t."""
    clips, steps, channels = loudness.shape
    stages = len(rates)
    drive, share = (rates / TARGETS)[:, None, None], ((1 - rates) / 3)[:, None, None]
    gains = np.zeros((stages, clips, channels + 2))  # with a place on either side for the border's neighbour
    here = gains[..., 1:-1]
    arriving = np.zeros((stages, clips, channels))
    for t in range(steps + stages - 1):
        arriving[0] = loudness[:, t] if t < steps else 0
        heard = arriving * (1 - here)
        gains[..., 0], gains[..., -1] = gains[..., 1], gains[..., -2]
        mean = share * (gains[..., :-2] + here + gains[..., 2:])
        np.minimum(LARGEST_ATTENUATION, drive * heard + mean, out=here)
        arriving[1:] = heard[:-1]
        if t >= stages - 1:
            loudness[:, t - stages + 1] = heard[-1]
