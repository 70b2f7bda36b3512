"""From reservoirpy's nodes to the arguments of a `TorchReservoir`, and back."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, cast

import numpy as np
from reservoirpy import activationsfunc
from reservoirpy.nodes import IPReservoir, Reservoir
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.reservoir.node import SelfOrganizingReservoir
from lightning_neuro.reservoir.rollout import ACTIVATIONS


def arguments_of(owner: str, node: Any, input_dim: int | None) -> dict[str, Any]:
    """Return what a `TorchReservoir` needs to compute the same as a node, which is left as it is.

    Args:
        owner: opens messages.
        node: `Reservoir`, `IPReservoir`, or one of ours that organises itself.
        input_dim: K, where the node has not been initialised.

    Raises:
        TypeError: not such a node.
        ValueError: not initialised and no `input_dim`, or an activation that is not known here.

    >>> arguments_of("from_node", Reservoir(3, lr=0.5, seed=0), 1)["leak"]
    0.5
    """
    if any(not hasattr(node, name) for name in ("W", "Win", "bias", "lr", "activation")):
        raise TypeError(
            f"{owner}: expected a reservoir with W, Win, bias, lr and activation, got {type(node).__name__}."
        )
    if not node.initialized:
        width = node.input_dim if input_dim is None else input_dim
        if width is None:
            raise ValueError(f"{owner}: the node has drawn no weights yet. Give input_dim, or run it.")
        node = deepcopy(node)
        node.initialize(np.zeros((1, width)))
    name = getattr(node.activation, "__name__", repr(node.activation))
    external = isinstance(node, IPReservoir) or getattr(node, "equation", "internal") == "external"
    return {
        "W": node.W,
        "Win": node.Win,
        "bias": node.bias,
        "leak": node.lr,
        "gain": getattr(node, "a", 1.0),
        "shift": getattr(node, "b", 0.0),
        "activation": checks.choice(owner, "activation", name, ACTIVATIONS),
        "equation": "external" if external else "internal",
    }


def node_of(weights: Mapping[str, Tensor], activation: str, equation: str) -> Any:
    """Return a reservoirpy node that computes the same: a `Reservoir`; with gains, a `SelfOrganizingReservoir`.

    Args:
        weights: "W" `(N, N)`, "Win" `(N, K)`, and "bias", "leak", "gain", "shift" `(N,)`.
        activation: a name that reservoirpy knows.
        equation: "internal" or "external".
    """
    arrays = {name: weight.detach().cpu().double().numpy().copy() for name, weight in weights.items()}
    leak, (units, width) = arrays["leak"], arrays["Win"].shape
    options: dict[str, Any] = {
        "units": units,
        "W": arrays["W"],
        "Win": arrays["Win"],
        "bias": arrays["bias"],
        "lr": float(leak[0]) if (leak == leak[0]).all() else leak,
        "activation": getattr(activationsfunc, activation),
        "input_dim": width,
    }
    plain = (arrays["gain"] == 1).all() and (arrays["shift"] == 0).all() and equation == "internal"
    node: Any = Reservoir(**options) if plain else SelfOrganizingReservoir(equation=cast("Any", equation), **options)
    node.initialize(np.zeros((1, width)))
    if not plain:
        node.a, node.b = arrays["gain"], arrays["shift"]
    return node
