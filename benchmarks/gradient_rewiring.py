"""What rewiring costs and what sparsity buys: every pair side by side, in turns, in one run.

Prints markdown tables; `--out file.json` writes them with what one needs to know to run it again. From the top of the
checkout:

    python benchmarks/gradient_rewiring.py
"""

import argparse
import gc
import io
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import torch
from facts import facts
from side_by_side import in_turns
from torch import Tensor, nn
from torch.optim import Adam

from lightning_neuro.gradient_rewiring import Rewiring, save_sparse
from lightning_neuro.gradient_rewiring.compiled import kernel
from lightning_neuro.gradient_rewiring.sparse_layers import SparseLinear

# The prunable weights of the paper's CIFAR-10 network, 36.7 million, 91 % of them in one layer.
SHAPES = ((256, 3, 3, 3), *[(256, 256, 3, 3)] * 5, (2048, 16384), (100, 2048))
BATCH = 128


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Args:
        name: what was measured.
        value: the number, in `unit`.
        unit: milliseconds or bytes.
        ratio: against the first row of its table.
        target: what the ratio should reach, as `"<= 1.8"` or `">= 9"`.
    """

    name: str
    value: float
    unit: str
    ratio: float
    target: str = ""


def nothing() -> None:
    """Bring nothing back between rounds: a step costs the same wherever the weights are."""


def rows(times: dict[str, list[float]], targets: dict[str, str], *, gain: bool = False) -> list[Row]:
    """Return a row per contender, with the median over rounds of its ratio to the first."""
    reference, *_ = times.values()
    found = []
    for name, of in times.items():
        ratio = median((b / a) if gain else (a / b) for a, b in zip(of, reference, strict=True))
        found.append(Row(name, round(median(of), 4), "ms", round(ratio, 3), targets.get(name, "")))
    return found


def adam(device: str, **options: bool) -> Adam:
    """Return Adam over weights of the paper's network with a gradient in place."""
    generator = torch.Generator(device).manual_seed(0)
    weights = [nn.Parameter(0.02 * torch.randn(shape, generator=generator, device=device)) for shape in SHAPES]
    for weight in weights:
        weight.grad = torch.randn(weight.shape, generator=generator, device=device)
    return Adam(weights, lr=1e-4, **options)


def follow(optimizer: Adam) -> Rewiring:
    weights = optimizer.param_groups[0]["params"]
    return Rewiring(optimizer, {f"w{i}": weight for i, weight in enumerate(weights)}, alpha=1e-3)


def stepper(optimizer: Adam, device: str) -> Callable[[], None]:
    def run() -> None:
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def training_step(rounds: int, device: str) -> list[Row]:
    """A step of Adam over 36.7 million weights, bare and followed by rewiring; the same with the fused Adam."""
    found = []
    for name, options in (("Adam", {}), ("fused Adam", {"fused": True})):
        bare, rewired = adam(device, **options), adam(device, **options)
        follow(rewired)
        contenders = {name: stepper(bare, device), f"{name} and rewiring": stepper(rewired, device)}
        target = {f"{name} and rewiring": "<= 1.8"} if name == "Adam" else {}
        found += rows(in_turns(contenders, rounds, nothing), target)
        del bare, rewired, contenders
        gc.collect()
    return found


def memory() -> list[Row]:
    """Bytes per managed weight that stay, and how much more a step of the optimizer takes when rewiring follows."""
    optimizer = adam("cpu", foreach=False)
    optimizer.step()
    count = sum(w.numel() for w in optimizer.param_groups[0]["params"])
    largest = max(w.numel() for w in optimizer.param_groups[0]["params"])
    alone = peak_growth(optimizer.step)
    rewiring = follow(optimizer)
    held = sum(t.nbytes for tensors in (rewiring.theta, rewiring.sign) for t in tensors.values())
    optimizer.step()
    more = max(0, peak_growth(optimizer.step) - alone)
    return [
        Row("weights", 4 * count, "bytes", 4.0),
        Row("theta and sign; ratio: bytes per weight", held, "bytes", round(held / count, 3), "<= 5"),
        Row("on top in a step; ratio: of the largest tensor", more, "bytes", round(more / 4 / largest, 3), "<= 1"),
    ]


def peak_growth(run: Callable[[], object]) -> int:
    """Return by how many bytes resident memory rises while something runs; Linux only."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # sets the recorded peak back to what is resident now
    before = status("VmRSS")
    run()
    return status("VmHWM") - before


def status(field: str) -> int:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return 1024 * int(line.split()[1])


def layer(connectivity: float) -> nn.Linear:
    """Return the paper's first MNIST layer with a fraction of its connections."""
    generator = torch.Generator().manual_seed(0)
    dense = nn.Linear(784, 800, bias=False)
    kept = torch.rand(800, 784, generator=generator) < connectivity
    dense.weight.data = torch.randn(800, 784, generator=generator) * kept
    return dense


@torch.no_grad()
def inference(rounds: int) -> list[Row]:
    """A forward pass of 784-800 with a batch of 128, dense and exported; ratio: how many times faster."""
    inputs: Tensor = torch.rand(BATCH, 784, generator=torch.Generator().manual_seed(1))
    found = []
    for percent, target in ((10, ""), (5, ">= 2.5"), (2, ""), (1, ">= 8")):
        dense = layer(percent / 100)
        sparse = SparseLinear(dense)
        name = f"exported, {percent} %"
        contenders = {f"dense, {percent} %": lambda d=dense: d(inputs), name: lambda s=sparse: s(inputs)}
        found += rows(in_turns(contenders, 10 * rounds, nothing), {name: target}, gain=True)
    return found


def files() -> list[Row]:
    """Files of the same layer; ratio: how many times smaller."""
    found = []
    for percent, target in ((10, ""), (5, ">= 9"), (2, ""), (1, ">= 40")):
        dense, sparse = io.BytesIO(), io.BytesIO()
        torch.save(layer(percent / 100).state_dict(), dense)
        save_sparse(layer(percent / 100), sparse)
        sizes = len(dense.getvalue()), len(sparse.getvalue())
        found.append(Row(f"torch.save, {percent} %", sizes[0], "bytes", 1.0))
        found.append(Row(f"save_sparse, {percent} %", sizes[1], "bytes", round(sizes[0] / sizes[1], 2), target))
    return found


def verdict(row: Row) -> str:
    """Return the target and whether it was met."""
    if not row.target:
        return ""
    sign, number = row.target.split()
    met = row.ratio <= float(number) if sign == "<=" else row.ratio >= float(number)
    return f"{row.target}: {'met' if met else 'missed'}"


def table(title: str, lines: Sequence[Row]) -> str:
    text = [f"\n**{title}**\n", "| | value | | ratio | target |", "|---|---|---|---|---|"]
    text += [f"| {r.name} | {r.value:,} | {r.unit} | {r.ratio} | {verdict(r)} |" for r in lines]
    return "\n".join(text)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="What rewiring costs and what sparsity buys.")
    parser.add_argument("--out", type=Path, help="JSON file to write")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    print(f"Fused loop: {'numba' if kernel() is not None else 'no numba, pieces in cache'}; threads: {options.threads}")
    sections: dict[str, Callable[[], list[Row]]] = {
        "Step over 36.7 million weights on the CPU": lambda: training_step(options.rounds, "cpu"),
        "Memory": memory,
        "Inference of 784-800, batch 128": lambda: inference(options.rounds),
        "Files of 784-800": files,
    }
    if sys.platform != "linux":
        sections.pop("Memory")
    if torch.cuda.is_available():
        sections["Step over 36.7 million weights on the GPU"] = lambda: training_step(options.rounds, "cuda")
    measured = {}
    for title, section in sections.items():
        measured[title] = section()
        print(table(title, measured[title]), flush=True)
    if options.out is not None:
        content = {
            "facts": facts(),
            "sections": {title: [asdict(r) for r in lines] for title, lines in measured.items()},
        }
        options.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
