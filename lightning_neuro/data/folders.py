"""Where data sets are looked for: the caller's folder, else the environment's, else `./data`."""

import os
from pathlib import Path

ENVIRONMENT_VARIABLE = "LIGHTNING_NEURO_DATA"


def data_root(root: str | os.PathLike[str] | None = None) -> Path:
    """Folder that holds the data sets.

    Args:
        root: the caller's choice; None asks `$LIGHTNING_NEURO_DATA`, then falls back to `./data`.

    >>> data_root("elsewhere").name
    'elsewhere'
    """
    chosen = root if root is not None else os.environ.get(ENVIRONMENT_VARIABLE) or "data"
    return Path(chosen).expanduser()
