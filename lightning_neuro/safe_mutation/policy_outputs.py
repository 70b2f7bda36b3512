"""What a policy may return."""

from typing import Any

from torch import Tensor, nn

from lightning_neuro.safe_mutation.interface import Interface


def check_result(policy: nn.Module, interface: Interface, result: Any, observations: Tensor) -> None:
    """Raise where a policy returns something else than its interface says.

    Args:
        policy: who is named.
        interface: how it is called.
        result: what it returned.
        observations: what it was given, `(B, *obs)`, whole sequences `(T, B, *obs)`.

    Raises:
        TypeError: not one tensor, or not a pair of output and state from a "step" policy.
        ValueError: the first dimension of the output is not `B`.
    """
    name = type(policy).__name__
    step = interface.recurrence == "step"
    if step and not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(
            f"BatchedPolicy: {name} is called as (y, h) = f(x, h), but returned {_kind(result)}. Return output and "
            "state, or give recurrence='none' or 'sequence'."
        )
    output = result[0] if step else result
    if not isinstance(output, Tensor):
        raise TypeError(
            f"BatchedPolicy: {name} must return one tensor of outputs, got {_kind(output)}. Wrap it in a module that "
            "returns the output alone, or (y, h) = f(x, h) if it carries a state."
        )
    batch = observations.shape[1 if interface.recurrence == "sequence" else 0]
    if output.ndim == 0 or output.shape[0] != batch:
        raise ValueError(
            f"BatchedPolicy: {name} must return outputs (B, ...) with B={batch} for observations "
            f"{tuple(observations.shape)}, got {tuple(output.shape)}. Whole sequences come as (T, B, ...), and their "
            "output is that of the last step."
        )


def flat_rows(outputs: Tensor) -> Tensor:
    """Return outputs `(B, ...)` as `(B, K)`, also where `B` is 0 or nothing follows it.

    >>> import torch
    >>> flat_rows(torch.zeros(4, 2, 3)).shape, flat_rows(torch.zeros(4)).shape
    (torch.Size([4, 6]), torch.Size([4, 1]))
    """
    return outputs.flatten(1) if outputs.ndim > 1 else outputs.unsqueeze(1)


def _kind(result: Any) -> str:
    if isinstance(result, tuple | list):
        return f"{type(result).__name__} of {', '.join(type(part).__name__ for part in result)}"
    return type(result).__name__
