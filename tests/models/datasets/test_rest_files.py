"""Rest in files beside a data set, one for each person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mimamba.models.datasets.bids import Bids
from mimamba.models.datasets.dataset import Dataset, DatasetError
from mimamba.models.datasets.rest_files import add_rest
from mimamba.models.signal.montage import parse_montage
from tests.models.datasets.layouts import MUSE, write_bids_recording


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Two people, each with a calm and a tense recording, and rest elsewhere."""
    for number, person in enumerate(("sub-01", "sub-02")):
        for place, task in enumerate(("calm", "tense")):
            write_bids_recording(tmp_path / "set", f"{person}_task-{task}", 100 * number + place)
        write_bids_recording(
            tmp_path / "rest", f"{person}_task-rest", 500 + number, ch_names=("Cz", *MUSE[::-1])
        )
    return Bids(tmp_path / "set").read(parse_montage("muse"))


def test_each_person_has_the_rest_of_their_file(dataset: Dataset, tmp_path: Path) -> None:
    pattern = f"{tmp_path}/rest/{{person}}/eeg/{{person}}_task-rest_eeg.edf"
    made = add_rest(dataset, pattern)
    assert made.trials is dataset.trials
    assert list(made.rest) == ["sub-01", "sub-02"]
    for number, rest in enumerate(made.rest.values()):
        assert (rest.person, rest.labels) == (f"sub-0{number + 1}", ())
        first = 0.5 * np.array([504, 503, 502, 501]) + number / 2
        np.testing.assert_array_equal(rest.data[0], first)  # in the order of the trials' channels


def test_a_file_that_is_a_trial_is_the_same_object(dataset: Dataset, tmp_path: Path) -> None:
    made = add_rest(dataset, f"{tmp_path}/set/{{person}}/eeg/{{person}}_task-calm_eeg.edf")
    assert made.rest["sub-01"] is made.trials[0]
    assert made.rest["sub-02"] is made.trials[2]


def test_what_does_not_fit_is_one_clear_error(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"a path with \{person\}"):
        add_rest(dataset, "rest.edf")
    with pytest.raises(DatasetError, match=r"sub-01\.edf"):
        add_rest(dataset, f"{tmp_path}/{{person}}.edf")
    for person in ("sub-01", "sub-02"):
        write_bids_recording(
            tmp_path / "near", f"{person}_task-rest", 0, ch_names=("T7", "Fp1", "Fp2", "T8")
        )
    pattern = f"{tmp_path}/near/{{person}}/eeg/{{person}}_task-rest_eeg.edf"
    with pytest.raises(DatasetError, match="rest of TP9, AF7, AF8, TP10, as in set"):
        add_rest(dataset, pattern)


def test_rest_of_another_rate_is_resampled_and_said(dataset: Dataset, tmp_path: Path) -> None:
    for person in ("sub-01", "sub-02"):
        write_bids_recording(tmp_path / "slow", f"{person}_task-rest", 0, rate=128)
    made = add_rest(dataset, f"{tmp_path}/slow/{{person}}/eeg/{{person}}_task-rest_eeg.edf")
    assert {rest.n_times for rest in made.rest.values()} == {4 * 256}
    assert made.info.notices[-1] == "Rest of 2 people of 128 Hz resampled to 256 Hz."
