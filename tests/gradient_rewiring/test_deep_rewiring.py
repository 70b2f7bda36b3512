import math

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam

from lightning_neuro.gradient_rewiring import deep
from lightning_neuro.gradient_rewiring.deep_rewiring import DeepR
from lightning_neuro.gradient_rewiring.draws import Draws
from lightning_neuro.gradient_rewiring.functional import join


def weight(seed: int = 0, shape=(10, 20)) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 0.1)


def run(optimizer, w: nn.Parameter, steps: range) -> None:
    for index in steps:
        w.grad = torch.randn(w.shape, generator=torch.Generator().manual_seed(index))
        optimizer.step()


def test_p18_the_count_is_exact_after_every_step_and_connections_come_back():
    w = weight()
    optimizer = Adam([w], lr=0.02)
    rewiring = DeepR(optimizer, {"w": w}, l1=1e-2, temperature=1e-4, sparsity=0.85)
    signs = rewiring.sign["w"].clone()
    born, links = torch.zeros_like(w, dtype=torch.bool), (w != 0).clone()
    assert int(links.sum()) == 30
    for index in range(60):
        run(optimizer, w, range(index, index + 1))
        now = w != 0
        assert int(now.sum()) == 30
        assert torch.equal(w, join(rewiring.theta["w"], signs))
        born |= now & ~links
        links = now.clone()
    assert born.sum() > 20
    assert (w.abs() > 1e-3).logical_and(born).sum() > 5  # and what came back has learned


def test_the_start_is_a_fair_choice_that_depends_on_the_seed():
    kept = torch.zeros(200)
    for seed in range(200):
        w = weight(0, (200,))
        DeepR(SGD([w], lr=0.1), {"w": w}, l1=0.0, temperature=0.0, sparsity=0.75, seed=seed)
        kept += w != 0
    assert kept.sum() == 200 * 50
    assert kept.min() > 25
    assert kept.max() < 80


def test_noise_has_the_scale_of_the_temperature():
    w = nn.Parameter(torch.full((20000,), 5.0))
    optimizer = SGD([w], lr=0.02)
    DeepR(optimizer, {"w": w}, l1=0.0, temperature=0.04, soft=True)
    w.grad = torch.zeros_like(w)
    optimizer.step()
    moved = w.detach() - 5
    assert moved.std().item() == pytest.approx(0.04, rel=0.03)
    assert abs(moved.mean().item()) < 0.001
    for _ in range(8):  # steps are independent, so that variances add
        optimizer.step()
    assert (w.detach() - 5).std().item() == pytest.approx(3 * 0.04, rel=0.03)


def test_soft_synapses_wander_back_and_never_below_the_floor():
    w = weight()
    optimizer = SGD([w], lr=0.05)
    rewiring = DeepR(optimizer, {"w": w}, l1=0.05, temperature=1e-2, sparsity=0.5, soft=True)
    links, regrown = (w != 0).clone(), 0
    floor = deep.soft_floor(1e-2, 0.05, 0.5)
    for index in range(100):
        run(optimizer, w, range(index, index + 1))
        regrown += int(((w != 0) & ~links).sum())
        links = (w != 0).clone()
        assert rewiring.theta["w"].min() >= floor - 1e-6
    assert regrown > 50


def test_resume_draws_what_an_uninterrupted_run_draws():
    def make(w):
        optimizer = Adam([w], lr=0.02)
        return optimizer, DeepR(optimizer, {"w": w}, l1=1e-2, temperature=1e-3, sparsity=0.8)

    whole, first = weight(), weight()
    run(make(whole)[0], whole, range(12))
    optimizer, rewiring = make(first)
    run(optimizer, first, range(5))
    second = nn.Parameter(first.detach().clone())
    other, resumed = make(second)
    with torch.no_grad():
        second.copy_(first)
    other.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(rewiring.state_dict())
    run(other, second, range(5, 12))
    assert torch.equal(second, whole)


def test_published_hard_form_revives_weights_that_never_learn():
    w = weight()
    optimizer = Adam([w], lr=0.02)
    rewiring = DeepR(optimizer, {"w": w}, l1=0.1, temperature=0.0, sparsity=0.3, published=True)
    links, revived = rewiring.theta["w"] > 0, 0
    for index in range(30):
        run(optimizer, w, range(index, index + 1))
        revived += int(((w != 0) & (rewiring.theta["w"] == 0)).sum())
        now = rewiring.theta["w"] > 0
        assert not (now & ~links).any()
        links = now
    assert revived > 20


def test_draws_are_reproducible_and_fair():
    like = torch.zeros(20000)
    first, second, other = Draws(0, "w", 3), Draws(0, "w", 3), Draws(0, "w", 4)
    drawn = first.normal(like)
    assert torch.equal(drawn, second.normal(like))
    assert not torch.equal(drawn, other.normal(like))
    assert drawn.std().item() == pytest.approx(1, abs=0.03)
    assert first.bernoulli(0.2, like).double().mean().item() == pytest.approx(0.2, abs=0.01)


@pytest.mark.parametrize(("share", "count"), [(2, 10), (2, 30), (20, 5)])
def test_choices_are_exact_and_fair_by_rejection_and_by_shuffling(share, count):
    among = (torch.arange(100) % share == 0).view(20, 5)
    counts = torch.zeros(100)
    for step in range(600):
        chosen: Tensor = Draws(0, "w", step).choose(among, count)
        assert len(chosen.unique()) == len(chosen) == count
        counts[chosen] += 1
    expected = 600 * count / int(among.sum())
    assert counts[~among.flatten()].sum() == 0
    spread = (expected * (1 - expected / 600)) ** 0.5
    assert (counts[among.flatten()] - expected).abs().max() <= 4 * spread


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_keeps_the_exact_count(dtype):
    w = nn.Parameter(weight().detach().to(dtype))
    optimizer = SGD([w], lr=0.05)
    rewiring = DeepR(optimizer, {"w": w}, l1=0.05, temperature=1e-3, sparsity=0.85)
    for index in range(30):
        w.grad = torch.randn(w.shape, generator=torch.Generator().manual_seed(index)).to(dtype)
        optimizer.step()
        assert int((w != 0).sum()) == 30
        assert torch.equal(w != 0, rewiring.theta["w"] > 0)


def test_noise_is_drawn_for_connections_only():
    drawn = []

    class Counted(Draws):
        def normal(self, like):
            drawn.append(like.numel())
            return super().normal(like)

    w = weight()
    optimizer = SGD([w], lr=0.05)
    DeepR(optimizer, {"w": w}, l1=0.05, temperature=1e-3, sparsity=0.85, draws=Counted)
    run(optimizer, w, range(3))
    assert drawn == [30, 30, 30]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"l1": -1.0}, "DeepR: l1 must be at least 0"),
        ({"temperature": math.inf}, "DeepR: temperature must be at least 0"),
        ({"sparsity": 1.0}, "DeepR: sparsity must be at least 0 and less than 1"),
    ],
)
def test_bad_arguments_are_refused_by_name(options, message):
    w = weight()
    before = w.detach().clone()
    with pytest.raises(ValueError, match=message):
        DeepR(SGD([w], lr=0.1), {"w": w}, **({"l1": 0.1, "temperature": 0.1} | options))
    assert torch.equal(w, before)
