"""What every operator asks of a population of genomes."""

from torch import Tensor

from lightning_neuro.safe_mutation.population import BatchedPolicy


def check_population(owner: str, policy: BatchedPolicy, params: Tensor) -> None:
    """Refuse what is not a population `(P, d)` of finite genomes of this policy.

    Raises:
        TypeError: not a floating tensor.
        ValueError: wrong shape, no parents, or NaN or infinity in a genome.
    """
    check_genomes(owner, "params", params)
    if params.shape[1] != policy.size:
        raise ValueError(
            f"{owner}: params must be (P, {policy.size}), one row for the {policy.size} trainable weights of "
            f"{type(policy.module).__name__}, got shape {tuple(params.shape)}."
        )
    # A finite sum is quick proof; one that is not may also have overflown.
    if not bool(params.sum().isfinite()) and not bool(params.isfinite().all()):
        broken = int((~params.isfinite().all(1)).nonzero()[0])
        raise ValueError(
            f"{owner}: params must be finite, got NaN or infinity in parent {broken}. Do not select broken individuals."
        )


def check_genomes(owner: str, name: str, genomes: Tensor, like: Tensor | None = None) -> None:
    """Refuse what is not a floating tensor `(P, d)`, or not of the shape of another.

    Raises:
        TypeError: not a floating tensor.
        ValueError: wrong shape.

    >>> import torch
    >>> check_genomes("scaled", "params", torch.zeros(3))
    Traceback (most recent call last):
    ValueError: scaled: params must be (P, d) with at least one row, got shape (3,).
    """
    if not isinstance(genomes, Tensor) or not genomes.is_floating_point():
        got = genomes.dtype if isinstance(genomes, Tensor) else type(genomes).__name__
        raise TypeError(f"{owner}: {name} must be a floating point tensor (P, d), got {got}.")
    if genomes.ndim != 2 or len(genomes) == 0:
        raise ValueError(f"{owner}: {name} must be (P, d) with at least one row, got shape {tuple(genomes.shape)}.")
    if like is not None and genomes.shape != like.shape:
        raise ValueError(
            f"{owner}: {name} must have the shape of params, {tuple(like.shape)}, got {tuple(genomes.shape)}."
        )
