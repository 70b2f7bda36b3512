"""One policy, many genomes at once."""

import copy
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lightning_neuro.common import checks
from lightning_neuro.safe_mutation.batching import Batching, Vectorize, at_once
from lightning_neuro.safe_mutation.genome import Genome
from lightning_neuro.safe_mutation.interface import interface_of
from lightning_neuro.safe_mutation.policy_checks import refuse_dependent_individuals
from lightning_neuro.safe_mutation.policy_outputs import check_result, flat_rows
from lightning_neuro.safe_mutation.recurrent import vmap_safe
from lightning_neuro.safe_mutation.replay import Replay

Params = Tensor | dict[str, Tensor]


class BatchedPolicy:
    """Runs a whole population of weights through one policy.

    The policy itself is never changed. Its frozen weights and buffers are read from it at each call, so that it may
    be moved to another device or precision; all individuals share them.

    Args:
        policy: any module; what its forward takes and returns is told by `Interface`.
        recurrence: "none", "sequence" or "step"; read from the forward if not given.
        observation_ndim: dimensions of one observation without batch and time; read from the first layer if not given.
        vectorize: True, False, or "auto": whatever can be run for all individuals at once is, the rest one by one with
            one warning.
        output: what `outputs` and `single` apply to the policy's outputs, for instance a softmax.
        output_steps: which outputs of a "step" policy `outputs` and `single` return, the last or all of them.
        replay: whether calls of the same shapes that come often are traced, and their operations run without
            `torch.vmap`, to the same numbers. Pass False if the forward reads anything that changes besides its
            arguments, weights and buffers, such as a global.

    Raises:
        TypeError: an argument is of the wrong type.
        ValueError: nothing is trainable, the interface cannot be told, or a layer in training mode would make
            individuals depend on one another.

    >>> policy = BatchedPolicy(nn.Linear(3, 2))
    >>> policy(torch.zeros(250, 8), torch.ones(1, 3)).shape
    torch.Size([250, 1, 2])
    """

    def __init__(
        self,
        policy: nn.Module,
        *,
        recurrence: str | None = None,
        observation_ndim: int | None = None,
        vectorize: Vectorize = "auto",
        output: Callable[[Tensor], Tensor] | None = None,
        output_steps: Literal["last", "all"] = "last",
        replay: bool = True,
    ) -> None:
        self.genome = Genome(policy)
        self.interface = interface_of(policy, recurrence=recurrence, observation_ndim=observation_ndim)
        self.output_steps = checks.choice("BatchedPolicy", "output_steps", output_steps, ["last", "all"])
        if output_steps == "all" and self.interface.recurrence == "sequence":
            raise ValueError(
                "BatchedPolicy: output_steps='all' needs a policy that is called step by step, got one that takes "
                "whole sequences and returns one output. Use output_steps='last'."
            )
        refuse_dependent_individuals(policy)
        self.module = policy
        self._runner = vmap_safe(policy)
        self._batching = Batching(self._runner, vectorize)
        self._replay = Replay() if checks.flag("BatchedPolicy", "replay", replay) else None
        self._output = output

    @classmethod
    def of(cls, policy: "nn.Module | BatchedPolicy") -> "BatchedPolicy":
        """Return a module as a `BatchedPolicy`, and a `BatchedPolicy` as it is."""
        return policy if isinstance(policy, BatchedPolicy) else cls(policy)

    @property
    def size(self) -> int:
        """Length `d` of a genome."""
        return self.genome.size

    @property
    def vectorized(self) -> bool:
        """Whether individuals run at once; False also after something could not be batched."""
        return self._batching.vectorized

    def with_output(self, function: Callable[[Tensor], Tensor] | None) -> Self:
        """Return the same policy with another output transform."""
        other = copy.copy(self)
        other._output = function
        return other

    def individual(self, vector: Tensor) -> nn.Module:
        """Return a copy of the policy with the weights `vector (d,)`."""
        module = copy.deepcopy(self.module)
        self.genome.write_(module, vector)
        return module

    def prepare(self, params: Tensor) -> dict[str, Tensor]:
        """Return checked params `(P, d)` cut by name; a rollout does this once and passes it at each step."""
        self._check_params(params, 2)
        return self.genome.tensors(params)

    def has_own_states(self, states: Tensor) -> bool:
        """Return whether each individual has its own states, `(P, B, *obs)`, rather than all share `(B, *obs)`.

        Recurrent policies take `(P, T, B, *obs)` and `(T, B, *obs)`.

        Raises:
            ValueError: the dimensions fit neither.
        """
        return self._leads(states, self.interface.states_ndim, "states")

    def __call__(self, params: Params, observations: Tensor, state: Any = None) -> Any:
        """Return what each individual makes of its observations; the output transform is not applied.

        Args:
            params: `(P, d)`, or what `prepare` made of them.
            observations: `(B, *obs)` for all or `(P, B, *obs)`; whole sequences `(T, B, *obs)` or `(P, T, B, *obs)`.
            state: of a "step" policy: None at first, then what the last call returned.

        Returns:
            Outputs `(P, B, ...)`; of a "step" policy `(outputs, state)`, the state with a leading `P`.
        """
        tensors = self.prepare(params) if isinstance(params, Tensor) else params
        own = self._leads(observations, self.interface.input_ndim, "observations")
        dims = (0, _own_rows(tensors, observations) if own else None, None if state is None else 0)
        arguments = tensors, observations, state
        with torch.no_grad():
            if self._replay is None or not self.vectorized:
                return self._batching.map(self._call, arguments, dims)
            # A replay knows nothing of the module, so what all individuals share is among its arguments.
            return self._replay(
                lambda given: self._batching.map(self._call, given, (*dims, None), stacklevel=5),
                (*arguments, self._shared()),
                lambda given: at_once(self._call, given, (*dims, None)),
                dims,
            )

    def outputs(self, params: Params, states: Tensor) -> Tensor:
        """Return what sensitivities look at: transformed outputs `(P, B', K)`, trailing dimensions flattened.

        Args:
            params: `(P, d)`, or what `prepare` made of them.
            states: `(B, *obs)` or `(P, B, *obs)`; recurrent `(T, B, *obs)` or `(P, T, B, *obs)`.

        Returns:
            `B' = B` states; with `output_steps="all"` `B' = T B`, time first. "step" policies start from `h=None`.
        """
        tensors = self.prepare(params) if isinstance(params, Tensor) else params
        dims = (0, _own_rows(tensors, states) if self.has_own_states(states) else None)
        with torch.no_grad():
            return self._batching.map(self._unrolled, (tensors, states), dims)

    def single(self, vector: Tensor, states: Tensor) -> Tensor:
        """Return the outputs of one genome, `(B', K)`: pure and differentiable, for `torch.func`.

        Args:
            vector: `(d,)`.
            states: `(B, *obs)`, recurrent `(T, B, *obs)`.
        """
        self._check_params(vector, 1)
        if self.has_own_states(states):
            raise ValueError(f"BatchedPolicy: one genome takes states without P, got shape {tuple(states.shape)}.")
        return self._unrolled(self.genome.tensors(vector), states)

    def map(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        in_dims: int | Sequence[int | None] | None = 0,
        chunk_size: int | None = None,
    ) -> Any:
        """Return `function` of each row of the arguments, results stacked along a new first dimension.

        It is `torch.vmap`, and where that fails a loop with one warning that names the module that cannot be batched.

        Args:
            function: takes one row of each argument, returns tensors, alone or in tuples, lists and dicts.
            arguments: tensors, or tuples, lists and dicts of them.
            in_dims: 0 for one row per call, None for the same in all; one for all arguments or one each.
            chunk_size: rows at a time; None takes all at once.
        """
        dims = [in_dims] * len(arguments) if in_dims is None or isinstance(in_dims, int) else list(in_dims)
        return self._batching.map(function, arguments, dims, chunk_size)

    def _call(
        self,
        tensors: dict[str, Tensor],
        observations: Tensor,
        state: Any = None,
        shared: dict[str, Tensor] | None = None,
    ) -> Any:
        step = self.interface.recurrence == "step"
        arguments = (observations, state) if step else (observations,)
        result = functional_call(self._runner, {**self._copied(shared or self._shared()), **tensors}, arguments)
        check_result(self.module, self.interface, result, observations)
        return result

    def _unrolled(self, tensors: dict[str, Tensor], states: Tensor) -> Tensor:
        if self.interface.recurrence != "step":
            return self._transformed(self._call(tensors, states))
        if not len(states):
            raise ValueError(f"BatchedPolicy: a sequence must have at least one step, got shape {tuple(states.shape)}.")
        state, outputs = None, []
        for observations in states.unbind():
            output, state = self._call(tensors, observations, state)
            outputs.append(output)
        return self._transformed(torch.cat(outputs) if self.output_steps == "all" else outputs[-1])

    def _transformed(self, outputs: Tensor) -> Tensor:
        return flat_rows(outputs if self._output is None else self._output(outputs))

    def _shared(self) -> dict[str, Tensor]:
        frozen = {
            name: parameter.detach()
            for name, parameter in self.module.named_parameters()
            if name not in self.genome.names
        }
        return frozen | dict(self.module.named_buffers())

    def _copied(self, shared: dict[str, Tensor]) -> dict[str, Tensor]:
        # So that a module that counts or tracks in a buffer changes neither the policy nor the next individual.
        buffers = {name for name, _ in self.module.named_buffers()}
        return {name: tensor.clone() if name in buffers else tensor for name, tensor in shared.items()}

    def _leads(self, tensor: Tensor, ndim: int, name: str) -> bool:
        if tensor.ndim not in (ndim, ndim + 1):
            time = "T, " if ndim > self.interface.observation_ndim + 1 else ""
            raise ValueError(
                f"BatchedPolicy: expected {name} ({time}B, *obs) or (P, {time}B, *obs) with "
                f"{self.interface.observation_ndim} dimension(s) of an observation, got shape {tuple(tensor.shape)}. "
                "Give observation_ndim if an observation has other dimensions."
            )
        return tensor.ndim == ndim + 1

    def _check_params(self, params: Tensor, ndim: int) -> None:
        expected = f"(P, {self.size})" if ndim == 2 else f"({self.size},)"
        if not isinstance(params, Tensor):
            raise TypeError(f"BatchedPolicy: params must be a tensor {expected}, got {type(params).__name__}.")
        if params.ndim != ndim or params.shape[-1] != self.size or not params.numel():
            raise ValueError(
                f"BatchedPolicy: params must be {expected}, one number for each trainable weight of "
                f"{type(self.module).__name__}, got shape {tuple(params.shape)}."
            )
        dtype = self.module.get_parameter(self.genome.names[0]).dtype
        if params.dtype != dtype:
            raise TypeError(
                f"BatchedPolicy: params must be {dtype} as the policy's weights, got {params.dtype}. "
                f"Convert one of the two, for instance params.to({dtype})."
            )


def _own_rows(tensors: dict[str, Tensor], observations: Tensor) -> int:
    """Return 0, the dimension of the individuals, once they are known to be as many as the genomes."""
    genomes = len(next(iter(tensors.values())))
    if len(observations) != genomes:
        raise ValueError(
            f"BatchedPolicy: expected one batch of observations for each of {genomes} genomes, got shape "
            f"{tuple(observations.shape)}."
        )
    return 0
