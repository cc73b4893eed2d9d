"""Samples from a remote acquirer: the headset is on one machine, the service on another.

The acquirer numbers its packets by ``seq`` and repeats those that were not acknowledged. An
``Inbox`` accepts each number once, in order. It is small, so that a sender that is too fast has to
wait. The ``PushDriver`` yields the packets' samples. ``first`` is the acquirer's own, so a lost
connection is not a gap if all samples arrive in the end.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from operator import le
from typing import Literal, Self

import numpy as np

from mimamba.drivers.auxiliary_buffer import AuxiliaryBuffer
from mimamba.drivers.driver import AuxiliaryChunk, Chunk, LinkChange, Seconds, StreamInfo
from mimamba.drivers.errors import BadSamples, StreamLost
from mimamba.drivers.timing.clock import local_clock

SILENCE_TIMEOUT = 2.0
"""Seconds without a message, after which the connection to the acquirer counts as lost."""
MAX_PACKETS = 64
"""Packets of a recording that may wait for its session: 3 s of a Muse's."""
MAX_SLEW = 5e-4
"""Correction of the clocks' offset, seconds per second; quartz drifts by a tenth of that."""
CLOCK_STEP = 1.0
"""Offset that is corrected in one step, s: the acquirer's machine was suspended."""
MAX_TIMESTAMP = 1e11
"""Largest plausible timestamp, s."""
MAX_TEXT = 1000
"""Characters of a label, a source's name or a detail."""
MAX_INDEX = 2**53
"""Largest sample index: browsers count in float64."""


@dataclass(frozen=True, eq=False)
class Packet:
    """A unit that is sent and acknowledged as a whole.

    Parameters
    ----------
    seq
        Number that grows by one with each packet, by more if the acquirer had to drop some.
    chunk
        Samples, with timestamps on the acquirer's clock. Without samples there are no markers.
    changes
        Changes of the connection between acquirer and device, before the chunk.
    ends
        True for the last packet.
    auxiliary
        Samples that the device has measured beside the EEG meanwhile.
    battery
        Charge of the device, percent; None if it reports none.
    """

    seq: int
    chunk: Chunk
    changes: tuple[LinkChange, ...] = ()
    ends: bool = False
    auxiliary: tuple[AuxiliaryChunk, ...] = ()
    battery: float | None = None


class ClockTranslator:
    """Translation from the acquirer's clock to ours; it never goes back.

    The offset between the clocks is estimated all the time. The translation approaches a new
    estimate by at most ``MAX_SLEW``, so timestamps stay even. An estimate that is more than
    ``CLOCK_STEP`` ahead is used immediately.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._last = 0.0

    @property
    def state(self) -> tuple[float | None, float]:
        """The offset, None before the first sample, and the time that it is for, s."""
        return self._offset, self._last

    @state.setter
    def state(self, state: tuple[float | None, float]) -> None:
        self._offset, self._last = state

    def __call__(self, timestamps: Seconds, estimate: float) -> Seconds:
        """Translate timestamps (n_times,), not decreasing, to our clock.

        ``estimate`` is our clock minus theirs, s.
        """
        if timestamps.size == 0:
            return timestamps
        if self._offset is None or estimate - self._offset > CLOCK_STEP:
            self._offset, self._last = estimate, float(timestamps[0])
        if estimate == self._offset:  # as on a bus, where all have the acquirer's clock
            self._last = float(timestamps[-1])
            return timestamps + self._offset if self._offset else timestamps
        reach = MAX_SLEW * (timestamps - self._last)
        offsets: Seconds = self._offset + np.clip(estimate - self._offset, -reach, reach)
        self._offset, self._last = float(offsets[-1]), float(timestamps[-1])
        return timestamps + offsets


@dataclass(frozen=True)
class InboxState:
    """State of an ``Inbox`` and its ``PushDriver`` between two packets.

    Parameters
    ----------
    next_seq
        The ``seq`` that is expected next.
    offset, translated
        State of the translation between the clocks; ``offset`` is None before the first sample.
    epoch, end, stamp
        Of the newest sample: epoch, index after it, time on the acquirer's clock; ``stamp`` is None
        before the first sample.
    link
        The connection's newest state.
    battery
        Charge of the device, percent; None if none was sent.
    """

    next_seq: int = 0
    offset: float | None = None
    translated: float = 0.0
    epoch: int = 0
    end: int = 0
    stamp: float | None = None
    link: Literal["connected", "lost", "retrying"] | None = None
    battery: float | None = None


class Inbox:
    """A queue of packets from a connection to a session.

    Parameters
    ----------
    info
        Facts about the stream, from the acquirer.
    ordered
        Whether what the device measures beside the EEG comes with its chunks, so that what is made
        of it depends on the packets alone; else it is taken at any time.

    Attributes
    ----------
    next_seq
        The ``seq`` that is expected next.
    closed
        True once no more packets are accepted.
    auxiliary
        What the device has measured beside the EEG, on our clock.
    battery
        Charge of the device that was sent last, percent; None if none was.
    """

    def __init__(self, info: StreamInfo, ordered: bool = False) -> None:
        self.info, self.ordered = info, ordered
        self.auxiliary = AuxiliaryBuffer()
        self._alone: tuple[AuxiliaryChunk, ...] = ()  # came without EEG: the next chunk takes it
        self.battery: float | None = None
        self.next_seq = 0
        self.closed = False
        self._changed = threading.Condition()
        self._packets: deque[Packet] = deque()
        self._translate = ClockTranslator()
        self._last: Chunk | None = None  # as it came
        self._sink: Callable[[Packet], None] | None = None
        self._last_contact = time.monotonic()

    @property
    def silence(self) -> float:
        """Seconds since the last message from the acquirer."""
        return time.monotonic() - self._last_contact

    @property
    def state(self) -> InboxState:
        """State for another inbox, while this one is held; its driver adds the link's."""
        last = self._last
        offset, translated = self._translate.state
        state = InboxState(self.next_seq, offset, translated, battery=self.battery)
        if last is None:
            return state
        stamp = float(last.timestamps[-1])
        return replace(state, epoch=last.epoch, end=last.end, stamp=stamp)

    @state.setter
    def state(self, state: InboxState) -> None:
        self.next_seq, self.battery = state.next_seq, state.battery
        self._translate.state = state.offset, state.translated
        if state.stamp is not None:
            sample = np.zeros((1, self.info.n_channels), np.float32)
            self._last = Chunk(sample, np.array([state.stamp]), state.end - 1, state.epoch)

    def touch(self) -> None:
        """Note that there was a message from the acquirer."""
        self._last_contact = time.monotonic()

    def put(self, packet: Packet, offset: float) -> bool:
        """Add a packet; True for a repeated one, too, False if the inbox is full.

        Parameters
        ----------
        packet
            The next one, or a repeated one.
        offset
            Current estimate of our clock minus the acquirer's, s.

        Raises
        ------
        BadSamples
            If it contradicts the previous packets; the inbox is unchanged then.
        StreamLost
            If the inbox is closed.
        """
        with self._changed:
            if packet.seq < self.next_seq:
                return True
            if self.closed:
                raise StreamLost("an open session", "one that has ended", "open another")
            self._check(packet, offset)
            if len(self._packets) >= MAX_PACKETS:
                return False
            self._append(packet, offset)
            return True

    def forward(self, sink: Callable[[Packet], None]) -> None:
        """Give all packets but the last to ``sink`` from now on, in the thread that puts them."""
        with self._changed:
            while self._packets and not self._packets[0].ends:
                sink(self._packets.popleft())
            self._sink = sink

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let no packet come meanwhile."""
        with self._changed:
            yield

    def take(self, silence: float, down: bool) -> Packet | None:
        """Wait for the next packet.

        None if the inbox is closed, or after ``silence`` seconds without a message; if the
        connection is ``down`` already, after another ``silence`` seconds.
        """
        with self._changed:
            end = time.monotonic() + silence
            while not (self._packets or self.closed):
                rest = end - time.monotonic() if down else silence - self.silence
                if rest <= 0:
                    return None
                self._changed.wait(rest)
            if self.closed:
                return None
            # Packets waited in the socket while the inbox was full: that is not silence.
            self.touch()
            return self._packets.popleft()

    def close(self) -> None:
        """Drop all packets and accept no more."""
        with self._changed:
            self.closed = True
            self._packets.clear()
            self._changed.notify_all()

    def _append(self, packet: Packet, offset: float) -> None:
        chunk = packet.chunk
        timestamps = self._translate(chunk.timestamps, offset)
        self.next_seq = packet.seq + 1
        self.battery = self.battery if packet.battery is None else packet.battery
        plain = not (chunk.markers or packet.changes or packet.auxiliary or self._alone)
        if plain and timestamps is chunk.timestamps:  # nearly all of those from a bus
            self._last = chunk if len(timestamps) else self._last
            self._hand_over(packet)
            return
        shift = float(timestamps[0] - chunk.timestamps[0]) if chunk.n_times else offset
        # Markers of packets that the acquirer dropped are repeated with the samples after them.
        known = self._last.end if self._last and self._last.epoch == chunk.epoch else 0
        markers = tuple(
            replace(each, timestamp=each.timestamp + shift)
            for each in chunk.markers
            if each.index >= known
        )
        changes = tuple(replace(each, timestamp=each.timestamp + shift) for each in packet.changes)
        measured = tuple(
            replace(each, timestamps=each.timestamps + shift) for each in packet.auxiliary
        )
        beside: tuple[AuxiliaryChunk, ...] = ()
        if not self.ordered:
            self.auxiliary.add(measured)
        elif chunk.n_times:
            beside, self._alone = (*self._alone, *measured), ()
        else:
            self._alone = (*self._alone, *measured)
        # Not `replace`, which takes longer than all else here.
        translated = Chunk(chunk.data, timestamps, chunk.first, chunk.epoch, markers, beside)
        if chunk.n_times:
            self._last = chunk
        self._hand_over(
            Packet(packet.seq, translated, changes, packet.ends, packet.auxiliary, packet.battery)
        )

    def _hand_over(self, packet: Packet) -> None:
        if self._sink is not None and not packet.ends:
            self._sink(packet)  # nobody is woken
        else:
            self._packets.append(packet)
            self._changed.notify_all()

    def _check(self, packet: Packet, offset: float) -> None:
        """Raise BadSamples for impossible times or indices."""
        chunk = packet.chunk
        beside = chunk.markers or packet.changes or packet.auxiliary
        if not beside and self._follows(chunk, offset):
            return
        times = [each.timestamp for each in chunk.markers]
        times += [each.timestamp for each in packet.changes]
        arrays = [chunk.timestamps, *(each.timestamps for each in packet.auxiliary)]
        if not (
            all(abs(each) < MAX_TIMESTAMP for each in (offset, *times))
            and all((np.abs(each) < MAX_TIMESTAMP).all() for each in arrays)
        ):
            raise BadSamples(
                "times in seconds", "values that cannot be times", "send the clock's own time"
            )
        indices = [chunk.first, chunk.end, *(each.index for each in chunk.markers)]
        if not 0 <= min(indices) <= max(indices) < MAX_INDEX:
            raise BadSamples(
                f"indices from 0 to {MAX_INDEX}", f"{min(indices)}..{max(indices)}", "number from 0"
            )
        if chunk.n_times:
            self._check_order(chunk)
        elif chunk.markers:
            raise BadSamples(
                "markers together with samples", "markers alone", "send them with the next samples"
            )

    def _follows(self, chunk: Chunk, offset: float) -> bool:
        """Return whether samples certainly follow the last ones: nearly all do, and soon told."""
        last = self._last
        if last is None or chunk.epoch != last.epoch or not last.end <= chunk.first:
            return False
        times = [float(last.timestamps[-1]), *chunk.timestamps.tolist()]
        return (
            len(times) > 1
            and chunk.first + len(times) <= MAX_INDEX
            and abs(offset) < MAX_TIMESTAMP
            and times[-1] < MAX_TIMESTAMP
            and all(map(le, times, times[1:]))  # NaN is not
        )

    def _check_order(self, chunk: Chunk) -> None:
        last = self._last
        stamps, before = chunk.timestamps, last.timestamps[-1] if last else -MAX_TIMESTAMP
        if stamps[0] < before or (stamps[1:] < stamps[:-1]).any():
            raise BadSamples(
                "timestamps that never go back", "some that do", "send samples in order"
            )
        if last and (chunk.epoch, chunk.first) < (last.epoch, last.end):
            raise BadSamples(
                f"samples from index {last.end} of epoch {last.epoch} on",
                f"first={chunk.first} of epoch {chunk.epoch}",
                "send each sample once, in order",
            )


class PushDriver:
    """A driver whose samples come from a remote acquirer.

    It needs no supervisor: the acquirer supervises its device and reports the changes, and connects
    to the service by itself. A silent acquirer is reported as ``lost`` after ``silence`` seconds,
    and as ``connected`` when samples come again. A jump of ``first`` shows if any were lost.

    Parameters
    ----------
    inbox
        Source of the packets.
    on_change
        Called at each change of the connection, in the iterating thread.
    silence
        Seconds without a message, after which the connection counts as lost.
    link
        State of the connection before.
    """

    def __init__(
        self,
        inbox: Inbox,
        on_change: Callable[[LinkChange], None],
        silence: float = SILENCE_TIMEOUT,
        link: Literal["connected", "lost", "retrying"] | None = None,
    ) -> None:
        self._inbox = inbox
        self._on_change = on_change
        self._silence = silence
        self._state: Literal["connected", "lost", "retrying"] | None = link
        """Changed only while the inbox is held, once packets are handed on."""
        self._sink: Callable[[Chunk], None] | None = None

    @property
    def info(self) -> StreamInfo:
        """Facts about the stream, from the acquirer."""
        return self._inbox.info

    @property
    def battery(self) -> float | None:
        """Charge of the acquirer's device that was sent last, percent; None if none was."""
        return self._inbox.battery

    @property
    def has_auxiliary(self) -> bool:
        """True if it may be taken at any time: any acquirer may send more than EEG."""
        return not self._inbox.ordered

    def take_auxiliary(self) -> list[AuxiliaryChunk]:
        """Return what the acquirer's device has measured beside the EEG since the last call."""
        return self._inbox.auxiliary.take()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the iteration; the acquirer gets an error at its next packet."""
        self._inbox.close()

    def forward(self, sink: Callable[[Chunk], None]) -> None:
        """Give all chunks to ``sink`` from now on, as ``Forwarding`` says."""
        self._sink = sink
        self._inbox.forward(self._hand_on)

    def _hand_on(self, packet: Packet) -> None:
        assert self._sink is not None
        for chunk in self._unpack(packet):
            self._sink(chunk)

    def __iter__(self) -> Iterator[Chunk]:
        while not self._inbox.closed:
            packet = self._inbox.take(self._silence, self._down)
            if packet is None:
                self._check_silence()
                continue
            if self._sink is not None:
                self._hand_on(packet)
            else:
                yield from self._unpack(packet)
            if packet.ends:
                return

    @property
    def link(self) -> Literal["connected", "lost", "retrying"] | None:
        """The connection's newest state, while the inbox is held."""
        return self._state

    @property
    def _down(self) -> bool:
        return self._state in ("lost", "retrying")

    def _check_silence(self) -> None:
        """Report that the connection is lost, if no message has come meanwhile."""
        with self._inbox.held():
            if self._inbox.silence >= self._silence:
                self._report_silence(self._silence)

    def report_silence(self, silence: float) -> None:
        """Report that the connection is lost: no message has come for ``silence`` seconds."""
        with self._inbox.held():
            self._report_silence(silence)

    def _report_silence(self, silence: float) -> None:
        if not (self._inbox.closed or self._down):
            detail = f"no message from the acquirer for {silence:g} s"
            self._report(LinkChange("lost", local_clock(), detail))

    def _unpack(self, packet: Packet) -> Iterator[Chunk]:
        """Report a packet's changes of the connection, and yield its samples."""
        for change in packet.changes:
            self._report(change)
        if packet.chunk.n_times:
            # A recording has no connection of its own: only a recovery is reported.
            if self._state != "connected" and (self._state or self.info.live):
                self._report(LinkChange("connected", local_clock(), self.info.name))
            yield packet.chunk

    def _report(self, change: LinkChange) -> None:
        self._state = change.state
        self._on_change(change)
