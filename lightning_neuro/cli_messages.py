"""Turns an error of the command line into the one line that tells the user what to correct."""

import argparse
import difflib
import re
from collections.abc import Iterator
from typing import Any

_BOILERPLATE = re.compile(
    r"Does not validate|Subtypes:|Errors:|Expected a <class 'NoneType'>|Expected a path but|Given value|Not a valid|"
    r"Subclass types|a class path|a dict|Problem with given class_path '[\w.]*\.Callback'"
)
# What Lightning says, in some versions with ". Aborting load" behind the path.
_MISSING_CHECKPOINT = re.compile(r"Checkpoint file not found: (.+?)(?:\. Aborting.*)?$")


class UsageError(Exception):
    """The call cannot be carried out as written; the message says what to do."""


def one_line(error: Exception) -> str | None:
    """Say what to correct, or None where the error is not about the call and its traceback is needed.

    Args:
        error: what came out of the command: our own checks (also inside what the parser made of them), Lightning's
            refusal of a combination, or the parser's complaint.

    >>> one_line(UsageError("two  words"))
    'two words'
    >>> one_line(RuntimeError("a defect")) is None
    True
    """
    for candidate in _chain(error):
        if isinstance(candidate, UsageError) or _is_our_check(candidate):
            return _joined(str(candidate))
    if isinstance(error, FileNotFoundError) and (missing := _MISSING_CHECKPOINT.match(str(error))):
        return f"--ckpt_path: there is no file {missing[1]!r}. Correct the path, or leave it out to start afresh."
    # Lightning's own refusals: a combination it cannot run, a config.yaml of an earlier run in the way.
    if type(error).__name__ == "MisconfigurationException" or "SaveConfigCallback expected" in str(error):
        return _joined(str(error))
    if "more than one stateful callback" in str(error):
        return _joined(f"{error} Give each callback once: in the configuration, or in $LIGHTNING_NEURO_CALLBACKS.")
    if isinstance(error, argparse.ArgumentError) or str(error).startswith("Does not validate"):
        return parser_complaint(str(error))
    return None


def parser_complaint(text: str) -> str:
    r"""Shorten what jsonargparse says: the option, what is wrong with it, and the class that was perhaps meant.

    >>> parser_complaint('Parser key "trainer.max_epochs":\n  - Expected a <class \'int\'>\n  Given value: x')
    '--trainer.max_epochs: expected int, got x.'
    """
    lines = [line.strip().removeprefix("- ") for line in text.splitlines() if line.strip()]
    told = [line for line in lines if not _BOILERPLATE.match(line)]
    own = [line for line in told if re.match(r"[A-Z]\w+: ", line)]
    if own:
        return own[0]
    reasons = list(dict.fromkeys(filter(None, map(_reason, told))))
    given = re.search(r"Given value: (.+)", text)
    if given and reasons and reasons[-1].startswith("expected") and "got" not in reasons[-1]:
        reasons.append(f"got {given[1]}")
    options = re.findall(r'Parser key "([^"]+)"', text)
    start = f"--{'.'.join(options)}: " if options else ""
    message = start + ", ".join(reasons).replace(":,", ":")
    return message if message.endswith(("?", ".")) else f"{message}."


def _reason(line: str) -> str:
    line = re.sub(r'Parser key "[^"]+":\s*', "", line)
    line = re.sub(r"Problem with given class_path '(?:\w+\.)*(\w+)'", r"\1", line)
    line = re.sub(r"\b(?:fit|validate|test|predict)\.(?=\w)", "--", line) if "arguments are required" in line else line
    line = re.sub(r"Expected an? (?:<class '([^']+)'>)?", r"expected \1", line).replace(". Got value:", ", got")
    unknown = re.match(r"expected dot import path string: (\S+)", line)
    return _unknown_class(unknown[1]) if unknown else line


def _unknown_class(name: str) -> str:
    # Here and not above: the commands that need no Lightning shall work where it cannot be imported.
    from lightning_neuro._lightning import Callback, LightningDataModule, LightningModule

    known = [cls.__name__ for root in (Callback, LightningModule, LightningDataModule) for cls in _subclasses(root)]
    if name in known:
        return f"{name} is no class of this kind. --model takes models, --data data, --trainer.callbacks callbacks."
    close = difflib.get_close_matches(name, known, n=1)
    advice = f"Did you mean {close[0]}?" if close else "Give a class's name, or its dotted path."
    return f"no class is called {name!r}. {advice}"


def _subclasses(cls: type[Any]) -> Iterator[type[Any]]:
    for subclass in cls.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_our_check(error: BaseException) -> bool:
    """Whether the error was raised by a line of this package, not by a library below it."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    raised_in = traceback.tb_frame.f_globals.get("__name__", "") if traceback else ""
    return raised_in.startswith("lightning_neuro.") and isinstance(
        error, ValueError | TypeError | OSError | ImportError
    )


def _joined(text: str) -> str:
    return " ".join(text.split())
