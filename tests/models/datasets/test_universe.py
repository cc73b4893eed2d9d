"""UNIVERSE's layout, as its authors' loader and parser read it; pickles stay closed."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mimamba.models.datasets.dataset import DatasetError
from mimamba.models.datasets.universe import is_universe, read_universe
from mimamba.service.cli.main import app

BEGIN = datetime(2022, 10, 17, 9, 30, tzinfo=UTC)
SFREQ = 256
HEADER = (
    "TimeStamp,Delta_TP9,RAW_TP9,RAW_AF7,RAW_AF8,RAW_TP10,"
    "AUX_RIGHT,Accelerometer_X,Battery,Elements"
)
EVERY = 34
"""Seconds from one rating to the next."""


class Boom:
    """A pickle that would be noticed."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('a pickle was loaded')",)


def write_session(folder: Path, seed: int, n_ratings: int = 10) -> None:
    """A session in which alpha is stronger while the person feels well."""
    rng = np.random.default_rng(seed)
    n_times = SFREQ * EVERY * n_ratings + SFREQ
    index = np.arange(n_times)
    pleasant = rng.permutation(np.arange(n_ratings) % 2)
    felt = pleasant[np.minimum(index // (SFREQ * EVERY), n_ratings - 1)]
    alpha = (4 + 14 * felt) * np.sin(2 * np.pi * 10 * index / SFREQ)
    data = 841 + rng.normal(0, 12, (n_times, 4)) + alpha[:, np.newaxis]
    (folder / "Muse").mkdir(parents=True)
    (folder / "Psychopy").mkdir()
    with (folder / "Muse" / "Muse.csv").open("w") as file:
        file.write(f"{HEADER}\n")
        for at, row in enumerate(data):
            time = BEGIN + timedelta(seconds=at / SFREQ)
            values = ",".join(f"{value:.4f}" for value in row)
            file.write(f"{time:%Y-%m-%d %H:%M:%S}.{time.microsecond // 1000:03},0.1,{values},")
            file.write("840.2,0.01,80.0,\n")
    lines = ["0.5000 \tEXP \tCreated sliderValence = Slider(...)\n"]
    for n, state in enumerate(pleasant.tolist()):
        at = EVERY * (n + 1)
        clock = (BEGIN + timedelta(seconds=at)).replace(tzinfo=None)
        lines += [
            f"{at + 7:.4f} \tEXP \tRoutine Affective-Slider started at {clock}\n",
            f"{at + 7:.4f} \tEXP \tRoutine Affective-Slider (Routine) started at {clock}\n",
            f"{at + 8:.4f} \tEXP \tsliderValence: markerPos = None\n",
            f"{at + 8:.4f} \tEXP \tsliderValence: markerPos = 0.5\n",
            f"{at + 9:.4f} \tEXP \tsliderValence: markerPos = {0.8 if state else 0.2}\n",
            f"{at + 9:.4f} \tEXP \tsliderArousal: markerPos = {0.4 + 0.01 * n}\n",
            f"{at + 9:.4f} \tEXP \tRoutine Affective-Slider finished at {clock}\n",
        ]
    clock = (BEGIN + timedelta(hours=3)).replace(tzinfo=None)  # after the signal's end
    lines += [line.replace(str(BEGIN.date()), str(clock.date())) for line in lines[-3:]]
    (folder / "Psychopy" / "UN_101_lab.log").write_text("".join(lines))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("universe")
    for seed, session in enumerate(("Lab1", "Lab2")):
        write_session(root / "UN_101" / session / "Raw", seed)
        labeled = root / "UN_101" / session / "Labeled" / "stroop_0"
        labeled.mkdir(parents=True)
        (labeled / "stroop_0_RAW_TP9.pickle").write_bytes(pickle.dumps(Boom()))
    (root / "UN_102" / "Wild" / "Raw" / "1" / "Muse").mkdir(parents=True)
    (root / "UN_102" / "Lab1" / "Raw" / "Muse").mkdir(parents=True)  # missing data
    return root


def test_ratings_are_placed_by_the_clock(root: Path) -> None:
    assert is_universe(root)
    first, second = read_universe(root)
    assert (first.person, first.name, second.name) == ("UN_101", "Lab1", "Lab2")
    assert first.recording.info.ch_names == ("TP9", "AF7", "AF8", "TP10")
    assert len(first.ratings) == len(second.ratings) == 10
    assert {each.valence for each in first.ratings} == {20.0, 80.0}
    assert [each.arousal for each in first.ratings] == pytest.approx(range(40, 50))
    places = np.array([each.index for each in first.ratings]) / SFREQ
    assert np.allclose(places, EVERY * np.arange(1, 11), atol=0.05)


def test_what_is_felt_is_told_apart(root: Path) -> None:
    def evaluate(*more: str) -> str:
        done = CliRunner().invoke(app, ["evaluate", "personal", *more, "--root", str(root)])
        return done.output

    lines = evaluate("blocks").splitlines()
    assert lines[0] == "valence, low against high, 30 s before each rating"
    assert lines[1] == "UN_101, 10 + 10 blocks"
    assert float(lines[2].split()[1]) > 90
    assert lines[-3].startswith("  below-20  ")
    assert lines[-3].endswith("test passed 1.000")
    assert "test passed 0.000" in evaluate("blocks", "--permute")
    assert "No person has enough blocks" in evaluate("blocks", "--rating", "arousal")
    assert "name the measure blocks" in evaluate("power").lower()


def test_a_folder_of_something_else(tmp_path: Path) -> None:
    assert not is_universe(tmp_path)
    with pytest.raises(DatasetError, match="UN_101/Lab1"):
        list(read_universe(tmp_path))
