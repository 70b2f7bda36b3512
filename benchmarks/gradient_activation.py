"""What gradient activation costs: every pair side by side, in turns, in one run.

Prints markdown tables; `--out file.json` writes them with what one needs to know to run it again. Ratios are taken
within each round, against the first row of the table, so that a machine that others use as well slows both; the
minimum is what the code needs when nobody is in the way. From the top of the checkout:

    python benchmarks/gradient_activation.py
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from facts import facts
from side_by_side import Row, Times, cuda_clock, in_turns, rows, table, wall_clock
from small_cnn import SmallCnn, TutorialCnn
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from lightning_neuro import GradientActivation, GradientActivationOptimizer
from lightning_neuro._lightning import LightningModule, Trainer
from lightning_neuro.data import image_data
from lightning_neuro.demo.training import quiet_lightning
from lightning_neuro.gradient_activation.functional import activate_
from lightning_neuro.gradient_activation.nonfinite import any_nonfinite

ALPHA, BETA = 0.1, 20.0
WARM_UP_STEPS = 20


def resnet18_shapes() -> list[tuple[int, ...]]:
    """Return the shapes of the 62 parameters of ResNet-18 for 1000 classes.

    >>> len(resnet18_shapes()), sum(torch.Size(shape).numel() for shape in resnet18_shapes())
    (62, 11689512)
    """
    shapes: list[tuple[int, ...]] = []

    def convolution(out: int, into: int, size: int) -> None:
        shapes.extend([(out, into, size, size), (out,), (out,)])  # with the batch norm that follows it

    convolution(64, 3, 7)
    for width, before in ((64, 64), (128, 64), (256, 128), (512, 256)):
        convolution(width, before, 3)
        convolution(width, width, 3)
        if width != before:
            convolution(width, before, 1)
        convolution(width, width, 3)
        convolution(width, width, 3)
    return [*shapes, (1000, 512), (1000,)]


def normal(shapes: Sequence[tuple[int, ...]], device: str = "cpu") -> list[Tensor]:
    """Return numbers of the size of 1 / beta: in the linear part of G, around its bend and in saturation."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).div_(BETA).to(device) for shape in shapes]


def refresher(tensors: Sequence[Tensor]) -> Callable[[], None]:
    """Return what brings back the values of now, so that no round activates what an earlier one has activated."""
    source = [tensor.clone() for tensor in tensors]

    def refresh() -> None:
        for tensor, original in zip(tensors, source, strict=True):
            tensor.copy_(original)

    return refresh


def by_hand_(tensors: Sequence[Tensor]) -> None:
    """Activate as one would write it down."""
    for tensor in tensors:
        tensor.mul_(BETA).atan_().mul_(ALPHA)


def large(threads: int, rounds: int) -> list[Row]:
    """Gradients of the size of ResNet-18's, against a bare arctangent of them."""
    tensors = normal(resnet18_shapes())
    contenders: dict[str, Callable[[], object]] = {
        "bare torch.atan_": lambda: [tensor.atan_() for tensor in tensors],
        **{
            f"activate_ {name}": partial(activate_, tensors, name, ALPHA, BETA)
            for name in ("atan", "tanh", "log", "atan_adaptive")
        },
        "mul_, atan_, mul_ by hand": lambda: by_hand_(tensors),
        "check for NaN and infinity": lambda: any_nonfinite(tensors),
        **floors(tensors),
    }
    lines = rows(in_turns(contenders, rounds, refresher(tensors)), threads, {"activate_ atan": 1.15})
    print("\n" + floor_in_words(lines, sum(tensor.numel() for tensor in tensors)))
    return lines


def floor_in_words(lines: Sequence[Row], values: int) -> str:
    """Say what bounds a pass over so many values, by the minima of the floors' rows."""
    copy, atan, atan2 = (row.min_ms for row in lines[-3:])
    return (
        f"One pass reads and writes {8e-6 * values:.1f} MB. A copy moves {8e-6 * values / copy:.1f} GB/s, so no pass "
        f"takes less than {copy:.2f} ms. In cache as many atan take {atan:.2f} ms ({1e6 * atan / values:.2f} ns each), "
        f"as many atan2 {atan2:.2f} ms ({1e6 * atan2 / values:.2f} ns each)."
    )


def floors(tensors: Sequence[Tensor]) -> dict[str, Callable[[], object]]:
    """Return what no single pass can beat: moving as many bytes, and as much arithmetic on what stays in cache."""
    copies = [torch.empty_like(tensor) for tensor in tensors]
    piece = normal([(1 << 16,)])[0]
    pieces = sum(tensor.numel() for tensor in tensors) // piece.numel()
    reach = torch.tensor(1 / BETA)
    out = torch.empty_like(piece)
    return {
        "floor: copy of the same bytes": lambda: [c.copy_(t) for c, t in zip(copies, tensors, strict=True)],
        "floor: as many atan in cache": lambda: [torch.atan(piece, out=out) for _ in range(pieces)],
        "floor: as many atan2 in cache": lambda: [torch.atan2(piece, reach, out=out) for _ in range(pieces)],
    }


def small(threads: int, rounds: int) -> list[Row]:
    """Many small tensors, against a loop over them."""
    tensors = normal([(32, 32)] * 500)
    contenders: dict[str, Callable[[], object]] = {
        "mul_, atan_, mul_ by hand": lambda: by_hand_(tensors),
        "activate_ atan": lambda: activate_(tensors, "atan", ALPHA, BETA),
        "check for NaN and infinity": lambda: any_nonfinite(tensors),
    }
    return rows(in_turns(contenders, 5 * rounds, refresher(tensors)), threads, {"activate_ atan": 1.0})


def wrapper(threads: int, rounds: int) -> list[Row]:
    """Steps of SGD with momentum and weight decay over weights of the size of ResNet-18's, bare and wrapped."""
    weights = [nn.Parameter(tensor) for tensor in normal(resnet18_shapes())]
    gradients = normal(resnet18_shapes())
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.grad = gradient

    def optimizer() -> Optimizer:
        return SGD(weights, lr=1e-3, momentum=0.9, weight_decay=5e-4)

    contenders: dict[str, Callable[[], object]] = {
        "SGD": optimizer().step,
        "SGD, placement='gradient'": GradientActivationOptimizer(optimizer(), placement="gradient").step,
        "SGD, placement='update'": GradientActivationOptimizer(optimizer(), placement="update").step,
    }
    return rows(in_turns(contenders, rounds, refresher(gradients)), threads)


class EverySecondStep(GradientActivation):
    """Acts at half of the steps, in the order on, off, off, on, and times the steps and its own hook."""

    def __init__(self) -> None:
        super().__init__("atan", alpha=ALPHA, beta=BETA)
        self.times: Times = {"step without the callback": [], "step with the callback": [], "its hook alone": []}
        self._began: float | None = None
        self._hook = 0.0

    @property
    def state_key(self) -> str:
        """Key of the state in a checkpoint."""
        return type(self).__name__

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """End the step before, from the start of one step to that of the next, and begin another."""
        now = time.perf_counter()
        if self._began is not None and trainer.global_step > WARM_UP_STEPS:
            active = self._acts(trainer.global_step - 1)
            self.times[f"step {'with' if active else 'without'} the callback"].append(1e3 * (now - self._began))
            if active:
                self.times["its hook alone"].append(self._hook)
        self._began = now

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Activate and look at the clock, or leave the gradients alone."""
        if self._acts(trainer.global_step):
            self._hook = wall_clock(
                lambda: super(EverySecondStep, self).on_before_optimizer_step(trainer, pl_module, optimizer)
            )

    @staticmethod
    def _acts(step: int) -> bool:
        return step % 4 in (0, 3)


def training(threads: int, rounds: int, data: str, network: type[SmallCnn]) -> list[Row]:
    """A step of a CNN in a Trainer, with and without the callback, its check for NaN and infinity included."""
    images, callback = image_data(data, batch_size=128), EverySecondStep()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        trainer = Trainer(
            max_steps=WARM_UP_STEPS + 4 * 5 * rounds + 1,
            callbacks=[callback],
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
        )
        trainer.fit(network(images.image_shape, images.num_classes), images)
    return rows(callback.times, threads, {"step with the callback": 1.03, "its hook alone": 0.03})


def cuda(rounds: int) -> list[Row]:
    """Gradients of the size of ResNet-18's on the current CUDA device, against a copy of as many bytes."""
    tensors = normal(resnet18_shapes(), "cuda")
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    copy = torch.empty_like(flat)
    contenders: dict[str, Callable[[], object]] = {
        "copy of the same bytes": lambda: copy.copy_(flat),
        **{
            f"activate_ {name}": partial(activate_, tensors, name, ALPHA, BETA)
            for name in ("atan", "tanh", "log", "atan_adaptive")
        },
        "check for NaN and infinity": lambda: any_nonfinite(tensors),
    }
    times = in_turns(contenders, 5 * rounds, refresher(tensors), cuda_clock)
    return rows(times, 0, {"activate_ atan": 1.3})


def measure(rounds: int, threads: Sequence[int], data: str) -> dict[str, list[Row]]:
    """Run every benchmark, print each as it is done and return all."""
    sections: dict[str, Callable[[int], list[Row]]] = {
        "In place, 62 tensors of ResNet-18, 11,689,512 values": lambda n: large(n, rounds),
        "In place, 500 tensors of 32x32": lambda n: small(n, rounds),
        f"Training step of a CNN of 76,418 weights, batch 128, {data}": lambda n: training(n, rounds, data, SmallCnn),
        f"Training step of a CNN of 1,199,882 weights, batch 128, {data}": lambda n: training(
            n, max(1, rounds // 4), data, TutorialCnn
        ),
        "Step of an optimizer over 11,689,512 weights": lambda n: wrapper(n, rounds),
    }
    measured: dict[str, list[Row]] = {}
    before = torch.get_num_threads()
    try:
        for title, section in sections.items():
            for count in threads:
                torch.set_num_threads(count)
                lines = section(count)
                measured.setdefault(title, []).extend(lines)
                print(table(title, lines), flush=True)
    finally:
        torch.set_num_threads(before)
    if torch.cuda.is_available():
        title = f"In place on {torch.cuda.get_device_name()}, ResNet-18"
        measured[title] = cuda(rounds)
        print(table(title, measured[title]))
    else:
        print("\nNo CUDA device here: the comparison with a copy on a GPU was skipped.")
    return measured


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What gradient activation costs.")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument(
        "--rounds", type=int, default=40, help="rounds over large tensors; five times as many for small"
    )
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, torch.get_num_threads()}))
    parser.add_argument("--data", default="fashion_mnist", help="images of the training step")
    options = parser.parse_args(arguments)
    with quiet_lightning():
        measured = measure(options.rounds, options.threads, options.data)
    if options.out is not None:
        sections = {title: [asdict(row) for row in lines] for title, lines in measured.items()}
        options.out.write_text(json.dumps({"facts": facts(), "sections": sections}, indent=1) + "\n")


if __name__ == "__main__":
    main()
