"""The benchmark of safe mutations runs through with a tiny population; what it compares must do the same job."""

import importlib
import json
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from lightning_neuro.safe_mutation.evaluators import SupervisedEvaluator
from lightning_neuro.safe_mutation.module import SafeMutation
from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.sensitivity import sm_g_abs, sm_g_sum
from lightning_neuro.safe_mutation.tasks import DeepPolicy, ParityPolicy, RecurrentParity

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Import a script of the folder, as if it were run from there."""
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr("sys.argv", ["benchmark"])

    def load_module(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load_module


def test_every_way_gets_a_row(load, tmp_path, capsys, monkeypatch):
    script, out = load("safe_mutation"), tmp_path / "out.json"
    monkeypatch.setattr(load("side_by_side"), "WARM_UP", 0)
    monkeypatch.setattr(load("safe_mutation_pairs"), "LOOPED_PARENTS", 2)
    monkeypatch.setattr(script, "missing", lambda names: {"evotorch": "not asked", "numba": "not asked"})
    script.main(["--rounds", "1", "--population", "6", "--out", str(out)])
    written, printed = json.loads(out.read_text()), capsys.readouterr().out
    assert [len(rows) for rows in written["sections"].values()][:6] == [5, 5, 5, 5, 2, 4]
    assert all(row["min_ms"] > 0 for rows in written["sections"].values() for row in rows)
    assert [title.partition(",")[0] for title in written["sections"]][-2:] == ["Breadcrumb maze"] * 2
    assert "Left out: evotorch, not asked" in printed
    assert "| SafeMutation, sm_g_abs |" in printed


def test_packages_that_do_not_import_are_named(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    left_out = load("safe_mutation_generations").missing(["json", "numba", "no_such_package"])
    assert left_out.keys() == {"numba", "no_such_package"}
    assert left_out["no_such_package"] == "ModuleNotFoundError: No module named 'no_such_package'"


def test_loops_get_the_sensitivities_that_we_get(load):
    pairs, sequences = load("safe_mutation_pairs"), RecurrentParity().sequences
    policy = BatchedPolicy(ParityPolicy("rnn", hidden=4))
    params = pairs.founders(policy.module, 3)
    modules = [policy.individual(vector) for vector in params]
    for loop, ours in (
        (pairs.magnitudes, sm_g_abs),
        (pairs.sums, sm_g_sum),
        (pairs.sums_of_batch, sm_g_sum),
    ):
        expected = torch.stack([loop(module, sequences) for module in modules])
        torch.testing.assert_close(ours(policy, params, sequences), expected, rtol=1e-4, atol=1e-7)


def test_loops_get_the_outputs_that_we_get(load):
    pairs = load("safe_mutation_pairs")
    for ways in pairs.populations(5).values():
        loop, *all_batched, _ = (work.run() for work in ways.values())
        for batched in all_batched:
            torch.testing.assert_close(batched, torch.stack(loop), rtol=1e-4, atol=1e-6)


def test_floors_have_the_products_of_the_nets(load):
    pairs = load("safe_mutation_pairs")

    def matrices(policy: nn.Module) -> int:
        return sum(weight.numel() for weight in policy.parameters() if weight.ndim > 1)

    def of_one_state(shapes) -> int:
        return sum(rows * inner * columns for rows, inner, columns in shapes)

    assert of_one_state(pairs.deep(16, 15)) == matrices(DeepPolicy(4, 2, layers=16))
    assert of_one_state(pairs.recurrent(4, 15, 1, 1)) == matrices(ParityPolicy("lstm"))
    images = [rows * inner for rows, inner, _ in pairs.convolutional(3, 8)]
    assert images == [8 * 27, 8 * 72, 1 * 72]
    assert sum(images) + 3 * 72 == matrices(pairs.conv_net(3, 8))
    assert [product.shape for product in pairs.products(3, [(2, 4, 5)])()] == [(3, 2, 5)]


def test_the_environment_and_the_simulator_run_the_same_episode(load):
    pytest.importorskip("gymnasium")
    maze = load("safe_mutation_maze")
    info, ends = maze.stepped()(), maze.simulated(3, "auto")()
    assert sum(maze.repeats()) == maze.STEPS
    assert torch.equal(ends, ends[:1].expand_as(ends))
    assert ends[0, :2].tolist() == pytest.approx([info["x"], info["y"]], abs=1e-3)
    assert info["nearest"] < 164


def test_driven_episodes_end_alike(load):
    pytest.importorskip("gymnasium")
    maze = load("safe_mutation_maze")
    policy = BatchedPolicy(DeepPolicy(11, 2, layers=1))
    params = load("safe_mutation_pairs").founders(policy.module, 3)
    found = maze.BreadcrumbMaze()(policy, params).extras["nearest"]
    expected = [info["nearest"] for info in maze.driven(policy, params)()]
    assert found.tolist() == pytest.approx(expected, abs=0.1)
    assert len(set(expected)) > 1


def test_gains_are_taken_within_a_round_and_of_the_whole_job(load):
    work = load("safe_mutation_work")
    ways = {"loop": work.Work(print, times=10.0), "ours": work.Work(print, target=12, steps=30)}
    loop, ours = work.rows(ways, {"loop": [1.0, 4.0, 2.0], "ours": [1.0, 2.0, 1.0]})
    assert (loop.median_ms, loop.min_ms, loop.extrapolated, loop.steps_per_second) == (20.0, 10.0, 10.0, None)
    assert (ours.gain, ours.gain_of_min, ours.least, ours.most) == (20.0, 10.0, 10.0, 20.0)
    assert ours.steps_per_second == 30_000
    assert work.verdict(ours) == "12: unclear"
    assert work.verdict(loop) == ""
    assert "| loop (extrapolated, times 10) | 20.00 |" in work.table("", [loop, ours])


def test_the_clock_counts_work_and_not_waiting(load):
    work = load("safe_mutation_work")
    assert work.processor_clock(lambda: torch.randn(1000, 1000) @ torch.ones(1000, 1000)) > 0.5
    assert work.processor_clock(lambda: time.sleep(0.05)) < 25


def test_evotorch_is_given_the_same_task(load):
    evotorch = pytest.importorskip("evotorch")
    generations = load("safe_mutation_generations")
    policy, words, labels = generations.parity()
    params = load("safe_mutation_pairs").founders(policy, 7)
    expected = SupervisedEvaluator((words, labels), cross_entropy)(BatchedPolicy(policy), params).fitness
    for problem in (generations.vectorised_parity(), generations.looped_parity()):
        batch = evotorch.SolutionBatch(problem, popsize=7)
        batch.set_values(params)
        problem.evaluate(batch)
        torch.testing.assert_close(-batch.evals[:, 0], expected)


def counting_module(seen: list[int], fail_at: int | None = None) -> SafeMutation:
    def fitness(policy, params):
        seen.append(len(params))
        if len(seen) == fail_at:
            raise OSError("the plug was pulled")
        return -params.square().sum(1)

    return SafeMutation(nn.Linear(2, 1), fitness, magnitude=0.1, operator="gaussian", population_size=6)


def test_a_trainer_takes_turns_by_generations(load):
    seen: list[int] = []
    run = load("safe_mutation_generations").TurnTaker(counting_module(seen))
    assert seen == []
    for turn in range(1, 13):  # beyond an epoch of ten
        run()
        assert len(seen) == turn
    run.stop()
    assert seen == [6] + [5] * 11


def test_what_fails_in_a_turn_is_told(load):
    seen: list[int] = []
    run = load("safe_mutation_generations").TurnTaker(counting_module(seen, fail_at=2))
    run()
    with pytest.raises(RuntimeError, match="the plug was pulled"):
        run()
    run.stop()
