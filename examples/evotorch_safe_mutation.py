"""
SM-G inside evotorch
====================

Put a safe mutation into the genetic algorithm of evotorch: operators need neither Lightning nor `SafeMutation`.

A net of ten layers learns the parity of four bits. An operator of evotorch's `GeneticAlgorithm` may be a function
from genomes (P, d) to children (P, d), and evotorch flattens a module's weights as we do, in the order of
`parameters()`. Run it with `python examples/evotorch_safe_mutation.py`, after `pip install evotorch`.
"""

import argparse

import torch
from evotorch.algorithms import GeneticAlgorithm
from evotorch.neuroevolution import SupervisedNE
from torch import Tensor, nn
from torch.utils.data import TensorDataset

from lightning_neuro.safe_mutation import operator_named
from lightning_neuro.safe_mutation.tasks import DeepPolicy, parity_table


def evolve(name: str, magnitude: float, generations: int) -> float:
    """Loss of the best net after evolution with the operator of this name."""
    words, labels = parity_table(4)
    net = DeepPolicy(inputs=4, outputs=2, hidden=15, layers=8, output="identity")
    problem = SupervisedNE(
        TensorDataset(words, labels), net, nn.CrossEntropyLoss(), minibatch_size=16, initial_bounds=(-0.5, 0.5)
    )
    problem.manual_seed(0)
    operator, generator = operator_named(name), torch.Generator().manual_seed(0)

    def mutate(parents: Tensor) -> Tensor:
        # What mutations should leave alike are the net's answers to these words.
        return operator(net, parents, words, magnitude, generator).children

    search = GeneticAlgorithm(problem, operators=[mutate], popsize=50, re_evaluate=False)
    search.run(generations)
    return float(search.status["best_eval"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--generations", type=int, default=30)
    generations = parser.parse_args().generations
    for name, magnitude in (("gaussian", 0.03), ("sm_g_sum", 0.001)):
        print(f"{name}: cross entropy {evolve(name, magnitude, generations):.3f} after {generations} generations")
    print("One seed, and magnitudes that were not tuned, prove nothing; chance is 0.693.")


if __name__ == "__main__":
    main()
