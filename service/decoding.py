"""A session's side of its model: the montage, the hops, the engine's slot."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from drivers.base import Chunk, StreamInfo
from models.decoder import DecoderState
from models.hops import Hop, HopCutter
from models.montage import meet_montage
from service.engine import Engine, Publish
from service.eventmessages import LinkEvent
from service.history import Speaker
from service.messages import Model

Note: TypeAlias = Callable[[LinkEvent, str, Hop], None]
"""Told what befell the model at a hop."""


class Decoding:
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
        Told of restarts and skipped hops.

    Raises
    ------
    MontageError
        If the source's channels cannot stand in for the model's electrodes.
    SignalError
        If its rate does not serve.
    """

    def __init__(
        self, engine: Engine, info: StreamInfo, r: float, publish: Publish, note: Note
    ) -> None:
        self.checkpoint = engine.checkpoint
        self._montage = meet_montage(self.checkpoint.montage, info.ch_names)
        self.r = r
        rows = [electrode.row for electrode in self._montage]
        names = [electrode.channel for electrode in self._montage]
        self._cutter = HopCutter(self.checkpoint.signal, info, rows, names)
        self._engine = engine
        self._note = note
        self._live = info.live
        self._stepped = False
        self._slot = engine.open(r, publish)

    @property
    def speaker(self) -> Speaker:
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
        return Speaker(0, model, outputs, self._montage, self._cutter.delay)

    @property
    def period(self) -> float:
        """Seconds from hop to hop of a live source; inf for a recording, whose hops can wait."""
        signal = self.checkpoint.signal
        return signal.hop / signal.sfreq if self._live else math.inf

    def feed(self, chunk: Chunk, received: float) -> None:
        """Hand the hops that a chunk completes to the engine; a recording waits for room there."""
        for hop in self._cutter.feed(chunk):
            if hop.restart and self._stepped:
                self._note("restarted", "the model's memory began anew", hop)
            self._stepped = self._stepped or hop.window is not None
            if not self._engine.submit(self._slot, hop, received, wait=not self._live):
                detail = "the engine is too busy: a hop was skipped, the model's memory begins anew"
                self._note("hops_skipped", detail, hop)

    def drain(self) -> None:
        """Wait until all hops are predicted; what comes next is of another epoch."""
        self._engine.drain(self._slot)
        self._stepped = False

    def state(self) -> DecoderState:
        """All that the predictions to come hang on, once all hops so far are predicted."""
        states, anew = self._engine.snapshot(self._slot)
        return DecoderState(self._cutter.state, states, anew)

    def finish(self) -> None:
        """Wait until all hops are predicted and give the slot back."""
        self._engine.finish(self._slot)
