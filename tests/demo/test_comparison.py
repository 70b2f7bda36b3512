from dataclasses import replace

import pytest
import torch

from lightning_neuro._lightning import Callback
from lightning_neuro.demo.comparison import Arm, Comparison, Plan

TINY = Plan(
    data="digits",
    seeds=2,
    tuning_seeds=1,
    learning_rates=(1e-6, 0.05),
    train_images=200,
    val_images=100,
    batch_size=50,
    epochs=2,
    num_steps=3,
    hidden_features=16,
)


class Frozen(Callback):
    """Takes every gradient away, so that nothing is learnt."""

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        optimizer.zero_grad()


@pytest.fixture(scope="module")
def told_and_outcomes():
    told = []
    arms = [Arm("plain"), Arm("same"), Arm("frozen", lambda: [Frozen()])]
    return told, Comparison(TINY, told.append).run(arms)


def test_each_training_is_announced(told_and_outcomes):
    told, _ = told_and_outcomes
    assert told[0] == "[1/12] plain, learning rate 1e-06, seed 2"
    assert len(told) == 3 * TINY.runs_per_arm + 1 == 13


def test_the_learning_rate_with_the_lowest_validation_loss_is_chosen(told_and_outcomes):
    plain = told_and_outcomes[1][0]
    assert plain.learning_rate == 0.05
    assert sum(plain.tuning[0.05]) < sum(plain.tuning[1e-6])


def test_equal_arms_give_equal_numbers_and_seeds_differ(told_and_outcomes):
    plain, same, _ = told_and_outcomes[1]
    assert plain.tuning == same.tuning
    assert [run.train_loss for run in plain.runs] == [run.train_loss for run in same.runs]
    assert plain.test_accuracy == same.test_accuracy
    assert plain.runs[0].train_loss != plain.runs[1].train_loss


def test_callbacks_of_an_arm_take_part(told_and_outcomes):
    plain, _, frozen = told_and_outcomes[1]
    assert frozen.runs[0].val_loss[0] == frozen.runs[0].val_loss[1]
    assert plain.runs[0].val_loss[0] > plain.runs[0].val_loss[1]


def test_first_weights_differ_from_seed_to_seed(told_and_outcomes):
    frozen = told_and_outcomes[1][2]  # its weights are still the first ones
    first, second = (run.model.synapses[1].weight for run in frozen.runs)
    assert not torch.equal(first, second)


def test_every_step_and_epoch_is_kept(told_and_outcomes):
    run = told_and_outcomes[1][0].runs[0]
    assert (len(run.train_loss), len(run.val_loss), len(run.val_accuracy)) == (8, 2, 2)


def test_global_chance_is_left_alone():
    before = torch.random.get_rng_state()
    Comparison(replace(TINY, seeds=1, learning_rates=(0.05,), epochs=1), lambda line: None).run([Arm("plain")])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_numbers_out_of_range_are_refused():
    with pytest.raises(ValueError, match="demo: seeds must be at least 1, got 0"):
        Plan(seeds=0)
