"""Choosing parameters by name, module type, identity or predicate."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TypeAlias

from torch import Tensor, nn

Criterion: TypeAlias = str | type[nn.Module] | Tensor | Callable[[str, Tensor], bool]
Selector: TypeAlias = Criterion | Iterable[Criterion]
Entry: TypeAlias = tuple[str, nn.Module, Tensor]


def canonical_name(name: str) -> str:
    """Return `name` without the `_orig_mod` parts that `torch.compile` adds, so that names survive compilation.

    >>> canonical_name("_orig_mod.net._orig_mod.0.weight")
    'net.0.weight'
    """
    return ".".join(part for part in name.split(".") if part != "_orig_mod")


def name_matches(name: str, pattern: str) -> bool:
    """Tell whether a dotted `name` matches `pattern`.

    A pattern with `*`, `?` or `[` is a glob over the whole name; any other must equal a run of dotted parts.

    >>> name_matches("net.0.weight", "net.0"), name_matches("net.0.weight", "*.weight"), name_matches("net.01", "net.0")
    (True, True, False)
    """
    if any(character in pattern for character in "*?["):
        return fnmatchcase(name, pattern)
    return f".{pattern}." in f".{name}."


def named_parameters(module: nn.Module) -> Iterator[tuple[str, nn.Module, nn.Parameter]]:
    """Yield `(name, owning module, parameter)` once per parameter; tied parameters come under their first name."""
    seen: set[int] = set()
    for prefix, owner in module.named_modules():
        for leaf, parameter in owner.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                yield canonical_name(f"{prefix}.{leaf}" if prefix else leaf), owner, parameter


def select_parameters(
    caller: str, module: nn.Module, select: Selector | None = None, exclude: Selector | None = None
) -> dict[str, nn.Parameter]:
    """Return the parameters of `module` that match `select` and not `exclude`, by canonical name.

    Args:
        caller: who asks; opens the error messages.
        module: where to look, at any depth.
        select: `None` for all, or one or more of: a name, a part of a name or a glob; a module type, meaning all
            parameters that a module of this type owns itself; a parameter; a predicate `(name, parameter) -> bool`.
        exclude: the same, taken away.

    Raises:
        ValueError: a criterion matches nothing, or nothing is left.
        TypeError: a criterion is of another kind.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    >>> list(select_parameters("Example", net, exclude=["bias", nn.BatchNorm1d]))
    ['0.weight']
    """
    entries = list(named_parameters(module))
    chosen = select_entries(caller, entries, select, exclude)
    return {name: p for name, _, p in entries if id(p) in chosen}


def select_entries(
    caller: str, entries: Sequence[Entry], select: Selector | None = None, exclude: Selector | None = None
) -> set[int]:
    """Return the ids of chosen tensors among triples of a name, its owning module and a tensor.

    Like `select_parameters`, for a choice that holds more than parameters, such as weights computed from others.

    Raises:
        TypeError, ValueError: as in `select_parameters`.

    >>> layer = nn.Linear(2, 3)
    >>> select_entries("Example", [("a", layer, layer.weight)], "a") == {id(layer.weight)}
    True
    """
    return _chosen(caller, entries, select, exclude)


def select_tensors(
    caller: str,
    named_tensors: Iterable[tuple[str | None, Tensor]],
    select: Selector | None = None,
    exclude: Selector | None = None,
) -> list[Tensor]:
    """Return the tensors that match; like `select_parameters`, where there is no module, as in an optimizer.

    Args:
        caller: who asks; opens the error messages.
        named_tensors: pairs of a name, or `None` where it is not known, and a tensor.
        select: as in `select_parameters`, without module types; names only where all tensors have one.
        exclude: the same, taken away.

    Raises:
        ValueError: a criterion matches nothing, nothing is left, or names are asked for and not known.
        TypeError: a criterion is of another kind.

    >>> import torch
    >>> a, b = torch.zeros(1), torch.zeros(2)
    >>> [t.shape[0] for t in select_tensors("Example", [("a", a), ("b", b)], exclude="a")]
    [2]
    """
    pairs = list(named_tensors)
    for criterion in [*_criteria(select), *_criteria(exclude)]:
        if isinstance(criterion, type):
            raise TypeError(f"{caller}: cannot select by module type {criterion.__name__} here; name the parameters.")
        if isinstance(criterion, str) and any(name is None for name, _ in pairs):
            raise ValueError(
                f"{caller}: cannot select {criterion!r} by name, because the optimizer does not know its parameters' "
                "names. Build it from model.named_parameters(), or pass the parameters themselves."
            )
    entries = [(name or "", nn.Identity(), tensor) for name, tensor in pairs]
    chosen = _chosen(caller, entries, select, exclude)
    return [t for _, t in pairs if id(t) in chosen]


def reusable(caller: str, argument: str, selector: Selector | None) -> Selector | None:
    """Return a selector that can be read more than once, where a generator was given, and check its kind.

    Raises:
        TypeError: it holds something that cannot select.

    >>> reusable("Example", "select", (name for name in ["a", "b"]))
    ('a', 'b')
    """
    if selector is None or isinstance(selector, (str, type, Tensor)):
        return selector
    if isinstance(selector, nn.Module):
        raise TypeError(f"{caller}: {argument} takes names, types and parameters, got a module: pass its parameters().")
    if callable(selector):
        return selector
    if not isinstance(selector, Iterable):
        raise _wrong_kind(caller, argument, selector)
    criteria = tuple(selector)
    for criterion in criteria:
        if not isinstance(criterion, (str, type, Tensor)) and not callable(criterion):
            raise _wrong_kind(caller, argument, criterion)
    return criteria


def describe(selector: Selector | None) -> str:
    """Return a text for `selector` that is the same in every process, for state keys and tables.

    >>> describe(["bias", nn.LayerNorm])
    'bias,LayerNorm'
    """
    return ",".join(_describe_one(criterion) for criterion in _criteria(selector))


def _describe_one(criterion: Criterion) -> str:
    if isinstance(criterion, str):
        return criterion
    if isinstance(criterion, Tensor):
        return f"tensor{tuple(criterion.shape)}"
    name = getattr(criterion, "__qualname__", type(criterion).__qualname__)
    code = getattr(criterion, "__code__", None)
    return f"{name}:{code.co_firstlineno}" if code is not None and "<lambda>" in name else name


def _criteria(selector: Selector | None) -> list[Criterion]:
    if selector is None:
        return []
    if isinstance(selector, (str, type, Tensor)) or callable(selector):
        return [selector]
    return list(selector)


def _chosen(caller: str, entries: Sequence[Entry], select: Selector | None, exclude: Selector | None) -> set[int]:
    everything = {id(tensor) for _, _, tensor in entries}
    chosen = everything if select is None else _matching(caller, "select", entries, select)
    chosen = chosen - (set() if exclude is None else _matching(caller, "exclude", entries, exclude))
    if not chosen:
        told = f"select={describe(select) or None!r}, exclude={describe(exclude) or None!r}"
        raise ValueError(f"{caller}: no parameter is left of {len(everything)} with {told}. Select at least one.")
    return chosen


def _matching(caller: str, argument: str, entries: Sequence[Entry], selector: Selector) -> set[int]:
    found: set[int] = set()
    for criterion in _criteria(selector):
        hits = {id(t) for name, owner, t in entries if _matches(caller, argument, criterion, name, owner, t)}
        if not hits:
            told, hint = _describe_one(criterion), _hint(criterion, entries)
            raise ValueError(f"{caller}: {argument} {told!r} matches no parameter.{hint}")
        found |= hits
    return found


def _matches(caller: str, argument: str, criterion: Criterion, name: str, owner: nn.Module, tensor: Tensor) -> bool:
    if isinstance(criterion, str):
        return name_matches(name, criterion)
    if isinstance(criterion, Tensor):
        return criterion is tensor
    if isinstance(criterion, type):
        return isinstance(owner, criterion)
    if callable(criterion):
        return bool(criterion(name, tensor))
    raise _wrong_kind(caller, argument, criterion)


def _wrong_kind(caller: str, argument: str, criterion: object) -> TypeError:
    return TypeError(
        f"{caller}: {argument} takes names, module types, parameters and predicates (name, parameter) -> bool, "
        f"got {criterion!r}."
    )


def _hint(criterion: Criterion, entries: Sequence[Entry]) -> str:
    if not isinstance(criterion, str):
        return ""
    names = [name for name, _, _ in entries]
    near = difflib.get_close_matches(criterion, names, n=3, cutoff=0.4) or names[:3]
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else " There are no parameters."
