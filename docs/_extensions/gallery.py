"""How the examples are run for the gallery: in which order, with which arguments, and quietly."""

import logging
import warnings
from pathlib import Path
from typing import Any

ORDER = (
    "gradient_activation",
    "gradient_rewiring",
    "st_rsbp",
    "safe_mutation",
    "spectral_rnn",
    "reservoir",
    "gaf_with_st_rsbp",
    "grad_r_with_st_rsbp",
    "gaf_with_grad_r",
    "spectral_start_then_rewiring",
    "evolved_readout",
)
ARGUMENTS = {"safe_mutation": ["--generations", "12"]}


class Order:
    """Sort key of examples: methods first, then what combines them, then the rest by name."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, filename: str) -> tuple[int, str]:
        """Return where this file belongs."""
        stem = Path(filename).stem
        return (ORDER.index(stem) if stem in ORDER else len(ORDER), stem)


def arguments(gallery_conf: dict[str, Any], script_vars: dict[str, Any]) -> list[str]:
    """Return the command line of an example; a short one where the default takes long."""
    return ARGUMENTS.get(Path(script_vars["src_file"]).stem, [])


def quiet(gallery_conf: dict[str, Any], filename: str) -> None:
    """Leave out Lightning's messages about devices and workers, which say nothing about the example."""
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric", "lightning.fabric"):
        for logger in (name, f"{name}.utilities.rank_zero", f"{name}.utilities.seed"):
            logging.getLogger(logger).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")
