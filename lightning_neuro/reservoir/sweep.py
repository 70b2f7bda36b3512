"""Sweeps over hyper-parameters and seeds, in parallel by joblib, with a line of JSON for each run."""

import json
import math
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice, product
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from lightning_neuro.common import checks

Run = Callable[..., Any]
Record = dict[str, Any]
CHUNK = 4  # runs per worker between two writes, where a backend gives results only all at once


def grid(**values: Sequence[Any]) -> list[dict[str, Any]]:
    """Return every combination of values, the last name fastest.

    >>> grid(sr=[0.5, 0.9], lr=[0.3])
    [{'sr': 0.5, 'lr': 0.3}, {'sr': 0.9, 'lr': 0.3}]
    """
    return [dict(zip(values, each, strict=True)) for each in product(*values.values())]


def sweep(
    run: Run,
    params: Iterable[Mapping[str, Any]],
    *,
    seeds: int | Iterable[int] = 1,
    path: str | Path | None = None,
    n_jobs: int = 1,
    retry_failed: bool = False,
    progress: Callable[[Record], None] | None = None,
) -> list[Record]:
    """Call `run(**params, seed=seed)` for every combination of params and seed, and return what came of it.

    Each run ends as a record, and as a line of JSON in the file as soon as it is done: "params", "seed", "result",
    "seconds", and "error", the traceback of a run that raised, or None. Runs that the file holds already are not run
    again, so a sweep that was stopped goes on. Where runs take place is told to joblib: under
    `joblib.parallel_config(backend="ray")` or `"dask"` on a cluster, else on `n_jobs` processes. The file is written by
    the caller alone.

    Args:
        run: a function that workers can import or unpickle; it returns a number, or numbers by name. All that is random
            in it should follow from `seed`.
        params: keyword arguments, of words, numbers and lists of them.
        seeds: how many, counted from 0, or which.
        path: file of records; None for none.
        n_jobs: processes; -1 for as many as there are cores.
        retry_failed: run again what has failed before; the file then holds both lines, and the later one counts.
        progress: is called with each new record, in the order in which runs end.

    Returns:
        Records in the order of params and seeds, those of the file included.

    Raises:
        TypeError, ValueError: an argument is of the wrong type, no JSON can hold it, or the file is something else.

    >>> records = sweep(lambda divisor, seed: seed / divisor, grid(divisor=[2, 0]), seeds=[3])
    >>> records[0]["result"], records[1]["result"], records[1]["error"].splitlines()[-1]
    (1.5, None, 'ZeroDivisionError: division by zero')
    """
    owner = "sweep"
    if not callable(run):
        raise TypeError(f"{owner}: run must be a function of parameters and a seed, got {type(run).__name__}.")
    wanted = _tasks(owner, params, seeds)
    file = None if path is None else Path(path)
    done = {} if file is None else _read(owner, file)
    left = {key: task for key, task in wanted.items() if key not in done or (retry_failed and done[key]["error"])}
    calls = (joblib.delayed(_attempt)(run, each, seed) for each, seed in left.values())
    for record in _results(calls, n_jobs):
        if file is not None:
            _append(file, record)
        done[_key(record["params"], record["seed"])] = record
        if progress is not None:
            progress(record)
    return [done[key] for key in wanted]


def averaged(records: Iterable[Record]) -> list[Record]:
    """Return, for each params in their order, means and standard deviations over seeds of what did not fail.

    >>> records = sweep(lambda scale, seed: scale * seed, grid(scale=[1.0, 2.0]), seeds=3)
    >>> averaged(records)[1]
    {'params': {'scale': 2.0}, 'mean': {'result': 2.0}, 'std': {'result': 2.0}, 'runs': 3, 'failed': 0}
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(_key(record["params"], None), []).append(record)
    found = []
    for group in groups.values():
        rows = [each["result"] for each in group if each["error"] is None]
        rows = [row if isinstance(row, Mapping) else {"result": row} for row in rows]
        columns = {name: [float(row[name]) for row in rows] for name in (rows[0] if rows else {})}
        found.append(
            {
                "params": group[0]["params"],
                "mean": {name: float(np.mean(column)) for name, column in columns.items()},
                "std": {
                    name: float(np.std(column, ddof=1)) if len(column) > 1 else 0.0 for name, column in columns.items()
                },
                "runs": len(rows),
                "failed": len(group) - len(rows),
            }
        )
    return found


def _tasks(owner: str, params: Iterable[Mapping[str, Any]], seeds: int | Iterable[int]) -> dict[str, tuple[Any, int]]:
    """Return parameters and seeds by key, each once."""
    if isinstance(params, Mapping):
        raise TypeError(f"{owner}: params must be a list of mappings, got a mapping. Make the list by grid(**params).")
    numbers = range(checks.integer(owner, "seeds", seeds, at_least=1)) if isinstance(seeds, int) else seeds
    numbers = [checks.integer(owner, "seeds", seed, at_least=0) for seed in numbers]
    found: dict[str, tuple[Any, int]] = {}
    for each in params:
        plain = _plain(dict(each))
        if "seed" in plain:
            raise ValueError(f"{owner}: params must not hold 'seed', got {plain!r}. Give seeds.")
        found |= {_key(plain, seed): (plain, seed) for seed in numbers}
    return found


def _attempt(run: Run, params: dict[str, Any], seed: int) -> Record:
    """Return the record of one run; this takes place in a worker."""
    begin = time.perf_counter()
    result, error = None, None
    try:
        result = _plain(run(**params, seed=seed))
    except Exception:  # whatever it is, other runs go on
        error = traceback.format_exc()
    return {"params": params, "seed": seed, "result": result, "seconds": time.perf_counter() - begin, "error": error}


def _results(calls: Iterator[Any], n_jobs: int) -> Iterator[Record]:
    """Yield results as they come, or in chunks where a backend cannot tell before all are there."""
    for form in ("generator_unordered", "generator"):
        try:
            parallel = joblib.Parallel(n_jobs=n_jobs, return_as=form)
        except ValueError:  # this backend, or this joblib, has no such form
            continue
        yield from parallel(calls)
        return
    parallel = joblib.Parallel(n_jobs=n_jobs)
    size = CHUNK * max(1, joblib.effective_n_jobs(n_jobs))
    while chunk := list(islice(calls, size)):
        yield from parallel(chunk)


def _read(owner: str, file: Path) -> dict[str, Record]:
    """Return records by key; a last line that was cut off in writing is taken out of the file."""
    if not file.exists():
        return {}
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    found: dict[str, Record] = {}
    for place, line in enumerate(lines):
        try:
            record = json.loads(line)
            found[_key(record["params"], record["seed"])] = {"error": None, **record}
        except (ValueError, KeyError, TypeError):
            if place == len(lines) - 1 and not line.endswith("\n"):
                file.write_text("".join(lines[:-1]), encoding="utf-8")
                break
            raise ValueError(
                f"{owner}: expected a record of a run in line {place + 1} of {file}, got {line[:60]!r}. Take another."
            ) from None
    return found


def _append(file: Path, record: Record) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(record) + "\n")


def _key(params: Mapping[str, Any], seed: int | None) -> str:
    return json.dumps([params, seed], sort_keys=True)


def _plain(value: Any) -> Any:
    """Return what JSON can hold; numbers that are not finite stay floats, which Python's JSON writes and reads."""
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if value is None or isinstance(value, bool | str | int):
        return value
    if hasattr(value, "tolist"):  # arrays and tensors, and their numbers
        return _plain(value.tolist())
    if isinstance(value, float):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number):
        raise TypeError(f"sweep: expected numbers, words and lists of them, got {value!r} ({type(value).__name__}).")
    return number
