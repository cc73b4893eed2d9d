"""SEED: sessions, clips by their number, three labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from mimamba.models.datasets.dataset import DatasetError
from mimamba.models.datasets.seed import CHANNELS, Seed
from mimamba.models.signal.montage import parse_montage
from tests.models.datasets.layouts import seed_clips, write_seed

MUSE = parse_montage("muse")


def test_sessions_clips_and_labels(tmp_path: Path) -> None:
    write_seed(tmp_path / "Preprocessed_EEG", ["2_20140404", "10_20131130", "2_20140419"])
    made = Seed(tmp_path).read(MUSE)
    assert (len(CHANNELS), len(set(CHANNELS))) == (62, 62)
    assert [e.channel for e in made.montage] == ["TP7", "FP1", "FP2", "TP8"]
    assert [round(e.distance_mm, 1) for e in made.montage] == [38.7, 29.9, 30.2, 38.8]
    assert made.info.sfreq == 200.0
    assert made.outputs == {"emotion": ("negative", "neutral", "positive")}
    assert (made.people, dict(made.rest)) == (("s02", "s10"), {})
    assert len(made.trials) == 45
    assert [trial.labels for trial in made.trials[:3]] == [(2,), (1,), (0,)]
    trial = made.trials[15 + 11]
    assert (trial.name, trial.data.shape) == ("20140419_trial-12", (222, 4))
    rows = np.array([CHANNELS.index(name) for name in made.info.ch_names])
    np.testing.assert_array_equal(trial.data[0], (212 + rows / 64).astype(np.float32))


@pytest.mark.parametrize("absent", ["label.mat", "1_20131027.mat"])
def test_it_is_not_there(tmp_path: Path, absent: str) -> None:
    write_seed(tmp_path, ["1_20131027"])
    (tmp_path / absent).unlink()
    with pytest.raises(DatasetError, match=r"SEED's label\.mat and sessions"):
        Seed(tmp_path).read(MUSE)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("label.mat", {"label": np.ones(14)}, "15 labels of -1, 0, 1"),
        ("label.mat", {"label": np.full(15, 2)}, "15 labels of -1, 0, 1"),
        ("label.mat", {"other": np.ones(15)}, "numbers as label"),
        ("1_1.mat", {"djc_eeg1": np.zeros((62, 9))}, r"arrays \*_eeg1 to \*_eeg15"),
        ("1_1.mat", seed_clips() | {"djc_eeg7": np.zeros((61, 9))}, "62 x samples as eeg7"),
        (
            "1_1.mat",
            seed_clips() | {"djc_eeg7": np.full((62, 9), np.nan)},
            "not a number in 1_trial-07",
        ),
    ],
)
def test_a_file_of_another_content(
    tmp_path: Path, name: str, content: dict[str, np.ndarray], told: str
) -> None:
    write_seed(tmp_path, ["1_1"])
    savemat(tmp_path / name, content)
    with pytest.raises(DatasetError, match=told) as error:
        Seed(tmp_path).read(MUSE)
    assert str(tmp_path / name) in str(error.value)
