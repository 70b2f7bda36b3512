"""The filters of Lyon's passive ear, from its equations alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from lightning_neuro.common import checks

# Constants of the model: Slaney 1988, section "Filter design"; Hz where they are frequencies.
BREAK_FREQUENCY = 1000.0
ZERO_OFFSET = 1.5
SHARPNESS = 5.0
PRE_EMPHASIS_CORNER = 300.0
FRONT_STAGES = 2


@dataclass(frozen=True)
class EarFilters:
    """A cascade of second-order sections: two for the outer and middle ear, then one per place of the cochlea.

    Args:
        sections: `(2 + C, 6)`, each `b0 b1 b2 1 a1 a2` as scipy has them, from high to low frequency.
        center_frequencies: `(C,)` in Hz, falling.
        sample_rate: in Hz.
    """

    sections: np.ndarray
    center_frequencies: np.ndarray
    sample_rate: float


def design_ear(sample_rate: float = 12500.0, *, quality: float = 8.0, step: float | None = None) -> EarFilters:
    r"""Place the filters along the cochlea so that neighbours overlap by the same share of their bandwidth.

    The bandwidth at frequency f is $\sqrt{f^2 + f_b^2} / Q$ with $f_b$ = 1 kHz; centres follow one another at `step`
    bandwidths, from just below half the sample rate to where a pole's own quality falls to 1/2. Each section is a
    resonance at its centre and, a little above, a five times sharper notch; its gain at frequency 0 is the ratio of
    neighbouring centres. The cascade is led by a pre-emphasis with corner 300 Hz and a resonance at the top.

    Args:
        sample_rate: in Hz.
        quality: Q, the ear's sharpness.
        step: distance of neighbours in bandwidths; None means `quality / 32`.

    Returns:
        The cascade. At 12.5 kHz it has 78 channels, at 22.05 kHz 96.

    Raises:
        TypeError: an option is not a number.
        ValueError: an option is out of range, or leaves fewer than two channels.

    Source: R. F. Lyon, A computational model of filtering, detection, and compression in the cochlea, ICASSP 1982;
    M. Slaney, Lyon's cochlear model, Apple technical report 13, 1988.

    >>> ear = design_ear(12500)
    >>> ear.sections.shape, ear.center_frequencies[[0, -1]].round(1).tolist()
    ((80, 6), [5959.3, 78.9])
    """
    owner = "design_ear"
    rate = checks.number(owner, "sample_rate", sample_rate, above=0)
    quality = checks.number(owner, "quality", quality, above=0.5)
    step = quality / 32 if step is None else checks.number(owner, "step", step, above=0)
    top = rate / 2 - (ZERO_OFFSET - 1) * step * _bandwidth(rate / 2, quality)
    centers = _centers(top, quality, step)
    if len(centers) < 2:
        raise ValueError(
            f"{owner}: sample_rate, quality and step must leave room for at least 2 channels, got {rate:g} Hz, "
            f"{quality:g} and {step:g}, which leave {len(centers)}. Raise sample_rate or lower step."
        )
    pole_quality = centers / _bandwidth(centers, quality)
    zeros = centers + ZERO_OFFSET * step * _bandwidth(centers, quality)
    places = np.hstack(
        [
            _resonance(zeros, SHARPNESS * zeros / _bandwidth(centers, quality), rate),
            _resonance(centers, pole_quality, rate),
        ]
    )
    ratios = centers[:-1] / centers[1:]
    places = _with_gain(places, np.concatenate([ratios[:1], ratios]), 0.0)
    emphasis = np.array([0, 1, -np.exp(-2 * np.pi * PRE_EMPHASIS_CORNER / rate), 1, 0, 0])
    topmost = np.concatenate([[1, 0, -1], _resonance(np.array([top]), pole_quality[:1], rate)[0]])
    front = _with_gain(np.stack([emphasis, topmost]), np.ones(FRONT_STAGES), 0.25)
    return EarFilters(np.vstack([front, places]), centers, rate)


def _bandwidth(frequency: Any, quality: float) -> Any:
    return np.hypot(frequency, BREAK_FREQUENCY) / quality


def _centers(top: float, quality: float, step: float) -> np.ndarray:
    """Integrate one channel per `step` bandwidths downwards from `top`: asinh(f / f_b) falls evenly."""
    lowest = BREAK_FREQUENCY / np.sqrt(4 * quality**2 - 1)
    highest, spacing = np.arcsinh(top / BREAK_FREQUENCY), step / quality
    count = int((highest - np.arcsinh(lowest / BREAK_FREQUENCY)) / spacing) if top > lowest else 0
    return BREAK_FREQUENCY * np.sinh(highest - spacing * np.arange(1, count + 1))


def _resonance(frequency: np.ndarray, quality: np.ndarray, rate: float) -> np.ndarray:
    """Second-order polynomials `(n, 3)` with roots at `frequency` (Hz), damped as `quality` says."""
    radius = np.exp(-np.pi * frequency / (rate * quality))
    angle = 2 * np.pi * frequency / rate * np.sqrt(1 - 1 / (4 * quality**2))
    return np.stack([np.ones_like(radius), -2 * radius * np.cos(angle), radius**2], axis=1)


def _with_gain(sections: np.ndarray, gain: np.ndarray, frequency: float) -> np.ndarray:
    """Scale sections `(n, 6)` to the given gains at `frequency`, a fraction of the sample rate."""
    powers = np.exp(2j * np.pi * frequency) ** np.array([2, 1, 0])
    now = np.abs(sections[:, :3] @ powers) / np.abs(sections[:, 3:] @ powers)
    scaled = sections.copy()
    scaled[:, :3] *= (gain / now)[:, None]
    return scaled
