"""Series to spikes of neurons that each prefer a value."""

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.spiking.encoding.inputs import real_tensor


class PopulationEncoder(nn.Module):
    r"""Neurons per channel with Gaussian tuning curves, whose rates follow the series.

    Neuron k of a channel prefers $c_k$, evenly from `low` to `high`, and fires at the rate
    $r = r_{max}\,e^{-(x - c_k)^2 / (2 w^2)}$ spikes per step, w being `width` times the distance of neighbours. Every
    value of the series lasts `hold` steps. Spikes are spread as evenly as the rate allows,
    $s[t] = \lfloor\phi + \sum_{u \le t} r[u]\rfloor - \lfloor\phi + \sum_{u < t} r[u]\rfloor$: counts are within one of
    what the rates add up to. The phase $\phi$ of each neuron is drawn anew in every call in training mode, so that an
    epoch does not repeat the last, and 1/2 in evaluation mode.

    Args:
        low: least preferred value, in the series' unit.
        high: largest preferred value.
        neurons: P, per channel.
        width: of the tuning curves, in distances of neighbours.
        hold: steps that a value of the series lasts.
        max_rate: $r_{max}$, at most 1.
        seed: of the phases.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option is out of range.

    >>> encoder = PopulationEncoder(-1.0, 1.0, neurons=3, hold=10, max_rate=0.5).eval()
    >>> encoder(torch.zeros(1, 1, 1)).sum(0).tolist()
    [[3, 5, 3]]
    """

    preferred: Tensor

    def __init__(
        self,
        low: float,
        high: float,
        neurons: int,
        *,
        width: float = 1.0,
        hold: int = 1,
        max_rate: float = 0.4,
        seed: int = 0,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.low = checks.number(owner, "low", low)
        self.high = checks.number(owner, "high", high, above=self.low)
        self.neurons = checks.integer(owner, "neurons", neurons, at_least=2)
        self.width = checks.number(owner, "width", width, above=0)
        self.hold = checks.integer(owner, "hold", hold, at_least=1)
        self.max_rate = checks.number(owner, "max_rate", max_rate, above=0, at_most=1)
        self.seed = checks.integer(owner, "seed", seed, at_least=0)
        self.register_buffer("preferred", torch.linspace(self.low, self.high, self.neurons), persistent=False)
        self._generator = torch.Generator().manual_seed(self.seed)

    def forward(self, x: Tensor) -> Tensor:
        """Encode a series.

        Args:
            x: `(T, B, M)`, time first.

        Returns:
            Spikes `(T * hold, B, M * P)`, boolean, the neurons of a channel side by side.

        Raises:
            TypeError: `x` is not a floating-point tensor.
            ValueError: `x` is of another shape, or not finite.
        """
        owner = type(self).__name__
        x = real_tensor(owner, "x", x, least_dims=3, shape="(T, B, M)")
        if x.dim() != 3:
            raise ValueError(f"{owner}: x must have shape (T, B, M), got {tuple(x.shape)}.")
        # In single precision a sum over a long series would lose the parts that decide when to fire.
        total = self.rates(x).double().repeat_interleave(self.hold, dim=0).cumsum(0)
        phase = self._phase(total.shape[1:]).to(total.device)
        return torch.cat([phase[None], total + phase]).floor().diff(dim=0) > 0

    def rates(self, x: Tensor) -> Tensor:
        """Return the rates `(T, B, M * P)` of a series `(T, B, M)`, in spikes per step.

        >>> encoder = PopulationEncoder(-1.0, 1.0, neurons=3, max_rate=0.5)
        >>> [round(rate, 4) for rate in encoder.rates(torch.zeros(1, 1, 1)).flatten().tolist()]
        [0.3033, 0.5, 0.3033]
        """
        width = self.width * (self.high - self.low) / (self.neurons - 1)
        distance = (x[..., None] - self.preferred.to(x)) / width
        return (self.max_rate * torch.exp(-distance.square() / 2)).flatten(2)

    def get_extra_state(self) -> Tensor:
        """State of the generator: a resumed run draws the phases that it would have drawn."""
        return self._generator.get_state()

    def set_extra_state(self, state: Tensor) -> None:
        """Go on drawing where the state was taken."""
        self._generator.set_state(state.cpu())

    def extra_repr(self) -> str:
        """Options, for `print(encoder)`."""
        return (
            f"{self.low:g}, {self.high:g}, {self.neurons}, width={self.width:g}, hold={self.hold}, "
            f"max_rate={self.max_rate:g}"
        )

    def _phase(self, shape: torch.Size) -> Tensor:
        if not self.training:
            return torch.full(shape, 0.5, dtype=torch.float64)
        return torch.rand(shape, dtype=torch.float64, generator=self._generator)

    def __getstate__(self) -> dict[str, object]:
        """A state in the place of the generator, which cannot be copied."""
        return self.__dict__ | {"_generator": self._generator.get_state()}

    def __setstate__(self, state: dict[str, object]) -> None:
        """Make the generator again."""
        super().__setstate__(state)
        generator, self._generator = self._generator, torch.Generator()
        self._generator.set_state(generator)  # type: ignore[arg-type]
