import numpy as np
import pytest
import torch

from lightning_neuro._lightning import LightningModule
from lightning_neuro.data import DataFormatError, DataNotFoundError
from lightning_neuro.data.folders import data_root
from lightning_neuro.data.japanese_vowels import FILES, JapaneseVowelsData

HEAD = "@dimensions 12\n@classLabel true 1 2 3 4 5 6 7 8 9\n@data\n"


def write(root, train=HEAD):
    """Two training series and one test series per speaker, drawn from a seed, of 3 to 6 steps."""
    rng = np.random.default_rng(0)
    folder = root / "JapaneseVowels"
    folder.mkdir()
    for name, head, count in (("TRAIN", train, 18), ("TEST", HEAD, 9)):
        rows = []
        for index in range(count):
            values = rng.normal(index % 9, 2, (12, 3 + index % 4)).round(3)
            rows.append(":".join([*(",".join(map(str, channel)) for channel in values), str(index % 9 + 1)]))
        (folder / f"JapaneseVowels_{name}.ts").write_text(head + "\n".join(rows))
    return root


def test_reads_the_official_parts(tmp_path):
    data = JapaneseVowelsData(write(tmp_path), batch_size=9, val_size=0)
    data.prepare_data()
    data.setup()
    assert data.train_set.labels.bincount().tolist() == [2] * 9
    (values, lengths), labels = next(iter(data.test_dataloader()))
    assert values.shape == (6, 9, 12)
    assert lengths.tolist() == [3 + index % 4 for index in range(9)]
    assert labels.tolist() == list(range(9))


def test_the_scale_comes_from_the_training_part_alone(tmp_path):
    data = JapaneseVowelsData(write(tmp_path), val_size=9)
    data.setup("test")
    train = np.concatenate([data.train_set._ready(index) for index in range(9)])
    assert train.mean(0) == pytest.approx(np.zeros(12), abs=1e-6)
    assert train.std(0) == pytest.approx(np.ones(12), abs=1e-6)
    mean, std = data.train_set.mean_and_std()
    for part in (data.val_set, data.test_set):
        assert part[0][0].numpy() == pytest.approx((part.series[0] - mean) / std, rel=1e-5)
    again = JapaneseVowelsData(tmp_path, val_size=9)
    again.setup("fit")
    again.setup("test")
    assert torch.equal(again.test_set[3][0], data.test_set[3][0])


def test_raw_values_on_request_and_then_testing_reads_the_test_part_alone(tmp_path):
    data = JapaneseVowelsData(write(tmp_path), standardize=False)
    data.setup("test")
    assert data.train_set is None
    assert data.test_set[0][0].numpy() == pytest.approx(data.test_set.series[0])


def test_a_channel_that_never_changes_stays_finite(tmp_path):
    file = write(tmp_path) / "JapaneseVowels" / "JapaneseVowels_TRAIN.ts"
    file.write_text(HEAD + "\n".join(":".join(["5,5"] * 12 + [str(k)]) for k in (1, 2)))
    data = JapaneseVowelsData(tmp_path, val_size=0)
    data.setup("fit")
    assert data.train_set[0][0].abs().max() == 0


class Mean(LightningModule):
    """Linear classifier of the mean over a series' own steps."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(12, 9)

    def forward(self, inputs):
        values, lengths = inputs
        return self.layer(values.sum(0) / lengths[:, None])

    def training_step(self, batch, index):
        return torch.nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch, index):
        pass

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_trainer_takes_padded_series(tmp_path, make_trainer, workers):
    data, model = JapaneseVowelsData(write(tmp_path), batch_size=4, val_size=2, num_workers=workers), Mean()
    make_trainer(num_sanity_val_steps=0).fit(model, datamodule=data)
    outputs = torch.cat(make_trainer().predict(model, datamodule=data))
    assert outputs.shape == (9, 9)


def test_missing_data_say_how_to_get_them(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"JapaneseVowelsData: Japanese vowels was not found(.|\n)*aeon"):
        JapaneseVowelsData(tmp_path).prepare_data()


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (HEAD.replace(" 9", ""), "class in line 12 must be one of 1 2 3 4 5 6 7 8, got '9'"),
        (HEAD.replace(" 9", " 9 10"), "@classLabel must be 1 2 3 4 5 6 7 8 9, got 1 2 3 4 5 6 7 8 9 10"),
        (HEAD.replace("12", "11"), "channels in line 4 must be 11, got 12"),
        ("", "line 1 must be a remark"),
    ],
)
def test_damage_is_named(tmp_path, head, message):
    with pytest.raises(DataFormatError, match=f"JapaneseVowels_TRAIN.ts: {message}"):
        JapaneseVowelsData(write(tmp_path, head)).setup("fit")


def test_another_problem_is_refused(tmp_path):
    file = write(tmp_path) / "JapaneseVowels" / "JapaneseVowels_TRAIN.ts"
    file.write_text("@dimensions 1\n@classLabel true 1 2 3 4 5 6 7 8 9\n@data\n1,2:1\n")
    with pytest.raises(DataFormatError, match="@dimensions must be 12, got 1"):
        JapaneseVowelsData(tmp_path).setup("fit")


def test_a_truncated_file_is_named(tmp_path):
    file = write(tmp_path) / "JapaneseVowels" / "JapaneseVowels_TEST.ts"
    file.write_text(file.read_text()[:-30])
    with pytest.raises(DataFormatError, match=r"JapaneseVowels_TEST\.ts: channels in line 12 must be 12"):
        JapaneseVowelsData(tmp_path, standardize=False).setup("test")


def test_verify_warns_of_other_files(tmp_path):
    data = JapaneseVowelsData(write(tmp_path), verify=True, standardize=False)
    with (
        pytest.warns(UserWarning, match="number of series in JapaneseVowels_TEST.ts should be 370 as published, got 9"),
        pytest.warns(UserWarning, match="SHA-256 of JapaneseVowels_TEST.ts should be b3d41d6a"),
    ):
        data.setup("test")


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="JapaneseVowelsData: num_steps must be at least 2, got 1"):
        JapaneseVowelsData(num_steps=1)


@pytest.mark.realdata
def test_real_japanese_vowels_are_complete_and_as_described():
    try:
        FILES.folder("JapaneseVowelsData", None)
    except DataNotFoundError:
        pytest.skip(f"no JapaneseVowels in {data_root()}; they are inside the wheel aeon 1.6.0")
    data = JapaneseVowelsData(val_size=0, verify=True)  # warnings are errors: counts and digests are right
    data.setup()
    assert data.train_set.labels.bincount().tolist() == [30] * 9
    assert data.test_set.labels.bincount().tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    lengths = [len(series) for part in (data.train_set, data.test_set) for series in part.series]
    assert (min(lengths), max(lengths)) == (7, 29)
    values = np.concatenate(data.train_set.series)
    assert (values.mean(), values.std()) == (pytest.approx(-0.0206, abs=5e-5), pytest.approx(0.4291, abs=5e-5))
