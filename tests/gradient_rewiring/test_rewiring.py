import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.optim import LBFGS, SGD, Adam, AdamW, Optimizer, RMSprop

from lightning_neuro.gradient_rewiring.control import SparsityController
from lightning_neuro.gradient_rewiring.functional import join
from lightning_neuro.gradient_rewiring.rewiring import Rewiring


class SignSgd(Optimizer):
    """Moves by the sign of a momentum, as Lion does, and has betas but no step count."""

    def __init__(self, params, lr: float = 0.01) -> None:
        super().__init__(params, {"lr": lr, "betas": (0.9, 0.99)})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                moment = self.state[p].setdefault("moment", torch.zeros_like(p))
                moment.lerp_(p.grad, 0.1)
                p.sub_(moment.sign(), alpha=group["lr"])


OPTIMIZERS = {
    "SGD": partial(SGD, lr=0.05),
    "SGD with momentum": partial(SGD, lr=0.05, momentum=0.9, weight_decay=0.1),
    "Adam": partial(Adam, lr=0.02),
    "Adam, foreach": partial(Adam, lr=0.02, foreach=True),
    "Adam, fused": partial(Adam, lr=0.02, fused=True),
    "AdamW": partial(AdamW, lr=0.02, weight_decay=0.1),
    "RMSprop": partial(RMSprop, lr=0.01),
    "sign of momentum": SignSgd,
}


def weight(seed: int = 0, shape=(5, 7), dtype=torch.float32) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 0.1)


def step(optimizer: Optimizer, w: nn.Parameter, gradient: Tensor) -> None:
    w.grad = gradient.clone()
    optimizer.step()


def noise(seed: int, like: Tensor) -> Tensor:
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(seed)).to(like.dtype)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_p02_and_p08_invariants_hold_and_theta_follows_the_displacement(name):
    w = weight()
    optimizer = OPTIMIZERS[name]([w])
    seen: list[Tensor] = []  # before each step, and after it where the optimizer itself had put the weight
    optimizer.register_step_pre_hook(lambda *_: seen.append(w.detach().clone()))
    optimizer.register_step_post_hook(lambda *_: seen.append(w.detach().clone()))
    rewiring = Rewiring(optimizer, {"w": w}, alpha=0.02, sparsity=0.9)
    signs = rewiring.sign["w"].clone()
    for index in range(30):
        before = rewiring.theta["w"].clone()
        step(optimizer, w, noise(index, w))
        theta = rewiring.theta["w"]
        assert torch.equal(w, join(theta, signs))
        assert torch.equal(rewiring.sign["w"], signs)
        assert (w[theta <= 0] == 0).all()
        drift = rewiring._drift("w", optimizer.param_groups[0])
        expected = before + signs * (seen[-1] - seen[-2]) - drift
        torch.testing.assert_close(theta, expected, rtol=1e-5, atol=1e-6)
    assert 0 < rewiring.connectivity()["w"] < 1


def test_p03_a_constant_gradient_revives_a_dormant_weight_after_predictable_steps():
    w = nn.Parameter(torch.tensor([0.05]))
    optimizer = SGD([w], lr=0.1)
    rewiring = Rewiring(optimizer, {"w": w}, alpha=0.0)
    step(optimizer, w, torch.tensor([2.0]))  # theta falls to -0.15
    assert w.item() == 0
    for _ in range(3):  # and rises by 0.04 each time: dormant at -0.11, -0.07, -0.03
        step(optimizer, w, torch.tensor([-0.4]))
        assert w.item() == 0
    step(optimizer, w, torch.tensor([-0.4]))
    assert w.item() == pytest.approx(0.01, abs=1e-6)
    assert rewiring.theta["w"].item() == pytest.approx(0.01, abs=1e-6)


def test_p04_without_prior_and_crossing_it_is_the_bare_optimizer_bit_for_bit():
    w, bare = weight(), weight()
    w.data += w.data.sign()
    bare.data.copy_(w.data)
    optimizer, other = Adam([w], lr=1e-3), Adam([bare], lr=1e-3)
    Rewiring(optimizer, {"w": w}, alpha=0.0)
    for index in range(20):
        step(optimizer, w, noise(index, w))
        step(other, bare, noise(index, w))
    assert torch.equal(w, bare)


def test_p07_the_target_is_inert_while_the_centre_is_out_of_reach():
    results = []
    for sparsity in (0.5 + 1e-3, 0.95, 0.999):
        w = weight()
        w.data.abs_().add_(1.0)
        optimizer = Adam([w], lr=1e-2)
        Rewiring(optimizer, {"w": w}, alpha=1e-3, sparsity=sparsity)
        for index in range(10):
            step(optimizer, w, noise(index, w))
        results.append(w.detach().clone())
    assert torch.equal(results[1], results[2])
    w = weight()
    optimizer = Adam([w], lr=1e-2)
    rewiring = Rewiring(optimizer, {"w": w}, alpha=50.0, sparsity=0.5)
    assert rewiring.centre("w") == 0
    for index in range(10):
        step(optimizer, w, noise(index, w))
    assert rewiring.theta["w"].min() > -1.5  # pulled up from below the centre as well as down


def test_p09_state_goes_on_bit_for_bit_and_is_plain(tmp_path):
    def run(steps: range, w, optimizer) -> None:
        for index in steps:
            step(optimizer, w, noise(index, w))

    def make(w):
        optimizer = Adam([w], lr=0.02)
        control = SparsityController(ramp_steps=12, every=3)
        return optimizer, Rewiring(optimizer, {"w": w}, sparsity=0.8, controller=control)

    whole = weight()
    optimizer, rewiring = make(whole)
    run(range(20), whole, optimizer)
    for stop in (1, 4, 7, 13):
        first = weight()
        optimizer, rewiring = make(first)
        run(range(stop), first, optimizer)
        torch.save([first.data, optimizer.state_dict(), rewiring.state_dict()], tmp_path / "state.pt")
        data, optimizer_state, state = torch.load(tmp_path / "state.pt", weights_only=True)
        second = nn.Parameter(data)
        optimizer, rewiring = make(second)
        optimizer.load_state_dict(optimizer_state)
        rewiring.load_state_dict(state)
        assert rewiring.resynchronised == 0
        run(range(stop, 20), second, optimizer)
        assert torch.equal(second, whole)


def test_state_of_another_model_is_refused_and_changes_nothing():
    w = weight()
    rewiring = Rewiring(SGD([w], lr=0.1), {"w": w})
    before = rewiring.theta["w"].clone()
    for shape, name in (((2, 2), "w"), ((5, 7), "v")):
        other = weight(1, shape)
        state = Rewiring(SGD([other], lr=0.1), {name: other}).state_dict()
        with pytest.raises(ValueError, match="Rewiring: the state belongs to another model or selection of weights"):
            rewiring.load_state_dict(state)
    assert torch.equal(rewiring.theta["w"], before)


def test_p19_zeros_get_a_random_sign_or_stay_dead():
    for zero_sign, grows in (("random", True), ("dead", False)):
        w = nn.Parameter(torch.zeros(200))
        optimizer = SGD([w], lr=0.1)
        rewiring = Rewiring(optimizer, {"w": w}, alpha=0.0, zero_sign=zero_sign)
        step(optimizer, w, torch.ones(200))
        alive = (w != 0).sum().item()
        assert (60 < alive < 140) if grows else alive == 0
        assert set(rewiring.sign["w"].unique().tolist()) == ({-1, 1} if grows else {0})


@pytest.mark.parametrize("zero", [True, False])
def test_edits_between_steps_are_noticed_and_taken_for_the_truth(zero):
    w = weight()
    optimizer = SGD([w], lr=0.1)
    rewiring = Rewiring(optimizer, {"w": w}, alpha=0.0)
    step(optimizer, w, noise(0, w))
    with torch.no_grad():
        w.zero_() if zero else w.copy_(weight(5))
    expected = w.detach().clone()
    step(optimizer, w, torch.zeros_like(w))
    assert rewiring.resynchronised == 1
    assert torch.equal(w, expected)
    step(optimizer, w, torch.zeros_like(w))
    assert rewiring.resynchronised == 1


def test_an_edit_inside_the_closure_and_a_new_memory_order_are_noticed():
    w = weight(shape=(4, 3, 2, 2))
    optimizer = SGD([w], lr=0.1)
    rewiring = Rewiring(optimizer, {"w": w}, alpha=0.0)

    def closure() -> Tensor:
        with torch.no_grad():
            w.fill_(0.5)
        w.grad = torch.zeros_like(w)
        return w.sum()

    assert optimizer.step(closure).item() == pytest.approx(24)
    assert torch.equal(w, torch.full_like(w, 0.5))
    w.data = w.data.to(memory_format=torch.channels_last)
    step(optimizer, w, torch.ones_like(w))
    torch.testing.assert_close(w, torch.full_like(w, 0.4))
    assert rewiring.theta["w"].stride() == w.stride()


def test_nan_gradients_raise_before_anything_changes_or_skip_the_step():
    for closure in (False, True):
        w = weight()
        optimizer = Adam([w], lr=0.1)
        rewiring = Rewiring(optimizer, {"w": w})
        step(optimizer, w, noise(0, w))
        before, moments = w.detach().clone(), optimizer.state[w]["exp_avg"].clone()
        bad = noise(1, w)
        bad[0, 0] = math.nan

        def evaluate(w=w, bad=bad) -> None:
            w.grad = bad.clone()

        if not closure:
            evaluate()
        with pytest.raises(FloatingPointError, match="gradient of 'w' holds NaN or infinity at optimizer step 1"):
            optimizer.step(evaluate) if closure else optimizer.step()
        assert torch.equal(w, before)
        assert torch.equal(optimizer.state[w]["exp_avg"], moments)
        rewiring.on_nonfinite = "skip"
        w.grad = bad.clone()
        optimizer.step()
        assert torch.equal(w, before)
        assert rewiring.steps == 1


def test_p11_a_step_that_the_scaler_skips_leaves_theta_alone():
    for fused in (False, True):
        w = weight()
        optimizer = Adam([w], lr=0.1, fused=fused)
        rewiring = Rewiring(optimizer, {"w": w}, alpha=1.0)
        before = rewiring.theta["w"].clone()
        scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
        scaler.scale(w.sum()).backward()
        w.grad[0] = math.inf
        scaler.step(optimizer)
        scaler.update()
        assert torch.equal(rewiring.theta["w"], before), fused
        assert rewiring.steps == 0
        optimizer.zero_grad()
        scaler.scale(w.sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        assert not torch.equal(rewiring.theta["w"], before)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_weights_keep_what_they_cannot_show_in_theta(dtype):
    w = nn.Parameter(torch.full((3,), 0.5, dtype=dtype))
    optimizer = SGD([w], lr=1e-3)
    rewiring = Rewiring(optimizer, {"w": w}, alpha=0.01)
    for _ in range(100):
        step(optimizer, w, torch.zeros_like(w))
    assert rewiring.theta["w"].tolist() == pytest.approx([0.499] * 3, abs=1e-5)


def test_freezing_keeps_connections_and_lets_weights_learn():
    w = weight()
    optimizer = SGD([w], lr=0.05)
    rewiring = Rewiring(optimizer, {"w": w}, alpha=0.2, freeze_after=10)
    for index in range(10):
        step(optimizer, w, noise(index, w))
    links, values = (w != 0).clone(), w.detach().clone()
    assert rewiring.frozen
    for index in range(10, 40):
        step(optimizer, w, noise(index, w))
    assert torch.equal(w != 0, links)
    assert (w != values)[links].all()


def test_trimming_leaves_exactly_the_strongest():
    w, v = weight(0, (10, 10)), weight(1, (10, 5))
    optimizer = SGD([w, v], lr=0.0)
    sizes = torch.cat([w.detach().flatten(), v.detach().flatten()]).abs().sort(descending=True).values
    rewiring = Rewiring(optimizer, {"w": w, "v": v}, alpha=0.0, sparsity=0.9, freeze_after=1, trim=True)
    step(optimizer, w, torch.zeros_like(w))
    kept = torch.cat([w[w != 0], v[v != 0]]).detach().abs().sort(descending=True).values
    assert torch.equal(kept, sizes[:15])
    assert rewiring.connectivity()["total"] == pytest.approx(0.1)


def test_schedule_scales_alpha():
    w = nn.Parameter(torch.ones(1))
    optimizer = SGD([w], lr=0.1)
    Rewiring(optimizer, {"w": w}, alpha=1.0, schedule=lambda t: 0.0 if t < 2 else 0.5)
    for expected in (1.0, 1.0, 0.95):
        step(optimizer, w, torch.zeros(1))
        assert w.item() == pytest.approx(expected)


def test_theta_min_bounds_how_deep_a_synapse_sleeps():
    w = nn.Parameter(torch.full((2,), 0.1))
    optimizer = SGD([w], lr=1.0)
    rewiring = Rewiring(optimizer, {"w": w}, theta_min=-0.25)
    step(optimizer, w, torch.full((2,), 9.0))
    assert rewiring.theta["w"].tolist() == [-0.25, -0.25]


def test_removed_it_lets_go():
    w = weight()
    optimizer = SGD([w], lr=0.1)
    rewiring = Rewiring(optimizer, {"w": w}, alpha=0.0)
    rewiring.remove()
    step(optimizer, w, 100 * w.detach())
    assert (w != 0).all()
    assert rewiring.steps == 0


def test_bad_input_is_refused_by_name_and_leaves_no_hook():
    w, other = weight(), weight(1)
    optimizer = SGD([w], lr=0.1)
    tied = [("a", w), ("b", w)]
    nan = nn.Parameter(torch.tensor([math.nan]))
    for call, error, message in [
        (
            lambda: Rewiring(optimizer, {"w": w}, sparsity=0.4),
            ValueError,
            "Rewiring: sparsity must be at least 0.5 and",
        ),
        (lambda: Rewiring(optimizer, {"w": w}, sparsity=1.0), ValueError, "less than 1, got 1.0"),
        (lambda: Rewiring(optimizer, {"w": w}, alpha=-1.0), ValueError, "Rewiring: alpha must be at least 0, got -1.0"),
        (lambda: Rewiring(optimizer, {"w": w}, alpha={"v": 1.0}), ValueError, "alpha must give a number for each of"),
        (lambda: Rewiring(optimizer, {"w": w}, zero_sign="plus"), ValueError, "zero_sign must be one of"),
        (lambda: Rewiring(optimizer, {"w": w}, theta_min=0.1), ValueError, "theta_min must be less than 0"),
        (lambda: Rewiring(optimizer, {}), ValueError, "there is no weight to manage"),
        (lambda: Rewiring(optimizer, tied), ValueError, "'b' is tied to 'a'"),
        (lambda: Rewiring(optimizer, {"v": other}), ValueError, "'v' is not among the parameters of SGD"),
        (lambda: Rewiring(LBFGS([w]), {"w": w}), TypeError, "LBFGS is not supported"),
        (lambda: Rewiring(w, {"w": w}), TypeError, "must be a torch.optim.Optimizer"),
        (lambda: Rewiring(SGD([nan], lr=0.1), {"n": nan}), ValueError, "'n' holds NaN or infinity"),
        (
            lambda: Rewiring(optimizer, {"w": w}, controller=SparsityController(), schedule=math.sin),
            ValueError,
            "schedule scales alpha, which the controller sets",
        ),
    ]:
        with pytest.raises(error, match=message):
            call()
    step(optimizer, w, 100 * w.detach())
    assert (w != 0).all()
