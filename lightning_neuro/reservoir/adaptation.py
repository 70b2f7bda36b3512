"""Let rules change a reservoir while series run through it, and keep what happened."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lightning_neuro.reservoir.activation import Activation, known_activation
from lightning_neuro.reservoir.rules.rule import Circuit, EpochRule, Memory, Plastic, Rule, StepRule
from lightning_neuro.reservoir.rules.simulate import steps
from lightning_neuro.reservoir.spectrum import spectral_radius

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

_CHECKED_EVERY = 200  # steps between two looks for weights that have run away


@dataclass(frozen=True, eq=False)
class Adaptation:
    """What self-organisation did, epoch by epoch.

    Attributes:
        values: name -> `(E,)`: "mean" and "std" of outputs, "weight_change" (relative, Frobenius), "mean_gain",
            "spectral_radius" of gain times weights, "effective_spectral_radius" with mean slopes and leak (where
            slopes are known), and what epoch rules report.
        unit_mean: `(E, N)`, mean output of each unit.
        unit_std: `(E, N)`.

    >>> one = Adaptation({"mean": np.array([0.5])}, np.zeros((1, 2)), np.ones((1, 2)))
    >>> len(one.then(one))
    2
    """

    values: Mapping[str, Array]
    unit_mean: Array
    unit_std: Array

    def __len__(self) -> int:
        return len(self.unit_mean)

    def __getitem__(self, name: str) -> Array:
        return self.values[name]

    def then(self, later: "Adaptation") -> "Adaptation":
        """Return both, one after the other; names that one of them lacks are left out."""
        values = {name: np.append(known, later[name]) for name, known in self.values.items() if name in later.values}
        return Adaptation(
            values,
            np.concatenate([self.unit_mean, later.unit_mean]),
            np.concatenate([self.unit_std, later.unit_std]),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return numbers that JSON can hold."""
        values = {name: known.tolist() for name, known in self.values.items()}
        return values | {"unit_mean": self.unit_mean.tolist(), "unit_std": self.unit_std.tolist()}

    def plot(self, ax: "Axes | None" = None, names: Sequence[str] = ("std", "effective_spectral_radius")) -> "Axes":
        """Draw the named values over epochs, on `ax` or in a figure of their own."""
        if ax is None:
            from matplotlib.figure import Figure

            ax = Figure(figsize=(6.4, 3.6), layout="constrained").subplots()
        for name in names:
            if name in self.values:
                ax.plot(np.arange(1, len(self) + 1), self.values[name], marker=".", label=name.replace("_", " "))
        ax.set_xlabel("epoch")
        ax.legend(frameon=False)
        return ax


def adapt_(
    plastic: Plastic, circuit: Circuit, rules: Sequence[Rule], memories: Sequence[Memory], epochs: int
) -> Adaptation:
    """Run the series `epochs` times, each time from states of zero; change `plastic` and `memories` in place.

    Args:
        plastic: weights, gain and shift.
        circuit: series and what stays fixed.
        rules: step rules act in this order after every step, epoch rules in this order after the series.
        memories: one of each rule.
        epochs: how often.

    Raises:
        ValueError: weights, gains or shifts ran away.
    """
    activation = _slopes(circuit)
    records, means, stds = [], [], []
    for _ in range(epochs):
        earlier = plastic.synapses.weights.copy()
        mean, std, slope = _pass_(plastic, circuit, rules, memories, activation)
        reports: dict[str, float] = {}
        for rule, memory in zip(rules, memories, strict=True):
            if isinstance(rule, EpochRule):
                reports |= rule.epoch_(plastic, circuit, memory)
        _check_finite(plastic, rules)
        change = np.linalg.norm(plastic.synapses.weights - earlier) / (np.linalg.norm(earlier) or 1.0)
        pooled = float(np.sqrt(np.mean(std**2) + np.var(mean)))
        records.append(
            {"mean": float(mean.mean()), "std": pooled, "weight_change": float(change)}
            | _radii(plastic, circuit, slope)
            | reports
        )
        means.append(mean)
        stds.append(std)
    values = {name: np.array([record[name] for record in records]) for name in records[0]}
    return Adaptation(values, np.stack(means), np.stack(stds))


def _slopes(circuit: Circuit) -> Activation | None:
    try:
        return known_activation("adapt", circuit.function)
    except ValueError:
        return None


def _pass_(
    plastic: Plastic,
    circuit: Circuit,
    rules: Sequence[Rule],
    memories: Sequence[Memory],
    activation: Activation | None,
) -> tuple[Array, Array, Array | None]:
    """Run all series once with the step rules; return mean and std of outputs and mean slopes, `(N,)` each."""
    acting = [(rule, memory) for rule, memory in zip(rules, memories, strict=True) if isinstance(rule, StepRule)]
    total, squares, slopes = np.zeros((3, len(plastic.gain)))
    count = 0
    with np.errstate(over="ignore", invalid="ignore"):
        for place, activity in enumerate(steps(plastic, circuit, activation)):
            if place < circuit.washout:
                continue
            for rule, memory in acting:
                rule.step_(plastic, activity, memory)
            total += activity.after.sum(axis=0)
            squares += np.einsum("bn,bn->n", activity.after, activity.after)
            if activation is not None:
                slopes += activation.slope(activity.fired).sum(axis=0)
            count += len(activity.after)
            if acting and place % _CHECKED_EVERY == 0:
                _check_finite(plastic, rules)
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return mean, std, None if activation is None else slopes / count


def _radii(plastic: Plastic, circuit: Circuit, slope: Array | None) -> dict[str, float]:
    amplified = plastic.gain[:, None] * plastic.synapses.dense()
    radii = {"mean_gain": float(plastic.gain.mean()), "spectral_radius": spectral_radius(amplified)}
    if slope is not None:
        leak = np.broadcast_to(np.asarray(circuit.leak, np.float64), slope.shape)
        transition = np.diag(1 - leak) + (leak * slope)[:, None] * amplified
        radii["effective_spectral_radius"] = spectral_radius(transition)
    return radii


def _check_finite(plastic: Plastic, rules: Sequence[Rule]) -> None:
    sums = plastic.synapses.weights.sum(), plastic.gain.sum(), plastic.shift.sum()
    if not np.isfinite(sums).all():
        names = ", ".join(type(rule).__name__ for rule in rules)
        raise ValueError(
            f"adapt: weights, gains and shifts must stay finite, but they ran away under [{names}]. "
            "Give a smaller learning rate, or let Normalize follow in the list."
        )
