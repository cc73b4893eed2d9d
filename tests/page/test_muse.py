"""A Muse by the browser's Bluetooth, in a real Chromium, with a real service.

``navigator.bluetooth`` is a stand-in (``web_bluetooth.js``) that behaves like it: Chromium's own
emulation, of the DevTools protocol, answers reads and writes, but has no command by which a device
notifies. Everything else, from the notifications' bytes to the service's samples, is real.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyxdf
from playwright.sync_api import Page, expect

from mimamba.drivers.driver import AuxiliaryChunk, Chunk
from mimamba.drivers.muse.packets import DEGREES_PER_BIT, G_PER_BIT
from mimamba.drivers.muse.protocol import ATHENA, CONTROL, EEG, PPG, TELEMETRY
from mimamba.drivers.muse.receiver import MuseReceiver
from mimamba.service.protocol.messages import (
    HeartMessage,
    LinkMessage,
    MotionMessage,
    Position,
    PPGMessage,
    SignalMessage,
    Subscribe,
)
from mimamba.service.topics import Topic
from tests.drivers.muse.notifications import Notification, classic, recorded
from tests.drivers.muse.peripheral import TABLES
from tests.drivers.muse.test_receiver import check_values
from tests.page.axe import violations
from tests.page.pictures import shots
from tests.page.test_now import words
from tests.page.test_start import to_start
from tests.service.live import Live, live, talk

SCRIPT = Path(__file__).with_name("web_bluetooth.js")
NAME = "Muse-1A2B"


def bluetooth(
    page: Page,
    notifications: Sequence[Notification] = (),
    model: str = "Muse 2",
    **changes: Any,
) -> None:
    """Give the page Bluetooth with one Muse near, which sends these notifications."""
    wanted = {
        "name": NAME,
        "supported": True,
        "available": True,
        "part": "headset",
        "characteristics": TABLES[model],
        "notifications": [
            (each.at, each.characteristic, base64.b64encode(each.data).decode())
            for each in notifications
        ],
        **changes,
    }
    page.add_init_script(f"window.standIn = {json.dumps(wanted)};\n{SCRIPT.read_text('utf-8')}")


@dataclass
class Heard:
    """What the service publishes of a session."""

    chunks: list[Chunk] = field(default_factory=list)
    events: list[LinkMessage] = field(default_factory=list)
    sensors: list[PPGMessage | MotionMessage] = field(default_factory=list)
    rates: list[HeartMessage] = field(default_factory=list)

    def measured(self, name: str) -> dict[int, list[float]]:
        """Values of a sensor's samples, by number."""
        found: dict[int, list[float]] = {}
        for each in self.sensors:
            if (each.sensor if isinstance(each, MotionMessage) else "ppg") == name:
                rows = np.frombuffer(each.data, "<f4").reshape(-1, len(each.channels))
                found |= {each.first + at: row for at, row in enumerate(rows.tolist())}
        return found

    @property
    def n_times(self) -> int:
        return sum(chunk.n_times for chunk in self.chunks)

    def await_more(self, service: Live, n_times: int) -> None:
        """Wait for this number of samples from now on."""
        before = self.n_times
        service.until(lambda: self.n_times > before + n_times)

    def gaps(self) -> list[tuple[int | None, int | None]]:
        """First and length of each."""
        return [(each.first, each.lost) for each in self.events if each.event == "gap"]


@contextmanager
def listening(url: str, session: str) -> Iterator[Heard]:
    """Hear a session from its start on, in a thread: the test's own has Playwright's loop."""
    heard = Heard()
    over = threading.Event()

    async def listen() -> None:
        async with talk(url) as client:
            topics: list[Topic] = ["signal", "link", "ppg", "motion", "heart"]
            await client.say(Subscribe(session, topics, Position("", {})))
            while not over.is_set():
                try:
                    async with asyncio.timeout(0.2):
                        message = await client.hear()
                except TimeoutError:
                    continue
                if isinstance(message, LinkMessage):
                    heard.events.append(message)
                elif isinstance(message, PPGMessage | MotionMessage):
                    heard.sensors.append(message)
                elif isinstance(message, HeartMessage):
                    heard.rates.append(message)
                elif isinstance(message, SignalMessage):
                    stamps = np.frombuffer(message.timestamps, "<f8")
                    data = np.frombuffer(message.data, "<f4").reshape(len(stamps), -1)
                    heard.chunks.append(Chunk(data, stamps, message.first))

    thread = threading.Thread(target=lambda: asyncio.run(listen()))
    thread.start()
    try:
        yield heard
    finally:
        over.set()
        thread.join()


def connect(page: Page, service: Live) -> str:
    """Connect the Muse from the first view; return the session's id."""
    page.goto(service.url)
    page.get_by_test_id("connect-muse").click()
    expect(page.get_by_test_id("latest-index")).to_have_text(re.compile(r"\d"))
    (session,) = service.sessions()
    return session


def test_one_click_and_the_dialog_lead_to_traces(page: Page, tmp_path: Path) -> None:
    """The dialog itself takes two more: the headset's name, and its button."""
    bluetooth(page, list(classic(120.0, first=65400)))
    with live(data_dir=tmp_path) as service:
        session = connect(page, service)
        tape = {"session": session, "name": "taped"}
        assert service.http.post("/v1/recordings", json=tape).status_code == 201
        expect(page.get_by_test_id("muse-state")).to_contain_text(
            f"This page reads {NAME}, battery 75 %. Keep this page open and in front"
        )
        expect(page.get_by_test_id("quality-TP9")).to_contain_text("%")
        info = service.sessions()[session]["info"]
        assert (info["name"], info["source_id"]) == ("Muse 2", f"muse:{NAME}")
        assert (info["ch_names"], info["sfreq"]) == (["TP9", "AF7", "AF8", "TP10"], 256.0)
        with listening(service.url, session) as heard:
            service.until(lambda: heard.n_times > 1500 and len(heard.rates) > 0)
        check_values(heard.chunks, 65400)
        check_sensors(heard)
        assert service.http.post("/v1/recordings/taped/stop").status_code == 200
        check_tape(tmp_path / "taped.xdf")
        expect(page.get_by_test_id("heart")).to_be_visible()
        assert heard.gaps() == []
        assert heard.chunks[0].first == 0
        assert violations(page) == []
        shots(page, "muse")
        commands = page.evaluate("() => window.muse.commands")
        assert commands[:5] == ["v1", "s", "h", "p50", "d"]
        page.get_by_test_id("muse-disconnect").click()
        expect(page.get_by_test_id("muse-bar")).to_have_count(0)
        service.until(lambda: service.sessions()[session]["state"] == "ended")
        assert page.evaluate("() => window.muse.commands.at(-1)") == "h"


def check_sensors(heard: Heard) -> None:
    """Pulse and motion are those that ``classic`` makes, from the first sample on."""
    wanted: dict[str, Callable[[int], list[float]]] = {
        "ppg": lambda n: [n + 7.0 * part for part in range(3)],
        "acceleration": lambda n: [(n + axis) * G_PER_BIT for axis in range(3)],
        "rotation": lambda n: [(2 * n + axis) * DEGREES_PER_BIT for axis in range(3)],
    }
    for name, value in wanted.items():
        measured = heard.measured(name)
        assert list(measured) == list(range(len(measured)))
        assert len(measured) > 200
        assert all(row == pytest.approx(value(n), abs=1e-4) for n, row in measured.items())


def check_tape(path: Path) -> None:
    """Pulse, motion and heart rate are streams of their own in the recording."""
    lengths = {
        each["info"]["name"][0].rpartition(" ")[2]: len(each["time_series"])
        for each in pyxdf.load_xdf(path, dejitter_timestamps=False)[0]
    }
    # On a busy machine the recording begins seconds after the session.
    assert min(lengths[name] for name in ("ppg", "acceleration", "rotation")) > 50
    assert lengths["rate"] > 0


def test_the_model_and_the_person_of_the_form_are_used(page: Page, tmp_path: Path) -> None:
    bluetooth(page, list(classic(60.0)))
    with live(data_dir=tmp_path) as service:
        to_start(page, service.url)
        page.get_by_test_id("model").select_option("workload")
        page.get_by_test_id("person").fill("../P01")
        page.get_by_test_id("connect-muse").click()
        expect(page.get_by_test_id("muse-problem")).to_contain_text("Choose another pseudonym")
        page.get_by_test_id("person").fill("P01")
        page.get_by_test_id("connect-muse").click()
        expect(page.get_by_test_id("session-person")).to_have_text("P01")
        (session,) = service.sessions().values()
        assert (session["model"]["name"], session["person"]) == ("workload", "P01")
        assert [each["person"] for each in service.http.get("/v1/people").json()] == ["P01"]


def test_an_athena_gives_what_the_python_driver_reads(page: Page, shared_data: Path) -> None:
    sent = recorded(shared_data, "p1041")
    bluetooth(page, sent, "Muse S Athena")
    receiver = MuseReceiver()
    optics: list[AuxiliaryChunk] = []
    for each in sent:
        receiver.feed(each.characteristic, each.data, each.at)
        optics += [found for found in receiver.take_auxiliary() if found.info.name == "ppg"]
    receiver.flush()
    values = np.concatenate([chunk.data for chunk in receiver.take_eeg()])
    with live(model="none") as service:
        session = connect(page, service)
        with listening(service.url, session) as heard:
            service.until(lambda: heard.n_times > 1000)
        for chunk in heard.chunks:
            assert np.array_equal(chunk.data, values[chunk.first : chunk.end])
        measured = heard.measured("ppg")
        known = {each.first + k: row for each in optics for k, row in enumerate(each.data.tolist())}
        assert len(measured) > 150
        assert all(known[number] == row for number, row in measured.items())
        commands = page.evaluate("() => window.muse.commands")
        assert commands[:7] == ["v6", "s", "h", "p1035", "dc001", "dc001", "L1"]


def test_a_lost_notification_is_a_gap_and_a_light_that_cannot_be_read_is_missing(
    page: Page,
) -> None:
    sent = [
        each
        for each in classic(60.0)
        if not (each.characteristic == EEG[2] and each.data[:2] == bytes([0, 30]))
    ]
    bluetooth(page, sent, mute=PPG[1])
    with live(model="none") as service:
        session = connect(page, service)
        with listening(service.url, session) as heard:
            service.until(lambda: heard.n_times > 900 and len(heard.measured("ppg")) > 100)
        check_values(heard.chunks, 0)
        assert heard.gaps() == [(360, 12)]
        for number, row in heard.measured("ppg").items():
            assert row == pytest.approx([number, np.nan, number + 14], nan_ok=True)


def test_a_headset_that_goes_comes_back_after_a_gap(page: Page) -> None:
    bluetooth(page, list(classic(120.0)))
    with live(model="none") as service:
        session = connect(page, service)
        with listening(service.url, session) as heard:
            state = page.get_by_test_id("muse-state")
            for lose in ("drop", "fallSilent"):
                page.evaluate(f"() => window.muse.{lose}()")
                expect(state).to_contain_text(words("reconnecting"))
                expect(state).to_contain_text(words("this page reads"))
                heard.await_more(service, 600)
        ends = [chunk.end for chunk in heard.chunks]
        firsts = [chunk.first for chunk in heard.chunks]
        assert all(first >= end for end, first in zip(ends, firsts[1:], strict=False))
        assert len(heard.gaps()) == 2
        events = [each.event for each in heard.events if each.event != "gap"]
        assert events == ["connected", *2 * ["lost", "retrying", "connected"]]
        assert page.evaluate("() => window.muse.connections") == 3


def test_a_page_that_stands_still_goes_on(page: Page) -> None:
    bluetooth(page, list(classic(120.0)))
    with live(model="none") as service:
        session = connect(page, service)
        with listening(service.url, session) as heard:
            page.evaluate("const end = Date.now() + 4000; while (Date.now() < end) {}")
            heard.await_more(service, 600)
        check_values(heard.chunks, 0)
        expect(page.get_by_test_id("muse-state")).to_contain_text(words("this page reads"))
        assert page.evaluate("() => window.muse.connections") == 1


def test_a_session_that_is_closed_lets_the_headset_go(page: Page) -> None:
    bluetooth(page, list(classic(120.0)))
    with live(model="none") as service:
        session = connect(page, service)
        service.http.delete(f"/v1/sessions/{session}")
        expect(page.get_by_test_id("muse-state")).to_contain_text(
            f"This page no longer reads {NAME}"
        )
        service.until(lambda: page.evaluate("() => window.muse.commands.at(-1)") == "h")
        page.get_by_test_id("muse-dismiss").click()
        expect(page.get_by_test_id("muse-bar")).to_have_count(0)
        page.get_by_test_id("connect-muse").click()
        expect(page.get_by_test_id("muse-state")).to_contain_text(words("this page reads"))


def test_a_second_tab_does_not_take_the_headset(page: Page) -> None:
    bluetooth(page, list(classic(120.0)))
    with live(model="none") as service:
        connect(page, service)
        second = page.context.new_page()
        bluetooth(second, list(classic(10.0)))
        second.goto(service.url)
        second.get_by_test_id("to-start").click()
        second.get_by_test_id("connect-muse").click()
        expect(second.get_by_test_id("muse-problem")).to_contain_text(
            f"{NAME} is in use by another program or another tab"
        )
        second.close()


HINDRANCES: list[tuple[dict[str, Any], str]] = [
    ({"available": False}, "The browser finds no Bluetooth that is on"),
    ({"refusal": ["NetworkError", "Connection already in progress."]}, "is in use by another"),
    ({"dialog": ["NotFoundError", "Bluetooth adapter not available."]}, "finds no Bluetooth"),
    (
        {"dialog": ["NotFoundError", "User cancelled the requestDevice() chooser."]},
        "No headset was chosen. Is it missing in the list?",
    ),
    (
        {"dialog": ["NotFoundError", "User or their enterprise policy has disabled it."]},
        "The browser may not use Bluetooth here: allow it",
    ),
    ({"characteristics": [CONTROL, TELEMETRY]}, "sends no EEG (firmware 1.2.13): update"),
    ({"refusal": ["NetworkError", "Connection attempt failed."]}, f"{NAME} does not answer"),
    ({"part": "bootloader"}, "restarts now: connect again in 10 s"),
    ({"characteristics": [CONTROL, *ATHENA]}, "sends no EEG (firmware 1.2.13): update"),
]
"""Changes of the stand-in, and what they make the page say; no two in a row say the same."""
CHANGE = """changes => {
  window.before ??= { ...window.standIn, dialog: undefined, refusal: undefined };
  Object.assign(window.standIn, window.before, changes);
}"""


def test_what_hinders_is_said_in_one_sentence(page: Page) -> None:
    bluetooth(page)
    with live() as service:
        page.goto(service.url)
        for changes, sentence in HINDRANCES:
            page.evaluate(CHANGE, changes)
            page.get_by_test_id("connect-muse").click()
            expect(page.get_by_test_id("muse-problem")).to_contain_text(sentence)
            expect(page.get_by_test_id("connect-muse")).to_be_enabled()
            assert service.sessions() == {}


def test_a_browser_without_bluetooth_says_what_to_use(page: Page) -> None:
    bluetooth(page, supported=False)
    with live() as service:
        page.goto(service.url)
        expect(page.get_by_test_id("connect-muse")).to_be_disabled()
        note = page.get_by_test_id("muse-note")
        expect(note).to_contain_text("chrome://flags")
        expect(note).to_contain_text("mimamba acquire --source muse://")
        assert violations(page) == []
        shots(page, "no-bluetooth")
