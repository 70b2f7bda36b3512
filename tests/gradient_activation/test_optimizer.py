import copy
import math
import pickle
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support import golden
from torch import Tensor, nn
from torch.optim import LBFGS, SGD, Adam, Optimizer, RMSprop

from lightning_neuro.gradient_activation import GradientActivationOptimizer
from lightning_neuro.gradient_activation import functional as gaf

TOLERANCES = {torch.float64: 1e-12, torch.float32: 2e-6}
# The authors' class: (function, placement).
SGD_FAMILY = {
    "SGD_ori": ("identity", "gradient"),
    "SGD_atan": ("atan", "gradient"),
    "SGD_atanMom": ("atan", "update"),
    "SGD_tanh_Mom": ("tanh", "update"),
    "SGD_log_Mom": ("log", "update"),
    "SGD_atanMom_Ada": ("as in the case", "update"),
}


def published_adaptive(gradient: Tensor, alpha: float, beta: float, *, gamma: float, shrink: float) -> Tensor:
    """The authors' adaptive form, which takes max() and not max(abs())."""
    return gaf.atan_adaptive(gradient, gamma, shrink, largest=gradient.max())


def run_golden(
    case: dict[str, Any], inputs: dict[str, Any], make: Callable[..., Optimizer], dtype: torch.dtype
) -> tuple[list[dict[str, Tensor]], Optimizer, list[dict[str, Tensor]]]:
    """Feed the recorded gradients; return parameters and gradients after each step."""
    parameters = {name: nn.Parameter(t) for name, t in golden.tensors(inputs["init"], dtype).items()}
    optimizer = make(parameters)
    weights, gradients = [], []
    for step, recorded in enumerate(inputs["gradients"]):
        for name, gradient in golden.tensors(recorded, dtype).items():
            parameters[name].grad = None if [step, name] in case["grad_is_none_at"] else gradient
        optimizer.step()
        weights.append({name: p.detach().clone() for name, p in parameters.items()})
        gradients.append({name: p.grad.clone() for name, p in parameters.items() if p.grad is not None})
    return weights, optimizer, gradients


def groups_of(case: dict[str, Any], parameters: dict[str, nn.Parameter]) -> list[dict[str, Any]]:
    """The case's parameter groups, with the authors' alpha and beta under our keys."""
    groups = []
    for group in case["param_groups"] or [{"params": list(parameters), "overrides": {}}]:
        renamed = {"alpha": "gradient_activation_alpha", "beta": "gradient_activation_beta"}
        overrides = {renamed.get(key, key): value for key, value in group["overrides"].items()}
        groups.append({"params": [parameters[name] for name in group["params"]], **overrides})
    return groups


def sgd_of(case: dict[str, Any], parameters: dict[str, nn.Parameter], **options: Any) -> Optimizer:
    arguments = dict(case["args"])
    function, placement = SGD_FAMILY[case["class"]]
    alpha, beta = arguments.pop("alpha", 0.3), arguments.pop("beta", 4.5)
    if "gamma" in arguments:
        function = partial(published_adaptive, gamma=arguments.pop("gamma"), shrink=arguments.pop("shrink"))
    if alpha < 0 or beta < 0:  # the authors' way to switch the activation off
        function, alpha, beta = "identity", 1.0, 1.0
    inner = SGD(groups_of(case, parameters), **arguments, **options)
    return GradientActivationOptimizer(inner, function, alpha, beta, placement=placement)


SGD_CASES = golden.cases(
    "gaf_sgd_ori", "gaf_sgd_atan", "gaf_sgd_atanmom", "gaf_sgd_tanh_mom", "gaf_sgd_log_mom", "gaf_sgd_atanmom_ada"
)
# The tolerance in single precision is stated for gradients of middle size.
SINGLE_CASES = [case for case in SGD_CASES if case.values[0]["inputs"] == "mid"]


def check_sgd_family(case: dict[str, Any], inputs: dict[str, Any], foreach: bool, dtype: torch.dtype) -> None:
    weights, _, _ = run_golden(case, inputs, partial(sgd_of, case, foreach=foreach), dtype)
    for found, step in zip(weights, case["steps"], strict=True):
        golden.assert_recorded(found, step["params"], TOLERANCES[dtype])


@pytest.mark.filterwarnings("ignore:.*slope 0.5 at zero.*")
@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize(("case", "inputs"), SGD_CASES)
def test_p05_p06_sgd_family_equals_the_authors_classes(case, inputs, foreach):
    check_sgd_family(case, inputs, foreach, torch.float64)


@pytest.mark.filterwarnings("ignore:.*slope 0.5 at zero.*")
@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize(("case", "inputs"), SINGLE_CASES)
def test_p05_p06_sgd_family_in_single_precision(case, inputs, foreach):
    check_sgd_family(case, inputs, foreach, torch.float32)


@pytest.mark.parametrize(("case", "inputs"), golden.cases("gaf_sgd_atanmom", "gaf_sgd_log_mom"))
def test_p14_update_placement_leaves_the_gradient_alone(case, inputs):
    _, _, gradients = run_golden(case, inputs, partial(sgd_of, case), torch.float64)
    for step, found in enumerate(gradients):
        for name, gradient in found.items():
            assert torch.equal(gradient, golden.tensors(inputs["gradients"][step])[name])


class ReferenceAdam(Optimizer):
    """Adam as the authors write it: eps is added before the bias correction, unlike in torch."""

    def __init__(self, params: Any, lr: float = 1e-3, betas: Any = (0.9, 0.999), eps: float = 1e-8, weight_decay=0.0):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            b1, b2 = group["betas"]
            for p in (p for p in group["params"] if p.grad is not None):
                state = self.state[p]
                t = state["step"] = state.get("step", 0) + 1
                u = p.grad + group["weight_decay"] * p
                m = state["exp_avg"] = b1 * state.get("exp_avg", 0.0) + (1 - b1) * u
                v = state["exp_avg_sq"] = b2 * state.get("exp_avg_sq", 0.0) + (1 - b2) * u * u
                size = group["lr"] * math.sqrt(1 - b2**t) / (1 - b1**t)
                p.sub_(size * m / (v.sqrt() + group["eps"]))


def adam_of(case: dict[str, Any], parameters: dict[str, nn.Parameter]) -> Optimizer:
    arguments = dict(case["args"])
    alpha, beta = arguments.pop("alpha", 0.1), arguments.pop("beta", 15.0)
    function = "atan" if beta > 0 else "identity"
    inner = ReferenceAdam(groups_of(case, parameters), **arguments)
    return GradientActivationOptimizer(inner, function, abs(alpha), abs(beta))


def check_golden(case: dict[str, Any], inputs: dict[str, Any], make: Callable[..., Optimizer]) -> None:
    """In double precision, and in single where its tolerance is stated."""
    dtypes = TOLERANCES if case["inputs"] == "mid" else [torch.float64]
    for dtype in dtypes:
        weights, _, _ = run_golden(case, inputs, make, dtype)
        for found, step in zip(weights, case["steps"], strict=True):
            golden.assert_recorded(found, step["params"], TOLERANCES[dtype])


@pytest.mark.filterwarnings("ignore:.*at most 1, so no gradient is enlarged.*")
@pytest.mark.parametrize(("case", "inputs"), golden.cases("gaf_adam_atan"))
def test_gradient_placement_equals_the_authors_adam(case, inputs):
    check_golden(case, inputs, partial(adam_of, case))


class ReferenceRMSprop(Optimizer):
    """RMSprop written out, because torch's own may place eps elsewhere."""

    def __init__(self, params, lr=0.01, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):
        defaults = {"lr": lr, "alpha": alpha, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"momentum": momentum, "centered": centered})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            a = group["alpha"]
            for p in (p for p in group["params"] if p.grad is not None):
                state = self.state[p]
                u = p.grad + group["weight_decay"] * p
                square = state["square_avg"] = a * state.get("square_avg", 0.0) + (1 - a) * u * u
                mean = state["grad_avg"] = a * state.get("grad_avg", 0.0) + (1 - a) * u
                scale = (square - mean**2 if group["centered"] else square).sqrt() + group["eps"]
                buffer = state["momentum_buffer"] = group["momentum"] * state.get("momentum_buffer", 0.0) + u / scale
                p.sub_(group["lr"] * buffer)


@pytest.mark.filterwarnings("ignore:.*at most 1, so no gradient is enlarged.*")
@pytest.mark.parametrize(("case", "inputs"), golden.cases("gaf_rmsprop_atan"))
def test_gradient_placement_equals_the_authors_rmsprop(case, inputs):
    def make(parameters: dict[str, nn.Parameter]) -> Optimizer:
        inner = ReferenceRMSprop(list(parameters.values()), **case["args"])
        return GradientActivationOptimizer(inner, "atan", 0.7, 0.7)

    check_golden(case, inputs, make)


def test_zero_gradients_that_break_the_authors_adaptive_form_are_safe_here():
    recorded = golden.load("gaf_cannot_run")["cannot_run"]
    [broken] = [case for case in recorded if case.get("input") == "one step, all gradients exactly zero"]
    assert set(broken["result_params"]["w"]) == {"nan"}
    for placement in ("gradient", "update"):
        w = quadratic()
        w.grad = torch.zeros_like(w)
        GradientActivationOptimizer(SGD([w], lr=0.1), "atan_adaptive", placement=placement).step()
        assert torch.equal(w, quadratic())


def quadratic(size: int = 6, dtype: torch.dtype = torch.float64) -> nn.Parameter:
    return nn.Parameter(torch.linspace(-2, 2, size, dtype=dtype))


def descend(parameter: nn.Parameter, optimizer: Optimizer, steps: int, curvature: Tensor | float = 1.0) -> list[Tensor]:
    """Steps on f(w) = sum(curvature * w^2) / 2; every weight on the way."""
    path = [parameter.detach().clone()]
    for _ in range(steps):
        parameter.grad = (curvature * parameter).detach()
        optimizer.step()
        path.append(parameter.detach().clone())
    return path


@pytest.mark.parametrize("placement", ["gradient", "update"])
@pytest.mark.parametrize("way", ["function", "strength", "group"])
def test_p04_identity_leaves_training_bit_identical(placement, way):
    plain, wrapped = quadratic(), quadratic()
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    expected = descend(plain, SGD([plain], **options), 20)
    inner = SGD([{"params": [wrapped], "gradient_activation": "identity" if way == "group" else "atan"}], **options)
    if way == "function":
        del inner.param_groups[0]["gradient_activation"]
    schedule = (lambda step: 0.0) if way == "strength" else None
    function = "identity" if way == "function" else "atan"
    optimizer = GradientActivationOptimizer(inner, function, placement=placement, schedule=schedule)
    assert torch.equal(torch.stack(descend(wrapped, optimizer, 20)), torch.stack(expected))


@given(alpha=st.floats(0.01, 10), beta=st.floats(0.01, 100), momentum=st.floats(0, 0.99), decay=st.floats(0, 1))
@pytest.mark.filterwarnings("ignore:.*no gradient is enlarged.*")
def test_p07_update_placement_bounds_every_move(alpha, beta, momentum, decay):
    w = quadratic()
    inner = SGD([w], lr=0.1, momentum=momentum, weight_decay=decay)
    path = descend(w, GradientActivationOptimizer(inner, "atan", alpha, beta, placement="update"), 10, curvature=1e3)
    moves = torch.stack(path).diff(dim=0).abs()
    assert moves.max() <= 0.1 * alpha * math.pi / 2 * (1 + 1e-12) + 1e-15


@pytest.mark.parametrize("function", ["atan", "tanh", "log", "atan_adaptive"])
def test_p08_placements_agree_without_momentum_and_decay(function):
    paths = []
    for placement in ("gradient", "update"):
        w = quadratic()
        optimizer = GradientActivationOptimizer(SGD([w], lr=0.1), function, placement=placement)
        paths.append(torch.stack(descend(w, optimizer, 10)))
    torch.testing.assert_close(paths[0], paths[1], rtol=1e-14, atol=1e-15)


def test_p09_alpha_is_inert_for_adam():
    paths = {}
    for alpha in (0.1, 5.0):
        w = quadratic()
        paths[alpha] = descend(w, GradientActivationOptimizer(Adam([w], lr=0.01, eps=1e-300), "atan", alpha, 20.0), 20)
    torch.testing.assert_close(torch.stack(paths[0.1]), torch.stack(paths[5.0]), rtol=1e-13, atol=1e-14)


def test_p15_sparse_embedding_equals_dense_embedding():
    tables = []
    for sparse, placement in ((False, "gradient"), (True, "gradient"), (True, "update")):
        embedding = nn.Embedding(5, 3, sparse=sparse, dtype=torch.float64)
        nn.init.constant_(embedding.weight, 0.5)
        optimizer = GradientActivationOptimizer(SGD(embedding.parameters(), lr=0.1), "atan", placement=placement)
        for indices in ([0, 0, 3], [4, 3, 3]):
            optimizer.zero_grad()
            embedding(torch.tensor(indices)).pow(2).sum().backward()
            optimizer.step()
        tables.append(embedding.weight.detach())
    assert not torch.equal(tables[0], torch.full_like(tables[0], 0.5))
    for table in tables[1:]:
        torch.testing.assert_close(table, tables[0], rtol=1e-13, atol=0.0)


def test_p17_leaves_a_saddle_sooner():
    lr, slope = 0.05, 2.0

    def steps_to_escape(function: str) -> int:
        w = nn.Parameter(torch.tensor([1.0, 1e-6], dtype=torch.float64))
        optimizer = GradientActivationOptimizer(SGD([w], lr=lr), function, alpha=0.1, beta=20.0)
        for step in range(10_000):
            if abs(w[1].item()) > 1e-2:
                return step
            w.grad = (w * torch.tensor([2.0, -2.0])).detach()
            optimizer.step()
        raise AssertionError("never left the saddle")

    plain, activated = steps_to_escape("identity"), steps_to_escape("atan")
    predicted = math.log(1 + lr * 2) / math.log(1 + lr * 2 * slope)
    assert activated / plain == pytest.approx(predicted, abs=0.03)


@pytest.mark.parametrize("function", ["atan", "tanh", "log"])
def test_p18_descends_monotonically_below_two_over_curvature_times_slope(function):
    curvature = torch.tensor([100.0, 10.0, 1.0, 0.1, 0.01, 1e-3], dtype=torch.float64)
    w = quadratic()
    optimizer = GradientActivationOptimizer(SGD([w], lr=0.999 * 2 / (100.0 * 2.0)), function, 0.1, 20.0)
    losses = [(curvature * point**2).sum() / 2 for point in descend(w, optimizer, 300, curvature)]
    assert all(after < before for before, after in pairwise(losses))


def test_update_of_another_optimizer_is_the_change_over_the_learning_rate():
    plain, wrapped = quadratic(), quadratic()
    rmsprop = partial(RMSprop, lr=0.1)
    with pytest.warns(UserWarning, match="placement='update' is meant for SGD"):
        optimizer = GradientActivationOptimizer(rmsprop([wrapped]), "tanh", 0.5, 4.0, placement="update")
    path = descend(plain, rmsprop([plain]), 1)
    expected = path[0] - 0.1 * gaf.tanh((path[0] - path[1]) / 0.1, 0.5, 4.0)
    torch.testing.assert_close(descend(wrapped, optimizer, 1)[1], expected, rtol=1e-13, atol=1e-14)


def test_maximize_and_a_tensor_learning_rate_are_followed():
    paths = []
    for maximize, sign in ((False, 1.0), (True, -1.0)):
        w = quadratic()
        inner = SGD([w], lr=torch.tensor(0.1, dtype=torch.float64), maximize=maximize, weight_decay=0.1)
        paths.append(descend(w, GradientActivationOptimizer(inner, placement="update"), 5, curvature=sign))
    torch.testing.assert_close(torch.stack(paths[0]), torch.stack(paths[1]))


def test_learning_rate_zero_moves_nothing():
    w = quadratic()
    with pytest.warns(UserWarning, match="meant for SGD"):
        optimizer = GradientActivationOptimizer(Adam([w], lr=0.0), placement="update")
    path = descend(w, optimizer, 3)
    assert torch.equal(path[-1], path[0])


@pytest.mark.parametrize("placement", ["gradient", "update"])
def test_closure_is_evaluated_once_and_activated(placement):
    w, expected, calls = quadratic(), quadratic(), []

    def closure() -> Tensor:
        calls.append(torch.is_grad_enabled())
        w.grad = None
        loss = (w**2).sum() / 2
        loss.backward()
        return loss

    optimizer = GradientActivationOptimizer(SGD([w], lr=0.1), placement=placement)
    with torch.no_grad():
        loss = optimizer.step(closure)
    descend(expected, GradientActivationOptimizer(SGD([expected], lr=0.1), placement=placement), 1)
    assert calls == [True]
    assert loss.item() == pytest.approx((quadratic() ** 2).sum().item() / 2)
    assert torch.equal(w, expected)


@pytest.mark.parametrize("fused", [False, True])
def test_gradient_scaler_hands_over_unscaled_gradients_and_skips_overflow(fused):
    w, expected = quadratic(dtype=torch.float32), quadratic(dtype=torch.float32)
    optimizer = GradientActivationOptimizer(Adam([w], lr=0.1, fused=fused), "atan", 0.1, 20.0)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    scaler.scale((w**2).sum() / 2).backward()
    scaler.step(optimizer)
    scaler.update()
    descend(expected, GradientActivationOptimizer(Adam([expected], lr=0.1), "atan", 0.1, 20.0), 1)
    torch.testing.assert_close(w, expected, rtol=1e-6, atol=1e-7)
    before = w.detach().clone()
    optimizer.zero_grad()
    scaler.scale((w * math.inf).sum()).backward()
    scaler.step(optimizer)
    assert torch.equal(w, before)
    assert optimizer.step_count == 1


def test_scheduler_groups_and_state_go_through():
    w = quadratic()
    inner = SGD([w], lr=0.1, momentum=0.9)
    optimizer = GradientActivationOptimizer(inner)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    descend(w, optimizer, 1)
    scheduler.step()
    assert inner.param_groups[0]["lr"] == 0.05
    assert optimizer.param_groups is inner.param_groups
    assert optimizer.state is inner.state
    extra = nn.Parameter(torch.ones(2))
    optimizer.add_param_group({"params": [extra], "lr": 0.3})
    extra.grad = torch.full((2,), 1e6)
    optimizer.step()
    assert extra[0].item() == pytest.approx(1 - 0.3 * 0.1 * math.pi / 2, rel=1e-5)


@pytest.mark.parametrize("placement", ["gradient", "update"])
def test_p16_state_dict_resumes_bit_identically_with_warmup(placement):
    def make(parameter: nn.Parameter) -> GradientActivationOptimizer:
        inner = SGD([parameter], lr=0.1, momentum=0.9)
        return GradientActivationOptimizer(inner, placement=placement, warmup_steps=12)

    straight, first = quadratic(), quadratic()
    expected = descend(straight, make(straight), 10)
    optimizer = make(first)
    descend(first, optimizer, 4)
    second = nn.Parameter(first.detach().clone())
    resumed = make(second)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert torch.equal(descend(second, resumed, 6)[-1], expected[-1])


def test_checkpoint_loads_with_and_without_the_wrapper():
    w = quadratic()
    plain = SGD([w], lr=0.1, momentum=0.9)
    wrapped = GradientActivationOptimizer(SGD([w], lr=0.2, momentum=0.8))
    descend(w, wrapped, 2)
    plain.load_state_dict(wrapped.state_dict())
    assert plain.param_groups[0]["lr"] == 0.2
    torch.testing.assert_close(plain.state[w]["momentum_buffer"], wrapped.state[w]["momentum_buffer"])
    wrapped.load_state_dict(plain.state_dict())
    assert wrapped.step_count == 0
    assert wrapped.param_groups is wrapped.optimizer.param_groups


def test_deepcopy_and_pickle_keep_parameters_and_selection_together():
    w, other = quadratic(), quadratic()
    optimizer = GradientActivationOptimizer(SGD([w, other], lr=0.1, momentum=0.9), select=[w])
    for duplicate in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        copied, untouched = duplicate.param_groups[0]["params"]
        copied.grad, untouched.grad = torch.full_like(copied, 1e6), torch.full_like(copied, 1e6)
        duplicate.step()
        assert (copied - w).abs().max().item() == pytest.approx(0.1 * 0.1 * math.pi / 2, rel=1e-5)
        assert (untouched - other).abs().max().item() == pytest.approx(1e5)
        assert copied is not w


def test_own_step_hooks_run_and_those_of_the_wrapped_too():
    w, seen = quadratic(), []
    optimizer = GradientActivationOptimizer(SGD([w], lr=0.1), placement="update")
    optimizer.register_step_post_hook(lambda *_: seen.append("wrapper"))
    optimizer.optimizer.register_step_post_hook(lambda *_: seen.append("wrapped"))
    descend(w, optimizer, 1)
    assert seen == ["wrapped", "wrapper"]


def test_selection_by_name_parameter_predicate_and_group():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))

    def activated(select: Any, exclude: Any = None, named: bool = True) -> list[str]:
        optimizer = GradientActivationOptimizer(
            SGD(net.named_parameters() if named else net.parameters(), lr=0.0), select=select, exclude=exclude
        )
        for p in net.parameters():
            p.grad = torch.full_like(p, 5.0)
        optimizer.step()
        return [name for name, p in net.named_parameters() if p.grad.max() < 1]

    assert activated(None) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert activated("weight") == ["0.weight", "1.weight"]
    assert activated("1", exclude="bias") == ["1.weight"]
    assert activated([net[0].bias], named=False) == ["0.bias"]
    assert activated(lambda name, p: p.ndim == 2, named=False) == ["0.weight", "1.weight"]
    with pytest.raises(ValueError, match=r"does not know its parameters' names.*named_parameters\(\)"):
        activated("weight", named=False)
    with pytest.raises(ValueError, match=r"select 'wieght' matches no parameter. Did you mean '1.weight'"):
        activated("wieght")


def test_group_entries_win_and_can_switch_off():
    plain, other = quadratic(), quadratic()
    groups = [{"params": [plain], "gradient_activation": None}, {"params": [other], "gradient_activation": "tanh"}]
    optimizer = GradientActivationOptimizer(SGD(groups, lr=1.0), "atan", 0.1, 20.0)
    plain.grad, other.grad = torch.full_like(plain, 7.0), torch.full_like(other, 7.0)
    optimizer.step()
    torch.testing.assert_close(plain.detach(), quadratic().detach() - 7.0)
    torch.testing.assert_close(other.detach(), quadratic().detach() - 0.1)
    optimizer.param_groups[1]["gradient_activation_beta"] = -1.0
    with pytest.raises(ValueError, match=r"gradient_activation_beta must be greater than 0, got -1.0"):
        optimizer.step()


@pytest.mark.parametrize("placement", ["gradient", "update"])
def test_p20_non_finite_gradients_follow_the_policy(placement):
    def attempt(policy: str) -> Tensor:
        w = quadratic()
        optimizer = GradientActivationOptimizer(SGD([w], lr=0.1), placement=placement, on_nonfinite=policy)
        w.grad = torch.ones_like(w)
        w.grad[0], w.grad[1] = math.inf, math.nan
        optimizer.step()
        return w.detach()

    with pytest.raises(FloatingPointError, match=r"NaN or infinity at optimizer step 0.*on_nonfinite='skip'"):
        attempt("raise")
    assert torch.equal(attempt("skip"), quadratic().detach())
    zeroed = attempt("zero")
    assert torch.equal(zeroed[:2], quadratic().detach()[:2])
    assert (zeroed[2:] < quadratic().detach()[2:]).all()
    ignored = attempt("ignore")
    assert ignored[0].isfinite()
    assert ignored[1].isnan()


@pytest.mark.parametrize(("policy", "finite"), [("zero", True), ("skip", True), ("ignore", False)])
def test_p20_reaches_into_sparse_gradients(policy, finite):
    embedding = nn.Embedding(4, 2, sparse=True)
    inner = SGD(embedding.parameters(), lr=0.1)
    optimizer = GradientActivationOptimizer(inner, on_nonfinite=policy)
    (embedding(torch.tensor([1, 1, 2])) * torch.tensor([1.0, math.nan])).sum().backward()
    optimizer.step()
    assert bool(embedding.weight.isfinite().all()) == finite


def test_state_dict_hooks_run():
    w, seen = quadratic(), []
    optimizer = GradientActivationOptimizer(SGD([w], lr=0.1))
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("before saving"))
    optimizer.register_state_dict_post_hook(lambda o, state: seen.append("after saving"))
    optimizer.register_load_state_dict_pre_hook(lambda o, state: seen.append("before loading"))
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("after loading"))
    optimizer.load_state_dict(optimizer.state_dict())
    assert seen == ["before saving", "after saving", "before loading", "after loading"]


def test_a_callable_of_a_group_is_checked_once():
    w = quadratic()
    optimizer = GradientActivationOptimizer(SGD([w], lr=0.1))
    optimizer.param_groups[0]["gradient_activation"] = lambda g, alpha, beta: g.abs()
    with pytest.raises(ValueError, match="must be odd"):
        descend(w, optimizer, 1)
    assert torch.equal(w, quadratic())


def test_a_generator_of_parameters_selects_them_at_every_step():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    optimizer = GradientActivationOptimizer(SGD(net.parameters(), lr=1.0), "tanh", 0.1, 1e6, select=net[0].parameters())
    for _ in range(2):
        before = [p.detach().clone() for p in net.parameters()]
        for p in net.parameters():
            p.grad = torch.full_like(p, 5.0)
        optimizer.step()
        moves = [(b - p).abs().max().item() for b, p in zip(before, net.parameters(), strict=True)]
        assert moves == pytest.approx([0.1, 0.1, 5.0, 5.0], rel=1e-3)


def test_from_slope_and_bound():
    w = quadratic()
    optimizer = GradientActivationOptimizer.from_slope_and_bound(SGD([w], lr=1.0), "tanh", slope=2.0, bound=0.5)
    w.grad = torch.full_like(w, 1e9)
    optimizer.step()
    torch.testing.assert_close(w.detach(), quadratic().detach() - 0.5)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"beta": -1.0}, ValueError, r"GradientActivationOptimizer: beta must be greater than 0, got -1.0"),
        ({"alpha": 0}, ValueError, "alpha must be greater than 0, got 0"),
        ({"alpha": "big"}, TypeError, "alpha must be a number, got 'big'"),
        ({"function": "relu"}, ValueError, "function must be one of 'atan'"),
        ({"function": torch.abs}, TypeError, r"abs must be callable as function\(gradient, alpha, beta\)"),
        ({"placement": "both"}, ValueError, "placement must be one of 'gradient', 'update', got 'both'"),
        ({"on_nonfinite": "panic"}, ValueError, "on_nonfinite must be one of"),
        ({"warmup_steps": -1}, ValueError, "warmup_steps must be at least 0"),
        ({"warmup_steps": 3, "schedule": lambda step: 1.0}, ValueError, "warmup_steps or schedule, not both"),
        ({"schedule": 0.5}, TypeError, "schedule must be a function of the step"),
    ],
)
def test_bad_arguments_are_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=message):
        GradientActivationOptimizer(SGD([quadratic()], lr=0.1), **arguments)


def test_optimizers_that_cannot_be_wrapped_are_refused():
    with pytest.raises(TypeError, match="LBFGS is not supported"):
        GradientActivationOptimizer(LBFGS([quadratic()]))
    with pytest.raises(TypeError, match=r"must be a torch.optim.Optimizer, got list"):
        GradientActivationOptimizer([quadratic()])
    wrapped = GradientActivationOptimizer(SGD([quadratic()], lr=0.1))
    with pytest.raises(TypeError, match="activating twice"):
        GradientActivationOptimizer(wrapped)


def test_compress_only_numbers_are_warned_of():
    with pytest.warns(UserWarning, match=r"alpha \* beta is 0.49, at most 1, so no gradient is enlarged"):
        GradientActivationOptimizer(SGD([quadratic()], lr=0.1), "atan", 0.7, 0.7)


def test_schedule_out_of_range_is_refused_when_it_is_reached():
    w = quadratic()
    optimizer = GradientActivationOptimizer(SGD([w], lr=0.1), schedule=lambda step: 0.5 * step)
    descend(w, optimizer, 3)
    with pytest.raises(ValueError, match=r"schedule\(3\) must be at least 0 and at most 1, got 1.5"):
        descend(w, optimizer, 1)
