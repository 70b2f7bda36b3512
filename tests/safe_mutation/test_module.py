"""`SafeMutation` without a Trainer: arguments, hooks, the command line's way to build it."""

import pytest
import torch
from support.evolving import Curve, Memory, curve_policy, evolving
from torch import Tensor, nn

from lightning_neuro.safe_mutation.draws import generator_of
from lightning_neuro.safe_mutation.module import SafeMutation
from lightning_neuro.safe_mutation.operators import GaussianMutation, SafeMutationAbs, SafeMutationSum
from lightning_neuro.safe_mutation.population import BatchedPolicy


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"magnitude": -1.0}, ValueError, "SafeMutation: magnitude must be at least 0, got -1.0"),
        ({"population_size": 4}, ValueError, "SafeMutation: population_size must be at least 5"),
        ({"archive_size": 0}, ValueError, "SafeMutation: archive_size must be at least 1, got 0"),
        ({"archive": "none"}, ValueError, "SafeMutationSum looks at states, but archive='none' keeps none"),
        ({"operator": "sm_g"}, ValueError, "must be one of 'gaussian'"),
        ({"operator": "gaussian", "floor": 0.1}, TypeError, "'gaussian' has no option 'floor'"),
        ({"operator": GaussianMutation(), "clip": 0.1}, TypeError, "clip belong to operators given by name"),
        ({"operator": GaussianMutation}, TypeError, "operator must be a name or a mutation operator"),
        ({"floor": -1.0}, ValueError, "floor"),
        ({"seed": 1.5}, TypeError, "SafeMutation: seed must be an integer"),
        ({"target_fitness": "high"}, TypeError, "target_fitness must be a number"),
        ({"generations_per_epoch": 0}, ValueError, "generations_per_epoch must be at least 1"),
        ({"validation_episodes": 0}, ValueError, "validation_episodes must be at least 1"),
        ({"checksum_every": 0}, ValueError, "checksum_every must be at least 1"),
        ({"reevaluate_elites": "no"}, TypeError, "reevaluate_elites must be True or False"),
    ],
)
def test_arguments_are_refused_by_name(options, error, message):
    with pytest.raises(error, match=message):
        evolving(**options)


def test_policies_that_would_go_wrong_are_refused():
    with pytest.raises(ValueError, match=r"eval\(\)"):
        evolving(nn.Sequential(nn.Linear(1, 4), nn.BatchNorm1d(4)))
    with pytest.raises(ValueError, match="no parameter with requires_grad"):
        evolving(curve_policy().requires_grad_(False))
    with pytest.raises(NotImplementedError, match="Pass policy=, or override configure_policy"):
        SafeMutation(None, Curve(), magnitude=0.1).best_policy()


def test_an_evaluator_is_needed_unless_evaluate_is_overridden():
    with pytest.raises(TypeError, match=r"evaluator must be a function .* got None\. Pass one, or override evaluate"):
        SafeMutation(curve_policy(), magnitude=0.1)

    class Own(SafeMutation):
        def evaluate(self, params: Tensor, **keywords: object) -> Tensor:
            return params.sum(1)

    assert Own(curve_policy(), magnitude=0.1).evaluate(torch.ones(2, 3)).tolist() == [3, 3]


def test_options_of_an_operator_reach_it():
    module = evolving(operator="sm_g_abs", floor=0.1, zero="freeze", clip=0.2, reduction="reference", normalize="max")
    assert module.operator == SafeMutationAbs(0.1, "freeze", 0.2, "max", "reference")
    assert evolving().operator == SafeMutationSum()


def test_an_archive_is_kept_where_it_is_looked_at():
    kinds = [evolving(operator=name).experience.kind for name in ("gaussian", "sm_r", "sm_g_so")]
    assert kinds == ["none", "per_individual", "per_individual"]
    assert evolving(operator="gaussian", archive="shared").experience.kind == "shared"


def test_founders_are_there_before_anything_is_evaluated():
    module = evolving()
    assert module.population.shape == (12, 19)
    assert module.fitness.isinf().all()
    assert (module.generation, module.evaluations) == (0, 0)
    assert torch.equal(module.population[0], module.batched_policy.genome.vector(module.policy))


class Building(SafeMutation):
    """Builds its policies itself."""

    def configure_policy(self) -> nn.Module:
        module = nn.Linear(1, 2)
        nn.init.uniform_(module.weight, 5.0, 6.0)
        return module


def test_a_policy_may_be_built_for_each_founder():
    module = Building(evaluator=Curve(), magnitude=0.1, population_size=9)
    weights = module.batched_policy.genome.tensors(module.population)["weight"]
    assert ((weights >= 5) & (weights <= 6)).all()
    assert len(weights[:, 0, 0].unique()) == 9


def test_sensitivities_look_at_what_the_user_makes_of_outputs():
    class Doubled(SafeMutation):
        def sensitivity_output(self, outputs: Tensor) -> Tensor:
            return 100 * outputs

    states = torch.ones(3, 1)
    steps = []
    for kind in (SafeMutation, Doubled):
        module = kind(curve_policy(), Curve(), magnitude=1e-4, floor=1e-9)
        parents = module.population[:6]
        steps.append(module.mutate(parents, states, None, generator_of(0, "generation")).children - parents)
    torch.testing.assert_close(steps[0], 100 * steps[1], rtol=1e-2, atol=1e-5)


def test_policies_and_evaluators_agree_on_the_steps_that_count():
    evaluator = Curve()
    evaluator.output_steps = "all"
    assert evolving(Memory(), evaluator).batched_policy.output_steps == "all"
    assert evolving(Memory()).batched_policy.output_steps == "last"
    own = BatchedPolicy(Memory(), output_steps="last")
    assert evolving(own, evaluator).batched_policy is own


@pytest.mark.parametrize(
    "operator",
    [
        "sm_g_abs",
        {"class_path": "lightning_neuro.safe_mutation.operators.SafeMutationAbs", "init_args": {"floor": 0.01}},
    ],
)
def test_the_command_line_can_build_it(operator):
    jsonargparse = pytest.importorskip("jsonargparse")
    parser = jsonargparse.ArgumentParser()
    parser.add_subclass_arguments(SafeMutation, "model")
    options = {
        "policy": {"class_path": "torch.nn.Linear", "init_args": {"in_features": 1, "out_features": 1}},
        "evaluator": {"class_path": "support.evolving.Curve", "init_args": {"noise": 0.5}},
        "magnitude": 0.1,
        "operator": operator,
        "archive": "shared",
    }
    config = {"class_path": "lightning_neuro.safe_mutation.module.SafeMutation", "init_args": options}
    instantiate = parser.instantiate if hasattr(parser, "instantiate") else parser.instantiate_classes  # by version
    made = instantiate(parser.parse_object({"model": config})).model
    assert isinstance(made.evaluator, Curve)
    assert made.evaluator.noise == 0.5
    assert made.operator == SafeMutationAbs()
