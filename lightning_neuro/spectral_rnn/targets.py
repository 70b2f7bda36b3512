"""What a spectral solution is written into: which module of a net, and how."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from lightning_neuro.spectral_rnn.bidirectional import BidirectionalModel
from lightning_neuro.spectral_rnn.model import CUBIC, LINEAR, QUADRATIC, PolynomialModel
from lightning_neuro.spectral_rnn.plain_rnn import check_plain, fits, imitate_, write_linear_
from lightning_neuro.spectral_rnn.series import Array
from lightning_neuro.spectral_rnn.torch import BidirectionalPolynomialRNN, PolynomialRNN

ACTIVATIONS = {LINEAR: "linear", QUADRATIC: "quadratic", CUBIC: "cubic"}


class Target(Protocol):
    """A part of a net that can take a learned network in."""

    @property
    def activation(self) -> str:
        """What to learn: "linear", "quadratic" or "cubic"."""
        ...

    @property
    def units(self) -> int | str:
        """How many neurons to learn, or "auto"."""
        ...

    @property
    def outputs(self) -> int:
        """Width of the outputs."""
        ...

    @property
    def both_directions(self) -> bool:
        """Whether it reads in both directions."""
        ...

    def write_(self, model: Any, inputs: list[Array]) -> None:
        """Copy a learned network in; `inputs` are some of the series."""
        ...

    def predict(self, x: Tensor) -> Tensor:
        """Return what it says now, `(1, T, Dy)` for `(1, T, Dx)`."""
        ...


@dataclass(frozen=True)
class PolynomialTarget:
    """A `PolynomialRNN` or `BidirectionalPolynomialRNN`, exactly."""

    module: PolynomialRNN | BidirectionalPolynomialRNN

    @property
    def activation(self) -> str:
        """What to learn, by its polynomial.

        Raises:
            ValueError: it is none that spectral learning knows.
        """
        cell = self.module.cell if isinstance(self.module, PolynomialRNN) else self.module.onward
        powers = cell.powers
        if powers not in ACTIVATIONS:
            raise ValueError(
                f"SpectralInit: spectral learning knows coeffs {', '.join(map(str, ACTIVATIONS))}, got {powers}."
            )
        return ACTIVATIONS[powers]

    @property
    def units(self) -> int:
        """All neurons, of both directions together."""
        features: int = self.module.readout.in_features
        return features

    @property
    def outputs(self) -> int:
        """Width of the outputs."""
        features: int = self.module.readout.out_features
        return features

    @property
    def both_directions(self) -> bool:
        """Whether it reads in both directions."""
        return isinstance(self.module, BidirectionalPolynomialRNN)

    def write_(self, model: PolynomialModel | BidirectionalModel, inputs: list[Array]) -> None:
        """Copy a learned network in."""
        self.module.write_(model)  # type: ignore[arg-type]  # the kind that its `both_directions` asked for

    def predict(self, x: Tensor) -> Tensor:
        """Return what it says now."""
        found = self.module(x.to(self.module.readout.weight))
        return found if isinstance(found, Tensor) else found[0]


@dataclass(frozen=True)
class PlainTarget:
    """An `nn.RNN` and the `nn.Linear` that reads its states: a linear network, or an imitation of a quadratic one."""

    rnn: nn.RNN
    readout: nn.Linear
    epsilon: float
    approximate: bool

    @property
    def activation(self) -> str:
        """What to learn."""
        return "quadratic" if self.approximate else "linear"

    @property
    def units(self) -> int | str:
        """As many as stand out of the noise; for an imitation at most Dx."""
        return "auto"

    @property
    def outputs(self) -> int:
        """Width of the outputs."""
        return self.readout.out_features

    @property
    def both_directions(self) -> bool:
        """It reads onward."""
        return False

    def write_(self, model: PolynomialModel, inputs: list[Array]) -> None:
        """Copy a learned linear network in, or train towards a quadratic one.

        Raises:
            ValueError: it does not fit in.
        """
        if not self.approximate:
            write_linear_(self.rnn, self.readout, model, self.epsilon)
            return
        # Half of the series are at least so long; a single short one must not cut all others.
        steps = sorted(map(len, inputs))[len(inputs) // 2]
        x = torch.as_tensor(np.stack([one[:steps] for one in inputs if len(one) >= steps])).to(self.readout.weight)
        imitate_(self.rnn, self.readout, model, x)

    def predict(self, x: Tensor) -> Tensor:
        """Return what it says now."""
        series = x.to(self.readout.weight)
        states = self.rnn(series)[0] if self.rnn.batch_first else self.rnn(series.transpose(0, 1))[0].transpose(0, 1)
        outputs: Tensor = self.readout(states)
        return outputs


def find_target(
    module: nn.Module, rnn: str | None, readout: str | None, epsilon: float, *, approximate: bool
) -> PolynomialTarget | PlainTarget:
    """Return the one part of a module that a learned network can be written into.

    Args:
        module: where to look.
        rnn: name of the recurrent part; None if there is one only.
        readout: name of the `nn.Linear` after an `nn.RNN`; None if one only has its width.
        epsilon: scale of the states of a tanh net.
        approximate: for `nn.RNN`: learn a quadratic network and imitate it.

    Raises:
        ValueError: there is none, or more than one, or a name says something else.
    """
    parts = dict(module.named_modules())
    kinds = (PolynomialRNN, BidirectionalPolynomialRNN, nn.RNN)
    found = _one(parts, rnn, kinds, "rnn")
    if not isinstance(found, nn.RNN):
        return PolynomialTarget(found)
    if not approximate:
        check_plain(found)
    if found.batch_first is False and approximate:
        raise ValueError("SpectralInit: approximate=True needs nn.RNN with batch_first=True, got False.")
    fitting: dict[str, nn.Module] = {
        name: part
        for name, part in parts.items()
        if isinstance(part, nn.Linear) and part.in_features == found.hidden_size
    }
    return PlainTarget(found, _one(fitting, readout, (nn.Linear,), "readout"), epsilon, approximate)


def _one(parts: dict[str, nn.Module], name: str | None, kinds: tuple[type, ...], argument: str) -> Any:
    names = ", ".join(kind.__name__ for kind in kinds)
    fitting = [key for key, part in parts.items() if isinstance(part, kinds)]
    if name is not None:
        if name not in fitting:
            raise ValueError(
                f"SpectralInit: {argument} must name a part of type {names}, got {name!r}; there are {fitting}."
            )
        return parts[name]
    if len(fitting) != 1:
        raise ValueError(
            f"SpectralInit: expected one part of type {names}, got {fitting or 'none'}. Say which by {argument}='...'."
        )
    return parts[fitting[0]]


def room(target: PolynomialTarget | PlainTarget) -> int | None:
    """Return how many neurons fit in at most, or None where the number is given anyway."""
    return fits(target.rnn) if isinstance(target, PlainTarget) and not target.approximate else None
