import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from support.misbehaving import Countdown, Parts

from lightning_neuro.safe_mutation.environments import (
    EnvironmentFailedError,
    Environments,
    SingleEnvironments,
    VectorEnvironments,
)

SEEDS = [3, 4, 5, 6]


def banks(make: type[Countdown]) -> list[Environments]:
    vectors = [VectorEnvironments(SyncVectorEnv([make] * 4, autoreset_mode=mode)) for mode in AutoresetMode]
    return [SingleEnvironments(make, 4), *vectors]


@pytest.mark.parametrize("bank", banks(Countdown))
def test_rows_are_those_of_the_slots_asked_for(bank: Environments) -> None:
    first = bank.reset(SEEDS)
    lengths = first[:, 0].astype(int)
    for step in range(int(lengths.max())):
        live = np.flatnonzero(lengths > step)
        seen, rewards, ended = bank.step(live, live % 2)
        np.testing.assert_array_equal(rewards, (step + 1) * (1 + live % 2))
        np.testing.assert_array_equal(ended, lengths[live] == step + 1)
        # Under SAME_STEP the row of an ended slot is already the next start.
        np.testing.assert_array_equal(seen[~ended, 0], lengths[live][~ended] - step - 1)
    assert len(set(lengths)) > 1
    np.testing.assert_array_equal(bank.reset(SEEDS[:2]), first[:2])


@pytest.mark.parametrize("bank", banks(Parts))
def test_dicts_are_cut_in_every_part(bank: Environments) -> None:
    seen = bank.reset(SEEDS[:3])
    assert seen["image"].shape == (3, 3, 3)
    assert bank.step(np.array([2]), np.array([0]))[0]["direction"].tolist() == [1]


def test_single_environments_are_left_alone_after_their_end() -> None:
    bank = SingleEnvironments(Countdown, 1)
    length = int(bank.reset([3])[0, 0])
    for _ in range(length):
        bank.step(np.array([0]), np.array([0]))
    with pytest.raises(EnvironmentFailedError) as caught:
        bank.step(np.array([0]), np.array([0]))
    assert caught.value.slot == 0
    assert "after the end" in str(caught.value.__cause__)


def test_idle_slots_get_an_action_of_the_space() -> None:
    class Strict(Countdown):
        def __init__(self) -> None:
            super().__init__()
            self.action_space = Box(2.0, 3.0, (2,), np.float32)

        def reward(self, action: np.ndarray) -> float:
            assert self.action_space.contains(action)
            return 0.0

    class Late(Countdown):
        def __init__(self) -> None:
            super().__init__()
            self.action_space = Discrete(2, start=7)

        def reward(self, action: int) -> float:
            assert self.action_space.contains(action)
            return 0.0

    for make, action in ((Strict, np.full((1, 2), 2.5, np.float32)), (Late, np.array([8]))):
        bank = VectorEnvironments(SyncVectorEnv([make] * 3))
        bank.reset([1])
        bank.step(np.array([0]), action)
