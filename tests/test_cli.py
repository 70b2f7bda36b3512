import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lightning_neuro import __version__
from lightning_neuro._lightning import Callback, MisconfigurationException
from lightning_neuro.cli import main
from lightning_neuro.cli_messages import one_line

NEED_DATA = {
    f"st_rsbp_{name}"
    for name in ("fashion_mnist", "japanese_vowels", "shd", "ntidigits", "nmnist", "ti46", "spoken_letters")
} | {"gradient_activation_cifar10", "gradient_rewiring_fashion_mnist"}
CONFIG = Path(__file__).parents[1] / "examples" / "configs" / "gradient_activation.yaml"
DIGITS = ["--data", "DigitsData", "--model", "SpikingClassifier", "--model.in_features", "64"]
QUICK = ["--trainer.fast_dev_run", "true", "--trainer.accelerator", "cpu", "--trainer.logger", "false"]
GAF = ["--trainer.callbacks+=GradientActivation"]
MAZE = ["--config", str(CONFIG.with_name("safe_mutation.yaml"))]
FEW = ["--model.population_size=8", "--model.evaluator.steps=30", "--model.generations_per_epoch=2"]


class CallbackThatFails(Callback):
    """Fails while training, in a line that is not of this package."""

    def on_train_start(self, trainer, pl_module):
        raise ValueError("a defect of the user's own")


class CallbackThatDisagrees(Callback):
    def on_train_start(self, trainer, pl_module):
        raise MisconfigurationException("Cannot go\n  together.")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The command line reads these from the process; a test's own options would be confusing in a message.
    monkeypatch.setattr(sys, "argv", ["lightning-neuro"])


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lightning-neuro {__version__}\n"


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_help_names_every_command(words, capsys):
    assert main(words) == 0
    told = capsys.readouterr().out
    for command in ("fit", "validate", "test", "predict", "demo", "report", "doctor"):
        assert f"\n    {command} " in told


def test_help_of_a_command_shows_its_options(capsys):
    assert main(["demo", "--help"]) == 0
    assert "--seeds" in capsys.readouterr().out
    assert main(["fit", "--help"]) == 0
    assert "--trainer.max_epochs" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_each_command_runs_with_short_names(command):
    callbacks = [*GAF, "--trainer.callbacks.alpha=0.3"] if command == "fit" else []
    assert main([command, *DIGITS, *QUICK, *callbacks]) == 0


def test_options_reach_the_callback(capsys):
    assert main(["fit", *DIGITS, *GAF, "--trainer.callbacks.alpha=0.3", "--print_config"]) == 0
    told = capsys.readouterr().out
    assert "GradientActivation" in told
    assert "alpha: 0.3" in told


# The laser is no Gaussian process, as the configuration says.
@pytest.mark.filterwarnings("ignore:.*does not fit the inputs")
@pytest.mark.parametrize("config", sorted(CONFIG.parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_config_of_the_examples_runs(config, capsys):
    status = main(["fit", "--config", str(config), *QUICK])
    if status:  # no data of that kind here, and a line that says where they should be
        (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
        assert config.stem in NEED_DATA
        assert re.match(r"lightning-neuro: \w+Data: .*(not found|LIGHTNING_NEURO_DATA|espeak-ng)", line), line


def test_every_public_callback_module_and_data_set_has_a_configuration():
    text = "".join(path.read_text("utf-8") for path in CONFIG.parent.glob("*.yaml"))
    data = importlib.import_module("lightning_neuro.data")
    wanted = {name for name in data.__all__ if name.endswith("Data")} - {"LabelledImagesData"}
    wanted |= {"GradientActivation", "GradientRewiring", "DeepRewiring", "SpikingStateReset", "STRSBP", "SafeMutation"}
    wanted |= {"SpectralInit", "SpectralRNNModule", "ReservoirModule", "MeasureCallback"}
    assert not [name for name in sorted(wanted) if f"class_path: {name}\n" not in text]


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_checkpoint_of_fit_can_be_tested(tmp_path, capsys):
    small = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2"]
    assert main(["fit", "--config", str(CONFIG), *small]) == 0
    (checkpoint,) = tmp_path.glob("runs/lightning_logs/version_0/checkpoints/*.ckpt")
    config = tmp_path / "runs/lightning_logs/version_0/config.yaml"
    assert main(["test", "--config", str(CONFIG), "--ckpt_path", str(checkpoint)]) == 0
    assert config.is_file()
    assert "test_accuracy" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["fit", "test"])
def test_a_damaged_checkpoint_is_refused_in_one_line(command, tmp_path, capsys):
    torch.save({"state_dict": {"weight": torch.ones(100)}}, tmp_path / "run.ckpt")
    content = bytearray((tmp_path / "run.ckpt").read_bytes())
    content[content.index(torch.ones(100).numpy().tobytes())] ^= 4
    (tmp_path / "run.ckpt").write_bytes(content)
    assert main([command, *DIGITS, *QUICK[2:], "--ckpt_path=run.ckpt"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lightning-neuro: --ckpt_path: run.ckpt is damaged: the checksum of its part ")


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved")
    model = torch.nn.Linear(2, 2)
    torch.save(model, folder / "pickled.ckpt")
    torch.save({"state_dict": model.state_dict()}, folder / "weights.ckpt")
    version = {"state_dict": {}, "pytorch-lightning_version": "2.6.0"}
    torch.save(version, folder / "whole.ckpt")
    (folder / "cut.ckpt").write_bytes((folder / "whole.ckpt").read_bytes()[:500])
    (folder / "hello.ckpt").write_bytes(b"hello")
    (folder / "empty.ckpt").write_bytes(b"")
    return folder


@pytest.mark.parametrize("command", ["fit", "test"])
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("cut", "cut short, damaged or another kind of file"),
        ("hello", "cut short, damaged or another kind of file"),
        ("empty", "cut short, damaged or another kind of file"),
        ("pickled", "must hold tensors and plain values only"),
        ("weights", "no version of Lightning. Give a checkpoint of a Trainer."),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_one_line(command, name, told, saved, capsys):
    assert main([command, *DIGITS, *QUICK[2:], "--ckpt_path", str(saved / f"{name}.ckpt")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lightning-neuro: --ckpt_path: ")
    assert told in line


def test_a_callback_given_twice_is_told_in_one_line(capsys):
    assert main(["fit", *DIGITS, *QUICK[2:], *GAF, "--trainer.callbacks+=GradientActivation"]) == 2
    assert "Give each callback once" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_population_goes_on_from_its_checkpoint_and_its_champion_can_be_examined(tmp_path, capsys):
    assert main(["fit", *MAZE, *FEW, "--trainer.max_epochs=1"]) == 0
    (checkpoint,) = tmp_path.glob("runs/lightning_logs/version_0/checkpoints/*step=2.ckpt")
    again = ["--ckpt_path", str(checkpoint)]
    assert main(["fit", *MAZE, *FEW, *again, "--trainer.max_epochs=2"]) == 0
    assert list(tmp_path.glob("runs/lightning_logs/version_1/checkpoints/*step=4.ckpt"))
    capsys.readouterr()
    for command, metric in (("test", "test/fitness"), ("validate", "val/fitness")):
        assert main([command, *MAZE, *FEW, *again]) == 0
        assert metric in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["bogus"], "invalid choice: 'bogus'"),
        (["demo", "--seeds", "few"], "argument --seeds: invalid int value: 'few'. See: lightning-neuro demo --help"),
        (["demo", "--out", "/dev/null/x"], "demo: out must be a folder that can be written, got '/dev/null/x' (Not a"),
        (
            ["fit", *DIGITS, *QUICK[2:], "--trainer.max_epochs=1", "--ckpt_path=no.ckpt"],
            "--ckpt_path: there is no file 'no.ckpt'.",
        ),
        (["test", *DIGITS, *QUICK[2:], "--ckpt_path", "no.ckpt"], "--ckpt_path: there is no file 'no.ckpt'."),
        (["demo", "--seeds", "0", "--data", "digits"], "demo: seeds must be at least 1, got 0."),
        (["fit", "--data", "DigitsData"], "the following arguments are required: --model."),
        (["fit", "--config", "none.yaml"], "--config: File does not exist"),
        (["fit", *DIGITS, "--nonsense", "3"], "unrecognized arguments: --nonsense 3."),
        (["fit", *DIGITS, *GAF, "--trainer.callbacks.alpha=-1"], "GradientActivation: alpha must be greater than 0"),
        (["fit", *DIGITS, "--data.batch_size", "0"], "DigitsData: batch_size must be at least 1, got 0."),
        (["fit", *DIGITS, "--model.beta=high"], "--model.beta: SpikingClassifier: expected float, got high."),
        (["fit", *DIGITS, "--model.bet=1"], "--model: SpikingClassifier: Option 'bet' is not accepted."),
        (["fit", *DIGITS, *GAF, "--trainer.callbacks.gamma=1"], "GradientActivation: Option 'gamma' is not accepted."),
        (["fit", *DIGITS, "--trainer.max_epochs=x"], "--trainer.max_epochs: expected int, got x."),
        (["fit", "--model", "SpikingClassifier", "--data", "Digits"], "Did you mean DigitsData?"),
        (["fit", "--model", "GradientActivation", "--data", "DigitsData"], "--trainer.callbacks callbacks."),
        (["fit", *DIGITS, "--trainer.callbacks+=GradientActivaton"], "Did you mean GradientActivation?"),
        (["fit", "--data", "DigitsData", "--model", "SpikingClassifier", *QUICK], "Set in_features=64."),
        (["fit", *MAZE, *QUICK, "--model.magnitude=-1"], "SafeMutation: magnitude must be at least 0, got -1.0."),
        (["fit", *MAZE, *QUICK, "--model.operator=sm_g"], "name must be one of 'gaussian', 'sm_r', 'sm_g_sum'"),
        (["fit", *MAZE, *QUICK, "--model.policy=Deep"], "--model.policy: SafeMutation: no class is called 'Deep'."),
        (["fit", *MAZE, *QUICK, "--model.evaluator.steps=0"], "BreadcrumbMaze: steps must be at least 1, got 0."),
        (
            ["fit", "--model", "SafeMutation", *QUICK],
            "SafeMutation: the following arguments are required: mag",
        ),
        (["fit", *DIGITS, *QUICK, f"--trainer.callbacks+={__name__}.CallbackThatDisagrees"], "Cannot go together."),
    ],
)
def test_mistakes_are_told_in_one_line(words, told, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this_module())
    assert main(words) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("lightning-neuro: ")
    assert told in last
    assert len(last) < 250


@pytest.mark.filterwarnings("ignore:You defined a `validation_step` but have no `val_dataloader`")
def test_a_model_that_needs_data_is_told_so(capsys):
    assert main(["fit", *DIGITS[2:], *QUICK]) == 2
    assert "`train_dataloader` must be implemented" in capsys.readouterr().err


def test_defects_keep_their_traceback(monkeypatch):
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or _this_module())
    with pytest.raises(ValueError, match="a defect of the user's own"):
        main(["fit", *DIGITS, *QUICK, f"--trainer.callbacks+={__name__}.CallbackThatFails"])


def test_a_missing_extra_is_named(monkeypatch, capsys):
    find = importlib.util.find_spec
    missing = {"jsonargparse", "matplotlib"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in missing else find(name, *rest))
    assert main(["fit", *DIGITS]) == 2
    assert "pip install 'lightning-neuro[cli]'" in capsys.readouterr().err
    assert main(["demo"]) == 2
    assert "pip install 'lightning-neuro[plot]'" in capsys.readouterr().err


def test_unknown_errors_are_not_shortened():
    assert one_line(RuntimeError("x")) is None
    assert one_line(ValueError("raised nowhere")) is None


def test_python_m():
    done = subprocess.run([sys.executable, "-m", "lightning_neuro", "nothing"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1


def test_help_of_a_class_under_python_m_is_headed_by_the_command():
    words = ["fit", "--model.help", "SpikingClassifier"]
    done = subprocess.run([sys.executable, "-m", "lightning_neuro", *words], capture_output=True, text=True)
    assert done.stdout.startswith("usage: lightning-neuro ")


def _this_module():
    return type("Module", (), {"CallbackThatFails": CallbackThatFails, "CallbackThatDisagrees": CallbackThatDisagrees})
