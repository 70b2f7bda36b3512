"""Two gloo processes on the CPU against one process."""

from typing import Any

import pytest
import torch
from support.evolving import Curve, Memory, curve_policy, evolving
from torch import Tensor
from torch.multiprocessing import ProcessRaisedException
from torch.utils.data import DataLoader

from lightning_neuro.safe_mutation.evaluation import Evaluation
from lightning_neuro.safe_mutation.module import SafeMutation


class Ranked(SafeMutation):
    """Brings home, in buffers, what the first process knows and how far the processes differ."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.register_buffer("spread", torch.tensor(-1.0))
        self.register_buffer("kept", torch.zeros(self.population_size, self.batched_policy.size))
        self.register_buffer("counts", torch.zeros(4, dtype=torch.int64))
        self.register_buffer("told", torch.zeros(self.population_size))

    def on_train_end(self) -> None:
        everything = torch.cat([self.population.flatten(), self.fitness, self._archived()])
        low, high = everything.clone(), everything.clone()
        torch.distributed.all_reduce(low, torch.distributed.ReduceOp.MIN)
        torch.distributed.all_reduce(high, torch.distributed.ReduceOp.MAX)
        self.spread.copy_((high - low).max())
        self.kept.copy_(self.population)
        self.told.copy_(self.fitness)
        here = sum(each["count"] for each in getattr(self.evaluator, "asked", []))
        self.counts.copy_(torch.tensor([self.evaluations, self.generation, here, self.trainer.global_step]))

    def _archived(self) -> Tensor:
        archive = self.evolution.archive
        return torch.zeros(0) if archive is None else archive.states.flatten()


class Lengths(Curve):
    """Records more of some individuals than of others, so that processes gather archives of different sizes."""

    output_steps = "all"

    def __call__(self, policy: Any, params: Tensor, *, seeds: Tensor, record: int, batch: Any = None) -> Evaluation:
        self.asked.append({"count": len(params)})
        steps = 1 + (params[:, 0].abs() * 1e4).long() % 3
        longest = int(steps.max())
        valid = (torch.arange(longest) < steps[:, None])[..., None].expand(-1, -1, 2)
        states = torch.linspace(-1, 1, longest)[None, :, None, None].expand(len(params), -1, 2, -1)
        return Evaluation(-(params - 0.1).square().sum(1), states=states.contiguous(), valid=valid.contiguous())


WAYS: dict[str, dict[str, Any]] = {
    "own states": {"evaluator": lambda: Curve(solved_at=10.0)},
    "shared states": {"evaluator": lambda: Curve(own=False), "operator": "sm_g_abs"},
    "a seed each": {"evaluator": lambda: Curve(noise=0.3), "common_seeds": False, "reevaluate_elites": True},
    "recurrent": {"evaluator": Lengths, "policy": Memory},
    "steady state": {"replacement": "steady_state", "offspring": 1, "archive": "shared"},
}


def fit(make_trainer, kind: type[SafeMutation], data: tuple[Any, ...] = (), **options: Any) -> SafeMutation:
    given = {"population_size": 11, "checksum_every": 1, "magnitude": 0.01, "archive_size": 12, "mutation_states": 6}
    given |= {key: value for key, value in options.items() if key not in ("policy", "evaluator")}
    policy, evaluator = options.get("policy", curve_policy)(), options.get("evaluator", Curve)()
    module = kind(policy, evaluator, **given)
    ranks = {"strategy": "ddp_fork", "devices": 2} if issubclass(kind, Ranked) else {}
    make_trainer(max_epochs=-1, max_steps=6, use_distributed_sampler=False, **ranks).fit(module, *data)
    return module


@pytest.mark.parametrize("way", WAYS)
def test_two_ranks_stay_equal_and_equal_one_process(make_trainer, way):
    two, one = (fit(make_trainer, kind, **WAYS[way]) for kind in (Ranked, SafeMutation))
    assert two.spread.item() == 0.0
    assert torch.equal(two.kept, one.population)
    assert torch.equal(two.told, one.fitness)
    evaluations, generations, here, steps = two.counts.tolist()
    assert (evaluations, generations, steps) == (one.evaluations, one.generation, 6)
    assert here < 0.75 * sum(each["count"] for each in one.evaluator.asked) or way == "steady state"


def test_all_individuals_see_the_batch_of_the_first_process(make_trainer):
    class Shift(Curve):
        def __call__(self, policy: Any, params: Tensor, **keywords: Any) -> Evaluation:
            made = super().__call__(policy, params, **keywords)
            return Evaluation(made.fitness - keywords["batch"].sum(), made.states)

    two, one = (
        fit(make_trainer, kind, (DataLoader(torch.arange(6.0)),), evaluator=Shift) for kind in (Ranked, SafeMutation)
    )
    assert torch.equal(two.kept, one.population)


class Astray(Ranked):
    """Draws what differs between processes."""

    def mutate(self, parents: Tensor, *rest: Any) -> Any:
        made = super().mutate(parents, *rest)
        made.children.add_(1e-3 * self.global_rank)
        return made


class Failing(Curve):
    """Raises where the last process evaluates."""

    def __call__(self, policy: Any, params: Tensor, **keywords: Any) -> Evaluation:
        if torch.distributed.get_rank() == 1:
            raise OSError("gone")
        return super().__call__(policy, params, **keywords)


@pytest.mark.parametrize(
    ("kind", "evaluator", "message"), [(Astray, Curve, "population"), (Ranked, Failing, "raised in process|gone")]
)
def test_what_goes_wrong_in_one_process_ends_all(make_trainer, kind, evaluator, message):
    with pytest.raises(ProcessRaisedException, match=message):
        fit(make_trainer, kind, evaluator=evaluator)


def test_data_dealt_out_to_processes_is_refused(make_trainer):
    trainer = make_trainer(max_steps=2, strategy="ddp_fork", devices=2)
    with pytest.raises(ProcessRaisedException, match=r"MisconfigurationException.*training data is dealt out as well"):
        trainer.fit(evolving(population_size=11), DataLoader(torch.arange(6.0)))
