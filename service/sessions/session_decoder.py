"""The decoder of a session: its montage, its hops, its baseline and its slot in the engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.models.decoding.decoder import DecoderState
from mimamba.models.signal.baseline import MAX_BASELINE, AlignerState, BaselineAligner
from mimamba.models.signal.hops import Hop, HopCutter
from mimamba.models.signal.montage import match_montage
from mimamba.service.engine.engine import Engine, Publish
from mimamba.service.people.people import StoredBaseline
from mimamba.service.people.subject import Subject
from mimamba.service.sessions.epoch_logs import ActiveModel
from mimamba.service.topics import LinkEvent, Model

Report: TypeAlias = Callable[[LinkEvent, str, Hop | None], None]
"""Called with an event of the decoder at a hop, or from the next sample on."""


class SessionDecoder:
    """Decodes one stream with one engine; used by the session's thread.

    Parameters
    ----------
    engine
        Steps the model.
    info
        The source.
    r
        The gate at each hop's start: the checkpoint's, or 0.
    publish
        Called with each prediction, in the engine's thread.
    report
        Called for restarts, skipped hops and baselines.
    subject
        The person of the session: finds and keeps the baseline.

    Raises
    ------
    MontageError
        If the source's channels cannot replace the model's electrodes.
    SignalError
        If its rate cannot be resampled to the model's.
    """

    def __init__(
        self,
        engine: Engine,
        info: StreamInfo,
        r: float,
        publish: Publish,
        report: Report,
        subject: Subject,
    ) -> None:
        self.checkpoint = engine.checkpoint
        self._montage = match_montage(self.checkpoint.montage, info.ch_names)
        self.r = r
        rows = [electrode.row for electrode in self._montage]
        names = [electrode.channel for electrode in self._montage]
        self._cutter = HopCutter(self.checkpoint.signal, info, rows, names)
        self._aligner = BaselineAligner(self.checkpoint.signal)
        self._subject = subject
        self._engine = engine
        self._report = report
        self._live = info.live
        self._stepped = False
        self._slot = engine.open(r, publish)

    @property
    def active_model(self) -> ActiveModel:
        """The model, as people are shown it."""
        card, signal = self.checkpoint, self.checkpoint.signal
        model = Model(
            card.name,
            card.sha256,
            card.trained_on,
            card.licence,
            card.notice,
            signal.window / signal.sfreq,
            signal.hop / signal.sfreq,
            self.r,
        )
        outputs = {output: list(labels) for output, labels in card.outputs.items()}
        return ActiveModel(0, model, outputs, self._montage, self._cutter.delay)

    @property
    def period(self) -> float:
        """Seconds from hop to hop of a live source; inf for a recording, as its hops can wait."""
        signal = self.checkpoint.signal
        return signal.hop / signal.sfreq if self._live else math.inf

    def cut(self, chunk: Chunk) -> list[Hop]:
        """Cut the hops that a chunk completes."""
        return self._cutter.feed(chunk)

    def submit(self, hops: Iterable[Hop], received: float) -> None:
        """Queue hops in the engine; a recording waits until there is room."""
        for hop in map(self._align, hops):
            if hop.restart and self._stepped:
                self._report("restarted", "the model's memory was reset", hop)
            self._stepped = self._stepped or hop.window is not None
            for skipped in self._engine.submit(self._slot, hop, received, wait=not self._live):
                detail = (
                    "the engine is too busy: a hop was skipped, and the model's memory is reset"
                )
                self._report("hops_skipped", detail, skipped)

    def start(self) -> None:
        """Use the person's stored baseline, or take one, if the model was trained with one."""
        if not self.checkpoint.baseline:
            return
        kept = self._subject.find_baseline(self.checkpoint)
        if kept is None:
            self.start_baseline(self.checkpoint.baseline)
        else:
            self.set_baseline(kept)

    def start_baseline(self, seconds: float) -> None:
        """Take the person's baseline on the next ``seconds`` of good signal."""
        self._aligner.start(seconds)
        self._report("baseline_begun", format_baseline_seconds(seconds), None)

    def set_baseline(self, kept: StoredBaseline) -> None:
        """Use a baseline of the person that was taken before."""
        self._aligner.set_baseline(kept.baseline)
        self._subject.baseline_person = self._subject.person
        self._report("baseline_used", f"{kept.seconds:g} s of rest, taken {kept.taken}", None)

    def cancel_baseline(self) -> None:
        """Stop taking a baseline, and use the one before, with its person."""
        self._aligner.cancel()
        self._subject.person = self._subject.baseline_person
        self._report(
            "baseline_stopped",
            "the new baseline is discarded; the previous one is used again",
            None,
        )

    @property
    def aligner(self) -> AlignerState:
        """The baseline that windows are aligned by, and the one being taken."""
        return self._aligner.state

    def drain(self) -> None:
        """Wait until all hops are predicted, before another epoch."""
        self._engine.drain(self._slot)
        self._stepped = False

    def state(self) -> DecoderState:
        """Return the state that later predictions depend on, once all hops so far are predicted."""
        states, restart = self._engine.snapshot(self._slot)
        return DecoderState(self._cutter.state, states, restart, self._aligner.state)

    def finish(self) -> None:
        """Wait until all hops are predicted and give the slot back."""
        self._engine.finish(self._slot)

    def _align(self, hop: Hop) -> Hop:
        """Return the hop for the model; report a baseline that it completes."""
        target = self._aligner.state.target
        aligned = self._aligner.feed(hop)
        state = self._aligner.state
        if target and not state.target and state.baseline is not None:
            self._subject.baseline_person = self._subject.person
            detail = self._subject.store_baseline(self.checkpoint, state.baseline)
            self._report("baseline_taken", detail, hop)
        return aligned


def format_baseline_seconds(seconds: float) -> str:
    """Write the detail of ``baseline_begun``, its seconds to the last digit."""
    return f"{np.format_float_positional(seconds, trim='-')} s of rest are being taken"


def parse_baseline_seconds(text: str) -> float:
    """Read the seconds in such a detail; raises ValueError if there are none."""
    seconds = float(text.split(" ", maxsplit=1)[0])
    if not 0 < seconds <= MAX_BASELINE:
        raise ValueError(f"Expected up to {MAX_BASELINE:g} s of rest, but found {text!r}.")
    return seconds
