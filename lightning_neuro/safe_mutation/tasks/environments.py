"""Tasks as gymnasium environments, where gymnasium is installed."""

import importlib.util

ENVIRONMENTS = {
    "lightning_neuro/BreadcrumbMaze-v0": "breadcrumb_env:BreadcrumbMazeEnv",
    "lightning_neuro/TopdownMaze-v0": "topdown_env:TopdownMazeEnv",
}
"""Names and where their classes are."""


def register_environments() -> bool:
    """Make `gymnasium.make` know the environments of this package.

    Returns:
        Whether gymnasium is installed.
    """
    if importlib.util.find_spec("gymnasium") is None:
        return False
    import gymnasium

    folder = __name__.rpartition(".")[0]
    for name, place in ENVIRONMENTS.items():
        if name not in gymnasium.registry:
            gymnasium.register(name, entry_point=f"{folder}.{place}")
    return True
