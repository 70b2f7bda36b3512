"""What `ReservoirModule` refuses of a Trainer, and of a reservoir."""

from torch import nn

from lightning_neuro._lightning import MisconfigurationException, Trainer

HALF = ("16-true", "bf16-true")
SHARDING_STRATEGIES = ("FSDPStrategy", "ModelParallelStrategy", "DeepSpeedStrategy", "XLAFSDPStrategy")


def check_precision(owner: str, trainer: Trainer) -> None:
    """Refuse a reservoir in 16 bits.

    Raises:
        MisconfigurationException: what it is, and what to use instead.
    """
    if str(trainer.precision) in HALF:
        raise MisconfigurationException(
            f"{owner}: precision {trainer.precision!r} keeps the reservoir's weights in 16 bits, and its states forget "
            "what they should remember. Use precision='32-true', '64-true', '16-mixed' or 'bf16-mixed': with the mixed "
            "ones the reservoir, and ridge regression, keep their own precision."
        )


def check_ridge_trainer(owner: str, trainer: Trainer, penalties: int) -> None:
    """Refuse to shard a readout that is written as a whole, and to choose without validation.

    Raises:
        MisconfigurationException: what it is, and what to do instead.
    """
    if {each.__name__ for each in type(trainer.strategy).__mro__} & set(SHARDING_STRATEGIES):
        raise MisconfigurationException(
            f"{owner}: {type(trainer.strategy).__name__} shards weights, and ridge regression writes them as a whole. "
            "Use DDP, which adds the sums of all processes up, or a single device."
        )
    if penalties > 1 and not trainer.enable_validation:
        raise MisconfigurationException(
            f"{owner}: {penalties} values of ridge are compared on validation data, and there is none. Give fit a "
            "validation loader, or one value."
        )


def check_untrained(owner: str, reservoir: nn.Module) -> None:
    """Refuse to leave weights untrained that were made to be trained.

    Raises:
        ValueError: the reservoir has parameters.
    """
    names = [name for name, _ in reservoir.named_parameters()]
    if names:
        raise ValueError(
            f"{owner}: ridge regression trains the readout only, got a reservoir with trainable {', '.join(names)}. "
            "Use readout='sgd', or a reservoir with trainable=False."
        )
