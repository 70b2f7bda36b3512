import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_neuro.safe_mutation.tasks import robot, simulation
from lightning_neuro.safe_mutation.tasks.maze import HARD_MAZE


@given(st.integers(0, 10**6))
@settings(max_examples=5, deadline=None)
def test_loops_agree_with_plain_torch(seed):
    pytest.importorskip("numba")
    generator = torch.Generator().manual_seed(seed)
    tables = HARD_MAZE.tables(torch.float64)
    plain = looped = robot.initial_state(HARD_MAZE, 20, torch.float64)
    actions = torch.rand(20, 2, generator=generator, dtype=torch.float64)
    for _ in range(80):
        actions = actions + torch.randn(20, 2, generator=generator, dtype=torch.float64) * 0.1
        plain = simulation.advance(plain, actions, tables, backend="reference")
        looped = simulation.advance(looped, actions, tables, backend="compiled")
        torch.testing.assert_close(looped, plain, rtol=0, atol=1e-9)
    sensed = [simulation.sense(plain, tables, backend=backend) for backend in ("reference", "compiled")]
    torch.testing.assert_close(*sensed, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_states_are_not_changed_and_keep_their_type(dtype):
    state = robot.initial_state(HARD_MAZE, 3, dtype)
    before = state.clone()
    tables = HARD_MAZE.tables(dtype)
    moved = simulation.advance(state, torch.ones(3, 2, dtype=dtype), tables)
    assert torch.equal(state, before)
    assert moved.dtype == simulation.sense(state, tables).dtype == dtype


def test_refusals():
    state, tables = robot.initial_state(HARD_MAZE, 1, torch.float32), HARD_MAZE.tables(torch.float32)
    with pytest.raises(ValueError, match="sense: backend must be one of 'auto', 'reference', 'compiled', got 'fast'"):
        simulation.sense(state, tables, backend="fast")
    with pytest.raises(ValueError, match=r"needs numba and float32 or float64 on the CPU, got torch\.float16"):
        simulation.sense(state.half(), tables, backend="compiled")
