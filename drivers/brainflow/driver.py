"""Headsets through BrainFlow: ``brainflow://muse_2?mac_address=..``, any board that it supports.

BrainFlow has no blocking read and does not report a dead connection: the driver polls, and the
supervisor watches for silence. BrainFlow's stamps are UNIX times of reception. They are translated
to the LSL clock, and evened out by the device's packet counter, or by ``SampleClock`` if the
counter may not count samples.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from mimamba.drivers.auxiliary_buffer import AuxiliaryBuffer
from mimamba.drivers.brainflow.auxiliary import AuxiliaryPreset, SensorsInRows
from mimamba.drivers.brainflow.battery import BatteryRow
from mimamba.drivers.brainflow.boards import (
    BOARD_FACTS,
    NEED_DBUS,
    PLAYBACK,
    STREAMING,
    SYNTHETIC,
    BoardFacts,
    BrainFlowBoard,
    board_class,
    describe_board,
    find_board,
    load_brainflow,
)
from mimamba.drivers.brainflow.corrupt_rows import NumberedRows, PacketFilter
from mimamba.drivers.channels import HEADSET_CHANNELS, ChannelChoice
from mimamba.drivers.driver import AuxiliaryChunk, Chunk, StreamInfo
from mimamba.drivers.errors import BadSource, DeviceNotFound, DriverError, StreamLost
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.timing.packet_counter import BYTE_NUMBERING, CounterClock, PacketNumbering
from mimamba.drivers.timing.sample_clock import SampleClock
from mimamba.drivers.url import SourceURL

AUXILIARY_PERIOD = 0.1
"""Pause between two reads of what is measured beside the EEG, s."""
POLL_SECONDS = 0.01
"""Pause between two reads, s: a fifth of a Muse's packet, and little work."""
BUFFER_SECONDS = 60.0
"""Length of BrainFlow's own buffer, s; it drops the oldest samples without notice."""
MAX_CLOCK_OFFSET = 5.0
"""Largest distance of a stamp from now, s; other stamps are replaced by the time of reception."""
PATIENCE = 6.0
"""Silence, s, after which a new connection is made: a radio link that stalls for longer is lost,
and BrainFlow does not connect again by itself."""
MAX_LEAD = 0.5
"""Largest lead of a sample over the present, s."""

TEXT_PARAMETERS = ("mac_address", "serial_number", "serial_port", "ip_address", "other_info")
INTEGER_PARAMETERS = {"timeout": 600, "ip_port": 65535, "ip_protocol": 2}


class BrainFlowDriver:
    """A board of BrainFlow as a driver.

    Parameters
    ----------
    source
        URL. Its target is the board: a name of BrainFlow's ``BoardIds``, in any case and without
        ``_BOARD``, or its number. Parameters: BrainFlow's ``mac_address``, ``serial_number``,
        ``serial_port``, ``ip_address``, ``ip_port``, ``ip_protocol``, ``other_info`` and
        ``timeout`` (for finding the device, s); ``master_board`` for a streaming or playback
        board, and ``file`` for the latter; ``channels`` and ``names``.

    Raises
    ------
    BadSource
        If there is no such board, it has no EEG, or a parameter is out of range.
    BadChannels
        If a channel asked for does not exist.
    LibraryMissing
        If BrainFlow does not load.
    """

    def __init__(self, source: SourceURL) -> None:
        self._board = find_board(source.target)
        self._parameters = _parameters(source, self._board)
        number = int(self._parameters.get("master_board", self._board.number))
        self._rows = describe_board(number)
        self._facts = BOARD_FACTS.get(number, BoardFacts())
        simulated = self._board.number == SYNTHETIC
        choice, notices = _channel_choice(source, simulated)
        available = self._rows.get("eeg_names")
        eeg = self._rows["eeg_channels"]
        labels = available.split(",") if available else [str(n) for n in range(1, len(eeg) + 1)]
        picks = choice.select(labels)
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
        self._battery_row = None if played else BatteryRow.for_board(number)
        self._battery: float | None = None
        self._presets = [] if played else AuxiliaryPreset.for_board(number)
        self._in_rows = None if played else SensorsInRows.for_board(number, self._facts.motion_rate)
        self._columns = [*self._eeg, *(self._in_rows.rows if self._in_rows else ())]
        self._options = "" if played else self._facts.options
        self._command = "" if played else self._facts.command
        self._auxiliary = AuxiliaryBuffer()
        self._auxiliary_due = 0.0
        self._shim: Any = None
        self._closed = threading.Event()

    @property
    def info(self) -> StreamInfo:
        return self._info

    @property
    def battery(self) -> float | None:
        """Charge that the device reported last, percent; None if it reported none."""
        return self._battery

    @property
    def has_auxiliary(self) -> bool:
        """True if the board has pulse or motion beside the EEG."""
        return bool(self._presets) or self._in_rows is not None

    def take_auxiliary(self) -> list[AuxiliaryChunk]:
        """Return the pulse and motion measured since the last call."""
        return self._auxiliary.take()

    @property
    def patience(self) -> float:
        """Silence, s, during which BrainFlow may still deliver what a radio link holds back."""
        return PATIENCE

    def __enter__(self) -> Self:
        """Connect; finding a Bluetooth headset takes about 6 s.

        Raises
        ------
        DeviceNotFound
            If the device does not answer.
        BadSource
            If the board needs a parameter that was not given.
        """
        shim = load_brainflow()
        if self._board.number in NEED_DBUS and not _has_dbus():
            raise DeviceNotFound(self._info.name, "no D-Bus", "install and start dbus and bluez")
        board = board_class()(self._board.number, self._input())
        try:
            board.prepare_session()  # if this fails, there is nothing to release
            self._start(board)
        except shim.BrainFlowError as error:
            raise self._explain(shim.BrainFlowExitCodes(error.exit_code).name) from error
        self._shim = board
        return self

    def _start(self, board: Any) -> None:
        try:
            if self._command:
                board.config_board(self._command)
            board.start_stream(round(BUFFER_SECONDS * self._info.sfreq))
        except BaseException:
            board.release_session()
            raise

    def __exit__(self, *exc: object) -> None:
        """Release the device; for a Bluetooth headset this takes about 4 s."""
        self.close()
        board, self._shim = self._shim, None
        if board is not None and board.is_prepared():
            board.release_session()  # stops the stream, too

    def close(self) -> None:
        """End the iteration; leaving the context releases the device."""
        self._closed.set()

    def __iter__(self) -> Iterator[Chunk]:
        if self._shim is None:
            raise RuntimeError("enter the driver before iterating over it")
        numbering = self._facts.numbering
        chunks = self._stamped() if numbering is None else self._numbered(numbering)
        for chunk in chunks:
            self._check_pace(chunk)
            yield self._without_sensors(chunk)

    def _without_sensors(self, chunk: Chunk) -> Chunk:
        """Return the EEG of a chunk, and keep the sensors in it."""
        if self._in_rows is None:
            return chunk
        n_eeg = len(self._eeg)
        self._auxiliary.add(self._in_rows.push(replace(chunk, data=chunk.data[:, n_eeg:])))
        return replace(chunk, data=np.ascontiguousarray(chunk.data[:, :n_eeg]))

    def _check_pace(self, chunk: Chunk) -> None:
        """Raise StreamLost if samples come ahead of time.

        BrainFlow's synthetic board keeps time by the computer's clock: if that is set one hour
        ahead, it sends the samples of this hour at once.
        """
        ahead = float(chunk.timestamps[-1]) - local_clock()
        if ahead > MAX_LEAD:
            raise StreamLost(
                f"samples of {self._info.name} at {self._info.sfreq:g} Hz",
                f"more, {ahead:.1f} s ahead of time, as when the computer's clock is set",
                "wait until it is connected again",
            )

    def _stamped(self) -> Iterator[Chunk]:
        """Yield chunks by timestamps: the board's packet numbers do not count samples."""
        clock = SampleClock(self._info.sfreq)
        for _, stamps, data in self._poll():
            yield from clock.push(stamps, data.astype(np.float32))
        yield from clock.flush()

    def _numbered(self, numbering: PacketNumbering) -> Iterator[Chunk]:
        """Yield chunks by packet numbers."""
        clock = CounterClock(numbering, self._info.sfreq)
        packets = PacketFilter() if numbering is BYTE_NUMBERING else None
        for rows in self._poll():
            yield from clock.push(*(packets.feed(rows) if packets else rows))
        held = packets.flush() if packets else None
        if held is not None:
            yield from clock.push(*held)
        yield from clock.flush()

    def _poll(self) -> Iterator[NumberedRows]:
        """Yield what arrives, until closed; stamps are times of reception on the LSL clock."""
        while not self._closed.wait(POLL_SECONDS):
            rows = self._read()
            if self._presets and time.monotonic() >= self._auxiliary_due:
                self._read_auxiliary()
            if rows.shape[1]:
                numbers = rows[self._rows["package_num_channel"]]
                stamps = _on_lsl_clock(rows[self._rows["timestamp_channel"]])
                yield numbers, stamps, rows[self._columns].T

    def _read(self) -> Any:
        """Read what has arrived since the last call, (rows, n_times) float64."""
        try:
            rows = self._shim.get_board_data()
            if rows.shape[1] and self._battery_row is not None:
                self._battery = self._battery_row.read(self._shim, rows) or self._battery
        except load_brainflow().BrainFlowError as error:
            raise StreamLost(
                f"samples from {self._info.name}", str(error), "reconnect the headset"
            ) from (error)
        return rows

    def _read_auxiliary(self) -> None:
        """Read what has arrived of pulse and motion."""
        self._auxiliary_due = time.monotonic() + AUXILIARY_PERIOD
        for each in self._presets:
            try:
                rows = self._shim.get_board_data(preset=each.preset)
            except load_brainflow().BrainFlowError:
                continue  # if the device is gone, the next read of the EEG says so
            if rows.shape[1]:
                self._auxiliary.add(each.push(_on_lsl_clock(rows[each.stamps]), rows))

    def _input(self) -> Any:
        parameters = load_brainflow().BrainFlowInputParams()
        parameters.other_info = self._options
        for name, value in self._parameters.items():
            setattr(parameters, name, value)
        return parameters

    def _identity(self) -> str:
        names = ("mac_address", "serial_number", "serial_port", "ip_address", "file")
        given = [str(self._parameters[name]) for name in names if name in self._parameters]
        return "/".join(["brainflow:", self._board.name, *given])

    def _explain(self, code: str) -> DriverError:
        """Describe a failure to connect by BrainFlow's code and the parameters."""
        device = self._info.name
        port = self._parameters.get("serial_port")
        if code == "INVALID_ARGUMENTS_ERROR":
            return BadSource(
                f"the parameter by which {device} is found",
                ", ".join(self._parameters) or "none",
                f"add it, e.g. brainflow://{self._board.name}?serial_port={_example_port()}",
            )
        if code == "UNSUPPORTED_BOARD_ERROR":
            return BadSource(
                "a board that this build of BrainFlow supports",
                f"{device}, which it does not support on this computer",
                "choose another way to connect it, or use another computer",
            )
        if code == "ANOTHER_BOARD_IS_CREATED_ERROR":
            return DeviceNotFound(
                device, "one that this program has already opened", "close that session first"
            )
        if port is not None:
            return DeviceNotFound(f"{device} on {port}", *_explain_port(str(port), code))
        if code == "UNABLE_TO_OPEN_PORT_ERROR":
            return DeviceNotFound(
                device,
                f"no Bluetooth adapter ({code})",
                "switch Bluetooth on, or plug in an adapter",
            )
        return DeviceNotFound(
            device,
            f"no answer ({code})",
            "switch it on, bring it near, and disconnect it from phones and other programs",
        )


def _parameters(source: SourceURL, board: BrainFlowBoard) -> dict[str, str | int]:
    """Read BrainFlow's input parameters from the URL."""
    texts = (*TEXT_PARAMETERS, "file") if board.number == PLAYBACK else TEXT_PARAMETERS
    found: dict[str, str | int] = {}
    for name in texts:
        text = source.text(name)
        if text is not None:
            found[name] = text
    for name, highest in INTEGER_PARAMETERS.items():
        if source.text(name) is not None:
            found[name] = source.integer(name, 0, 0, highest)
    if board.number in {STREAMING, PLAYBACK}:
        master = source.text("master_board")
        if master is None:
            raise BadSource("master_board=", "none", "add the board that the samples come from")
        found["master_board"] = find_board(master).number
    return found


def _channel_choice(source: SourceURL, simulated: bool) -> tuple[ChannelChoice, tuple[str, ...]]:
    """Read the channels asked for; by default the synthetic board has a Muse's four."""
    choice = ChannelChoice.from_url(source)
    if not simulated or choice.channels is not None:
        return choice, ()
    names = choice.names or HEADSET_CHANNELS["muse"]
    channels = tuple(str(n) for n in range(1, len(names) + 1))
    notice = f"BrainFlow's synthetic channels 1 to {len(names)} stand in for {', '.join(names)}."
    return ChannelChoice(channels, names), (notice,)


def _has_dbus() -> bool:
    """Return False on a Linux without a system bus."""
    if not sys.platform.startswith("linux") or "DBUS_SYSTEM_BUS_ADDRESS" in os.environ:
        return True
    return Path("/run/dbus/system_bus_socket").exists()


def _on_lsl_clock(stamps: Any) -> Any:
    """Translate UNIX times of reception to the LSL clock, s."""
    now = local_clock()
    # Measured at each call, because the UNIX clock may be set.
    moved = stamps + (now - time.time())
    return np.where(np.abs(moved - now) < MAX_CLOCK_OFFSET, moved, now)


def _example_port() -> str:
    return {"win32": "COM3", "darwin": "/dev/cu.usbserial-DM00"}.get(sys.platform, "/dev/ttyUSB0")


def _explain_port(port: str, code: str) -> tuple[str, str]:
    """Return what is wrong with a serial port, and what to do."""
    if sys.platform.startswith("linux"):
        if not Path(port).exists():
            return "no such port", "plug in the dongle and look for /dev/ttyUSB* or /dev/ttyACM*"
        if not os.access(port, os.R_OK | os.W_OK):
            return "no permission", "join the group dialout (sudo usermod -aG dialout $USER)"
    if code == "UNABLE_TO_OPEN_PORT_ERROR":
        return f"a port that does not open ({code})", "check its name and close other programs"
    return f"no answer ({code})", "switch on the board near the dongle and check its battery"
