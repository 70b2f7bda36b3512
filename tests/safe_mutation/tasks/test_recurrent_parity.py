import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from lightning_neuro.safe_mutation.evaluation import evaluate
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.tasks.recurrent_parity import RecurrentParity, parity_table


def test_gold_labels_of_four_bits():
    words, labels = parity_table(4)
    assert "".join(map(str, labels.tolist())) == "0110100110010110"
    assert [int("".join(str(int(bit)) for bit in word), 2) for word in words.tolist()] == list(range(16))


@pytest.mark.parametrize(("cell", "expected"), [("rnn", 782), ("lstm", 3032), ("gru", 3 * 270 + 3 * 480 + 32)])
def test_gold_parameter_counts(cell, expected):
    policy = BatchedPolicy(RecurrentParity.policy(cell))
    assert policy.size == expected
    assert policy.interface.recurrence == "sequence"


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("bits", [1, 3, 4])
@torch.no_grad()
def test_fitness_is_that_of_a_plain_module(cell, bits):
    task = RecurrentParity(bits)
    policy = BatchedPolicy(task.policy(cell, hidden=5))
    params = torch.randn(3, policy.size, generator=torch.Generator().manual_seed(0))
    evaluation = evaluate(task, policy, params, record=100)
    for index, vector in enumerate(params):
        scores = policy.individual(vector)(task.sequences)
        assert evaluation.fitness[index].item() == pytest.approx(
            -functional.cross_entropy(scores, task.labels).item(), rel=1e-4
        )
        assert evaluation.extras["accuracy"][index] == (scores.argmax(1) == task.labels).float().mean()
    assert torch.equal(evaluation.states, task.sequences)
    counted = RecurrentParity(bits, incentive="accuracy")(policy, params)
    assert torch.equal(counted.fitness, evaluation.extras["accuracy"])


class Toggle(nn.Module):
    """Solves parity for any number of bits by one multiplication per bit."""

    def __init__(self):
        super().__init__()
        self.readout = nn.Linear(1, 2)

    def forward(self, bits, state=None):
        state = torch.ones_like(bits) if state is None else state
        state = state * (1 - 2 * bits)
        return self.readout(state), state


def test_solved_is_every_sequence_right_whatever_the_number_of_bits():
    policy = BatchedPolicy(Toggle())
    right, wrong = torch.tensor([5.0, -5.0, 0.0, 0.0]), torch.tensor([-5.0, 5.0, 0.0, 0.0])
    params = torch.stack([right, wrong, right * torch.nan])
    for bits in (1, 4, 7):
        evaluation = RecurrentParity(bits, incentive="accuracy")(policy, params)
        assert evaluation.solved.tolist() == [True, False, False]
        assert evaluation.fitness[:2].tolist() == [1.0, 0.0]
        assert math.isnan(evaluation.fitness[2])


def test_sensitivities_look_at_probabilities_and_fitness_does_not():
    task = RecurrentParity()
    policy = BatchedPolicy(task.policy(hidden=3))
    params = torch.randn(2, policy.size, generator=torch.Generator().manual_seed(0))
    transformed = policy.with_output(task.sensitivity_output)
    torch.testing.assert_close(transformed.outputs(params, task.sequences).sum(-1), torch.ones(2, 16))
    assert torch.equal(task(transformed, params).fitness, task(policy, params).fitness)


def test_fewer_states_are_spread_over_all_sequences():
    task = RecurrentParity()
    policy = BatchedPolicy(task.policy(hidden=3))
    states = task(policy, torch.zeros(1, policy.size), record=4).states
    assert states.shape == (4, 4, 1)
    assert torch.equal(states, task.sequences[:, [0, 5, 10, 15]])
    assert task(policy, torch.zeros(1, policy.size)).states is None


def test_refusals():
    with pytest.raises(ValueError, match="bits must be at least 1 and at most 16, got 17"):
        RecurrentParity(17)
    with pytest.raises(ValueError, match="incentive must be one of 'nll', 'accuracy', got 'loss'"):
        RecurrentParity(incentive="loss")
    with pytest.raises(ValueError, match="cell must be one of 'rnn', 'gru', 'lstm', got 'elman'"):
        RecurrentParity.policy("elman")
    policy = BatchedPolicy(nn.Linear(1, 3), recurrence="sequence")
    with pytest.raises(ValueError, match="must return"):
        RecurrentParity()(policy, torch.zeros(1, policy.size))
