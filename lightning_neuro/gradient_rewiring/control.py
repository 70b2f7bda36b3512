"""A closed loop that brings a net to a sparsity and holds it there; ours, not the paper's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.gradient_rewiring import functional
from lightning_neuro.gradient_rewiring.draws import generator

Scope: TypeAlias = Literal["global", "layer"]
SAMPLE = 1 << 16


@dataclass(frozen=True, eq=False)
class Moving:
    """A tensor in the middle of a step, which the optimizer has made and the pull has not.

    Args:
        theta: before the step.
        sign: fixed signs.
        weight: as the optimizer left it.
        sparsity: the tensor's target.
    """

    theta: Tensor
    sign: Tensor
    weight: Tensor
    sparsity: float


class SparsityController:
    """Sets the pull on theta so that sparsity follows a ramp to its target and stays.

    After the optimizer has moved theta, the pull that leaves a wanted fraction dormant is a quantile of theta, so every
    step is pulled by just that. On the way the fraction may lie anywhere between the ramp and the target; once the
    ramp has ended it is the target, to the nearest whole synapse. The pull is the same for all synapses of a scope, as
    the prior's is; it turns round where the net is too sparse.

    In a scope of more than 65,536 synapses the quantile comes from as many, drawn once; how far they are from standing
    for all is counted every so many steps.

    Args:
        scope: one pull for all tensors together, `"global"`, or one for each, `"layer"`.
        ramp_steps: optimizer steps from the sparsity at the start to the target, along a cubic that slows down.
        every: optimizer steps between counts over all synapses, where a sample stands for them.
        seed: of the sample.

    Raises:
        ValueError: an argument is outside its range.

    >>> controller, theta = SparsityController(ramp_steps=0), torch.arange(1.0, 11.0)
    >>> controller.update({"w": Moving(theta, torch.ones(10, dtype=torch.int8), theta, sparsity=0.5)})
    >>> controller.drift
    {'w': 5.0}
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
        self._bias: dict[str, float] = {}
        self._places: dict[str, Tensor] = {}

    def target(self, sparsity: float, start: float, step: int) -> float:
        """Return the sparsity that the ramp asks for at a step.

        >>> SparsityController(ramp_steps=10).target(0.75, 0.25, 5), SparsityController().target(0.75, 0.25, 9999)
        (0.6875, 0.75)
        """
        left = max(0.0, 1 - step / self.ramp_steps) if self.ramp_steps else 0.0
        return sparsity + (start - sparsity) * left**3

    def update(self, moving: Mapping[str, Moving]) -> None:
        """Count a step and set `.drift`, by which theta is to fall in it.

        Args:
            moving: the tensors that this step moves, by name. Only they are counted: what cannot move cannot make up
                for others. In the `"global"` scope the mean of their targets over synapses is the target.
        """
        scopes = {"": dict(moving)} if self.scope == "global" else {name: {name: each} for name, each in moving.items()}
        for key, members in scopes.items():
            if members:
                self.drift |= dict.fromkeys(members, self._pull(key, members))
        self.steps += 1

    def _pull(self, key: str, members: dict[str, Moving]) -> float:
        total = sum(each.theta.numel() for each in members.values())
        parts = [self._sample(name, each, total) for name, each in members.items()]
        device = parts[0].theta.device
        living = torch.cat([_moved(part).to(device) for part in parts])
        size = sum(part.theta.numel() for part in parts)
        if key not in self._start or (size < total and self.steps % self.every == 0):
            everything = sum(int((each.theta <= 0).sum()) for each in members.values()) / total
            self._start.setdefault(key, everything)
            self._bias[key] = everything - sum(int((part.theta <= 0).sum()) for part in parts) / size
        goal = sum(each.sparsity * each.theta.numel() for each in members.values()) / total
        ramp = self.target(goal, self._start[key], self.steps + 1)
        unborn, bias = size - len(living), self._bias[key]
        low, high = (round(size * (wanted - bias)) - unborn for wanted in sorted((ramp, goal)))
        return _shift(living, low, high)

    def _sample(self, name: str, each: Moving, total: int) -> Moving:
        """Return what stands for a tensor of a scope with so many synapses: itself, or places drawn once."""
        theta, sign, weight = (tensor.detach().flatten() for tensor in (each.theta, each.sign, each.weight))
        if total > SAMPLE:
            count = max(1, round(SAMPLE * len(theta) / total))
            if len(self._places.get(name, ())) != count:
                drawn = torch.randint(0, len(theta), (count,), generator=generator(self.seed, name))
                self._places[name] = drawn.to(theta.device)
            theta, sign, weight = (tensor[self._places[name]] for tensor in (theta, sign, weight))
        return Moving(theta, sign, weight, each.sparsity)

    def state_dict(self) -> dict[str, Any]:
        """Return builtin types only."""
        return {
            "steps": self.steps,
            "ramp_steps": self.ramp_steps,
            "drift": dict(self.drift),
            "start": dict(self._start),
            "bias": dict(self._bias),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state, the length of its ramp included."""
        self.steps, self.ramp_steps = int(state["steps"]), int(state["ramp_steps"])
        self.drift, self._start, self._bias = dict(state["drift"]), dict(state["start"]), dict(state["bias"])


def _moved(part: Moving) -> Tensor:
    """Return theta after the optimizer's step, of the synapses that can exist."""
    theta, sign, weight = (tensor[part.sign != 0] for tensor in (part.theta, part.sign, part.weight))
    return functional.follow(theta, sign, weight)


def _shift(theta: Tensor, low: int, high: int) -> float:
    """Return by how much theta has to fall for `low` to `high` elements to be dormant; negative to rise, least of all.

    >>> _shift(torch.tensor([3.0, -1.0, 2.0, 1.0]), 2, 3), _shift(torch.tensor([3.0, -1.0, 2.0, 1.0]), 0, 3)
    (1.0, 0.0)
    """
    dormant = int((theta <= 0).sum())
    place = min(max(low, dormant), high)
    if place == dormant or not len(theta):
        return 0.0
    return _nth(theta, min(max(place, 1), len(theta)))


def _nth(values: Tensor, place: int) -> float:
    """Return the smallest, second smallest, ... value; off the CPU by sorting, which alone is deterministic there."""
    if values.device.type == "cpu":
        return float(values.kthvalue(place).values)
    return float(values.sort().values[place - 1])
