"""What `torch.vmap` makes of a function, kept as a flat list of operations and run again without its fixed cost.

For the small nets of populations, going through Python, `torch.func` and one batching rule per operation takes as long
as the operations themselves. They are the same at every call with tensors of the same layout, so they are traced once.
A replay runs the very same kernels on the same memory layouts: its numbers are those of `torch.vmap`, bit for bit.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from lightning_neuro.safe_mutation.nested import filled, map_tensors, tensors_of

Mapped = Callable[[Sequence[Any]], Any]
REPEATS = 100  # a trace takes as long as replays save in about so many calls
KEPT = 16
COUNTED = 512


class Replay:
    """Runs a function of nested tensors, and from some call on replays the operations it does.

    It counts calls of each layout: the shapes, strides, types and devices of all tensors, and whatever else is in the
    arguments. Once a layout has come `repeats` times its operations are traced. The next call runs both and compares;
    what cannot be traced, or did not give equal numbers, is run as it is for good. So is everything in autocast,
    inference mode, and where gradients are recorded.

    Args:
        repeats: calls of one layout before it is traced.
        kept: traces at a time; the oldest is forgotten.

    >>> double, replay = lambda arguments: 2 * arguments[0], Replay(repeats=1)
    >>> with torch.no_grad():
    ...     [replay(double, (torch.tensor([number]),)).item() for number in (1.0, 2.0, 3.0)], replay.trusted
    ([2.0, 4.0, 6.0], 1)
    """

    def __init__(self, repeats: int = REPEATS, kept: int = KEPT) -> None:
        self._repeats = repeats
        self._kept = kept
        self._counts: dict[Any, int] = {}
        self._traces: dict[Any, _Trace | None] = {}

    @property
    def trusted(self) -> int:
        """How many layouts are replayed."""
        return sum(trace is not None and trace.trusted for trace in self._traces.values())

    def __call__(
        self, function: Mapped, arguments: Sequence[Any], traced: Mapped | None = None, key: object = None
    ) -> Any:
        """Return `function(arguments)`.

        Args:
            function: of tensors in tuples, lists and dicts. It must depend on nothing else that changes.
            arguments: of the function.
            traced: what is traced in its place: the same, but raising an error instead of taking another way.
            key: whatever else tells one function from another.
        """
        if torch.is_grad_enabled() or torch.is_inference_mode_enabled() or _autocast(arguments):
            return function(arguments)
        layout = key, _layout(arguments)
        if layout not in self._traces:
            result = function(arguments)
            self._count(layout, traced or function, arguments)
            return result
        trace = self._traces[layout]
        if trace is None:
            return function(arguments)
        if trace.trusted:
            return trace(arguments)
        result = function(arguments)
        trace.trusted = _reproduces(trace, arguments, result)
        if not trace.trusted:
            self._traces[layout] = None
        return result

    def __getstate__(self) -> dict[str, Any]:
        """Leave traces out of copies and processes, which make their own."""
        return {**self.__dict__, "_counts": {}, "_traces": {}}

    def _count(self, layout: Any, function: Mapped, arguments: Sequence[Any]) -> None:
        if len(self._counts) >= COUNTED:
            self._counts.clear()
        self._counts[layout] = self._counts.get(layout, 0) + 1
        if self._counts[layout] < self._repeats:
            return
        del self._counts[layout]
        while len(self._traces) >= self._kept:
            self._traces.pop(next(iter(self._traces)))
        self._traces[layout] = _traced(function, arguments)


class _Trace:
    """The operations of one call, and the form of its result."""

    def __init__(self, operations: Callable[..., Sequence[Tensor]], form: Any) -> None:
        self._operations = operations
        self._form = form
        self.trusted = False

    def __call__(self, arguments: Sequence[Any]) -> Any:
        return filled(self._form, list(self._operations(*tensors_of(arguments))))


def _traced(function: Mapped, arguments: Sequence[Any]) -> _Trace | None:
    """Return the operations that a function does on arguments of this layout; None where they cannot be told."""
    forms: list[Any] = []

    def flat(*tensors: Tensor) -> list[Tensor]:
        result = function(filled(arguments, list(tensors)))
        forms[:] = [map_tensors(lambda _: torch.empty(0), result)]
        return tensors_of(result)

    try:
        # Copies, for a function may write into a buffer it is given.
        graph = make_fx(flat)(*[_copied(tensor) for tensor in tensors_of(arguments)])
    except Exception:  # numbers are read from tensors, or there is an operation that tracing does not know
        return None
    return _Trace(graph.forward, forms[0])


def _copied(tensor: Tensor) -> Tensor:
    """Return a copy with the same strides, also of a tensor with gaps or repeated memory."""
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=tensor.device).copy_(tensor)


def _reproduces(trace: _Trace, arguments: Sequence[Any], result: Any) -> bool:
    try:
        pairs = zip(tensors_of(trace(arguments)), tensors_of(result), strict=True)
        return all(torch.allclose(ours, theirs, rtol=0, atol=0, equal_nan=True) for ours, theirs in pairs)
    except Exception:
        return False


def _layout(tree: Any) -> Any:
    """Return something to compare and to look up that is equal for trees of the same operations."""
    if isinstance(tree, Tensor):
        return tree.shape, tree.stride(), tree.dtype, tree.device
    if isinstance(tree, dict):
        return dict, tuple((key, _layout(part)) for key, part in tree.items())
    if isinstance(tree, tuple | list):
        return type(tree), tuple([_layout(part) for part in tree])
    return type(tree), tree


def _autocast(arguments: Sequence[Any]) -> bool:
    return any(torch.is_autocast_enabled(device) for device in {each.device.type for each in tensors_of(arguments)})
