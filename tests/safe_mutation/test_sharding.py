"""Processes played one after the other: each gather waits for what all of them sent."""

import threading

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lightning_neuro.safe_mutation.archive import archive_of
from lightning_neuro.safe_mutation.sharding import Shards, checksum
from lightning_neuro.safe_mutation.trial import Trial


def in_processes(count, work):
    """Results of `work(shards)` in threads that gather from each other."""
    sent, results = [None] * count, [None] * count
    barrier = threading.Barrier(count)

    def process(rank):
        def gather(tensor):
            sent[rank] = tensor
            barrier.wait()
            stacked = torch.stack(sent)
            barrier.wait()
            return stacked

        try:
            results[rank] = work(Shards(rank, count, gather))
        except Exception as error:
            results[rank] = error

    threads = [threading.Thread(target=process, args=(rank,)) for rank in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@given(st.integers(1, 20), st.integers(1, 5))
def test_everyone_is_evaluated_and_all_processes_do_equally_much(count, world_size):
    rows = [Shards(rank, world_size).rows(count) for rank in range(world_size)]
    assert set(torch.cat(rows).tolist()) == set(range(count))
    assert {len(each) for each in rows} == {-(-count // world_size)}


def trial(params, seeds):
    longest = int(params[:, 0].max())
    states = torch.arange(longest * 1.0)[None, :, None].expand(len(params), -1, 2) + seeds[:, None, None]
    valid = torch.arange(longest) < params[:, :1]
    experience = archive_of(states.clone(), valid, own=True, recurrent=False)
    return Trial(params.sum(1), params[:, 0] > 3, {"seed": seeds.float()}, experience)


@pytest.mark.parametrize("count", [6, 7])
@pytest.mark.parametrize("world_size", [2, 3])
def test_all_know_what_one_process_would(count, world_size):
    params, seeds = torch.randint(1, 6, (count, 2)).float(), torch.arange(count)
    whole = trial(params, seeds)
    for found in in_processes(world_size, lambda shards: shards.evaluate(trial, params, seeds)):
        assert torch.equal(found.fitness, whole.fitness)
        assert torch.equal(found.solved, whole.solved)
        assert torch.equal(found.extras["seed"], whole.extras["seed"])
        for row in range(count):
            one, other = found.experience, whole.experience
            assert torch.equal(one.states[row][one.filled[row]], other.states[row][other.filled[row]])


def test_shared_states_are_those_of_the_first_process():
    def shared(params, seeds):
        states = seeds[:1].float().expand(3)[:, None]
        return Trial(params.sum(1), experience=archive_of(states, None, own=False, recurrent=False))

    found = in_processes(2, lambda shards: shards.evaluate(shared, torch.ones(5, 2), torch.arange(5)))
    assert all(each.experience.shared and each.experience.states.unique().tolist() == [0] for each in found)


def test_a_failure_of_one_process_reaches_all():
    def fails(params, seeds):
        if 1 in seeds:
            raise OSError("gone")
        return Trial(params.sum(1))

    first, second = in_processes(2, lambda shards: shards.evaluate(fails, torch.ones(4, 2), torch.arange(4)))
    assert isinstance(second, OSError)
    assert "raised in process [1]" in str(first)


def test_processes_that_came_apart_are_told_what_differs():
    def compare(shards):
        shards.check_equal({"ids": torch.arange(3), "population": torch.ones(3) + 1e-7 * shards.rank}, 8)

    for found in in_processes(2, compare):
        assert "SafeMutation: population differ between processes after generation 8" in str(found)
    assert in_processes(2, lambda shards: shards.check_equal({"ids": torch.arange(3)}, 1)) == [None, None]


@pytest.mark.parametrize("change", [lambda x: x.flip(0), lambda x: x.index_fill(0, torch.tensor([1]), 7.0), torch.neg])
def test_checksums_tell_order_and_values(change):
    tensor = torch.arange(5.0)
    assert checksum(tensor) != checksum(change(tensor))
    assert checksum(tensor) == checksum(tensor.clone())
