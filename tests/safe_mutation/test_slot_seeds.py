from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import SyncVectorEnv
from support.misbehaving import Countdown, OneSeedForAll

from lightning_neuro.safe_mutation.slot_seeds import SlotGenerators, seeded_reset


@pytest.mark.parametrize("slots", [1, 2, 4, 5])
def test_slots_of_cartpole_start_where_single_environments_start(slots: int) -> None:
    # With four slots the four numbers of a state could be taken for the slots.
    env = gym.make_vec("CartPole-v1", slots, vectorization_mode="vector_entry_point")
    seeds = [11 * (slot + 1) for slot in range(slots)]
    single = gym.make("CartPole-v1")
    expected = np.stack([single.reset(seed=seed)[0] for seed in seeds])
    np.testing.assert_array_equal(seeded_reset(env)(env, seeds), expected)


def test_environments_made_of_single_ones_take_a_list() -> None:
    env = SyncVectorEnv([Countdown] * 3)
    seen = seeded_reset(env)(env, [5, 6, 5])
    assert seen[0].tolist() == seen[2].tolist()
    assert [each.seed for each in env.envs] == [5, 6, 5]


class Rowwise(OneSeedForAll):
    """Draws its start from its own generator, slots first."""

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        gym.vector.VectorEnv.reset(self, seed=seed)
        self.drawn = self.np_random.normal(size=(self.num_envs, 2))
        return self.drawn.copy(), {}


def test_slots_may_come_first() -> None:
    env = Rowwise(2)
    seen = seeded_reset(env)(env, [3, 4])
    np.testing.assert_array_equal(seen[1], np.random.default_rng(4).normal(size=2))


def test_a_generator_out_of_reach_is_noticed_also_when_it_swallows_a_list() -> None:
    assert seeded_reset(OneSeedForAll(3)) is None


def test_draws_of_another_size_come_from_the_first_slot() -> None:
    generators = SlotGenerators([1, 2, 3], axis=-1)
    expected = np.random.default_rng(1)
    assert generators.uniform(size=(4, 0)).shape == (4, 0)
    assert generators.random() == expected.random()
    assert generators.integers(0, 10, size=2).tolist() == expected.integers(0, 10, size=2).tolist()
    assert generators.normal(2.0, 0.0, size=3).tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(AttributeError):
        _ = generators.nothing_of_the_kind
