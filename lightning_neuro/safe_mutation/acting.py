"""From a policy's outputs to an environment's actions."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from lightning_neuro.common import checks

if TYPE_CHECKING:
    import gymnasium

Named = Literal["auto", "argmax", "sample", "tanh", "identity"]
NAMES: tuple[Named, ...] = ("auto", "argmax", "sample", "tanh", "identity")
Action = Named | Callable[[Tensor], Any]
Noise = Callable[[int], Tensor]
OWNER = "GymnasiumEvaluator"


class Actions:
    """Turns outputs (n, K) into actions (n, ...) of a space.

    - "argmax": the likeliest of a Discrete space's choices, of each part of a MultiDiscrete, and a MultiBinary's bits
      where the output is positive.
    - "sample": outputs are logits, and a Discrete or MultiDiscrete choice is drawn from their softmax.
    - "tanh": a bounded Box's interval from low (-1) to high (1).
    - "identity": a Box's numbers as they are, even beyond its limits.
    - "auto": "argmax", and for a Box the numbers clipped to it.

    Args:
        space: of one action.
        action: a name, or the user's own function from outputs (n, K) to actions.

    Raises:
        ValueError: the name does not fit the space.
    """

    def __init__(self, space: "gymnasium.Space[Any]", action: Action) -> None:
        self._space = space
        self._choices = _choices(space)
        self.sampled = action == "sample"
        if callable(action):
            self._act: Callable[[Tensor, Noise], Any] = lambda outputs, _: action(outputs)
            self.size: int | None = None
        else:
            self._act = self._named(action)
            self.size = sum(self._choices) if self._choices else int(np.prod(space.shape or ()))

    def __call__(self, outputs: Tensor, noise: Noise) -> np.ndarray:
        """Return actions.

        Args:
            outputs: (n, K).
            noise: called with K for standard Gumbel noise (n, K) where actions are sampled.

        Raises:
            ValueError: the policy has another number of outputs than the space needs.
        """
        if self.size is not None and outputs.shape[1] != self.size:
            raise ValueError(
                f"{OWNER}: the policy must have {self.size} output(s) for actions of {self._space}, got "
                f"{outputs.shape[1]}. Change its last layer, or give action a function that makes actions of outputs."
            )
        actions = self._act(outputs, noise)
        actions = actions.cpu().numpy() if isinstance(actions, Tensor) else np.asarray(actions)
        return actions.astype(self._space.dtype, copy=False)

    def _named(self, action: Named) -> Callable[[Tensor, Noise], Any]:
        from gymnasium.spaces import Box, MultiBinary

        space, starts = self._space, torch.as_tensor(np.asarray(getattr(self._space, "start", 0)).astype(np.int64))
        fitting = ["auto"]
        if self._choices:
            fitting += ["argmax", "sample"]
        elif isinstance(space, MultiBinary):
            fitting += ["argmax"]
        elif isinstance(space, Box):
            fitting += ["identity", "tanh"] if space.is_bounded("both") else ["identity"]
        else:
            raise ValueError(f"{OWNER}: actions of {space} have no rule. Give action a function of outputs (n, K).")
        checks.choice(OWNER, f"action for {space}", action, fitting)
        if isinstance(space, MultiBinary):
            return lambda outputs, _: (outputs > 0).view(-1, *space.shape)
        if isinstance(space, Box):
            return lambda outputs, _: _box(space, action, outputs.cpu().numpy())
        if action == "sample":
            return lambda outputs, noise: self._picked(outputs.cpu() + noise(outputs.shape[1])) + starts
        return lambda outputs, _: self._picked(outputs.cpu()) + starts

    def _picked(self, scores: Tensor) -> Tensor:
        parts = [part.argmax(1) for part in scores.split(self._choices, 1)]
        return torch.stack(parts, 1).view(-1, *(self._space.shape or ()))


def _choices(space: "gymnasium.Space[Any]") -> list[int]:
    """Return how many choices each part of a finite space has; nothing for other spaces."""
    from gymnasium.spaces import Discrete, MultiDiscrete

    if isinstance(space, Discrete):
        return [int(space.n)]
    return [int(n) for n in space.nvec.flat] if isinstance(space, MultiDiscrete) else []


def _box(space: Any, action: str, outputs: np.ndarray) -> np.ndarray:
    numbers = outputs.reshape(-1, *space.shape)
    if action == "identity":
        return numbers
    if action == "tanh":
        numbers = space.low + (np.tanh(numbers) + 1) / 2 * (space.high - space.low)
    return np.clip(numbers, space.low, space.high)
