import os

import numpy as np
import pytest
import torch

from lightning_neuro._lightning import LightningModule
from lightning_neuro.data import DataFormatError, DataNotFoundError
from lightning_neuro.data.ti46 import TI46Data
from lightning_neuro.spiking.encoding import SpeechEncoder

soundfile = pytest.importorskip("soundfile")

SPEAKERS = ("f1", "m8")


def write(file, seed, length=1500):
    file.parent.mkdir(parents=True, exist_ok=True)
    sound = 0.1 * np.random.default_rng(seed).standard_normal(length)
    soundfile.write(file, sound, 12500, format="NIST", subtype="PCM_16")


@pytest.fixture
def root(tmp_path, no_system_data):
    """Three letters and three digits of two speakers: two takes each for training, one of them twice for test."""
    for folder, codes in (("ti_alpha", ("0a", "0f", "0m")), ("ti20", ("00", "07", "09"))):
        for speaker in SPEAKERS:
            for number, code in enumerate(codes):
                for take in (0, 9):
                    write(tmp_path / folder / "train" / speaker / f"{code}{speaker}set{take}.wav", number, 900 + take)
                for session in ("s1t0", "s10t1"):
                    write(tmp_path / folder / "test" / speaker / f"{code}{speaker}{session}.wav", number + 10)
    return tmp_path


def make(root, vocabulary="alpha", **options):
    defaults = {"verify": False, "num_steps": 60, "batch_size": 4, "val_size": 0}
    return TI46Data(vocabulary, root=root, **(defaults | options))


def test_letters_come_as_the_encoder_gives_them(root):
    data = make(root)
    data.prepare_data()
    data.setup()
    assert (len(data.train_set), len(data.test_set), data.num_classes, data.num_features) == (12, 12, 26, 78)
    assert data.train_set.labels.bincount(minlength=26).nonzero().flatten().tolist() == [0, 5, 12]
    spikes, labels = data.test_set.batch([0, 1, 6])
    assert (spikes.shape, spikes.dtype) == ((60, 3, 78), torch.bool)
    assert spikes.any()
    for b, name in enumerate(["f1/0af1s10t1", "f1/0af1s1t0", "m8/0am8s10t1"]):
        sound, _ = soundfile.read(root / "ti_alpha" / "test" / f"{name}.wav", dtype="float32")
        assert labels[b] == 0
        assert torch.equal(spikes[:, b : b + 1], SpeechEncoder(num_steps=60)([torch.from_numpy(sound)]))


def test_digits_leave_the_other_words_out(root):
    write(root / "ti20" / "train" / "f1" / "ENF1SET3.WAV", 0)
    write(root / "ti20" / "train" / "f1" / "05F1SET3.WAV", 0)
    (root / "ti20" / "train" / "f1" / ".DS_Store").touch()
    (root / "ti20" / "train" / "readme").mkdir()
    (root / "ti20" / "train" / "readme" / "a.txt").touch()
    data = make(root, "digits")
    data.setup("fit")
    assert sorted(data.train_set.labels.tolist()) == [0, 0, 0, 0, 5, 7, 7, 7, 7, 9, 9, 9, 9]


@pytest.mark.parametrize("folder", ["TI46", "ti46"])
def test_folders_that_are_looked_into(root, folder):
    (root / folder).mkdir()
    (root / "ti_alpha").rename(root / folder / "ti_alpha")
    make(root).prepare_data()


def test_missing_folders_are_told_with_how_to_get_them(tmp_path, no_system_data):
    with pytest.raises(DataNotFoundError, match=r"TI46Data: TI46 \(alpha\) was not found.") as caught:
        make(tmp_path).prepare_data()
    for part in ("LDC93S9", "SpokenLettersData", "ti_alpha", str(tmp_path / "TI46")):
        assert part in str(caught.value)


def test_other_numbers_than_published_are_warned_about(root):
    message = r"number of training recordings of TI46 \(alpha\) should be 4142 as published, got 12"
    with pytest.warns(UserWarning, match=message):
        make(root, verify=True).setup("fit")


@pytest.mark.parametrize("name", ["0bf1.wav", "0bm8set0.wav", "0bf1s1t0.wav", "abf1set0.wav", "00f1set0.wav"])
def test_foreign_names_are_refused(root, name):
    write(root / "ti_alpha" / "train" / "f1" / name, 0)
    with pytest.raises(DataFormatError, match=rf"{name}: name must be <code><speaker>set<k> with a code of one letter"):
        make(root).setup("fit")


def test_a_damaged_recording_is_refused_by_name(root):
    file = root / "ti_alpha" / "train" / "f1" / "0af1set0.wav"
    file.write_bytes(b"no speech at all")
    with pytest.raises(DataFormatError, match=f"^{file}: header must be NIST_1A"):
        make(root).setup("fit")


def test_empty_folders_are_refused(root):
    (root / "ti_alpha" / "test").rename(root / "elsewhere")
    with pytest.raises(DataFormatError, match="number of recordings in folders f1 to m8 must be at least 1, got 0"):
        make(root).setup("test")


def test_cache_is_made_once_and_anew_when_files_or_options_change(root, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    data = make(root, cache_dir=cache)
    data.prepare_data()
    assert len(list(cache.iterdir())) == 2
    plain = make(root)
    plain.setup()
    calls = []
    encode = SpeechEncoder.forward
    monkeypatch.setattr(SpeechEncoder, "forward", lambda self, clips: calls.append(len(clips)) or encode(self, clips))
    data.setup()
    assert calls == []
    for part in ("train_set", "test_set"):
        ours, theirs = (getattr(each, part).batch(range(12)) for each in (data, plain))
        assert torch.equal(ours[0], theirs[0])
        assert torch.equal(ours[1], theirs[1])
    write(root / "ti_alpha" / "train" / "f1" / "0af1set0.wav", 5, 1800)
    make(root, cache_dir=cache).setup()
    assert calls == [12]  # training anew, test kept
    make(root, cache_dir=cache, gain=1000).setup("test")
    assert calls == [12, 12]
    assert len(list(cache.iterdir())) == 3


def test_a_recording_of_the_same_time_and_another_size_is_noticed(root):
    file, data = root / "ti_alpha" / "train" / "f1" / "0af1set0.wav", make(root)
    os.utime(file, (0, 0))
    before = data.fingerprint(train=True)
    assert data.fingerprint(train=True) == before
    file.write_bytes(file.read_bytes() + b"0")
    os.utime(file, (0, 0))
    assert data.fingerprint(train=True) != before


class Counts(LightningModule):
    def __init__(self):
        super().__init__()
        self.readout = torch.nn.Linear(78, 26)

    def training_step(self, batch, index):
        spikes, labels = batch
        return torch.nn.functional.cross_entropy(self.readout(spikes.float().mean(0)), labels)

    def validation_step(self, batch, index):
        self.log("val_loss", self.training_step(batch, index), batch_size=len(batch[1]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_trains_through_a_trainer_and_is_kept_in_the_checkpoint(root, make_trainer, tmp_path):
    trainer = make_trainer()
    trainer.fit(Counts(), datamodule=make(root, cache_dir=tmp_path / "cache", val_size=3))
    assert trainer.global_step == 3
    assert trainer.callback_metrics["val_loss"] > 0
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    kept = torch.load(tmp_path / "a.ckpt", weights_only=True)["datamodule_hyper_parameters"]
    assert (kept["vocabulary"], kept["cache_dir"], kept["root"]) == ("alpha", str(tmp_path / "cache"), str(root))


def test_unknown_vocabulary():
    with pytest.raises(ValueError, match="TI46Data: vocabulary must be one of 'alpha', 'digits', got 'words'"):
        TI46Data("words")
