"""How much of a population fits into a given memory at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.samples import Samples, as_ordinary

DEFAULT_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Footprint:
    """What differentiating one parent at one sample takes.

    Attributes:
        steps: output rows of one sample: 1, or T where every step of a sequence has outputs.
        outputs: K.
        saved: bytes that autograd keeps for the backward pass.
    """

    steps: int
    outputs: int
    saved: int


@dataclass(frozen=True)
class Cost:
    """Bytes of p parents, b samples and k outputs: `p (parent + k output + b (sample + k sample_output))`."""

    parent: int
    output: int
    sample: int
    sample_output: int = 0

    def of(self, parents: int, samples: int, outputs: int) -> int:
        """Return the bytes of a block."""
        return parents * (self.parent + outputs * self.output + samples * (self.sample + outputs * self.sample_output))


@dataclass(frozen=True)
class Blocks:
    """Sizes of the blocks in which a population is worked through."""

    parents: int
    samples: int
    outputs: int


def footprint(
    owner: str, policy: BatchedPolicy, params: Tensor, samples: Samples, *, gradient: bool = True
) -> Footprint:
    """Try the policy on one parent and one sample.

    After it the policy knows whether it can be vectorised.

    Raises:
        ValueError: a gradient is wanted and the outputs carry none.
    """
    policy.outputs(params[:1], samples.block(slice(0, 1), slice(0, 1)))
    vector = as_ordinary(params[0]).clone().requires_grad_()
    kept: dict[int, int] = {}

    def count(tensor: Tensor) -> None:
        # Nothing is handed back: there is no backward pass, and a graph that holds its own outputs is never freed.
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(count, lambda _: vector):
        # A copy, for the whole archive would be counted with a view of it.
        outputs = policy.single(vector, samples.of_one(0).clone())
    if gradient and not outputs.requires_grad:
        raise ValueError(
            f"{owner}: expected outputs that depend on the parameters, got outputs of {type(policy.module).__name__} "
            "without gradient. Let the policy return what it decides by, for instance logits or probabilities: argmax, "
            "rounding, sampling and detach() hide the parameters."
        )
    kept.pop(vector.untyped_storage().data_ptr(), None)
    return Footprint(len(outputs), outputs.shape[-1], sum(kept.values()))


def blocks(cost: Cost, parents: int, samples: int, outputs: int, max_bytes: int) -> Blocks:
    """Return the largest blocks within `max_bytes`: rather fewer parents than fewer samples, than fewer outputs.

    A block of one parent, one sample and one output is allowed whatever it takes.

    >>> blocks(Cost(parent=0, output=0, sample=10), parents=250, samples=4, outputs=2, max_bytes=100)
    Blocks(parents=2, samples=4, outputs=2)
    """
    if (together := cost.of(1, samples, outputs)) <= max_bytes:
        return Blocks(min(parents, max_bytes // together) if together else parents, samples, outputs)
    rest = max_bytes - cost.of(1, 0, outputs)
    if (each := cost.of(1, 1, outputs) - cost.of(1, 0, outputs)) <= rest:
        return Blocks(1, rest // each, outputs)
    rest = max_bytes - cost.of(1, 1, 0)
    return Blocks(1, 1, max(1, rest // max(cost.of(1, 1, 1) - cost.of(1, 1, 0), 1)))


def slices(count: int, size: int) -> Iterator[slice]:
    """Yield slices of at most `size` that cover `count`.

    >>> list(slices(5, 3))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    return (slice(first, min(first + size, count)) for first in range(0, count, size))
