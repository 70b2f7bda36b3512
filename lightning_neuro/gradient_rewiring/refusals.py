"""What callbacks refuse before anything has changed: strategies, optimizers and checkpoints that do not fit."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn
from torch.optim import LBFGS, Optimizer
from torch.utils.hooks import RemovableHandle

from lightning_neuro._lightning import MisconfigurationException, Trainer
from lightning_neuro.common.selection import named_parameters
from lightning_neuro.gradient_rewiring.admission import NO_LBFGS, check_same_weights

SHARDING_STRATEGIES = ("FSDPStrategy", "ModelParallelStrategy", "DeepSpeedStrategy", "XLAFSDPStrategy")


def check_strategy(owner: str, trainer: Trainer) -> None:
    """Raise if a strategy does not keep parameters whole.

    Raises:
        MisconfigurationException: it does not.
    """
    names = {each.__name__ for each in type(trainer.strategy).__mro__}
    if trainer.strategy.handles_gradient_accumulation or names & set(SHARDING_STRATEGIES):
        raise MisconfigurationException(
            f"{owner}: {type(trainer.strategy).__name__} flattens, shards or owns the parameters, and rewiring needs "
            "each weight whole. Use DDP or a single device."
        )


def check_optimizers(owner: str, optimizers: Sequence[Optimizer], managed: Mapping[str, nn.Parameter]) -> None:
    """Raise unless each weight has exactly one optimizer, and one that can be followed.

    Raises:
        MisconfigurationException: it has not.
    """
    shares = [share_of(optimizer, managed) for optimizer in optimizers]
    for optimizer, share in zip(optimizers, shares, strict=True):
        if isinstance(optimizer, LBFGS) and share:
            raise MisconfigurationException(f"{owner}: {NO_LBFGS}")
    for name in managed:
        trainers = sum(name in share for share in shares)
        if trainers != 1:
            raise MisconfigurationException(
                f"{owner}: {name!r} must belong to exactly one optimizer, found {trainers}. Train it with one, or "
                f"pass exclude={name!r}."
            )


def share_of(optimizer: Optimizer, managed: Mapping[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    """Return the managed weights that an optimizer trains."""
    own = {id(p) for group in optimizer.param_groups for p in group["params"]}
    return {name: weight for name, weight in managed.items() if id(weight) in own}


def check_states(owner: str, states: Sequence[Mapping[str, Any]], shares: Sequence[Mapping[str, nn.Parameter]]) -> None:
    """Raise unless saved states, one per optimizer, are of these weights.

    Raises:
        ValueError: they are of others.
    """
    if len(states) != len(shares):
        raise ValueError(
            f"{owner}: the checkpoint has {len(states)} optimizers with managed weights, this module has "
            f"{len(shares)}. Load it into the module that wrote it."
        )
    for state, share in zip(states, shares, strict=True):
        check_same_weights(owner, saved_shapes([state]), {name: tuple(weight.shape) for name, weight in share.items()})


def saved_shapes(states: Sequence[Mapping[str, Any]]) -> dict[str, tuple[int, ...]]:
    """Return shapes by name of all tensors in saved states."""
    return {name: tuple(each["theta"].shape) for state in states for name, each in state["tensors"].items()}


def refuse_without_state(owner: str, path: object, described: str) -> None:
    """Raise because a checkpoint has no state of ours.

    Raises:
        MisconfigurationException: always.
    """
    raise MisconfigurationException(
        f"{owner}: {path} holds no state of this callback for {described}. The signs of pruned weights cannot be read "
        "from zeros; pass allow_reinit=True to draw new ones."
    )


def before_loading(trainer: Trainer, module: nn.Module, check: Callable[[Mapping[str, Any]], None]) -> RemovableHandle:
    """Have the callbacks' saved states looked at when a module is about to load a checkpoint.

    Lightning hands a checkpoint to callbacks only after the weights, so it is read twice. This is the earliest moment
    at which its path is known and all layers are there.

    Args:
        trainer: whose checkpoint.
        module: the LightningModule.
        check: gets the states by key, and raises.
    """

    def look(loading: nn.Module, *_: Any) -> None:
        if loading is not module or trainer.ckpt_path is None:
            return
        try:
            checkpoint: dict[str, Any] = trainer.strategy.load_checkpoint(trainer.ckpt_path)
        except Exception:  # unreadable so early; what is wrong is found later on
            return
        check(checkpoint.get("callbacks") or {})

    return module.register_load_state_dict_pre_hook(look)


def check_weights(owner: str, module: nn.Module, state: Mapping[str, Any]) -> None:
    """Raise unless a module has the weights that a saved state is of.

    Raises:
        ValueError: it has not.
    """
    saved = saved_shapes(state["projections"])
    shapes = {name: tuple(parameter.shape) for name, _, parameter in named_parameters(module)}
    check_same_weights(owner, saved, {name: shapes[name] for name in saved if name in shapes})
