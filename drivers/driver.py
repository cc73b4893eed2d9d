"""The driver contract: stream facts, chunks, markers, playback, and the driver protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeAlias, runtime_checkable

if TYPE_CHECKING:  # a client imports this module, and needs no NumPy for it
    import numpy as np
    from numpy.typing import NDArray

Samples: TypeAlias = "NDArray[np.float32]"
"""(n_times, n_channels), µV, time-major as in LSL."""
Seconds: TypeAlias = "NDArray[np.float64]"
"""(n_times,), seconds."""

AUXILIARY_SECONDS = 60.0
"""Time for which a driver keeps auxiliary samples that nobody takes, s."""


@dataclass(frozen=True)
class StreamInfo:
    """Facts about a source that hold for all of its samples.

    Parameters
    ----------
    name
        Name to show to people, e.g. ``Muse 2``.
    source_id
        Identifier of the device or file, e.g. a MAC address or a path.
    sfreq
        Nominal sampling frequency, Hz.
    ch_names
        One label per channel; 10-05 electrode names where they are known.
    uv_per_bit
        The converter's resolution, µV per least significant bit, where it is known.
    range_uv
        The converter's nominal range, ± µV, where it is known.
    live
        True for a source that goes on by itself, false for a recording.
    simulated
        True if the samples are synthetic.
    notices
        Remarks for people about this source, one sentence each.
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
    """A labelled point in time.

    Parameters
    ----------
    timestamp
        Seconds, on the clock of the chunk's timestamps.
    index
        Index of its sample, in the numbering of ``Chunk.first``.
    label
        Description of the event, e.g. ``stimulus/left``.
    source
        Program or column that the marker comes from.
    """

    timestamp: float
    index: int
    label: str
    source: str


@dataclass(frozen=True, eq=False, slots=True)
class Chunk:
    """Consecutive samples, without a gap.

    Parameters
    ----------
    data
        (n_times, n_channels) float32, µV.
    timestamps
        (n_times,) float64, seconds on the LSL clock.
    first
        Index of ``data[0]`` in this epoch. Lost samples are counted, so a gap is a jump from the
        previous chunk's ``first + n_times``. It never goes back within an epoch.
    epoch
        Number that grows by one when the numbering restarts: at a seek, or a loop of a recording.
    markers
        Markers whose index lies in this chunk or after the previous one; after a seek, between
        the position sought and this chunk. A live source's marker that arrives late comes with
        the next chunk and keeps its earlier index.
    auxiliary
        Samples that the device has measured beside the EEG meanwhile, of a source that gives them
        in order with the EEG; those of others are taken from ``HasAuxiliary``.
    """

    data: Samples
    timestamps: Seconds
    first: int
    epoch: int = 0
    markers: tuple[Marker, ...] = ()
    auxiliary: tuple[AuxiliaryChunk, ...] = ()

    @property
    def n_times(self) -> int:
        """Number of samples."""
        return len(self.data)

    @property
    def end(self) -> int:
        """Index of the sample after the last one."""
        return self.first + self.n_times


@dataclass(frozen=True)
class AuxiliaryInfo:
    """Facts about something else that a device measures, beside the EEG.

    Parameters
    ----------
    name
        ``ppg``, ``acceleration`` or ``rotation``.
    unit
        Unit of its values; ``counts`` where the scale is unknown.
    sfreq
        Nominal sampling frequency, Hz.
    ch_names
        One label per channel.
    """

    name: str
    unit: str
    sfreq: float
    ch_names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class AuxiliaryChunk:
    """Consecutive samples of something else that a device measures, without a gap.

    Parameters
    ----------
    info
        What it is.
    data
        (n_times, n_channels) float32, in ``info.unit``; NaN where one channel is missing.
    timestamps
        (n_times,) float64, seconds on the LSL clock, as those of the EEG.
    first
        Index of ``data[0]`` since the connection began. Lost samples are counted.
    """

    info: AuxiliaryInfo
    data: Samples
    timestamps: Seconds
    first: int


@dataclass(frozen=True)
class LinkChange:
    """A change of the connection to a live source.

    ``timestamp`` is in seconds on the LSL clock. ``detail`` is the reason or the next attempt,
    for people.
    """

    state: Literal["connected", "lost", "retrying"]
    timestamp: float
    detail: str


class Driver(Protocol):
    """A context manager that yields chunks until closed.

    Entering connects, or raises DriverError. Iterating blocks until the next samples are there. It
    ends at the end of a recording or when the driver is closed, and raises StreamLost when a live
    connection is gone. Yielded arrays are never changed afterwards. One thread iterates; ``close``
    may be called from another thread, and more than once.
    """

    @property
    def info(self) -> StreamInfo:
        """Facts about the source; complete once the driver is entered."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def __iter__(self) -> Iterator[Chunk]: ...

    def close(self) -> None:
        """Disconnect. A blocked iteration ends within 0.5 s."""
        ...


@dataclass(frozen=True)
class Playback:
    """State of a recording that is being played.

    Parameters
    ----------
    position
        Position of the next sample, s: its index divided by sfreq, lost samples counted. Equal to
        the length if no sample is left.
    length
        Position after the last sample, s.
    speed
        Multiple of the original speed; inf plays as fast as the reader takes it.
    paused
        True if nothing is played until ``resume``.
    loop
        True if the recording restarts at its end.
    """

    position: float
    length: float
    speed: float
    paused: bool
    loop: bool


@runtime_checkable
class Seekable(Protocol):
    """A driver of a recording: it can pause, seek and change its speed once it is entered.

    Check for it with ``isinstance(driver, Seekable)``, never for a concrete class. All methods may
    be called from any thread while another thread iterates; a chunk that was already due may still
    come.

    A seek starts a new epoch. Its first chunk has the ``first`` of its position in the file; seeks
    with nothing played in between count as one. A pause or a change of speed is neither a gap nor a
    new epoch: the following samples are only played, and stamped, later or at another speed.
    """

    def playback(self) -> Playback:
        """Return the current state."""
        ...

    def watch(self, on_change: Callable[[Playback], None]) -> None:
        """Call ``on_change`` at every change, except for the progress of playing itself.

        The calls come in order, from the thread that makes the change. They must neither block nor
        call this driver.
        """
        ...

    def markers(self) -> tuple[Marker, ...]:
        """Return the recording's markers in order; ``timestamp`` is the position, s."""
        ...

    def pause(self) -> None:
        """Pause."""
        ...

    def resume(self) -> None:
        """Continue; from the start if the end was reached."""
        ...

    def seek(self, position: float) -> None:
        """Continue from the first sample at or after a position, s.

        A paused recording stays paused. A position outside of the recording is moved to the
        nearer end.
        """
        ...

    def set_speed(self, speed: float) -> None:
        """Set the speed, inf for as fast as possible; raises BadPlayback if it is out of range."""
        ...

    def set_loop(self, loop: bool) -> None:
        """Restart at the end, or not."""
        ...


@runtime_checkable
class Forwarding(Protocol):
    """A driver that can hand on its chunks from a thread of its own.

    Check for it with ``isinstance(driver, Forwarding)``, never for a concrete class.
    """

    def forward(self, sink: Callable[[Chunk], None]) -> None:
        """Give all chunks to ``sink`` from now on, in order, instead of yielding them.

        Call it once, when the driver is entered, before iterating. Iterating supervises the source
        as usual and ends as usual, but no thread is woken for each chunk. The sink must not block.
        """
        ...


@runtime_checkable
class HasBattery(Protocol):
    """A driver that may report its device's battery.

    Check for it with ``isinstance(driver, HasBattery)``, never for a concrete class.
    """

    @property
    def battery(self) -> float | None:
        """Last reported charge, percent; None if none was reported."""
        ...


@runtime_checkable
class HasPatience(Protocol):
    """A driver whose library may still deliver, after a silence, what was held back meanwhile.

    Check for it with ``isinstance(driver, HasPatience)``, never for a concrete class.
    """

    @property
    def patience(self) -> float:
        """Silence, s, after which a new connection is better than waiting."""
        ...


@runtime_checkable
class HasRemarks(Protocol):
    """A driver that has something to report while it runs, such as a clock that was set.

    Check for it with ``isinstance(driver, HasRemarks)``, never for a concrete class.
    """

    def take_remarks(self) -> tuple[str, ...]:
        """Return the remarks since the last call, a phrase each; called in its own thread."""
        ...


@runtime_checkable
class ChoosesStream(Protocol):
    """A driver that can choose among several streams the one that was lost.

    Check for it with ``isinstance(driver, ChoosesStream)``, never for a concrete class.
    """

    def expect(self, info: StreamInfo) -> None:
        """Take only a stream with these channels; called before the driver is entered."""
        ...


@runtime_checkable
class TakesCues(Protocol):
    """A driver of a simulated wearer, who does what a calibration asks for.

    Check for it with ``isinstance(driver, TakesCues)``, never for a concrete class.
    """

    def cue(self, state: str | None, place: int) -> None:
        """Be in a state from now on, which is the first (0) or second (1) of two; None for rest.

        It may be called from any thread, and does not block.
        """
        ...


@runtime_checkable
class HasAuxiliary(Protocol):
    """A driver that may measure more than EEG: pulse, motion.

    Check for it with ``isinstance(driver, HasAuxiliary)``, never for a concrete class.
    """

    @property
    def has_auxiliary(self) -> bool:
        """False if it measures nothing else, known once it is entered."""
        ...

    def take_auxiliary(self) -> list[AuxiliaryChunk]:
        """Return what was measured since the last call, in order of arrival.

        It may be called from any thread. What nobody takes is kept for ``AUXILIARY_SECONDS`` only.
        """
        ...
