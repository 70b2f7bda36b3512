"""`SpectralRNNModule`: a recurrent net on series, started by spectral learning and trained by gradients."""

import inspect
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchmetrics import MeanMetric

from lightning_neuro._lightning import Callback, LightningModule, MisconfigurationException
from lightning_neuro.common import checks
from lightning_neuro.common.checkpoint_file import check_checkpoint_file
from lightning_neuro.spectral_rnn.batches import IGNORED_LABEL, Unpack, unpack_batch
from lightning_neuro.spectral_rnn.callback import SpectralInit
from lightning_neuro.spectral_rnn.padding import within

Loss = Callable[[Tensor, Tensor], Tensor]


class SpectralRNNModule(LightningModule):
    """Trains a net that maps series to series: regression on `(B, T, Dy)`, or labels `(B, T)` for each step.

    Ordinary automatic optimisation; what is special is the start. Padding, targets of NaN and labels of -100 count for
    nothing. Logged are `loss`, and `accuracy` for labels, each with `train_`, `val_` or `test_` before it.

    Args:
        model: called with `(B, T, Dx)`, and `lengths=` if its forward has such an argument; returns outputs
            `(B, T, Dy)`, or a tuple that begins with them: `PolynomialRNN`, `BidirectionalPolynomialRNN`, or any other
            module. One that reads back needs `lengths`, or padding reaches its outputs.
        loss: "mse", "cross_entropy", or a function of kept outputs `(n, Dy)` and targets `(n, Dy)` or `(n,)`.
        spectral: the callback that starts the net; None for the weights it has.
        learning_rate: of Adam; override `configure_optimizers` for another optimizer.
        gradient_norm: clip gradients to this norm; polynomial nets need it, for theirs explode. None for not.
        unpack: makes `(x, y, lengths or None)` of a batch.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range.

    >>> from lightning_neuro.spectral_rnn.torch import PolynomialRNN
    >>> module = SpectralRNNModule(PolynomialRNN(3, 2, 1))
    >>> module(torch.zeros(4, 7, 3)).shape
    torch.Size([4, 7, 1])
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Literal["mse", "cross_entropy"] | Loss = "mse",
        *,
        spectral: SpectralInit | None = None,
        learning_rate: float = 3e-3,
        gradient_norm: float | None = 1.0,
        unpack: Unpack = unpack_batch,
    ) -> None:
        super().__init__()
        owner = "SpectralRNNModule"
        if not callable(loss):
            checks.choice(owner, "loss", loss, ("mse", "cross_entropy"))
        self.model, self.loss, self.spectral, self.unpack = model, loss, spectral, unpack
        self.learning_rate = checks.number(owner, "learning_rate", learning_rate, above=0)
        self.gradient_norm = (
            None if gradient_norm is None else checks.number(owner, "gradient_norm", gradient_norm, above=0)
        )
        names = [f"{stage}_{name}" for stage in ("train", "val", "test") for name in ("loss", "accuracy")]
        self.means = nn.ModuleDict({name: MeanMetric() for name in names})

    def configure_callbacks(self) -> list[Callback]:
        """Return the start, if there is one."""
        return [] if self.spectral is None else [self.spectral]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam.

        Raises:
            MisconfigurationException: weights in float16, in which Adam divides 0 by 0: its eps of 1e-8 is 0 there.
        """
        if any(parameter.dtype is torch.float16 for parameter in self.parameters()):
            raise MisconfigurationException(
                f"{type(self).__name__}: Adam cannot train weights in float16, where its eps of 1e-8 is 0. Use "
                "precision='16-mixed', 'bf16-true' or '32-true', or override configure_optimizers."
            )
        return torch.optim.Adam(self.parameters(), lr=self.learning_rate)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip as the trainer says, else to `gradient_norm`."""
        value = self.gradient_norm if gradient_clip_val is None else gradient_clip_val
        self.clip_gradients(optimizer, value, gradient_clip_algorithm)

    def on_fit_start(self) -> None:
        """Refuse to go on from a damaged checkpoint."""
        check_checkpoint_file(type(self).__name__, self.trainer.ckpt_path)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the outputs `(B, T, Dy)` of series `(B, T, Dx)` of `lengths (B,)`."""
        found = self.model(x, lengths=lengths) if lengths is not None and takes_lengths(self.model) else self.model(x)
        outputs: Tensor = found[0] if isinstance(found, tuple) else found
        return outputs

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        return self._measured("train", batch)

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Measure a batch."""
        self._measured("val", batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Measure a batch."""
        self._measured("test", batch)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the outputs of a batch, or of inputs alone; for labels, the most likely one of each step."""
        x, _, lengths = (batch, None, None) if isinstance(batch, Tensor) else self.unpack(batch)
        outputs = self(x, lengths)
        return outputs.argmax(-1) if self.loss == "cross_entropy" else outputs

    @torch.compiler.disable(recursive=False)  # Choosing targets by their values breaks a graph; the net still compiles.
    def _measured(self, stage: str, batch: Any) -> Tensor:
        x, y, lengths = self.unpack(batch)
        _check_inputs(x, lengths)
        outputs = self(x, lengths)
        _check_targets(outputs, y)
        kept = _known(y, lengths)
        outputs, targets = outputs[kept], y[kept]
        # A batch without one target has no mean: its loss is zero, and so are its gradients.
        loss = self._loss(outputs, targets) if len(targets) else outputs.sum()
        self._log(f"{stage}_loss", loss.detach(), len(targets))
        if self.loss == "cross_entropy" and len(targets):
            right = (outputs.detach().argmax(-1) == targets).float().mean()
            self._log(f"{stage}_accuracy", right, len(targets))
        return loss

    @torch.compiler.disable  # Logging looks at the trainer's frames, which a compiled step does not have.
    def _log(self, name: str, value: Tensor, weight: int) -> None:
        """Log the mean over an epoch in which every target counts once."""
        mean: Any = self.means[name]
        mean.update(value, weight)
        self.log(name, mean, on_step=False, on_epoch=True, prog_bar=True)

    def _loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        if callable(self.loss):
            return self.loss(outputs, targets)
        if self.loss == "mse":
            return nn.functional.mse_loss(outputs, targets.to(outputs.dtype))
        return nn.functional.cross_entropy(outputs, targets)


def takes_lengths(model: nn.Module) -> bool:
    """Return whether the forward of a module has an argument `lengths`; of a compiled one, that of what it wraps.

    >>> from lightning_neuro.spectral_rnn.torch import PolynomialRNN
    >>> takes_lengths(PolynomialRNN(3, 2, 1)), takes_lengths(nn.Linear(3, 1))
    (True, False)
    """
    parameters, inner = inspect.signature(model.forward).parameters, list(model.children())
    if "lengths" in parameters:
        return True
    passes_on = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return passes_on and len(inner) == 1 and takes_lengths(inner[0])


def _check_inputs(x: Tensor, lengths: Tensor | None) -> None:
    if not x.is_floating_point():
        return
    finite = x.isfinite().flatten(2).all(-1)
    if lengths is not None:
        finite = finite | ~within(lengths.to(x.device), x.shape[1])
    if not finite.all():
        series, step = (~finite).nonzero()[0].tolist()
        raise ValueError(
            f"SpectralRNNModule: x must be finite, got NaN or infinity at step {step} of series {series}. Spectral "
            "learning steps over such gaps, but a net carries them on in its state: fill them, or cut the series there."
        )


def _check_targets(outputs: Tensor, y: Tensor) -> None:
    labels = y.ndim == 2 and not y.is_floating_point()
    if y.shape != (outputs.shape[:2] if labels else outputs.shape):
        raise ValueError(
            f"SpectralRNNModule: expected targets {tuple(outputs.shape)}, or labels {tuple(outputs.shape[:2])} in "
            f"whole numbers, got shape {tuple(y.shape)} of {y.dtype}. Give one column as y[..., None]."
        )


def _known(y: Tensor, lengths: Tensor | None) -> Tensor:
    """Return `(B, T)`: which targets count."""
    known = y != IGNORED_LABEL if y.ndim == 2 and not y.is_floating_point() else y.isfinite().all(-1)
    return known if lengths is None else known & within(lengths.to(y.device), y.shape[1])
