"""The benchmarks run through with tiny sizes; what they measure is not looked at here, how they reckon is."""

import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest
import snntorch
import torch

FOLDER = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Import a script of the folder, as if it were run from there."""
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setattr("sys.argv", ["benchmark"])

    def load_module(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load_module


SMALL = {"data": "digits", "epochs": 3, "val-images": 100, "hidden": 20, "num-steps": 4}
SMALL_OPTIONS = [word for name, value in SMALL.items() for word in (f"--{name}", str(value))]


@pytest.fixture
def rewiring_accuracy(load, monkeypatch):
    """The comparison of arms at two connectivities, with a learning rate that is given."""
    script = load("gradient_rewiring_accuracy")
    for name, value in {"TARGETS": (0.3, 0.1), "RATES": (0.01,), "FIRST_RATES": (0,)}.items():
        monkeypatch.setattr(script, name, value)
    return script


def test_arms_are_compared_at_equal_connectivity(rewiring_accuracy, tmp_path, monkeypatch, capsys):
    script, out, drawn = rewiring_accuracy, tmp_path / "part.json", tmp_path / "drawn.svg"
    script.main([*SMALL_OPTIONS, "--seeds", "0", "1", "--out", str(out)])
    written = json.loads(out.read_text())
    finals = [run for run in written["runs"] if run["stage"] == "final"]
    assert {(run["arm"], run["target"]) for run in finals if run["arm"] != "dense"} == {
        (arm, target) for arm in set(script.ARMS) - {"dense"} for target in (0.3, 0.1)
    }
    for run in finals:
        if run["arm"] != "Grad R":  # whose trim only takes away
            assert run["connectivity"]["total"] == pytest.approx(run["target"], abs=1e-3)
        assert 0 < run["connectivity"]["total"] <= run["target"] + 1e-3
    # What is in one file is not trained again, and files of several processes are read together.
    monkeypatch.setattr(script, "train", None)
    script.main([*SMALL_OPTIONS, "--seeds", "0", "1", "--out", str(out)])
    lost = written["runs"].pop()
    out.write_text(json.dumps(written))
    (tmp_path / "part_two.json").write_text(json.dumps({"plan": written["plan"], "runs": [lost]}))
    capsys.readouterr()
    script.main(["--summarise", "--out", str(out), "--picture", str(drawn)])
    assert capsys.readouterr().out.count(" | 2 | ") == 7
    assert ">Grad R<" in drawn.read_text()


def test_a_run_in_two_files_counts_once_and_plans_do_not_mix(load, tmp_path):
    merged = load("gradient_rewiring_accuracy").merged
    run = {"stage": "final", "arm": "dense", "target": 1.0, "seed": 0, "learning_rate": 0.001, "accuracy": 0.5}
    paths = [tmp_path / f"{name}.json" for name in "ab"]
    for path in paths:
        path.write_text(json.dumps({"plan": {"epochs": 1}, "runs": [run]}))
    assert merged(paths) == [run]
    paths[1].write_text(json.dumps({"plan": {"epochs": 2}, "runs": [run]}))
    with pytest.raises(ValueError, match="expected files of one plan"):
        merged(paths)


@pytest.mark.parametrize("peak", [0, 2, 5, 6])
def test_the_best_rate_is_found_beyond_the_grid(load, monkeypatch, tmp_path, peak):
    script = load("gradient_rewiring_accuracy")
    accuracy = {rate: 1 / (1 + abs(index - peak)) for index, rate in enumerate(script.RATES)}
    monkeypatch.setattr(script, "train", lambda arm, target, rate, *_, **__: {"accuracy": accuracy[rate]})
    runs = load("recorded_runs").RecordedRuns(tmp_path / "out.json", {})
    assert script.tune("Grad R", script.Plan(), runs) == script.RATES[peak]


@pytest.mark.parametrize("connectivity", [0.01, 0.05, 0.3])
def test_shares_of_the_layers_add_up(load, connectivity):
    shapes = {"hidden": (800, 784), "output": (10, 800)}
    shares = load("gradient_rewiring_accuracy").shares(shapes, connectivity)
    assert all(0 < share <= 1 for share in shares.values())
    assert shares["hidden"] * 627_200 + shares["output"] * 8_000 == pytest.approx(connectivity * 635_200)


@pytest.mark.parametrize("shape", [(5, 7), (8, 5, 7)])
def test_neurons_over_all_steps_are_snntorchs(load, shape):
    script, generator = load("static_spiking_net"), torch.Generator().manual_seed(0)
    x = (2 * torch.randn(shape, generator=generator)).requires_grad_()
    weights = torch.randn(8, 5, 7, generator=generator)
    neuron = snntorch.Leaky(beta=0.5, threshold=1.0, reset_mechanism="zero", spike_grad=snntorch.surrogate.atan(2.0))
    steps, mem = [], torch.zeros(5, 7)
    for current in x if len(shape) == 3 else [x] * 8:
        spk, mem = neuron(current, mem)
        steps.append(spk)
    expected = torch.stack(steps)
    spikes = script.LeakyNeurons.apply(x, 8)
    assert torch.equal(spikes, expected)
    assert 0.1 < spikes.mean() < 0.5
    ours, theirs = (torch.autograd.grad((s * weights).sum(), x)[0] for s in (spikes, expected))
    torch.testing.assert_close(ours, theirs)


def test_every_timing_gets_a_row(load, monkeypatch, tmp_path, capsys):
    script = load("gradient_activation")
    monkeypatch.setattr(script, "resnet18_shapes", lambda: [(3, 2), (5,)])
    script.main(["--rounds", "1", "--threads", "1", "--data", "digits", "--out", str(tmp_path / "out.json")])
    written = json.loads((tmp_path / "out.json").read_text())
    assert [len(rows) for rows in written["sections"].values()][:4] == [10, 3, 3, 3]
    assert all(row["min_ms"] > 0 for rows in written["sections"].values() for row in rows if "floor" not in row["name"])
    assert "activate_ atan" in capsys.readouterr().out
    assert written["facts"]["versions"]["torch"].startswith(torch.__version__.partition("+")[0])


def test_resnet18_has_the_known_size(load):
    shapes = load("gradient_activation").resnet18_shapes()
    assert len(shapes) == 62
    assert sum(torch.Size(shape).numel() for shape in shapes) == 11_689_512


def test_contenders_get_fresh_values_and_take_turns_to_begin(load):
    script, side_by_side = load("gradient_activation"), load("side_by_side")
    tensors, seen = [torch.tensor([4.0])], []

    def contender(name):
        def run():
            seen.append((name, tensors[0].item()))
            tensors[0].sqrt_()

        return run

    contenders = {name: contender(name) for name in "ab"}
    times = side_by_side.in_turns(contenders, 2, script.refresher(tensors))
    rounds = side_by_side.WARM_UP + 2
    assert {value for _, value in seen} == {4.0}
    assert [name for name, _ in seen] == [name for turn in range(rounds) for name in ("ab", "ba")[turn % 2]]
    assert [len(of) for of in times.values()] == [2, 2]


def test_ratios_are_taken_within_a_round(load):
    side_by_side = load("side_by_side")
    plain, ours = side_by_side.rows({"plain": [1.0, 10.0, 2.0], "ours": [3.0, 20.0, 4.0]}, 1, {"ours": 2.5})
    assert (plain.ratio, ours.ratio, ours.ratio_of_min) == (1.0, 2.0, 3.0)
    assert side_by_side.verdict(ours) == "2.5: unclear"
    assert side_by_side.verdict(plain) == ""


def test_half_of_the_steps_are_activated_in_the_order_that_cancels_a_drift(load):
    acts = load("gradient_activation").EverySecondStep._acts
    assert [acts(step) for step in range(8)] == [True, False, False, True] * 2


TINY = {"data": "digits", "epochs": 1, "tuning-images": 200, "val-images": 100, "grid-points": 3, "seeds": 2}
OPTIONS = [word for name, value in TINY.items() for word in (f"--{name}", str(value))]


def test_comparison_is_complete_paired_and_resumable(load, tmp_path, monkeypatch, capsys):
    script, out = load("gradient_activation_accuracy"), tmp_path / "out.json"
    monkeypatch.setattr(script, "ARMS", script.ARMS[:2])
    script.main([*OPTIONS, "--out", str(out)])
    first, printed = json.loads(out.read_text()), capsys.readouterr().out
    finals = [run for run in first["runs"] if run["stage"] == "final"]
    assert [(run["arm"], run["seed"]) for run in finals] == [(a.name, s) for s in range(2) for a in script.ARMS]
    assert all(run["seed"] == script.TUNING_SEED for run in first["runs"] if run["stage"] == "tuning")
    assert "| SGD, GAF on the gradient |" in printed
    # What is in the file is not trained again; what is missing is, to the same number.
    lost = first["runs"].pop()
    out.write_text(json.dumps(first))
    trained = []
    monkeypatch.setattr(script, "train", lambda *a, _train=script.train, **k: trained.append(a[2]) or _train(*a, **k))
    script.main([*OPTIONS, "--out", str(out)])
    assert trained == [lost["seed"]]
    assert json.loads(out.read_text())["runs"][-1]["accuracy"] == lost["accuracy"]


def test_results_of_another_plan_are_not_mixed_in(load, tmp_path):
    script = load("gradient_activation_accuracy")
    script.Results(tmp_path / "out.json", script.Plan(epochs=1)).write()
    with pytest.raises(ValueError, match=r"expected runs of .*'epochs': 2.*Give another --out"):
        script.Results(tmp_path / "out.json", script.Plan(epochs=2))


@pytest.mark.parametrize("peak", [-9, -6, -5, 1])
def test_tuning_finds_the_peak_inside_at_the_edge_and_beyond_the_grid(load, monkeypatch, tmp_path, peak):
    script = load("gradient_activation_accuracy")
    accuracy = {script.learning_rate(q): 1 / (1 + abs(q - peak)) for q in range(-30, 20)}
    monkeypatch.setattr(script, "train", lambda arm, rate, *_, **__: {"accuracy": accuracy[rate]})
    results = script.Results(tmp_path / "out.json", script.Plan())
    assert script.tune(script.ARMS[0], results) == script.learning_rate(peak)


def test_difference_has_the_interval_of_students_t(load):
    # Differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t(0.975, 2) = 4.3027.
    low, high = 2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5
    difference = load("gradient_activation_accuracy").difference
    assert difference([2.0, 4.0, 6.0], [1.0, 2.0, 3.0]) == [
        2.0,
        pytest.approx(low, abs=1e-3),
        pytest.approx(high, abs=1e-3),
    ]
