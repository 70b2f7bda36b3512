import json

import joblib
import numpy as np
import pytest
import torch
from joblib._parallel_backends import SequentialBackend

from lightning_neuro.reservoir.sweep import averaged, grid, sweep

PARAMS = grid(sr=[0.5, 0.9], lr=[0.1, 1.0])


def error(sr, lr, seed):
    rng = np.random.default_rng(seed)
    return {"error": sr * lr + rng.normal(), "units": np.int64(3)}


def counting(calls, fails=()):
    def run(sr, lr, seed):
        calls.append((sr, lr, seed))
        if (sr, seed) in fails:
            raise RuntimeError("ran away")
        return sr + lr + seed

    return run


def test_records_are_those_of_a_loop_in_its_order():
    records = sweep(error, PARAMS, seeds=3)
    wanted = [(each, seed, error(**each, seed=seed)) for each in PARAMS for seed in range(3)]
    assert [(each["params"], each["seed"], each["result"]) for each in records] == wanted


@pytest.mark.slow
def test_processes_give_the_same_and_write_each_line_once(tmp_path):
    seen = []
    records = sweep(error, PARAMS, seeds=[4, 7], path=tmp_path / "deep" / "runs.jsonl", n_jobs=2, progress=seen.append)
    assert [each["result"] for each in records] == [each["result"] for each in sweep(error, PARAMS, seeds=[4, 7])]
    lines = [json.loads(line) for line in (tmp_path / "deep" / "runs.jsonl").read_text().splitlines()]
    assert sorted(map(str, lines)) == sorted(map(str, records)) == sorted(map(str, seen))


def test_a_sweep_goes_on_and_what_failed_is_kept(tmp_path):
    path, calls = tmp_path / "runs.jsonl", []
    sweep(counting(calls, fails={(0.5, 1)}), PARAMS[:2], seeds=2, path=path)
    assert len(calls) == 4
    records = sweep(counting(calls), PARAMS, seeds=2, path=path)
    assert len(calls) == 8
    failed = [(each["params"]["sr"], each["seed"]) for each in records if each["error"]]
    assert failed == [(0.5, 1)] * 2
    assert "RuntimeError: ran away" in records[1]["error"]
    again = sweep(counting(calls), PARAMS, seeds=2, path=path, retry_failed=True)
    assert len(calls) == 10
    assert all(each["error"] is None for each in again)
    assert sweep(counting(calls), PARAMS, seeds=2, path=path) == again
    assert len(calls) == 10


def test_a_line_cut_off_is_run_again_and_a_foreign_file_is_refused(tmp_path):
    path, calls = tmp_path / "runs.jsonl", []
    whole = sweep(counting(calls), PARAMS, path=path)
    path.write_text(path.read_text()[:-20])
    again = sweep(counting(calls), PARAMS, path=path)
    assert len(calls) == 5
    assert [each["result"] for each in again] == [each["result"] for each in whole]
    assert len(path.read_text().splitlines()) == 4
    path.write_text("sr,lr\n0.5,0.1\n")
    with pytest.raises(ValueError, match=r"expected a record of a run in line 1 of .*runs\.jsonl, got 'sr,lr"):
        sweep(error, PARAMS, path=path)
    assert path.read_text() == "sr,lr\n0.5,0.1\n"


def test_equal_runs_are_run_once():
    calls = []
    assert len(sweep(counting(calls), [PARAMS[0], dict(reversed(PARAMS[0].items()))], seeds=[1, 1])) == 1
    assert len(calls) == 1


class Bare(SequentialBackend):
    """A backend that gives results only all at once."""

    supports_return_generator = False

    def get_nested_backend(self):
        return SequentialBackend(), None


@pytest.mark.parametrize("backend", ["threading", "sequential", "bare"])
def test_any_backend_of_joblib_will_do(tmp_path, backend):
    joblib.register_parallel_backend("bare", lambda **_: Bare())
    with joblib.parallel_config(backend=backend):
        records = sweep(error, PARAMS, seeds=5, path=tmp_path / "runs.jsonl")
    assert [each["result"] for each in records] == [each["result"] for each in sweep(error, PARAMS, seeds=5)]
    assert len((tmp_path / "runs.jsonl").read_text().splitlines()) == 20


def test_means_leave_out_what_failed():
    records = sweep(counting([], fails={(0.5, 1)}), grid(sr=[0.5], lr=[1.0]), seeds=4)
    (found,) = averaged(records)
    assert found["mean"]["result"] == pytest.approx(np.mean([1.5, 3.5, 4.5]))
    assert found["std"]["result"] == pytest.approx(np.std([1.5, 3.5, 4.5], ddof=1))
    assert (found["runs"], found["failed"]) == (3, 1)


def test_arrays_and_tensors_become_numbers_and_what_is_none_is_an_error():
    (record,) = sweep(lambda seed: {"a": np.ones(2), "b": torch.tensor(1.5), "c": np.inf, "d": None}, [{}])
    assert record["result"] == {"a": [1.0, 1.0], "b": 1.5, "c": np.inf, "d": None}
    (record,) = sweep(lambda seed: object(), [{}])
    assert "TypeError: sweep: expected numbers, words and lists" in record["error"]


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"run": 3}, TypeError, "run must be a function of parameters and a seed, got int"),
        ({"params": {"sr": [1]}}, TypeError, r"Make the list by grid\(\*\*params\)"),
        ({"params": [{"seed": 1}]}, ValueError, "params must not hold 'seed'"),
        ({"params": [{"net": object()}]}, TypeError, "expected numbers, words and lists of them"),
        ({"seeds": 0}, ValueError, "seeds must be at least 1"),
        ({"seeds": [-1]}, ValueError, "seeds must be at least 0"),
    ],
)
def test_arguments_are_refused(arguments, kind, message):
    with pytest.raises(kind, match=message):
        sweep(**({"run": error, "params": PARAMS} | arguments))
