"""What can be watched from here: boards, LSL streams, the Bluetooth adapter, the simulator."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from drivers.base import LibraryMissing
from drivers.boards import FACTS, Facts, known_boards
from drivers.lsl import FORMATS
from drivers.lslsearch import liblsl
from drivers.scenario import SCENARIOS


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
    """Whether an adapter is there; None where that is not checked. ``detail`` says more."""

    present: bool | None
    detail: str


@dataclass(frozen=True)
class Simulation:
    """A scenario of the simulator."""

    name: str
    summary: str
    url: str


@dataclass(frozen=True)
class Sources:
    """All that was found. ``missing`` says which libraries do not load, and what to do."""

    boards: tuple[KnownBoard, ...]
    streams: tuple[FoundStream, ...]
    bluetooth: Bluetooth
    simulations: tuple[Simulation, ...]
    missing: tuple[str, ...]


def scan(timeout: float) -> Sources:
    """Look for sources; listens for LSL streams until ``timeout`` seconds are over."""
    until = time.monotonic() + timeout
    missing: list[str] = []
    boards: tuple[KnownBoard, ...] = ()
    streams: tuple[FoundStream, ...] = ()
    try:
        boards = list_boards()
    except LibraryMissing as error:
        missing.append(str(error))
    bluetooth = find_bluetooth()
    simulations = list_simulations()
    try:
        liblsl()
        streams = listen(max(0.0, until - time.monotonic()))
    except LibraryMissing as error:
        missing.append(str(error))
    return Sources(boards, streams, bluetooth, simulations, tuple(missing))


def list_boards() -> tuple[KnownBoard, ...]:
    """BrainFlow's boards, those that more is known of first; raises LibraryMissing."""
    boards = [
        KnownBoard(board.name, board.number, facts.title, f"brainflow://{board.name}{facts.query}")
        for board in known_boards()
        for facts in [FACTS.get(board.number, Facts())]
    ]
    return tuple(sorted(boards, key=lambda board: board.title is None))


def listen(seconds: float) -> tuple[FoundStream, ...]:
    """The LSL streams that answer within so many seconds, by name; raises LibraryMissing."""
    found = [_found(stream) for stream in liblsl().resolve_streams(seconds)]
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
    blocked = [path for path in (classes / "rfkill").glob("*") if _blocks_bluetooth(path)]
    if blocked:
        return Bluetooth(True, f"{', '.join(adapters)}, blocked; run: rfkill unblock bluetooth")
    return Bluetooth(True, ", ".join(adapters))


def list_simulations() -> tuple[Simulation, ...]:
    """The simulator's scenarios."""
    return tuple(
        Simulation(name, scenario.summary, f"simulate://?scenario={name}")
        for name, scenario in SCENARIOS.items()
    )


def _found(stream: Any) -> FoundStream:
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
