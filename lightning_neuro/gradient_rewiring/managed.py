"""Which weights of a module are rewired, and why the others are not."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lightning_neuro.common.selection import (
    Entry,
    Selector,
    canonical_name,
    name_matches,
    named_parameters,
    select_entries,
)
from lightning_neuro.spiking.discovery import LAYERS, synapse_table
from lightning_neuro.spiking.neurons import NEURONS, named_modules

NORMS = (
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
)
REPARAMETRISED = ("weight_orig", "weight_g")


@dataclass(frozen=True, eq=False)
class Candidate:
    """A parameter and what becomes of it.

    Args:
        name: its plain name.
        parameter: itself.
        reason: why it is not rewired; empty if it is.
    """

    name: str
    parameter: nn.Parameter
    reason: str


def find_managed(
    caller: str, module: nn.Module, select: Selector | None = None, exclude: Selector | None = None
) -> list[Candidate]:
    """Say of every parameter of a module whether it is rewired.

    Weights of linear layers and convolutions are, and synapses inside snnTorch neurons; never biases, norms, leaks,
    thresholds and embeddings.

    Args:
        caller: who asks; opens the error messages.
        module: spiking or not.
        select: narrows the choice; as in `common.selection.select_parameters`.
        exclude: the same, taken away.

    Raises:
        ValueError: nothing is left, a criterion matches nothing, or a chosen weight is tied or parametrised.

    >>> net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    >>> [(c.name, c.reason) for c in find_managed("Example", net, exclude="2")][:3]
    [('0.weight', ''), ('0.bias', 'bias'), ('1.weight', 'normalisation')]
    """
    inside = {id(synapse.tensor) for synapse in synapse_table(module) if synapse.how == "internal"}
    parameters, computed = list(named_parameters(module)), _computed_weights(module)
    chosen = select_entries(caller, [*parameters, *computed], select, exclude)
    candidates = [
        Candidate(
            name, parameter, _reason(owner, name, parameter, inside) or ("" if id(parameter) in chosen else "excluded")
        )
        for name, owner, parameter in parameters
    ]
    for name, _, weight in computed:
        if id(weight) in chosen:
            raise ValueError(
                f"{caller}: {name!r} is computed from other parameters already (parametrize, prune or weight_norm), so "
                f"it cannot be set after a step. Remove that first, or pass exclude={name!r}."
            )
    managed = [candidate for candidate in candidates if not candidate.reason]
    if not managed:
        kinds = ", ".join(f"{c.name!r} ({c.reason})" for c in candidates[:6]) or "no parameters at all"
        raise ValueError(
            f"{caller}: expected a trainable weight of a linear layer, a convolution or a recurrent synapse, found "
            f"none in {type(module).__name__}, which has {kinds}. Look at select and exclude, or add a layer."
        )
    _check_tied(caller, module, managed)
    return candidates


def _reason(owner: nn.Module, name: str, parameter: Tensor, inside: set[int]) -> str:
    """Return why a parameter is not a synapse that can be rewired; empty if it is."""
    leaf = name.rpartition(".")[2]
    if "bias" in leaf:
        return "bias"
    if isinstance(owner, NORMS):
        return "normalisation"
    if isinstance(owner, nn.Embedding | nn.EmbeddingBag):
        return "embedding"
    synapse = id(parameter) in inside or (isinstance(owner, LAYERS) and leaf == "weight")
    if not synapse or parameter.ndim < 2:
        return "neuron parameter" if isinstance(owner, NEURONS) else "no synapse"
    return "" if parameter.requires_grad else "not trained"


@torch.no_grad()
def _computed_weights(module: nn.Module) -> list[Entry]:
    """Return weights of layers that are no parameters but computed from some, under the names they had."""
    return [
        (canonical_name(f"{name}.weight" if name else "weight"), each, each.weight)
        for name, each in named_modules(module)
        if isinstance(each, LAYERS)
        and (parametrize.is_parametrized(each, "weight") or any(hasattr(each, n) for n in REPARAMETRISED))
    ]


def _check_tied(caller: str, module: nn.Module, managed: list[Candidate]) -> None:
    names: dict[int, list[str]] = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(canonical_name(name))
    for candidate in managed:
        same = list(dict.fromkeys(names[id(candidate.parameter)]))
        if len(same) > 1:
            raise ValueError(
                f"{caller}: {' and '.join(map(repr, same))} are one tied weight. Sparse places would differ in meaning "
                f"from use to use; untie it, or pass exclude={candidate.name!r}."
            )


def by_pattern(caller: str, argument: str, values: Mapping[str, float], names: list[str]) -> dict[str, float]:
    """Give each name the value of the first pattern that matches it.

    Raises:
        ValueError: a name matches no pattern, or a pattern no name.

    >>> by_pattern("Example", "sparsity", {"fc1": 0.95, "*": 0.8}, ["fc1.weight", "fc2.weight"])
    {'fc1.weight': 0.95, 'fc2.weight': 0.8}
    """
    for pattern in values:
        if not any(name_matches(name, pattern) for name in names):
            raise ValueError(f"{caller}: {argument} {pattern!r} matches none of the managed weights {names}.")
    found = {}
    for name in names:
        matching = [value for pattern, value in values.items() if name_matches(name, pattern)]
        if not matching:
            raise ValueError(f"{caller}: {argument} says nothing about {name!r}. Name it, exclude it, or add '*'.")
        found[name] = matching[0]
    return found
