from functools import partial

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import CosineAnnealingLR, MultiStepLR, OneCycleLR

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
    assert all(abs(each["total"] - 0.9) < 0.0003 for each in found[199:])  # one synapse of 3500
    assert found[0]["total"] < 0.2
    if push:
        drifts = rewiring.alpha["w0"] * 0.01, rewiring.controller.drift["w0"]
        assert drifts[0] == pytest.approx(drifts[1])


def test_layers_have_targets_of_their_own():
    found, _ = drive(SparsityController("layer", ramp_steps=100), {"w0": 0.8, "w1": 0.3}, 250)
    assert found[-1]["w0"] == pytest.approx(0.8, abs=0.0003)
    assert found[-1]["w1"] == pytest.approx(0.3, abs=0.002)


def test_stays_between_the_ramp_and_the_target():
    controller = SparsityController(ramp_steps=300)
    found, _ = drive(controller, 0.9, 300)
    for step, each in enumerate(found):
        assert controller.target(0.9, 0.0, step + 1) - 0.001 <= each["total"] <= 0.901
    assert found[99]["total"] == pytest.approx(controller.target(0.9, 0.0, 100), abs=0.01)


def test_comes_back_from_too_sparse():
    found, _ = drive(SparsityController(ramp_steps=0), 0.5, 200, push=-0.01)
    assert all(abs(each["total"] - 0.5) < 0.001 for each in found)


def test_a_sample_stands_for_large_tensors(monkeypatch):
    monkeypatch.setattr(control, "SAMPLE", 10_000)
    found, rewiring = drive(SparsityController(ramp_steps=50), 0.9, 150, sizes=(60_000, 20_000))
    assert all(abs(each["total"] - 0.9) < 0.005 for each in found[50:])
    assert sum(map(len, rewiring.controller._places.values())) == 10_000


def test_dead_synapses_are_counted_and_not_moved():
    weight = nn.Parameter(torch.randn(101))
    weight.data[50] = 0
    optimizer = SGD([weight], lr=0.1)
    controller = SparsityController(ramp_steps=0)
    rewiring = Rewiring(optimizer, {"w": weight}, sparsity=0.5, zero_sign="dead", controller=controller)
    weight.grad = torch.ones(101)
    optimizer.step()
    assert int((weight == 0).sum()) == 50
    assert rewiring.theta["w"][50] == 0


SETTINGS = {
    "Adam": (partial(Adam, lr=1e-3), None),
    "SGD": (partial(SGD, lr=1e-2), None),
    "one cycle": (partial(Adam, lr=1e-2), partial(OneCycleLR, max_lr=1e-2, total_steps=121)),
    "cosine": (partial(Adam, lr=1e-2), partial(CosineAnnealingLR, T_max=120)),
    "steps": (partial(Adam, lr=1e-2), partial(MultiStepLR, milestones=[75, 100])),
}


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("name", SETTINGS)
def test_p17_held_at_every_step_on_a_small_net_with_norms_whatever_the_learning_rate_does(name, scope):
    make, schedule = SETTINGS[name]
    net = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.BatchNorm1d(64), nn.Linear(64, 5))
    weights = {n: p for n, p in net.named_parameters() if p.ndim == 2}
    inputs = torch.randn(640, 32)
    labels = (inputs @ torch.randn(32, 5)).argmax(1)
    optimizer = make(net.parameters())
    scheduler = schedule(optimizer) if schedule else None
    rewiring = Rewiring(optimizer, weights, sparsity=0.9, controller=SparsityController(scope, ramp_steps=60))
    for index in range(120):
        rows = slice(32 * (index % 20), 32 * (index % 20) + 32)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(inputs[rows]), labels[rows]).backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        if index >= 59:
            found = rewiring.connectivity()
            for each in ["total"] if scope == "global" else weights:
                size = weights[each].numel() if each in weights else 32 * 64 + 64 * 5
                assert abs(1 - found[each] - 0.9) <= 0.5 / size + 1e-9, (index, each)


@pytest.mark.parametrize("why", ["no gradient", "no learning rate"])
def test_what_cannot_move_is_neither_counted_nor_pulled(why):
    weights = {name: nn.Parameter(torch.randn(1000)) for name in ("a", "b", "still")}
    groups = [
        {"params": [weights["a"], weights["b"]], "lr": 0.01},
        {"params": [weights["still"]], "lr": 0.01 if why == "no gradient" else 0.0},
    ]
    before = weights["still"].detach().clone()
    optimizer = SGD(groups)
    rewiring = Rewiring(optimizer, weights, sparsity=0.8, controller=SparsityController(ramp_steps=20))
    for _ in range(30):
        for name, weight in weights.items():
            weight.grad = None if name == "still" and why == "no gradient" else torch.randn(1000)
        optimizer.step()
    found = rewiring.connectivity()
    assert (found["a"] + found["b"]) / 2 == pytest.approx(0.2, abs=1e-3)
    assert torch.equal(weights["still"], before)


def test_bad_arguments_are_refused_by_name():
    for options, message in (
        ({"scope": "net"}, "SparsityController: scope must be one of"),
        ({"ramp_steps": -1}, "ramp_steps must be at least 0"),
        ({"every": 0}, "every must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            SparsityController(**options)
