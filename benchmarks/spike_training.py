"""Trains nets of `lightning_neuro.st_rsbp` on spike trains that are in memory, an epoch at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Adam

from lightning_neuro.st_rsbp import CountLoss, GradientRule, SpikingNetwork
from lightning_neuro.st_rsbp.rule import Kind


@dataclass(frozen=True)
class Recipe:
    """How a net is trained.

    Args:
        epochs: passes over the training samples.
        learning_rate: of Adam in the first epoch; divided by the root of the epoch, counted from 1.
        desired_count: spikes wanted of the target's neuron.
        undesired_count: spikes wanted of the others.
        margin: errors up to this many spikes cost nothing.
        kind: rule of the gradient.
        batch_size: samples per step.
    """

    epochs: int = 30
    learning_rate: float = 5e-3
    desired_count: float = 15
    undesired_count: float = 2
    margin: float = 2
    kind: Kind = "adjoint"
    batch_size: int = 20


def training(
    net: SpikingNetwork, draw: Callable[[int], Tensor], labels: Tensor, recipe: Recipe, seed: int
) -> Iterator[int]:
    """Train a net; gives each epoch's number, from 1, when it is over.

    Args:
        net: what is trained.
        draw: the training samples' spikes `(T, N, M)` in an epoch.
        labels: their classes `(N,)`.
        recipe: how.
        seed: of the order of the samples.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = Adam(net.parameters(), lr=recipe.learning_rate)
    loss = CountLoss(recipe.desired_count, recipe.undesired_count, recipe.margin)
    rule = GradientRule(kind=recipe.kind)
    for epoch in range(1, recipe.epochs + 1):
        optimizer.param_groups[0]["lr"] = recipe.learning_rate / epoch**0.5
        spikes = draw(epoch)
        net.train()
        for batch in torch.randperm(len(labels), generator=generator).split(recipe.batch_size):
            optimizer.zero_grad()
            net(spikes[:, batch])
            net.backward(labels[batch], loss=loss, rule=rule)
            optimizer.step()
        yield epoch


def predictions(net: SpikingNetwork, spikes: Tensor) -> Tensor:
    """Return the classes `(N,)` of spikes `(T, N, M)`."""
    return net.eval()(spikes).argmax(1)
