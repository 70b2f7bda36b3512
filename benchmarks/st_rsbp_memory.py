"""How much memory an optimisation step takes, each in a process of its own; Linux only.

Run as a program it measures one, which is how `peak` calls it.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

import torch
from gradient_rewiring import peak_growth
from st_rsbp_nets import CONTENDERS, Size, contender

STEPS = 2


def peak(name: str, size: Size, threads: int) -> int:
    """Return by how many bytes a net, its batch and two optimisation steps raise resident memory.

    Args:
        name: of the contender.
        size: of net and batch.
        threads: of torch.
    """
    numbers = [str(number) for number in astuple(size)]
    command = [sys.executable, "-W", "ignore", __file__, name, *numbers, "--threads", str(threads)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(json.loads(done.stdout.splitlines()[-1]))


def measured(name: str, size: Size) -> int:
    """Return the same, in this process, after one step of a tiny net: libraries load and compile what they need."""
    contender(name, Size(2, 20, 8, 8, 2)).step()

    def run() -> None:
        made = contender(name, size)
        for _ in range(STEPS):
            made.step()

    return peak_growth(run)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=f"Memory of optimisation steps; see {Path(__file__).stem}.peak.")
    parser.add_argument("name", choices=list(CONTENDERS))
    parser.add_argument("size", type=int, nargs=5, metavar="B,T,M,N,K", help="five numbers")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    print(json.dumps(measured(options.name, Size(*options.size))))


if __name__ == "__main__":
    main()
