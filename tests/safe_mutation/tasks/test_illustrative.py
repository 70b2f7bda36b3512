import pytest
import torch

from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.sensitivity import sm_g_abs, sm_g_sum
from lightning_neuro.safe_mutation.tasks import illustrative
from lightning_neuro.safe_mutation.tasks.illustrative import Illustrative, climb

DOMAINS = ["easy", "medium", "washout"]
SUM_OF_EIGHT = {"easy": (0, 0.8), "medium": (400, 0.4), "washout": (0, 0)}
SUM_MEAN = {"easy": (0, 0.1), "medium": (50, 0.05), "washout": (0, 0)}
ABS_MEAN = {"easy": (0, 0.1), "medium": (50, 0.05), "washout": (100, 0.1)}


@pytest.mark.parametrize("domain", DOMAINS)
def test_gold_sensitivities(domain):
    task = Illustrative(domain)
    policy = BatchedPolicy(task.policy())
    params = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    for measure, reduction, gold in (
        (sm_g_sum, "reference", SUM_OF_EIGHT),
        (sm_g_sum, "mean", SUM_MEAN),
        (sm_g_abs, "mean", ABS_MEAN),
    ):
        sensitivity = measure(policy, params, task.states, reduction=reduction)
        torch.testing.assert_close(sensitivity, torch.tensor([gold[domain]] * 5, dtype=torch.float32))


@pytest.mark.parametrize(
    ("domain", "best"), [("easy", [0.7, 10.0]), ("medium", [0.01, 10.0]), ("washout", [0.01, 10.0])]
)
def test_fitness_is_best_at_the_known_optimum(domain, best):
    task = Illustrative(domain)
    policy = BatchedPolicy(task.policy())
    around = torch.tensor([best]) + torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    evaluation = task(policy, torch.cat([torch.tensor([best]), around]), record=5)
    assert evaluation.fitness[0] == pytest.approx(0, abs=1e-6)
    assert evaluation.fitness.argmax() == 0
    assert evaluation.solved[0]
    assert torch.equal(evaluation.states, task.states[:5])
    weights = around[0]
    inputs = task.patterns
    outputs = torch.stack([100 * weights[0] * inputs[:, 0], 0.1 * weights[1] * inputs[:, 1]], dim=1)
    assert evaluation.fitness[1] == pytest.approx(-(outputs - inputs).square().sum().item(), rel=1e-5)


def test_climbers_never_lose_what_they_reached_and_repeat_with_their_seed():
    first, second = (climb("medium", "gaussian", 0.1, iterations=50, climbers=4, seed=3) for _ in range(2))
    assert torch.equal(first.fitness, second.fitness)
    assert first.fitness.shape == (51, 4)
    assert (first.fitness.diff(dim=0) >= 0).all()
    assert (first.fitness[-1] > first.fitness[0]).any()
    assert first.solved_at.tolist() == [-1] * 4
    task = Illustrative("medium")
    assert torch.equal(task(BatchedPolicy(task.policy()), first.params).fitness, first.fitness[-1])


def test_starts_are_uniform_from_minus_one_to_one():
    starts = climb("easy", "gaussian", 0.1, iterations=0, climbers=2000).params
    assert starts.abs().max() <= 1
    assert starts.mean(0).abs().max() < 0.05
    assert starts.std(0).tolist() == pytest.approx([3**-0.5] * 2, rel=0.05)


def test_scaled_steps_reach_in_sixty_what_plain_steps_of_one_size_do_not():
    safe = climb("easy", "sm_g_abs", 0.1, iterations=60)
    plain = climb("easy", "gaussian", 0.1, iterations=60)
    assert (safe.solved_at > 0).all()
    assert (plain.solved_at == -1).all()
    first = int(safe.solved_at[0])
    assert safe.fitness[first - 1, 0] <= illustrative.SOLVED_ABOVE < safe.fitness[first, 0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("domain", "operator", "magnitude", "solved"),
    [
        ("washout", "sm_g_abs", 1.0, 20),
        ("washout", "sm_g_sum", 0.01, 0),
        ("washout", "gaussian", 0.01, 0),
        ("medium", "sm_g_sum", 0.1, 20),
        ("medium", "sm_g_abs", 0.1, 20),
        ("medium", "gaussian", 0.01, 0),
    ],
)
def test_acceptance(domain, operator, magnitude, solved):
    assert int((climb(domain, operator, magnitude).solved_at >= 0).sum()) == solved


def test_refusals():
    with pytest.raises(ValueError, match="domain must be one of 'easy', 'medium', 'washout', got 'hard'"):
        climb("hard", "gaussian", 0.1)
    with pytest.raises(ValueError, match="climbers must be at least 1"):
        climb("easy", "gaussian", 0.1, climbers=0)
    assert illustrative.CLIP == 10.0
