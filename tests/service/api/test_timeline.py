"""The predictions that a replayed recording holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mimamba.service.api import timeline as timeline_api
from mimamba.service.api.timeline import Timeline, timeline
from mimamba.service.recordings.verify import load_recorded
from tests.service.live import live
from tests.service.muse_recordings import write_muse


def test_a_recording_tells_what_its_model_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_muse(tmp_path / "muse.csv", 5)
    source = f"replay://{tmp_path}/muse.csv?speed=0.1"
    with live(source, "simulate://", data_dir=tmp_path) as service:
        service.opened("replay-1", "simulate-2")
        service.play("replay-1", paused=True, speed=1)  # or it might be over before it is recorded
        assert service.http.get("/v1/sessions/simulate-2/timeline").status_code == 409
        made = service.http.post("/v1/recordings", json={"session": "replay-1", "name": "made"})
        assert made.status_code == 201, made.text
        service.play("replay-1", paused=False)
        service.until(lambda: service.sessions()["replay-1"]["state"] == "ended")
        service.http.post("/v1/recordings/made/stop")
        asked = {"source": "replay://made?hold=1&speed=max", "id": "again", "model": "none"}
        assert service.http.post("/v1/sessions", json=asked).status_code == 201
        told = service.http.get("/v1/sessions/again/timeline").json()
        length = service.http.get("/v1/sessions/again/replay").json()["length"]
    recorded = load_recorded(tmp_path / "made.xdf")
    rows = np.asarray(recorded.predictions.values)
    assert told["model"] == recorded.predictions.text("desc/mimamba/model/name")
    first = int(recorded.index[0])
    np.testing.assert_allclose(told["position"], (rows[:, -2] - first) / 256)
    assert 0 < told["position"][0] < told["position"][-1] < length
    high = np.array(told["outputs"]["valence"]["high"], float)
    np.testing.assert_array_equal(high, rows[:, 1])
    assert np.isnan(high).any()
    assert np.isfinite(high).any()
    monkeypatch.setattr(timeline_api, "MOST", 4)
    thin = timeline(tmp_path / "made.xdf")
    assert len(thin.position) == len(thin.outputs["arousal"]["low"]) <= 4
    together = -(-len(rows) // 4)
    wanted = np.nanmean(rows[-(len(rows) % together or together) :, 1])
    assert thin.outputs["valence"]["high"][-1] == pytest.approx(wanted)


def test_other_files_tell_nothing(tmp_path: Path) -> None:
    path = write_muse(tmp_path / "muse.csv", 2)
    assert timeline(path) == timeline(tmp_path / "absent.xdf") == Timeline()
