from collections.abc import Iterator
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.supervised import SupervisedEvaluator

POPULATION = 5


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class Stepping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(1, 3)
        self.out = nn.Linear(3, 2)

    def forward(self, x: Tensor, h: Tensor | None) -> tuple[Tensor, Tensor]:
        h = torch.tanh(self.into(x) + (0.0 if h is None else h))
        return self.out(h), h


class Sequence(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.step = Stepping()

    def forward(self, x: Tensor) -> Tensor:
        h = None
        for observation in x:
            y, h = self.step(observation, h)
        return y


@pytest.fixture
def classes() -> tuple[Tensor, Tensor]:
    return draw(12, 4, seed=1), torch.arange(12) % 3


def test_fitness_is_minus_the_loss_of_each_module_alone(classes: tuple[Tensor, Tensor]) -> None:
    policy = BatchedPolicy(nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)))
    params = draw(POPULATION, policy.size)
    evaluation = SupervisedEvaluator(classes, cross_entropy, accuracy=True, solved_at=0.5)(policy, params)
    inputs, targets = classes
    for row in range(POPULATION):
        outputs = policy.individual(params[row])(inputs)
        torch.testing.assert_close(evaluation.fitness[row], -cross_entropy(outputs, targets).detach())
        accuracy = (outputs.argmax(1) == targets).float().mean()
        assert evaluation.extras["accuracy"][row] == accuracy
        assert bool(evaluation.solved[row]) == bool(accuracy >= 0.5)


@pytest.mark.parametrize("module", [Stepping(), Sequence()], ids=["step", "sequence"])
def test_recurrent_policies_are_judged_by_their_last_output(module: nn.Module) -> None:
    inputs, targets = draw(4, 6, 1, seed=2), torch.arange(6) % 2
    policy = BatchedPolicy(module, recurrence="step" if isinstance(module, Stepping) else "sequence")
    params = draw(POPULATION, policy.size)
    evaluation = SupervisedEvaluator((inputs, targets), cross_entropy)(policy, params, record=4)
    for row in range(POPULATION):
        alone, state, outputs = policy.individual(params[row]), None, inputs
        if isinstance(alone, Stepping):
            for observation in inputs:
                outputs, state = alone(observation, state)
        else:
            outputs = alone(inputs)
        torch.testing.assert_close(evaluation.fitness[row], -cross_entropy(outputs, targets).detach())
    assert evaluation.states.shape == (4, 4, 1)


def test_accuracy_can_be_the_fitness_and_broken_outputs_are_not_answers(classes: tuple[Tensor, Tensor]) -> None:
    policy = BatchedPolicy(nn.Linear(4, 3))
    params = draw(2, policy.size)
    params[1] = torch.nan
    evaluation = SupervisedEvaluator(classes, cross_entropy, fitness="accuracy", solved_at=0.0)(policy, params)
    assert evaluation.fitness[0] == evaluation.extras["accuracy"][0]
    assert evaluation.fitness.isnan().tolist() == [False, True]
    assert evaluation.solved.tolist() == [True, False]


def test_chunks_of_individuals_change_nothing(classes: tuple[Tensor, Tensor]) -> None:
    policy = BatchedPolicy(nn.Linear(4, 3))
    params = draw(POPULATION, policy.size)
    whole = SupervisedEvaluator(classes, cross_entropy, accuracy=True)(policy, params)
    parts = SupervisedEvaluator(classes, cross_entropy, accuracy=True, chunk_size=2)(policy, params)
    torch.testing.assert_close(parts.fitness, whole.fitness)
    torch.testing.assert_close(parts.extras["accuracy"], whole.extras["accuracy"])


def test_minibatches_follow_the_first_seed_and_cover_the_data(classes: tuple[Tensor, Tensor]) -> None:
    policy = BatchedPolicy(nn.Linear(4, 3))
    params = draw(1, policy.size)
    evaluator = SupervisedEvaluator(classes, cross_entropy, batch_size=4)

    def seen(seed: int) -> Tensor:
        states = evaluator(policy, params, seeds=torch.tensor([seed]), record=12).states
        assert states.shape == (4, 4)
        assert len(states.unique(dim=0)) == 4
        return (states[:, None] == classes[0]).all(2).nonzero()[:, 1]

    assert seen(1).equal(seen(1))
    drawn = torch.cat([seen(seed) for seed in range(300)])
    counts = torch.bincount(drawn, minlength=12)
    # Each sample is drawn with probability 1/3 per minibatch: mean 100, standard deviation 8.2.
    assert counts.min() > 65
    assert counts.max() < 135


def test_a_minibatch_keeps_inputs_and_targets_together() -> None:
    inputs = torch.arange(10.0)[:, None]
    evaluator = SupervisedEvaluator((inputs, 3 * inputs), mse_loss, batch_size=3)
    fitness = evaluator(nn.Linear(1, 1, bias=False), torch.tensor([[3.0]]), seeds=torch.tensor([5])).fitness
    assert fitness.item() == 0.0


class Items(Dataset[tuple[Tensor, int]]):
    def __init__(self, inputs: Tensor, targets: Tensor) -> None:
        self.inputs, self.targets, self.read = inputs, targets, 0

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        self.read += 1
        return self.inputs[index], int(self.targets[index])


def test_a_dataset_is_read_once_or_by_the_minibatch(classes: tuple[Tensor, Tensor]) -> None:
    policy = BatchedPolicy(nn.Linear(4, 3))
    params = draw(POPULATION, policy.size)
    expected = SupervisedEvaluator(classes, cross_entropy)(policy, params)
    items = Items(*classes)
    evaluator = SupervisedEvaluator(items, cross_entropy)
    for _ in range(2):
        torch.testing.assert_close(evaluator(policy, params).fitness, expected.fitness)
    assert items.read == 12
    SupervisedEvaluator(items, cross_entropy, batch_size=5)(policy, params)
    assert items.read == 17


def test_items_of_sequences_are_stacked_behind_time() -> None:
    inputs, targets = draw(6, 4, 1), torch.arange(6) % 2
    policy = BatchedPolicy(Stepping())
    params = draw(2, policy.size)
    items = SupervisedEvaluator(TensorDataset(inputs, targets), cross_entropy)(policy, params, record=6)
    tensors = SupervisedEvaluator((inputs.transpose(0, 1), targets), cross_entropy)(policy, params)
    torch.testing.assert_close(items.fitness, tensors.fitness)
    assert items.states.shape == (4, 6, 1)


def test_the_trainers_batch_is_taken_as_it_is(classes: tuple[Tensor, Tensor]) -> None:
    policy = BatchedPolicy(nn.Linear(4, 3))
    params = draw(2, policy.size)
    expected = SupervisedEvaluator(classes, cross_entropy)(policy, params)
    got = SupervisedEvaluator(None, cross_entropy)(policy, params, batch=list(classes))
    torch.testing.assert_close(got.fitness, expected.fitness)


def test_states_are_at_most_as_many_as_wanted_and_drawn(classes: tuple[Tensor, Tensor]) -> None:
    policy, params = BatchedPolicy(nn.Linear(4, 3)), torch.zeros(1, 15)
    evaluator = SupervisedEvaluator(classes, cross_entropy)
    assert evaluator(policy, params).states is None
    assert evaluator(policy, params, record=99).states is classes[0]
    few = [evaluator(policy, params, seeds=torch.tensor([seed]), record=5).states for seed in (1, 2)]
    assert few[0].shape == (5, 4)
    assert not few[0].equal(few[1])


def test_double_precision_weights_get_double_precision_data(classes: tuple[Tensor, Tensor]) -> None:
    policy = BatchedPolicy(nn.Linear(4, 3).double())
    assert (
        SupervisedEvaluator(classes, cross_entropy)(policy, torch.zeros(2, 15).double()).fitness.dtype == torch.double
    )


class Stream(IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        return iter([])


def test_what_does_not_fit_is_refused(classes: tuple[Tensor, Tensor]) -> None:
    with pytest.raises(TypeError, match="loss must be a function of outputs and targets, got 'mse'"):
        SupervisedEvaluator(classes, "mse")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="data must be two tensors, inputs and targets, got int"):
        SupervisedEvaluator(3, mse_loss)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="data must have a length, got Stream, a stream"):
        SupervisedEvaluator(Stream(), mse_loss)
    with pytest.raises(TypeError, match=r"the Trainer's batch must be two tensors.*Give data, or a dataloader"):
        SupervisedEvaluator(None, mse_loss)(nn.Linear(1, 1), torch.zeros(1, 2))
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        SupervisedEvaluator(classes, mse_loss, batch_size=0)
    with pytest.raises(ValueError, match=r"must be of equally many samples, got \(12, 4\) and \(3,\)"):
        SupervisedEvaluator((classes[0], torch.zeros(3)), mse_loss)(nn.Linear(4, 3), torch.zeros(1, 15))
    per_sample = SupervisedEvaluator(classes, partial(cross_entropy, reduction="none"))
    with pytest.raises(ValueError, match=r"loss must return one number per individual, got shape \(12,\)"):
        per_sample(nn.Linear(4, 3), torch.zeros(1, 15))
