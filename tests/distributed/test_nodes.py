"""The recipe of docs/scale.md: launchers on two nodes, here on one machine, end with the weights of one process."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lightning_neuro._lightning import ENVIRONMENT_VARIABLE, ROOT

SCRIPT = """
import sys, torch
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset
from lightning_neuro._lightning import LightningModule, Trainer
from lightning_neuro import GradientActivation

class Linear(LightningModule):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = torch.nn.Linear(4, 2).double()
    def training_step(self, batch, index):
        return torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

torch.set_num_threads(1)
nodes, path = int(sys.argv[1]), sys.argv[2]
draws = torch.Generator().manual_seed(1)
data = TensorDataset(*(torch.randn(32, size, generator=draws, dtype=torch.float64) for size in (4, 2)))
model = Linear()
trainer = Trainer(accelerator="cpu", devices=1, num_nodes=nodes, strategy="ddp" if nodes > 1 else "auto", max_epochs=3,
    callbacks=[GradientActivation()], logger=False, enable_checkpointing=False, enable_progress_bar=False,
    use_distributed_sampler=False)
sampler = DistributedSampler(data, nodes, trainer.global_rank, shuffle=False)
trainer.fit(model, DataLoader(data, batch_size=8 // nodes, sampler=sampler))
torch.save(model.state_dict(), f"{path}/{nodes}-{trainer.global_rank}.pt")
if nodes > 1:  # or threads of gloo may still run when the process ends, which aborts it
    torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_launchers_end_with_the_weights_of_one_process(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(SCRIPT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {ENVIRONMENT_VARIABLE: ROOT, "OMP_NUM_THREADS": "1"}
    launcher = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
    address = ["--master-addr", "127.0.0.1", "--master-port", str(port)]
    commands = [[*launcher, "--node-rank", str(node), *address, "train.py", "2", str(tmp_path)] for node in (0, 1)]
    commands.append(["train.py", "1", str(tmp_path)])
    running = [
        subprocess.Popen([sys.executable, *command], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    errors = [process.communicate(timeout=180)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], errors
    first, second, alone = (torch.load(tmp_path / f"{name}.pt") for name in ("2-0", "2-1", "1-0"))
    for name, weight in alone.items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], weight, rtol=1e-12, atol=1e-12)
