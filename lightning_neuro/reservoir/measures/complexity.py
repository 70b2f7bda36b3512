"""Statistical complexity from causal states, reconstructed from data in the manner of CSSR. Experimental."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from lightning_neuro.common import checks
from lightning_neuro.reservoir.measures.information.discrete import codes_of
from lightning_neuro.reservoir.measures.information.samples import (
    AnyArray,
    Array,
    check_length,
    is_discrete,
    lagged,
    quantile_codes,
    rows,
)
from lightning_neuro.reservoir.measures.result import Measure
from lightning_neuro.reservoir.measures.series import series_of

Word = tuple[int, ...]
Counts = npt.NDArray[np.int64]


def statistical_complexity(
    x: Any,
    *,
    max_history: int = 4,
    significance: float = 1e-3,
    bins: int = 2,
    inputs: Any = None,
    washout: int = 0,
) -> Measure:
    """Return C = H(causal states) in bits. Experimental.

    Histories of up to L symbols belong to one state while a chi-square test cannot tell their next symbols apart; a
    state whose histories lead to different states on the same symbol is split until none is left, and states that the
    process never returns to are dropped.

    Args:
        x: one series of symbols, or of numbers, or several columns that make one symbol.
        max_history: L.
        significance: of the tests.
        bins: quantile bins that make numbers symbols.
        inputs: what a node, model or `TorchReservoir` is driven by.
        washout: first steps to drop.

    Returns:
        C, and in `details` `states`, their number, `probabilities`, and `histories`, the words of each state.

    Raises:
        ValueError: NaN, or series shorter than washout and history.

    >>> found = statistical_complexity([0, 1, 1] * 300)  # log2 3
    >>> round(float(found), 2), found.details["states"]
    (1.58, 3)
    """
    owner = "statistical_complexity"
    length = checks.integer(owner, "max_history", max_history, at_least=1)
    level = checks.number(owner, "significance", significance, above=0, below=1)
    checks.integer(owner, "bins", bins, at_least=2)
    batch = series_of(owner, "x", x, inputs, washout=washout)
    check_length(owner, batch, length, washout=washout)
    symbols = batch if is_discrete(batch) else quantile_codes(batch, bins)
    codes = codes_of(rows(symbols)).reshape(*batch.shape[:2], 1)
    counts = next_symbols(codes, length)
    states = recurrent(homogeneous(counts, length, level), length)
    states = recurrent(deterministic(states, length), length)
    share = stationary(states, counts, length)
    value = float(abs((share * np.log2(np.where(share > 0, share, 1))).sum()))
    return Measure(
        owner,
        value,
        unit="bits",
        params={"max_history": length, "significance": level, "bins": bins, "washout": washout},
        details={"states": len(states), "probabilities": share, "histories": states},
    )


def next_symbols(codes: AnyArray, length: int) -> dict[Word, Counts]:
    """Return how often each symbol follows each word of up to `length` symbols, oldest first.

    >>> next_symbols(np.array([[[0], [1], [0], [1]]]), 1)[(0,)].tolist()
    [0, 2]
    """
    symbols = int(codes.max()) + 1
    following = rows(lagged(codes, [0], length))[:, 0]
    found: dict[Word, Counts] = {(): np.bincount(following, minlength=symbols)}
    for steps in range(1, length + 1):
        words = rows(lagged(codes, range(steps, 0, -1), length))
        distinct, place = np.unique(words, axis=0, return_inverse=True)
        table = np.zeros((len(distinct), symbols), np.int64)
        np.add.at(table, (place.ravel(), following), 1)
        found |= {tuple(map(int, word)): row for word, row in zip(distinct, table, strict=True)}
    return found


def homogeneous(counts: Mapping[Word, Counts], length: int, level: float) -> list[list[Word]]:
    """Return words grouped so that no test tells their next symbols apart, grown one symbol at a time into the past."""
    states: list[list[Word]] = [[()]]
    for steps in range(1, length + 1):
        for word in [word for word in counts if len(word) == steps]:
            parent = next(state for state in states if word[1:] in state)
            others = [state for state in states if state is not parent]
            fitting = [(_p_value(counts, state, word), state) for state in (parent, *others)]
            if fitting[0][0] > level:
                parent.append(word)
                continue
            best = max(fitting[1:], key=lambda pair: pair[0], default=(0.0, []))
            if best[0] > level:
                best[1].append(word)
            else:
                states.append([word])
    return states


def _p_value(counts: Mapping[Word, Counts], state: list[Word], word: Word) -> float:
    """Chance of two rows of counts from one distribution, by the likelihood ratio."""
    table = np.array([sum(counts[other] for other in state), counts[word]], float)
    table = table[:, table.any(axis=0)]
    if table.shape[1] < 2:
        return 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    ratio = 2 * (table * np.log(np.where(table > 0, table, 1) / expected)).sum()
    return float(chdtrc(table.shape[1] - 1, max(ratio, 0)))


def transitions(states: list[list[Word]], length: int) -> list[dict[Word, dict[int, int]]]:
    """Return where each state's words lead on each symbol, by the place of the next state.

    Words one symbol short of the longest lead to longest words without forgetting; only a state that has none of them
    takes its longest words, which forget their oldest symbol.
    """
    place = {word: index for index, state in enumerate(states) for word in state}
    symbols = {word[-1] for word in place if word}
    found = []
    for state in states:
        short = [word for word in state if len(word) == length - 1]
        ways: dict[Word, dict[int, int]] = {}
        for word in short or [word for word in state if len(word) == length]:
            after = {a: (*word, a)[-length:] for a in symbols}
            ways[word] = {a: place[long] for a, long in after.items() if long in place}
        found.append(ways)
    return found


def deterministic(states: list[list[Word]], length: int) -> list[list[Word]]:
    """Split states until each leads to one state on each symbol; a longest word goes with the word it ends in."""
    while True:
        split: list[list[Word]] = []
        for state, ways in zip(states, transitions(states, length), strict=True):
            groups: list[tuple[dict[int, int], list[Word]]] = []
            for word, leads in ways.items():
                for known, words in groups:  # a transition that was never seen agrees with any
                    if all(known.get(a, target) == target for a, target in leads.items()):
                        known |= leads
                        words.append(word)
                        break
                else:
                    groups.append((leads, [word]))
            for word in [word for word in state if word not in ways]:
                home = next((words for _, words in groups if word[1:] in words), groups[0][1] if groups else [])
                home.append(word)
            split += [words for _, words in groups] or [state]
        if len(split) == len(states):
            return states
        states = split


def recurrent(states: list[list[Word]], length: int) -> list[list[Word]]:
    """Return the states that lead on and can be reached again from wherever they lead; all where none can."""
    reach = np.eye(len(states), dtype=bool)
    leads_on = np.zeros(len(states), dtype=bool)
    for index, ways in enumerate(transitions(states, length)):
        for leads in ways.values():
            reach[index, list(leads.values())] = True
            leads_on[index] |= bool(leads)
    for _ in range(len(states).bit_length()):
        reach = (reach.astype(np.int64) @ reach) > 0
    stays = (~reach | reach.T).all(axis=1) & leads_on
    return [state for state, keep in zip(states, stays, strict=True) if keep] or states


def stationary(states: list[list[Word]], counts: Mapping[Word, Counts], length: int) -> Array:
    """Return the share of time in each state of a deterministic machine."""
    moves = np.zeros((len(states), len(states)))
    for index, (state, ways) in enumerate(zip(states, transitions(states, length), strict=True)):
        following = np.sum([counts[word] for word in state], axis=0)
        for a, target in {a: target for leads in ways.values() for a, target in leads.items()}.items():
            moves[index, target] += following[a]
    sums = moves.sum(axis=1, keepdims=True)
    moves = np.where(sums > 0, moves / np.where(sums > 0, sums, 1), np.eye(len(states)))
    system = np.concatenate([moves.T - np.eye(len(states)), np.ones((1, len(states)))])
    share = np.linalg.lstsq(system, np.append(np.zeros(len(states)), 1.0), rcond=None)[0]
    return np.maximum(share, 0) / np.maximum(share, 0).sum()
