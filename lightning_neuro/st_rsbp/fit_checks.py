"""What `STRSBP` refuses of a Trainer and of optimizers, before anything is trained."""

from torch.optim import LBFGS
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lightning_neuro._lightning import LightningModule, MisconfigurationException, Trainer

SHARDING_STRATEGIES = ("FSDPStrategy", "ModelParallelStrategy", "DeepSpeedStrategy", "XLAFSDPStrategy")


def check_options(owner: str, trainer: Trainer) -> None:
    """Refuse options of the Trainer that do not reach manual optimisation, but have a namesake in the module.

    Raises:
        MisconfigurationException: which one, and where it belongs.
    """
    if trainer.state.fn != "fit":
        return
    given = {"gradient_clip_val": trainer.gradient_clip_val, "accumulate_grad_batches": trainer.accumulate_grad_batches}
    for name, value in given.items():
        if value not in (None, 0, 1) or (name == "gradient_clip_val" and value):
            raise MisconfigurationException(
                f"{owner}: Trainer({name}={value}) does not reach a module that optimises by itself. Take it from the "
                f"Trainer and pass {name}={value} to {owner}."
            )


def check_fit(owner: str, module: LightningModule) -> None:
    """Refuse strategies, precisions, optimizers and schedulers with which training would go wrong.

    Raises:
        MisconfigurationException: what it is, and what to use instead.
    """
    trainer = module.trainer
    _check_strategy(owner, trainer)
    if getattr(trainer.precision_plugin, "scaler", None) is not None:
        raise MisconfigurationException(
            f"{owner}: 16-mixed precision would divide gradients by a scale that they never had, since no autograd "
            "backward makes them. Use precision='32-true' or 'bf16-mixed', which leaves spike trains and gradients "
            "in the type of the weights."
        )
    if len(trainer.optimizers) != 1:
        raise MisconfigurationException(
            f"{owner}: configure_optimizers must return one optimizer, got {len(trainer.optimizers)}: there is one "
            "gradient to step with. Give layers learning rates of their own with parameter groups."
        )
    own = {id(parameter) for parameter in module.parameters()}
    if not any(id(each) in own for group in trainer.optimizers[0].param_groups for each in group["params"]):
        raise MisconfigurationException(
            f"{owner}: configure_optimizers must return an optimizer of the network's weights, got none, or one that "
            "holds none of them. Return for instance torch.optim.Adam(self.network.parameters())."
        )
    if isinstance(trainer.optimizers[0], LBFGS):
        raise MisconfigurationException(
            f"{owner}: LBFGS is not supported: its line search needs a loss that changes smoothly with the weights, "
            "and spike counts jump. Use SGD or Adam."
        )
    _check_schedulers(owner, module)


def _check_strategy(owner: str, trainer: Trainer) -> None:
    names = {each.__name__ for each in type(trainer.strategy).__mro__}
    if trainer.strategy.handles_gradient_accumulation or names & set(SHARDING_STRATEGIES):
        raise MisconfigurationException(
            f"{owner}: {type(trainer.strategy).__name__} shards or owns the parameters, and gradients are written to "
            "each weight whole. Use DDP or a single device."
        )


def _check_schedulers(owner: str, module: LightningModule) -> None:
    overridden = type(module).lr_scheduler_step is not LightningModule.lr_scheduler_step
    for config in module.trainer.lr_scheduler_configs:
        if isinstance(config.scheduler, ReduceLROnPlateau) and not overridden:
            raise MisconfigurationException(
                f"{owner}: ReduceLROnPlateau needs a metric, and Lightning drops 'monitor' in manual optimisation. "
                "Override lr_scheduler_step and take the metric from self.trainer.callback_metrics, or use another "
                "scheduler."
            )
