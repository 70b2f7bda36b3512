import pytest
import torch
from torch import nn
from torch.optim import SGD

from lightning_neuro.gradient_rewiring import control
from lightning_neuro.gradient_rewiring.control import SparsityController
from lightning_neuro.gradient_rewiring.rewiring import Rewiring


def drive(controller, sparsity, steps: int, push: float = 0.0, sizes=(3000, 500), rate: float = 0.01):
    """Steps with noisy gradients that push every theta up by `push` per step; sparsity of each tensor per step."""
    generator = torch.Generator().manual_seed(0)
    weights = {f"w{i}": nn.Parameter(0.1 * (i + 1) * torch.randn(n, generator=generator)) for i, n in enumerate(sizes)}
    optimizer = SGD(weights.values(), lr=rate)
    rewiring = Rewiring(optimizer, weights, sparsity=sparsity, controller=controller)
    found = []
    for _ in range(steps):
        for name, w in weights.items():
            noise = 0.3 * torch.randn(w.shape, generator=generator)
            w.grad = noise - push / rate * rewiring.sign[name]
        optimizer.step()
        found.append({name: 1 - value for name, value in rewiring.connectivity().items()})
    return found, rewiring


@pytest.mark.parametrize("push", [0.0, 0.002, -0.002])
def test_p17_reaches_the_target_against_a_steady_push_and_holds_it(push):
    found, rewiring = drive(SparsityController(ramp_steps=200), 0.9, 400, push)
    assert all(abs(each["total"] - 0.9) < 0.005 for each in found[260:])
    assert found[0]["total"] < 0.2
    if push:
        assert rewiring.controller.drift["w0"] == pytest.approx(push, abs=3e-4)
        assert rewiring.alpha["w0"] == pytest.approx(rewiring.controller.drift["w0"] / 0.01)


def test_layers_have_targets_of_their_own():
    found, _ = drive(SparsityController("layer", ramp_steps=100), {"w0": 0.8, "w1": 0.3}, 250)
    assert found[-1]["w0"] == pytest.approx(0.8, abs=0.005)
    assert found[-1]["w1"] == pytest.approx(0.3, abs=0.01)


def test_follows_the_ramp():
    controller = SparsityController(ramp_steps=300)
    found, _ = drive(controller, 0.9, 300)
    for step in (29, 99, 199, 299):  # without looking ahead it is 0.05 late at first
        assert found[step]["total"] == pytest.approx(controller.target(0.9, 0.0, step + 1), abs=0.01)


def test_comes_back_from_too_sparse():
    found, _ = drive(SparsityController(ramp_steps=0, every=5), 0.5, 200, push=-0.01)
    assert found[-1]["total"] == pytest.approx(0.5, abs=0.01)


def test_a_sample_stands_for_large_tensors(monkeypatch):
    monkeypatch.setattr(control, "SAMPLE", 400)
    found, _ = drive(SparsityController(ramp_steps=100), 0.9, 400)
    assert sum(each["total"] for each in found[-100:]) / 100 == pytest.approx(0.9, abs=0.005)


def test_bad_arguments_are_refused_by_name():
    for options, message in (
        ({"scope": "net"}, "SparsityController: scope must be one of"),
        ({"ramp_steps": -1}, "ramp_steps must be at least 0"),
        ({"every": 0}, "every must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            SparsityController(**options)
