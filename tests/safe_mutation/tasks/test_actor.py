import pytest
import torch
from torch import nn

from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.tasks.actor import Actor


class Counter(nn.Module):
    """Returns how often it was called, times its weight."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Linear(1, 1, bias=False)

    def forward(self, observations, state=None):
        state = torch.zeros_like(observations) + 1 if state is None else state + 1
        return self.gain(state), state


def test_recurrent_state_is_carried():
    actor = Actor("Task", BatchedPolicy(Counter()), torch.tensor([[1.0], [2.0]]), outputs=1)
    answers = [actor(torch.zeros(2, 3, 1)) for _ in range(3)]
    assert [answer[:, 0, 0].tolist() for answer in answers] == [[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]


def test_who_answers_nan_once_is_remembered():
    params = torch.tensor([[1.0, 0.0], [1.0, torch.nan]])
    actor = Actor("Task", BatchedPolicy(nn.Linear(1, 1)), params, outputs=1)
    assert not actor.broken.any()
    actor(torch.zeros(2, 1, 1))
    assert actor.broken.tolist() == [False, True]


def test_policies_that_cannot_act_are_refused():
    sequence = nn.Sequential()
    sequence.rnn = nn.RNNCell(2, 1)
    policy = BatchedPolicy(sequence, recurrence="sequence", observation_ndim=1)
    with pytest.raises(ValueError, match=r"Maze: the policy must act at every step, got Sequential"):
        Actor("Maze", policy, torch.zeros(1, policy.size), outputs=1)
    with pytest.raises(ValueError, match=r"Maze: the policy must return 4 outputs, \(B, 4\), got \(1, 2\)"):
        Actor("Maze", BatchedPolicy(nn.Linear(3, 2)), torch.zeros(5, 8), outputs=4)(torch.zeros(5, 1, 3))
