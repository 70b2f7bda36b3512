"""What a user sets, gives or asks for is what a run goes by."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_neuro import SafeMutation
from lightning_neuro.safe_mutation import BatchedPolicy, Evaluation
from lightning_neuro.safe_mutation.evaluators import SupervisedEvaluator
from lightning_neuro.safe_mutation.sensitivity import sm_g_abs

X = torch.randn(10, 2, generator=torch.Generator().manual_seed(0))
Y = X.sum(1, keepdim=True)


def supervised(data=(X, Y)):
    return SafeMutation(
        nn.Linear(2, 1), SupervisedEvaluator(data, nn.functional.mse_loss), magnitude=0.1, population_size=10
    )


def test_an_output_set_on_the_instance_is_looked_at(make_trainer):
    seen, module = [], supervised()

    def looked_at(outputs):
        seen.append(outputs.shape)
        return outputs

    module.sensitivity_output = looked_at
    make_trainer(max_epochs=-1, max_steps=3).fit(module)
    assert seen


def test_validation_data_go_before_the_evaluators_own_and_count_by_sample(make_trainer):
    module, trainer = supervised(), make_trainer(max_epochs=-1, max_steps=2)
    trainer.fit(module)
    far = TensorDataset(X, Y + 1000)
    (found,) = trainer.validate(module, DataLoader(far, batch_size=8), verbose=False)
    with torch.no_grad():
        truth = -nn.functional.mse_loss(module.best_policy()(X), Y + 1000)
    assert found["val/fitness"] == pytest.approx(truth.item(), rel=1e-5)


def test_a_target_fitness_ends_the_run_beside_a_solved_champion(make_trainer):
    def evaluated(policy, params):
        order = torch.arange(len(params))
        return Evaluation(order.float(), solved=order == 0)

    module = SafeMutation(
        nn.Linear(2, 1),
        evaluated,
        operator="gaussian",
        magnitude=0.1,
        population_size=10,
        target_fitness=9.0,
        stop_when_solved=False,
    )
    trainer = make_trainer(max_epochs=-1, max_steps=5)
    trainer.fit(module)
    assert (trainer.global_step, module.champion_fitness) == (1, 0.0)


class Detached(nn.Module):
    """Reads its first layer's weights once with gradients and once without."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 1)

    def forward(self, x):
        return self.b(nn.functional.linear(x, self.a.weight.detach(), self.a.bias).tanh())


def test_weights_that_a_policy_detaches_have_no_sensitivity():
    policy = BatchedPolicy(Detached())
    params = policy.genome.vector(policy.module)[None]
    found = sm_g_abs(policy, params, X[None])
    assert (found[0, :4] == 0).all()
    assert (found[0, 4:] > 0).all()
