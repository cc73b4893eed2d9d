"""Over the API a source never reaches a file outside of the folder given for that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mimamba.drivers.errors import BadSource
from mimamba.drivers.url import SourceURL, parse_source
from mimamba.service.api.sources import NotAdmitted, admit
from mimamba.service.recordings.recordings import Recordings
from tests.service.live import Live, live


@pytest.fixture(scope="module")
def service() -> Iterator[Live]:
    with live(source=[], model="none") as service:
        yield service


@pytest.mark.parametrize("url", ["simulate://?seed=2", "lsl://?type=EEG", "brainflow://muse_2"])
def test_live_sources_are_admitted_as_they_are(url: str) -> None:
    assert admit(url, None) == url


def test_recordings_need_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotAdmitted, match="--files"):
        admit("muse.csv", None)
    inside = tmp_path.resolve() / "day 1" / "muse.csv"
    for url in ("day 1/muse.csv", "replay://day%201/muse.csv", f"replay://{inside}"):
        assert parse_source(admit(url, tmp_path)) == SourceURL("replay", str(inside), {})
    fast = parse_source(admit("replay://day 1/muse.csv?speed=2&loop=1", tmp_path))
    assert fast == SourceURL("replay", str(inside), {"speed": "2", "loop": "1"})


@pytest.mark.parametrize(
    "url",
    [
        "../muse.csv",
        "replay:///etc/passwd",
        "replay://a/../../muse.csv",
        "/etc/passwd",
        "link/muse.csv",
        "replay://%2e%2e/muse.csv",
    ],
)
def test_no_path_leads_out_of_the_folder(url: str, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path)
    with pytest.raises(NotAdmitted):
        admit(url, folder)


@pytest.mark.parametrize("parameter", ["file", "file_anc", "master_board", "other_info"])
def test_vendor_parameters_that_name_files_are_refused(parameter: str) -> None:
    with pytest.raises(NotAdmitted, match=parameter):
        admit(f"brainflow://playback_file?{parameter}=/etc/passwd", None)


def test_streamers_and_unknown_schemes_are_refused() -> None:
    with pytest.raises(BadSource):
        admit("ftp://somewhere", None)


@pytest.mark.parametrize(
    "port", ["/dev/ttyUSB0", "/dev/cu.usbserial-DM00", "/dev/serial/by-id/usb-FTDI_1-if00", "COM3"]
)
def test_serial_ports_are_admitted(port: str) -> None:
    url = f"brainflow://cyton?serial_port={port}"
    assert admit(url, None) == url


@pytest.mark.parametrize(
    "port",
    ["/etc/shadow", "/dev/tty../../etc/shadow", "/dev/serial/../sda", "/dev/sda", "ttyUSB0", "COM",
     "", "/dev/serial/%2e%2e/sda", "/dev/ttyUSB0%0A", "/dev/tty/a"],
)  # fmt: skip
def test_no_serial_port_is_another_file(port: str) -> None:
    with pytest.raises(NotAdmitted, match="a serial port") as caught:
        admit(f"brainflow://cyton?serial_port={port}", None)
    assert "etc" not in str(caught.value)  # the same for all, there or not


def test_a_recording_is_opened_by_its_id(tmp_path: Path) -> None:
    (tmp_path / "kept.xdf").write_bytes(b"XDF:")
    (tmp_path / "other.csv").write_bytes(b"")
    recordings = Recordings(tmp_path)
    path = str(tmp_path.resolve() / "kept.xdf")
    assert parse_source(admit("replay://kept", None, recordings)) == SourceURL("replay", path, {})
    fast = parse_source(admit("replay://kept?speed=2", tmp_path / "files", recordings))
    assert fast == SourceURL("replay", path, {"speed": "2"})
    for place in ("other.csv", "none", "../kept", "kept.xdf", str(tmp_path / "kept.xdf")):
        with pytest.raises(NotAdmitted):
            admit(f"replay://{place}", None, recordings)


def test_the_api_plays_a_recording_once_it_has_ended(tmp_path: Path) -> None:
    with live("simulate://", data_dir=tmp_path) as service:
        service.opened("simulate-1")
        service.until(lambda: service.sessions()["simulate-1"]["state"] == "open")
        made = service.http.post("/v1/recordings", json={"session": "simulate-1", "name": "own"})
        begun = made.json()["bytes"]
        asked = {"source": "replay://own?hold=1", "model": "none"}
        refused = service.http.post("/v1/sessions", json=asked)
        assert refused.status_code == 409
        assert "Stop it first" in refused.json()["detail"]
        service.until(lambda: service.http.get("/v1/recordings/own").json()["bytes"] > begun + 5000)
        service.http.post("/v1/recordings/own/stop")
        opened = service.http.post("/v1/sessions", json=asked)
        assert opened.status_code == 201, opened.text


@pytest.mark.parametrize(
    "source",
    [
        "secret.csv",
        "replay://../secret.csv",
        "replay://%2e%2e/secret.csv",
        "brainflow://playback_file?file=secret.csv",
        "brainflow://synthetic?other_info=secret.csv",
        "brainflow://cyton?serial_port=secret.csv",
    ],
)
def test_the_running_service_opens_none_and_tells_nothing_of_it(
    source: str, tmp_path_factory: pytest.TempPathFactory, service: Live
) -> None:
    secret = tmp_path_factory.mktemp("elsewhere") / "secret.csv"
    answers = []
    for there in (False, True):
        if there:
            secret.write_text("what nobody may read")
        asked = {"source": source.replace("secret.csv", str(secret))}
        answers.append(service.http.post("/v1/sessions", json=asked))
    assert [each.status_code for each in answers] == [403, 403]
    assert answers[0].json() == answers[1].json()  # not even whether it is there
    assert service.sessions() == {}
