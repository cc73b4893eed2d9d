"""Predictions in a BIDS data set, and the whole as the validator of BIDS sees it."""

from __future__ import annotations

import json
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mimamba.drivers.driver import Marker
from mimamba.drivers.formats.bids_facts import HED_VERSION
from mimamba.drivers.formats.bids_sidecars import read_tsv
from mimamba.drivers.formats.read import read_recording, read_with_streams
from mimamba.service.engine.engine import Engine
from mimamba.service.recording_contents.bids_derivatives import write_derivatives
from mimamba.service.recording_contents.report_data import read_report_data
from mimamba.service.recordings.recorder import Recorder
from mimamba.service.recordings.sidecar import Sidecar, save_sidecar
from tests.drivers.formats.made import recording
from tests.service.cli.test_main import invoke
from tests.service.models import random_checkpoint
from tests.service.recordings.test_recorder import chunk_of, chunks_of
from tests.service.scripted import staged

VALIDATOR = str(Path(sysconfig.get_path("scripts")) / "bids-validator-deno")
TABLE = "sub-01/eeg/sub-01_task-rest_desc-predictions_events"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Record with a gap and a marker; the recording begins after the session."""
    folder = tmp_path_factory.mktemp("data")
    path = folder / "day1.xdf"
    marker = Marker(500 + 700 / 256.003, 700, "tone", "tests")
    with staged(Engine(random_checkpoint(folder))) as stage:
        stage.play(*chunks_of(0, 96))
        recorder = Recorder(path, stage.session, lambda _: None)
        recorder.start()
        stage.play(*chunks_of(96, 672), chunk_of(672, 96, markers=(marker,)))
        stage.play(*chunks_of(1300, 3000))
        recorder.stop()
    return path


def validate(dataset: Path) -> list[dict[str, Any]]:
    """Return the errors that the validator of BIDS finds, derivatives included."""
    done = subprocess.run(
        [VALIDATOR, "--recursive", "--format", "json", str(dataset)],
        capture_output=True,
        text=True,
        check=False,
    )
    issues: list[dict[str, Any]] = json.loads(done.stdout)["issues"]["issues"]
    return [each for each in issues if each["severity"] == "error"]


def test_predictions_are_a_derivative_of_a_valid_data_set(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = f"bids:{tmp_path}/set?subject=01&task=rest"
    tags = {"tone": "Sensory-event, Auditory-presentation", "not set": "Red"}
    save_sidecar(recorded, Sidecar("day1", "finished", hed=tags))
    monkeypatch.setenv("MIMAMBA_MARKERS", '{" tone": "high tone", "tonne": {"hed": "Blue"}}')
    result = invoke("convert", str(recorded), target)
    assert result.exit_code == 0, result.output
    told = " ".join(result.stderr.split())
    assert "has these labels of [markers]: 'tonne' (is it 'tone'?)." in told
    assert validate(tmp_path / "set") == []
    events = tmp_path / "set/sub-01/eeg/sub-01_task-rest_events.json"
    described = json.loads(events.read_text())
    assert described["trial_type"]["HED"] == {"high tone": tags["tone"]}
    table = read_tsv(events.with_suffix(".tsv")) or []
    assert [row["trial_type"] for row in table if row.get("label") == "tone"] == ["high tone"]
    assert read_recording(recorded).markers[0].label == "tone"
    data_set = json.loads((tmp_path / "set/dataset_description.json").read_text())
    assert data_set["HEDVersion"] == HED_VERSION
    derivative = tmp_path / "set" / "derivatives" / "mimamba"
    columns, *rows = (
        line.split("\t") for line in (derivative / f"{TABLE}.tsv").read_text().splitlines()
    )
    assert columns[:3] == ["onset", "duration", "status"]
    report = read_report_data(recorded)
    for output in report.outputs:
        for label, series in output.labels.items():
            place = columns.index(f"{output.name}/{label}")
            found = [float(row[place].replace("n/a", "nan")) for row in rows]
            np.testing.assert_allclose(found, series.values, rtol=1e-5)
            onsets = [float(row[0]) for row in rows]
            np.testing.assert_allclose(onsets, series.seconds, atol=1e-6)
    assert {row[2] for row in rows} >= {"ok", "warming_up"}
    described = json.loads((derivative / f"{TABLE}.json").read_text())
    assert set(columns) <= set(described)
    assert described["Model"]["name"] == report.model
    # The gap is in the signal, too: onsets and samples have one time axis.
    assert read_recording(recorded).end / 256 > float(rows[-1][0])


def test_a_recording_of_others_has_none(tmp_path: Path) -> None:
    from mimamba.drivers.formats.bids_writer import parse_bids_target
    from mimamba.drivers.formats.convert import export

    export(recording(), str(tmp_path / "made.xdf"))
    export(recording(), str(tmp_path / "made.csv"))
    place = parse_bids_target(f"bids:{tmp_path}/set?subject=01&task=rest")
    for name in ("made.xdf", "made.csv"):
        assert write_derivatives(read_with_streams(tmp_path / name)[1], place) == []
    assert not (tmp_path / "set").exists()
    old = tmp_path / "set" / "derivatives" / "mimamba" / f"{TABLE}.tsv"
    old.parent.mkdir(parents=True)
    old.touch()  # of a recording that this one replaces
    assert write_derivatives([], place) == []
    assert not old.exists()
