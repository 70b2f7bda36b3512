"""`MeasureCallback`: measures of reservoirs, and of any layer, while a net is trained."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from lightning_neuro._lightning import (
    Callback,
    LightningModule,
    MisconfigurationException,
    Trainer,
    check_same_root,
    rank_zero_warn,
)
from lightning_neuro.common import checks
from lightning_neuro.common.checkpoint_file import check_checkpoint_file
from lightning_neuro.reservoir.measuring import Recorder, Recording, measure, measured_layer, named_measures


class MeasureCallback(Callback):
    """Measures a layer on the same held-out series every few epochs, and logs numbers.

    By default that is the only `TorchReservoir` of the module, on the first batch of validation. A measure that has one
    value per unit or pair is logged as their median, and several series as their mean. A measure that refuses the
    series, for instance because they are too short, is logged as NaN, with a warning. Of several processes the first
    one measures, and tells the others.

    Args:
        measures: names of `reservoir.measures` or functions: one, a list, or options by name, such as
            `{"active_information_storage": {"history": 2, "washout": 50}}`. A function takes the reservoir, or the
            activations `(T, N)` of a layer, and `inputs` if it has such an argument; it returns a number, an array or a
            `Measure`.
        layer: name of the layer in the module; None for its only `TorchReservoir`. Layers give series `(B, T, N)`, or
            are called at every step with `(B, K)`.
        inputs: series `(B, T, K)` for the module's forward, in place of validation.
        every_n_epochs: measure at the end of each n-th epoch.
        series: measure no more than so many of the batch.
        time_first: the layer's series are `(T, B, N)`.
        prefix: of what is logged.

    Attributes:
        history: a dictionary per measuring, with "epoch", "step", and a number for each measure.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range; at fit start, there is no such layer.
        MisconfigurationException: at fit start, there is neither validation nor `inputs`.

    >>> MeasureCallback(["active_information_storage", "kernel_rank"], every_n_epochs=5).history
    []
    """

    def __init__(
        self,
        measures: str | Sequence[str | Callable[..., Any]] | Mapping[str, Any] | Callable[..., Any],
        *,
        layer: str | None = None,
        inputs: Any = None,
        every_n_epochs: int = 1,
        series: int = 1,
        time_first: bool = False,
        prefix: str = "measure",
    ) -> None:
        owner = "MeasureCallback"
        self.measures = named_measures(owner, measures)
        self.layer, self.inputs, self.prefix = layer, inputs, prefix
        self.every_n_epochs = checks.integer(owner, "every_n_epochs", every_n_epochs, at_least=1)
        self.series = checks.integer(owner, "series", series, at_least=1)
        self.time_first = checks.flag(owner, "time_first", time_first)
        self.history: list[dict[str, float]] = []
        self._recorder: Recorder | None = None
        self._warned: set[str] = set()

    @property
    def state_key(self) -> str:
        """Key of the state in a checkpoint: one for each layer and prefix, so that several can coexist."""
        return f"MeasureCallback[layer={self.layer}, prefix={self.prefix}]"

    def state_dict(self) -> dict[str, Any]:
        """Return the history."""
        return {"history": [dict(entry) for entry in self.history]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with it."""
        self.history = [dict(entry) for entry in state_dict["history"]]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse a `Trainer` of the other Lightning package."""
        check_same_root("MeasureCallback", trainer)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look for the layer, and for series to measure."""
        check_checkpoint_file("MeasureCallback", trainer.ckpt_path)
        measured_layer("MeasureCallback", pl_module, self.layer)
        if self.inputs is None and not trainer.enable_validation:
            raise MisconfigurationException(
                "MeasureCallback: expected validation data to measure on, got none. Give fit a validation loader, or "
                "give `inputs`."
            )

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Begin to record the first batch."""
        if self.inputs is None and batch_idx == 0 and dataloader_idx == 0 and self._is_due(trainer):
            self._recorder = self._record(pl_module).__enter__()

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Measure what was recorded."""
        if self._recorder is not None:
            recorder, self._recorder = self._recorder, None
            recorder.__exit__()
            self._measure(trainer, pl_module, recorder)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure on `inputs`, if they were given."""
        if self.inputs is None or not self._is_due(trainer):
            return
        modes = {part: part.training for part in pl_module.modules()}
        pl_module.eval()
        like = next(
            (part for part in [*pl_module.parameters(), *pl_module.buffers()] if part.is_floating_point()), None
        )
        given = torch.as_tensor(self.inputs)
        with torch.no_grad(), self._record(pl_module) as recorder:
            pl_module(given if like is None else given.to(like))
        for part, mode in modes.items():
            part.training = mode
        self._measure(trainer, pl_module, recorder)

    def _is_due(self, trainer: Trainer) -> bool:
        fitting = trainer.state.fn == "fit" and not trainer.sanity_checking
        return fitting and (trainer.current_epoch + 1) % self.every_n_epochs == 0

    def _record(self, module: LightningModule) -> Recorder:
        return Recorder(measured_layer("MeasureCallback", module, self.layer), time_first=self.time_first)

    def _measure(self, trainer: Trainer, module: LightningModule, recorder: Recorder) -> None:
        values: dict[str, float] = {}
        if trainer.is_global_zero:
            recording = recorder.recording("MeasureCallback")
            values = {name: self._mean(name, recorder, recording) for name in self.measures}
        values = trainer.strategy.broadcast(values)
        self.history.append({"epoch": trainer.current_epoch, "step": trainer.global_step, **values})
        logged = {f"{self.prefix}/{name}": value for name, value in values.items()}
        several = trainer.world_size > 1
        module.log_dict(logged, on_step=False, on_epoch=True, batch_size=1, sync_dist=several)

    def _mean(self, name: str, recorder: Recorder, recording: Recording) -> float:
        function, options = self.measures[name]
        rows = range(min(self.series, len(recording.outputs)))
        try:
            return float(np.mean([measure(function, recorder.layer, recording, row, options) for row in rows]))
        except ValueError as error:
            if name not in self._warned:
                self._warned.add(name)
                rank_zero_warn(f"MeasureCallback: {name} is logged as NaN, because it was refused: {error}")
            return float("nan")
