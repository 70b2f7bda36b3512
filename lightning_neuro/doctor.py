"""What a person needs to know of an installation: versions, devices, data, and what is known to go wrong together.

Nothing here imports Lightning or torch before it is asked to, and then in a way that survives their failure: an
installation that is broken is the one that needs a doctor.
"""

import importlib
import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement

DISTRIBUTION = "lightning-neuro"
IMPORT_SECONDS = 120
FOR_DEVELOPERS = ("docs", "test", "dev", "all")
# Both Lightning packages had these two releases withdrawn after their publication was compromised.
WITHDRAWN = dict.fromkeys(("pytorch-lightning", "lightning"), ("2.6.2", "2.6.3"))
# Imported by others where present, so that a broken one takes them down with it.
BREAKS_OTHERS = {
    "torchvision": ", and torchmetrics, and with it Lightning, imports it where present. Try: pip uninstall torchvision"
}
NEEDED = ("pytorch_lightning", "snntorch", "reservoirpy", "tensorly", "numba")
DATA_SETS = {
    "Fashion-MNIST": ("IdxImageData", ("fashion_mnist",)),
    "MNIST": ("IdxImageData", ("mnist",)),
    "CIFAR-10": ("Cifar10Data", ()),
    "digits": ("DigitsData", ()),
    "JapaneseVowels": ("JapaneseVowelsData", ()),
    "N-MNIST": ("NMNISTData", ()),
    "N-TIDIGITS": ("NTidigitsData", ()),
    "SHD": ("SHDData", ()),
    "TI46": ("TI46Data", ()),
    "spoken letters (espeak-ng)": ("SpokenLettersData", ()),
}
Row = tuple[str, str]


@dataclass(frozen=True)
class Examination:
    """What was found.

    Args:
        sections: title and rows (what, finding) of each part.
        conflicts: what will go wrong, and what to do, one sentence or two each.
    """

    sections: Sequence[tuple[str, Sequence[Row]]]
    conflicts: Sequence[str]

    def text(self) -> str:
        """Return it for a terminal.

        >>> print(Examination([("versions", [("torch", "2.13.0")])], []).text())
        versions
          torch  2.13.0
        <BLANKLINE>
        No known conflict was found.
        """
        lines = []
        for title, rows in self.sections:
            width = max(len(name) for name, _ in rows)
            lines += [title, *(f"  {name:{width}}  {finding}" for name, finding in rows), ""]
        if not self.conflicts:
            return "\n".join([*lines, "No known conflict was found."])
        return "\n".join(
            [*lines, "conflicts", *(f"  {number}. {text}" for number, text in enumerate(self.conflicts, 1))]
        )


def examine() -> Examination:
    """Look at this installation; seconds, since it imports what it reports on."""
    sections = [
        ("versions", versions()),
        ("optional packages", optional_packages()),
        ("devices", _guarded("torch", devices)),
        ("data", _guarded("Lightning", data_sets)),
    ]
    return Examination(sections, [*withdrawn(), *out_of_range(), *failing_imports()])


def versions() -> list[Row]:
    """Return this package, Python and what is required."""
    rows = [(DISTRIBUTION, _version(DISTRIBUTION) or "not installed"), ("Python", platform.python_version())]
    needed = [(asked.name, _version(asked.name) or "missing") for asked, extra in requirements() if not extra]
    return [*rows, ("platform", platform.platform()), *needed]


def optional_packages() -> list[Row]:
    """Return what extras bring, and which extra to ask for where it is missing."""
    return [
        (asked.name, _version(asked.name) or f"missing: pip install '{DISTRIBUTION}[{extra}]'")
        for asked, extra in requirements()
        if extra and extra not in FOR_DEVELOPERS
    ]


def devices() -> list[Row]:
    """Return what torch can compute on."""
    torch = importlib.import_module("torch")
    rows = [("CPU", f"{os.cpu_count()} cores, {torch.get_num_threads()} threads of torch")]
    count = torch.cuda.device_count()
    rows += [(f"cuda:{index}", torch.cuda.get_device_name(index)) for index in range(count)]
    if not count:
        rows.append(("CUDA", "no device" if torch.backends.cuda.is_built() else "this torch was built without it"))
    if torch.backends.mps.is_available():
        rows.append(("mps", "available"))
    return rows


def data_sets() -> list[Row]:
    """Return which data sets are on disk; where they are looked for is told by the error of each data module."""
    data = importlib.import_module("lightning_neuro.data")
    rows = [("folder", str(importlib.import_module("lightning_neuro.data.folders").data_root().absolute()))]
    for title, (kind, arguments) in DATA_SETS.items():
        try:
            getattr(data, kind)(*arguments).prepare_data()
            found = "found"
        except (data.DataNotFoundError, data.DataFormatError, ImportError) as error:
            found = _advice(str(error))
        rows.append((title, found))
    return rows


def requirements() -> list[tuple[Requirement, str]]:
    """Return what this package asks for, each with the extra that asks; "" for what is always needed."""
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return []
    asked = [(Requirement(line), _extra(line)) for line in lines]
    return [(requirement, extra) for requirement, extra in asked if requirement.name != DISTRIBUTION]


def out_of_range() -> list[str]:
    """Return what is installed in a version this package was not made for."""
    told = [
        f"{asked.name} {found} is not in {asked.specifier}. Try: pip install '{asked.name}{asked.specifier}'"
        for asked, _ in requirements()
        if (found := _version(asked.name)) and not asked.specifier.contains(found, prereleases=True)
    ]
    return list(dict.fromkeys(told))


def withdrawn() -> list[str]:
    """Return which compromised releases are installed."""
    return [
        f"{name} {_version(name)} is a compromised release. Uninstall it at once and install another version."
        for name, bad in WITHDRAWN.items()
        if _version(name) in bad
    ]


def failing_imports() -> list[str]:
    """Return which installed packages cannot be imported, each tried in a process of its own."""
    names = [name for name in (*BREAKS_OTHERS, *NEEDED) if importlib.util.find_spec(name)]
    with ThreadPoolExecutor() as pool:
        errors = dict(zip(names, pool.map(import_error, names), strict=True))
    return [
        f"{name} cannot be imported ({error}){BREAKS_OTHERS.get(name, '. Try: pip install --force-reinstall ' + name)}"
        for name, error in errors.items()
        if error
    ]


def import_error(module: str) -> str:
    """Return the last line of what importing a module says if it fails, else nothing.

    >>> import_error("json"), "No module named" in import_error("json.nothing_like_it")
    ('', True)
    """
    command = [sys.executable, "-W", "ignore", "-c", f"import {module}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=IMPORT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"it took more than {IMPORT_SECONDS} s"
    lines = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else (lines[-1] if lines else f"exit status {done.returncode}")


def _guarded(what: str, look: Callable[[], list[Row]]) -> list[Row]:
    try:
        return look()
    except Exception as error:  # Whatever is broken is what the user wants to see, with the rest of the page.
        return [(what, f"cannot be used: {type(error).__name__}: {' '.join(str(error).split())[:200]}")]


def _advice(message: str) -> str:
    lines = [line.strip() for line in message.splitlines()]
    obtain = next((line for line in lines if line.startswith("to obtain it")), lines[0])
    return f"not found; {obtain}"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _extra(line: str) -> str:
    """Return the extra in the marker of a requirement.

    >>> _extra('rich>=13; extra == "cli"'), _extra("numpy>=1.26")
    ('cli', '')
    """
    _, _, marker = line.partition("extra ==")
    return marker.strip(" \"'")
