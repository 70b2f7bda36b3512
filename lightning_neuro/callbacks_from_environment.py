"""Callbacks that every `Trainer` gets because the environment asks for them; none unless it does.

    LIGHTNING_NEURO_CALLBACKS=gaf,state-reset python train.py

Lightning calls `callbacks` at each `Trainer`, through an entry point, wherever this package is installed. So nothing is
imported before the variable is known to be set.
"""

import importlib
import os
from typing import Any

ENVIRONMENT_VARIABLE = "LIGHTNING_NEURO_CALLBACKS"
CALLBACKS = {
    "gaf": ("lightning_neuro.gradient_activation", "GradientActivation"),
    "rewiring": ("lightning_neuro.gradient_rewiring", "GradientRewiring"),
    "state-reset": ("lightning_neuro.spiking", "SpikingStateReset"),
}


def callbacks() -> list[Any]:
    """Return the callbacks named in `$LIGHTNING_NEURO_CALLBACKS`, separated by commas, with their defaults.

    Raises:
        ValueError: a name is not known.

    >>> callbacks()
    []
    """
    names = [name.strip() for name in os.environ.get(ENVIRONMENT_VARIABLE, "").split(",") if name.strip()]
    unknown = [name for name in names if name not in CALLBACKS]
    if unknown:
        raise ValueError(
            f"lightning_neuro: {ENVIRONMENT_VARIABLE} must name some of {', '.join(CALLBACKS)}, got {unknown[0]!r}. "
            "Correct it, or unset it to train as without this package."
        )
    return [_made(*CALLBACKS[name]) for name in names]


def _made(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)()
