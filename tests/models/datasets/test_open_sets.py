"""Open emotion sets: small files in the layouts of FACED, EmoEEG-MC, DENS, MUSIN-G and ds002721.

The layouts were read in the sets' own tables and READMEs; signals and ratings are made up.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mimamba.models.datasets.bids import Bids, BidsOptions
from mimamba.models.datasets.bids_labels import LabelSource, OwnTable, parse_sources
from mimamba.models.datasets.dataset import Dataset, DatasetError, Trial
from mimamba.models.datasets.open import open_dataset
from mimamba.models.datasets.resampling import resample_trial
from tests.drivers.formats import files
from tests.models.datasets.layouts import write_bids_recording

CAP = ("Fp1", "Fp2", "T7", "T8", "P7", "P8", "Cz")
PAIR = ("Fp1", "Fp2")


def told(data: Dataset) -> list[tuple[str, int, tuple[str, ...]]]:
    """Person, samples and labels of each trial."""
    return [
        (
            trial.person,
            trial.n_times,
            tuple(
                labels[place]
                for place, labels in zip(trial.labels, data.outputs.values(), strict=True)
            ),
        )
        for trial in data.trials
    ]


def opened(
    root: Path,
    tmp_path: Path,
    label: str,
    seconds: float | None = None,
    threshold: float | None = None,
) -> Dataset:
    options, cache = BidsOptions(label, seconds=seconds), tmp_path / "cache"
    return open_dataset("bids", root, PAIR, None, options, cache=cache, threshold=threshold)


def test_faced_has_two_rates_and_one_emotion_per_video(tmp_path: Path) -> None:
    """123 people at 250 or 1000 Hz; which emotion a video is for stands in a table."""
    root = tmp_path / "faced"
    for person, rate in (("000", 1000), ("001", 250)):
        events = "onset\tduration\tvalue\n0.5\t1\tvideo 1\n2\t1\tvideo 25\n3.2\t0\tend\n"
        name = f"sub-{person}_task-watchingVideoClips"
        write_bids_recording(root, name, 0, ch_names=CAP, events=events, rate=rate)
    (root / "videos.csv").write_text("value,emotion\nvideo 1,Anger\nvideo 25,Joy\n")
    data = opened(root, tmp_path, "table:videos.csv:emotion")
    assert data.info.sfreq == 250
    assert data.info.notices == ("1 recording of 1000 Hz resampled to 250 Hz.",)
    assert told(data) == [
        ("sub-000", 250, ("Anger",)),
        ("sub-000", 250, ("Joy",)),
        ("sub-001", 250, ("Anger",)),
        ("sub-001", 250, ("Joy",)),
    ]


EMOEEG = (
    "onset\tduration\tstim_type\ttrial_type\n0\t0.0\t29\tn/a\n0.5\t0.0\t33\tvid\n"
    "1.5\t0.0\t31\trating\n2\t0.0\t32\tima\n3\t0.0\t31\trating\n"
)


def test_emoeeg_mc_has_its_emotions_by_the_number_of_the_event(tmp_path: Path) -> None:
    """Events say video or imagery; which emotion and what was felt is told elsewhere."""
    root = tmp_path / "ds005540"
    write_bids_recording(root, "sub-02_task-emotion", 0, ch_names=CAP, events=EMOEEG)
    # Another cap: the montage's electrodes are what must be there.
    write_bids_recording(root, "sub-03_task-emotion", 0, ch_names=CAP[:3], events=EMOEEG)
    rows = [
        f"{person}\t{event}\t{emotion}\t{valence}"
        for person in ("02", "sub-3")
        for event, emotion, valence in ((2, "joy", 6), (4, "fear", 2))
    ]
    table = "\n".join(["participant_id\tevent\temotion\tvalence", *rows])
    (root / "felt.tsv").write_text(table)
    data = opened(
        root,
        tmp_path,
        "table:felt.tsv:emotion,table:felt.tsv:valence,events:trial_type",
        seconds=0.5,
        threshold=4.0,
    )
    assert list(data.outputs) == ["emotion", "valence", "trial_type"]
    assert data.outputs["valence"] == ("low", "high")
    assert told(data) == [
        ("sub-02", 128, ("joy", "high", "vid")),
        ("sub-02", 128, ("fear", "low", "ima")),
        ("sub-03", 128, ("joy", "high", "vid")),
        ("sub-03", 128, ("fear", "low", "ima")),
    ]


def test_dens_is_in_eeglab_files_with_ratings_of_each_film(tmp_path: Path) -> None:
    """One table of ratings for each person in the set; put together, they are the sidecar."""
    root = tmp_path / "ds003751"
    folder = root / "sub-mit003" / "eeg"
    folder.mkdir(parents=True)
    files.eeglab(folder, 1000).rename(folder / "sub-mit003_task-Emotion_eeg.set")
    events = "onset\tduration\ttrial_type\n0.5\t0\tstm\n1.5\t0\tclick\n2.5\t0\tstm\n"
    (folder / "sub-mit003_task-Emotion_events.tsv").write_text(events)
    table = "participant_id\tevent\tvalence\tarousal\nmit003\t1\t8.97\t7.95\nmit003\t3\t1.05\t7.1\n"
    (root / "ratings.tsv").write_text(table)
    options = BidsOptions("table:ratings.tsv:valence,table:ratings.tsv:arousal", threshold=5.0)
    data = Bids(root, options).read(("TP9", "AF7"))
    assert [trial.labels for trial in data.trials] == [(1, 1), (0, 1)]
    assert [trial.n_times for trial in data.trials] == [256, 1000 - 640]


def test_musin_g_has_a_song_in_each_session(tmp_path: Path) -> None:
    root = tmp_path / "ds003774"
    for session in (1, 2):
        name = f"sub-001_ses-{session:02d}_task-MusicListening_run-{session}"
        write_bids_recording(root, name, 0, seconds=1, ch_names=CAP)
    table = "participant_id\tsession\tenjoyment\nsub-001\t1\t5\nsub-001\t2\t2\nsub-001\t3\tnan\n"
    (root / "enjoyment.tsv").write_text(table)
    data = opened(root, tmp_path, "table:enjoyment.tsv:enjoyment", threshold=3.0)
    assert told(data) == [("sub-001", 256, ("high",)), ("sub-001", 256, ("low",))]


def test_ds002721_has_codes_for_what_was_answered(tmp_path: Path) -> None:
    """Runs 1 to 6 of music, 1000 Hz; the answers are codes after each clip."""
    root = tmp_path / "ds002721"
    for run in (1, 2):
        events = "onset\tduration\ttrial_type\n0.2\t1.2\t788\n1.5\t0\t801\n2\t1.2\t788\n"
        write_bids_recording(root, f"sub-01_task-run{run}", 0, ch_names=CAP, events=events)
    rows = ["participant_id\ttask\tevent\tpleasant"]
    rows += [f"sub-01\trun{run}\t{event}\t{run + event}" for run in (1, 2) for event in (1, 3)]
    (root / "answers.tsv").write_text("\n".join(rows))
    data = opened(root, tmp_path, "table:answers.tsv:pleasant", threshold=3.0)
    assert [labels for _, _, labels in told(data)] == [("low",), ("high",), ("low",), ("high",)]
    with pytest.raises(DatasetError, match="ratings in numbers"):
        opened(root, tmp_path, "task", threshold=3.0)


def test_the_music_of_the_shared_folder(shared_data: Path) -> None:
    roots = [path for path in (shared_data / "bids").glob("*music*") if path.is_dir()]
    if not roots:
        pytest.skip("no music set among the shared data")
    assert Bids(roots[0]).read(PAIR).trials


def test_electrodes_that_only_some_have_are_named(tmp_path: Path) -> None:
    write_bids_recording(tmp_path, "sub-01_task-a", 0, ch_names=("TP9", "Fp1"))
    write_bids_recording(tmp_path, "sub-02_task-b", 0, ch_names=("T7", "Fp1", "O1"))
    data = Bids(tmp_path).read(("TP9", "Fp1"))
    assert [notice.partition(" (")[0] for notice in data.info.notices] == ["TP9 is T7"]
    assert data.info.notices[0].endswith("in 1 recording.")
    assert Bids(tmp_path).channels() == ("Fp1",)
    write_bids_recording(tmp_path, "sub-03_task-b", 0, ch_names=("O2", "Fp1"))
    with pytest.raises(DatasetError, match="sub-03"):
        Bids(tmp_path).read(("TP9", "Fp1"))


@pytest.mark.parametrize(("old", "new"), [(500.0, 250.0), (250.0, 256.0), (1000.0, 128.0)])
def test_resampling_keeps_waves_times_and_gaps(old: float, new: float) -> None:
    index = np.concatenate([np.arange(0, 4 * old), np.arange(6 * old, 10 * old)]).astype(np.int64)
    wave = np.sin(2 * np.pi * 7 * index / old)[:, None].astype(np.float32)
    made = resample_trial(Trial("p", "t", wave, index, ()), old, new)
    assert (np.diff(made.index) > 0).all()
    (jump,) = np.flatnonzero(np.diff(made.index) != 1)
    assert made.index[jump + 1] == 6 * new
    expected = np.sin(2 * np.pi * 7 * made.index / new)
    inner = (made.index > 0.3 * new) & (made.index < 3.7 * new)
    np.testing.assert_allclose(made.data[inner, 0], expected[inner], atol=0.01)


@pytest.mark.parametrize("text", ["", "mood", "events:", "table:x", "table::y", "task,events:task"])
def test_sources_that_mean_nothing(text: str) -> None:
    with pytest.raises(DatasetError):
        parse_sources(text)


def test_sources() -> None:
    assert parse_sources("trial_type, table:a/b:c.tsv:mood") == (
        LabelSource("events", "trial_type"),
        LabelSource("table", "mood", "a/b:c.tsv"),
    )


@pytest.mark.parametrize("text", ["value\n1\n", "", "mood\n"])
def test_a_table_without_the_column_is_one_sentence(tmp_path: Path, text: str) -> None:
    write_bids_recording(tmp_path, "sub-01_task-a", 0, seconds=1)
    (tmp_path / "own.tsv").write_text(text)
    with pytest.raises(DatasetError, match="a column mood"):
        Bids(tmp_path, BidsOptions("table:own.tsv:mood")).read(("TP9",))
    with pytest.raises(DatasetError, match="a table"):
        Bids(tmp_path, BidsOptions("table:other.tsv:mood")).read(("TP9",))


def test_rows_that_contradict_each_other_are_named() -> None:
    rows = ({"session": "1", "mood": "glad"}, {"session": "01", "mood": "sad"})
    with pytest.raises(DatasetError, match=r"session 1, but found glad, sad"):
        OwnTable(Path("own.tsv"), "mood", rows).label({"session": "1"})
