"""What can be watched from here: headsets that are near, LSL streams, boards, the simulator."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from mimamba.drivers.brainflow.boards import FACTS, BoardFacts, known_boards
from mimamba.drivers.discovery.bluetooth import ScanResult, listening
from mimamba.drivers.discovery.bluetooth_scanner import ADAPTER, WANTED
from mimamba.drivers.discovery.headsets import Headset, find_dongles, headsets
from mimamba.drivers.errors import LibraryMissing
from mimamba.drivers.lsl.discovery import liblsl
from mimamba.drivers.lsl.driver import FORMATS
from mimamba.drivers.simulator.scenario import SCENARIOS

T = TypeVar("T")


@dataclass(frozen=True)
class KnownBoard:
    """A board that BrainFlow knows, whether or not one is near. ``..`` in the URL is to fill in."""

    name: str
    number: int
    title: str | None
    url: str


@dataclass(frozen=True)
class FoundStream:
    """An LSL stream on the network; ``url`` is None where it is no signal of an even rate."""

    name: str
    type: str
    sfreq: float
    n_channels: int
    source_id: str
    hostname: str
    url: str | None


@dataclass(frozen=True)
class Bluetooth:
    """Whether an adapter is there; None where that is not checked. ``detail`` says more.

    ``problem`` says why headsets could not be listened for; None where they were.
    """

    present: bool | None
    detail: str
    problem: str | None = None


@dataclass(frozen=True)
class Simulation:
    """A scenario of the simulator."""

    name: str
    summary: str
    url: str


@dataclass(frozen=True)
class Sources:
    """All that was found. ``missing`` says which libraries do not load, and what to do."""

    headsets: tuple[Headset, ...]
    boards: tuple[KnownBoard, ...]
    streams: tuple[FoundStream, ...]
    bluetooth: Bluetooth
    simulations: tuple[Simulation, ...]
    missing: tuple[str, ...]


def scan(timeout: float) -> Sources:
    """Look for sources; listens for headsets and LSL streams until ``timeout`` seconds are over."""
    until = time.monotonic() + timeout
    missing: list[str] = []
    with listening(timeout) as heard:
        boards = _found(list_boards, missing)
        dongles = _found(find_dongles, missing)
        streams = _found(lambda: listen(max(0.0, until - time.monotonic())), missing)
        by_bluetooth = heard()
    return Sources(
        headsets=(*headsets(by_bluetooth.sightings), *dongles),
        boards=boards,
        streams=streams,
        bluetooth=judge(find_bluetooth(), by_bluetooth),
        simulations=list_simulations(),
        missing=tuple(missing),
    )


def _found(look: Callable[[], tuple[T, ...]], missing: list[str]) -> tuple[T, ...]:
    """What one way of looking finds; nothing where its library does not load, which is noted."""
    try:
        return look()
    except LibraryMissing as error:
        missing.append(str(error))
        return ()


def list_boards() -> tuple[KnownBoard, ...]:
    """BrainFlow's boards, those that more is known of first; raises LibraryMissing."""
    boards = [
        KnownBoard(board.name, board.number, facts.title, f"brainflow://{board.name}{facts.query}")
        for board in known_boards()
        for facts in [FACTS.get(board.number, BoardFacts())]
    ]
    return tuple(sorted(boards, key=lambda board: board.title is None))


def listen(seconds: float) -> tuple[FoundStream, ...]:
    """The LSL streams that answer within so many seconds, by name; raises LibraryMissing."""
    found = [_stream(stream) for stream in liblsl().resolve_streams(seconds)]
    return tuple(sorted(found, key=lambda stream: (stream.name, stream.type, stream.source_id)))


def find_bluetooth(classes: Path = Path("/sys/class")) -> Bluetooth:
    """The adapters that Linux lists; on other systems nothing is checked."""
    if not sys.platform.startswith("linux"):
        return Bluetooth(None, "not checked on this system")
    adapters = sorted(path.name for path in (classes / "bluetooth").glob("hci*"))
    # A connection is listed beside its adapter, as hci0:64.
    adapters = [name for name in adapters if ":" not in name]
    if not adapters:
        return Bluetooth(False, "no adapter; plug one in, or use a board's own dongle")
    if any(_blocks_bluetooth(path) for path in (classes / "rfkill").glob("*")):
        return Bluetooth(True, f"{', '.join(adapters)}, blocked; run: rfkill unblock bluetooth")
    return Bluetooth(True, ", ".join(adapters))


def judge(adapter: Bluetooth, heard: ScanResult) -> Bluetooth:
    """The adapter, and why there was no listening."""
    trouble = heard.trouble
    if trouble is None:
        return Bluetooth(True, adapter.detail if adapter.present else "headsets were listened for")
    if trouble.found.startswith(ADAPTER) and not adapter.present:
        adapter = Bluetooth(True, trouble.found)  # a container's list may show none
    # What keeps the radio off is the cause of what the search met.
    known = adapter.present is False or blocked(adapter)
    problem = f"Expected {WANTED}, but found {adapter.detail}." if known else str(trouble)
    return replace(adapter, problem=problem)


def blocked(adapter: Bluetooth) -> bool:
    """Whether a kill switch keeps it from working."""
    return ", blocked; " in adapter.detail


def list_simulations() -> tuple[Simulation, ...]:
    """The simulator's scenarios."""
    return tuple(
        Simulation(name, scenario.summary, f"simulate://?scenario={name}")
        for name, scenario in SCENARIOS.items()
    )


def _stream(stream: Any) -> FoundStream:
    sfreq = float(stream.nominal_srate())
    signal = sfreq > 0 and stream.channel_format() in FORMATS
    return FoundStream(
        name=stream.name(),
        type=stream.type(),
        sfreq=sfreq,
        n_channels=stream.channel_count(),
        source_id=stream.source_id(),
        hostname=stream.hostname(),
        url=_url(stream) if signal else None,
    )


def _url(stream: Any) -> str:
    facts = {"name": stream.name(), "source_id": stream.source_id()}
    given = {key: value for key, value in facts.items() if value}
    if stream.type() != "EEG":
        given["type"] = stream.type()
    return f"lsl://?{urlencode(given)}"


def _blocks_bluetooth(switch: Path) -> bool:
    """Whether this kill switch is Bluetooth's, and on by software or hardware."""
    try:
        kind, soft, hard = (
            (switch / name).read_text().strip() for name in ("type", "soft", "hard")
        )
    except OSError:
        return False
    return kind == "bluetooth" and "1" in {soft, hard}
