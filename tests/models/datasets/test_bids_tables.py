"""Tables of BIDS that are broken, and what a set says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimamba.models.datasets.bids_tables import describe_dataset, labels_of_people, labels_of_scans
from mimamba.models.datasets.dataset import DatasetError


@pytest.mark.parametrize("text", ["", "sex\tparticipant_id\n", "participant_id\tage\nsub-01\t3\n"])
def test_a_table_without_the_column(tmp_path: Path, text: str) -> None:
    (tmp_path / "participants.tsv").write_text(text)
    with pytest.raises(DatasetError, match="column"):
        labels_of_people(tmp_path, "sex")


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no such file"):
        labels_of_people(tmp_path, "sex")


def test_rows_without_a_label_or_a_key(tmp_path: Path) -> None:
    text = "sex\tparticipant_id\nF\tsub-01\nM\nn/a\tsub-02\n\tsub-03\n\n"
    (tmp_path / "participants.tsv").write_text(text)
    assert labels_of_people(tmp_path, "sex") == {"sub-01": "F"}


def test_scans_of_sessions(tmp_path: Path) -> None:
    for folder in ("sub-01/ses-1", "sub-02"):
        (tmp_path / folder).mkdir(parents=True)
        name = folder.replace("/", "_")
        text = f"filename\tmood\neeg/{name}_eeg.edf\t{name}\n"
        (tmp_path / folder / f"{name}_scans.tsv").write_text(text)
    assert labels_of_scans(tmp_path, "mood") == {
        tmp_path / "sub-01/ses-1/eeg/sub-01_ses-1_eeg.edf": "sub-01_ses-1",
        tmp_path / "sub-02/eeg/sub-02_eeg.edf": "sub-02",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"Name": "N", "License": "CC0", "Authors": ["A", "B"]}', "N; A, B; licence CC0"),
        ('{"Name": "N\\nM"}', "N M; licence not stated"),
        ('{"Authors": "A"}', "; licence not stated"),
        ("[]", "does not describe itself"),
        ("{", "does not describe itself"),
        ("\xff", "does not describe itself"),
    ],
)
def test_what_a_set_says_of_itself(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "dataset_description.json").write_text(text, encoding="latin1")
    assert describe_dataset(tmp_path).endswith(said)
