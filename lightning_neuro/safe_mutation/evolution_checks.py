"""What `SafeMutation` refuses of a Trainer, and of a checkpoint."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.utils.data import DistributedSampler

from lightning_neuro._lightning import LightningModule, MisconfigurationException

SHARDING_STRATEGIES = ("FSDPStrategy", "ModelParallelStrategy", "DeepSpeedStrategy", "XLAFSDPStrategy")


def check_trainer(owner: str, module: LightningModule, dtype: torch.dtype) -> None:
    """Refuse strategies and precisions with which evolution would go wrong.

    Args:
        owner: opens messages.
        module: attached to a Trainer.
        dtype: of the genomes.

    Raises:
        MisconfigurationException: what it is, and what to use instead.
    """
    trainer = module.trainer
    if {each.__name__ for each in type(trainer.strategy).__mro__} & set(SHARDING_STRATEGIES):
        raise MisconfigurationException(
            f"{owner}: {type(trainer.strategy).__name__} shards the policy's weights, and a genome is whole. Use DDP, "
            "which deals out the individuals, or a single device."
        )
    if getattr(trainer.precision_plugin, "scaler", None) is not None:
        raise MisconfigurationException(
            f"{owner}: 16-mixed precision scales gradients, and evolution has none. Use precision='32-true', or "
            "'bf16-mixed' to evaluate individuals in bfloat16."
        )
    if dtype in (torch.float16, torch.bfloat16):
        raise MisconfigurationException(
            f"{owner}: precision {trainer.precision!r} keeps genomes in {dtype}, which rounds small mutations away. "
            "Use precision='32-true', or 'bf16-mixed', which keeps genomes in float32."
        )


def check_loader(owner: str, module: LightningModule) -> None:
    """Refuse data that is dealt out to processes.

    Raises:
        MisconfigurationException: individuals of one generation would see different data.
    """
    if isinstance(getattr(module.trainer.train_dataloader, "sampler", None), DistributedSampler):
        raise MisconfigurationException(
            f"{owner}: the individuals of a generation are dealt out to the processes and have to see the same batch, "
            "but the training data is dealt out as well. Use Trainer(use_distributed_sampler=False) and a plain "
            "sampler."
        )


def check_stored(owner: str, stored: Mapping[str, Any], members: int, size: int) -> None:
    """Refuse the population of a checkpoint that does not fit.

    Args:
        owner: opens messages.
        stored: what the checkpoint holds.
        members: of the population, as the module was told.
        size: of the policy's genome.

    Raises:
        ValueError: what differs, and how to make it equal.
    """
    found = tuple(stored["population"].shape)
    if found[0] != members:
        raise ValueError(
            f"{owner}: the checkpoint holds a population of {found[0]}, and population_size is {members}. "
            f"Pass population_size={found[0]} to go on with it."
        )
    if found[1] != size:
        raise ValueError(
            f"{owner}: the checkpoint holds genomes of {found[1]} weights, and the policy has {size} that are trained. "
            "Pass the policy it was written with, with the same weights frozen."
        )
