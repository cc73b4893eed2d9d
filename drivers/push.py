"""Samples that a remote acquirer sends: the headset is on one machine, the service on another.

The acquirer numbers what it sends by ``seq`` and sends again what was not acknowledged. An
``Inbox`` takes each number once, in order, and holds little: a sender that is too fast waits. The
``PushDriver`` yields what is in it. ``first`` is the acquirer's own, so a lost connection is no gap
where all samples come after all.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, Self

import numpy as np

from mimamba.drivers.driver import Chunk, LinkChange, Seconds, StreamInfo
from mimamba.drivers.errors import DriverError, StreamLost
from mimamba.drivers.timing.clock import local_clock

SILENCE = 2.0
"""Seconds without a word of the acquirer, after which its connection counts as lost."""
HELD = 64
"""Packets that may wait for the session's thread: 3 s of a Muse's, more only where it is busy."""
SLEW = 5e-4
"""Seconds a second by which the clocks' offset is corrected; quartz drifts a tenth of that."""
LEAP = 1.0
"""Seconds of offset that are corrected at once: the acquirer's machine has slept."""
LATEST = 1e11
"""Seconds beyond which a stamp is of no clock."""
LONGEST_TEXT = 1000
"""Characters of a label, a source's name, or a detail."""
LARGEST = 2**53
"""No index goes beyond it: browsers count in float64."""


class BadSamples(DriverError):
    """An acquirer's packet cannot be taken; those before and after it can."""


@dataclass(frozen=True, eq=False)
class Packet:
    """What is sent and acknowledged as one.

    Parameters
    ----------
    seq
        Grows by one with each packet; more where the acquirer had to drop some.
    chunk
        Its timestamps are on the acquirer's clock. Without samples it has no markers.
    changes
        What befell the acquirer's link to its device before the chunk.
    ends
        Whether nothing comes after it.
    """

    seq: int
    chunk: Chunk
    changes: tuple[LinkChange, ...] = ()
    ends: bool = False


class ClockTranslation:
    """From the acquirer's clock to ours, never backward.

    The offset between the clocks is estimated anew all the time. A new estimate is approached by at
    most ``SLEW``, so timestamps stay even to that share; where it is more than ``LEAP`` ahead, it
    is taken at once.
    """

    def __init__(self) -> None:
        self._offset: float | None = None
        self._last = 0.0

    def __call__(self, timestamps: Seconds, estimate: float) -> Seconds:
        """Timestamps (n_times,), not decreasing, on our clock; ``estimate`` is ours less theirs."""
        if timestamps.size == 0:
            return timestamps
        if self._offset is None or estimate - self._offset > LEAP:
            self._offset, self._last = estimate, float(timestamps[0])
        reach = SLEW * (timestamps - self._last)
        offsets: Seconds = self._offset + np.clip(estimate - self._offset, -reach, reach)
        self._offset, self._last = float(offsets[-1]), float(timestamps[-1])
        return timestamps + offsets


class Inbox:
    """Packets on their way from a connection to a session's thread.

    Parameters
    ----------
    info
        The stream's facts, as the acquirer tells them.

    Attributes
    ----------
    next
        The ``seq`` from which the acquirer has to send.
    closed
        Whether nobody takes packets any more.
    """

    def __init__(self, info: StreamInfo) -> None:
        self.info = info
        self.next = 0
        self.closed = False
        self._changed = threading.Condition()
        self._packets: deque[Packet] = deque()
        self._translate = ClockTranslation()
        self._last: Chunk | None = None  # as it came
        self._heard = time.monotonic()

    @property
    def silent(self) -> float:
        """Seconds since the acquirer was heard."""
        return time.monotonic() - self._heard

    def hear(self) -> None:
        """There was a word of the acquirer."""
        self._heard = time.monotonic()

    def put(self, packet: Packet, offset: float) -> bool:
        """Take a packet, or one that was taken before; False where it has to wait for room.

        Parameters
        ----------
        packet
            The next one, or one sent again.
        offset
            Our clock less the acquirer's, as it estimates it now, seconds.

        Raises
        ------
        BadSamples
            If it cannot follow what came before; nothing is changed then.
        StreamLost
            If nobody takes packets any more.
        """
        with self._changed:
            if packet.seq < self.next:
                return True
            if self.closed:
                raise StreamLost("an open session", "it has ended", "open another")
            self._check(packet, offset)
            if len(self._packets) >= HELD:
                return False
            self._append(packet, offset)
            return True

    def take(self, silence: float | None) -> Packet | None:
        """Wait for the next packet; None if it is closed, or after so many seconds of silence."""
        with self._changed:
            while not (self._packets or self.closed):
                rest = None if silence is None else silence - self.silent
                if rest is not None and rest <= 0:
                    return None
                self._changed.wait(rest)
            if self.closed:
                return None
            # While nobody took them, packets waited in the socket: that is no silence.
            self.hear()
            return self._packets.popleft()

    def close(self) -> None:
        """Take and give no more."""
        with self._changed:
            self.closed = True
            self._packets.clear()
            self._changed.notify_all()

    def _append(self, packet: Packet, offset: float) -> None:
        chunk = packet.chunk
        timestamps = self._translate(chunk.timestamps, offset)
        shift = float(timestamps[0] - chunk.timestamps[0]) if chunk.n_times else offset
        # Markers of packets that the acquirer dropped come again, with the samples after these.
        known = self._last.end if self._last and self._last.epoch == chunk.epoch else 0
        markers = tuple(
            replace(each, timestamp=each.timestamp + shift)
            for each in chunk.markers
            if each.index >= known
        )
        changes = tuple(replace(each, timestamp=each.timestamp + shift) for each in packet.changes)
        translated = replace(chunk, timestamps=timestamps, markers=markers)
        self._packets.append(replace(packet, chunk=translated, changes=changes))
        self.next = packet.seq + 1
        if chunk.n_times:
            self._last = chunk
        self._changed.notify_all()

    def _check(self, packet: Packet, offset: float) -> None:
        """Raises BadSamples."""
        chunk = packet.chunk
        events = [each.timestamp for each in chunk.markers]
        events += [each.timestamp for each in packet.changes]
        stamps = np.concatenate([chunk.timestamps, events, [offset]])
        if not np.all(np.abs(stamps) < LATEST):
            raise BadSamples("times in seconds", "some that are none", "send the clock's own")
        indices = [chunk.first, chunk.end, *(each.index for each in chunk.markers)]
        if not 0 <= min(indices) <= max(indices) < LARGEST:
            raise BadSamples(
                f"indices from 0 to {LARGEST}", f"{min(indices)}..{max(indices)}", "number from 0"
            )
        if chunk.n_times:
            self._check_order(chunk)
        elif chunk.markers:
            raise BadSamples("markers with samples", "markers alone", "send them with the next")

    def _check_order(self, chunk: Chunk) -> None:
        last = self._last
        stamps, before = chunk.timestamps, last.timestamps[-1] if last else -LATEST
        if stamps[0] < before or np.any(np.diff(stamps) < 0):
            raise BadSamples(
                "timestamps that never go back", "some that do", "send samples in their order"
            )
        if last and (chunk.epoch, chunk.first) < (last.epoch, last.end):
            raise BadSamples(
                f"samples from index {last.end} of epoch {last.epoch} on",
                f"first={chunk.first} of epoch {chunk.epoch}",
                "send each sample once, in order",
            )


class PushDriver:
    """A driver whose samples come from a remote acquirer.

    It needs no supervisor: the acquirer has one for its device and tells its changes, and to the
    service the acquirer comes by itself. A silent acquirer is told as ``lost`` after 2 s, and as
    ``connected`` when samples come again; whether any were lost, ``first`` says.

    Parameters
    ----------
    inbox
        Where the packets are.
    on_change
        Told each change of the link, in the iterating thread.
    silence
        Seconds without a word of the acquirer, after which its connection counts as lost.
    """

    def __init__(
        self, inbox: Inbox, on_change: Callable[[LinkChange], None], silence: float = SILENCE
    ) -> None:
        self._inbox = inbox
        self._on_change = on_change
        self._silence = silence
        self._told: Literal["connected", "lost", "retrying"] | None = None

    @property
    def info(self) -> StreamInfo:
        """The stream's facts, as the acquirer told them."""
        return self._inbox.info

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End; the acquirer is told when it sends on."""
        self._inbox.close()

    def __iter__(self) -> Iterator[Chunk]:
        while not self._inbox.closed:
            down = self._told in ("lost", "retrying")
            packet = self._inbox.take(None if down else self._silence)
            if packet is not None:
                yield from self._open(packet)
                if packet.ends:
                    return
            elif not self._inbox.closed:
                detail = f"nothing heard of the acquirer for {self._silence:g} s"
                self._tell(LinkChange("lost", local_clock(), detail))

    def _open(self, packet: Packet) -> Iterator[Chunk]:
        """Tell what a packet says of the link, and yield its samples."""
        for change in packet.changes:
            self._tell(change)
        if packet.chunk.n_times:
            # A recording has no link of its own: it is told of only after a loss.
            if self._told != "connected" and (self._told or self.info.live):
                self._tell(LinkChange("connected", local_clock(), self.info.name))
            yield packet.chunk

    def _tell(self, change: LinkChange) -> None:
        self._told = change.state
        self._on_change(change)
