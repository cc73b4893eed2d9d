"""Recordings that the terminal starts and stops on a running service."""

from __future__ import annotations

import re
import signal
import threading
from pathlib import Path

import pytest

from mimamba.drivers.formats.read import read_recording
from tests.service.cli.live.conftest import Invoke
from tests.service.live import Live


def in_progress(service: Live) -> list[str]:
    found = service.http.get("/v1/recordings").json()
    return [each["name"] for each in found if each["state"] == "recording"]


def test_it_records_for_some_seconds(service: Live, invoke: Invoke, tmp_path: Path) -> None:
    ended = invoke("record", "--name", "short", "--seconds", "1.2", "--notes", "eyes open")
    assert ended.exit_code == 0, ended.stderr
    assert ended.stderr == "recording short for 1.2 s (Ctrl+C stops it)\n"
    said = re.fullmatch(r"short: ([\d.]+) s, [\d.]+ MB\n", ended.stdout)
    assert said
    info = service.http.get("/v1/recordings/short").json()
    assert info["state"] == "finished"
    assert info["notes"] == "eyes open"
    (tmp_path / "short.xdf").write_bytes(service.http.get("/v1/recordings/short/file").content)
    recording = read_recording(tmp_path / "short.xdf")
    assert len(recording.data) / 256 == pytest.approx(float(said[1]), abs=0.06)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_it_in_good_order(number: int, service: Live, invoke: Invoke) -> None:
    name = signal.Signals(number).name

    def stop_soon() -> None:
        service.until(lambda: name in in_progress(service))
        signal.pthread_kill(threading.main_thread().ident or 0, number)

    stopper = threading.Thread(target=stop_soon)
    stopper.start()
    ended = invoke("record", "simulate-1", "--name", name)
    stopper.join()
    assert ended.exit_code == 0, ended.stderr
    assert ended.stdout.startswith(f"{name}: ")
    assert in_progress(service) == []
    assert service.http.get(f"/v1/recordings/{name}").json()["state"] == "finished"


def test_a_recording_that_ends_before_its_time_is_an_error(service: Live, invoke: Invoke) -> None:
    def stop_soon() -> None:
        service.until(lambda: "ends" in in_progress(service))
        service.http.post("/v1/recordings/ends/stop")

    stopper = threading.Thread(target=stop_soon)
    stopper.start()
    ended = invoke("record", "--name", "ends", "--seconds", "60")
    stopper.join()
    assert ended.exit_code == 2
    expected = "mimamba: The recording ends has ended before its time (another program stopped it)"
    assert expected in ended.stderr


def test_each_mistake_is_one_sentence(service: Live, invoke: Invoke) -> None:
    unknown = invoke("record", "nobody", "--seconds", "1")
    assert unknown.exit_code == 2
    assert unknown.stderr.startswith("mimamba: ")
    assert "nobody" in unknown.stderr
    opened = invoke("open", "simulate://", "--id", "second", "--model", "none")
    assert opened.exit_code == 0, opened.stderr
    two = invoke("record", "--seconds", "1")
    assert two.stderr == (
        "mimamba: Expected one open session, but found simulate-1, second. "
        "Name one: `mimamba record SESSION`.\n"
    )
    service.http.delete("/v1/sessions/second")


def test_a_marker_goes_to_the_only_session(service: Live, invoke: Invoke) -> None:
    for words in (["go"], ["simulate-1", "go"]):
        assert invoke("mark", *words).stdout.startswith("go at ")
    many = invoke("mark", "simulate-1", "eyes", "closed")
    assert many.exit_code == 2
    assert "Put a label with spaces into quotes" in many.stderr
    opened = service.http.post("/v1/sessions", json={"source": "simulate://", "model": "none"})
    both = invoke("mark", "go").stderr
    assert both.endswith("Name one: `mimamba mark SESSION LABEL`.\n")
    assert "`mimamba baseline SESSION`" in invoke("baseline").stderr
    assert "`mimamba control SESSION`" in invoke("control", "--pause").stderr
    service.http.delete(f"/v1/sessions/{opened.json()['id']}")
