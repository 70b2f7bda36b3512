"""Which weights may be managed at all, and numbers given for all of them or by name."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.optim import LBFGS, Optimizer

PerTensor: TypeAlias = float | Mapping[str, float]
NO_LBFGS = "LBFGS is not supported: its line search needs weights that stay. Use SGD or Adam."


def per_tensor(owner: str, name: str, value: PerTensor, names: Iterable[str]) -> dict[str, float]:
    """Spread one number over all tensors, or check that a mapping names each of them.

    Raises:
        ValueError: the mapping lacks a tensor or has one too many.

    >>> per_tensor("Rewiring", "alpha", 0.5, ["a", "b"])
    {'a': 0.5, 'b': 0.5}
    """
    names = list(names)
    if not isinstance(value, Mapping):
        return dict.fromkeys(names, value)
    if set(value) != set(names):
        raise ValueError(f"{owner}: {name} must give a number for each of {names}, got numbers for {list(value)}.")
    return dict(value)


def checked_weights(owner: str, optimizer: Optimizer, pairs: list[tuple[str, nn.Parameter]]) -> dict[str, nn.Parameter]:
    """Return weights by name, or raise before anything has changed.

    Raises:
        TypeError: the optimizer is not one or is `LBFGS`; a weight is no dense, whole, real parameter.
        ValueError: there is none, one comes twice, is not the optimizer's, or holds NaN.
    """
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{owner}: optimizer must be a torch.optim.Optimizer, got {type(optimizer).__name__}.")
    if isinstance(optimizer, LBFGS):
        raise TypeError(f"{owner}: {NO_LBFGS}")
    if not pairs:
        raise ValueError(f"{owner}: there is no weight to manage. Pass pairs of a name and a weight.")
    trained = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    weights: dict[str, nn.Parameter] = {}
    for name, weight in pairs:
        _check_weight(owner, name, weight)
        same = next((other for other, known in weights.items() if known is weight), name if name in weights else None)
        if same is not None:
            raise ValueError(f"{owner}: {name!r} is tied to {same!r}: one weight cannot be managed twice.")
        if id(weight) not in trained:
            raise ValueError(f"{owner}: {name!r} is not among the parameters of {type(optimizer).__name__}.")
        if "lr" not in trained[id(weight)]:
            raise ValueError(f"{owner}: {type(optimizer).__name__} has no learning rate 'lr', which the prior needs.")
        weights[name] = weight
    return weights


def check_same_weights(
    owner: str, found: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise if shapes by name differ.

    Raises:
        ValueError: a saved state belongs to other weights.

    >>> check_same_weights("Rewiring", {"w": (2,)}, {"w": (3,)})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: Rewiring: the state belongs to another model ... (of another shape: 'w' (2,) instead of (3,)). Load ...
    """
    parts = {
        "missing": [f"{n!r} {shape}" for n, shape in expected.items() if n not in found],
        "not in this model": [f"{n!r} {shape}" for n, shape in found.items() if n not in expected],
        "of another shape": [
            f"{n!r} {shape} instead of {expected[n]}" for n, shape in found.items() if expected.get(n, shape) != shape
        ],
    }
    told = "; ".join(f"{what}: {', '.join(which)}" for what, which in parts.items() if which)
    if told:
        raise ValueError(
            f"{owner}: the state belongs to another model or selection of weights ({told}). "
            "Load the checkpoint into the model that wrote it."
        )


def _check_weight(owner: str, name: str, weight: Any) -> None:
    if not isinstance(weight, nn.Parameter):
        raise TypeError(f"{owner}: {name!r} must be a parameter, got {type(weight).__name__}.")
    if hasattr(weight, "device_mesh") or type(weight).__name__ == "FlatParameter" or not weight.numel():
        raise TypeError(
            f"{owner}: {name!r} is sharded, flattened or empty here, so signs and counts of the whole weight are out "
            "of reach. Use a strategy that keeps whole parameters, such as DDP."
        )
    if not weight.is_floating_point() or weight.layout != torch.strided:
        raise TypeError(f"{owner}: {name!r} must be real and dense, got {weight.dtype}, {weight.layout}.")
    if not bool(weight.isfinite().all()):
        raise ValueError(f"{owner}: {name!r} holds NaN or infinity. Initialise it before it is managed.")
