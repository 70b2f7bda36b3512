"""The states that sensitivities and divergences are averaged over: where they lie, and how much each counts."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_neuro.safe_mutation.population import BatchedPolicy


@dataclass(frozen=True)
class Samples:
    """B states, shared by all parents or B of each parent; recurrent ones are whole sequences of T steps.

    Attributes:
        states: `(B, *obs)` or `(P, B, *obs)`; recurrent `(T, B, *obs)` or `(P, T, B, *obs)`.
        own: whether the leading dimension is that of the parents.
        sample_dim: where B is in the states of one parent: 0, or 1 behind the steps of a sequence.
    """

    states: Tensor
    own: bool
    sample_dim: int

    @property
    def count(self) -> int:
        """B."""
        return self.states.shape[self.sample_dim + self.own]

    @property
    def in_dim(self) -> int | None:
        """What `BatchedPolicy.map` is to do with the states: give each parent its own, or all to everyone."""
        return 0 if self.own else None

    def block(self, parents: slice, samples: slice) -> Tensor:
        """Return a view of some parents' states, and of those some."""
        states = self.states[parents] if self.own else self.states
        dim = self.sample_dim + self.own
        first, stop, _ = samples.indices(self.count)
        return states.narrow(dim, first, stop - first)

    def of_one(self, parent: int) -> Tensor:
        """Return the first state, or sequence, of one parent, still with its dimension of size 1."""
        states = self.block(slice(parent, parent + 1), slice(0, 1))
        return states[0] if self.own else states


def samples_of(owner: str, policy: BatchedPolicy, params: Tensor, states: Tensor) -> Samples:
    """Check what a user calls states, and say where things lie in it.

    Raises:
        TypeError: no tensor.
        ValueError: the dimensions fit neither a shared nor an own archive, it is empty, or it is of another number of
            parents.
    """
    if not isinstance(states, Tensor):
        raise TypeError(f"{owner}: states must be a tensor, got {type(states).__name__}.")
    interface = policy.interface
    lead = "B" if interface.recurrence == "none" else "T, B"
    surplus = states.ndim - interface.states_ndim
    if surplus not in (0, 1):
        raise ValueError(
            f"{owner}: states must be ({lead}, *obs) or (P, {lead}, *obs) with observations of "
            f"{interface.observation_ndim} dimensions, got shape {tuple(states.shape)}. If an observation has another "
            "number of dimensions, give observation_ndim to BatchedPolicy."
        )
    if states.numel() == 0:
        raise ValueError(f"{owner}: states must hold at least one state, got shape {tuple(states.shape)}.")
    if surplus and len(states) != len(params):
        raise ValueError(
            f"{owner}: states (P, {lead}, *obs) must hold one archive for each of the {len(params)} parents, "
            f"got {len(states)}."
        )
    return Samples(as_ordinary(states), bool(surplus), int(interface.recurrence != "none"))


def row_weights(
    owner: str, valid: Tensor | None, parents: int, samples: int, steps: int, like: Tensor, *, mean: bool = True
) -> Tensor:
    """Return how much every output row counts, `(P, steps, B)`: 1 over the number of valid ones, or 1; 0 elsewhere.

    Args:
        owner: who asks; opens the messages.
        valid: bool `(P, steps * B)`, rows in the order of the policy's outputs; None: all.
        parents: P.
        samples: B.
        steps: output rows of one sample: 1, or T where every step of a sequence has outputs.
        like: gives dtype and device.
        mean: whether the weights of a parent add up to 1.

    Raises:
        TypeError: `valid` is not boolean.
        ValueError: its shape does not fit, or a parent has no valid row.

    >>> row_weights("", torch.tensor([[True, False, True]]), 1, 3, 1, torch.zeros(()))
    tensor([[[0.5000, 0.0000, 0.5000]]])
    """
    shape = (parents, steps, samples)
    if valid is None:
        return like.new_full((), 1 / (steps * samples) if mean else 1.0).expand(shape)
    if valid.dtype != torch.bool:
        raise TypeError(f"{owner}: valid must be a bool tensor, got {valid.dtype}.")
    if valid.ndim < 2 or len(valid) != parents or valid.numel() != parents * steps * samples:
        raise ValueError(
            f"{owner}: valid must be (P, B') = ({parents}, {steps * samples}), one entry for each output row of each "
            f"parent, got shape {tuple(valid.shape)}."
        )
    rows = valid.reshape(parents, -1)
    if not bool(rows.any(1).all()):
        empty = int((~rows.any(1)).nonzero()[0])
        raise ValueError(
            f"{owner}: every parent needs at least one valid state, got none for parent {empty}. Give it states of "
            "another parent, or a shared archive."
        )
    weights = rows.to(like)
    return (weights / weights.sum(1, keepdim=True) if mean else weights).view(shape)


def filled(samples: Samples, weights: Tensor) -> Samples:
    """Return the samples with each parent's first valid state in place of those that do not count.

    What stands in an empty slot could otherwise be anything, and `0 * NaN` is NaN. Only where an archive is the
    parent's own and every sample has one output row; shared states exist, and steps of a sequence depend on each other.
    """
    counts = weights.sum(1) > 0
    if not samples.own or weights.shape[1] > 1 or bool(counts.all()):
        return samples
    states = samples.states.movedim(1 + samples.sample_dim, 1)  # (P, B, ...)
    parents = torch.arange(len(states), device=states.device)
    first = states[parents, counts.int().argmax(1)].unsqueeze(1)
    mask = counts.view(counts.shape + (1,) * (states.ndim - 2))
    whole = torch.where(mask, states, first).movedim(1, 1 + samples.sample_dim)
    return Samples(whole, samples.own, samples.sample_dim)


def as_ordinary(tensor: Tensor) -> Tensor:
    """Return a tensor without gradient that autograd may use, also one that was made in inference mode."""
    return tensor.clone() if tensor.is_inference() else tensor.detach()
