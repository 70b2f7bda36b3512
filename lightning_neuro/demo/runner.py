"""Runs the demonstrations of all methods and writes one report."""

import os
import platform
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from lightning_neuro import __version__
from lightning_neuro._lightning import ROOT
from lightning_neuro.common.report import Section, Table, write_report
from lightning_neuro.data import image_data
from lightning_neuro.demo import gradient_activation, gradient_rewiring, reservoir, safe_mutation, spectral_rnn, st_rsbp
from lightning_neuro.demo.comparison import Comparison, DataName, Plan, say
from lightning_neuro.demo.training import one_thread

METHODS: tuple[Callable[[Comparison], Section], ...] = (
    gradient_activation.demonstrate,
    gradient_rewiring.demonstrate,
    st_rsbp.demonstrate,
    safe_mutation.demonstrate,
    spectral_rnn.demonstrate,
    reservoir.demonstrate,
)

FAST_NOTE = " This was a fast run: it shows that everything works, and its numbers mean nothing."


def run_demo(
    out: str | os.PathLike[str] = "report", data: DataName = "auto", seeds: int = 3, *, fast: bool = False
) -> Path:
    """Train with and without each method and write `out/index.html`.

    Args:
        out: folder of the report.
        data: images to train on; "auto" takes Fashion-MNIST if it is on disk.
        seeds: runs per arm, after the learning rate has been chosen.
        fast: few images and epochs, to see that everything runs.

    Returns:
        The page.

    Raises:
        DataNotFoundError: the data set that was asked for is not on disk.
        OSError: `out` cannot be written; told before anything is trained.
    """
    _check_writable(Path(out))
    started = time.perf_counter()
    found = image_data(data)
    found.prepare_data()
    say(f"Data: {found.kind.title}")
    comparison = Comparison(_plan(data, seeds, small_images=found.num_features < 100, fast=fast))
    with one_thread():
        sections = [demonstrate(comparison) for demonstrate in METHODS]
    seconds = time.perf_counter() - started
    command = f"lightning-neuro demo --data {data} --seeds {seeds}{' --fast' if fast else ''}"
    page = write_report(
        Path(out) / "index.html",
        "lightning_neuro demonstration",
        [*sections, _provenance(command, found.kind.title, seconds)],
        lead=f"Small spiking networks trained on {found.kind.title} with and without each method, for the same number "
        "of steps; then nets evolved with and without safe mutations, recurrent networks learned by moments, and "
        "reservoirs that organise themselves. The numbers are those of this run, whichever way it came "
        f"out.{FAST_NOTE if fast else ''}",
    )
    say(f"Report: {page.resolve()} ({seconds:.0f} s)")
    return page


def _check_writable(folder: Path) -> None:
    """Make the folder and a passing file in it: only the attempt knows about read-only disks and the like."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = "it is a file" if folder.is_file() else error.strerror
        raise OSError(
            f"demo: out must be a folder that can be written, got {str(folder)!r} ({reason}). Name another one."
        ) from error


def _plan(data: DataName, seeds: int, *, small_images: bool, fast: bool) -> Plan:
    """Sizes that suit the data: the digits are few and small, so they are seen more often and at larger rates."""
    plan = Plan(data=data, seeds=seeds)
    if small_images:
        plan = replace(plan, train_images=1100, val_images=340, batch_size=50, epochs=10)
        plan = replace(plan, learning_rates=(0.04, 0.08, 0.16, 0.32))
    if fast:
        plan = replace(plan, train_images=500, val_images=300, epochs=2, tuning_seeds=1)
        plan = replace(plan, learning_rates=plan.learning_rates[1:3])
    return plan


def _provenance(command: str, data: str, seconds: float) -> Section:
    packages = {ROOT: ROOT.split(".")[0], "torch": "torch", "snntorch": "snntorch"}
    rows = [
        ("command", command),
        ("data", data),
        ("time", f"{seconds:.0f} s"),
        ("lightning_neuro", __version__),
        *((name, version(package)) for name, package in packages.items()),
        ("Python", platform.python_version()),
    ]
    return Section("How this page was made", [Table(["what", "value"], rows)])
