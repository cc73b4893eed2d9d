"""A calibration that is going on in a session: it takes the session's chunks, hop by hop."""

from __future__ import annotations

import logging
import queue
import threading
from dataclasses import replace
from typing import Literal, Protocol, TypeAlias

import msgspec
import numpy as np

from mimamba.drivers.driver import Chunk, Marker, Samples
from mimamba.models.personal.features import FeatureStream, HopFeatures
from mimamba.models.signal.montage import MONTAGES
from mimamba.service.calibration.ratings import log_rating
from mimamba.service.calibration.sittings import (
    CannotCalibrate,
    SittingRecord,
    Sittings,
    read_frames,
)
from mimamba.service.calibration.state_machine import CalibrationMachine, MachineEvent
from mimamba.service.protocol.personal import CalibrationEntry, CalibrationProgress, VerdictNote
from mimamba.service.sessions.session import Session

log = logging.getLogger(__name__)

MONTAGE = MONTAGES["muse"]
"""Electrodes of a personal output."""
SOURCE = "calibration"
"""Source of a calibration's markers."""
BREAK_SECONDS = 2.0
"""Gap that is written between two parts of a sitting, s: none is bridged."""
RESTART = "the source restarted its numbering (a seek or a loop)"

Work: TypeAlias = "tuple[int, Samples] | SittingRecord | None"
"""Samples to write, a state to write, or the end."""


class Judging(Protocol):
    """Judges of calibrations; called by any thread, they wait for nothing."""

    def prepare(self, live: LiveCalibration) -> None:
        """Prepare for a calibration that ends soon."""
        ...

    def begin(self, live: LiveCalibration) -> None:
        """Judge a calibration that has ended."""
        ...

    def cancel(self, live: LiveCalibration) -> None:
        """Judge a calibration not yet."""
        ...


class LiveCalibration:
    """A sitting in a session; made, and used by the compute loop or while it is held.

    Parameters
    ----------
    session
        An open session.
    record
        The sitting, new or resumed.
    sittings
        Keeps it.
    judges
        Judge it in the end.

    Raises
    ------
    MontageError, SignalError
        If the source is unsuitable.
    CannotCalibrate
        If its files cannot be written, or another service goes on with a calibration of the person.
    """

    def __init__(
        self,
        session: Session,
        record: SittingRecord,
        sittings: Sittings,
        judges: Judging,
    ) -> None:
        self.session, self.record = session, record
        self._sittings, self._judges = sittings, judges
        self._features = FeatureStream(record.info, MONTAGE)
        self._features.start_baseline(record.drawn.plan.rest)
        self.machine = CalibrationMachine(record.drawn, record.info.sfreq, record.state)
        self._file = sittings.open_signal(record)
        try:
            sittings.save(record)
            path = sittings.signal_path(record)
            for _, first, data in read_frames(path, record.info.n_channels):
                self._features.feed(_chunk(first, data, record.info.sfreq))
        except BaseException as error:
            self._file.close()
            if isinstance(error, OSError):
                raise sittings.cannot(record.person, error) from error
            raise
        pause = round(BREAK_SECONDS * record.info.sfreq) if self._file.end else 0
        self._begin = self._file.end + pause
        self._origin: int | None = None
        self._epoch = 0
        self._pending: list[MachineEvent] = []
        self._newest = 0, 0.0  # index and timestamp of the newest hop
        self._over = False
        self._work: queue.SimpleQueue[Work] = queue.SimpleQueue()
        self.failure: str | None = None
        self._writer = threading.Thread(target=self._write, name=f"calibration {record.id}")

    def start(self) -> None:
        """Begin with the next chunk; the loop is held."""
        events = self.machine.resume(self._begin) if self._begin else []
        self._writer.start()
        self._pending = events
        self.session.add_tap(self)
        self._keep()
        self.report()

    @property
    def going_on(self) -> bool:
        """True while it takes chunks."""
        return not self._over

    @property
    def progress(self) -> CalibrationProgress:
        """The progress, as people are shown it."""
        return self.machine.progress

    def rate(self, valence: float, arousal: float, answer: int | None) -> None:
        """Take the rating of the last block; the loop is held. Raises NotNow."""
        self._mark(self.machine.rate(valence, arousal, answer))
        self._keep()  # before what may fail: a worker elsewhere logs the rating
        self.report()
        log_rating(self.session, valence, arousal)

    def finish(self) -> None:
        """End, and judge what is there; the loop is held. Raises NotNow."""
        self._mark(self.machine.finish())
        self._judge()

    def stop(self, reason: str | None = None) -> None:
        """Stop, and keep what is there; the loop is held, or it is the loop that calls."""
        if self._over:
            return
        self.machine.stop()
        self.record = msgspec.structs.replace(self.record, reason=reason)
        self._leave()
        self._judges.cancel(self)

    def judge_again(self) -> None:
        """Judge what is there, as the service ended before it was judged; the loop is held."""
        self.machine.state = msgspec.structs.replace(self.machine.state, phase="judging")
        self._judge()

    def settle(self, record: SittingRecord, phase: Literal["done", "failed"]) -> None:
        """Take the result, and report it; from any thread, after all is on the disk."""
        self._file.close()
        self.machine.state = msgspec.structs.replace(self.machine.state, phase=phase)
        self.record = msgspec.structs.replace(record, state=self.machine.state)
        self.report(record.verdict)

    def abandon(self) -> None:
        """Stop, and write nothing any more; returns when all files are closed."""
        if not self._over:
            with self.session.between_chunks():
                self.failure = "the person was deleted"
                self.stop(self.failure)
        self.close()

    def wait(self) -> None:
        """Wait until everything is on the disk."""
        self._writer.join()

    def close(self) -> None:
        """Leave the files, once everything is on the disk: another service can go on with them."""
        self.wait()
        self._file.close()

    def leave_file(self) -> None:
        """Leave the file of the signal, as it could not start."""
        self._file.close()

    def report(self, verdict: VerdictNote | None = None) -> None:
        """Send the progress to those who follow the session."""
        index, timestamp = self._newest
        entry = CalibrationEntry(index, timestamp, self.record.id, self.progress, verdict)
        self.session.log_personal(entry)

    # In the compute loop -------------------------------------------------------------------------

    def take(self, chunk: Chunk) -> None:
        """Take the session's next chunk."""
        if self._over:
            return
        if self._origin is None:
            self._origin, self._epoch = chunk.first - self._begin, chunk.epoch
            self._newest = chunk.first, float(chunk.timestamps[0])
            word = "resumed" if self._begin else "begin"
            self._mark([MachineEvent(self._begin, word), *self._pending])
        if chunk.epoch != self._epoch:
            self.stop(RESTART)
            return
        if self.failure is not None:
            self.stop(self.failure)
            return
        first = chunk.first - self._origin
        self._work.put((first, chunk.data))
        moved = replace(chunk, first=first, epoch=0, markers=())
        end = first + chunk.n_times
        for hop in self._features.feed(moved):
            self._step(hop, end)

    def end(self) -> None:
        """Stop, as the session has ended."""
        self.stop("the session ended")

    def _step(self, hop: HopFeatures, end: int) -> None:
        if self._over:
            return
        assert self._origin is not None
        before = self.machine.state
        self._newest = hop.index + self._origin, hop.timestamp
        rested = self._features.rested
        done = self._features.baseline is not None
        self._mark(self.machine.step(hop.index, hop.status, hop.reason, rested, done))
        self.record = msgspec.structs.replace(self.record, end=end)
        if self.machine.state.phase == "judging":
            self._judge()
            return
        if self.machine.state is not before and (
            self.machine.state.phase != before.phase or self.machine.state.number != before.number
        ):
            self._keep()
            self._cue()
            if self.machine.state.number == self.machine.planned:
                self._judges.prepare(self)
        self.report()

    def _cue(self) -> None:
        """Let a simulated wearer do what is asked for."""
        progress = self.progress
        kinds = self.machine.plan.kinds or ("", "")
        kind = progress.kind if progress.phase == "block" else None
        self.session.cue(kind, kinds.index(kind) if kind else 0)

    def _mark(self, events: list[MachineEvent]) -> None:
        """Set the markers of events."""
        index, timestamp = self._newest
        for event in events:
            at = event.position + (self._origin or 0)
            stamp = timestamp + (at - index) / self.record.info.sfreq
            label = f"calibration {self.record.id} {event.label}"
            self.session.log_marker(Marker(stamp, at, label, SOURCE))

    def _keep(self) -> None:
        """Have the state written, after all samples so far."""
        self.record = msgspec.structs.replace(self.record, state=self.machine.state)
        self._work.put(self.record)

    def _judge(self) -> None:
        self._leave()
        self._judges.begin(self)

    def _leave(self) -> None:
        """Take no more chunks, and have everything written."""
        self._over = True
        self.session.remove_tap(self)
        self._keep()
        self._work.put(None)
        self._cue()
        self.report()

    # In the writer's thread ----------------------------------------------------------------------

    def _write(self) -> None:
        try:
            while (work := self._work.get()) is not None:
                if self.failure is not None:
                    continue
                try:
                    if isinstance(work, SittingRecord):
                        self._file.sync()
                        self._sittings.save(work)
                    else:
                        self._file.append(*work)
                except (OSError, CannotCalibrate) as error:
                    log.exception("a calibration cannot be written")
                    self.failure = str(error)
        finally:
            if self.machine.state.phase != "judging":  # its result is to be written, too
                self._file.close()


def _chunk(first: int, data: Samples, sfreq: float) -> Chunk:
    """Make a chunk of a sitting's signal; its timestamps are of no use to features."""
    return Chunk(data=data, timestamps=(first + np.arange(len(data))) / sfreq, first=first)
