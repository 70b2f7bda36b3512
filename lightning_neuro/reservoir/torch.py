"""`TorchReservoir`: a reservoir of reservoirpy as a torch module, for many series at once, on any device."""

from collections.abc import Collection
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from lightning_neuro.common import checks
from lightning_neuro.reservoir.conversion import arguments_of, node_of
from lightning_neuro.reservoir.rollout import ACTIVATIONS, Circuit, State, in_place, is_sparse_better, with_gradient
from lightning_neuro.reservoir.torch_checks import (
    WEIGHTS,
    check_finite_inputs,
    checked_inputs,
    checked_lengths,
    checked_state,
    checked_trainable,
    checked_weights,
)

Equation = Literal["internal", "external"]


class TorchReservoir(nn.Module):
    """A reservoir that runs a batch of series `(B, T, K)` to states `(B, T, N)`.

        internal: x(t+1) = (1 - leak) x(t) + leak f(gain (W x(t) + Win u(t+1) + bias) + shift)
        external: r(t+1) = (1 - leak) r(t) + leak (W x(t) + Win u(t+1) + bias),  x(t+1) = f(gain r(t+1) + shift)

    "internal" is reservoirpy's `Reservoir`, "external" its `IPReservoir`. States start from zero unless a state is
    given; the module remembers none. Where no gradient is needed the states overwrite what inputs bring, and on the CPU
    a sparse W is multiplied as such where that is faster. Everything is computed in the precision of the weights, also
    under autocast.

    Args:
        W: `(N, N)`.
        Win: `(N, K)`.
        bias: a number or `(N,)`.
        leak: a number or `(N,)`, from 0 to 1.
        gain: a number or `(N,)`.
        shift: a number or `(N,)`.
        activation: "tanh", "sigmoid", "identity", "relu" or "softplus".
        equation: "internal" or "external".
        trainable: True, or names of "W", "Win", "bias", "leak", "gain", "shift": parameters; the rest are buffers.
        truncate: gradients reach back no further than this many steps, counted in blocks; None for all.
        sparse: multiply by a compressed W; None to decide by size and density. Never where gradients are needed.
        dtype: torch.float32 or torch.float64; None for that of W.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of range, W is not square, or weights are not
            finite, as those of a nilpotent W scaled to a spectral radius.

    >>> reservoir = TorchReservoir([[0.0, 0.5], [0.0, 0.0]], [[0.0], [1.0]], activation="identity")
    >>> reservoir(torch.tensor([[1.0], [0.0]])).tolist()
    [[0.0, 1.0], [0.5, 0.0]]
    """

    W: Tensor
    Win: Tensor
    bias: Tensor
    leak: Tensor
    gain: Tensor
    shift: Tensor

    def __init__(
        self,
        W: Any,  # noqa: N803 - reservoirpy's names
        Win: Any,  # noqa: N803
        *,
        bias: Any = 0.0,
        leak: Any = 1.0,
        gain: Any = 1.0,
        shift: Any = 0.0,
        activation: str = "tanh",
        equation: Equation = "internal",
        trainable: bool | Collection[str] = False,
        truncate: int | None = None,
        sparse: bool | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        self.activation = checks.choice(owner, "activation", activation, ACTIVATIONS)
        self.equation = checks.choice(owner, "equation", equation, ("internal", "external"))
        self.truncate = None if truncate is None else checks.integer(owner, "truncate", truncate, at_least=1)
        self.sparse = None if sparse is None else checks.flag(owner, "sparse", sparse)
        learnt = checked_trainable(owner, trainable)
        vectors = {"bias": bias, "leak": leak, "gain": gain, "shift": shift}
        for name, value in checked_weights(owner, W, Win, vectors, dtype).items():
            if name in learnt:
                setattr(self, name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)

    @classmethod
    def from_node(
        cls, node: Any, *, input_dim: int | None = None, dtype: torch.dtype | None = None, **options: Any
    ) -> Self:
        """Return the module of a reservoirpy node: `Reservoir`, `IPReservoir`, or one of ours that organises itself.

        Args:
            node: is left as it is; its state is not taken over.
            input_dim: K, where the node has not been initialised.
            dtype: None for that of the node's W.
            **options: `trainable`, `truncate`, `sparse` of the module.

        Raises:
            TypeError: not such a node.
            ValueError: not initialised and no `input_dim`, or an activation that is not known here.
        """
        return cls(**arguments_of(f"{cls.__name__}.from_node", node, input_dim), dtype=dtype, **options)

    def to_node(self) -> Any:
        """Return a reservoirpy node that computes the same: a `Reservoir`; with gains, a `SelfOrganizingReservoir`."""
        return node_of({name: getattr(self, name) for name in WEIGHTS}, self.activation, self.equation)

    def map(self) -> Any:
        """Return the node of `to_node`, which measures read as one step of a map."""
        return self.to_node()

    @property
    def units(self) -> int:
        """N."""
        return len(self.W)

    @property
    def input_dim(self) -> int:
        """K."""
        return self.Win.shape[1]

    @property
    def lr(self) -> Tensor:
        """The leak rate `(N,)`, by reservoirpy's name."""
        return self.leak

    def extra_repr(self) -> str:
        """The sizes and kinds, for printing."""
        return f"{self.input_dim}, {self.units}, activation={self.activation!r}, equation={self.equation!r}"

    def start(self, batch: int) -> State:
        """Return the state of rest for so many series."""
        zeros = self.W.new_zeros(batch, self.units)
        return State(zeros, zeros if self.equation == "external" else None)

    @torch.compiler.disable
    def forward(self, inputs: Any, state: State | None = None, lengths: Tensor | None = None) -> Any:
        """Return the states of series; see `run`."""
        return self.run(inputs, state, lengths)[0]

    def states(self, inputs: Any) -> Tensor:
        """Return states of inputs `(T, K)` or `(B, T, K)`, arrays or tensors, from rest and without gradients."""
        with torch.no_grad():
            found: Tensor = self(torch.as_tensor(inputs))
        return found

    @torch.compiler.disable
    def run(self, inputs: Any, state: State | None = None, lengths: Tensor | None = None) -> tuple[Any, State]:
        """Run series, and say where the run stands, so that another call can go on.

        Args:
            inputs: `(B, T, K)`, `(T, K)`, or a `PackedSequence`.
            state: as returned by an earlier call, or `start`; None for rest.
            lengths: steps of each series that are no padding, `(B,)`; all if None.

        Returns:
            States `(B, T, N)`, zero in the padding, `(T, N)` or packed as the inputs are, and the state after the last
            step of each series.

        Raises:
            ValueError: a shape does not fit, inputs are not finite, or the reservoir ran away.
        """
        if isinstance(inputs, PackedSequence):
            padded, stops = pad_packed_sequence(inputs, batch_first=True)
            found, last = self.run(padded, state, stops)
            return pack_padded_sequence(found, stops, batch_first=True, enforce_sorted=False), last
        owner = type(self).__name__
        series = checked_inputs(owner, inputs, self.input_dim).to(self.W)
        batch, steps, _ = series.shape
        external = self.equation == "external"
        begin = self.start(batch) if state is None else checked_state(owner, state, batch, self.W, with_net=external)
        if lengths is not None:
            lengths = checked_lengths(owner, lengths, batch, steps).to(series.device)
            padding = torch.arange(steps, device=series.device) >= lengths[:, None]
            series = series.masked_fill(padding[..., None], 0)
        check_finite_inputs(owner, series)
        with torch.autocast(series.device.type, enabled=False):
            states, last = self._unrolled(series, begin, lengths)
        if not bool(last.out.isfinite().all()):  # not the last states: those of short series are padding
            raise ValueError(
                f"{owner}: states must stay finite, but the reservoir ran away. Make W, or the gain, smaller, or take "
                "an activation with bounds."
            )
        if lengths is not None:
            states = states.masked_fill(padding[..., None], 0)
        return (states if inputs.ndim == 3 else states[0]), last

    def _unrolled(self, series: Tensor, begin: State, lengths: Tensor | None) -> tuple[Tensor, State]:
        batch, steps, _ = series.shape
        if steps == 0 or batch == 0:
            return series.new_zeros(batch, steps, self.units), begin
        circuit, into, constant = self._circuit()
        needed = torch.is_grad_enabled() and any(
            part is not None and part.requires_grad for part in (series, *begin, *circuit[:2], into, constant)
        )
        sparse = not needed and (
            is_sparse_better(circuit.weights, steps, batch) if self.sparse is None else self.sparse
        )
        if sparse and batch > 1:
            drives = torch.matmul(into, series.permute(1, 2, 0)).add_(constant[:, None]).mT
        else:
            flat = series.transpose(0, 1).reshape(steps * batch, -1)
            drives = torch.addmm(constant, flat, into.T).view(steps, batch, -1)
        if needed or self._learns():
            found, net = with_gradient(circuit, drives, begin, lengths, self.truncate)
        else:
            found, net = in_place(circuit, drives, begin, lengths, sparse)
        states = found.transpose(0, 1)
        return states, State(_last(states, begin.out, lengths), net)

    def _learns(self) -> bool:
        return torch.is_grad_enabled() and any(parameter.requires_grad for parameter in self.parameters())

    def _circuit(self) -> tuple[Circuit, Tensor, Tensor]:
        """Return the circuit and what makes drives of inputs, with gain or leak multiplied in."""
        leak = None if not self.leak.requires_grad and bool((self.leak == 1).all()) else self.leak
        activation = ACTIVATIONS[self.activation]
        if self.equation == "external":
            factor, offset = leak, self.bias if leak is None else leak * self.bias
            gains: tuple[Tensor | None, Tensor | None] = (self.gain, self.shift)
        else:
            plain = not self.gain.requires_grad and bool((self.gain == 1).all())
            factor, offset = (
                (None, self.bias + self.shift) if plain else (self.gain, self.gain * self.bias + self.shift)
            )
            gains = (None, None)
        weights = self.W if factor is None else factor[:, None] * self.W
        into = self.Win if factor is None else factor[:, None] * self.Win
        return Circuit(weights, leak, activation, *gains), into, offset


def _last(states: Tensor, start: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is None:
        return states[:, -1].clone()
    rows = torch.arange(len(states), device=states.device)
    return torch.where((lengths > 0)[:, None], states[rows, (lengths - 1).clamp(min=0)], start)
