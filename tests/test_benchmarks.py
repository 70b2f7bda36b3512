"""The benchmarks run through with tiny sizes; what they measure is not looked at here, how they reckon is."""

import importlib
import json
import subprocess
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


TINY_STEP = ["--rounds", "1", "--threads", "1"]


@pytest.fixture
def small_steps(load, monkeypatch):
    """The benchmark of ST-RSBP at one small size, memory apart."""
    script = load("st_rsbp")
    monkeypatch.setattr(script, "SIZES", (script.Size(3, 30, 5, 8, 2),))
    monkeypatch.setattr(script, "missing", lambda: {name: "not asked" for name in script.CONTENDERS if "T" not in name})
    return script


def test_every_net_is_timed_at_the_rate_of_the_others(small_steps, monkeypatch, tmp_path, capsys):
    sizes = []
    monkeypatch.setattr(small_steps, "peak", lambda name, size, threads: sizes.append(size) or 1000 * size.steps)
    small_steps.main([*TINY_STEP, "--out", str(tmp_path / "out.json")])
    written, printed = json.loads((tmp_path / "out.json").read_text()), capsys.readouterr().out
    steps, floors, memory = written["sections"].values()
    names = ["snnTorch RSynaptic", "ST-RSBP adjoint", "ST-RSBP published", "snnTorch RLeaky"]
    assert [row["name"] for row in steps] == [row["name"] for row in floors] == names
    assert all(row["min_ms"] > 0 for row in steps)
    assert [row["additions_ms"] is None for row in floors] == [True, False, False, True]
    assert {size.steps for size in sizes} == {300, 600}
    assert {row["growth"] for row in memory} == {None, 1.0}
    assert "Left out: spikingjelly" in printed
    assert "| ST-RSBP adjoint | 600 | 0.6 | 1 | 1 | 0.5: missed |" in printed


@pytest.mark.parametrize("name", ["snnTorch RSynaptic", "snnTorch RLeaky", "ST-RSBP adjoint", "ST-RSBP published"])
def test_nets_start_at_the_wanted_rates_and_learn(load, name):
    nets = load("st_rsbp_nets")
    one = nets.contender(name, nets.Size(4, 60, 40, 40, 5))
    assert one.rates(one.inputs) == pytest.approx((nets.HIDDEN_RATE, nets.HIDDEN_RATE), abs=0.015)
    before = [weight.detach().clone() for weight in one.net.parameters()]
    one.step()
    assert all(not torch.equal(weight, old) for weight, old in zip(one.net.parameters(), before, strict=True))


def test_additions_of_spikes_are_counted(load):
    floors = load("st_rsbp_floors")
    # 1000 steps of samples: 100 input, 400 hidden, 100 output spikes, each adding what its row holds.
    size = floors.Size(10, 100, 2, 4, 1)
    forward = 100 * 4 + 400 * (4 + 1)
    # By presynaptic spikes for the inputs and the readout, where that is cheaper; recurrent ones; the error below.
    backward = 100 * 4 + 400 * 1 + 400 * 4 + 4 * 100 * 4
    assert floors.additions(size, 0.1, 0.1) == pytest.approx((forward + backward) / 1e6)
    assert floors.additions(size, 0.1, 0.1, solved=3) == pytest.approx((forward + backward + 1200) / 1e6)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is known on Linux only")
def test_memory_holds_what_autograd_keeps_and_not_a_multiple_of_it(load):
    memory = load("st_rsbp_memory")
    # A process of its own: this one may hold memory that earlier tests have freed, and then nothing grows.
    peak = memory.peak("snnTorch RLeaky", memory.Size(8, 110, 20, 200, 5), 1)
    # Four tensors (T, B, N) in single precision are the least that autograd keeps.
    least = 4 * 110 * 8 * 200 * 4
    assert least < peak < 10 * least


def test_memory_is_measured_in_a_process_of_its_own(load, monkeypatch, capsys):
    memory, size = load("st_rsbp_memory"), load("st_rsbp_memory").Size(1, 2, 3, 4, 5)
    monkeypatch.setattr(
        memory, "measured", lambda name, size: 7 if name == "snnTorch RLeaky" and size.steps == 2 else 0
    )

    def run(command, **_):
        memory.main(command[command.index(memory.__file__) + 1 :])
        return subprocess.CompletedProcess(command, 0, stdout=capsys.readouterr().out)

    monkeypatch.setattr(memory.subprocess, "run", run)
    assert memory.peak("snnTorch RLeaky", size, 1) == 7


def test_reversed_patterns_have_equal_counts(load):
    script = load("temporal_order")
    plan = script.Plan(dropped=0.0, noise=0.0, jitter=0)
    of = script.patterns(plan, torch.Generator().manual_seed(0))
    assert torch.equal(of[0::2].flip(1), of[1::2])
    assert of.double().mean() == pytest.approx(plan.rate, rel=0.1)
    clean = script.samples(20, plan, of, torch.Generator().manual_seed(0))
    assert torch.equal(clean.spikes.transpose(0, 1), of[clean.labels])
    noisy = script.samples(20, script.Plan(dropped=1.0, noise=0.02), of, torch.Generator().manual_seed(0))
    assert noisy.spikes.double().mean() == pytest.approx(0.02, rel=0.1)


def test_scores_tell_pairs_from_order(load):
    found = load("temporal_order").scores(torch.tensor([0, 1, 2, 9]), torch.tensor([0, 0, 3, 4]))
    assert found == {"accuracy": 0.25, "pairs": 0.75, "within_pairs": pytest.approx(1 / 3)}


def test_temporal_order_is_tuned_tested_and_resumable(load, tmp_path, monkeypatch, capsys):
    script, out = load("temporal_order"), tmp_path / "out.json"
    monkeypatch.setattr(script, "ARMS", script.ARMS[::2])
    monkeypatch.setattr(script, "RATES", (1e-2, 3e-2))
    small = {"train": 100, "val": 20, "test": 100, "epochs": 2}
    options = [word for name, value in small.items() for word in (f"--{name}", str(value))]
    script.main([*options, "--seeds", "0", "--out", str(out)])
    runs, printed = json.loads(out.read_text())["runs"], capsys.readouterr().out
    finals = {(run["arm"], *run["memory"]): run for run in runs if run["stage"] == "final"}
    assert len(finals) == 5
    assert finals["recurrent, 100 neurons", 64.0, 8.0]["accuracy"] > 0.2
    control = finals[("linear classifier of counts",)]
    assert control["within_pairs"] == pytest.approx(0.5, abs=4 * (0.25 / 100) ** 0.5)
    assert all("accuracy" not in run for run in runs if run["stage"] == "tuning")
    assert printed.count(" | 1 |") == 5
    monkeypatch.setattr(script, "trained", lambda *_, **__: pytest.fail("trained again"))
    script.main([*options, "--seeds", "0", "--out", str(out)])


@pytest.fixture
def vowels(load, tmp_path, monkeypatch):
    """The comparison on made-up series, whose class is their level."""
    header = "@dimensions 12\n@classLabel true 1 2 3 4 5 6 7 8 9\n@data\n"
    generator = torch.Generator().manual_seed(0)
    for part in ("TRAIN", "TEST"):
        lines = []
        for sample in range(54):
            label = sample % 9
            series = label / 2 + 0.1 * torch.randn(12, 6, generator=generator)
            channels = (",".join(f"{value:.4f}" for value in channel) for channel in series.tolist())
            lines.append(":".join([*channels, str(label + 1)]))
        (tmp_path / f"JapaneseVowels_{part}.ts").write_text(header + "\n".join(lines) + "\n")
    monkeypatch.setenv("LIGHTNING_NEURO_DATA", str(tmp_path))
    script = load("japanese_vowels")
    monkeypatch.setattr(script, "THRESHOLDS", (5.0,))
    monkeypatch.setattr(script, "FOLDS", 1)
    return script


def test_vowels_are_tuned_without_the_test_series(vowels, tmp_path, monkeypatch, capsys):
    out, seen = tmp_path / "out.json", []
    load_part = vowels.loaded
    monkeypatch.setattr(vowels, "loaded", lambda part, *a, **k: seen.append(part) or load_part(part, *a, **k))
    vowels.main(["--epochs", "4", "--values", "8", "--hold", "5", "--seeds", "0", "--out", str(out)])
    runs = json.loads(out.read_text())["runs"]
    assert [run["stage"] for run in runs] == ["tuning", "tuning", "final"] * 2 + ["final"] * 2
    assert seen == ["train", "val", "train", "val", "train", "test"] * 2 + ["train", "test"] * 2
    best = max(runs[:2], key=lambda run: run["accuracy"])
    assert (runs[2]["threshold"], runs[2]["shift"]) == (best["threshold"], best["shift"])
    assert runs[2]["accuracy"] > 0.3
    assert runs[-2]["accuracy"] > 0.9
    assert "| recurrent, 100 neurons | 5.0 |" in capsys.readouterr().out


def test_shift_moves_whole_channels(load):
    shifted = load("japanese_vowels").shifted
    moved = shifted(torch.zeros(4, 2000, 3), 0.2, torch.Generator().manual_seed(0))
    assert torch.equal(moved, moved[:1].expand_as(moved))
    assert moved[0].std().item() == pytest.approx(0.2, rel=0.05)


def test_a_rank_that_is_left_behind_holds_up_no_measurement(load, monkeypatch, tmp_path):
    """A first process that dies leaves another one, which waits, with all that it inherited."""
    scaling = load("scaling")
    script = tmp_path / "dying.py"
    other = "import time; time.sleep(600)"
    script.write_text(
        "import subprocess, sys\n"
        f"print(subprocess.Popen([sys.executable, '-c', {other!r}]).pid, flush=True)\n"
        "sys.exit('rank 0 is gone')\n"
    )
    monkeypatch.setattr(scaling, "__file__", str(script))
    with pytest.raises(RuntimeError, match=r"(?s)GAF on 2 processes ended with status 1\. It said:.*rank 0 is gone"):
        scaling.measured("GAF", 2)


def test_times_of_the_slowest_rank_count(load, monkeypatch, tmp_path):
    scaling = load("scaling")
    script = tmp_path / "two_ranks.py"
    script.write_text("print('50 % seconds 2.500000 0.500000'); print('seconds 1.500000 0.750000')")
    monkeypatch.setattr(scaling, "__file__", str(script))
    assert scaling.measured("GAF", 2) == (2.5, 0.75)
