"""A replay begins as its recording did: with its model, person and baseline."""

from __future__ import annotations

from pathlib import Path

import pytest

from mimamba.service.engine.engine import Engine
from mimamba.service.recording_contents.recorded_setup import recorded_setup
from mimamba.service.recordings.recorder import Recorder
from mimamba.service.recordings.sidecar import Sidecar, save_sidecar
from tests.service.live import Live, live
from tests.service.models import random_checkpoint
from tests.service.recordings.test_recorder import chunks_of
from tests.service.scripted import staged

PERSON = "P01"
BASELINE = 2.0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with a model, and recordings after, within and without a baseline."""
    data = tmp_path_factory.mktemp("data")
    (data / "models").mkdir()
    engine = Engine(random_checkpoint(data / "models", "resting", baseline=BASELINE))
    for name, engine_of, taken in (
        ("after", engine, 2000),
        ("within", engine, 500),
        ("plain", None, 0),
    ):
        with staged(engine_of) as stage:
            if engine_of is not None:
                with stage.session.between_chunks() as decoder:
                    assert decoder is not None
                    decoder.start()
            stage.play(*chunks_of(0, taken))
            recorder = Recorder(data / f"{name}.xdf", stage.session, lambda _: None)
            recorder.start()
            stage.play(*chunks_of(taken, taken + 1500))
            recorder.stop()
        save_sidecar(data / f"{name}.xdf", Sidecar(name, "finished", person=PERSON))
    return data


def played(service: Live, name: str, **asked: object) -> dict[str, object]:
    source = f"replay://{name}?hold=1"
    answer = service.http.post("/v1/sessions", json={"source": source, **asked})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_a_replay_has_the_model_the_person_and_the_baseline_of_its_recording(data: Path) -> None:
    with live(source=[], data_dir=data) as service:
        opened = played(service, "after")
        assert (opened["id"], opened["person"]) == ("after", PERSON)
        assert isinstance(opened["model"], dict)
        assert opened["model"]["name"] == "resting"
        baseline = service.http.get("/v1/sessions/after/baseline").json()
        assert baseline["seconds"] >= BASELINE
        assert baseline["wanted"] == 0
        assert played(service, "after")["id"] == "after-2"
        named = played(service, "after", model="demo", id="mine")
        assert (named["id"], named["person"]) == ("mine", None)
        assert isinstance(named["model"], dict)
        assert named["model"]["name"] == "demo"

        taking = played(service, "within")
        assert taking["person"] == PERSON
        rest = "/v1/sessions/within/baseline"
        service.until(lambda: service.http.get(rest).json()["seconds"] >= BASELINE)
        # What a replay completes is as old as its recording, and replaces nothing.
        (person,) = service.http.get("/v1/people").json()
        assert person["baselines"] == []

        signal = played(service, "plain")
        assert (signal["model"], signal["person"]) == (None, PERSON)


def test_a_model_that_is_not_there_leaves_the_signal_and_says_so(
    data: Path, tmp_path: Path
) -> None:
    for models in (tmp_path, tmp_path / "other"):
        setup = recorded_setup(f"replay://{data}/after.xdf", models)
        assert setup is not None
        assert setup.choice.name is None
        assert "resting" in setup.notices[0]
        models.mkdir(exist_ok=True)
    with live(f"replay://{data}/after.xdf?hold=1", data_dir=tmp_path) as service:
        service.opened("replay-1")
        info = service.sessions()["replay-1"]["info"]
        assert any("only the signal" in each for each in info["notices"])


def test_files_of_others_have_none(tmp_path: Path) -> None:
    (tmp_path / "letter.csv").write_text("Dear Sir")
    (tmp_path / "empty.xdf").write_bytes(b"")
    for url in (
        "simulate://",
        "nonsense://",
        *(f"replay://{tmp_path}/{n}" for n in ("letter.csv", "empty.xdf", "gone.xdf")),
    ):
        assert recorded_setup(url, tmp_path) is None
