"""The `lightning-neuro` command.

`fit`, `validate`, `test` and `predict` are Lightning's own command line with our callbacks, modules and data modules
known by short name; `demo` trains the demonstration and writes its report, `report` writes one of a user's own run;
`doctor` looks at the installation. A mistake in the call is told in one line (exit status 2); an error that is not
about the call keeps its traceback.
"""

import argparse
import importlib
import importlib.util
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from lightning_neuro import __version__
from lightning_neuro.cli_messages import UsageError, one_line

# Words instead of a path that Lightning turns into one.
_FOUND_BY_LIGHTNING = ("best", "last", "hpc", "registry")

LIGHTNING_COMMANDS = {
    "fit": "train a model and validate it along the way",
    "validate": "one pass over the validation data",
    "test": "one pass over the test data",
    "predict": "run a model over data without labels",
}
# Importing a module makes its classes known to the command line by short name.
_SHORT_NAMES = (
    "lightning_neuro.gradient_activation",
    "lightning_neuro.gradient_rewiring",
    "lightning_neuro.st_rsbp",
    "lightning_neuro.safe_mutation",
    "lightning_neuro.safe_mutation.tasks",
    "lightning_neuro.spectral_rnn",
    "lightning_neuro.spectral_rnn.torch",
    "lightning_neuro.reservoir.module",
    "lightning_neuro.reservoir.callback",
    "lightning_neuro.spiking.encoding",
    "lightning_neuro.spiking",
    "lightning_neuro.data",
    "lightning_neuro.demo.spiking_classifier",
)
_EXAMPLES = """\
examples:
  lightning-neuro doctor                   versions, devices, data sets on disk, known conflicts
  lightning-neuro demo                     run each method and its baseline, write report/index.html
  lightning-neuro report lightning_logs    a page about your own runs, from their logs and checkpoints
  lightning-neuro fit --help               all options; --model.help CLASS explains a class, likewise --data.help
                                           and --trainer.callbacks.help
  lightning-neuro fit --config run.yaml    an experiment in a file; options after it override it
  lightning-neuro fit --model SpikingClassifier --model.in_features 64 --data DigitsData \\
      --trainer.callbacks+=GradientActivation --trainer.callbacks.alpha=0.3 --trainer.max_epochs 5
"""


def main(args: Sequence[str] | None = None) -> int:
    """Carry out one call of `lightning-neuro`.

    Args:
        args: the words after the command's name; those of the running process where left out.

    Returns:
        Exit status: 0 if done, 2 if the call has to be corrected.

    >>> main(["--version"])  # doctest: +ELLIPSIS
    lightning-neuro ...
    0
    """
    if args is None:
        args = sys.argv[1:]
        # The help of a class is headed by the process's name, which `python -m` makes `__main__.py`.
        if Path(sys.argv[0]).name == "__main__.py":
            sys.argv[0] = "lightning-neuro"
    words = list(args)
    try:
        _run_lightning(words) if words and words[0] in LIGHTNING_COMMANDS else _run_own(words)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except Exception as error:
        message = one_line(error)
        if message is None:
            raise
        print(f"lightning-neuro: {message}", file=sys.stderr)
        return 2
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. See: {self.prog} --help")


def _run_own(words: list[str]) -> None:
    parser = _Parser(
        prog="lightning-neuro",
        description="Research methods for spiking, recurrent and reservoir networks, in PyTorch Lightning.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"lightning-neuro {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name, does in LIGHTNING_COMMANDS.items():
        commands.add_parser(name, help=does, add_help=False)
    _add_demo_options(commands.add_parser("demo", help="run each method beside its baseline and write a report"))
    _add_report_options(commands.add_parser("report", help="write a page about a run of your own, from its logs"))
    doctor = commands.add_parser("doctor", help="versions, devices, data found, and known conflicts")
    doctor.description = "Print what an error report should hold. The exit status is 1 if a conflict was found."
    if not words:
        parser.print_help()
        return
    options = vars(parser.parse_args(words))
    command = options.pop("command")
    if command == "doctor":
        _examine()
    elif command == "report":
        _require("matplotlib", extra="plot")
        from lightning_neuro.run_report import write_run_report

        try:
            page = write_run_report(**options)
        except (ValueError, OSError) as error:
            raise UsageError(str(error)) from error
        print(f"Report: {page.resolve()}")
    else:
        _require("matplotlib", extra="plot")
        from lightning_neuro.demo import run_demo

        run_demo(**options)


def _examine() -> None:
    from lightning_neuro.doctor import examine

    found = examine()
    print(found.text())
    if found.conflicts:
        raise SystemExit(1)


def _add_report_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Write one page about a run, or about several beside each other: settings, curves and last values of "
        "everything that was logged, what each method says of itself, and the checkpoints. Nothing in them is executed."
    )
    parser.add_argument("folder", metavar="RUN_DIR", help="such as lightning_logs/version_0, or lightning_logs for all")
    parser.add_argument("--out", metavar="FILE", help="page to write (default: RUN_DIR/report/index.html)")


def _add_demo_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Run each method beside what it competes with: spiking nets on real images, evolution, spectral learning and "
        "reservoirs. Where nets are trained, the learning rate is chosen per arm on "
        "validation images, then every arm is trained once per seed and tested once. Writes OUT/index.html."
    )
    parser.add_argument("--out", default="report", help="folder for the report (default: %(default)s)")
    parser.add_argument(
        "--data",
        choices=["auto", "fashion_mnist", "digits"],
        default="auto",
        help="images; auto takes Fashion-MNIST if it is on disk, else scikit-learn's digits (default: %(default)s)",
    )
    parser.add_argument("--seeds", type=int, default=3, help="training runs per arm (default: %(default)s)")
    parser.add_argument("--fast", action="store_true", help="few images and epochs: seconds, to see that it runs")


def _run_lightning(words: list[str]) -> None:
    """Hand the call to Lightning's command line, of the copy of Lightning that is in use."""
    _require("jsonargparse", extra="cli")
    for name in _SHORT_NAMES:
        importlib.import_module(name)
    from lightning_neuro._lightning import ROOT, LightningModule
    from lightning_neuro.common.checkpoint_file import check_checkpoint_file, read_checkpoint

    parent = importlib.import_module(f"{ROOT}.cli").LightningCLI

    # Before Lightning reads it for its hyperparameters; what a configuration names is looked at below.
    path = _checkpoint_in(words)
    if path is not None and "pytorch-lightning_version" not in read_checkpoint("--ckpt_path", path):
        raise UsageError(
            f"--ckpt_path: {path} holds weights, but no version of Lightning. Give a checkpoint of a Trainer."
        )

    class WithWholeCheckpoints(parent):  # type: ignore[misc, valid-type]  # of the copy of Lightning that is in use
        def before_instantiate_classes(self) -> None:
            path = self.config[self.subcommand].get("ckpt_path")
            if path not in (None, *_FOUND_BY_LIGHTNING):
                # torch itself loads most files in which a bit has flipped.
                check_checkpoint_file("--ckpt_path", path)

    raising = {"exit_on_error": False}
    with warnings.catch_warnings():
        # Lightning warns whoever hands over words while the process has some as well: here they are the same.
        warnings.filterwarnings("ignore", message="LightningCLI's args parameter")
        # Between Lightning and its parser; no user can do anything about it.
        for module in ("jsonargparse", r"(pytorch_lightning|lightning\.pytorch)\.cli"):
            warnings.filterwarnings("ignore", category=DeprecationWarning, module=module)
        WithWholeCheckpoints(
            LightningModule,
            subclass_mode_model=True,  # and any data module, or none: evolution needs no data
            seed_everything_default=0,
            parser_kwargs={
                "prog": "lightning-neuro",
                **raising,
                **{name: dict(raising) for name in LIGHTNING_COMMANDS},
            },
            args=words,
        )


def _checkpoint_in(words: list[str]) -> str | None:
    """Return the file that a call names as its checkpoint, if there is one."""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        path = after if word == "--ckpt_path" else word.removeprefix("--ckpt_path=")
        if path != word and Path(path).is_file():
            return path
    return None


def _require(module: str, *, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise UsageError(f"this command needs {module}. Install it with: pip install 'lightning-neuro[{extra}]'")
