"""Old recordings go, and only those: none in use, unfinished, or of other programs."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mimamba.drivers.formats.convert import export
from mimamba.service.recordings.recordings import Recordings
from mimamba.service.recordings.retention import Retention
from mimamba.service.recordings.sidecar import RecordingState, Sidecar, save_sidecar
from tests.drivers.formats.made import recording
from tests.service.live import live

NOW = datetime(2026, 5, 31, 12, tzinfo=UTC)


def make(
    folder: Path,
    name: str,
    days: float,
    state: RecordingState = "finished",
    now: datetime = NOW,
    ended: bool = True,
) -> None:
    """Make a recording that ended so many days ago."""
    export(recording(), str(folder / f"{name}.xdf"))
    time = (now - timedelta(days=days)).isoformat()
    save_sidecar(
        folder / f"{name}.xdf",
        Sidecar(name, state, started=time, ended=time if ended else None, seconds=60.0),
    )


def test_what_is_old_and_complete_goes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, days in (("new", 29.9), ("old", 30.1), ("played", 99), ("named", 99)):
        make(tmp_path, name, days)
    make(tmp_path, "repaired", 99, "recovered", ended=False)
    make(tmp_path, "sent", 99, "uploaded")
    make(tmp_path, "torn", 99, "damaged")
    export(recording(), str(tmp_path / "foreign.xdf"))
    sources = [
        "muse://",
        f"replay://{tmp_path}/played.xdf?hold=1",
        str(tmp_path / "named.xdf"),
        "?",
    ]
    retention = Retention(Recordings(tmp_path), 30, lambda: sources)
    with caplog.at_level(logging.WARNING):
        assert sorted(retention.look(NOW)) == ["old", "repaired"]
    assert [vars(each)["recording"] for each in caplog.records] == ["old", "repaired"]
    left = {path.stem for path in tmp_path.glob("*.xdf")}
    assert left == {"new", "played", "named", "sent", "torn", "foreign"}
    assert not (tmp_path / "old.json").exists()
    assert retention.look(NOW) == []


def test_a_service_deletes_only_if_it_is_told_to(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for name in ("old", "played"):
        make(tmp_path, name, 3, now=now)
    with live("simulate://", model="none", data_dir=tmp_path):
        pass
    assert (tmp_path / "old.xdf").exists()
    source = f"replay://{tmp_path}/played.xdf?hold=1"
    with live(source, model="none", data_dir=tmp_path, keep=2) as service:
        service.until(lambda: not (tmp_path / "old.xdf").exists())
    assert (tmp_path / "played.xdf").exists()
