"""Moving and sensing of a population of robots, by the fastest way at hand.

`robot` is plain torch; with numba installed, tensors on the CPU take the loops of `robot_loops`. In double precision
both agree to rounding. In single precision a robot that scrapes along a wall may be refused in one and pass in the
other, and then takes another course.
"""

import math
from functools import cache
from types import ModuleType
from typing import Any, Literal

import torch
from torch import Tensor

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.tasks import robot
from lightning_neuro.safe_mutation.tasks.maze import WallTables

Backend = Literal["auto", "reference", "compiled"]
BACKENDS: tuple[Backend, ...] = ("auto", "reference", "compiled")


def advance(state: Tensor, actions: Tensor, tables: WallTables, *, backend: Backend = "auto") -> Tensor:
    """See `robot.advance`."""
    if not _compiled("advance", backend, state):
        return robot.advance(state, actions, tables)
    moved = state.clone(memory_format=torch.contiguous_format)
    arrays = (_array(each) for each in (actions.to(state.dtype), *tables, _constants(state.dtype)))
    _loop("advance")(moved.numpy(), *arrays)
    return moved


def sense(state: Tensor, tables: WallTables, *, backend: Backend = "auto") -> Tensor:
    """See `robot.sense`."""
    if not _compiled("sense", backend, state):
        return robot.sense(state, tables)
    out = state.new_empty(len(state), robot.OBSERVATIONS)
    arrays = (_array(each) for each in (state, *tables, *_sensor_constants(state.dtype)))
    _loop("sense")(*arrays, out.numpy())
    return out


@cache
def _loops() -> ModuleType | None:
    try:
        from lightning_neuro.safe_mutation.tasks import robot_loops
    except ImportError:
        return None
    return robot_loops


def _compiled(owner: str, backend: Backend, state: Tensor) -> bool:
    checks.choice(owner, "backend", backend, BACKENDS)
    usable = state.device.type == "cpu" and state.dtype in (torch.float32, torch.float64) and _loops() is not None
    if backend == "compiled" and not usable:
        raise ValueError(
            f"{owner}: backend 'compiled' needs numba and float32 or float64 on the CPU, got {state.dtype} on "
            f"{state.device}. Install lightning-neuro[fast], or choose 'auto'."
        )
    return usable and backend != "reference"


def _loop(name: str) -> Any:
    return getattr(_loops(), name)


def _array(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().numpy()


@cache
def _constants(dtype: torch.dtype) -> Tensor:
    values = robot.RADIUS, robot.MOST_CHANGE, robot.MOST_SPEED, math.pi / 180, 360.0
    return torch.tensor(values, dtype=dtype)


@cache
def _sensor_constants(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    relative, reach, degree = robot.RAY_ANGLES, (robot.REACH,), (math.pi / 180,)
    return tuple(torch.tensor(values, dtype=dtype) for values in (relative, reach, degree))  # type: ignore[return-value]
