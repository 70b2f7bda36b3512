"""
SM-G: evolve a net through a maze
=================================

Evolve a deep net that steers a robot through a maze by safe mutations, and draw the way it takes.

The task has no gradient; what is differentiated are the net's outputs, to tell which weights they hang on. Run it
with `python examples/safe_mutation.py`: in under a minute it gets most of the way, and draws it to maze.svg. With
`--generations 200` it has time to arrive. Two generations, `--generations 2`, show that everything works.
"""

import argparse

import matplotlib.pyplot as plt
import torch
from pytorch_lightning import Trainer, seed_everything

from lightning_neuro import SafeMutation
from lightning_neuro.safe_mutation import find_magnitude
from lightning_neuro.safe_mutation.tasks import BreadcrumbMaze, DeepPolicy, draw_maze

QUIET = {"enable_progress_bar": False, "enable_model_summary": False}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--generations", type=int, default=40)
    parser.add_argument("--picture", default="maze.svg")
    options = parser.parse_args()

    seed_everything(0)
    torch.set_num_threads(1)  # a net this small gains nothing from more
    task = BreadcrumbMaze()
    model = SafeMutation(
        DeepPolicy(inputs=11, outputs=2, hidden=16, layers=4),
        task,
        population_size=100,
        operator="sm_g_sum",
        magnitude=0.0018,
        mutation_states=32,
        generations_per_epoch=options.generations,
    )
    met = task(model.batched_policy, model.population, record=32).states
    advised = find_magnitude(model.batched_policy, model.population, met, target_divergence=0.003)
    print(f"find_magnitude advises {advised:.4f} for these founders")

    trainer = Trainer(max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, **QUIET)
    trainer.fit(model)

    print(f"{-model.champion_fitness:.0f} of 521 steps to the goal are left after {model.evaluations} evaluations")
    policy = model.best_policy()  # an ordinary module
    turn, speed = policy(torch.ones(1, 11))[0].tolist()
    print(f"asked for a move with all sensors at 1, it turns by {turn:.2f} and drives at {speed:.2f} (0.5: rest)")

    champion = model.evolution.champion.genome[None]
    (path,) = task.trajectories(model.batched_policy, champion)
    draw_maze(path.numpy(), plt.figure().gca(), title="The champion's way")
    plt.show()
    draw_maze(path.numpy(), title="The champion's way").savefig(options.picture)
    print(f"picture: {options.picture}")


if __name__ == "__main__":
    main()
