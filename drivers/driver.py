"""The driver contract: stream facts, chunks, markers, playback, and the protocol of a driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeAlias, runtime_checkable

if TYPE_CHECKING:  # a client imports this module, and needs no NumPy for it
    import numpy as np
    from numpy.typing import NDArray

Samples: TypeAlias = "NDArray[np.float32]"
"""(n_times, n_channels), µV, time-major as in LSL."""
Seconds: TypeAlias = "NDArray[np.float64]"
"""(n_times,), seconds."""


@dataclass(frozen=True)
class StreamInfo:
    """The facts of a source that hold for all of its samples.

    Parameters
    ----------
    name
        What a person calls the source, e.g. ``Muse 2``.
    source_id
        Identifies the device or file, e.g. a MAC address or a path.
    sfreq
        Nominal sampling frequency, Hz.
    ch_names
        One label per channel; 10-05 electrode names where they are known.
    uv_per_bit
        The converter's resolution, µV per least significant bit, where it is known.
    range_uv
        The converter's nominal range: it saturates at ± this many µV, where it is known.
    live
        Whether samples come from a source that goes on by itself; false for a recording.
    simulated
        Whether the samples are synthetic: nobody's brain made them.
    notices
        What a person should be told about this source, one sentence each.
    """

    name: str
    source_id: str
    sfreq: float
    ch_names: tuple[str, ...]
    uv_per_bit: float | None = None
    range_uv: float | None = None
    live: bool = True
    simulated: bool = False
    notices: tuple[str, ...] = ()

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return len(self.ch_names)


@dataclass(frozen=True)
class Marker:
    """A labelled instant.

    Parameters
    ----------
    timestamp
        Seconds on the clock of the chunk's timestamps.
    index
        The sample that it belongs to, counted as ``Chunk.first`` is.
    label
        What happened.
    source
        The program or column that said so.
    """

    timestamp: float
    index: int
    label: str
    source: str


@dataclass(frozen=True, eq=False)
class Chunk:
    """Consecutive samples as they came.

    Parameters
    ----------
    data
        (n_times, n_channels) float32, µV.
    timestamps
        (n_times,) float64, seconds on the LSL clock.
    first
        Index of ``data[0]`` in this epoch. Lost samples are counted, so a loss is a jump from the
        previous chunk's ``first + n_times``. It never goes back within an epoch.
    epoch
        Grows by one when the numbering starts anew: a seek or a loop of a recording.
    markers
        Those whose index lies in this chunk, or between it and the previous one; after a seek,
        between it and the position sought. A live source's marker that arrives late comes with
        the next chunk, at its earlier index.
    """

    data: Samples
    timestamps: Seconds
    first: int
    epoch: int = 0
    markers: tuple[Marker, ...] = ()

    @property
    def n_times(self) -> int:
        """Number of samples."""
        return int(self.data.shape[0])

    @property
    def end(self) -> int:
        """Index of the sample after the last one."""
        return self.first + self.n_times


@dataclass(frozen=True)
class LinkChange:
    """A change of the link to a live source, in words for a person.

    ``timestamp`` is seconds on the LSL clock; ``detail`` says why, or what is tried next.
    """

    state: Literal["connected", "lost", "retrying"]
    timestamp: float
    detail: str


class Driver(Protocol):
    """A context manager that yields chunks until closed.

    Entering connects, or raises DriverError. Iterating blocks for the next samples, ends at the
    end of a recording or when closed, and raises StreamLost when a live link is gone. Yielded
    arrays are never written again. One thread iterates; ``close`` may be called from another, and
    twice.
    """

    @property
    def info(self) -> StreamInfo:
        """The source's facts; complete once the driver is entered."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def __iter__(self) -> Iterator[Chunk]: ...

    def close(self) -> None:
        """Disconnect; a blocked iteration ends within 0.5 s."""
        ...


@dataclass(frozen=True)
class Playback:
    """How a recording is being played.

    Parameters
    ----------
    position
        The next sample's, s: its index divided by sfreq, lost samples counted. The
        length where none is left.
    length
        The position after the last sample, s.
    speed
        Times the pace at which it was recorded; inf is as fast as its reader takes it.
    paused
        Whether nothing is played until ``resume``.
    loop
        Whether it starts anew at its end.
    """

    position: float
    length: float
    speed: float
    paused: bool
    loop: bool


@runtime_checkable
class Seekable(Protocol):
    """What only a recording can do, and only once its driver is entered.

    A caller asks ``isinstance(driver, Seekable)``, never for a class. All may be called from any
    thread while another one iterates; a chunk that was already due then may still come.

    A seek starts a new epoch, whose first chunk has the ``first`` of its position in the file;
    seeks between which nothing was played count as one. A pause and a change of speed are neither
    a gap nor a new epoch: what follows is only played, and stamped, later or at another pace.
    """

    def playback(self) -> Playback:
        """How it is being played now."""
        ...

    def watch(self, on_change: Callable[[Playback], None]) -> None:
        """Have every change told, but that of the position by playing itself.

        The calls come in order, from whichever thread makes the change; they must not block, nor
        call back.
        """
        ...

    def markers(self) -> tuple[Marker, ...]:
        """The recording's markers in order; ``timestamp`` is the position, s."""
        ...

    def pause(self) -> None:
        """Play nothing more."""
        ...

    def resume(self) -> None:
        """Play on; from the start where the end was reached."""
        ...

    def seek(self, position: float) -> None:
        """Go on from the first sample at or after a position, s; paused where it was paused.

        One beyond either end is that end.
        """
        ...

    def set_speed(self, speed: float) -> None:
        """Play at another speed, inf for as fast as possible; raises BadPlayback."""
        ...

    def set_loop(self, loop: bool) -> None:
        """Start anew at the end, or do not."""
        ...


@runtime_checkable
class Powered(Protocol):
    """A driver that may know its device's charge.

    A caller asks ``isinstance(driver, Powered)``, never for a class.
    """

    @property
    def battery(self) -> float | None:
        """Charge as last told, percent; None before, and where the device does not tell it."""
        ...
