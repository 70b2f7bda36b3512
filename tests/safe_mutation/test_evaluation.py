from typing import Any

import pytest
import torch
from torch import nn

from lightning_neuro.safe_mutation.evaluation import Evaluation, accepted, evaluate
from lightning_neuro.safe_mutation.population import BatchedPolicy

PARAMS = torch.arange(10.0).reshape(2, 5)
SEEDS = torch.tensor([3, 4])


@pytest.fixture
def policy() -> BatchedPolicy:
    return BatchedPolicy(nn.Linear(4, 1))


def ask(answer: Any, policy: BatchedPolicy) -> Evaluation:
    def my_evaluator(policy: BatchedPolicy, params: torch.Tensor) -> Any:
        return answer

    return evaluate(my_evaluator, policy, PARAMS, seeds=SEEDS, record=1)


def test_evaluators_get_what_their_signature_takes(policy: BatchedPolicy) -> None:
    got: list[dict[str, Any]] = []

    class Everything:
        def __call__(self, policy: BatchedPolicy, params: torch.Tensor, **keywords: Any) -> torch.Tensor:
            got.append(keywords)
            return params.sum(1)

    def only_seeds(policy: BatchedPolicy, params: torch.Tensor, seeds: torch.Tensor) -> torch.Tensor:
        got.append({"seeds": seeds})
        return params.sum(1)

    def named_after_ours(policy: BatchedPolicy, batch: torch.Tensor, *, scale: float = 2.0) -> torch.Tensor:
        got.append({"scale": scale})
        return batch.sum(1)

    for evaluator in (Everything(), only_seeds, named_after_ours):
        result = evaluate(evaluator, policy, PARAMS, seeds=SEEDS, record=7, batch="rows")
        torch.testing.assert_close(result.fitness, torch.tensor([10.0, 35.0]))
    assert got == [{"seeds": SEEDS, "record": 7, "batch": "rows"}, {"seeds": SEEDS}, {"scale": 2.0}]


def test_a_callable_without_signature_gets_policy_and_params_alone() -> None:
    assert accepted(max) == set()


def test_whole_numbers_become_fitness_and_gradients_are_left_behind(policy: BatchedPolicy) -> None:
    assert ask(torch.tensor([1, 2]), policy).fitness.dtype == torch.float32
    assert not ask(torch.zeros(2, requires_grad=True), policy).fitness.requires_grad


def test_nan_and_infinity_are_answers(policy: BatchedPolicy) -> None:
    fitness = ask(torch.tensor([float("nan"), float("-inf")]), policy).fitness
    assert fitness.isnan().tolist() == [True, False]


def test_own_and_shared_states_pass(policy: BatchedPolicy) -> None:
    fitness = torch.zeros(2)
    assert ask(Evaluation(fitness, torch.zeros(2, 3, 4), torch.ones(2, 3, dtype=torch.bool)), policy).valid is not None
    assert ask(Evaluation(fitness, torch.zeros(3, 4)), policy).valid is None


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ([1.0, 2.0], TypeError, r"my_evaluator: must return an Evaluation or a tensor \(P,\) of fitness, got list"),
        (
            torch.zeros(2, 1),
            ValueError,
            r"my_evaluator: fitness must hold one value per individual, \(2,\), got \(2, 1",
        ),
        (torch.zeros(3), ValueError, r"one value per individual, \(2,\), got \(3,\)"),
        (Evaluation([1.0, 2.0]), TypeError, "fitness must be a tensor, got list"),  # type: ignore[arg-type]
        (torch.zeros(2, dtype=torch.complex64), ValueError, "must be real, got torch.complex64"),
        (Evaluation(torch.zeros(2), solved=torch.zeros(2)), ValueError, "solved must be bool, got torch.float32"),
        (
            Evaluation(torch.zeros(2), extras={"length": torch.zeros(1)}),
            ValueError,
            r"extras\['length'\] must hold one",
        ),
        (Evaluation(torch.zeros(2), states=torch.zeros(3, 1, 4)), ValueError, "one row per individual, 2, got"),
        (Evaluation(torch.zeros(2), valid=torch.ones(2, 3, dtype=torch.bool)), ValueError, "valid came without states"),
        (
            Evaluation(torch.zeros(2), torch.zeros(2, 3, 4), torch.ones(2, 4, dtype=torch.bool)),
            ValueError,
            r"valid must be bool and of the leading dimensions of states \(2, 3, 4\), got torch.bool \(2, 4\)",
        ),
        (Evaluation(torch.zeros(2), torch.zeros(2, 3, 4), torch.ones(2, 3)), ValueError, "got torch.float32"),
        (Evaluation(torch.zeros(2), torch.zeros(2, 3, 4, 5)), ValueError, "states"),
    ],
)
def test_answers_that_would_fail_later_are_refused(
    answer: Any, error: type[Exception], message: str, policy: BatchedPolicy
) -> None:
    with pytest.raises(error, match=message):
        ask(answer, policy)
