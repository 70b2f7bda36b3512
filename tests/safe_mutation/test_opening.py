import os

import gymnasium as gym
import pytest
from gymnasium.vector import SyncVectorEnv
from support.misbehaving import Countdown

from lightning_neuro.safe_mutation.environments import SingleEnvironments, VectorEnvironments
from lightning_neuro.safe_mutation.opening import default_slots, name_of_source, open_environments, reward_threshold


def make_vector(num_envs: int, raises_at: int | None = None) -> SyncVectorEnv:
    return SyncVectorEnv([lambda: Countdown(raises_at)] * num_envs)


def test_the_environments_own_vector_form_comes_first_where_slots_have_seeds() -> None:
    assert isinstance(open_environments("CartPole-v1", 3, "auto", {}), VectorEnvironments)
    assert isinstance(open_environments("CartPole-v1", 3, "sync", {}), SingleEnvironments)
    assert isinstance(open_environments("MountainCar-v0", 3, "auto", {}), SingleEnvironments)
    assert isinstance(open_environments(Countdown, 3, "auto", {}), SingleEnvironments)
    assert isinstance(open_environments(make_vector, 3, "auto", {}), VectorEnvironments)


def test_options_that_only_the_single_form_knows_lead_to_it() -> None:
    environments = open_environments("CartPole-v1", 2, "auto", {"disable_env_checker": False})
    assert isinstance(environments, SingleEnvironments)


def test_options_reach_whatever_makes_environments() -> None:
    for source in (Countdown, make_vector):
        environments = open_environments(source, 2, "auto", {"raises_at": 0})
        environments.reset([1, 2])
        with pytest.raises(RuntimeError):
            environments.step([0], [0])
    single = open_environments("MountainCar-v0", 1, "sync", {"max_episode_steps": 1})
    single.reset([0])
    assert single.step([0], [0])[2].tolist() == [True]


def test_an_unknown_id_is_gymnasiums_own_error() -> None:
    with pytest.raises(gym.error.NameNotFound):
        open_environments("NoSuchThing-v0", 1, "auto", {})


def test_processes_are_as_many_as_processors() -> None:
    assert default_slots("CartPole-v1", "auto", 250) == 250
    assert default_slots("CartPole-v1", "async", 10**6) == os.cpu_count()
    assert default_slots("CartPole-v1", "async", 1) == 1


def test_names_and_thresholds() -> None:
    assert name_of_source(Countdown) == "Countdown"
    assert reward_threshold("Pendulum-v1") is None
    assert reward_threshold(Countdown) is None
