"""What the demonstration of reservoirs draws beyond single measures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from reservoirpy.nodes import Reservoir

from lightning_neuro.common import plotting
from lightning_neuro.reservoir.measures import (
    Measure,
    active_information_storage,
    lyapunov_exponent,
    transfer_entropy,
)
from lightning_neuro.reservoir.pictures import phase_portrait

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCALES = (0.6, 0.8, 0.9, 1.0, 1.05, 1.1, 1.2, 1.5, 2.0, 2.6)
WASHOUT = 200
NAMES = {"storage": "Active information storage", "transfer": "Transfer entropy"}


@dataclass(frozen=True)
class Crossing:
    """Measures of one draw of weights, scaled step by step: exponent, storage, transfer, nats."""

    exponent: list[float]
    storage: list[float]
    transfer: list[float]


def across_the_edge(units: int, steps: int, seed: int) -> Crossing:
    """Scale one draw of weights from order to chaos, and measure at each scale.

    Args:
        units: of the reservoir.
        steps: to measure over, after the washout.
        seed: of weights and inputs.

    >>> found = across_the_edge(60, 300, 0)
    >>> found.exponent[0] < 0 < found.exponent[-1]
    True
    """
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal((units, units)) / units**0.5
    inward, drive = rng.uniform(-0.1, 0.1, (units, 1)), rng.uniform(-1, 1, (WASHOUT + steps, 1))
    found = Crossing([], [], [])
    for scale in SCALES:
        reservoir = Reservoir(W=scale * weights, Win=inward)
        states = reservoir.run(drive)[WASHOUT:]
        storage = active_information_storage(states, history=2, estimator="gaussian")
        transfer = transfer_entropy(states, estimator="gaussian")
        found.exponent.append(float(lyapunov_exponent(reservoir, drive, washout=WASHOUT)))
        found.storage.append(float(np.mean(storage.value)))
        found.transfer.append(float(transfer.details["median"]))
    return found


def against_exponent(found: Sequence[Crossing], name: str) -> "Figure":
    """Draw storage or transfer against the exponent, a line for each draw of weights."""
    figure, axes = plotting.blank(NAMES[name], "largest Lyapunov exponent, nats per step", "nats")
    axes.axvline(0.0, color=plotting.LINE, linewidth=1.2)
    for one in found:
        axes.plot(one.exponent, getattr(one, name), marker="o", markersize=3.5, linewidth=1.0, color=plotting.SERIES[0])
    return figure


def portrait(states: Mapping[str, np.ndarray]) -> "Figure":
    """Draw a phase portrait in the house style."""
    figure, axes = plotting.blank("Phase portrait", "", "")
    phase_portrait(states, axes)
    return figure


def stack(computed: Measure) -> "Figure":
    """Draw capacities by degree, stacked over delays."""
    figure, axes = plotting.blank("Capacity by degree", "", "")
    computed.plot(axes)
    return figure
