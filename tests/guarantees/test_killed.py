"""A run that is killed with SIGKILL at twenty random moments, and resumed, ends as one that nobody killed."""

import os
import time

import numpy as np
import pytest
from support.killed_runs import Server, differences, end_of
from support.small_runs import RUNS

KILLS, STEPS = 20, 20


@pytest.fixture(scope="module")
def server():
    if not hasattr(os, "fork"):
        pytest.skip("processes are forked here")
    server = Server()
    yield server
    server.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_killed_at_twenty_moments_and_resumed_it_ends_as_if_it_had_never_been(name, tmp_path, server):
    def folder(called):
        made = tmp_path / called
        made.mkdir()
        return made

    rng, whole = np.random.default_rng(0), folder("whole")
    server.run(name, whole, STEPS)
    begun = time.perf_counter()
    server.run(name, folder("again"), STEPS)
    longest = 0.5 * (time.perf_counter() - begun)
    assert not differences(end_of(whole), end_of(tmp_path / "again"))
    kills = place = 0
    while kills < KILLS:
        killed, ended = folder(f"killed {place}"), False
        while kills < KILLS and not ended:
            ended = server.run(name, killed, STEPS, kill_after=float(rng.uniform(0.0, longest)))
            kills += not ended
        if ended:  # it was quicker than the run that was timed
            longest *= 0.7
        else:
            server.run(name, killed, STEPS)
        assert not differences(end_of(whole), end_of(killed))
        place += 1
        assert place < 3 * KILLS  # each that ends too soon shortens the next, so that it is killed, mostly


def test_what_differs_is_found():
    one = {"state": {"weight": [1.0, float("nan")]}, "steps": 3}
    assert not differences(one, {"state": {"weight": [1.0, float("nan")]}, "steps": 3})
    assert differences(one, {"state": {"weight": [1.0, 2.0]}}) == [
        ".steps is on one side only",
        ".state.weight[1]: nan and 2.0",
    ]
