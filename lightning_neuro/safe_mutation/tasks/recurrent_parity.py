"""Parity of a sequence of bits, one bit at a time."""

import itertools
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.evaluation import Evaluation
from lightning_neuro.safe_mutation.population import BatchedPolicy

CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
MOST_BITS = 16


def parity_table(bits: int) -> tuple[Tensor, Tensor]:
    """Every word of so many bits, most significant bit first, and whether its number of ones is odd.

    Args:
        bits: length of a word, 1 to 16.

    Returns:
        Words `(2 ** bits, bits)`, float 0 and 1, and int64 labels `(2 ** bits,)`.

    Raises:
        TypeError: `bits` is not an integer.
        ValueError: `bits` is not 1 to 16.

    >>> words, labels = parity_table(2)
    >>> words.tolist(), labels.tolist()
    ([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [0, 1, 1, 0])
    """
    checks.integer("parity_table", "bits", bits, at_least=1, at_most=MOST_BITS)
    words = torch.tensor(list(itertools.product((0.0, 1.0), repeat=bits)))
    return words, words.sum(1).long() % 2


class ParityPolicy(nn.Module):
    """Stacked recurrent layers that read a sequence, and one linear layer on what the last step left.

    Args:
        cell: "rnn" (tanh), "gru" or "lstm".
        hidden: units per layer.
        layers: number of recurrent layers.

    Raises:
        TypeError: a size is not an integer.
        ValueError: a size is less than 1, or the cell is unknown.

    >>> sum(weights.numel() for weights in ParityPolicy("lstm").parameters())
    3032
    """

    def __init__(self, cell: Literal["rnn", "gru", "lstm"] = "rnn", hidden: int = 15, layers: int = 2) -> None:
        super().__init__()
        checks.integer("ParityPolicy", "hidden", hidden, at_least=1)
        checks.integer("ParityPolicy", "layers", layers, at_least=1)
        kind = CELLS[checks.choice("ParityPolicy", "cell", cell, list(CELLS))]
        self.recurrent = kind(1, hidden, num_layers=layers)
        self.readout = nn.Linear(hidden, 2)

    def forward(self, bits: Tensor) -> Tensor:
        """Return scores of even and odd, `(B, 2)`, for sequences `(T, B, 1)`."""
        outputs, _ = self.recurrent(bits)
        scores: Tensor = self.readout(outputs[-1])
        return scores


class RecurrentParity:
    """Tell whether a sequence of bits holds an odd number of ones; all sequences of one length, no split.

    Fitness is `-mean_b NLL_b` of the last step, or the share of sequences that are right. Solved: all are right.

    Args:
        bits: length of the sequences.
        incentive: "nll" or "accuracy".

    Raises:
        TypeError: `bits` is not an integer.
        ValueError: `bits` is not 1 to 16, or the incentive is unknown.

    >>> task = RecurrentParity()
    >>> policy = BatchedPolicy(task.policy())
    >>> round(task(policy, torch.zeros(3, policy.size)).fitness[0].item(), 4)  # all weights 0: one bit, in nats
    -0.6931
    """

    def __init__(self, bits: int = 4, *, incentive: Literal["nll", "accuracy"] = "nll") -> None:
        words, self.labels = parity_table(bits)
        self.incentive = checks.choice("RecurrentParity", "incentive", incentive, ["nll", "accuracy"])
        self.sequences = words.T[..., None].contiguous()

    @staticmethod
    def policy(cell: Literal["rnn", "gru", "lstm"] = "rnn", hidden: int = 15, layers: int = 2) -> ParityPolicy:
        """Return a recurrent net for this task; see `ParityPolicy`."""
        return ParityPolicy(cell, hidden, layers)

    @staticmethod
    def sensitivity_output(scores: Tensor) -> Tensor:
        """What sensitivities should look at: probabilities, not scores."""
        return scores.softmax(-1)

    def __call__(self, policy: BatchedPolicy, params: Tensor, *, record: int = 0) -> Evaluation:
        """Return fitness, accuracy, and as states at most `record` sequences `(T, S, 1)`, evenly from all."""
        sequences, labels = self.sequences.to(params), self.labels.to(params.device)
        scores = policy.with_output(None).outputs(params, sequences)
        if scores.shape[1:] != (len(labels), 2):
            raise ValueError(
                f"RecurrentParity: the policy must return two scores for the last step of each of {len(labels)} "
                f"sequences, got {tuple(scores.shape[1:])}."
            )
        nll = -scores.log_softmax(-1)[:, torch.arange(len(labels), device=labels.device), labels].mean(1)
        accuracy = (scores.argmax(-1) == labels).to(nll.dtype).mean(1)
        fitness = -nll if self.incentive == "nll" else accuracy.masked_fill(~nll.isfinite(), torch.nan)
        kept = torch.linspace(0, len(labels) - 1, min(record, len(labels)), device=labels.device).round().long()
        return Evaluation(
            fitness=fitness,
            states=sequences[:, kept] if record else None,
            solved=(accuracy == 1) & nll.isfinite(),
            extras={"accuracy": accuracy},
        )
