"""DREAMER: clips, ratings and the first neutral clip as rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from mimamba.models.datasets.dataset import DatasetError
from mimamba.models.datasets.dreamer import CHANNELS, FILE, Dreamer
from mimamba.models.signal.montage import MontageError, parse_montage
from tests.models.datasets.layouts import dreamer_person, write_dreamer

MUSE = parse_montage("muse")


def test_trials_rest_and_labels(tmp_path: Path) -> None:
    write_dreamer(tmp_path / FILE, [dreamer_person(), dreamer_person(50.0)])
    made = Dreamer(tmp_path).read(MUSE)
    assert [(e.channel, e.row) for e in made.montage] == [
        ("T7", 0),
        ("F7", 1),
        ("F8", 2),
        ("T8", 3),
    ]
    assert [round(e.distance_mm, 1) for e in made.montage] == [47.5, 30.3, 30.6, 48.5]
    assert (made.info.sfreq, made.people) == (128.0, ("s01", "s02"))
    assert list(made.outputs) == ["valence", "arousal", "dominance"]
    assert len(made.trials) == 36
    assert [trial.labels for trial in made.trials[:5]] == [
        (0, 1, 0),
        (0, 1, 0),
        (0, 0, 0),
        (1, 0, 0),
        (1, 0, 0),
    ]
    columns = np.array([CHANNELS.index(name) for name in made.info.ch_names]) / 16
    trial = made.trials[18 + 4]
    assert (trial.person, trial.name, trial.data.shape) == ("s02", "trial-05", (204, 4))
    np.testing.assert_array_equal(trial.data[:2], [155 + columns, -45 + columns])
    rest = made.rest["s02"]
    assert (rest.name, rest.labels, rest.data.shape) == ("baseline-01", (), (130, 4))
    np.testing.assert_array_equal(rest.data[0], 49 + columns)


def test_one_person_and_an_array_of_structs(tmp_path: Path) -> None:
    write_dreamer(tmp_path / FILE, [dreamer_person()])
    assert Dreamer(tmp_path / FILE).read(MUSE).people == ("s01",)
    savemat(tmp_path / FILE, {"DREAMER": {"Data": dreamer_person()}})
    assert Dreamer(tmp_path).read(MUSE).people == ("s01",)


def test_electrodes_that_it_lacks(tmp_path: Path) -> None:
    write_dreamer(tmp_path / FILE, [dreamer_person()])
    with pytest.raises(MontageError, match="Fp1, Fp2"):
        Dreamer(tmp_path).read(["Fp1", "Fp2", "AF3", "AF4"])


def test_it_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"Expected the file DREAMER\.mat, but found none"):
        Dreamer(tmp_path).read(MUSE)


def changed(**change: object) -> dict[str, Any]:
    return {**dreamer_person(), **change}


def cells(n: int, shape: tuple[int, ...] = (9, 14)) -> np.ndarray:
    made = np.empty((n, 1), object)
    for row in range(n):
        made[row, 0] = np.zeros(shape)
    return made


@pytest.mark.parametrize(
    ("person", "told"),
    [
        (changed(EEG={"stimuli": cells(17)}), "18 cells as EEG.stimuli of s01"),
        (changed(EEG={"stimuli": cells(18, (9, 13))}), "samples x 14 as trial-01 of s01"),
        (changed(EEG={"stimuli": cells(18)}), "18 cells as EEG.baseline of s01"),
        (changed(EEG="none"), "18 cells as EEG.stimuli of s01"),
        (changed(ScoreValence=np.ones((17, 1))), "18 numbers as ScoreValence of s01"),
        (changed(ScoreArousal="high"), "numbers as ScoreArousal of s01"),
        (changed(ScoreArousal=np.full((18, 1), 6.0)), "ratings from 1 to 5 .*found 6"),
    ],
)
def test_a_file_of_another_content(tmp_path: Path, person: dict[str, Any], told: str) -> None:
    path = write_dreamer(tmp_path / FILE, [person])
    with pytest.raises(DatasetError, match=told) as error:
        Dreamer(tmp_path).read(MUSE)
    assert str(path) in str(error.value)


def test_a_file_without_the_struct(tmp_path: Path) -> None:
    savemat(tmp_path / FILE, {"other": 1.0})
    with pytest.raises(DatasetError, match="the struct DREAMER with the field Data"):
        Dreamer(tmp_path).read(MUSE)
