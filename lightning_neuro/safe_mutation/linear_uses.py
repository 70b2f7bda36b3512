"""Where a forward pass computes with a genome, if that is in linear maps alone."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree

from lightning_neuro.safe_mutation.population import BatchedPolicy
from lightning_neuro.safe_mutation.recurrent_steps import Cell, CellWeights, State, gru_cell, run_cell
from lightning_neuro.safe_mutation.samples import Samples

LINEAR = (functional.linear, run_cell)


class Place(NamedTuple):
    """Where a weight `(outputs, inputs)`, or a bias `(outputs,)` without inputs, lies in a genome."""

    first: int
    outputs: int
    inputs: int | None

    @property
    def stop(self) -> int:
        """Where the next one may begin."""
        return self.first + self.outputs * (1 if self.inputs is None else self.inputs)


@dataclass(frozen=True)
class LinearMap:
    """One sum of weights times units and of biases.

    Attributes:
        call: its place among all calls of `LINEAR` functions of one forward pass.
        outputs: width of the sum.
        lead: other dimensions of the sum, without that of the states.
        sample_dim: where in them that of the states stands.
        units_first: whether outputs come before all others, as in recurrent cells.
    """

    call: int
    outputs: int
    lead: tuple[int, ...] = ()
    sample_dim: int = 0
    units_first: bool = False

    def shape(self, samples: int) -> tuple[int, ...]:
        """Return the shape of the sum for some states."""
        lead = (*self.lead[: self.sample_dim], samples, *self.lead[self.sample_dim :])
        return (self.outputs, *lead) if self.units_first else (*lead, self.outputs)

    def rows(self, tensor: Tensor) -> Tensor:
        """Return sums, or units, of a population as `(P, B, steps, width)`."""
        last = tensor.movedim(1, -1) if self.units_first else tensor
        first = last.movedim(1 + self.sample_dim, 1)
        return first.reshape(*first.shape[:2], -1, first.shape[-1])


class Use(NamedTuple):
    """In which linear map a weight is used, and with which of that map's units; a bias with none."""

    map: int
    units: int | None


@dataclass(frozen=True)
class LinearNet:
    """All linear maps of a forward pass, and the uses of each weight in them."""

    maps: tuple[LinearMap, ...]
    uses: dict[Place, tuple[Use, ...]]

    def steps(self, uses: tuple[Use, ...]) -> int:
        """Return how many rows of one state meet a weight."""
        return sum(torch.Size(self.maps[use.map].lead).numel() for use in uses)

    @property
    def product_size(self) -> int:
        """Numbers in the largest weight that meets several rows of a state."""
        return max((at.stop - at.first for at, uses in self.uses.items() if self.steps(uses) > 1), default=0)


def linear_net(policy: BatchedPolicy, params: Tensor, samples: Samples) -> LinearNet | None:
    """Return the linear maps if they are all that computes with the genome, and no row of theirs mixes states.

    Follows one forward pass of one parent, so uses that no module shows are seen as well. None: there are others.
    """
    if not policy.vectorized:
        return None
    states = samples.of_one(0)
    taken = {size for shape in policy.genome.shapes for size in shape} | set(states.shape)
    rows = next(size for size in count(2) if size not in taken)  # so that no other dimension is mistaken for states
    shape = list(states.shape)
    shape[samples.sample_dim] = rows
    with torch.inference_mode(False), torch.no_grad():
        vector = params[0].clone()
        with _Uses(vector, rows) as found:
            policy.single(vector, states.expand(shape).clone())
    places = sorted(found.uses)
    apart = all(one.stop <= other.first for one, other in pairwise(places))
    if not (found.only_linear and apart and vector._version == 0):
        return None
    return LinearNet(tuple(found.maps), {place: tuple(uses) for place, uses in found.uses.items()})


DETACHING = {torch.detach, Tensor.detach, Tensor.data.__get__}  # type: ignore[attr-defined]


class _Uses(TorchFunctionMode):
    """Notes every operation that computes with a genome, on `rows` states."""

    def __init__(self, vector: Tensor, rows: int) -> None:
        super().__init__()
        self.maps: list[LinearMap] = []
        self.uses: dict[Place, list[Use]] = {}
        self.only_linear = True
        self._storage = vector.untyped_storage().data_ptr()
        self._rows = rows
        self._calls = 0

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is run_cell:
            self.only_linear &= self._cell(*args)
        elif func in DETACHING and any(map(self._inside, _tensors(args))):
            self.only_linear = False  # gradients do not pass there, and the shortcut would not see that
        elif self._computes(result, args, kwargs):
            self.only_linear &= func is functional.linear and self._linear(*operands(*args, **kwargs))
        self._calls += func in LINEAR
        return result

    def _computes(self, result: Any, *arguments: Any) -> bool:
        made = any(not self._inside(output) for output in _tensors(result))
        return made and any(map(self._inside, _tensors(arguments)))

    def _inside(self, tensor: Tensor | None) -> bool:
        return tensor is not None and tensor.untyped_storage().data_ptr() == self._storage

    def _linear(self, given: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
        lead = list(given.shape[:-1])
        if self._inside(given) or lead.count(self._rows) != 1:
            return False
        dim = lead.index(self._rows)
        lead.remove(self._rows)
        return self._noted(LinearMap(self._calls, len(weight), tuple(lead), dim), [(weight, 0), (bias, None)])

    def _cell(self, cell: Cell, inputs: list[Tensor], weights: CellWeights, state: State, reverse: bool) -> bool:
        into = [(weights.input, 0), (weights.input_bias, None)]
        again = [(weights.hidden, 0 if cell is gru_cell else 1), (weights.hidden_bias, None)]
        if not any(self._inside(weight) for weight in (*weights.parts, *inputs, *state)):
            return True
        if any(map(self._inside, (weights.projection, *inputs, *state))) or inputs[0].shape[1] != self._rows:
            return False
        made = LinearMap(self._calls, len(weights.input), (len(inputs),), 1, units_first=True)
        maps = [into, again] if cell is gru_cell else [into + again]
        found = [self._noted(made, terms) for terms in maps]
        return all(found)

    def _noted(self, made: LinearMap, terms: list[tuple[Tensor | None, int | None]]) -> bool:
        ours = [(part, units) for part, units in terms if part is not None and self._inside(part)]
        for part, units in ours:
            place = Place(int(part.storage_offset()), len(part), part.shape[1] if units is not None else None)
            self.uses.setdefault(place, []).append(Use(len(self.maps), units))
        self.maps.append(made)
        return all(part.is_contiguous() for part, _ in ours)


def operands(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:  # noqa: A002
    """Return what `functional.linear` is given, however it is given."""
    return input, weight, bias


def _tensors(tree: Any) -> Iterator[Tensor]:
    return (leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, Tensor))
