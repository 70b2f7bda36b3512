"""Learning rates that fall from epoch to epoch, and schedulers under manual optimisation."""

from lightning_neuro._lightning import LightningModule


def inverse_root(epoch: int) -> float:
    """Return the factor of the learning rate in an epoch, counted from 0.

    >>> inverse_root(3)
    0.5
    """
    return (epoch + 1) ** -0.5


def step_schedulers(module: LightningModule, interval: str, count: int) -> None:
    """Step the schedulers of an interval whose frequency divides `count`, as Lightning does in automatic mode."""
    for config in module.trainer.lr_scheduler_configs:
        if config.interval == interval and count % config.frequency == 0:
            module.lr_scheduler_step(config.scheduler, None)
