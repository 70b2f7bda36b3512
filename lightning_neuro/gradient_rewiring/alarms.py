"""What a user should hear of, because it goes wrong without an error."""

from collections.abc import Iterable, Mapping

from torch import Tensor

from lightning_neuro.gradient_rewiring.statistics import dead_units

ALMOST_ALL = 0.9
SHORT_RAMP = 20


def nearly_gone(weights: Mapping[str, Tensor]) -> dict[str, str]:
    """Return by name what is left of a layer if nine tenths of its outputs, or more, have no connection.

    >>> import torch
    >>> nearly_gone({"kept": torch.ones(4, 2), "gone": torch.zeros(4, 2)})["gone"]
    "hardly anything is left of 'gone': 4 of its 4 outputs have no connection. Prune more slowly (ramp_steps, more \
epochs), raise the learning rate, lower sparsity, or give this layer a target of its own, as in \
sparsity={'gone': 0.5, '*': 0.9}."
    """
    told = {}
    for name, weight in weights.items():
        empty = dead_units(weight)[0]
        if empty >= ALMOST_ALL * len(weight):
            told[name] = (
                f"hardly anything is left of {name!r}: {empty} of its {len(weight)} outputs have no connection. Prune "
                "more slowly (ramp_steps, more epochs), raise the learning rate, lower sparsity, or give this layer a "
                f"target of its own, as in sparsity={{{name!r}: 0.5, '*': 0.9}}."
            )
    return told


def without_gradient(names: Iterable[str]) -> str:
    """Return what to say of weights that no gradient has reached; empty for none.

    >>> without_gradient(["spare.weight"])[:51]
    "no gradient has reached 'spare.weight' so far, so i"
    """
    which = ", ".join(map(repr, sorted(names)))
    return which and (
        f"no gradient has reached {which} so far, so it stays dense and counts for no target, while it does count in "
        f"the connectivity shown. Use it in the loss, or pass exclude={sorted(names)!r}."
    )


def short_ramp(steps: int) -> str:
    """Return what to say of a ramp that follows from the length of the training; empty if it is long enough.

    >>> short_ramp(1000), short_ramp(11)[:51]
    ('', 'the sparsity is to be reached within 11 optimizer s')
    """
    if steps >= SHORT_RAMP:
        return ""
    return (
        f"the sparsity is to be reached within {steps} optimizer steps, in which weights can hardly adapt. Train "
        "longer, or pass ramp_steps to say that this is meant."
    )
