"""A population of policies in an episode of a task."""

from typing import Any

import torch
from torch import Tensor

from lightning_neuro.safe_mutation.population import BatchedPolicy


class Actor:
    """Asks every individual for its next action; carries recurrent states, and remembers who answered NaN.

    Args:
        owner: the task, for messages.
        policy: acts on one observation at a time, with or without a recurrent state.
        params: `(P, d)`.
        outputs: number of outputs the task wants.

    Attributes:
        broken: bool `(P,)`, whose outputs were NaN at any time.

    Raises:
        ValueError: the policy takes whole sequences.

    >>> actor = Actor("Task", BatchedPolicy(torch.nn.Linear(3, 2)), torch.zeros(5, 8), outputs=2)
    >>> actor(torch.ones(5, 1, 3)).shape
    torch.Size([5, 1, 2])
    """

    def __init__(self, owner: str, policy: BatchedPolicy, params: Tensor, outputs: int) -> None:
        if policy.interface.recurrence == "sequence":
            raise ValueError(
                f"{owner}: the policy must act at every step, got {type(policy.module).__name__}, which takes whole "
                "sequences. Give it a forward(x, h) that returns (y, h)."
            )
        self._owner = owner
        self._policy = policy
        self._tensors = policy.prepare(params)
        self._dtype = params.dtype
        self._outputs = outputs
        self._recurrent = policy.interface.recurrence == "step"
        self._state: Any = None
        self.broken = torch.zeros(len(params), dtype=torch.bool, device=params.device)

    def __call__(self, observations: Tensor) -> Tensor:
        """Return outputs `(P, B, outputs)` for observations `(P, B, *obs)`.

        Raises:
            ValueError: the policy returns another number of outputs.
        """
        own = observations.to(self._dtype) if observations.is_floating_point() else observations  # images stay bytes
        answer = self._policy(self._tensors, own, self._state)
        outputs: Tensor
        outputs, self._state = answer if self._recurrent else (answer, None)
        if outputs.shape[2:] != (self._outputs,):
            raise ValueError(
                f"{self._owner}: the policy must return {self._outputs} outputs, (B, {self._outputs}), got "
                f"{tuple(outputs.shape[1:])}. Change its last layer."
            )
        self.broken |= outputs.isnan().flatten(1).any(1)
        return outputs
