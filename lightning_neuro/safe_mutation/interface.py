"""How a policy is called: alone, on whole sequences, or step by step with a state."""

import inspect
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from lightning_neuro.common import checks

Recurrence = Literal["none", "sequence", "step"]
RECURRENCES: tuple[Recurrence, ...] = ("none", "sequence", "step")
_RECURRENT = (nn.RNNBase, nn.RNNCellBase)
_OBSERVATION_NDIM: list[tuple[tuple[type[nn.Module], ...], int]] = [
    ((nn.Embedding,), 0),
    ((nn.Linear, nn.Bilinear, *_RECURRENT), 1),
    ((nn.Conv1d, nn.ConvTranspose1d), 2),
    ((nn.Conv2d, nn.ConvTranspose2d), 3),
    ((nn.Conv3d, nn.ConvTranspose3d), 4),
]


@dataclass(frozen=True)
class Interface:
    """What a policy takes and returns.

    Attributes:
        recurrence: "none" is `y = f(x)` with `x (B, *obs)`; "sequence" is `y = f(x)` with `x (T, B, *obs)`, consumed
            by the module itself, and `y (B, ...)`; "step" is `y, h = f(x, h)` with `x (B, *obs)` and `h=None` at the
            first step.
        observation_ndim: dimensions of one observation: 1 for a vector, 3 for an image with channels.
    """

    recurrence: Recurrence
    observation_ndim: int

    @property
    def states_ndim(self) -> int:
        """Dimensions of an archive that all individuals share: `(B, *obs)`, or `(T, B, *obs)` with recurrence."""
        return self.observation_ndim + (1 if self.recurrence == "none" else 2)

    @property
    def input_ndim(self) -> int:
        """Dimensions of what one call of the policy takes: `(B, *obs)`, or `(T, B, *obs)` for whole sequences."""
        return self.observation_ndim + (2 if self.recurrence == "sequence" else 1)


def interface_of(module: nn.Module, *, recurrence: str | None = None, observation_ndim: int | None = None) -> Interface:
    """Return how a policy is called; what is not given is read from the module.

    A forward of two arguments, the second without default or None by default, is a step. With one argument a policy
    that holds recurrent layers or cells takes sequences, any other takes single observations. The dimensions of an
    observation are those the first layer with parameters takes.

    Args:
        module: the policy.
        recurrence: "none", "sequence" or "step".
        observation_ndim: dimensions of one observation, without batch and time.

    Raises:
        ValueError: an argument is out of range, or the module does not tell; the message names the argument to give.

    >>> interface_of(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4, 2)))
    Interface(recurrence='none', observation_ndim=3)
    """
    known = _recurrence(module) if recurrence is None else checks.choice(OWNER, "recurrence", recurrence, RECURRENCES)
    if observation_ndim is None:
        return Interface(known, _observation_ndim(module))
    return Interface(known, checks.integer(OWNER, "observation_ndim", observation_ndim, at_least=0))


OWNER = "BatchedPolicy"


def _recurrence(module: nn.Module) -> Recurrence:
    arguments = list(inspect.signature(module.forward).parameters.values())
    if isinstance(module, _RECURRENT) or not _takes_one_or_two(arguments):
        raise ValueError(
            f"{OWNER}: {type(module).__name__} does not tell how it is called: expected a forward(x), or a "
            f"forward(x, h) that returns (y, h), got forward{inspect.signature(module.forward)}. Wrap it in a module "
            "with such a forward, or give recurrence='none', 'sequence' or 'step'."
        )
    if len(arguments) > 1 and arguments[1].default in (None, inspect.Parameter.empty) and _positional(arguments[1]):
        return "step"
    layers = [layer for layer in module.modules() if isinstance(layer, _RECURRENT)]
    if any(isinstance(layer, nn.RNNBase) and layer.batch_first for layer in layers):
        raise ValueError(
            f"{OWNER}: {type(module).__name__} holds a recurrent layer with batch_first=True, but sequences come time "
            "first, (T, B, ...). Give recurrence='sequence' if its forward takes them so and turns them itself."
        )
    return "sequence" if layers else "none"


def _takes_one_or_two(arguments: list[inspect.Parameter]) -> bool:
    required = [argument for argument in arguments if argument.default is inspect.Parameter.empty]
    return bool(arguments) and all(map(_positional, required)) and _positional(arguments[0]) and len(required) <= 2


def _positional(argument: inspect.Parameter) -> bool:
    return argument.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _observation_ndim(module: nn.Module) -> int:
    for layer in module.modules():
        ndim = next((ndim for kinds, ndim in _OBSERVATION_NDIM if isinstance(layer, kinds)), None)
        if ndim is not None:
            return ndim
        if _hides_the_input(layer):
            break
    raise ValueError(
        f"{OWNER}: {type(module).__name__} does not tell what an observation looks like. Give observation_ndim: the "
        "dimensions of one observation without batch and time, 1 for a vector, 3 for an image with channels."
    )


def _hides_the_input(layer: nn.Module) -> bool:
    """Whether what comes after this layer says nothing about the dimensions before it."""
    reshapes: tuple[type[Any], ...] = (nn.Flatten, nn.Unflatten, nn.MultiheadAttention)
    leaf_with_parameters = not any(True for _ in layer.children()) and any(True for _ in layer.parameters())
    return isinstance(layer, reshapes) or leaf_with_parameters
