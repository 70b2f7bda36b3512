"""`SafeMutation` in a Trainer: counting, resuming, stopping, precision, loaders, failures."""

import copy
from typing import Any

import pytest
import torch
from support.evolving import POINTS, Curve, Memory, curve_policy, evolving, same_evolution
from torch import nn
from torch.utils.data import DataLoader

from lightning_neuro._lightning import ROOT, Callback, MisconfigurationException
from lightning_neuro.safe_mutation.evaluation import Evaluation
from lightning_neuro.safe_mutation.evolving_module import EvaluationError
from lightning_neuro.safe_mutation.module import SafeMutation
from lightning_neuro.safe_mutation.population import BatchedPolicy

if ROOT == "pytorch_lightning":
    from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
    from pytorch_lightning.plugins import MixedPrecision
else:
    from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
    from lightning.pytorch.plugins import MixedPrecision

# Lightning asks modules that step by themselves to hand over the state before the step; here that after it is right.
pytestmark = pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization")

OPERATORS = ["gaussian", "sm_r", "sm_g_sum", "sm_g_abs", "sm_g_so"]


def fit(make_trainer, module: SafeMutation, steps: int = 6, **options: Any) -> SafeMutation:
    make_trainer(max_epochs=-1, max_steps=steps, **options).fit(module)
    return module


# One step is one generation


@pytest.mark.parametrize("operator", OPERATORS)
def test_p14_steps_generations_and_evaluations_are_counted(make_trainer, operator):
    evaluator = Curve()
    module = evolving(evaluator=evaluator, operator=operator, elites=2, generations_per_epoch=4)
    trainer = make_trainer(max_epochs=-1, max_steps=6, limit_val_batches=0)
    trainer.fit(module)
    asked = [each["count"] for each in evaluator.asked]
    assert trainer.global_step == module.generation == 6
    assert asked == [12] + [10] * 5  # founders, then all but the elites; sensitivities cost none
    assert module.evaluations == sum(asked)


def test_p13_fitness_rises_and_its_best_never_falls(make_trainer):
    best: list[float] = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, *rest: Any) -> None:
            best.append(float(pl_module.fitness.max()))
            assert pl_module.champion_fitness == best[-1]

    fit(make_trainer, evolving(population_size=40), 25, limit_val_batches=0, callbacks=[Watch()])
    assert len(best) == 25
    assert best == sorted(best)
    assert best[-1] > best[0] / 4


def test_it_logs_what_the_population_of_the_checkpoint_is_like(make_trainer):
    module = evolving(evaluator=Curve(solved_at=10.0))
    trainer = make_trainer(max_steps=4, max_epochs=-1)
    trainer.fit(module)
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert logged["fitness/best"] == pytest.approx(float(module.fitness.max()))
    assert logged["fitness/mean"] == pytest.approx(float(module.fitness.mean()))
    assert logged["fitness/std"] == pytest.approx(float(module.fitness.std(correction=0)))
    assert logged["evaluations"] == module.evaluations
    assert logged["solved"] == logged["broken_frac"] == 0
    assert logged["mutation/divergence"] > 0
    assert 0 <= logged["sensitivity/floored_frac"] <= 1
    assert 1 <= logged["genome/unique_parents"] <= 11
    assert {"time/eval_s", "time/mutate_s", "mutation/step_l2", "evaluator/first", "fitness/median"} <= logged.keys()
    assert logged["fitness/champion"] == pytest.approx(module.champion_fitness)


def test_an_epoch_has_its_generations_and_ends_with_the_champion_on_seeds_of_its_own(make_trainer):
    evaluator = Curve()
    module = evolving(evaluator=evaluator, generations_per_epoch=3, validation_episodes=5)
    trainer = make_trainer(max_epochs=2, num_sanity_val_steps=0)
    trainer.fit(module)
    assert [each["count"] for each in evaluator.asked] == [12, 11, 11, 5, 11, 11, 11, 5]
    first, second = (evaluator.asked[place]["seeds"] for place in (3, 7))
    assert torch.equal(first, second)
    assert len(first.unique()) == 5
    trained = torch.cat([each["seeds"] for each in evaluator.asked if each["count"] > 5])
    assert not torch.isin(first, trained).any()
    assert len(trained.unique()) == 6  # one for all in each generation
    assert float(trainer.callback_metrics["val/fitness"]) == pytest.approx(module.champion_fitness)
    tested = trainer.test(module, verbose=False)
    assert tested[0]["test/fitness"] == pytest.approx(module.champion_fitness)
    assert not torch.isin(evaluator.asked[-1]["seeds"], first).any()


@pytest.mark.parametrize(("common", "fresh", "seeds"), [(True, True, 3), (True, False, 1), (False, False, 12)])
def test_seeds_are_common_and_fresh_as_asked(make_trainer, common, fresh, seeds):
    evaluator = Curve()
    module = evolving(evaluator=evaluator, common_seeds=common, fresh_seeds=fresh, elites=0)
    fit(make_trainer, module, 3, limit_val_batches=0)
    assert len(torch.cat([each["seeds"] for each in evaluator.asked]).unique()) == seeds


def test_an_evaluator_may_insist_on_common_seeds(make_trainer):
    evaluator = Curve()
    evaluator.common_seeds = True
    fit(make_trainer, evolving(evaluator=evaluator, common_seeds=False), 1, limit_val_batches=0)
    assert len(evaluator.asked[0]["seeds"].unique()) == 1


def test_noise_is_averaged_by_evaluating_elites_again(make_trainer):
    evaluator = Curve(noise=0.1)
    module = evolving(evaluator=evaluator, reevaluate_elites=True, elites=3)
    fit(make_trainer, module, 5, limit_val_batches=0)
    assert [each["count"] for each in evaluator.asked] == [12] * 5
    assert module.champion_fitness == module.fitness.max()
    assert torch.equal(module.evolution.champion.genome, module.population[module.fitness.argmax()])


# Champion


def test_the_champion_is_a_module_of_the_users_own_class(make_trainer):
    policy = curve_policy()
    names, before = list(policy.state_dict()), copy.deepcopy(policy.state_dict())
    module = fit(make_trainer, evolving(policy))
    best = module.best_policy()
    assert list(best.state_dict()) == names
    assert type(best) is type(policy)
    assert best is not module.policy
    assert any(not torch.equal(value, before[name]) for name, value in best.state_dict().items())
    genome = torch.cat([parameter.flatten() for parameter in best.parameters()])
    assert torch.equal(genome, module.evolution.champion.genome)
    assert [name for name, _ in module.named_parameters()] == [f"policy.{name}" for name in names]
    assert torch.equal(module(torch.ones(1, 1)), best(torch.ones(1, 1)))
    assert all(parameter.grad is None for parameter in module.parameters())


def test_global_random_state_stays(make_trainer):
    module = evolving()
    before = torch.get_rng_state()
    fit(make_trainer, module)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("replacement", ["generational", "steady_state"])
def test_p12_the_same_seed_is_the_same_run(make_trainer, replacement):
    one, other, third = (fit(make_trainer, evolving(replacement=replacement, seed=seed), 8) for seed in (0, 0, 1))
    assert same_evolution(one, other)
    assert not torch.equal(one.population, third.population)


# Checkpoints

WAYS: dict[str, dict[str, Any]] = {
    "generational": {},
    "steady_state": {"replacement": "steady_state", "offspring": 2},
    "shared": {"archive": "shared"},
    "truncation": {"parents": "truncation", "operator": "sm_r"},
    "noise": {"evaluator": Curve(noise=0.2), "common_seeds": False, "reevaluate_elites": True},
    "gaussian": {"operator": "gaussian", "initial": "noise"},
}


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty")
@pytest.mark.parametrize("way", WAYS)
def test_p12_a_resumed_run_equals_one_that_never_stopped(make_trainer, tmp_path, way):
    options = {"generations_per_epoch": 3} | WAYS[way]

    def trainer_of_nine_steps() -> Any:
        keep = ModelCheckpoint(dirpath=tmp_path, every_n_train_steps=1, save_top_k=-1, filename="{step}")
        steps = {"max_epochs": -1, "max_steps": 9, "limit_val_batches": 0}
        return make_trainer(callbacks=[keep], enable_checkpointing=True, **steps)

    whole, first = evolving(**options), trainer_of_nine_steps()
    first.fit(whole)
    for step in (1, 4, 6) if way == "generational" else (4,):  # after the founders, in mid-epoch, at the end of one
        resumed, trainer = evolving(curve_policy(7), seed=5, **options), trainer_of_nine_steps()  # both are replaced
        trainer.fit(resumed, ckpt_path=tmp_path / f"step={step}.ckpt", weights_only=True)
        assert same_evolution(whole, resumed)
        assert trainer.current_epoch == first.current_epoch
        for one, other in zip(whole.policy.parameters(), resumed.policy.parameters(), strict=True):
            assert torch.equal(one, other)


def test_a_checkpoint_is_loaded_without_a_trainer(make_trainer, tmp_path):
    module = evolving(operator="sm_g_abs", floor=0.001)
    trainer = make_trainer(max_steps=4, max_epochs=-1)
    trainer.fit(module)
    trainer.save_checkpoint(tmp_path / "run.ckpt")
    stored = torch.load(tmp_path / "run.ckpt", weights_only=True)
    assert not any("archive" in name or "population" in name for name in stored["state_dict"])
    loaded = SafeMutation.load_from_checkpoint(
        tmp_path / "run.ckpt", policy=curve_policy(3), evaluator=Curve(), weights_only=True
    )
    assert same_evolution(module, loaded)
    assert loaded.operator == module.operator
    points = torch.ones(2, 1)
    assert torch.equal(loaded.best_policy()(points), module.best_policy()(points))


def test_another_population_or_policy_is_told_apart(make_trainer, tmp_path):
    trainer = make_trainer(max_steps=2, max_epochs=-1)
    trainer.fit(evolving())
    trainer.save_checkpoint(tmp_path / "run.ckpt")
    for module, message in [
        (evolving(population_size=20), "holds a population of 12, and population_size is 20"),
        (evolving(nn.Linear(1, 1)), "holds genomes of 19 weights, and the policy has 2"),
    ]:
        with pytest.raises(ValueError, match=message):
            make_trainer(max_steps=3, max_epochs=-1).fit(module, ckpt_path=tmp_path / "run.ckpt")


# Stopping


def test_it_stops_at_the_target_and_keeps_the_champion(make_trainer):
    module = evolving(population_size=40, target_fitness=-0.02)
    trainer = make_trainer(max_epochs=20)
    trainer.fit(module)
    assert module.champion_fitness >= -0.02
    assert trainer.global_step < 200
    points = torch.linspace(-1, 1, 8)[:, None]
    error = (module.best_policy()(points) - points.sin()).square().mean().item()
    assert -error == pytest.approx(module.champion_fitness, rel=1e-4)


def test_it_stops_when_an_individual_has_solved_the_task(make_trainer):
    module = evolving(evaluator=Curve(solved_at=-0.05), population_size=40)
    trainer = make_trainer(max_epochs=20)
    trainer.fit(module)
    assert module.evolution.champion.solved
    assert trainer.global_step < 200
    longer = evolving(evaluator=Curve(solved_at=-10.0), stop_when_solved=False)
    assert fit(make_trainer, longer, 4).generation == 4


def test_callbacks_watch_its_metrics(make_trainer, tmp_path):
    callbacks = [
        EarlyStopping("fitness/champion", mode="max", stopping_threshold=-0.05, patience=100),
        ModelCheckpoint(dirpath=tmp_path, monitor="val/fitness", mode="max"),
    ]
    module = evolving(population_size=40, generations_per_epoch=2)
    trainer = make_trainer(max_epochs=50, callbacks=callbacks, enable_checkpointing=True)
    trainer.fit(module)
    assert module.champion_fitness >= -0.05
    assert trainer.global_step < 100
    assert callbacks[1].best_model_path


# Failures


class Moody(Curve):
    """Raises once, in the call it is told."""

    def __init__(self, call: int) -> None:
        super().__init__()
        self.call = call

    def __call__(self, policy: Any, params: Any, **keywords: Any) -> Evaluation:
        if len(self.asked) == self.call:
            self.call = -1
            raise OSError("the simulator has gone away")
        return super().__call__(policy, params, **keywords)


@pytest.mark.parametrize("call", [0, 3])
def test_a_failing_evaluator_leaves_the_population_as_it_was(make_trainer, call):
    module, sound = evolving(evaluator=Moody(call)), evolving()
    with pytest.raises(EvaluationError, match=f"generation {call} was given up.*OSError: the simulator has gone away"):
        fit(make_trainer, module, 8, limit_val_batches=0)
    assert module.generation == call
    assert same_evolution(module, fit(make_trainer, sound, call, limit_val_batches=0) if call else sound)
    fit(make_trainer, module, 8 - call, limit_val_batches=0)
    assert same_evolution(module, fit(make_trainer, sound, 8 - call, limit_val_batches=0))


class Broken(Curve):
    """Fitness of some individuals is not a number."""

    def __init__(self, broken: slice) -> None:
        super().__init__()
        self.broken = broken

    def __call__(self, policy: Any, params: Any, **keywords: Any) -> Evaluation:
        made = super().__call__(policy, params, **keywords)
        made.fitness[self.broken] = torch.tensor([torch.nan, torch.inf, -torch.inf])[torch.arange(len(params)) % 3][
            self.broken
        ]
        return made


def test_p16_broken_individuals_rank_last_and_spoil_no_mean(make_trainer):
    trainer = make_trainer(max_steps=5, max_epochs=-1, limit_val_batches=0)
    module = evolving(evaluator=Broken(slice(0, 6)))
    trainer.fit(module)
    assert torch.isfinite(trainer.callback_metrics["fitness/mean"])
    assert trainer.callback_metrics["broken_frac"] == pytest.approx(6 / 11)
    assert module.champion_fitness == module.fitness.max() < 0


def test_a_generation_without_a_sound_individual_is_told_of(make_trainer):
    module = evolving(evaluator=Broken(slice(None)))
    with pytest.warns(UserWarning, match="every individual evaluated in generation 0 is NaN or infinite"):
        fit(make_trainer, module, 3, limit_val_batches=0)
    assert module.generation == 3


def test_the_floor_is_told_of_once(make_trainer):
    module = evolving(floor=1e6, magnitude=0.1, zero="floor")
    with pytest.warns(UserWarning, match="floor replaces 100 % of the sensitivities") as caught:
        fit(make_trainer, module, 5, limit_val_batches=0)
    assert len([each for each in caught if "floor" in str(each.message)]) == 1


def test_states_that_nobody_recorded_are_missed_by_name(make_trainer):
    module = evolving(evaluator=lambda policy, params: -params.square().sum(1))
    with pytest.raises(ValueError, match="SafeMutationSum looks at states, but the evaluator recorded none"):
        fit(make_trainer, module)


# What a Trainer can be asked for


@pytest.mark.parametrize("option", [{"gradient_clip_val": 0.5}, {"accumulate_grad_batches": 2}])
def test_gradients_are_not_there_to_be_clipped_or_gathered(make_trainer, option):
    with pytest.raises(MisconfigurationException, match="manual optimization"):
        fit(make_trainer, evolving(), **option)


def test_double_precision(make_trainer):
    module = fit(make_trainer, evolving(), precision="64-true")
    assert module.population.dtype == torch.float64
    assert module.fitness.isfinite().all()


def test_bfloat16_evaluates_individuals_but_does_not_mutate_them(make_trainer):
    module = fit(make_trainer, evolving(), 4, precision="bf16-mixed", limit_val_batches=0)
    assert module.population.dtype == torch.float32
    assert module.fitness.isfinite().all()
    assert (module.population.bfloat16().float() != module.population).any(1).all()


def test_products_of_populations_follow_autocast_before_and_after_calls_are_replayed():
    policy = BatchedPolicy(curve_policy())
    params = torch.randn(3, policy.size, generator=torch.Generator().manual_seed(0))
    single = [policy(params, POINTS) for _ in range(120)]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = [policy(params, POINTS) for _ in range(120)]
    for place in (0, -1):
        assert 1e-3 < (single[place] - mixed[place]).abs().max() < 0.1
    torch.testing.assert_close(policy(params, POINTS), single[0])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"precision": "bf16-true"}, "rounds small mutations away"),
        ({"plugins": lambda: [MixedPrecision("16-mixed", device="cpu")]}, "16-mixed precision scales gradients"),
    ],
)
def test_precisions_that_go_wrong_are_refused_by_name(make_trainer, option, message):
    option = {name: value() if callable(value) else value for name, value in option.items()}
    with pytest.raises(MisconfigurationException, match=message):
        fit(make_trainer, evolving(), **option)


def test_a_compiled_module_evolves_the_same(make_trainer):
    plain, inner = evolving(), evolving()
    fit(make_trainer, plain, 3)
    make_trainer(max_epochs=-1, max_steps=3).fit(torch.compile(inner, backend="eager"))
    assert plain.generation == inner.generation == 3
    assert same_evolution(plain, inner)


def test_batches_of_the_users_loader_reach_the_evaluator(make_trainer):
    evaluator = Curve()
    loader = DataLoader(torch.arange(12.0), batch_size=4)
    trainer = make_trainer(max_epochs=2, limit_val_batches=0)
    trainer.fit(evolving(evaluator=evaluator), loader)
    assert [each["batch"].tolist() for each in evaluator.asked[:3]] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10, 11],
    ]
    assert trainer.global_step == 6


def test_where_only_training_has_data_the_champion_is_not_validated(make_trainer):
    evaluator, loader = Curve(), DataLoader(torch.arange(8.0), batch_size=4)
    trainer = make_trainer(max_epochs=2)
    trainer.fit(evolving(evaluator=evaluator), loader)
    assert "val/fitness" not in trainer.callback_metrics
    assert all(each["batch"] is not None for each in evaluator.asked)
    make_trainer(max_epochs=1).fit(evolving(evaluator=evaluator), loader, loader)
    assert evaluator.asked[-1]["batch"].tolist() == [4, 5, 6, 7]
    assert evaluator.asked[-1]["count"] == 1


def test_without_a_loader_there_is_no_batch(make_trainer):
    evaluator = Curve()
    fit(make_trainer, evolving(evaluator=evaluator), 2)
    assert all(each["batch"] is None for each in evaluator.asked)


def test_the_evaluator_is_closed_at_the_end(make_trainer):
    closed = []
    evaluator = Curve()
    evaluator.close = lambda: closed.append(True)
    fit(make_trainer, evolving(evaluator=evaluator), 2)
    assert closed


def test_a_recurrent_policy_with_segments_of_any_length(make_trainer):
    def lengths(policy: Any, params: Any, *, seeds: Any, record: int) -> Evaluation:
        steps = 2 + int(seeds[0]) % 3
        states = torch.linspace(-1, 1, steps)[None, :, None, None].expand(len(params), -1, 2, -1).contiguous()
        valid = torch.ones(len(params), steps, 2, dtype=torch.bool)
        valid[::2, 1:] = False
        return Evaluation(-params.square().sum(1), states=states, valid=valid)

    lengths.output_steps = "all"
    module = evolving(Memory(), lengths, archive_size=12)
    fit(make_trainer, module, 8)
    archive = module.evolution.archive
    assert archive.states.shape[0] == 12
    assert archive.states.shape[1] * archive.states.shape[2] <= 12
    assert module.batched_policy.output_steps == "all"
    assert module.fitness.max() > module.fitness.min()
