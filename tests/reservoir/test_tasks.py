import re

import numpy as np
import pytest

from lightning_neuro.reservoir.tasks import LETTERS, counting_task, narma, narma_response


@pytest.mark.parametrize("repeats", [1, 4, 8])
def test_words_are_spelt_right_and_targets_are_the_letters_that_follow(repeats):
    task = counting_task(600, repeats, seed=0)
    shown = "".join(LETTERS[place] for place in task.inputs.argmax(axis=1))
    assert task.inputs.sum(axis=1).tolist() == [1] * 600
    words = f"ab{{{repeats}}}c|de{{{repeats}}}f"
    assert re.fullmatch(f"({words})*", shown[: 600 // (repeats + 2) * (repeats + 2)])
    assert task.targets[:-1].tolist() == task.inputs[1:].argmax(axis=1).tolist()
    following = np.array(list(LETTERS))[task.targets]
    np.testing.assert_array_equal(task.is_last, np.isin(following, ["c", "f"]))
    np.testing.assert_array_equal(~task.is_known, np.isin(following, ["a", "d"]))


def test_both_words_come_alike_and_seeds_decide():
    firsts = counting_task(12_000, 1, seed=0).inputs[::3].argmax(axis=1)
    assert np.mean(firsts == 0) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(4000))
    one, same, other = (counting_task(100, 2, seed=seed).inputs for seed in (1, 1, 2))
    assert (one == same).all()
    assert (one != other).any()


@pytest.mark.parametrize(("steps", "repeats"), [(0, 1), (5, 0)])
def test_a_task_has_a_step_and_something_to_count(steps, repeats):
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        counting_task(steps, repeats)


@pytest.mark.parametrize(("order", "constants"), [(10, (0.3, 0.05, 1.5, 0.1)), (30, (0.2, 0.04, 1.5, 0.001))])
def test_narma_follows_its_equation(order, constants):
    a1, a2, b, c = constants
    u, y = narma(300, order, seed=0)
    assert (u.shape, y.shape) == ((300, 1), (300, 1))
    assert 0 <= u.min() < u.max() <= 0.5
    for t in range(order + 5, 300):
        expected = a1 * y[t - 1] + a2 * y[t - 1] * y[t - order : t].sum() + b * u[t - order + 1] * u[t] + c
        assert y[t] == pytest.approx(expected, abs=1e-12)


def test_a_series_that_runs_away_is_marked_and_drawn_again():
    assert np.isinf(narma_response(np.full(400, 2.0), 10, 0.3, 0.05, 1.5, 0.1)[-1])
    assert all(abs(narma(2000, 10, seed=seed)[1]).max() < 1 for seed in range(10))


def test_other_orders_are_refused():
    with pytest.raises(ValueError, match="order must be one of 10, 30, got 20"):
        narma(100, 20)
