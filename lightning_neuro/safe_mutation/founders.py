"""The first population: as many fresh starts of one policy."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.draws import generator_of
from lightning_neuro.safe_mutation.genome import Genome

Initial = Literal["init", "noise"]


@dataclass(frozen=True)
class Founding:
    """How founders are made; the policy as it is given is always the first.

    Args:
        initial: `"init"`, fresh initialisations, or `"noise"`, the policy with Gaussian noise.
        std: of that noise.
        owner: opens messages.

    Raises:
        TypeError, ValueError: an argument is out of range.
    """

    initial: Initial = "init"
    std: float = 0.1
    owner: str = "SafeMutation"

    def __post_init__(self) -> None:
        checks.choice(self.owner, "initial", self.initial, ("init", "noise"))
        checks.number(self.owner, "initial_std", self.std, above=0)

    def population(
        self, policy: nn.Module, count: int, seed: int, make: Callable[[], nn.Module] | None = None
    ) -> Tensor:
        """Return the founders' genomes, (count, d).

        Args:
            policy: left unchanged.
            count: P.
            seed: of all founders but the first.
            make: builds fresh policies; without it the given one is initialised again.
        """
        genome, generator = Genome(policy), generator_of(seed, "founders")
        if self.initial == "noise":
            return scattered(policy, genome, count, self.std, generator)
        if make is not None:
            return constructed(policy, genome, count, generator.initial_seed(), make)
        return reinitialised(policy, genome, count, generator.initial_seed())


def reinitialised(policy: nn.Module, genome: Genome, count: int, seed: int) -> Tensor:
    """Return `count` genomes: the policy's own weights, then fresh initialisations of it, (count, d).

    Every submodule that has `reset_parameters` is reset, inner ones first, as layers of torch do when they are built.
    Global random state is left as it was.

    Args:
        policy: left unchanged.
        genome: of the policy.
        count: P.
        seed: of all founders but the first.

    Raises:
        ValueError: a trainable weight belongs to no module with `reset_parameters`.

    >>> layer = nn.Linear(3, 2)
    >>> reinitialised(layer, Genome(layer), 250, seed=0).shape
    torch.Size([250, 8])
    """
    _check_resettable(policy, genome)
    fresh = copy.deepcopy(policy).cpu()

    def reset() -> nn.Module:
        fresh.apply(_reset)
        return fresh

    return _stacked(policy, genome, count, seed, reset)


def constructed(policy: nn.Module, genome: Genome, count: int, seed: int, make: Callable[[], nn.Module]) -> Tensor:
    """Return `count` genomes: the policy's own weights, then those of modules that `make` builds, (count, d).

    Raises:
        ValueError: `make` builds modules of another genome.
    """
    return _stacked(policy, genome, count, seed, make)


def scattered(policy: nn.Module, genome: Genome, count: int, std: float, generator: Generator) -> Tensor:
    """Return `count` genomes: the policy's own weights, then these with Gaussian noise, (count, d)."""
    own = genome.vector(policy)
    noise = torch.randn(count - 1, genome.size, generator=generator, dtype=own.dtype).to(own.device)
    return torch.cat([own[None], own + std * noise])


def _stacked(policy: nn.Module, genome: Genome, count: int, seed: int, make: Callable[[], nn.Module]) -> Tensor:
    own = genome.vector(policy)
    # Initialisers of torch draw from the global generator of the CPU only; it is put back afterwards.
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(seed)
        fresh = [_vector(genome, make()) for _ in range(count - 1)]
    return torch.stack([own.cpu(), *fresh]).to(own)


def _vector(genome: Genome, module: nn.Module) -> Tensor:
    if Genome(module).shapes != genome.shapes:
        raise ValueError("SafeMutation: configure_policy must build the same architecture each time it is called.")
    return genome.vector(module).cpu()


def _reset(module: nn.Module) -> None:
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()


def _check_resettable(policy: nn.Module, genome: Genome) -> None:
    """A weight without an initialiser would be the same in all founders."""
    owners = {name: name.rpartition(".")[0] for name in genome.names}
    for name, place in owners.items():
        above = [place.rsplit(".", depth)[0] for depth in range(place.count(".") + 1)] + [""]
        if not any(callable(getattr(policy.get_submodule(each), "reset_parameters", None)) for each in above):
            raise ValueError(
                f"SafeMutation: parameter {name!r} of {type(policy).__name__} belongs to no module with "
                "reset_parameters(), so all founders would share it. Give that module such a method, pass "
                "initial='noise' with initial_std, or override configure_policy, which is then called once per founder."
            )
