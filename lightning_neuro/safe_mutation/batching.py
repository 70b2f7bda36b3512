"""One function over a whole population: vectorised where torch can, one by one where it cannot."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from lightning_neuro.safe_mutation.nested import filled, map_tensors, stacked, tensors_of

Vectorize = bool | Literal["auto"]


class Batching:
    """Maps functions over the leading dimension and remembers whether that can be vectorised.

    Args:
        module: what the functions call; when something in it cannot be vectorised, it is named.
        vectorize: "auto" tries, and loops from the first failure on, with one warning; True raises instead; False
            always loops.

    Attributes:
        vectorized: whether the next map is vectorised.
    """

    def __init__(self, module: nn.Module, vectorize: Vectorize = "auto") -> None:
        if vectorize != "auto" and not isinstance(vectorize, bool):
            raise ValueError(f"BatchedPolicy: vectorize must be True, False or 'auto', got {vectorize!r}.")
        self._module = module
        self._vectorize = vectorize
        self.vectorized = vectorize is not False

    def map(
        self,
        function: Callable[..., Any],
        arguments: Sequence[Any],
        in_dims: Sequence[int | None],
        chunk_size: int | None = None,
        *,
        stacklevel: int = 3,
    ) -> Any:
        """Return the results of `function` stacked along a new first dimension.

        Args:
            function: takes one row of each argument, returns tensors, alone or in tuples, lists and dicts.
            arguments: tensors, or tuples, lists and dicts of them.
            in_dims: for each argument 0 for one row per call, or None for the same argument in all calls.
            chunk_size: rows at a time; None takes all at once.
            stacklevel: where the warning of a fallback points to.

        Raises:
            RuntimeError: `vectorize=True` and the function cannot be vectorised.
        """
        if not self.vectorized:
            return _one_by_one(function, arguments, in_dims)
        try:
            return at_once(function, arguments, in_dims, chunk_size)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            reason = error
        # What is wrong with the function itself shows in the plain call, without the words of the vectorised one.
        if self._vectorize is True:
            _one_by_one(
                function, [_first(argument, dim) for argument, dim in zip(arguments, in_dims, strict=True)], in_dims
            )
        else:
            result = _one_by_one(function, arguments, in_dims)
        culprit = _culprit(self._module, lambda: at_once(function, arguments, in_dims, chunk_size))
        message = f"BatchedPolicy: {culprit} cannot be batched over weights ({_short(reason)})."
        if self._vectorize is True:
            raise RuntimeError(f"{message} Pass vectorize='auto' or False to run individuals one by one.") from reason
        self.vectorized = False
        warnings.warn(
            f"{message} Individuals run one by one from here on: same results, slower.", stacklevel=stacklevel
        )
        return result


def at_once(
    function: Callable[..., Any], arguments: Sequence[Any], in_dims: Sequence[int | None], chunk_size: int | None = None
) -> Any:
    """Return what `Batching.map` does by `torch.vmap` alone; it raises what `torch.vmap` raises."""
    mapped = [argument for argument, dim in zip(arguments, in_dims, strict=True) if dim is not None]
    form: list[Any] = []

    def flat(*rows: Tensor) -> tuple[Tensor, ...]:
        each = iter(filled(mapped, list(rows)))
        values = [argument if dim is None else next(each) for argument, dim in zip(arguments, in_dims, strict=True)]
        result = function(*values)
        form[:] = [result]
        return tuple(tensors_of(result))

    outputs = torch.vmap(flat, chunk_size=chunk_size)(*tensors_of(mapped))
    return filled(form[0], list(outputs))


def _one_by_one(function: Callable[..., Any], arguments: Sequence[Any], in_dims: Sequence[int | None]) -> Any:
    mapped = [argument for argument, dim in zip(arguments, in_dims, strict=True) if dim is not None]
    lengths = {len(tensor) for tensor in tensors_of(mapped)}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"BatchedPolicy: expected arguments of one length, at least 1, got {sorted(lengths)}.")
    rows = (
        [
            argument if dim is None else map_tensors(lambda tensor, row=row: tensor[row], argument)  # type: ignore[misc]
            for argument, dim in zip(arguments, in_dims, strict=True)
        ]
        for row in range(lengths.pop())
    )
    return stacked([function(*values) for values in rows])


def _first(argument: Any, dim: int | None) -> Any:
    return argument if dim is None else map_tensors(lambda tensor: tensor[:1], argument)


def _short(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _culprit(module: nn.Module, failing: Callable[[], Any]) -> str:
    """Return path and class of the innermost module that runs while `failing` fails once more."""
    running: list[str] = []
    hooks = []
    for name, part in module.named_modules():
        label = f"{name or 'the policy'} ({type(part).__name__})"
        hooks.append(part.register_forward_pre_hook(lambda *_, label=label: running.append(label)))
        hooks.append(part.register_forward_hook(lambda *_: running.pop() and None))
    try:
        failing()
    except Exception:
        return running[-1] if running else "what is computed from the policy's outputs"
    finally:
        for hook in hooks:
            hook.remove()
    return "something in the policy"
