import torch
from torch import nn

from lightning_neuro.safe_mutation.evaluation import Evaluation
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.trial import Trial, trial_of


def test_who_solved_the_task_is_best_and_then_who_is_fittest():
    fitness = torch.tensor([1.0, 5.0, 3.0, 3.0])
    assert Trial(fitness).best() == 1
    assert Trial(fitness, solved=torch.zeros(4, dtype=torch.bool)).best() == 1
    assert Trial(fitness, solved=torch.tensor([True, False, True, True])).best() == 2


def test_an_evaluation_is_brought_into_its_form():
    evaluation = Evaluation(
        torch.tensor([torch.nan, 2.0]), states=torch.zeros(2, 5, 3), extras={"steps": torch.tensor([4, 5])}
    )
    trial = trial_of(evaluation, BatchedPolicy(nn.Linear(3, 1)))
    assert trial.fitness.tolist() == [-torch.inf, 2]
    assert trial.broken.tolist() == [True, False]
    assert trial.experience.states.shape == (2, 5, 3)
    assert not trial.experience.shared
    assert trial.extras["steps"].dtype == torch.float32
    assert trial_of(Evaluation(torch.zeros(2), torch.zeros(5, 3)), BatchedPolicy(nn.Linear(3, 1))).experience.shared
