"""BIDS: labels from where the options say, rest, gaps, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from mimamba.models.datasets.bids import Bids, BidsOptions
from mimamba.models.datasets.dataset import DatasetError, Trial
from mimamba.models.signal.montage import parse_montage
from tests.drivers.formats import files
from tests.drivers.formats.edf.edffile import tal
from tests.models.datasets.layouts import MUSE, write_bids_recording

ELECTRODES = parse_montage("muse")


def write(root: Path) -> Path:
    """Two people, each at rest twice and at work once."""
    for number, person in enumerate(("sub-01", "sub-02")):
        for place, task in enumerate(("rest_run-2", "rest_run-10", "work")):
            write_bids_recording(root, f"{person}_task-{task}", 1000 * number + 100 * place)
    (root / "participants.tsv").write_text("participant_id\tsex\nsub-01\tF\nsub-02\tM\n")
    return root


def names(trials: tuple[Trial, ...]) -> list[str]:
    return [f"{trial.person}/{trial.name}" for trial in trials]


def test_task_as_label_and_rest_that_is_a_trial(tmp_path: Path) -> None:
    made = Bids(write(tmp_path), BidsOptions(rest="rest")).read(ELECTRODES)
    assert made.name == tmp_path.name
    assert made.outputs == {"task": ("rest", "work")}
    assert names(made.trials[:3]) == [
        "sub-01/task-rest_run-2",
        "sub-01/task-rest_run-10",
        "sub-01/task-work",
    ]
    assert [trial.labels for trial in made.trials] == [(0,), (0,), (1,)] * 2
    assert made.rest["sub-01"] is made.trials[0]
    assert made.rest["sub-02"] is made.trials[3]
    np.testing.assert_array_equal(
        made.trials[5].data[:2], [[600, 600.5, 601, 601.5]] * 2 + np.array([[0], [0.5]])
    )
    assert (made.info.sfreq, made.info.ch_names, made.info.live) == (256.0, MUSE, False)


def test_a_participants_column_as_label(tmp_path: Path) -> None:
    made = Bids(write(tmp_path), BidsOptions("participants:sex", tasks=("work",))).read(ELECTRODES)
    assert made.outputs == {"sex": ("F", "M")}
    assert names(made.trials) == ["sub-01/task-work", "sub-02/task-work"]
    assert [trial.labels for trial in made.trials] == [(0,), (1,)]


def test_rest_beside_the_tasks_has_no_label(tmp_path: Path) -> None:
    options = BidsOptions("participants:sex", tasks=("work",), rest="rest")
    made = Bids(write(tmp_path), options).read(ELECTRODES)
    assert {person: trial.labels for person, trial in made.rest.items()} == {
        "sub-01": (),
        "sub-02": (),
    }
    assert made.rest["sub-01"].name == "task-rest_run-2"
    assert len(made.trials) == 2


def test_a_scans_column_as_label(tmp_path: Path) -> None:
    root = write(tmp_path)
    rows = "eeg/sub-01_task-rest_run-2_eeg.edf\tsad\neeg/sub-01_task-work_eeg.edf\tglad\n"
    more = "eeg/sub-01_task-rest_run-10_eeg.edf\tn/a\n"
    (root / "sub-01" / "sub-01_scans.tsv").write_text(f"filename\tmood\n{rows}{more}")
    made = Bids(root, BidsOptions("scans:mood")).read(ELECTRODES)
    assert made.outputs == {"mood": ("glad", "sad")}
    assert names(made.trials) == ["sub-01/task-rest_run-2", "sub-01/task-work"]
    assert [trial.labels for trial in made.trials] == [(1,), (0,)]


def test_sessions_are_in_the_names(tmp_path: Path) -> None:
    for session in ("ses-10", "ses-9"):
        write_bids_recording(tmp_path, f"sub-01_{session}_task-rest", 0, seconds=1)
    write_bids_recording(tmp_path, "sub-01_ses-9_task-work", 0, seconds=1)
    made = Bids(tmp_path, BidsOptions(rest="rest")).read(ELECTRODES)
    assert [trial.name for trial in made.trials] == [
        "ses-9_task-rest",
        "ses-9_task-work",
        "ses-10_task-rest",
    ]
    assert made.rest["sub-01"] is made.trials[0]


EVENTS = "onset\tduration\ttrial_type\n0.5\t1\tsad\n2.0\t0\tglad\n2.5\tn/a\tglad\n3.5\t9\tsad\n"


def test_events_as_labels(tmp_path: Path) -> None:
    write_bids_recording(tmp_path, "sub-01_task-film", 0, events=EVENTS)
    made = Bids(tmp_path, BidsOptions("trial_type", classes=("glad", "sad"))).read(ELECTRODES)
    assert made.outputs == {"trial_type": ("glad", "sad")}
    assert [(trial.name[-9:], trial.labels, trial.n_times) for trial in made.trials] == [
        ("event-001", (1,), 256),
        ("event-002", (0,), 128),
        ("event-003", (0,), 256),
        ("event-004", (1,), 128),
    ]
    ramp = 0.5 * (np.arange(512, 640) % 100)
    np.testing.assert_array_equal(made.trials[1].data[:, 0], ramp)
    np.testing.assert_array_equal(made.trials[1].index, np.arange(128))


CODES = (
    "onset\tduration\tsample\ttrial_type\tvalue\nnan\t1\t0\tboundary\t0\n\t1\t0\tboundary\t0\n"
    "0.5\t1\t128\tn/a\t1\n2.0\tn/a\t512\tn/a\t2\n3.0\t1\t768\tn/a\t1\n"
)


def test_a_trial_type_that_is_n_a_throughout_points_to_the_values(tmp_path: Path) -> None:
    write_bids_recording(tmp_path, "sub-01_task-odd", 0, events=CODES)
    with pytest.raises(
        DatasetError,
        match=r"column trial_type .* only n/a, .* value \(0, 1, 2\). Use --label value",
    ):
        Bids(tmp_path, BidsOptions("trial_type")).read(ELECTRODES)
    made = Bids(tmp_path, BidsOptions("value")).read(ELECTRODES)
    assert made.outputs == {"value": ("1", "2")}
    assert [(trial.labels, trial.n_times) for trial in made.trials] == [
        ((0,), 256),
        ((1,), 256),
        ((0,), 256),
    ]


def test_values_beside_trial_types(tmp_path: Path) -> None:
    events = "onset\tduration\ttrial_type\tvalue\n0.5\t1\tsad\t7\n2.0\t1\tglad\tn/a\n"
    write_bids_recording(tmp_path, "sub-01_task-film", 0, events=events)
    made = Bids(tmp_path, BidsOptions("value", seconds=0.5)).read(ELECTRODES)
    assert made.outputs == {"value": ("7",)}
    assert [trial.n_times for trial in made.trials] == [128]


def test_an_eeglab_set(tmp_path: Path) -> None:
    folder = tmp_path / "sub-01" / "eeg"
    folder.mkdir(parents=True)
    files.eeglab(folder, 1000).rename(folder / "sub-01_task-rest_eeg.set")
    (folder / "sub-01_task-rest_events.tsv").write_text("onset\ttrial_type\n1\tsad\n")
    made = Bids(tmp_path, BidsOptions("trial_type", seconds=1.0)).read(MUSE)
    assert [(trial.name, trial.n_times) for trial in made.trials] == [("task-rest_event-001", 256)]
    np.testing.assert_allclose(
        made.trials[0].data, files.signal(1000, 5)[256:512, :4], rtol=1e-6, atol=1e-5
    )


def test_classes_leave_the_other_events_out(tmp_path: Path) -> None:
    write_bids_recording(tmp_path, "sub-01_task-film", 0, events=EVENTS)
    made = Bids(tmp_path, BidsOptions("trial_type", classes=("sad",), seconds=0.25)).read(
        ELECTRODES
    )
    assert [(trial.name[-3:], trial.n_times) for trial in made.trials] == [("001", 64), ("004", 64)]
    assert made.outputs == {"trial_type": ("sad",)}


def test_a_gap_stays_one_and_an_event_inside_it_is_no_trial(tmp_path: Path) -> None:
    texts = [tal(0), tal(1) + tal(1, "BAD_ACQ_SKIP", duration=1), tal(2), tal(3)]
    events = "onset\tduration\ttrial_type\n0.5\t2\tsad\n1.2\t0.3\tglad\n3\t1\tglad\n"
    write_bids_recording(tmp_path, "sub-01_task-film", 0, events=events, texts=texts)
    made = Bids(tmp_path, BidsOptions("trial_type")).read(ELECTRODES)
    assert [trial.name[-3:] for trial in made.trials] == ["001", "003"]
    chunks = list(made.trials[0].chunks(1000, 256.0))
    assert [(chunk.first, chunk.n_times) for chunk in chunks] == [(0, 128), (384, 128)]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (BidsOptions(tasks=("play",)), "the task play, but found rest, work"),
        (BidsOptions(rest="sleep"), "the task sleep, but found rest, work"),
        (BidsOptions(classes=("rest", "x")), "the label x, but found rest, work"),
        (BidsOptions("participants:mood"), "a column mood in .*, but found participant_id, sex"),
        (BidsOptions("scans:mood"), "files such as sub-01_scans.tsv, but found none"),
        (
            BidsOptions("trial_type"),
            "trial_type in .*rest_run-2_events.tsv, but found no such file",
        ),
    ],
)
def test_what_the_set_does_not_have(tmp_path: Path, options: BidsOptions, told: str) -> None:
    with pytest.raises(DatasetError, match=told):
        Bids(write(tmp_path), options).read(ELECTRODES)


@pytest.mark.parametrize(
    "change",
    [{"label": "mood"}, {"label": "scans:"}, {"label": ""}, {"seconds": 1.0}]
    + [{"label": "trial_type", "seconds": seconds} for seconds in (0.0, -1.0, float("nan"))],
)
def test_options_that_mean_nothing(change: dict[str, str | float]) -> None:
    with pytest.raises(DatasetError):
        BidsOptions(**change)  # type: ignore[arg-type]


def test_a_montage_that_a_file_cannot_meet_names_it(tmp_path: Path) -> None:
    path = write_bids_recording(tmp_path, "sub-01_task-rest", 0, ch_names=("O1", "O2"))
    with pytest.raises(DatasetError, match="TP9") as told:
        Bids(tmp_path).read(ELECTRODES)
    assert str(path) in str(told.value)


@pytest.mark.parametrize("content", [b"", b"0       ", b"nonsense"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes) -> None:
    path = write_bids_recording(write(tmp_path), "sub-03_task-rest", 0)
    path.write_bytes(content)
    with pytest.raises(DatasetError, match="Expected") as told:
        Bids(tmp_path).read(ELECTRODES)
    assert str(path) in str(told.value)


def test_one_recording_in_two_formats_is_refused(tmp_path: Path) -> None:
    path = write_bids_recording(tmp_path, "sub-01_task-rest", 0)
    path.with_suffix(".bdf").write_bytes(path.read_bytes())
    with pytest.raises(DatasetError, match="one file per recording"):
        Bids(tmp_path).files()


def test_derivatives_are_not_recordings(tmp_path: Path) -> None:
    write_bids_recording(tmp_path / "derivatives" / "clean", "sub-01_task-rest", 0)
    for root in (tmp_path, tmp_path / "absent"):
        with pytest.raises(DatasetError, match="recordings such as sub-01"):
            Bids(root).files()


def test_without_mne_bids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mne_bids", None)
    with pytest.raises(Exception, match="pip install mne-bids"):
        Bids(write(tmp_path)).files()


def test_mental_arithmetic(shared_data: Path) -> None:
    made = Bids(shared_data / "bids" / "arith", BidsOptions(rest="rest")).read(ELECTRODES)
    assert (len(made.people), len(made.trials), len(made.rest)) == (24, 48, 24)
    assert made.outputs == {"task": ("arithmetic", "rest")}
    assert [trial.labels for trial in made.trials] == [(0,), (1,)] * 24
    assert all(made.rest[trial.person] is trial for trial in made.trials[1::2])
    assert made.info.ch_names == ("T5", "Fp1", "Fp2", "T6")
    assert "licence ODC-BY-1.0" in made.source
    assert "Zyma et al. 2019" in made.source


def test_study(shared_data: Path) -> None:
    made = Bids(shared_data / "bids" / "study").read(ELECTRODES)
    assert (len(made.people), len(made.trials), dict(made.rest)) == (4, 31, {})
    assert made.outputs == {"task": ("confused", "control", "understanding")}
    assert {electrode.distance_mm for electrode in made.montage} == {0.0}
    for trial in made.trials:
        assert made.outputs["task"][trial.labels[0]] in trial.name


def test_flicker(shared_data: Path) -> None:
    options = BidsOptions("trial_type", tasks=("ssvep",))
    made = Bids(shared_data / "bids" / "visual", options).read(ELECTRODES)
    assert made.outputs == {"trial_type": ("20Hz", "30Hz")}
    assert len(made.trials) > 100
    powers = np.zeros((2, 2))  # by label: at 20 and 30 Hz
    for trial in made.trials:
        if trial.n_times >= 512:
            window = trial.data[:512] - trial.data[:512].mean(axis=0)
            spectrum = np.abs(np.fft.rfft(window, axis=0)).mean(axis=1)
            powers[trial.labels[0]] += spectrum[[40, 60]]
    ratio = powers[:, 0] / powers[:, 1]
    assert ratio[0] > 1.1 * ratio[1]
