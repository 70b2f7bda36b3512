"""The robot of the breadcrumb maze as loops for numba, which this module needs: import it through `simulation` only.

What a step does and means stands in `robot`. Arrays are contiguous and of one precision. Constants come as an array of
that precision, so that single precision stays single.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile with numba on first use, and keep the code on disk where that is possible."""
    try:
        return njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # nowhere to keep the compiled code, as in a read-only installation
        return njit(nogil=True, error_model="numpy")(function)


@compiled
def clip(value: Any, limit: Any) -> Any:
    """Limit a number to `-limit ... limit`."""
    return min(max(value, -limit), limit)


@compiled
def blocked(x: Any, y: Any, walls: Any, radius: Any) -> bool:
    """Tell whether a wall is nearer than the radius."""
    zero, one = walls.dtype.type(0), walls.dtype.type(1)
    for w in range(walls.shape[0]):
        from_x, from_y = x - walls[w, 0], y - walls[w, 1]
        share = (from_x * walls[w, 2] + from_y * walls[w, 3]) * walls[w, 4]
        share = min(max(share, zero), one)
        off_x, off_y = from_x - share * walls[w, 2], from_y - share * walls[w, 3]
        if off_x * off_x + off_y * off_y < radius * radius:
            return True
    return False


@compiled
def advance(state: Any, actions: Any, walls: Any, goal: Any, constants: Any) -> None:
    """Move every robot one step, in place; `constants`: radius, most change, most speed, one degree, one turn."""
    radius, most_change, most_speed, degree, turn = constants
    half = constants.dtype.type(0.5)
    zero, one = constants.dtype.type(0), constants.dtype.type(1)
    for p in range(state.shape[0]):
        x, y, heading, speed, spin, collisions, nearest = state[p]
        wanted_spin = (min(max(actions[p, 0], zero), one) - half) * (most_speed + most_speed)
        wanted_speed = (min(max(actions[p, 1], zero), one) - half) * (most_speed + most_speed)
        spin = clip(spin + clip(wanted_spin - spin, most_change), most_speed)
        speed = clip(speed + clip(wanted_speed - speed, most_change), most_speed)
        next_x, next_y = x + np.cos(heading * degree) * speed, y + np.sin(heading * degree) * speed
        if blocked(next_x, next_y, walls, radius):
            collisions += one
        else:
            x, y = next_x, next_y
        heading += spin
        if heading > turn:
            heading -= turn
        elif heading < zero:
            heading += turn
        nearest = min(nearest, np.sqrt((x - goal[0]) * (x - goal[0]) + (y - goal[1]) * (y - goal[1])))
        row = state[p]
        row[0], row[1], row[2], row[3], row[4], row[5], row[6] = x, y, heading, speed, spin, collisions, nearest


@compiled
def free_path(x: Any, y: Any, ray_x: Any, ray_y: Any, walls: Any, reach: Any) -> Any:
    """Return how far a ray flies before it meets a wall, at most `reach`."""
    zero = walls.dtype.type(0)
    shortest = reach
    for w in range(walls.shape[0]):
        to_x, to_y = walls[w, 0] - x, walls[w, 1] - y
        slant = ray_x * walls[w, 3] - ray_y * walls[w, 2]
        length = to_x * walls[w, 3] - to_y * walls[w, 2]
        share = to_x * ray_y - to_y * ray_x
        if slant < zero:
            slant, length, share = -slant, -length, -share
        # The divisions are left to the few walls that lie in the ray's way.
        if share > zero and share < slant and length > zero and length < shortest * slant:
            shortest = length / slant
    return shortest


@compiled
def sense(state: Any, walls: Any, goal: Any, relative: Any, reach: Any, degree: Any, out: Any) -> None:
    """Write what every robot senses; `relative`: angles of the rangefinders, `reach` and `degree` of one element."""
    for p in range(state.shape[0]):
        x, y, heading = state[p, 0], state[p, 1], state[p, 2]
        out[p, 0] = 1
        for k in range(relative.shape[0]):
            angle = (heading + relative[k]) * degree[0]
            out[p, 1 + k] = free_path(x, y, np.cos(angle), np.sin(angle), walls, reach[0]) / reach[0]
        bearing = math.degrees(math.atan2(goal[1] - y, goal[0] - x)) - heading
        quarter = int(np.floor((bearing + 45) / 90)) % 4
        for k in range(4):
            out[p, 1 + relative.shape[0] + k] = 1 if k == quarter else 0
