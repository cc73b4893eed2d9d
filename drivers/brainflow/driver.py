"""Headsets through BrainFlow: ``brainflow://muse_2?mac_address=..``, any board that it knows.

BrainFlow has no blocking read and never says that a link is dead: the driver polls, and the
supervisor watches for silence. Its stamps are UNIX times of reception; they are put on the LSL
clock and evened out by the device's packet counter, or by the clock where that is not known to
count samples.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from mimamba.drivers.brainflow.battery import BatteryRow
from mimamba.drivers.brainflow.boards import (
    FACTS,
    PLAYBACK,
    STREAMING,
    SYNTHETIC,
    Board,
    BoardFacts,
    board_class,
    brainflow,
    describe_board,
    find_board,
)
from mimamba.drivers.brainflow.packet_filter import PacketFilter, Rows
from mimamba.drivers.channels import LAYOUTS, ChannelChoice
from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.errors import BadSource, DeviceNotFound, DriverError, StreamLost
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.timing.packet_counter import BYTE, CounterClock, PacketNumbering
from mimamba.drivers.timing.sample_clock import SampleClock
from mimamba.drivers.url import SourceURL

POLL = 0.01
"""Pause between two looks for samples, s: a fifth of a Muse's packet, and little work."""
RING = 60.0
"""BrainFlow's own buffer, s; it drops the oldest in silence."""
BELIEVED = 5.0
"""Stamps further than this from now are another machine's, s: reception stands in for them."""

TEXTS = ("mac_address", "serial_number", "serial_port", "ip_address", "other_info")
NUMBERS = {"timeout": 600, "ip_port": 65535, "ip_protocol": 2}


class BrainFlowDriver:
    """A board of BrainFlow as a driver.

    Parameters
    ----------
    source
        The place is the board: a name of BrainFlow's ``BoardIds``, in any case and without
        ``_BOARD``, or its number. Parameters: BrainFlow's ``mac_address``, ``serial_number``,
        ``serial_port``, ``ip_address``, ``ip_port``, ``ip_protocol``, ``other_info`` and
        ``timeout`` (for finding the device, s); ``master_board`` for a streaming or playback
        board, and ``file`` for the latter; ``channels`` and ``names``.

    Raises
    ------
    BadSource
        If there is no such board, it has no EEG, or a parameter is out of range.
    BadChannels
        If the channels asked for are not there.
    LibraryMissing
        If BrainFlow does not load.
    """

    def __init__(self, source: SourceURL) -> None:
        self._board = find_board(source.place)
        self._parameters = _parameters(source, self._board)
        number = int(self._parameters.get("master_board", self._board.number))
        self._rows = describe_board(number)
        self._facts = FACTS.get(number, BoardFacts())
        simulated = self._board.number == SYNTHETIC
        choice, notices = _choice(source, simulated)
        available = self._rows.get("eeg_names")
        eeg = self._rows["eeg_channels"]
        labels = available.split(",") if available else [str(n) for n in range(1, len(eeg) + 1)]
        picks = choice.pick(labels)
        self._eeg = [eeg[row] for row in picks.rows]
        self._info = StreamInfo(
            name=self._facts.title or self._rows["name"],
            source_id=self._identity(),
            sfreq=float(self._rows["sampling_rate"]),
            ch_names=picks.names,
            uv_per_bit=self._facts.uv_per_bit,
            range_uv=self._facts.range_uv,
            simulated=simulated,
            notices=notices,
        )
        played = number != self._board.number
        self._battery_row = None if played else BatteryRow.of(number)
        self._battery: float | None = None
        self._shim: Any = None
        self._closed = threading.Event()

    @property
    def info(self) -> StreamInfo:
        return self._info

    @property
    def battery(self) -> float | None:
        """Charge as the device told it last, percent; None where it has not."""
        return self._battery

    def __enter__(self) -> Self:
        """Connect; finding a Bluetooth headset takes about 6 s.

        Raises
        ------
        DeviceNotFound
            If the device does not answer.
        BadSource
            If the board needs a parameter that was not given.
        """
        shim = brainflow()
        board = board_class()(self._board.number, self._input())
        try:
            board.prepare_session()  # where this fails, a session of that name is another's
            self._start(board)
        except shim.BrainFlowError as error:
            raise self._explain(shim.BrainFlowExitCodes(error.exit_code).name) from error
        self._shim = board
        return self

    def _start(self, board: Any) -> None:
        try:
            board.start_stream(round(RING * self._info.sfreq))
        except BaseException:
            board.release_session()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let the device go; for a Bluetooth headset this takes about 4 s."""
        self.close()
        board, self._shim = self._shim, None
        if board is not None and board.is_prepared():
            board.release_session()  # stops the stream, too

    def close(self) -> None:
        """End the iteration; leaving the context lets the device go."""
        self._closed.set()

    def __iter__(self) -> Iterator[Chunk]:
        if self._shim is None:
            raise RuntimeError("enter the driver before iterating over it")
        numbering = self._facts.numbering
        if numbering is None:
            yield from self._stamped()
        else:
            yield from self._numbered(numbering)

    def _stamped(self) -> Iterator[Chunk]:
        """Chunks of a board whose numbers do not count samples."""
        clock = SampleClock(self._info.sfreq)
        for _, stamps, data in self._poll():
            yield from clock.push(stamps, data.astype(np.float32))
        yield from clock.flush()

    def _numbered(self, numbering: PacketNumbering) -> Iterator[Chunk]:
        clock = CounterClock(numbering, self._info.sfreq)
        sieve = PacketFilter() if numbering is BYTE else None
        for rows in self._poll():
            yield from clock.push(*(sieve.feed(rows) if sieve else rows))
        held = sieve.flush() if sieve else None
        if held is not None:
            yield from clock.push(*held)
        yield from clock.flush()

    def _poll(self) -> Iterator[Rows]:
        """What comes, until closed; stamps are times of reception on the LSL clock."""
        while not self._closed.wait(POLL):
            rows = self._read()
            if rows.shape[1]:
                numbers = rows[self._rows["package_num_channel"]]
                stamps = _on_lsl_clock(rows[self._rows["timestamp_channel"]])
                yield numbers, stamps, rows[self._eeg].T

    def _read(self) -> Any:
        """What came since the last call, (rows, n_times) float64."""
        try:
            rows = self._shim.get_board_data()
            if rows.shape[1] and self._battery_row is not None:
                self._battery = self._battery_row.read(self._shim, rows) or self._battery
        except brainflow().BrainFlowError as error:
            raise StreamLost(f"samples from {self._info.name}", str(error), "reconnect it") from (
                error
            )
        return rows

    def _input(self) -> Any:
        parameters = brainflow().BrainFlowInputParams()
        for name, value in self._parameters.items():
            setattr(parameters, name, value)
        return parameters

    def _identity(self) -> str:
        names = ("mac_address", "serial_number", "serial_port", "ip_address", "file")
        given = [str(self._parameters[name]) for name in names if name in self._parameters]
        return "/".join(["brainflow:", self._board.name, *given])

    def _explain(self, code: str) -> DriverError:
        """A failure to connect in words: BrainFlow gives a code, what it means depends."""
        device = self._info.name
        port = self._parameters.get("serial_port")
        if code == "INVALID_ARGUMENTS_ERROR":
            return BadSource(
                f"what {device} is reached by",
                ", ".join(self._parameters) or "no parameter",
                f"give it, e.g. brainflow://{self._board.name}?serial_port={_example_port()}",
            )
        if code == "ANOTHER_BOARD_IS_CREATED_ERROR":
            return DeviceNotFound(device, "it is open in this program", "close that session first")
        if port is not None:
            return DeviceNotFound(f"{device} on {port}", *_port_trouble(str(port), code))
        if code == "UNABLE_TO_OPEN_PORT_ERROR":
            return DeviceNotFound(
                device, f"no Bluetooth adapter ({code})", "switch Bluetooth on or plug one in"
            )
        return DeviceNotFound(
            device,
            f"no answer ({code})",
            "switch it on, bring it near, and disconnect it from phones and other programs",
        )


def _parameters(source: SourceURL, board: Board) -> dict[str, str | int]:
    """BrainFlow's input parameters that the URL gives."""
    texts = (*TEXTS, "file") if board.number == PLAYBACK else TEXTS
    found: dict[str, str | int] = {}
    for name in texts:
        text = source.text(name)
        if text is not None:
            found[name] = text
    for name, highest in NUMBERS.items():
        if source.text(name) is not None:
            found[name] = source.whole(name, 0, 0, highest)
    if board.number in {STREAMING, PLAYBACK}:
        master = source.text("master_board")
        if master is None:
            raise BadSource("master_board=", "none", "name the board that the samples are of")
        found["master_board"] = find_board(master).number
    return found


def _choice(source: SourceURL, simulated: bool) -> tuple[ChannelChoice, tuple[str, ...]]:
    """The channels asked for; of the synthetic board, four under a headset's names."""
    choice = ChannelChoice.of(source)
    if not simulated or choice.channels is not None:
        return choice, ()
    names = choice.names or LAYOUTS["muse"]
    channels = tuple(str(n) for n in range(1, len(names) + 1))
    notice = f"BrainFlow's synthetic channels 1 to {len(names)} stand in for {', '.join(names)}."
    return ChannelChoice(channels, names), (notice,)


def _on_lsl_clock(stamps: Any) -> Any:
    """UNIX times of reception as seconds on the LSL clock."""
    now = local_clock()
    # Measured at each call: the UNIX clock may be set meanwhile.
    moved = stamps + (now - time.time())
    return np.where(np.abs(moved - now) < BELIEVED, moved, now)


def _example_port() -> str:
    return {"win32": "COM3", "darwin": "/dev/cu.usbserial-DM00"}.get(sys.platform, "/dev/ttyUSB0")


def _port_trouble(port: str, code: str) -> tuple[str, str]:
    """What is wrong with a serial port, and what to do."""
    if sys.platform.startswith("linux"):
        if not Path(port).exists():
            return "no such port", "plug the dongle in and look for /dev/ttyUSB* or /dev/ttyACM*"
        if not os.access(port, os.R_OK | os.W_OK):
            return "no permission", "join the group dialout (sudo usermod -aG dialout $USER)"
    if code == "UNABLE_TO_OPEN_PORT_ERROR":
        return f"it does not open ({code})", "check the port's name and close other programs"
    return f"no answer ({code})", "switch the board on, near the dongle, with a full battery"
