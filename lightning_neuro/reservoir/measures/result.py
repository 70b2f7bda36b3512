"""What a measure returns: a number or a table of numbers, how it came about, and its picture."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import numpy.typing as npt

from lightning_neuro.common import checks, plotting

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = npt.NDArray[np.float64]

Unit = Literal["nats", "bits"]
UNITS: tuple[Unit, ...] = ("nats", "bits")
_NATS = {"nats": 1.0, "bits": math.log(2)}


@dataclass(frozen=True, eq=False)
class Measure:
    """A measured value and what belongs to it.

    Attributes:
        name: of the measure.
        value: a number, one per unit `(N,)`, or one per pair `(N, N)`.
        unit: "nats", "bits", or None for a number without unit.
        curve: `(L,)`, or `(S, L)` for several lines, such as the capacity at each delay.
        curve_at: `(L,)`, where the curve was measured.
        curve_label: what `curve_at` is.
        curve_names: of the lines, S of them or none.
        stacked: whether lines are parts of a whole, to be drawn on top of each other.
        null: values where there is nothing to be found, such as under permutations; permutations first.
        p_value: chance of such a value where there is nothing to be found, in the shape of `value`.
        params: what it was measured with.
        details: further numbers by name.

    >>> rate = Measure("rate", 0.5, unit="bits")
    >>> float(rate), round(float(rate.to("nats")), 4)
    (0.5, 0.3466)
    """

    name: str
    value: float | Array
    unit: str | None = None
    curve: Array | None = None
    curve_at: Array | None = None
    curve_label: str = ""
    curve_names: tuple[str, ...] = ()
    stacked: bool = False
    null: Array | None = None
    p_value: float | Array | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def __float__(self) -> float:
        if np.ndim(self.value):
            raise TypeError(
                f"{self.name}: float() needs a single value, got an array of shape {np.shape(self.value)}. "
                "Use .value, or .value.mean()."
            )
        return float(self.value)

    def to(self, unit: Unit) -> Self:
        """The same measure in "bits" or "nats"; value, curve and null are rescaled, `details` stay as they are.

        Raises:
            ValueError: the measure has no unit of information, or `unit` is another.

        >>> Measure("capacity", 3.0).to("bits")
        Traceback (most recent call last):
        ValueError: capacity: a number without unit cannot be told in 'bits'.
        """
        checks.choice(self.name, "unit", unit, UNITS)
        if self.unit not in _NATS:
            raise ValueError(f"{self.name}: a number without unit cannot be told in {unit!r}.")
        factor = 1.0 if unit == self.unit else _NATS[self.unit] / _NATS[unit]

        def scaled(part: Any) -> Any:
            return None if part is None else part * factor

        return replace(self, unit=unit, value=scaled(self.value), curve=scaled(self.curve), null=scaled(self.null))

    def to_dict(self) -> dict[str, Any]:
        """Everything as numbers, words and lists for JSON; infinite numbers and NaN become words.

        >>> Measure("exponent", -np.inf).to_dict()["value"]
        '-inf'
        """
        return {part.name: _plain(getattr(self, part.name)) for part in fields(self)}

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the curve; else a heat map of pairs, a histogram of `null` with the value, or the values per unit.

        Args:
            ax: axes of matplotlib to draw into; a figure of its own where left out.

        >>> ax = Measure("capacity", 1.5, curve=np.array([1.0, 0.5]), curve_label="delay").plot()
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('delay', 'capacity')
        """
        axes = ax if ax is not None else plotting.blank("", "", "")[1]
        quantity = f"{self.name} ({self.unit})" if self.unit else self.name
        if self.curve is not None:
            self._plot_curve(axes, quantity)
        elif np.ndim(self.value) == 2:
            image = axes.imshow(self.value, aspect="auto", cmap="viridis", interpolation="nearest")
            axes.figure.colorbar(image, ax=axes, label=quantity)
        elif self.null is not None and np.ndim(self.value) == 0:
            axes.hist(np.ravel(self.null), bins=30, color=plotting.QUIET, alpha=0.6, label="permuted")
            axes.axvline(float(self.value), color=plotting.SERIES[1], label="measured")
            axes.set_xlabel(quantity)
            axes.legend(frameon=False)
        else:
            values = np.atleast_1d(np.asarray(self.value, dtype=float))
            axes.bar(np.arange(len(values)), values, color=plotting.SERIES[0])
            axes.set_ylabel(quantity)
        return axes

    def _plot_curve(self, axes: "Axes", quantity: str) -> None:
        lines = np.atleast_2d(np.asarray(self.curve, dtype=float))
        at = np.arange(lines.shape[1]) if self.curve_at is None else np.asarray(self.curve_at)
        marker = "." if lines.shape[1] <= 60 else ""
        below = np.zeros(lines.shape[1])
        for index, line in enumerate(lines):
            look: dict[str, Any] = {"color": plotting.SERIES[index % len(plotting.SERIES)]}
            look["label"] = self.curve_names[index] if self.curve_names else None
            if self.stacked:
                again = index // len(plotting.SERIES)
                axes.bar(at, line, bottom=below, hatch="/" * again, width=0.8, **look)
                below = below + line
            else:
                axes.plot(at, line, marker=marker, linewidth=1.5, **look)
        if self.curve_names:
            axes.legend(frameon=False)
        axes.set_xlabel(self.curve_label)
        axes.set_ylabel(quantity)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return getattr(value, "__name__", repr(value))
