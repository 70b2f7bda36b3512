"""The one place that imports Lightning, under whichever of its two names the user works with.

`pytorch_lightning` and `lightning.pytorch` are two copies of the same code: a `LightningModule` of one is refused by
the `Trainer` of the other. So this package joins the copy that is in use:

1. `LIGHTNING_NEURO_IMPORT_ROOT` (`pytorch_lightning` or `lightning.pytorch`), if set;
2. `lightning.pytorch`, if it has been imported already and `pytorch_lightning` has not;
3. `pytorch_lightning`.
"""

import os
import sys
from typing import TYPE_CHECKING

ENVIRONMENT_VARIABLE = "LIGHTNING_NEURO_IMPORT_ROOT"
ROOTS = ("pytorch_lightning", "lightning.pytorch")


def choose_root() -> str:
    """Name of the Lightning package to build on.

    Raises:
        ValueError: the environment variable names something else than the two roots.
    """
    wanted = os.environ.get(ENVIRONMENT_VARIABLE)
    if wanted:
        if wanted not in ROOTS:
            raise ValueError(
                f"lightning_neuro: {ENVIRONMENT_VARIABLE} must be one of {', '.join(ROOTS)}, got {wanted!r}. "
                "Correct it, or unset it to let lightning_neuro join the one in use."
            )
        return wanted
    in_use = [root for root in ROOTS if root in sys.modules]
    return in_use[0] if in_use else ROOTS[0]


ROOT = choose_root()

if TYPE_CHECKING or ROOT == "pytorch_lightning":
    from pytorch_lightning import Callback, LightningDataModule, LightningModule, Trainer, seed_everything
    from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn
    from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]
else:
    from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer, seed_everything
    from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
    from lightning.pytorch.utilities.exceptions import MisconfigurationException


def check_same_root(owner: str, trainer: object) -> None:
    """Raise the one error that explains a mix of the two Lightning packages.

    Args:
        owner: class name of ours that was handed to the trainer.
        trainer: the object that calls us; anything but a `Trainer` (a test double, Fabric) is let through.

    Raises:
        TypeError: `trainer` is the `Trainer` of the other package.
    """
    if isinstance(trainer, Trainer):
        return
    module = type(trainer).__module__
    for other in ROOTS:
        if other != ROOT and (module == other or module.startswith(other + ".")):
            raise TypeError(
                f"{owner}: expected a Trainer of {ROOT}, got one of {other}. The two packages do not mix: import "
                f"{other} before lightning_neuro and nothing of {ROOT}, or set {ENVIRONMENT_VARIABLE}={other}."
            )


__all__ = [
    "ENVIRONMENT_VARIABLE",
    "ROOT",
    "ROOTS",
    "Callback",
    "LightningDataModule",
    "LightningModule",
    "MisconfigurationException",
    "Trainer",
    "check_same_root",
    "choose_root",
    "rank_zero_info",
    "rank_zero_warn",
    "seed_everything",
]
