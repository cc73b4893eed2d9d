"""Events of the signal on the wire, in recordings, and when they are played again."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from mimamba.drivers.formats.read import read_recording
from mimamba.models.detection.event_kinds import DETECTOR
from mimamba.service.settings.settings import Settings
from tests.service.live import PATIENCE, Live, live


def markers(service: Live, name: str) -> list[str]:
    """Labels of the detector's markers in a session."""
    session = service.server._app.state.running.sessions.get(name)
    log = session.logs.marker
    return [each.label for _, each in log.read(0, log.next) if each.source == DETECTOR]


def wait(service: Live, name: str, count: int) -> None:
    end = time.monotonic() + 2 * PATIENCE
    while len(markers(service, name)) < count:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_blinks_are_recorded_and_not_doubled_in_a_replay(tmp_path: Path) -> None:
    source = "simulate://?scenario=artefacts&seed=2"
    with live(source, model="none", data_dir=tmp_path, files=tmp_path, detect=["blink"]) as service:
        service.opened("simulate-1")
        session = service.server._app.state.running.sessions.get("simulate-1")
        assert not session.unattended  # else its markers would wait for the next hop but one
        new = {"session": "simulate-1", "name": "kept"}
        assert service.http.post("/v1/recordings", json=new).status_code == 201
        wait(service, "simulate-1", len(markers(service, "simulate-1")) + 3)
        assert service.http.post("/v1/recordings/kept/stop").status_code == 200
        every = read_recording(str(tmp_path / "kept.xdf")).markers
        recorded = [each for each in every if each.source != "simulator"]  # which marks its start
        assert len(recorded) >= 3
        assert {(each.source, each.label) for each in recorded} == {(DETECTOR, "blink")}
        url = f"replay://{tmp_path / 'kept.xdf'}?speed=max&hold=1"
        opened = service.http.post("/v1/sessions", json={"source": url, "model": "none", "id": "r"})
        assert opened.status_code == 201, opened.text
        end = read_recording(str(tmp_path / "kept.xdf")).end
        logs = service.server._app.state.running.sessions.get("r").logs
        service.until(lambda: logs.expected == end)
        assert markers(service, "r") == ["blink"] * len(recorded)


def test_nothing_is_found_unless_it_is_asked_for() -> None:
    assert Settings().detect == []
    assert Settings.model_validate({"detect": "blink, jaw"}).detect == ["blink", "jaw"]
    with pytest.raises(ValidationError, match="Expected blink or jaw"):
        Settings.model_validate({"detect": "nod"})
