"""Kinds of words in the Brown corpus: a spectral bidirectional net beside plain and trained labellers.

Words become 20 numbers: their neighbours in the training text (positive pointwise mutual information, decomposed),
words seen fewer than five times by their last two letters. Targets are the 12 kinds, one-hot. Needs the corpus on disk,
see `lightning_neuro.data.brown`. From the top of the checkout:

    OMP_NUM_THREADS=1 LIGHTNING_NEURO_DATA=folder python benchmarks/spectral_labelling.py
"""

import functools
import time
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from recorded_runs import Record, planned
from reservoirpy.nodes import Reservoir
from torch.nn.utils.rnn import pad_sequence

from lightning_neuro.data.brown import CLASS_NAMES, Sentence, kind, read_brown
from lightning_neuro.spectral_rnn import SpectralBiRNN
from lightning_neuro.spectral_rnn.alarms import SpectralWarning
from lightning_neuro.spectral_rnn.series import Array
from lightning_neuro.spectral_rnn.torch import BidirectionalPolynomialRNN

RESULTS = Path(__file__).parent / "results" / "spectral_labelling.json"
CONTEXTS, DIMENSIONS, RARE = 500, 20, 5
LARGEST_STATE = 30.0


@dataclass(frozen=True)
class Plan:
    """What all runs follow; results of different plans do not mix."""

    train: int = 8000
    test: int = 2000
    units: int = 5
    epochs: int = 5
    rate: float = 3e-3


@dataclass(frozen=True)
class Text:
    """Sentences as numbers: words, features `(T, 20)` and classes `(T,)` of each."""

    words: list[list[str]]
    x: list[Array]
    labels: list[Any]

    def targets(self) -> list[Array]:
        """Return one-hot targets."""
        return [np.eye(len(CLASS_NAMES))[labels] for labels in self.labels]


def word_vectors(sentences: Sequence[Sequence[str]]) -> Callable[[str], Array]:
    """Return a map of words to vectors `(20,)`, learned from words alone."""
    counts = Counter(word for words in sentences for word in words)

    def known(word: str) -> str:
        return word if counts[word] >= RARE else f"...{word[-2:]}"

    names = {name: place for place, name in enumerate(dict.fromkeys(known(word) for word in counts))}
    frequent = {word: place for place, (word, _) in enumerate(counts.most_common(CONTEXTS))}
    table = np.zeros((len(names), 2 * CONTEXTS))
    for words in sentences:
        places = [names[known(word)] for word in words]
        for before, after, left, right in zip(places, places[1:], words, words[1:], strict=False):
            if left in frequent:
                table[after, frequent[left]] += 1
            if right in frequent:
                table[before, CONTEXTS + frequent[right]] += 1
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        information = np.nan_to_num(np.maximum(np.log(table / expected), 0), nan=0.0, posinf=0.0)
    left, values, _ = np.linalg.svd(information, full_matrices=False)
    vectors = left[:, :DIMENSIONS] * np.sqrt(values[:DIMENSIONS])
    unknown = vectors.mean(axis=0)
    return lambda word: vectors[names[known(word)]] if known(word) in names else unknown


def draw(sentences: Sequence[Sentence], seed: int, plan: Plan) -> tuple[Text, Text]:
    """Return training and test text, sentences of at least four words drawn without replacement."""
    long = [sentence for sentence in sentences if len(sentence) >= 4]
    order = np.random.default_rng(seed).permutation(len(long))[: plan.train + plan.test]
    words = [[word.lower() for word, _ in long[place]] for place in order]
    labels = [np.array([CLASS_NAMES.index(kind(tag)) for _, tag in long[place]]) for place in order]
    vector = functools.lru_cache(maxsize=None)(word_vectors(words[: plan.train]))
    x = [np.stack([vector(word) for word in one]) for one in words]
    seen = np.concatenate(x[: plan.train])
    centre, axes = seen.mean(axis=0), np.linalg.eigh(np.cov(seen.T))
    white = [(one - centre) @ axes.eigenvectors / np.sqrt(axes.eigenvalues) for one in x]
    cut = plan.train
    return Text(words[:cut], white[:cut], labels[:cut]), Text(words[cut:], white[cut:], labels[cut:])


def accuracy(outputs: Sequence[Array], text: Text) -> float:
    """Return the share of words whose largest output is that of their class."""
    hits = [
        np.nan_to_num(o, nan=-np.inf).argmax(axis=1) == labels for o, labels in zip(outputs, text.labels, strict=True)
    ]
    return float(np.concatenate(hits).mean())


def most_frequent(train: Text, test: Text, seed: int, plan: Plan) -> list[Array]:
    """Each word's most frequent class, nouns where it is new."""
    counts: dict[str, Counter[int]] = {}
    for words, labels in zip(train.words, train.labels, strict=True):
        for word, label in zip(words, labels, strict=True):
            counts.setdefault(word, Counter())[int(label)] += 1
    best = {word: count.most_common(1)[0][0] for word, count in counts.items()}
    return [np.eye(len(CLASS_NAMES))[[best.get(word, 0) for word in words]] for words in test.words]


def always_nouns(train: Text, test: Text, seed: int, plan: Plan) -> list[Array]:
    """The most frequent class for every word."""
    common = Counter(np.concatenate(train.labels).tolist()).most_common(1)[0][0]
    return [np.tile(np.eye(len(CLASS_NAMES))[common], (len(words), 1)) for words in test.words]


def window(x: Array, reach: int) -> Array:
    """Return each row with its neighbours, zero beyond the ends."""
    padded = np.pad(x, ((reach, reach), (0, 0)))
    return np.hstack([padded[place : place + len(x)] for place in range(2 * reach + 1)])


def read_out(train: Sequence[Array], targets: Sequence[Array], test: Sequence[Array]) -> list[Array]:
    """Return outputs of a ridge regression."""

    def with_one(x: Array) -> Array:
        return np.hstack([x, np.ones((len(x), 1))])

    features, wanted = with_one(np.concatenate(train)), np.concatenate(targets)
    weights = np.linalg.solve(features.T @ features + np.eye(features.shape[1]), features.T @ wanted)
    return [with_one(x) @ weights for x in test]


def ridge(train: Text, test: Text, seed: int, plan: Plan, *, reach: int = 2) -> list[Array]:
    return read_out([window(x, reach) for x in train.x], train.targets(), [window(x, reach) for x in test.x])


def reservoir(train: Text, test: Text, seed: int, plan: Plan) -> list[Array]:
    """Two reservoirs of 150 units, one of which reads backward."""
    nodes = [Reservoir(150, sr=0.5, input_scaling=0.2, seed=seed + place) for place in range(2)]
    nodes[0].initialize(train.x[0])
    nodes[1].initialize(train.x[0])

    def states(x: Array) -> Array:
        for node in nodes:
            node.reset()
        return np.hstack([nodes[0].run(x), nodes[1].run(x[::-1])[::-1], x])

    return read_out([states(x) for x in train.x], train.targets(), [states(x) for x in test.x])


def learned(train: Text, seed: int, plan: Plan, refine: int = 6) -> SpectralBiRNN:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpectralWarning)
        node = SpectralBiRNN(plan.units, refine=refine, max_abs_state=LARGEST_STATE, seed=seed)
        return node.fit(train.x, train.targets())


def spectral(train: Text, test: Text, seed: int, plan: Plan, *, refine: int = 6) -> list[Array]:
    node = learned(train, seed, plan, refine)
    return [node.run(x) for x in test.x]


def states_and_window(train: Text, test: Text, seed: int, plan: Plan) -> list[Array]:
    """Spectral states beside the window, ridge regression on both."""
    net = learned(train, seed, plan).to_torch()
    net.onward.max_abs_state = net.back.max_abs_state = LARGEST_STATE

    @torch.no_grad()
    def states(x: Array) -> Array:
        series = torch.as_tensor(x)[None]
        both = torch.cat([net.onward.states(series), net.back.states(series.flip(1)).flip(1)], dim=-1)[0]
        return np.hstack([window(x, 2), both.numpy()])

    return read_out([states(x) for x in train.x], train.targets(), [states(x) for x in test.x])


def descent(train: Text, test: Text, seed: int, plan: Plan, *, start: bool) -> list[Array]:
    """Adam through time on the squared error, from random weights or from the spectral ones."""
    torch.manual_seed(seed)
    sizes = DIMENSIONS, plan.units, len(CLASS_NAMES)
    net = BidirectionalPolynomialRNN(*sizes, max_abs_state=LARGEST_STATE)
    if start:
        net.write_(learned(train, seed, plan).model_)
    optimizer = torch.optim.Adam(net.parameters(), lr=plan.rate)
    x = [torch.as_tensor(one).float() for one in train.x]
    y = [torch.as_tensor(one).float() for one in train.targets()]
    for _ in range(plan.epochs):
        for rows in torch.randperm(len(x)).split(64):
            lengths = torch.tensor([len(x[row]) for row in rows])
            inputs, wanted = (pad_sequence([of[row] for row in rows], batch_first=True) for of in (x, y))
            inside = (torch.arange(inputs.shape[1]) < lengths[:, None])[..., None]
            optimizer.zero_grad()
            missed = torch.where(inside, net(inputs, lengths) - wanted, 0.0)
            (missed.square().sum() / lengths.sum()).backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
    with torch.no_grad():
        return [net(torch.as_tensor(one).float()).double().numpy() for one in test.x]


ARMS: dict[str, Callable[[Text, Text, int, Plan], list[Array]]] = {
    "always the most frequent tag": always_nouns,
    "each word's most frequent tag": most_frequent,
    "ridge on the word": functools.partial(ridge, reach=0),
    "ridge on a window of 5": ridge,
    "reservoirs both ways and ridge": reservoir,
    "spectral BiRNN, moments alone": functools.partial(spectral, refine=0),
    "spectral BiRNN, refined": spectral,
    "its states, window of 5, ridge": states_and_window,
    "BPTT, random start": functools.partial(descent, start=False),
    "BPTT, spectral start": functools.partial(descent, start=True),
}


def measure(name: str, train: Text, test: Text, seed: int, plan: Plan) -> Record:
    """Return accuracy and processor time of an arm."""
    started = time.process_time()
    try:
        reached: Record = {"accuracy": round(accuracy(ARMS[name](train, test, seed, plan), test), 5)}
    except (ValueError, FloatingPointError) as error:
        reached = {"accuracy": None, "refused": str(error)}
    return reached | {"cpu_s": round(time.process_time() - started, 2)}


def table(runs: Sequence[Record]) -> str:
    """Return a markdown table."""
    lines = ["| arm | right, % | CPU s |", "|---|---|---|"]
    for name in ARMS:
        group = [run for run in runs if run["arm"] == name and run["accuracy"] is not None]
        right = [100 * run["accuracy"] for run in group]
        spread = f" ± {stdev(right):.2f}" if len(right) > 1 else ""
        if group:
            lines.append(f"| {name} | {mean(right):.2f}{spread} | {mean(r['cpu_s'] for r in group):.1f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    torch.set_num_threads(1)
    plan, seeds, runs = planned("Kinds of words in the Brown corpus.", Plan, RESULTS, arguments)
    sentences = read_brown(verify=True)
    for seed in seeds:
        train, test = draw(sentences, seed, plan)
        for name in ARMS:
            once = functools.partial(measure, name, train, test, seed, plan)
            runs.get({"arm": name, "seed": seed}, once)
    print(table(runs.runs))


if __name__ == "__main__":
    main()
