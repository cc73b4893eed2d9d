"""Discovery of sources: headsets nearby, LSL streams, known boards, apps, the simulator."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode

from mimamba.drivers.bluetooth_errors import ADAPTER
from mimamba.drivers.brainflow.boards import BOARD_FACTS, BoardFacts, known_boards
from mimamba.drivers.discovery.bluetooth_scan import ScanResult, scan_bluetooth
from mimamba.drivers.discovery.bluetooth_scan_process import EXPECTED
from mimamba.drivers.discovery.headset_models import HeadsetModel, list_headset_models
from mimamba.drivers.discovery.nearby_headsets import Headset, find_dongles, find_headsets
from mimamba.drivers.discovery.phone_apps import PhoneApp, list_phone_apps
from mimamba.drivers.errors import LibraryMissing
from mimamba.drivers.lsl.discovery import load_pylsl
from mimamba.drivers.lsl.inlet import FORMATS
from mimamba.drivers.lsl.stream_types import is_eeg_type
from mimamba.drivers.simulator.scenario import SCENARIOS

T = TypeVar("T")
NO_WSL_DEVICES = "WSL 2 has no Bluetooth and no serial ports"
"""The stock kernel is built without Bluetooth, and USB devices stay with Windows."""
WSL_REMEDY = (
    "use the headset from Windows: press Connect a Muse on the page in Chrome or Edge, or install "
    "mimamba there as well, and run: mimamba acquire --source muse:// --to ws://127.0.0.1:8765"
)


@dataclass(frozen=True)
class KnownBoard:
    """A board that BrainFlow supports, near or not. ``..`` in the URL has to be filled in."""

    name: str
    number: int
    title: str | None
    url: str


@dataclass(frozen=True)
class FoundStream:
    """An LSL stream on the network; ``url`` is None if it is neither regular nor of type EEG."""

    name: str
    type: str
    sfreq: float
    n_channels: int
    source_id: str
    hostname: str
    url: str | None


@dataclass(frozen=True)
class BluetoothStatus:
    """State of Bluetooth.

    Parameters
    ----------
    present
        True if there is an adapter; None if that was not checked.
    detail
        Names of the adapters, or what is wrong with them.
    problem
        Reason why headsets could not be scanned for; None if they were.
    """

    present: bool | None
    detail: str
    problem: str | None = None


@dataclass(frozen=True)
class SimulatedSource:
    """A scenario of the simulator."""

    name: str
    summary: str
    url: str


@dataclass(frozen=True)
class Sources:
    """All sources found. ``missing`` has a message for each library that does not load."""

    headsets: tuple[Headset, ...]
    models: tuple[HeadsetModel, ...]
    boards: tuple[KnownBoard, ...]
    streams: tuple[FoundStream, ...]
    bluetooth: BluetoothStatus
    apps: tuple[PhoneApp, ...]
    simulations: tuple[SimulatedSource, ...]
    missing: tuple[str, ...]


def list_known_sources() -> Sources:
    """List what is known without a scan: boards, apps, simulations, Bluetooth adapters."""
    missing: list[str] = []
    adapter = find_adapters()
    problem = adapter.detail if adapter.present is False else "Headsets were not scanned for."
    return Sources(
        headsets=(),
        models=list_headset_models(),
        boards=_unless_missing(list_boards, missing),
        streams=(),
        bluetooth=replace(adapter, problem=problem),
        apps=list_phone_apps(),
        simulations=list_simulations(),
        missing=tuple(missing),
    )


def discover_sources(timeout: float) -> Sources:
    """Find sources; scans for headsets and LSL streams for ``timeout`` seconds."""
    until = time.monotonic() + timeout
    missing: list[str] = []
    with scan_bluetooth(timeout) as scanned:
        boards = _unless_missing(list_boards, missing)
        dongles = _unless_missing(find_dongles, missing)
        streams = _unless_missing(lambda: find_streams(max(0.0, until - time.monotonic())), missing)
        by_bluetooth = scanned()
    return Sources(
        headsets=(*find_headsets(by_bluetooth.advertisements), *dongles),
        models=list_headset_models(),
        boards=boards,
        streams=streams,
        bluetooth=bluetooth_status(find_adapters(), by_bluetooth),
        apps=list_phone_apps(),
        simulations=list_simulations(),
        missing=tuple(missing),
    )


def _unless_missing(look: Callable[[], tuple[T, ...]], missing: list[str]) -> tuple[T, ...]:
    """Return what ``look`` finds; if its library is missing, note that in ``missing``."""
    try:
        return look()
    except LibraryMissing as error:
        missing.append(str(error))
        return ()


def list_boards() -> tuple[KnownBoard, ...]:
    """List BrainFlow's boards, those with known facts first; raises LibraryMissing."""
    boards = [
        KnownBoard(board.name, board.number, facts.title, f"brainflow://{board.name}{facts.query}")
        for board in known_boards()
        for facts in [BOARD_FACTS.get(board.number, BoardFacts())]
    ]
    return tuple(sorted(boards, key=lambda board: board.title is None))


def find_streams(seconds: float) -> tuple[FoundStream, ...]:
    """Find the LSL streams that answer within ``seconds``, by name; raises LibraryMissing."""
    streams = load_pylsl().resolve_streams(seconds)
    found = [_stream(stream, streams) for stream in streams]
    return tuple(sorted(found, key=lambda stream: (stream.name, stream.type, stream.source_id)))


def is_wsl(kernel: Path = Path("/proc/version")) -> bool:
    """Return True within the Windows Subsystem for Linux, whose kernel names its maker."""
    try:
        return "microsoft" in kernel.read_text(encoding="utf-8").lower()
    except OSError:
        return False


def find_adapters(
    classes: Path = Path("/sys/class"), kernel: Path = Path("/proc/version")
) -> BluetoothStatus:
    """Find the adapters that Linux lists; other systems are not checked."""
    if not sys.platform.startswith("linux"):
        return BluetoothStatus(None, "not checked on this system")
    adapters = sorted(path.name for path in (classes / "bluetooth").glob("hci*"))
    # Connections are listed, too, such as hci0:64.
    adapters = [name for name in adapters if ":" not in name]
    if not adapters and is_wsl(kernel):
        return BluetoothStatus(False, f"no adapter, since {NO_WSL_DEVICES}; {WSL_REMEDY}")
    if not adapters:
        return BluetoothStatus(False, "no adapter; plug one in, or use the board's own dongle")
    if any(_blocks_bluetooth(path) for path in (classes / "rfkill").glob("*")):
        return BluetoothStatus(
            True, f"{', '.join(adapters)}, blocked; run: rfkill unblock bluetooth"
        )
    return BluetoothStatus(True, ", ".join(adapters))


def bluetooth_status(adapter: BluetoothStatus, scanned: ScanResult) -> BluetoothStatus:
    """Combine the adapter that was found with the result of a scan."""
    error = scanned.error
    if error is None:
        return BluetoothStatus(True, adapter.detail if adapter.present else "scanned for headsets")
    if error.found.startswith(ADAPTER) and not adapter.present:
        adapter = BluetoothStatus(True, error.found)  # a container's list may be empty
    # A missing or blocked adapter is the cause of the scan's error.
    known = adapter.present is False or is_blocked(adapter)
    problem = f"Expected {EXPECTED}, but found {adapter.detail}." if known else str(error)
    return replace(adapter, problem=problem)


def is_blocked(adapter: BluetoothStatus) -> bool:
    """Return True if a kill switch blocks the adapter."""
    return ", blocked; " in adapter.detail


def list_simulations() -> tuple[SimulatedSource, ...]:
    """List the simulator's scenarios."""
    return tuple(
        SimulatedSource(name, scenario.summary, f"simulate://?scenario={name}")
        for name, scenario in SCENARIOS.items()
    )


def _stream(stream: Any, all_streams: Sequence[Any]) -> FoundStream:
    sfreq = float(stream.nominal_srate())
    signal = stream.channel_format() in FORMATS and (sfreq > 0 or is_eeg_type(stream.type()))
    return FoundStream(
        name=stream.name(),
        type=stream.type(),
        sfreq=sfreq,
        n_channels=stream.channel_count(),
        source_id=stream.source_id(),
        hostname=stream.hostname(),
        url=_url(stream, all_streams) if signal else None,
    )


def _url(stream: Any, all_streams: Sequence[Any]) -> str:
    """Return a URL with as many facts as tell the stream apart from the others."""
    facts = {"name": stream.name(), "source_id": stream.source_id()}
    given = {key: value for key, value in facts.items() if value}
    if not is_eeg_type(stream.type()):
        given["type"] = stream.type()
    twins = [each for each in all_streams if _identity(each) == _identity(stream)]
    if len(twins) > 1:
        hosts = [each.hostname() for each in twins]
        unique = hosts.count(stream.hostname()) == 1
        given |= {"hostname": stream.hostname()} if unique else {"uid": stream.uid()}
    return f"lsl://?{urlencode(given)}"


def _identity(stream: Any) -> tuple[str, str, str]:
    return stream.name(), stream.source_id(), stream.type().lower()


def _blocks_bluetooth(switch: Path) -> bool:
    """Return True if this kill switch is for Bluetooth, and on by software or hardware."""
    try:
        kind, soft, hard = (
            (switch / name).read_text().strip() for name in ("type", "soft", "hard")
        )
    except OSError:
        return False
    return kind == "bluetooth" and "1" in {soft, hard}
