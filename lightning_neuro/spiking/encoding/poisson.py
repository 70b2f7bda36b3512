"""Rates to random spikes."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.spiking.encoding.inputs import unit_interval

# MNIST and Fashion-MNIST of the ST-RSBP experiments: a pixel of 255 fires with probability 1/5.5 per step.
PUBLISHED_MAX_RATE = 1 / 5.5
CHUNK_ELEMENTS = 1 << 24  # on a GPU, where a launch costs as much as the numbers of a small step


class PoissonEncoder(nn.Module):
    r"""Independent spikes with a probability in proportion to the input: $P(s[t]=1) = r_{max}\,x$.

    With `fixed=False` every call draws anew from the encoder's own generator, one per device, whose state is in
    `state_dict`: a resumed run sees the spikes that it would have seen without the interruption. With `fixed=True` the
    spikes of a sample are a function of `seed` and the sample's index alone, so that every epoch sees the same ones, as
    in the ST-RSBP experiments. Processes of a distributed run that should differ need seeds that differ.

    Args:
        num_steps: steps T.
        max_rate: probability per step of an input of 1; 1/5.5 is that of the ST-RSBP experiments.
        first_step: first step that may fire; step 0 of an ST-RSBP layer only decays.
        fixed: the same spikes for the same sample index.
        seed: of the draws.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option is out of range.

    >>> encoder = PoissonEncoder(5, max_rate=1.0)
    >>> encoder(torch.tensor([[0.0, 1.0]]))[:, 0].int().tolist()
    [[0, 0], [0, 1], [0, 1], [0, 1], [0, 1]]
    """

    def __init__(
        self,
        num_steps: int,
        *,
        max_rate: float = PUBLISHED_MAX_RATE,
        first_step: int = 1,
        fixed: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.num_steps = checks.integer(owner, "num_steps", num_steps, at_least=1)
        self.max_rate = checks.number(owner, "max_rate", max_rate, above=0, at_most=1)
        self.first_step = checks.integer(owner, "first_step", first_step, at_least=0, at_most=self.num_steps)
        self.fixed = checks.flag(owner, "fixed", fixed)
        self.seed = checks.integer(owner, "seed", seed, at_least=0)
        self._generators: dict[str, torch.Generator] = {}
        self._restored: dict[str, Tensor] = {}

    def forward(self, x: Tensor, index: Tensor | None = None) -> Tensor:
        """Draw spikes.

        Args:
            x: intensities `(B, ...)` between 0 and 1.
            index: indices `(B,)` of the samples in their data set, integers; needed with `fixed=True` and refused
                without.

        Returns:
            Spikes `(T, B, ...)`, boolean, on the device of `x`.

        Raises:
            TypeError: `x` or `index` is of the wrong type.
            ValueError: `x` leaves 0..1, or `index` is missing, not wanted, or not one per sample.
        """
        x = unit_interval(type(self).__name__, "x", x)
        rates = x * self.max_rate
        if not self.fixed:
            if index is not None:
                raise ValueError(f"{type(self).__name__}: index is for fixed=True only. Leave it out.")
            return self._draw(rates, self._generator(rates.device))
        seeds = self._sample_seeds(index, len(x))
        draws = [
            self._draw(rate, torch.Generator().manual_seed(seed)) for rate, seed in zip(rates.cpu(), seeds, strict=True)
        ]
        empty = torch.zeros((self.num_steps, *x.shape), dtype=torch.bool)
        return (torch.stack(draws, dim=1) if draws else empty).to(x.device)

    def get_extra_state(self) -> dict[str, Tensor]:
        """State of each device's generator."""
        return self._restored | {name: generator.get_state() for name, generator in self._generators.items()}

    def set_extra_state(self, state: dict[str, Tensor]) -> None:
        """Go on drawing where the state was taken."""
        # A checkpoint loaded onto a GPU brings its tensors there; generators take theirs from the CPU.
        self._restored = {name: tensor.cpu() for name, tensor in state.items()}
        self._generators = {}

    def extra_repr(self) -> str:
        """Options, for `print(encoder)`."""
        return f"{self.num_steps}, max_rate={self.max_rate:g}, first_step={self.first_step}, fixed={self.fixed}"

    def __getstate__(self) -> dict[str, Any]:
        """Plain tensors in the place of generators, which cannot be copied."""
        return self.__dict__ | {"_restored": self.get_extra_state(), "_generators": {}}

    def _draw(self, rates: Tensor, generator: torch.Generator) -> Tensor:
        spikes = torch.zeros((self.num_steps, *rates.shape), dtype=torch.bool, device=rates.device)
        # A part of the steps at a time, because the numbers take four times the spikes' memory.
        piece = max(1, (CHUNK_ELEMENTS if rates.is_cuda else 1) // max(1, rates.numel()))
        for some in spikes[self.first_step :].split(piece):
            torch.lt(torch.rand(some.shape, device=rates.device, generator=generator), rates, out=some)
        return spikes

    def _generator(self, device: torch.device) -> torch.Generator:
        name = str(device)
        if name not in self._generators:
            generator = torch.Generator(device).manual_seed(self.seed)
            if name in self._restored:
                generator.set_state(self._restored[name])
            self._generators[name] = generator
        return self._generators[name]

    def _sample_seeds(self, index: Tensor | None, count: int) -> list[int]:
        owner = type(self).__name__
        if index is None:
            raise ValueError(
                f"{owner}: fixed=True needs the index of each sample. Call encoder(x, index), or train with batches "
                "(inputs, targets, index), which Indexed(dataset) makes."
            )
        if not isinstance(index, Tensor) or index.is_floating_point() or index.dtype == torch.bool:
            raise TypeError(f"{owner}: index must be a tensor of integers, got {getattr(index, 'dtype', type(index))}.")
        if index.shape != (count,) or (count and index.min() < 0):
            raise ValueError(
                f"{owner}: index must hold one number of at least 0 for each of the {count} samples, "
                f"got {index.tolist()} of shape {tuple(index.shape)}."
            )
        return [int(np.random.SeedSequence([self.seed, each]).generate_state(1)[0]) for each in index.tolist()]
