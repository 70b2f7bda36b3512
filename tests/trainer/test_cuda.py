"""Every method on a GPU, where there is one: results are those of the CPU, and 16-mixed works with its scaler."""

from typing import Any

import numpy as np
import pytest
import torch
from reservoirpy.nodes import Reservoir
from snntorch import Leaky
from support.count_learning import INPUTS, learner, loader, network, weights
from support.evolving import Memory, curve_policy, evolving
from support.polynomial_nets import answers, random_net, random_series
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from lightning_neuro import GradientActivation, GradientRewiring, ReservoirModule, SpectralInit, TorchReservoir
from lightning_neuro._lightning import Callback, LightningModule
from lightning_neuro.gradient_rewiring import Rewiring
from lightning_neuro.safe_mutation import tasks
from lightning_neuro.safe_mutation.evaluators import SupervisedEvaluator
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.spectral_rnn import SpectralRNNModule
from lightning_neuro.spectral_rnn.torch import PolynomialRNN
from lightning_neuro.st_rsbp import CountLoss, RecurrentSpikingLayer, SpikingConvLayer, SpikingLayer, SpikingNetwork

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no"),
]
DEVICES = ("cpu", "gpu")


class Regression(LightningModule):
    """A user's own module."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        x, y = batch
        return nn.functional.mse_loss(self.net(x), y)

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=0.01)


class Spiking(LightningModule):
    """A snnTorch model, trained through time."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.hidden, self.fires = nn.Linear(INPUTS, 32), Leaky(beta=0.9, init_hidden=True)
        self.readout = nn.Linear(32, 3)

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        spikes, labels = batch
        self.fires.reset_hidden()
        return nn.functional.cross_entropy(
            sum(self.readout(self.fires(self.hidden(step))) for step in spikes.float()), labels
        )

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters(), lr=0.01)


def samples() -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(64, 8, generator=generator)
    return DataLoader(TensorDataset(x, x.sum(1, keepdim=True)), batch_size=16)


def flat(module: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().cpu().flatten() for parameter in module.parameters()])


# GAF


def test_activated_gradients_are_those_of_the_cpu(make_trainer):
    found = []
    for device in DEVICES:
        module = Regression()
        trainer = make_trainer(
            accelerator=device, max_epochs=3, precision="64-true", callbacks=[GradientActivation(alpha=0.1, beta=20.0)]
        )
        trainer.fit(module, DataLoader([tuple(t.double() for t in pair) for pair in samples().dataset], batch_size=16))
        found.append(flat(module))
    torch.testing.assert_close(*found, rtol=0, atol=1e-10)


def test_gradients_are_activated_after_the_scaler_has_unscaled_them(make_trainer):
    largest: list[float] = []

    class Watch(Callback):
        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            largest.append(max(float(p.grad.abs().max()) for p in pl_module.parameters()))

    callbacks = [GradientActivation(function="tanh", alpha=0.1, beta=20.0), Watch()]
    make_trainer(accelerator="gpu", max_epochs=4, precision="16-mixed", callbacks=callbacks).fit(
        Regression(), samples()
    )
    assert 0.01 < max(largest) <= 0.1 + 1e-6


# Grad R


@pytest.mark.parametrize("precision", ["32-true", "16-mixed"])
def test_rewiring_reaches_its_target(make_trainer, precision):
    module, callback = Spiking(), GradientRewiring(sparsity=0.5, seed=0)
    make_trainer(accelerator="gpu", max_epochs=60, precision=precision, callbacks=[callback]).fit(module, loader())
    connectivity = callback.connectivity()["total"]
    assert abs(connectivity - 0.5) < 0.1
    absent = module.hidden.weight == 0
    assert absent.any()


def test_rewiring_is_that_of_the_cpu():
    found = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        layer = nn.Linear(20, 30, bias=False).double().to(device)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        rewiring = Rewiring(optimizer, dict(layer.named_parameters()), alpha=1e-3, sparsity=0.5, seed=0)
        x = torch.randn(40, 20, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(device)
        for _ in range(20):
            optimizer.zero_grad()
            (layer(x) - x[:, :1]).square().mean().backward()
            optimizer.step()
        found.append((rewiring.theta["weight"].cpu(), layer.weight.detach().cpu()))
    for cpu, cuda in zip(*found, strict=True):
        torch.testing.assert_close(cuda, cpu, rtol=0, atol=1e-10)


# ST-RSBP


@pytest.mark.parametrize("gradient", ["adjoint", "published"])
def test_i12_training_at_spike_train_level_is_that_of_the_cpu(make_trainer, gradient):
    found = []
    for device in DEVICES:
        model = learner(network(dtype=torch.float64), gradient=gradient)
        make_trainer(accelerator=device, max_epochs=3, precision="64-true").fit(model, loader())
        found.append(weights(model).cpu())
    torch.testing.assert_close(*found, rtol=0, atol=1e-9)


@pytest.mark.parametrize("gradient", ["adjoint", "published"])
def test_i12_gradients_of_deep_recurrent_nets_are_those_of_the_cpu(gradient):
    def net() -> SpikingNetwork:
        layers = (
            SpikingConvLayer(1, 4, 3, threshold=3.0),
            RecurrentSpikingLayer(64, 80, threshold=4.0),
            SpikingLayer(80, 5, threshold=3.0),
        )
        return SpikingNetwork(*layers, seed=0).double()

    spikes = torch.rand(60, 7, 1, 6, 6, generator=torch.Generator().manual_seed(0)) < 0.3
    targets = torch.arange(7) % 5
    found = []
    for device in ("cpu", "cuda"):
        model = net().to(device)
        counts = model(spikes.to(device))
        model.backward(targets.to(device), loss=CountLoss(12, 2, 1), rule=gradient)
        found.append((counts.cpu(), [parameter.grad.cpu() for parameter in model.parameters()]))
    (counts, gradients), (other_counts, other_gradients) = found
    assert counts.sum() > 0
    assert torch.equal(counts, other_counts)
    for expected, gradient_ in zip(gradients, other_gradients, strict=True):
        torch.testing.assert_close(gradient_, expected, rtol=1e-9, atol=1e-9)


def test_spike_train_level_learns_under_16_mixed(make_trainer):
    model = learner()
    trainer = make_trainer(accelerator="gpu", max_epochs=20, precision="16-mixed")
    trainer.fit(model, loader())
    assert float(trainer.callback_metrics["train_accuracy"]) > 0.9


# SM-G


@pytest.mark.parametrize("operator", ["gaussian", "sm_r", "sm_g_sum", "sm_g_abs", "sm_g_so"])
def test_evolution_is_that_of_the_cpu(make_trainer, operator):
    found = []
    for device in DEVICES:
        module = evolving(curve_policy().double(), operator=operator)
        trainer = make_trainer(accelerator=device, max_epochs=-1, max_steps=5, precision="64-true")
        trainer.fit(module)
        found.append((module.champion_fitness, flat(module.best_policy())))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-6)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-5, atol=1e-6)


def test_recurrent_policies_evolve_on_a_gpu(make_trainer):
    sequences = torch.randn(12, 10, 1, generator=torch.Generator().manual_seed(0))
    evaluator = SupervisedEvaluator((sequences, sequences.cumsum(0)[-1]), nn.functional.mse_loss)
    module = evolving(Memory(), evaluator, operator="sm_g_sum")
    make_trainer(accelerator="gpu", max_epochs=-1, max_steps=4).fit(module)
    assert np.isfinite(float(module.champion_fitness))


@pytest.mark.parametrize("task", [tasks.BreadcrumbMaze, tasks.TopdownMaze])
def test_mazes_run_on_a_gpu(task):
    evaluator = task()
    policy = tasks.DeepPolicy(11, 2, layers=2) if task is tasks.BreadcrumbMaze else evaluator.policy()
    vector = nn.utils.parameters_to_vector(policy.parameters()).detach()
    noise = torch.randn(6, len(vector), generator=torch.Generator().manual_seed(0))
    params = vector + 0.1 * noise
    fitness = [
        evaluator(BatchedPolicy(policy.to(device)), params.to(device)).fitness.cpu() for device in ("cpu", "cuda")
    ]
    torch.testing.assert_close(fitness[1], fitness[0], rtol=0.05, atol=1e-3)


# Spectral learning


def test_a_spectral_start_on_a_gpu(make_trainer):
    series = random_series(60, 50)
    x, y = (torch.as_tensor(v, dtype=torch.float32) for v in (series, answers(random_net(0), series, noise=0.1)))
    start = SpectralInit()
    module = SpectralRNNModule(PolynomialRNN(6, 2, 3), spectral=start, learning_rate=1e-5)
    data = DataLoader(TensorDataset(x, y), batch_size=16)
    make_trainer(accelerator="gpu").fit(module, data, data)
    assert start.errors["before"] > 0.5
    assert start.errors["after"] < 0.1


# Reservoirs


@pytest.mark.parametrize("sparse", [False, True])
def test_a_reservoir_on_a_gpu_is_that_of_the_node(sparse):
    series = np.random.default_rng(0).uniform(-1, 1, (3, 40, 2))
    node = Reservoir(120, lr=0.3, sr=0.9, seed=0)
    expected = []
    for each in series:
        if node.initialized:
            node.reset()
        expected.append(node.run(each))
    reservoir = TorchReservoir.from_node(node, input_dim=2, sparse=sparse).cuda()
    found = reservoir(torch.tensor(series, device="cuda"))
    np.testing.assert_allclose(found.cpu().numpy(), np.stack(expected), atol=1e-12, rtol=0)


@pytest.mark.parametrize("precision", ["32-true", "16-mixed"])
def test_ridge_regression_gives_the_weights_of_the_cpu(make_trainer, precision):
    x = torch.rand(8, 100, 1, generator=torch.Generator().manual_seed(0))
    loader = DataLoader(TensorDataset(x, x.roll(1, 1)), batch_size=4)
    weights, losses = [], []
    for accelerator in DEVICES:
        node = Reservoir(50, sr=0.9, input_dim=1, seed=0)
        module = ReservoirModule(node, 1, ridge=[1.0, 1e-3], washout=10)
        trainer = make_trainer(accelerator=accelerator, precision=precision if accelerator == "gpu" else "32-true")
        trainer.fit(module, loader, loader)
        weights.append(module.readout.weight.detach().cpu())
        losses.append(trainer.callback_metrics["val_loss"].item())
    torch.testing.assert_close(*weights, atol=1e-8, rtol=0)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)
