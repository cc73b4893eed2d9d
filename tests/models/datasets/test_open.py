"""One call opens each kind of data set; anything missing is one clear error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mimamba.models.datasets.bids import BidsOptions
from mimamba.models.datasets.dataset import Dataset, DatasetError
from mimamba.models.datasets.open import open_dataset
from mimamba.models.signal.montage import MontageError
from tests.models.datasets.layouts import (
    dreamer_person,
    write_bids_recording,
    write_deap,
    write_dreamer,
    write_seed,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a set of each kind, in a folder of its name."""
    root = tmp_path_factory.mktemp("sets")
    for kind in ("deap", "dreamer", "bids"):
        (root / kind).mkdir()
    write_deap(root / "deap" / "s07.dat")
    write_dreamer(root / "dreamer" / "DREAMER.mat", [dreamer_person(), dreamer_person(9.0)])
    write_seed(root / "seed", ["1_20131027"])
    for person in ("sub-01", "sub-02"):
        for task in ("calm", "tense"):
            write_bids_recording(root / "bids", f"{person}_task-{task}", 0, seconds=1)
    return root


def opened(root: Path, kind: str, **asked: object) -> Dataset:
    return open_dataset(kind, root / kind, cache=root / "cache", **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "n_trials", "n_rest", "outputs"),
    [
        ("deap", 40, 0, ["valence", "arousal"]),
        ("dreamer", 36, 2, ["valence", "arousal"]),
        ("seed", 15, 0, ["emotion"]),
        ("bids", 4, 0, ["mood"]),
    ],
)
def test_each_kind(root: Path, kind: str, n_trials: int, n_rest: int, outputs: list[str]) -> None:
    for _ in range(2):  # read, then mapped
        made = opened(root, kind, outputs=",".join(outputs))
        assert list(made.outputs) == outputs
        assert (len(made.trials), len(made.rest)) == (n_trials, n_rest)
        for trial in made.trials:
            assert len(trial.labels) == len(outputs)
            assert trial.data.shape == (len(trial.index), made.info.n_channels)
        assert [e.channel for e in made.montage] == list(made.info.ch_names)
        assert [e.row for e in made.montage] == [0, 1, 2, 3]
        assert np.isfinite(made.trials[-1].data).all()


def test_outputs_in_the_order_asked_for(root: Path) -> None:
    made = opened(root, "dreamer", outputs="arousal, valence", montage="AF3,AF4")
    assert list(made.outputs) == ["arousal", "valence"]
    assert [trial.labels for trial in made.trials[:2]] == [(1, 0), (1, 0)]
    assert made.info.ch_names == ("AF3", "AF4")


@pytest.mark.parametrize(("kind", "n_channels"), [("deap", 32), ("dreamer", 14), ("seed", 62)])
def test_all_channels(root: Path, kind: str, n_channels: int) -> None:
    output = "emotion" if kind == "seed" else "valence"
    made = opened(root, kind, montage="All", outputs=output)
    assert made.info.n_channels == made.trials[0].data.shape[1] == n_channels
    assert all(electrode.distance_mm == 0 for electrode in made.montage)


def test_all_channels_of_a_bids_set(root: Path) -> None:
    assert opened(root, "bids", montage="all").info.ch_names == ("TP9", "AF7", "AF8", "TP10")


def test_a_threshold_changes_the_labels(root: Path) -> None:
    high = [
        sum(trial.labels[0] for trial in opened(root, "dreamer", outputs="valence", **asked).trials)
        for asked in ({}, {"threshold": 3.0}, {"threshold": 1.5})
    ]
    assert high[0] == high[1] < high[2]
    assert len(opened(root, "deap", outputs="arousal").trials) == 40  # 6 and 5: high and low
    with pytest.raises(DatasetError, match="all of them high"):
        opened(root, "deap", outputs="arousal", threshold=4.5)
    with pytest.raises(DatasetError, match="no threshold for seed"):
        opened(root, "seed", threshold=3.0)


def test_people_by_name(root: Path) -> None:
    made = opened(root, "dreamer", outputs=["valence"], people="s02")
    assert (made.people, list(made.rest), len(made.trials)) == (("s02",), ["s02"], 18)


@pytest.mark.parametrize(
    ("kind", "asked", "told"),
    [
        ("deap", {"people": "s07,s08"}, "Expected s08 in deap, but found s07. Choose from these"),
        (
            "deap",
            {"outputs": "mood"},
            "found mood. Choose from valence, arousal, dominance, liking",
        ),
        ("deap", {"outputs": ""}, "outputs of deap, but found none"),
        ("deap", {"outputs": "dominance"}, "two labels or more of dominance .*all of them high"),
        ("deap", {"options": BidsOptions()}, "no BIDS options for deap"),
        (
            "bids",
            {"outputs": "a,b"},
            "one name for the only output of a BIDS data set, but found a, b",
        ),
        ("bids", {"options": BidsOptions(classes=("calm",))}, "2 trials, all of them calm"),
        (
            "bids",
            {"options": BidsOptions(classes=("glad",))},
            "the label glad, but found calm, tense",
        ),
    ],
)
def test_what_is_not_there(root: Path, kind: str, asked: dict[str, object], told: str) -> None:
    with pytest.raises(DatasetError, match=told):
        opened(root, kind, **asked)


def test_a_montage_that_cannot_be_met(root: Path) -> None:
    with pytest.raises(MontageError):
        opened(root, "dreamer", montage="Cz,Pz,Fz,Oz")


def test_no_such_kind_or_folder(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError, match=r"a kind of data set \(deap, dreamer, seed, bids\), but found mahnob"
    ):
        open_dataset("mahnob", tmp_path)
    with pytest.raises(DatasetError, match="found nothing at"):
        open_dataset("deap", tmp_path / "absent")


def test_a_folder_named_from_here(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    assert len(open_dataset("bids", "bids", cache=root / "cache").trials) == 4
