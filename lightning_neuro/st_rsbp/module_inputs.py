"""What `STRSBP` is given: a network, an encoder, batches."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from lightning_neuro.st_rsbp.boosting import Boosting
from lightning_neuro.st_rsbp.network import SpikingNetwork
from lightning_neuro.st_rsbp.neuron_layer import NeuronLayer


def as_network(owner: str, given: SpikingNetwork | list[NeuronLayer] | None) -> SpikingNetwork:
    """Return a network, made of a list of layers if need be.

    Raises:
        TypeError, ValueError: it is neither, or there are no layers.
    """
    if isinstance(given, SpikingNetwork):
        return given
    if isinstance(given, list | tuple):
        return SpikingNetwork(*given)
    if given is None:
        raise TypeError(
            f"{owner}: network must be given. A checkpoint holds weights and numbers, not layers: write "
            f"{owner}.load_from_checkpoint(path, network=..., encoder=...) with those of the training."
        )
    raise TypeError(
        f"{owner}: network must be a SpikingNetwork or a list of spiking layers, got {type(given).__name__}. "
        "from_snntorch converts models of snnTorch."
    )


def as_encoder(owner: str, given: nn.Module | None) -> nn.Module | None:
    """Return the encoder.

    Raises:
        TypeError: it is no module.
    """
    if given is not None and not isinstance(given, nn.Module):
        raise TypeError(f"{owner}: encoder must be a module or None, got {type(given).__name__}.")
    return given


def as_boosting(owner: str, given: Boosting | None) -> Boosting | None:
    """Return the weights of samples.

    Raises:
        TypeError: they are something else.
    """
    if given is not None and not isinstance(given, Boosting):
        raise TypeError(
            f"{owner}: boosting must be a Boosting or None, got {given!r} ({type(given).__name__}). Give it the size "
            "of the training set: Boosting(len(training_set))."
        )
    return given


def inputs_of(owner: str, batch: Any) -> tuple[Tensor, Tensor | None]:
    """Return inputs and, if there are any, the samples' indices; targets may be missing.

    >>> import torch
    >>> inputs_of("STRSBP", [torch.ones(1)])
    (tensor([1.]), None)
    """
    if isinstance(batch, Tensor):
        return batch, None
    if isinstance(batch, Sequence) and len(batch) == 1 and isinstance(batch[0], Tensor):
        return batch[0], None
    inputs, _, index = unpack(owner, batch)
    return inputs, index


def unpack(owner: str, batch: Any) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return inputs, targets and the samples' indices, if there are any.

    Raises:
        TypeError: the batch is something else.
    """
    if not isinstance(batch, Sequence) or len(batch) not in (2, 3) or not all(isinstance(b, Tensor) for b in batch):
        told = f"{len(batch)} parts" if isinstance(batch, Sequence) else type(batch).__name__
        raise TypeError(
            f"{owner}: a batch must be tensors (inputs, targets) or (inputs, targets, index), got {told}. Give the "
            "DataLoader a collate_fn that makes them, or override the steps."
        )
    inputs, targets, *rest = batch
    return inputs, targets, rest[0] if rest else None


def boosted_index(owner: str, targets: Tensor, index: Tensor | None) -> Tensor:
    """Return the index of samples that boosting weighs.

    Raises:
        ValueError: there is none, or targets are no classes.
    """
    if index is None or targets.ndim != 1 or index.shape != targets.shape or index.is_floating_point():
        raise ValueError(
            f"{owner}: boosting knows samples by index and class, so a batch must be (inputs, targets, index) with "
            "classes (B,) and integers (B,), the places in the training set. Wrap the data set in Indexed of "
            "lightning_neuro.spiking.encoding, or leave boosting out."
        )
    return index


def classes_of(targets: Tensor, counts: Tensor) -> Tensor | None:
    """Return the classes `(B,)` that targets mean, or None for targets of a user's own loss.

    >>> import torch
    >>> classes_of(torch.tensor([[1.0, 9.0]]), torch.zeros(1, 2)).tolist()
    [1]
    """
    if targets.shape == counts.shape:
        return targets.argmax(1)
    return targets if targets.shape == counts.shape[:1] and not targets.is_floating_point() else None
