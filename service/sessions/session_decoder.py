"""A session's side of its model: the montage, the hops, the engine's slot."""

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
from mimamba.service.people.people import KeptBaseline
from mimamba.service.people.subject import Subject
from mimamba.service.sessions.epoch_logs import ActiveModel
from mimamba.service.topics import LinkEvent, Model

Note: TypeAlias = Callable[[LinkEvent, str, Hop | None], None]
"""Told what befell the model at a hop, or from the next one on."""


class SessionDecoder:
    """One stream through one engine; used by the session's thread.

    Parameters
    ----------
    engine
        Steps the model.
    info
        The source.
    r
        The gate at each hop's start: the checkpoint's, or 0.
    publish
        Takes predictions, in the engine's thread.
    note
        Told of restarts, skipped hops and baselines.
    subject
        Whose baseline is used and kept.

    Raises
    ------
    MontageError
        If the source's channels cannot stand in for the model's electrodes.
    SignalError
        If its rate does not serve.
    """

    def __init__(
        self,
        engine: Engine,
        info: StreamInfo,
        r: float,
        publish: Publish,
        note: Note,
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
        self._note = note
        self._live = info.live
        self._stepped = False
        self._slot = engine.open(r, publish)

    @property
    def active_model(self) -> ActiveModel:
        """The model's facts for people."""
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
        """Seconds from hop to hop of a live source; inf for a recording, whose hops can wait."""
        signal = self.checkpoint.signal
        return signal.hop / signal.sfreq if self._live else math.inf

    def cut(self, chunk: Chunk) -> list[Hop]:
        """The hops that a chunk completes."""
        return self._cutter.feed(chunk)

    def submit(self, hops: Iterable[Hop], received: float) -> None:
        """Hand hops to the engine; a recording waits for room there."""
        for hop in map(self._align, hops):
            if hop.restart and self._stepped:
                self._note("restarted", "the model's memory began anew", hop)
            self._stepped = self._stepped or hop.window is not None
            for skipped in self._engine.submit(self._slot, hop, received, wait=not self._live):
                detail = "the engine is too busy: a hop was skipped, the model's memory begins anew"
                self._note("hops_skipped", detail, skipped)

    def begin(self) -> None:
        """Align as the model was trained, by what is kept of the person or is taken now."""
        if not self.checkpoint.baseline:
            return
        kept = self._subject.find(self.checkpoint)
        if kept is None:
            self.start_baseline(self.checkpoint.baseline)
        else:
            self.set_baseline(kept)

    def start_baseline(self, seconds: float) -> None:
        """Take the person's rest from the next so many seconds of good signal."""
        self._aligner.start(seconds)
        self._note("baseline_begun", format_baseline_seconds(seconds), None)

    def set_baseline(self, kept: KeptBaseline) -> None:
        """Go on by one of the person's that was taken before."""
        self._aligner.set_baseline(kept.baseline)
        self._subject.rested = self._subject.person
        self._note("baseline_used", f"{kept.seconds:g} s of rest, taken {kept.taken}", None)

    def cancel_baseline(self) -> None:
        """Take no more, and go on by the one before, as that one's person's."""
        self._aligner.cancel()
        self._subject.person = self._subject.rested
        self._note("baseline_stopped", "what was taken is dropped; the rest before holds", None)

    @property
    def aligner(self) -> AlignerState:
        """What windows are aligned by, and what is being taken."""
        return self._aligner.state

    def drain(self) -> None:
        """Wait until all hops are predicted; what comes next is of another epoch."""
        self._engine.drain(self._slot)
        self._stepped = False

    def state(self) -> DecoderState:
        """All that the predictions to come hang on, once all hops so far are predicted."""
        states, anew = self._engine.snapshot(self._slot)
        return DecoderState(self._cutter.state, states, anew, self._aligner.state)

    def finish(self) -> None:
        """Wait until all hops are predicted and give the slot back."""
        self._engine.finish(self._slot)

    def _align(self, hop: Hop) -> Hop:
        """The hop as the model gets it; tells where a baseline is complete with it."""
        target = self._aligner.state.target
        aligned = self._aligner.feed(hop)
        state = self._aligner.state
        if target and not state.target and state.baseline is not None:
            self._subject.rested = self._subject.person
            detail = self._subject.keep(self.checkpoint, state.baseline)
            self._note("baseline_taken", detail, hop)
        return aligned


def format_baseline_seconds(seconds: float) -> str:
    """What the link says where a baseline begins, its seconds to the last digit."""
    return f"{np.format_float_positional(seconds, trim='-')} s of rest are being taken"


def parse_baseline_seconds(text: str) -> float:
    """The seconds in such a text; raises ValueError where it is none."""
    seconds = float(text.split(" ", maxsplit=1)[0])
    if not 0 < seconds <= MAX_BASELINE:
        raise ValueError(f"Expected up to {MAX_BASELINE:g} s of rest, but found {text!r}.")
    return seconds
