import copy
import pickle
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from support.misbehaving import Countdown, NanRewards, Numbers, OneSeedForAll, Parts, Picture
from torch import Tensor, nn

from lightning_neuro.safe_mutation.evaluation import evaluate
from lightning_neuro.safe_mutation.gymnasium_evaluator import GymnasiumEvaluator
from lightning_neuro.safe_mutation.population import BatchedPolicy

POPULATION = 12
SEEDS = torch.arange(POPULATION) * 7 + 3


class Remembering(nn.Module):
    """Its second output grows with what it has seen, so that a lost or mixed-up state changes the action."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layer = nn.Linear(size, 2)

    def forward(self, x: Tensor, h: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        total, steps = h if h is not None else (torch.zeros_like(x), torch.zeros_like(x[:, :1]))
        total, steps = total + x, steps + 1
        return self.layer(total - steps * 0.01), (total, steps)


def population(policy: BatchedPolicy, count: int = POPULATION, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(count, policy.size, generator=torch.Generator().manual_seed(1))


def by_hand(
    make: Callable[[], Any], policy: BatchedPolicy, params: Tensor, seeds: Tensor, steps: int = 10**9
) -> tuple[Tensor, Tensor, list[np.ndarray]]:
    """Return, one: the slow obvious rollout: one environment, one module, one step at a time."""
    returns, lengths, seen = [], [], []
    for vector, seed in zip(params, seeds, strict=True):
        env, module, state = make(), policy.individual(vector), None
        observation, _ = env.reset(seed=int(seed))
        total, length, ended, met = 0.0, 0, False, []
        while not ended and length < steps:
            met.append(observation)
            x = torch.from_numpy(observation).float()[None]
            with torch.no_grad():
                if policy.interface.recurrence == "step":
                    output, state = module(x, state)
                else:
                    output = module(x)
            observation, reward, terminated, truncated, _ = env.step(int(output[0].argmax()))
            total, length, ended = total + float(reward), length + 1, terminated or truncated
        returns.append(total)
        lengths.append(length)
        seen.append(np.stack(met))
        env.close()
    return torch.tensor(returns), torch.tensor(lengths), seen


def vector_of(make: Callable[[], Any], mode: AutoresetMode) -> Callable[[int], SyncVectorEnv[Any, Any]]:
    def make_vector(num_envs: int) -> SyncVectorEnv[Any, Any]:
        return SyncVectorEnv([make] * num_envs, autoreset_mode=mode)

    return make_vector


@pytest.mark.parametrize("module", [nn.Linear(4, 2, bias=False), Remembering(4)], ids=["none", "step"])
@pytest.mark.parametrize("vectorization", ["vector_entry_point", "sync"])
def test_p15_cartpole_returns_equal_single_rollouts_of_the_same_seed(vectorization: Any, module: nn.Module) -> None:
    policy = BatchedPolicy(module, observation_ndim=1)
    params = population(policy)
    evaluator = GymnasiumEvaluator("CartPole-v1", vectorization=vectorization, max_steps=120)
    evaluation = evaluate(evaluator, policy, params, seeds=SEEDS)
    returns, lengths, _ = by_hand(partial(gym.make, "CartPole-v1"), policy, params, SEEDS, steps=120)
    assert evaluation.fitness.tolist() == returns.tolist()
    assert evaluation.extras["length"].tolist() == lengths.tolist()
    assert len(set(lengths.tolist())) > 3
    evaluator.close()


@pytest.mark.parametrize("mode", list(AutoresetMode))
@pytest.mark.parametrize("module", [nn.Linear(2, 2), Remembering(2)], ids=["none", "step"])
def test_p15_reset_steps_are_neither_counted_nor_recorded(mode: AutoresetMode, module: nn.Module) -> None:
    policy = BatchedPolicy(module, observation_ndim=1)
    params = population(policy)
    evaluation = GymnasiumEvaluator(vector_of(Countdown, mode))(policy, params, seeds=SEEDS, record=50)
    returns, lengths, seen = by_hand(Countdown, policy, params, SEEDS)
    assert evaluation.fitness.tolist() == returns.tolist()
    assert evaluation.extras["length"].tolist() == lengths.tolist()
    for row in range(POPULATION):
        np.testing.assert_array_equal(evaluation.states[row][evaluation.valid[row]], seen[row])
    expected = (POPULATION, int(lengths.max()), *([1] if isinstance(module, Remembering) else []), 2)
    assert evaluation.states.shape == expected


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
def test_processes_give_what_single_environments_give() -> None:
    policy = BatchedPolicy(nn.Linear(2, 2))
    params = population(policy, 3)
    evaluator = GymnasiumEvaluator(Countdown, vectorization="async", num_envs=2)
    fitness = evaluator(policy, params, seeds=SEEDS[:3]).fitness
    assert fitness.tolist() == by_hand(Countdown, policy, params, SEEDS[:3])[0].tolist()
    evaluator.close()


@pytest.mark.parametrize("source", ["CartPole-v1", Countdown, vector_of(Countdown, AutoresetMode.NEXT_STEP)])
def test_fitness_does_not_depend_on_who_else_is_evaluated(source: Any) -> None:
    module = Remembering(4 if source == "CartPole-v1" else 2)
    policy = BatchedPolicy(module, observation_ndim=1)
    params = population(policy)
    options: dict[str, Any] = {"action": "sample", "episodes": 2, "max_steps": 30}
    whole = GymnasiumEvaluator(source, **options)(policy, params, seeds=SEEDS, record=6)
    chunked = GymnasiumEvaluator(source, num_envs=5, **options)(policy, params, seeds=SEEDS, record=6)
    assert chunked.fitness.tolist() == whole.fitness.tolist()
    torch.testing.assert_close(chunked.states, whole.states, rtol=0, atol=0)
    shard = GymnasiumEvaluator(source, **options)(policy, params[1::2], seeds=SEEDS[1::2])
    assert shard.fitness.tolist() == whole.fitness[1::2].tolist()


def test_a_common_seed_gives_everyone_the_same_episode_and_none_means_zero() -> None:
    evaluator = GymnasiumEvaluator(Countdown)
    policy = BatchedPolicy(nn.Linear(2, 2))
    same = evaluator(policy, population(policy), seeds=torch.full((POPULATION,), 0)).extras["length"]
    assert len(same.unique()) == 1
    assert evaluator(policy, population(policy)).extras["length"].equal(same)
    assert len(evaluator(policy, population(policy), seeds=SEEDS).extras["length"].unique()) > 1


def test_fitness_is_the_mean_over_episodes_with_seeds_of_their_own() -> None:
    policy = BatchedPolicy(nn.Linear(2, 2))
    params = population(policy)
    once = GymnasiumEvaluator(Countdown)(policy, params, seeds=SEEDS)
    evaluator = GymnasiumEvaluator(Countdown, episodes=20)
    many = evaluator(policy, params, seeds=SEEDS)
    # Lengths are uniform on 1..8: mean 4.5, variance 5.25 of one episode.
    assert abs(many.extras["length"].mean().item() - 4.5) < 4 * (5.25 / (20 * POPULATION)) ** 0.5
    assert not many.fitness.equal(once.fitness)
    assert many.fitness.equal(evaluator(policy, params, seeds=SEEDS).fitness)


def test_actions_are_repeated_and_episodes_cut() -> None:
    seen: list[int] = []

    def choose(outputs: Tensor) -> Tensor:
        seen.append(len(outputs))
        return torch.full((len(outputs),), len(seen) % 2)

    evaluator = GymnasiumEvaluator(Countdown, frame_skip=3, max_steps=5, action=choose)
    long_seed = next(seed for seed in range(99) if np.random.default_rng(seed).integers(1, 9) == 8)
    evaluation = evaluator(nn.Linear(2, 2), torch.zeros(1, 6), seeds=torch.tensor([long_seed]), record=9)
    # Steps 1 to 3 with action 1, which doubles, then 4 and 5 with action 0.
    assert evaluation.fitness.item() == 2 * (1 + 2 + 3) + 4 + 5
    assert evaluation.extras["length"].item() == 5
    assert evaluation.states[0, :, 1].tolist() == [0.0, 3.0]


@pytest.mark.parametrize(("reward", "expected"), [("sum", 6.0), ("last", 3.0), (lambda rewards: rewards > 1, 2.0)])
def test_what_counts_of_the_rewards(reward: Any, expected: float) -> None:
    evaluator = GymnasiumEvaluator(Countdown, max_steps=3, reward=reward, action=lambda outputs: 0 * outputs[:, 0])
    long_seed = next(seed for seed in range(99) if np.random.default_rng(seed).integers(1, 9) >= 3)
    assert evaluator(nn.Linear(2, 2), torch.zeros(1, 6), seeds=torch.tensor([long_seed])).fitness.item() == expected


def test_solved_follows_the_registered_threshold_or_the_given_one() -> None:
    assert GymnasiumEvaluator("CartPole-v1").solved_at == 475.0
    policy, params = BatchedPolicy(nn.Linear(4, 2)), torch.zeros(2, 10)
    given = GymnasiumEvaluator("CartPole-v1", solved_at=10.5)(policy, params, seeds=torch.tensor([0, 1]))
    assert given.fitness.tolist() == [11.0, 10.0]
    assert given.solved.tolist() == [True, False]
    assert GymnasiumEvaluator(Countdown).solved_at is None
    assert GymnasiumEvaluator("CartPole-v1", solved_at=None)(policy, params).solved is None


def test_the_last_observations_are_kept_and_the_first_steps_for_a_state() -> None:
    policy = BatchedPolicy(nn.Linear(2, 2))
    evaluation = GymnasiumEvaluator(Countdown)(policy, population(policy), seeds=SEEDS, record=2)
    for states, valid, length in zip(evaluation.states, evaluation.valid, evaluation.extras["length"], strict=True):
        assert states[valid][:, 0].tolist() == ([2.0, 1.0] if length > 1 else [1.0])
    carrying = BatchedPolicy(Remembering(2), observation_ndim=1)
    evaluator = GymnasiumEvaluator(Countdown, episodes=3)
    segments = evaluate(evaluator, carrying, population(carrying), seeds=SEEDS, record=7)
    assert segments.states.shape == (POPULATION, 2, 3, 2)
    assert (segments.states[:, 0, :, 1] == 0).all()
    assert (segments.states[:, 1][segments.valid[:, 1]][:, 1] == 1).all()
    assert segments.valid[:, 0].all()
    assert evaluator.output_steps == "all"
    assert evaluator(policy, population(policy), seeds=SEEDS).states is None


def test_images_stay_bytes_and_parts_become_one_vector_unless_the_user_says_otherwise() -> None:
    class Fractions(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(9, 2)

        def forward(self, x: Tensor) -> Tensor:
            assert x.dtype == torch.uint8
            return self.layer(x.flatten(1) / 255)

    policy = BatchedPolicy(Fractions(), observation_ndim=2)
    states = GymnasiumEvaluator(Picture)(policy, population(policy), seeds=SEEDS, record=3).states
    assert states.dtype == torch.uint8
    joined = BatchedPolicy(nn.Linear(13, 2))
    flat = GymnasiumEvaluator(Parts)(joined, population(joined), seeds=SEEDS, record=1).states
    assert flat.shape == (POPULATION, 1, 13)
    picked = GymnasiumEvaluator(Parts, observation=lambda observations: observations["image"])
    assert picked(policy, population(policy), seeds=SEEDS, record=1).states.shape == (POPULATION, 1, 3, 3)


def test_nan_outputs_and_nan_rewards_break_one_individual_alone() -> None:
    policy = BatchedPolicy(nn.Linear(2, 2))
    params = population(policy)
    healthy = GymnasiumEvaluator(Countdown)(policy, params, seeds=SEEDS).fitness
    params[4] = torch.nan
    broken = GymnasiumEvaluator(Countdown)(policy, params, seeds=SEEDS)
    assert broken.fitness.isnan().nonzero().flatten().tolist() == [4]
    assert broken.extras["length"][4] == 0
    others = torch.arange(POPULATION) != 4
    assert broken.fitness[others].equal(healthy[others])
    evaluation = GymnasiumEvaluator(NanRewards)(policy, population(policy), seeds=SEEDS)
    assert evaluation.fitness.isnan().equal(evaluation.extras["length"] >= 3)
    assert 0 < evaluation.fitness.isnan().sum() < POPULATION


def test_numbers_are_clipped_to_their_limits_squashed_or_left_alone() -> None:
    policy = BatchedPolicy(nn.Linear(2, 2))
    params = torch.tensor([[0.0, 0.0, 0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 0.0, 0.0, -0.5, 0.0]])
    rewards = {
        action: GymnasiumEvaluator(Numbers, action=action, max_steps=1)(policy, params).fitness
        for action in ("auto", "identity", "tanh")
    }
    assert rewards["auto"].tolist() == [3.0, -0.5]
    assert rewards["identity"].tolist() == [9.0, -0.5]
    torch.testing.assert_close(rewards["tanh"], 1 + 2 * torch.tensor([9.0, -0.5]).tanh())


def test_global_generators_are_left_alone() -> None:
    evaluator, policy = GymnasiumEvaluator(Countdown, action="sample", episodes=2), nn.Linear(2, 2)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    evaluator(policy, torch.zeros(3, 6), seeds=torch.tensor([1, 2, 3]), record=5)
    assert torch.get_rng_state().equal(before[0])
    assert (np.random.get_state()[1] == before[1]).all()  # type: ignore[index]  # noqa: NPY002


def raising(made: list[Countdown], times: int, seed: int) -> Callable[[], Countdown]:
    """Return a maker of environments that raise at their third step of an episode with this seed, so often in all."""
    left = [times]

    def raises(given: int) -> bool:
        left[0] -= given == seed
        return given == seed and left[0] >= 0

    def make() -> Countdown:
        made.append(Countdown(raises_at=2, raises=raises))
        return made[-1]

    return make


@pytest.fixture
def long_lived() -> Tensor:
    """Seeds of episodes of at least three steps."""
    return torch.tensor([seed for seed in range(99) if np.random.default_rng(seed).integers(1, 9) >= 3][:6])


def test_an_environment_that_raises_once_is_made_anew(long_lived: Tensor) -> None:
    policy = BatchedPolicy(nn.Linear(2, 2))
    params = population(policy, 6)
    expected = GymnasiumEvaluator(Countdown)(policy, params, seeds=long_lived)
    made: list[Countdown] = []
    evaluator = GymnasiumEvaluator(raising(made, 1, int(long_lived[4])), num_envs=3)
    with pytest.warns(
        UserWarning, match=r"make raised ValueError: the motor burnt - with individual 4, in episode 0 at"
    ):
        evaluation = evaluator(policy, params, seeds=long_lived, record=4)
    assert evaluation.fitness.equal(expected.fitness)
    assert [env.closed for env in made] == [True] * 3 + [False] * 3


def test_an_environment_that_raises_twice_ends_with_a_clear_error_and_can_be_used_again(long_lived: Tensor) -> None:
    policy = BatchedPolicy(nn.Linear(2, 2))
    params = population(policy, 6)
    before = params.clone()
    made: list[Countdown] = []
    evaluator = GymnasiumEvaluator(raising(made, 2, int(long_lived[1])))
    message = r"ValueError: the motor burnt - with individual 1, in episode 0 at step 2\. It was the second time"
    with pytest.warns(UserWarning, match="Trying once more"), pytest.raises(RuntimeError, match=message) as caught:
        evaluator(policy, params, seeds=long_lived)
    assert isinstance(caught.value.__cause__, ValueError)
    assert all(env.closed for env in made)
    assert params.equal(before)
    expected = GymnasiumEvaluator(Countdown)(policy, params, seeds=long_lived)
    assert evaluator(policy, params, seeds=long_lived).fitness.equal(expected.fitness)


def test_a_vector_environment_that_raises_names_all_who_were_in_it(long_lived: Tensor) -> None:
    make = raising([], 2, int(long_lived[1]))
    evaluator = GymnasiumEvaluator(vector_of(make, AutoresetMode.NEXT_STEP))
    with (
        pytest.warns(UserWarning, match="Trying once more"),
        pytest.raises(RuntimeError, match="with one of the individuals 0 to 5, in episode 0 at step 2"),
    ):
        evaluator(nn.Linear(2, 2), torch.zeros(6, 6), seeds=long_lived)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")  # gymnasium tells what it read from the process as warnings
def test_a_process_that_raises_is_named(long_lived: Tensor) -> None:
    evaluator = GymnasiumEvaluator(
        partial(Countdown, raises_at=2, raises=partial(int.__eq__, int(long_lived[1]))),
        vectorization="async",
        num_envs=2,
    )
    with pytest.raises(RuntimeError, match="partial raised ValueError: the motor burnt - with individual 1, in"):
        evaluator(nn.Linear(2, 2), torch.zeros(2, 6), seeds=long_lived[:2])


def test_errors_of_the_policy_are_not_blamed_on_the_environment() -> None:
    class Failing(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise KeyError("mine")

    made: list[Countdown] = []
    with pytest.raises(KeyError, match="mine"):
        GymnasiumEvaluator(raising(made, 0, 0))(BatchedPolicy(Failing(2, 2), vectorize=False), torch.zeros(2, 6))
    assert len(made) == 2


def test_environments_stay_open_for_two_sizes_and_are_closed_after_that() -> None:
    made: list[Countdown] = []
    evaluator = GymnasiumEvaluator(raising(made, 0, 0))
    for count in (3, 1, 3, 1):
        evaluator(nn.Linear(2, 2), torch.zeros(count, 6))
    assert len(made) == 4
    evaluator(nn.Linear(2, 2), torch.zeros(2, 6))
    assert [env.closed for env in made] == [True] * 3 + [False] * 3
    evaluator.close()
    assert all(env.closed for env in made)


def test_copies_share_no_environments() -> None:
    evaluator = GymnasiumEvaluator("CartPole-v1")
    fitness = evaluator(nn.Linear(4, 2), torch.zeros(2, 10)).fitness
    for other in (copy.deepcopy(evaluator), pickle.loads(pickle.dumps(evaluator))):
        assert other(nn.Linear(4, 2), torch.zeros(2, 10)).fitness.equal(fitness)


def test_a_vector_environment_with_one_seed_for_all_is_pointed_out() -> None:
    with pytest.warns(UserWarning, match="OneSeedForAll takes one seed for all its slots"):
        GymnasiumEvaluator(OneSeedForAll)(nn.Linear(2, 2), torch.zeros(3, 6), seeds=torch.tensor([1, 2, 3]))


def test_what_does_not_fit_is_refused() -> None:
    params = torch.zeros(2, 6)
    with pytest.raises(TypeError, match="env_id must be an id or a function that makes environments, got 3"):
        GymnasiumEvaluator(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="episodes must be at least 1, got 0"):
        GymnasiumEvaluator(Countdown, episodes=0)
    with pytest.raises(ValueError, match="max_steps must be at least 1, got 0"):
        GymnasiumEvaluator(Countdown, max_steps=0)
    with pytest.raises(ValueError, match="action must be one of 'auto', 'argmax'"):
        GymnasiumEvaluator(Countdown, action="best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="seeds must be one integer of at least 0 per individual"):
        GymnasiumEvaluator(Countdown)(nn.Linear(2, 2), params, seeds=torch.tensor([1, -2]))
    with pytest.raises(ValueError, match=r"the policy must have 2 output\(s\) for actions of Discrete\(2\), got 3"):
        GymnasiumEvaluator(Countdown)(nn.Linear(2, 3), torch.zeros(2, 9))
    sequence = BatchedPolicy(nn.Linear(2, 2), recurrence="sequence")
    with pytest.raises(ValueError, match="Linear takes whole sequences, but an environment gives one observation"):
        GymnasiumEvaluator(Countdown)(sequence, params)
    with pytest.raises(ValueError, match="vectorization='async' does not fit make_vector, which makes vector"):
        GymnasiumEvaluator(vector_of(Countdown, AutoresetMode.DISABLED), vectorization="async")(nn.Linear(2, 2), params)
    with pytest.raises(ValueError, match="does not fit Countdown, which makes single environments"):
        GymnasiumEvaluator(Countdown, vectorization="vector_entry_point")(nn.Linear(2, 2), params)


def test_without_gymnasium_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ModuleNotFoundError, match=r'Run pip install "lightning-neuro\[evolution\]"'):
        GymnasiumEvaluator("CartPole-v1")
