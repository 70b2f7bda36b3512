"""Tasks as gymnasium environments, where gymnasium is installed."""

import importlib.util

BREADCRUMB_MAZE = "lightning_neuro/BreadcrumbMaze-v0"


def register_environments() -> bool:
    """Make `gymnasium.make` know the environments of this package.

    Returns:
        Whether gymnasium is installed.
    """
    if importlib.util.find_spec("gymnasium") is None:
        return False
    import gymnasium

    if BREADCRUMB_MAZE not in gymnasium.registry:
        folder = __name__.rpartition(".")[0]
        gymnasium.register(BREADCRUMB_MAZE, entry_point=f"{folder}.breadcrumb_env:BreadcrumbMazeEnv")
    return True
