"""Runs in processes that may be killed at any moment, each going on from the newest checkpoint that is whole."""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import Any

import torch

from lightning_neuro._lightning import ROOT
from lightning_neuro.common.checkpoint_file import CheckpointError, check_checkpoint_file

ModelCheckpoint = importlib.import_module(f"{ROOT}.callbacks").ModelCheckpoint
FINAL = "final.ckpt"
IGNORED = ("callbacks", "loops", "epoch")  # Lightning counts epochs one further where a run had ended before


def newest(folder: Path) -> Path | None:
    """Return the newest checkpoint that is whole; a process may have died while it wrote the last one."""
    for path in sorted(folder.glob("step=*.ckpt"), key=lambda path: int(path.stem.partition("=")[2]), reverse=True):
        try:
            check_checkpoint_file("test", path)
        except CheckpointError:
            continue
        return path
    return None


def go_on(name: str, folder: Path, steps: int) -> None:
    """Train to the end, from where the folder stands, and leave what a checkpoint of the end holds."""
    from support.small_runs import RUNS

    warnings.simplefilter("ignore")
    run, last = RUNS[name](steps), newest(folder)
    if last is not None and last.name == f"step={steps}.ckpt":  # it had ended, and only that was not written down
        last.rename(folder / FINAL)
        return
    keep = ModelCheckpoint(
        folder, filename="{step}", monitor="step", mode="max", save_top_k=2, every_n_train_steps=run.every
    )
    trainer = run.fit(folder, steps, callbacks=[keep], ckpt_path=last)
    trainer.save_checkpoint(folder / "unfinished")
    (folder / "unfinished").rename(folder / FINAL)


class Server:
    """A process that has imported everything and is forked for each run, which so begins within milliseconds."""

    def __init__(self) -> None:
        tests = Path(__file__).parents[1]
        command = [sys.executable, "-W", "ignore", "-c", "from support.killed_runs import serve; serve()"]
        path = os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")])
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}
        )

    def run(self, name: str, folder: Path, steps: int, kill_after: float | None = None) -> bool:
        """Start `go_on`, kill it after so many seconds, and return whether it came to its end."""
        pid = int(self._ask(json.dumps([name, str(folder), steps])))
        if kill_after is not None:
            time.sleep(kill_after)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        status = int(self._ask(""))
        if status not in (0, -signal.SIGKILL):
            raise RuntimeError(f"{name} ended with {status}")
        return status == 0

    def close(self) -> None:
        """End it."""
        self._process.communicate("")

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if line:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        return self._process.stdout.readline()


def serve() -> None:
    """Fork for every line that comes in: name, folder and steps of a run; tell the fork's number, then its end."""
    import support.small_runs  # noqa: F401  # before the first fork

    torch.set_num_threads(1)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _become(*json.loads(line))
        print(pid, flush=True)  # noqa: T201
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


def _become(name: str, folder: str, steps: int) -> None:
    status = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        go_on(name, Path(folder), steps)
        status = 0
    except BaseException:  # the fork must not go on as the server
        traceback.print_exc()
    os._exit(status)


def end_of(folder: Path) -> dict[str, Any]:
    """Return weights, optimizers, schedulers and the states of our callbacks at the end of a run."""
    content = torch.load(folder / FINAL, weights_only=True)
    kept = {key: value for key, value in content.items() if key not in IGNORED}
    ours = {key: state for key, state in content["callbacks"].items() if "ModelCheckpoint" not in key}
    return kept | {"callbacks": ours}


def differences(one: Any, other: Any, at: str = "") -> list[str]:
    """Return where two states differ, bit by bit."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = [f"{at}.{key} is on one side only" for key in one.keys() ^ other.keys()]
        return found + [
            line for key in one.keys() & other.keys() for line in differences(one[key], other[key], f"{at}.{key}")
        ]
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [line for place, (a, b) in pairs for line in differences(a, b, f"{at}[{place}]")]
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        same = one.dtype == other.dtype and torch.equal(one.nan_to_num(), other.nan_to_num())
    else:
        same = one == other or (one != one and other != other)
    return [] if same else [f"{at}: {one!r} and {other!r}"[:200]]
