"""Recordings through the API and the command line, and services that are killed."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from signal import SIGKILL
from typing import Any

import httpx
import numpy as np
import pytest
import pyxdf

from mimamba.drivers.errors import BadRecording
from mimamba.drivers.formats.marker_edits import edits_file
from mimamba.drivers.formats.read import read_recording
from mimamba.drivers.formats.xdf.intact_chunks import leading_chunks
from mimamba.drivers.replay.driver import MAX_DELAY
from mimamba.service.cli.recordings import list_recordings, recover_recordings
from mimamba.service.recordings.file_facts import MARK
from mimamba.service.recordings.recordings import NoRecording, RecordingRefused, Recordings
from mimamba.service.recordings.recovery import FileInUse, recover_recording
from mimamba.service.recordings.sidecar import Sidecar, load_sidecar, save_sidecar
from mimamba.service.storage.folders import CannotRecord
from tests.service.cli.test_main import LONGEST, invoke, run, serving
from tests.service.forked import LoadedProgram
from tests.service.live import Live, live
from tests.service.muse_recordings import write_muse

API = "/v1/recordings"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Live]:
    with live("simulate://", data_dir=tmp_path / "data") as service:
        service.opened("simulate-1")
        yield service


def start(service: Live, **facts: str) -> dict[str, Any]:
    answer = service.http.post(API, json={"session": "simulate-1", **facts})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def bytes_of(service: Live, name: str) -> int:
    size: int = service.http.get(f"{API}/{name}").json()["bytes"]
    return size


def load(path: Path) -> dict[str, dict[str, Any]]:
    streams = pyxdf.load_xdf(path, dejitter_timestamps=False)[0]
    return {stream["info"]["type"][0]: stream for stream in streams}


def test_start_stop_list_fetch_delete(service: Live, tmp_path: Path) -> None:
    assert service.http.get(API).json() == []
    made = start(service, name="first", person="P-07", notes="eyes closed")
    assert (made["name"], made["state"], made["person"]) == ("first", "recording", "P-07")
    begun = made["bytes"]
    service.until(lambda: bytes_of(service, "first") > begun + 5000)
    again = service.http.post(API, json={"session": "simulate-1"})
    assert again.status_code == 409
    assert "first" in again.json()["detail"]
    for refused in (
        service.http.get(f"{API}/first/file"),
        service.http.delete(f"{API}/first?confirm=first"),
    ):
        assert refused.status_code == 409
        assert "Stop it first" in refused.json()["detail"]
    stopped = service.http.post(f"{API}/first/stop").json()
    assert (stopped["state"], stopped["reason"]) == ("finished", None)
    assert stopped["started"] <= stopped["ended"]
    whole = read_recording(tmp_path / "data" / "first.xdf")
    assert stopped["seconds"] == whole.end / whole.info.sfreq > 0.5
    assert service.http.post(f"{API}/first/stop").json() == stopped
    assert service.http.get(API).json() == [stopped]
    content = service.http.get(f"{API}/first/file")
    assert content.content == (tmp_path / "data" / "first.xdf").read_bytes()
    assert 'filename="first.xdf"' in content.headers["content-disposition"]
    assert set(load(tmp_path / "data" / "first.xdf")) >= {"EEG", "Link", "Quality", "Predictions"}
    assert b"P-07" not in content.content
    wrong = service.http.delete(f"{API}/first?confirm=second")
    assert wrong.status_code == 409
    assert service.http.delete(f"{API}/first").status_code == 422
    assert service.http.delete(f"{API}/first?confirm=first").status_code == 204
    assert service.http.get(f"{API}/first").status_code == 404
    left = {each.name for each in (tmp_path / "data").iterdir()}
    assert left == {"people", ".people.lock"}


def test_nothing_is_overwritten_and_names_stay_in_the_folder(service: Live, tmp_path: Path) -> None:
    start(service, name="kept")
    service.http.post(f"{API}/kept/stop")
    content = (tmp_path / "data" / "kept.xdf").read_bytes()
    taken = service.http.post(API, json={"session": "simulate-1", "name": "kept"})
    assert taken.status_code == 409
    assert (tmp_path / "data" / "kept.xdf").read_bytes() == content
    assert load_sidecar(tmp_path / "data" / "kept.xdf").state == "finished"
    for name in ("../out", "a/b", "", ".hidden", "a\n", "a" * 100, "a.", "ä", "a\0b"):
        answer = service.http.post(API, json={"session": "simulate-1", "name": name})
        assert answer.status_code == 422, name
    for path in ("..%2Fsecret", "%2e%2e", "..%2F..%2Fetc%2Fpasswd"):
        assert service.http.get(f"{API}/{path}/file").status_code in (404, 422)
    (tmp_path / "secret.xdf").write_bytes(b"XDF:")
    recordings = Recordings(tmp_path / "data")
    for name in ("../secret", "kept\n", str(tmp_path / "secret")):
        with pytest.raises(RecordingRefused):
            recordings.file(name)
    assert service.http.post(API, json={"session": "nobody"}).status_code == 404


def test_a_name_is_made_where_none_is_given(service: Live) -> None:
    assert start(service)["name"].startswith("simulate-1-20")


def test_all_who_follow_hear_of_it(service: Live, tmp_path: Path) -> None:
    start(service, name="told")
    service.http.post(f"{API}/told/stop")
    texts = [entry[0] for entry in load(tmp_path / "data" / "told.xdf")["Link"]["time_series"]]
    assert any("the recording told began" in text for text in texts)


@pytest.mark.parametrize("speed", ["2", "max"])
def test_a_replay_at_another_speed_is_refused(tmp_path: Path, speed: str) -> None:
    path = write_muse(tmp_path / "muse.csv", seconds=20)
    with live(f"replay://{path}?speed={speed}&loop=1", data_dir=tmp_path / "data") as service:
        service.opened("replay-1")
        answer = service.http.post(API, json={"session": "replay-1"})
        assert answer.status_code == 409
        assert "speed 1" in answer.json()["detail"]
    assert not (tmp_path / "data").exists()


def test_a_replay_at_its_own_speed_is_recorded(tmp_path: Path) -> None:
    path = write_muse(tmp_path / "muse.csv", seconds=3)
    data = tmp_path / "data"
    with live(f"replay://{path}?speed=0.1", data_dir=data) as service:
        service.opened("replay-1")
        service.play("replay-1", paused=True, speed=1)  # or it might be over before it is recorded
        answer = service.http.post(API, json={"session": "replay-1", "name": "again"})
        assert answer.status_code == 201
        service.play("replay-1", paused=False)
        service.until(lambda: service.http.get(f"{API}/again").json()["state"] == "finished")
        assert service.http.get(f"{API}/again").json()["reason"] == "the session ended"
    source, copy = read_recording(path), read_recording(data / "again.xdf")
    np.testing.assert_array_equal(copy.data, source.data[-copy.n_times :])
    assert copy.n_times > 500
    steps = np.diff(copy.timestamps) - np.diff(source.timestamps[-copy.n_times :])
    held_up = steps > MAX_DELAY - 1e-3  # all that follows is played later then
    assert np.abs(steps[~held_up]).max() < 1e-3
    assert str(tmp_path).encode() not in (data / "again.xdf").read_bytes()


def test_a_service_that_stops_closes_its_recordings(tmp_path: Path) -> None:
    with live("simulate://", data_dir=tmp_path) as service:
        service.opened("simulate-1")
        size = start(service, name="running")["bytes"]
        service.until(lambda: bytes_of(service, "running") > size + 5000)
    sidecar = load_sidecar(tmp_path / "running.xdf")
    assert (sidecar.state, sidecar.reason) == ("finished", None)
    assert "footer" in load(tmp_path / "running.xdf")["EEG"]


def test_a_folder_that_takes_no_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with live("simulate://", data_dir=tmp_path / "file" / "below") as service:
        service.opened("simulate-1")
        answer = service.http.post(API, json={"session": "simulate-1"})
        assert answer.status_code == 507
        assert "--data-dir" in answer.json()["detail"]
        ready = service.http.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ok")
        assert ready.json()["detail"] == answer.json()["detail"]


def test_a_killed_service_leaves_a_recording_that_its_next_start_makes_whole(
    tmp_path: Path, loaded: LoadedProgram
) -> None:
    path = tmp_path / "killed.xdf"
    with (
        serving("--data-dir", str(tmp_path), "--model", "none", loaded=loaded) as (url, process),
        httpx.Client(base_url=url, timeout=LONGEST, verify=False) as http,
    ):
        until(lambda: [each["state"] for each in http.get("/v1/sessions").json()] == ["open"])
        made = http.post(API, json={"session": "simulate-1", "name": "killed"})
        assert made.status_code == 201
        begun = made.json()["bytes"]
        until(lambda: path.stat().st_size > begun + 3 * 256 * 25)
        assert load_sidecar(path).state == "recording"
        with pytest.raises(FileInUse):
            recover_recording(path)
        with live("simulate://", model="none", data_dir=tmp_path) as other:
            refused = other.http.post(f"{API}/killed/stop")
            assert refused.status_code == 409
            assert refused.json()["detail"] == (
                "The recording killed is written by another service. Stop it there."
            )
        assert load_sidecar(path).state == "recording"
        written = len(load(path)["EEG"]["time_stamps"])
        process.send_signal(SIGKILL)
        process.wait(LONGEST)
    recordings = Recordings(tmp_path)
    assert recordings.get("killed").state == "unfinished"
    with path.open("ab") as file:  # a write of which a part reached the disk
        file.write(path.read_bytes()[100:200])
    with live("simulate://", data_dir=tmp_path) as service:
        [listed] = service.http.get(API).json()
    assert listed["state"] == "recovered"
    assert "cut off" in listed["reason"]
    eeg = load(path)["EEG"]
    stamps = eeg["time_stamps"]
    assert int(eeg["footer"]["info"]["sample_count"][0]) == len(stamps) >= written > 2 * 256
    np.testing.assert_allclose(np.diff(stamps), 1 / 256, atol=1e-3)
    assert read_recording(path).n_times == len(stamps)
    assert listed["seconds"] == read_recording(path).end / 256


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LONGEST
    while not condition():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.01)


def test_the_folder_is_the_list(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "none")
    assert recordings.all() == []
    recordings = Recordings(tmp_path)
    for name in ("b", "a", "no name"):
        (tmp_path / f"{name}.xdf").write_bytes(b"XDF:")
    save_sidecar(tmp_path / "b.xdf", Sidecar("b", "finished", started="2026-01-01T00:00:00+00:00"))
    assert "feedback" not in (tmp_path / "b.json").read_text("utf-8")  # older versions refuse null
    (tmp_path / "a.json").write_text("{broken")
    (tmp_path / "orphan.json").write_text("{}")
    assert [(each.name, each.state) for each in recordings.all()] == [
        ("b", "finished"),
        ("a", "unknown"),
    ]
    with pytest.raises(NoRecording):
        recordings.get("orphan")


def test_files_without_sidecars_are_searched_once_however_many_they_are(tmp_path: Path) -> None:
    files = [tmp_path / f"{n}.xdf" for n in range(1001)]
    for file in files:
        file.write_bytes(b"XDF:".ljust(len(MARK)))
    recordings = Recordings(tmp_path)
    assert not any(each.feedback for each in recordings.all())
    before = files[0].stat()
    for file in files:  # the search would find it, but they look the same
        file.write_bytes(MARK)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    for file in files[1:]:
        os.utime(file, ns=(0, 0))
    assert [each.name for each in recordings.all() if not each.feedback] == ["0"]


def test_what_cannot_be_read_is_not_replaced(tmp_path: Path) -> None:
    """A title would cost the person and all else that is known."""
    (tmp_path / "day1.xdf").write_bytes(b"XDF:")
    damaged = b'{"name": "day1", "person": "P01",}'
    (tmp_path / "day1.json").write_bytes(damaged)
    recordings = Recordings(tmp_path)
    with pytest.raises(CannotRecord, match=r"Cannot read day1\.json"):
        recordings.change("day1", title="Day 1")
    assert (tmp_path / "day1.json").read_bytes() == damaged
    (tmp_path / "day1.json").unlink()
    assert recordings.change("day1", title="Day 1").title == "Day 1"


def test_what_a_crash_left_of_a_person_is_deleted_too(tmp_path: Path) -> None:
    for name, person in (("whole", "P01"), ("left", "P01"), ("others", "P02")):
        save_sidecar(tmp_path / f"{name}.xdf", Sidecar(name, "finished", person=person))
        edits_file(tmp_path / f"{name}.xdf").write_bytes(b"{}")
    (tmp_path / "whole.xdf").write_bytes(b"XDF:")
    assert Recordings(tmp_path).delete_of_person("P01") == ["whole"]
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "others.json",
        "others.xdf.edits.jsonl",
    ]


def test_the_terminal_lists_and_recovers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with live("simulate://", data_dir=tmp_path) as service:
        service.opened("simulate-1")
        start(service, name="one", person="P-07")
        path = tmp_path / "one.xdf"
        service.until(lambda: sum(each.samples for each in leading_chunks(path.read_bytes())) > 600)
    path.write_bytes(path.read_bytes()[:-3000])
    save_sidecar(path, Sidecar("one", "recording", person="P-07"))
    (tmp_path / "bad.xdf").write_bytes(b"XDF:")
    save_sidecar(tmp_path / "bad.xdf", Sidecar("bad", "recording"))
    list_recordings(tmp_path, json=True)
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {each["name"]: each["state"] for each in listed} == {
        "one": "unfinished",
        "bad": "unfinished",
    }
    done = run("recover", "--data-dir", str(tmp_path))
    assert done.returncode == 2
    assert "one.xdf: " in done.stdout
    assert "no complete one" in done.stderr
    assert (load_sidecar(path).state, load_sidecar(path).person) == ("recovered", "P-07")
    assert load_sidecar(tmp_path / "bad.xdf").state == "damaged"
    (tmp_path / "bad.xdf").unlink()
    recover_recordings(tmp_path)
    assert capsys.readouterr().out == f"{tmp_path}: no recording was cut off\n"
    recover_recordings(path)
    assert "complete" in capsys.readouterr().out
    seconds = load_sidecar(path).seconds
    assert seconds == read_recording(path).end / 256
    list_recordings(tmp_path, json=False)
    table = capsys.readouterr().out
    assert "P-07" in table
    assert f" 0:{round(seconds):02} " in table
    with pytest.raises(BadRecording, match="No such file"):
        recover_recordings(tmp_path / "missing.xdf")


def test_a_card_is_replaced_whole(tmp_path: Path) -> None:
    """Killed between any two system calls, the old sidecar or the new one is there."""
    path = tmp_path / "a.xdf"
    path.write_bytes(b"XDF:")
    save_sidecar(path, Sidecar("a", "recording"))
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from mimamba.service.recordings.sidecar import Sidecar, save_sidecar\n"
        "path = Path(sys.argv[1])\nprint(flush=True)\n"
        "while True:\n    save_sidecar(path, Sidecar('a', 'finished', notes='n' * 5000))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    until(lambda: load_sidecar(path).state == "finished")
    process.kill()
    process.communicate()
    assert load_sidecar(path).state == "finished"


def test_the_environment_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here.xdf").write_bytes(b"XDF:")
    monkeypatch.setenv("MIMAMBA_DATA_DIR", str(tmp_path))
    assert "here" in invoke("recordings").stdout


@pytest.mark.parametrize("command", ["recordings", "people", "models", "recover"])
def test_a_folder_that_is_missing_is_one_line_and_status_2(tmp_path: Path, command: str) -> None:
    folder = tmp_path / "wrong"
    ended = invoke(command, "--data-dir", str(folder))
    assert ended.exit_code == 2
    assert ended.stdout == ""
    assert ended.stderr == (
        f"mimamba: Expected a data folder at {folder}, but found nothing. "
        "Correct --data-dir, or record something there first.\n"
    )


def test_a_folder_of_which_writing_is_possible_again_is_no_problem(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"")
    recordings, eager = (Recordings(tmp_path / "data", seconds) for seconds in (10.0, 0.0))
    assert "Not a directory" in (recordings.problem() or "")
    assert eager.problem() is not None
    (tmp_path / "data").unlink()
    assert recordings.problem() is not None  # the check is not repeated at once
    assert eager.problem() is None
    assert list(tmp_path.iterdir()) == []


def test_only_its_owner_reads_the_folder_and_what_people_say(tmp_path: Path) -> None:
    data = tmp_path / "new" / "data"
    with live("simulate://", data_dir=data) as service:
        service.opened("simulate-1")
        start(service, name="own", person="P-07", notes="eyes closed")
        service.http.post(f"{API}/own/stop")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (data, *data.iterdir())}
    own = {"own.xdf": 0o600, "own.json": 0o600, ".people.lock": 0o600}
    assert modes == {"data": 0o700, "people": 0o700, **own}


def test_a_folder_that_was_there_keeps_its_mode(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(0o755)
    with live("simulate://", data_dir=data) as service:
        service.opened("simulate-1")
        start(service)
    assert stat.S_IMODE(data.stat().st_mode) == 0o755


def test_a_recording_that_goes_while_they_are_listed_is_left_out(tmp_path: Path) -> None:
    for name in ("kept", "gone"):
        (tmp_path / f"{name}.xdf").write_bytes(b"XDF:")
    (tmp_path / "gone.xdf").unlink()
    (tmp_path / "gone.xdf").symlink_to(tmp_path / "nothing")  # listed, and not there
    assert [each.name for each in Recordings(tmp_path).all()] == ["kept"]
