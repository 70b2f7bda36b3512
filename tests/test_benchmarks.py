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
