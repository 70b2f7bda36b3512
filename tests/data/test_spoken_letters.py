import shutil

import pytest
import torch

from lightning_neuro.data import DataNotFoundError, spoken_letters
from lightning_neuro.data.spoken_letters import SpokenLettersData
from lightning_neuro.data.synthetic_speech import VOICES


@pytest.fixture
def said(monkeypatch):
    """Noise in the place of speech; the list of what was to be said."""
    utterances = []

    def speak(owner, utterance, sample_rate):
        utterances.append(utterance)
        return 0.1 * torch.randn(500, generator=torch.Generator().manual_seed(utterance.seed))

    monkeypatch.setattr(spoken_letters, "speak", speak)
    monkeypatch.setattr(spoken_letters, "program_version", lambda owner: "stand-in 1")
    return utterances


def make(tmp_path, **options):
    defaults = {"takes": 2, "num_steps": 20, "cache_dir": tmp_path / "cache"}
    return SpokenLettersData("digits", **(defaults | options))


def test_every_voice_says_every_word_in_its_own_way(tmp_path):
    everything = [make(tmp_path, takes=5).utterances(train=train) for train in (True, False)]
    assert [len(part) for part in everything] == [640, 160]
    spoken = [utterance for part in everything for utterance, _ in part]
    assert len(set(spoken)) == 800
    assert {(each.voice, each.text) for each in spoken} == {(v, w) for v in VOICES for w in "0123456789"}
    for values, low, high in (
        ([each.rate for each in spoken], 120, 200),
        ([each.pitch for each in spoken], 25, 75),
        ([each.noise for each in spoken], 20, 35),
    ):
        assert low <= min(values) <= low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) <= max(values) <= high
        assert sum(values) / 800 == pytest.approx((low + high) / 2, abs=0.05 * (high - low))


def test_more_takes_leave_the_others_as_they_are(tmp_path):
    few, many = (make(tmp_path, takes=takes).utterances(train=True) for takes in (2, 4))
    assert set(few) < set(many)
    assert not set(few) & set(make(tmp_path, sound_seed=1).utterances(train=True))
    assert set(few) == set(make(tmp_path, seed=1).utterances(train=True))


def test_test_part_of_unseen_voices(tmp_path):
    data = make(tmp_path, test_on="voices", takes=1)
    train, test = ({each.voice for each, _ in data.utterances(train=train)} for train in (True, False))
    assert train == set(VOICES[:-4])
    assert test == set(VOICES[-4:])


def test_spikes_are_made_once(tmp_path, said, monkeypatch):
    data = make(tmp_path)
    data.prepare_data()
    assert len(said) == 320
    data.setup()
    assert len(said) == 320
    assert (len(data.train_set) + len(data.val_set), len(data.test_set), data.num_classes) == (160, 160, 10)
    spikes, labels = data.test_set.batch(range(160))
    assert (spikes.shape, spikes.any().item()) == ((20, 160, 78), True)
    assert labels.bincount().tolist() == [16] * 10
    monkeypatch.setattr(spoken_letters, "program_version", lambda owner: "stand-in 2")
    make(tmp_path).setup("test")
    assert len(said) == 480


def test_the_cache_serves_where_the_program_is_missing(tmp_path, said, monkeypatch):
    make(tmp_path).setup("test")
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path))
    make(tmp_path).setup("test")
    with pytest.raises(DataNotFoundError, match="SpokenLettersData: the speech synthesizer espeak-ng was not found"):
        make(tmp_path).prepare_data()  # the training part has not been made


def test_other_voices_are_kept_in_another_file(tmp_path, said, monkeypatch):
    make(tmp_path).setup("test")
    monkeypatch.setattr(spoken_letters, "VOICES", VOICES[::-1])
    make(tmp_path).setup("test")
    assert len(said) == 320
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_default_place_of_the_cache(monkeypatch):
    monkeypatch.setenv("LIGHTNING_NEURO_DATA", "elsewhere")
    assert SpokenLettersData().cache_folder.parts == ("elsewhere", "spoken_letters")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"takes": 1}, "takes must be at least 2, got 1"),
        ({"takes": 0, "test_on": "voices"}, "takes must be at least 1, got 0"),
        ({"test_on": "words"}, "test_on must be one of 'takes', 'voices', got 'words'"),
        ({"sound_seed": -1}, "sound_seed must be at least 0, got -1"),
        ({"vocabulary": "words"}, "vocabulary must be one of 'letters', 'digits', got 'words'"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=f"SpokenLettersData: {message}"):
        SpokenLettersData(**options)


@pytest.mark.realdata
@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_real_words_become_different_spikes(tmp_path, monkeypatch):
    monkeypatch.setattr(spoken_letters, "VOICES", VOICES[:1])
    data = SpokenLettersData("digits", takes=2, cache_dir=tmp_path)
    data.setup("test")
    spikes, labels = data.test_set.batch(range(10))
    assert labels.tolist() == [*range(10)]
    counts = spikes.sum((0, 2))
    assert (counts > 1000).all()
    assert len({tuple(each.tolist()) for each in spikes.sum(0)}) == 10
