"""The recorded steps of the authors' own classes, in double precision."""

import json

import pytest
import torch
from support.golden import GOLDEN, assert_recorded, cases, tensors
from torch import Tensor, nn
from torch.optim import Adam

from lightning_neuro.gradient_rewiring.deep_rewiring import DeepR
from lightning_neuro.gradient_rewiring.rewiring import Rewiring

GRADR = cases("grad_rewire_gradr_basic", "grad_rewire_gradr_prior", "grad_rewire_gradr_adam_options")
DEEPR = cases("grad_rewire_deepr_deterministic", "grad_rewire_deepr_injected_noise")
ADAM = ("lr", "betas", "eps", "weight_decay", "amsgrad")


def build(case, inputs) -> tuple[dict[str, nn.Parameter], Adam]:
    weights = {name: nn.Parameter(value) for name, value in tensors(inputs["init"]).items()}
    groups = case["param_groups"] or [{"params": list(weights), "overrides": {}}]
    own = [{"params": [weights[n] for n in group["params"]], **adam(group["overrides"])} for group in groups]
    return weights, Adam(own, **adam(case["args"]))


def adam(options) -> dict:
    return {name: tuple(value) if name == "betas" else value for name, value in options.items() if name in ADAM}


def option(case, name: str, default) -> dict[str, float]:
    """An argument of the recorded class by tensor, parameter groups' own values first."""
    groups = case["param_groups"] or [{"params": ["w", "v", "b"], "overrides": {}}]
    return {n: g["overrides"].get(name, case["args"].get(name, default)) for g in groups for n in g["params"]}


def replay(case, inputs, weights, optimizer, check) -> None:
    missing = {(step, name) for step, name in case["grad_is_none_at"]}
    for step, (gradients, recorded) in enumerate(zip(inputs["gradients"], case["steps"], strict=True)):
        for name, gradient in tensors(gradients).items():
            weights[name].grad = None if (step, name) in missing else gradient
        optimizer.step()
        assert_recorded(weights, recorded["params"], 1e-12)
        check(recorded["state"])


@pytest.mark.parametrize(("case", "inputs"), GRADR)
@pytest.mark.parametrize("way", ["compiled", "pieces"])
def test_p01_grad_r_with_torch_adam_meets_the_recorded_steps(case, inputs, way, monkeypatch):
    if way == "pieces":
        monkeypatch.setattr("lightning_neuro.gradient_rewiring.compiled.kernel", lambda: None)
    weights, optimizer = build(case, inputs)
    rewiring = Rewiring(
        optimizer, weights, alpha=option(case, "alpha", 1e-5), sparsity=option(case, "s", None), zero_sign="dead"
    )

    def check(state) -> None:
        seen = {name: values for name, values in state.items() if "strength" in values}
        assert_recorded(rewiring.theta, {name: values["strength"] for name, values in seen.items()}, 1e-12)
        assert_recorded(rewiring.sign, {name: values["sign"] for name, values in seen.items()}, 0)
        for name, values in seen.items():
            if "center_distr" in values:
                assert rewiring.centre(name) == pytest.approx(values["center_distr"], rel=1e-12)

    replay(case, inputs, weights, optimizer, check)


class Replayed:
    """Plays recorded draws back in the order in which they were made."""

    def __init__(self, noise, masks) -> None:
        self.noise, self.masks = iter(noise), iter(masks)

    def __call__(self, seed: int, name: str, step: int) -> "Replayed":
        return self

    def normal(self, like: Tensor) -> Tensor:
        return torch.tensor(next(self.noise), dtype=torch.float64)

    def bernoulli(self, probability: float, like: Tensor) -> Tensor:
        return torch.tensor(next(self.masks)).bool().view_as(like)


class Silent(Replayed):
    def __init__(self) -> None:
        super().__init__([], [])

    def normal(self, like: Tensor) -> Tensor:
        return torch.zeros_like(like)


def published(case, inputs):
    weights, optimizer = build(case, inputs)
    args = case["args"]
    noise, masks = (
        [draw for step in case["steps"] for draw in step.get(f"{kind}_in_call_order", [])]
        for kind in ("noise", "rewire_masks")
    )
    rewiring = DeepR(
        optimizer,
        weights,
        l1=args["l1"],
        temperature=args["T"] ** 2 / 2,
        sparsity=args["max_s"],
        soft=args.get("soft", False),
        published=True,
        draws=Replayed(noise, masks) if noise else Silent(),
    )
    return weights, optimizer, rewiring


@pytest.mark.parametrize(("case", "inputs"), DEEPR)
def test_p18_published_deep_r_meets_the_recorded_steps_and_never_regrows(case, inputs):
    weights, optimizer, rewiring = published(case, inputs)
    connected = {name: theta > 0 for name, theta in rewiring.theta.items()}

    def check(state) -> None:
        for name, values in state.items():
            if "strength" in values:
                assert_recorded(rewiring.theta, {name: values["strength"]}, 1e-12)
            if "active" in values and not rewiring.soft:
                assert torch.equal(rewiring.theta[name] > 0, torch.tensor(values["active"]).bool())
            now = rewiring.theta[name] > 0
            if not rewiring.soft or not case["args"]["T"]:
                assert not (now & ~connected[name]).any()
            connected[name] = now

    replay(case, inputs, weights, optimizer, check)


def test_where_the_authors_class_fails_late_or_by_accident_ours_says_what_is_wrong():
    recorded = json.loads((GOLDEN / "grad_rewire_argument_errors.json").read_text())["outcomes"]
    for case in recorded:
        weight = nn.Parameter(torch.ones(2))
        args, optimizer = case["args"], Adam([weight])
        key = "s" if case["class"] == "GradRewiring" else "max_s"
        options = {"sparsity": args.get(key), "alpha": args.get("alpha", 1e-5)}
        kind = Rewiring
        if case["class"] == "DeepRewiring":
            kind, options = DeepR, {"sparsity": args.get(key), "l1": 1e-3, "temperature": 0.0}
        if case["outcome"] == "ran":
            kind(optimizer, {"w": weight}, **options)
        else:
            expected = TypeError if args.get(key) is None else ValueError
            with pytest.raises(expected, match="sparsity must be"):
                kind(optimizer, {"w": weight}, **options)
