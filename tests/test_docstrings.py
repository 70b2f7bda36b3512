"""What `__all__` shows is documented: one line, what goes in, and an example that runs with the others."""

import importlib
import inspect
import pkgutil
from typing import Any

import lightning_neuro

# Of other libraries, or without a call of their own to show.
NO_EXAMPLE = {
    "run_demo": "trains all methods for minutes",
    "register_environments": "changes gymnasium's registry",
    "DataFormatError": "an error",
    "DataNotFoundError": "an error",
    "ComplexPencilError": "an error",
    "FolderDataModule": "abstract",
    "ImageDataModule": "abstract",
    "LabelledDataModule": "abstract",
    "SpeechDataModule": "abstract",
    "SpikeTrainDataModule": "abstract",
    "StepRule": "abstract",
    "EpochRule": "abstract",
    "Controller": "abstract",
    "ScaledMutation": "abstract",
    "MutationOperator": "a protocol",
}
# These still lack one. Names go from this list, none comes.
EXAMPLE_MISSING = {
    "BackwardResult",
    "EarFilters",
    "EchoState",
    "GuidedReport",
    "Match",
    "Maze",
    "Mutation",
    "PredictiveInformationAscent",
    "Realization",
    "ResumableLoader",
    "SparseReport",
    "Steps",
    "Whitening",
    "counts",
    "current_forward",
    "dense_forward",
    "measure_sparse",
    "pairwise",
    "propagated",
    "scaled_steps",
    "weighed",
    "weight_gradient",
}
ARGUMENTS_MISSING = {
    "DigitsData",
    "EchoState",
    "Match",
    "Realization",
    "ResumableLoader",
    "Whitening",
    "check_scaling",
    "counts",
    "current_forward",
    "dense_forward",
    "pairwise",
    "propagated",
    "scaled_steps",
    "weighed",
    "weight_gradient",
}


def public() -> dict[str, Any]:
    """Return classes and functions of this package that some public module's `__all__` names, each once."""
    found = {}
    for each in pkgutil.walk_packages(lightning_neuro.__path__, "lightning_neuro."):
        if any(part.startswith("_") for part in each.name.split(".")):
            continue
        module = importlib.import_module(each.name)
        for name in getattr(module, "__all__", []):
            thing = getattr(module, name)
            own = getattr(thing, "__module__", "").startswith("lightning_neuro")
            if own and (inspect.isclass(thing) or inspect.isroutine(thing)):
                found[name] = thing
    return found


PUBLIC = public()


def arguments(thing: Any) -> list[str]:
    """Return names of arguments that a user gives; errors take what errors take."""
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return []
    return [name for name in inspect.signature(thing).parameters if name not in ("self", "kwargs", "args")]


def lacks_example(name: str) -> bool:
    return ">>>" not in (PUBLIC[name].__doc__ or "")


def lacks_arguments(name: str) -> bool:
    text = PUBLIC[name].__doc__ or ""
    return bool(arguments(PUBLIC[name])) and "Args:" not in text and "Attributes:" not in text


def test_all_say_what_they_are():
    assert len(PUBLIC) > 150
    assert not [name for name, thing in PUBLIC.items() if not (thing.__doc__ or "").strip()]


def test_all_have_an_example_but_those_that_say_why_not():
    assert {name for name in PUBLIC if lacks_example(name)} == NO_EXAMPLE.keys() | EXAMPLE_MISSING


def test_all_say_what_their_arguments_are():
    assert {name for name in PUBLIC if lacks_arguments(name)} == ARGUMENTS_MISSING
