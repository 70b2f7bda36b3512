"""From an environment's id, or a function that makes it, to slots that individuals can be put in."""

import inspect
import os
from collections.abc import Callable, Mapping
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from lightning_neuro.safe_mutation.environments import (
    Environments,
    SingleEnvironments,
    VectorEnvironments,
    warn_about_shared_seeds,
)

if TYPE_CHECKING:
    import gymnasium

Source = str | Callable[..., Any]
Vectorization = Literal["auto", "vector_entry_point", "sync", "async"]
VECTORIZATIONS: tuple[Vectorization, ...] = ("auto", "vector_entry_point", "sync", "async")


def import_gymnasium() -> ModuleType:
    """Return gymnasium, or say how to get it.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    try:
        import gymnasium
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'GymnasiumEvaluator: gymnasium is not installed. Run pip install "lightning-neuro[evolution]".'
        ) from error
    return gymnasium


def name_of_source(source: Source) -> str:
    """Return how messages call the environment.

    >>> name_of_source("CartPole-v1")
    'CartPole-v1'
    """
    return source if isinstance(source, str) else getattr(source, "__name__", type(source).__name__)


def open_environments(
    source: Source, slots: int, vectorization: Vectorization, options: Mapping[str, Any]
) -> Environments:
    """Return `slots` environments.

    Args:
        source: an id, a function that makes one environment, or one with an argument `num_envs` that makes a vector
            environment.
        slots: how many.
        vectorization: "auto" takes the environment's own vector form if each slot of it can have a seed of its own,
            and single environments else.
        options: keywords for whatever makes the environments.

    Raises:
        ValueError: the vectorization does not fit the source.
    """
    if _makes_vectors(source):
        _refuse(source, vectorization, {"sync", "async"}, "makes vector environments")
        return _checked(source, VectorEnvironments(source(num_envs=slots, **options)))  # type: ignore[operator]
    if not isinstance(source, str):
        _refuse(source, vectorization, {"vector_entry_point"}, "makes single environments")
    native = _native(source, slots, vectorization, options) if isinstance(source, str) else None
    if native is not None:
        return native
    make = partial(_make_one, source, dict(options))
    if vectorization == "async":
        return VectorEnvironments(import_gymnasium().vector.AsyncVectorEnv([make] * slots))
    return SingleEnvironments(make, slots)


def default_slots(source: Source, vectorization: Vectorization, population: int) -> int:
    """Return how many individuals are evaluated at once if the user does not say: all, or one per processor."""
    if vectorization != "async" or _makes_vectors(source):
        return population
    return min(population, os.cpu_count() or 1)


def reward_threshold(source: Source) -> float | None:
    """Return the return at which the registered environment counts as solved, if it says so.

    >>> reward_threshold("CartPole-v1")
    475.0
    """
    return import_gymnasium().spec(source).reward_threshold if isinstance(source, str) else None


def _native(
    source: str, slots: int, vectorization: Vectorization, options: Mapping[str, Any]
) -> VectorEnvironments | None:
    gymnasium = import_gymnasium()
    if vectorization == "vector_entry_point":
        env = gymnasium.make_vec(source, slots, vectorization_mode="vector_entry_point", **options)
        return _checked(source, VectorEnvironments(env))
    if vectorization != "auto" or gymnasium.spec(source).vector_entry_point is None:
        return None
    try:
        env = gymnasium.make_vec(source, slots, vectorization_mode="vector_entry_point", **options)
    except Exception:  # wrappers, options or packages that only single environments know: those are made instead
        return None
    environments = VectorEnvironments(env)
    if environments.follows_seeds:
        return environments
    environments.close()
    return None


def _checked(source: Source, environments: VectorEnvironments) -> VectorEnvironments:
    if not environments.follows_seeds:
        warn_about_shared_seeds(name_of_source(source))
    return environments


def _make_one(source: Source, options: dict[str, Any]) -> "gymnasium.Env[Any, Any]":
    if isinstance(source, str):
        # The checker wraps every step of every environment; it belongs in the tests of the environment.
        return import_gymnasium().make(source, **{"disable_env_checker": True, **options})
    return source(**options)


def _makes_vectors(source: Source) -> bool:
    return not isinstance(source, str) and "num_envs" in inspect.signature(source).parameters


def _refuse(source: Source, vectorization: str, refused: set[str], reason: str) -> None:
    if vectorization in refused:
        raise ValueError(
            f"GymnasiumEvaluator: vectorization={vectorization!r} does not fit {name_of_source(source)}, which "
            f"{reason}. Use vectorization='auto'."
        )
