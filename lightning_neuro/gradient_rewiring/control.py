"""A closed loop that brings a net to a sparsity and holds it there; ours, not the paper's."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.gradient_rewiring.draws import generator

Scope: TypeAlias = Literal["global", "layer"]
SAMPLE = 1 << 16
MEMORY = 0.3


class SparsityController:
    """Sets the pull on theta so that sparsity follows a ramp to its target and stays.

    Every `every` steps it measures how far theta would have to shift for the wanted fraction to be dormant, which is a
    quantile of theta, and spreads that shift evenly over the steps to the next measurement. What the gradients did
    meanwhile, how far sparsity came to lie off the ramp, is remembered and added. The pull is the same for all
    synapses of a scope, as the prior's is; it turns round where the net is too sparse.

    The quantile comes from 65,536 synapses drawn once; the fraction of dormant ones is counted over all.

    Args:
        scope: one pull for all tensors together, `"global"`, or one for each, `"layer"`.
        ramp_steps: optimizer steps from the sparsity at the start to the target, along a cubic that slows down.
        every: optimizer steps between measurements.
        seed: of the sample.

    Raises:
        ValueError: an argument is outside its range.

    >>> controller = SparsityController(ramp_steps=0, every=1)
    >>> controller.update({"w": torch.arange(1.0, 11.0)}, {"w": 0.5})
    >>> controller.drift["w"] >= 5
    True
    """

    def __init__(self, scope: Scope = "global", *, ramp_steps: int = 1000, every: int = 10, seed: int = 0) -> None:
        owner = type(self).__name__
        self.scope = checks.choice(owner, "scope", scope, ("global", "layer"))
        self.ramp_steps = checks.integer(owner, "ramp_steps", ramp_steps, at_least=0)
        self.every = checks.integer(owner, "every", every, at_least=1)
        self.seed = checks.integer(owner, "seed", seed, at_least=0)
        self.drift: dict[str, float] = {}
        self.steps = 0
        self._start: dict[str, float] = {}
        self._habit: dict[str, float] = {}
        self._places: dict[str, Tensor] = {}

    def target(self, sparsity: float, start: float, step: int) -> float:
        """Return the sparsity that the ramp asks for at a step.

        >>> SparsityController(ramp_steps=10).target(0.75, 0.25, 5), SparsityController().target(0.75, 0.25, 9999)
        (0.6875, 0.75)
        """
        left = max(0.0, 1 - step / self.ramp_steps) if self.ramp_steps else 0.0
        return sparsity + (start - sparsity) * left**3

    def update(self, theta: Mapping[str, Tensor], sparsity: Mapping[str, float]) -> None:
        """Count a step and, when it is time, measure and set `.drift`, by which theta is to fall in every step.

        Args:
            theta: by name.
            sparsity: the targets, by name; in the `"global"` scope their mean over synapses is the target.
        """
        if self.steps % self.every == 0:
            scopes = {"": list(theta)} if self.scope == "global" else {name: [name] for name in theta}
            for key, names in scopes.items():
                self._measure(key, {name: theta[name] for name in names}, sparsity)
        self.steps += 1

    def _measure(self, key: str, thetas: dict[str, Tensor], sparsity: Mapping[str, float]) -> None:
        sizes = {name: theta.numel() for name, theta in thetas.items()}
        total = sum(sizes.values())
        dormant = sum(int((theta <= 0).sum()) for theta in thetas.values()) / total
        start = self._start.setdefault(key, dormant)
        goal = sum(sparsity[name] * size for name, size in sizes.items()) / total
        sample = torch.cat([self._sample(name, theta, thetas) for name, theta in thetas.items()]).sort().values
        astray = _shift(sample, self.target(goal, start, self.steps) - dormant) / self.every
        ahead = _shift(sample, self.target(goal, start, self.steps + self.every) - dormant) / self.every
        habit = self._habit.get(key, 0.0)
        self._habit[key] = habit + MEMORY * astray
        self.drift |= dict.fromkeys(thetas, ahead + habit)

    def _sample(self, name: str, theta: Tensor, thetas: dict[str, Tensor]) -> Tensor:
        total = sum(tensor.numel() for tensor in thetas.values())
        flat = theta.detach().flatten()
        if total <= SAMPLE:
            return flat
        if name not in self._places:
            count = max(1, round(SAMPLE * theta.numel() / total))
            drawn = torch.randint(0, theta.numel(), (count,), generator=generator(self.seed, name))
            self._places[name] = drawn.to(theta.device)
        return flat[self._places[name]]

    def state_dict(self) -> dict[str, Any]:
        """Return builtin types only."""
        return {
            "steps": self.steps,
            "ramp_steps": self.ramp_steps,
            "drift": dict(self.drift),
            "start": dict(self._start),
            "habit": dict(self._habit),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state, the length of its ramp included."""
        self.steps, self.ramp_steps = int(state["steps"]), int(state["ramp_steps"])
        self.drift, self._start, self._habit = dict(state["drift"]), dict(state["start"]), dict(state["habit"])


def _shift(ordered: Tensor, missing: float) -> float:
    """Return by how much theta has to fall for a further fraction `missing` to be dormant; negative to rise."""
    place = round(int((ordered <= 0).sum()) + missing * len(ordered))
    return float(ordered[min(max(place, 1), len(ordered)) - 1])
