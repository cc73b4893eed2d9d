"""A Muse by way of an app: ``osc://:5000?from=mindmonitor``, ``osc://:5000?from=petal``.

The app, usually on a phone, sends OSC messages by UDP; this driver listens. UDP has no connection:
after a silence the same port goes on listening, and what was lost is a gap.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from statistics import median
from typing import Self, TypeAlias
from urllib.parse import urlsplit

from mimamba.drivers.channels import ChannelChoice, ChannelSelection
from mimamba.drivers.driver import AuxiliaryChunk, Chunk, StreamInfo
from mimamba.drivers.errors import BadSource, DeviceNotFound
from mimamba.drivers.osc.app_receiver import AppReceiver, ArrivedMessage, merge_chunks
from mimamba.drivers.osc.datagrams import DamagedDatagram, OSCMessage, parse_datagram
from mimamba.drivers.osc.layouts import (
    ELECTRODES,
    LAYOUTS,
    N_ELECTRODES,
    PORT,
    SFREQ,
    AppLayout,
    SensorSample,
    recognise_layout,
)
from mimamba.drivers.timing.clock import local_clock
from mimamba.drivers.url import SourceURL

EVERYWHERE = "0.0.0.0"
SEARCH_SECONDS = 30.0
"""Time for the first EEG unless the URL says otherwise, s: a person starts it on the phone."""
CHECK_SECONDS = 1.0
"""Time for which the first EEG is checked, s."""
PERIOD = 0.04
"""Time between two chunks, s."""
PATIENCE = 3600.0
"""Silence, s, after which listening again may help; nothing is gained by it earlier."""
TAKEOVER_SECONDS = 2.0
"""Silence of a sender, s, after which another one is taken."""
LEAST_SHARE = 0.5
"""Share of the rate that must arrive: with less, the app leaves samples out."""
RAW_LEVEL_UV = 400.0
"""Level above which values are raw, from 0 to ``FULL_SCALE_UV``."""
FULL_SCALE_UV = 1682.815
"""As in Mind Monitor's CSV."""
RECEIVE_BYTES = 1 << 20
"""Datagrams that the system keeps while this process is busy."""
NAMED = 6
"""Addresses that an error names."""

Sender: TypeAlias = tuple[str, int]


class OSCDriver:
    """Messages of an app as a driver.

    Parameters
    ----------
    source
        URL. Its target is ``HOST:PORT`` of this machine: without a host, every address of it.
        Parameters: ``from`` (``mindmonitor``, the default, or ``petal``), ``sender`` (the only
        address whose datagrams count), ``timeout`` for the first EEG (1 to 600 s), ``sfreq`` (Hz,
        220 for a Muse of 2014), ``channels`` and ``names``.

    Raises
    ------
    BadSource
        If the target is no address, or a parameter is wrong.
    BadChannels
        If a channel asked for does not exist.
    """

    def __init__(self, source: SourceURL) -> None:
        self._layout = LAYOUTS[source.choice("from", "mindmonitor", LAYOUTS)]
        self._place = _parse_place(source.target)
        self._only = source.text("sender")
        self._timeout = source.number("timeout", SEARCH_SECONDS, 1, 600)
        self._sfreq = source.number("sfreq", SFREQ, 100, 1000)
        self._choice = ChannelChoice.from_url(source)
        self._closed = threading.Event()
        self._remarks: list[str] = []
        self._others: set[str] = set()
        self._damaged = False
        self._sender: Sender | None = None
        self._heard = 0.0
        self._socket: socket.socket | None = None
        self._receiver: AppReceiver | None = None
        self._first: list[ArrivedMessage] = []
        """Messages that were checked, and are not converted yet."""
        names = self._pick(len(ELECTRODES)).names
        self._info = StreamInfo(
            name=self._layout.title,
            source_id=f"osc:{self._place[1]}:{self._layout.name}",
            sfreq=self._sfreq,
            ch_names=names,
        )

    @property
    def info(self) -> StreamInfo:
        return self._info

    @property
    def battery(self) -> float | None:
        """Charge that the app reported last, percent; None if it reported none."""
        return None if self._receiver is None else self._receiver.battery

    @property
    def patience(self) -> float:
        """Silence, s, during which the port stays open: the app may go on at any time."""
        return PATIENCE

    @property
    def has_auxiliary(self) -> bool:
        """True: the app may begin to send pulse and motion at any time."""
        return True

    def take_auxiliary(self) -> list[AuxiliaryChunk]:
        """Return the pulse and motion received since the last call."""
        return [] if self._receiver is None else self._receiver.take_auxiliary()

    def take_remarks(self) -> tuple[str, ...]:
        """Return remarks about senders since the last call, a phrase each."""
        remarks, self._remarks = tuple(self._remarks), []
        return remarks if self._receiver is None else remarks + self._receiver.take_remarks()

    def __enter__(self) -> Self:
        """Listen, and wait for a second of EEG.

        Raises
        ------
        BadSource
            If the port cannot be used, or the app has another layout or leaves samples out.
        BadChannels
            If the app does not send a channel that was asked for.
        DeviceNotFound
            If no EEG comes in time.
        """
        self._socket = self._listen()
        try:
            self._open(self._wait())
        except BaseException:
            self._socket.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
        if self._socket is not None:
            self._socket.close()

    def close(self) -> None:
        """End the iteration; leaving the context closes the port."""
        self._closed.set()

    def __iter__(self) -> Iterator[Chunk]:
        receiver = self._receiver
        if receiver is None:
            raise RuntimeError("enter the driver before iterating over it")
        while not self._closed.is_set():
            yield from merge_chunks(receiver.take_eeg())
            if self._first:
                first, self._first = _split(self._first)
                receiver.feed(first, first[-1].stamp)
            else:
                receiver.feed(self._pull(), local_clock())
        receiver.flush()
        yield from merge_chunks(receiver.take_eeg())

    def _listen(self) -> socket.socket:
        opened = socket.socket(_family(self._place[0]), socket.SOCK_DGRAM)
        try:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            opened.bind(self._place)
        except OSError as error:
            opened.close()
            raise BadSource(
                f"UDP port {self._place[1]} of {self._place[0]} to listen at",
                f"one that cannot be used ({error.strerror or error})",
                "close the program that uses it, or choose another port in the app and the URL",
            ) from error
        return opened

    def _wait(self) -> list[ArrivedMessage]:
        """Return the first second of messages; raises DeviceNotFound or BadSource."""
        search = _Search(self._layout, self._place, self._timeout)
        first: float | None = None
        arrived: list[ArrivedMessage] = []
        end = time.monotonic() + self._timeout
        while not self._closed.is_set():
            for each in self._pull(search):
                if self._is_eeg(each.message):
                    first = each.stamp if first is None else first
                if first is not None:
                    arrived.append(each)
            if first is not None and local_clock() - first >= CHECK_SECONDS:
                return arrived
            if search.other is not None:
                end = min(end, time.monotonic() + CHECK_SECONDS)
            if first is None and time.monotonic() >= end:
                break
        raise search.error()

    def _open(self, arrived: list[ArrivedMessage]) -> None:
        """Check the first second, and begin with it."""
        eeg = [each for each in arrived if self._is_eeg(each.message)]
        decoded = [self._layout.decode(each.message) for each in eeg]
        values = [each.values for each in decoded if isinstance(each, SensorSample)]
        rate = len(values) / max(CHECK_SECONDS, eeg[-1].stamp - eeg[0].stamp)
        if rate < LEAST_SHARE * self._sfreq:
            raise BadSource(
                f"about {self._sfreq:g} samples per second from {self._layout.title}",
                f"{rate:.0f}",
                "let the app send every sample, or move closer to the wireless router",
            )
        picks = self._pick(max(len(each) for each in values))
        known = [each for row in values for each in row[:N_ELECTRODES] if each == each]
        raw = bool(known) and median(known) > RAW_LEVEL_UV
        offset = FULL_SCALE_UV / 2 if raw else 0.0
        timed = all(each.message.time is not None for each in eeg)
        receiver = AppReceiver(self._layout, self._sfreq, picks.rows, offset, timed)
        self._info = StreamInfo(
            name=self._layout.title,
            source_id=self._info.source_id,
            sfreq=self._sfreq,
            ch_names=picks.names,
            range_uv=FULL_SCALE_UV / 2,
            notices=tuple(self._notices(raw)),
        )
        self._receiver, self._first = receiver, arrived

    def _notices(self, raw: bool) -> Iterator[str]:
        if raw:
            yield f"Raw values: the offset of {FULL_SCALE_UV / 2:.1f} µV is subtracted."
        if self._place[0] in (EVERYWHERE, "::") and self._only is None:
            yield (
                f"Anyone on the network can send to UDP port {self._place[1]}; "
                "sender= with the phone's address keeps others out."
            )
        if self._others:
            yield f"Other senders at this port are not used: {', '.join(sorted(self._others))}."

    def _pick(self, n_values: int) -> ChannelSelection:
        names = ELECTRODES[:n_values]
        asked = self._choice.channels or ELECTRODES[:N_ELECTRODES]
        return ChannelChoice(asked, self._choice.names).select(names)

    def _is_eeg(self, message: OSCMessage) -> bool:
        found = self._layout.decode(message)
        return isinstance(found, SensorSample) and found.info is None

    def _pull(self, search: _Search | None = None) -> list[ArrivedMessage]:
        """Wait for ``PERIOD``, and return the messages that arrived from the sender."""
        assert self._socket is not None
        arrived: list[ArrivedMessage] = []
        end = time.monotonic() + PERIOD
        while (left := end - time.monotonic()) > 0 and not self._closed.is_set():
            self._socket.settimeout(left)
            try:
                data, address = self._socket.recvfrom(1 << 16)
            except TimeoutError:
                break
            except ConnectionError:  # Windows reports an earlier answer so
                continue
            sender = (str(address[0]), int(address[1]))
            if self._only is None or sender[0] == self._only:
                arrived += self._take(data, sender, search)
        return arrived

    def _take(self, data: bytes, sender: Sender, search: _Search | None) -> list[ArrivedMessage]:
        now = local_clock()
        try:
            messages = parse_datagram(data)
        except DamagedDatagram:
            if not self._damaged and search is None:
                self._remarks.append(f"datagrams from {sender[0]} that are no OSC are ignored")
            self._damaged = True
            messages = []
        if search is not None:
            search.note(messages)
        taken: list[ArrivedMessage] = []
        for message in messages:
            ours = self._admit(sender, now) if self._is_eeg(message) else self._is_near(sender)
            if ours:
                taken.append(ArrivedMessage(message, now))
        return taken

    def _is_near(self, sender: Sender) -> bool:
        """Return True for the device that sends the EEG; it may use other ports for the rest."""
        return self._sender is not None and sender[0] == self._sender[0]

    def _admit(self, sender: Sender, now: float) -> bool:
        """Return True for EEG of the first sender, or of another one once that is silent."""
        if self._sender is None:
            self._sender = sender
        elif sender != self._sender:
            name = f"{sender[0]}:{sender[1]}"
            if now - self._heard < TAKEOVER_SECONDS:
                if name not in self._others and self._receiver is not None:
                    self._remarks.append(
                        f"another sender at {name} is not used; sender= chooses one"
                    )
                self._others.add(name)
                return False
            self._sender = sender
            self._remarks.append(f"the samples come from {name} now")
        self._heard = now
        return True


class _Search:
    """All that came before the first EEG, and the error that says what is wrong with it."""

    def __init__(self, layout: AppLayout, place: tuple[str, int], seconds: float) -> None:
        self.other: AppLayout | None = None
        self._layout = layout
        self._place = place
        self._seconds = seconds
        self._datagrams = 0
        self._seen: dict[str, str] = {}

    def note(self, messages: list[OSCMessage]) -> None:
        """Note the messages of a datagram; none if it was no OSC."""
        self._datagrams += 1
        for message in messages:
            if len(self._seen) < NAMED:
                self._seen[message.address] = message.tags
            if self.other is None:
                found = recognise_layout(message)
                self.other = found if found is not self._layout else None

    def error(self) -> BadSource | DeviceNotFound:
        """Return the error that names what was expected, what came, and what to do."""
        expected = f"EEG in the layout of {self._layout.title} ({self._layout.eeg})"
        if self.other is not None:
            return BadSource(
                expected,
                f"that of {self.other.title} ({self.other.eeg})",
                f"use from={self.other.name}",
            )
        near = [f"{at} with {tags}" for at, tags in self._seen.items() if at.endswith("/eeg")]
        if near:
            return BadSource(expected, near[0], "check which app sends, and choose its from=")
        within = f"within {self._seconds:g} s"
        if self._seen:
            return DeviceNotFound(
                expected, f"only {', '.join(self._seen)} {within}", "let the app send raw EEG, too"
            )
        where = f"UDP port {self._place[1]} of {self._place[0]}"
        if self._datagrams:
            return DeviceNotFound(
                expected, f"datagrams that are no OSC at {where}", "choose another port"
            )
        return DeviceNotFound(
            f"{expected} at {where}",
            f"none {within}",
            "enter this machine's address and the port in the app, start its stream, and let UDP "
            "through the firewall",
        )


def _split(arrived: list[ArrivedMessage]) -> tuple[list[ArrivedMessage], list[ArrivedMessage]]:
    """Divide messages into those of one ``PERIOD`` and the rest."""
    end = arrived[0].stamp + PERIOD
    n = next((k for k, each in enumerate(arrived) if each.stamp > end), len(arrived))
    return arrived[:n], arrived[n:]


def _parse_place(target: str) -> tuple[str, int]:
    """Return the address and port to listen at; raises BadSource."""
    try:
        parts = urlsplit(f"//{target}")
        if parts.netloc != target or parts.username is not None:
            raise ValueError("more than an address")  # noqa: TRY301  reported like the others
        port = PORT if parts.port is None else parts.port
    except ValueError as error:
        raise BadSource(
            f"osc://:{PORT} or osc://HOST:PORT", f"osc://{target}", "correct the address"
        ) from error
    return parts.hostname or EVERYWHERE, port


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
