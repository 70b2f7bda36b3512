"""
An evolved readout on a self-organised reservoir
================================================

A reservoir adapts to its inputs by intrinsic plasticity; nobody tells it what for. What is asked for then is the
right side of a threshold, and hits are counted: a count has no gradient. A small net on the reservoir's states
evolves by safe mutations. Run it with `python examples/evolved_readout.py`; it takes seconds and needs no files.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from pytorch_lightning import Trainer, seed_everything
from torch import Tensor, nn

from lightning_neuro import SafeMutation, SelfOrganizingReservoir
from lightning_neuro.reservoir.rules import IntrinsicPlasticity
from lightning_neuro.safe_mutation import SupervisedEvaluator

QUIET = {"enable_progress_bar": False, "enable_model_summary": False}

WASHOUT, TRAINING = 100, 500


def make_data(rng: np.random.Generator) -> tuple[np.ndarray, Tensor]:
    """Return random inputs `(T, 1)`, and whether the inputs of one and two steps ago had the same sign."""
    u = rng.uniform(-1, 1, (1200, 1))
    same = (np.roll(u, 1) * np.roll(u, 2) > 0).astype(np.int64)
    return u, torch.as_tensor(same[:, 0])


def misses(outputs: Tensor, labels: Tensor) -> Tensor:
    """Return the share of wrong answers; its gradient is 0 wherever there is one."""
    return (outputs.argmax(-1) != labels).double().mean()


def main(generations: int = 100) -> dict[str, float]:
    """Return the shares of right answers on steps that were not seen, before and after."""
    u, labels = make_data(np.random.default_rng(0))
    reservoir = SelfOrganizingReservoir(40, [IntrinsicPlasticity()], sr=0.8, seed=0)
    reservoir.adapt(u[: WASHOUT + TRAINING], epochs=5)
    states = torch.as_tensor(reservoir.run(u)).float()[WASHOUT:]
    labels = labels[WASHOUT:]

    seed_everything(0)
    readout = nn.Sequential(nn.Linear(40, 16), nn.Tanh(), nn.Linear(16, 2))

    def right(policy: nn.Module) -> float:
        with torch.no_grad():
            return 1 - float(misses(policy(states[TRAINING:]), labels[TRAINING:]))

    before = right(readout)
    model = SafeMutation(
        readout,
        SupervisedEvaluator((states[:TRAINING], labels[:TRAINING]), misses),
        population_size=100,
        operator="sm_g_sum",
        magnitude=0.02,
        mutation_states=32,
    )
    trainer = Trainer(max_steps=generations, accelerator="cpu", logger=False, enable_checkpointing=False, **QUIET)
    trainer.fit(model)

    found = {"before": before, "after": right(model.best_policy())}
    print(f"right answers: {found['before']:.2f} before, {found['after']:.2f} after {model.evaluations} evaluations")
    plt.figure(figsize=(5, 2.2), layout="constrained")
    plt.barh(list(found), list(found.values()), color=["#b9c4d0", "#3b6fb6"])
    plt.axvline(0.5, color="black", linewidth=1, linestyle=":")
    plt.xlabel("right answers; dotted: chance")
    plt.xlim(0, 1)
    plt.show()
    return found


if __name__ == "__main__":
    main()
