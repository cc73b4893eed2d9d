"""DEAP: both file formats give the same trials, and errors name the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mimamba.models.datasets.dataset import DatasetError
from mimamba.models.datasets.deap import CHANNELS, Deap
from mimamba.models.signal.montage import parse_montage
from tests.models.datasets.layouts import deap_arrays, write_deap

MUSE = parse_montage("muse")


@pytest.mark.parametrize("kind", ["dat", "mat"])
def test_trials_channels_and_labels(tmp_path: Path, kind: str) -> None:
    write_deap(tmp_path / f"s02.{kind}")
    made = Deap(tmp_path).read(MUSE)
    assert [(e.electrode, e.channel, e.row) for e in made.montage] == [
        ("TP9", "T7", 0),
        ("AF7", "Fp1", 1),
        ("AF8", "Fp2", 2),
        ("TP10", "T8", 3),
    ]
    distances = [round(electrode.distance_mm, 1) for electrode in made.montage]
    assert distances == [47.5, 29.9, 30.2, 48.5]
    assert (made.info.sfreq, made.info.ch_names) == (128.0, ("T7", "Fp1", "Fp2", "T8"))
    assert made.outputs == dict.fromkeys(
        ("valence", "arousal", "dominance", "liking"), ("low", "high")
    )
    assert [trial.name for trial in made.trials] == [f"trial-{n:02d}" for n in range(1, 41)]
    assert (made.people, dict(made.rest)) == (("s02",), {})
    assert [trial.labels for trial in made.trials[:2]] == [(1, 1, 1, 1), (0, 0, 1, 1)]
    trial = made.trials[6]
    assert (trial.data.shape, trial.data.dtype.name) == ((7680, 4), "float32")
    rows = [CHANNELS.index(name) + 6 for name in made.info.ch_names]
    np.testing.assert_array_equal(trial.data[:2], [rows, [-row for row in rows]])
    np.testing.assert_array_equal(trial.index, np.arange(7680))


def test_people_who_are_there_in_order_and_dat_before_mat(tmp_path: Path) -> None:
    folder = tmp_path / "data_preprocessed_python"
    folder.mkdir()
    for name in ("s10.dat", "s02.dat", "s02.mat", "s03.mat", "s2.dat", "README.txt"):
        (folder / name).touch()
    files = Deap(tmp_path).files()
    assert [path.name for path in files] == ["s02.dat", "s03.mat", "s10.dat"]


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"s01\.dat to s32\.dat, or \.mat, but found none"):
        Deap(tmp_path).read(MUSE)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"data": np.zeros((40, 40, 8), np.int8)}, r"data of shape \(40, 40, 8064\) in .*s01.dat"),
        ({"labels": np.full((40, 4), 9.5)}, "ratings from 1 to 9 in .*s01.dat, but found 9.5"),
        ({"labels": np.full((40, 4), np.nan)}, "ratings from 1 to 9 in .*s01.dat, but found nan"),
        ({"labels": None}, "labels in .*s01.dat, but found data"),
    ],
)
def test_a_file_of_another_content(
    tmp_path: Path, change: dict[str, np.ndarray | None], told: str
) -> None:
    arrays = {**deap_arrays(), **change}
    held = {name: array for name, array in arrays.items() if array is not None}
    write_deap(tmp_path / "s01.dat", held)
    with pytest.raises(DatasetError, match=told):
        Deap(tmp_path).read(MUSE)


def test_samples_that_are_no_numbers(tmp_path: Path) -> None:
    arrays = deap_arrays()
    arrays["data"] = arrays["data"].astype(np.float16)
    arrays["data"][3, CHANNELS.index("T8"), 8000] = np.nan
    write_deap(tmp_path / "s01.dat", arrays)
    with pytest.raises(DatasetError, match="not a number in trial-04 of s01"):
        Deap(tmp_path).read(MUSE)
    assert Deap(tmp_path).read(["Cz", "Pz"]).trials[3].n_times == 7680  # nobody asked for T8
