"""The decoder of a session: its montage, its hops, its baseline and its slot in the engine."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from mimamba.drivers.driver import Chunk, StreamInfo
from mimamba.drivers.errors import Mismatch
from mimamba.drivers.timing.clock import local_clock
from mimamba.models.checkpoints.emotion import infers_emotion
from mimamba.models.conformal.label_sets import ONCE, LabelSets
from mimamba.models.decoding.decoder import DecoderState
from mimamba.models.decoding.decoder_state import SnapshotError, pack_state, unpack_state
from mimamba.models.prediction import Prediction
from mimamba.models.signal.baseline import MAX_BASELINE, AlignerState, BaselineAligner
from mimamba.models.signal.electrode import Electrode
from mimamba.models.signal.hops import Hop, HopCutter, HopWork
from mimamba.models.signal.montage import match_montage
from mimamba.models.signal.preprocessing import SignalConfig
from mimamba.service.engine.engine import Engine
from mimamba.service.engine.member import DueHop
from mimamba.service.logs.epoch_logs import ActiveModel
from mimamba.service.people.people import StoredBaseline
from mimamba.service.people.subject import Subject
from mimamba.service.protocol.personal import RatingEntry
from mimamba.service.sessions.session_baseline import SessionBaseline
from mimamba.service.topics import LinkEvent, Model

MIDDLE = 50.0
"""Ratings above it are high, and below it low."""
MAX_WAIT = 2.0
"""Seconds that a live source's hop may wait for its step: as long as the poor signal after which
the model's memory is reset."""

Report: TypeAlias = Callable[[LinkEvent, str, Hop | Prediction | None], None]
"""Called with an event of the decoder at a hop, or from the next sample on."""


@dataclass(frozen=True, eq=False)
class SavedDecoder:
    """A decoder's state for another process.

    Parameters
    ----------
    model, sha256
        Its checkpoint.
    r
        The gate at each hop's start.
    stepped
        True once a hop of this epoch was stepped.
    state
        Its state, as ``pack_state`` gives it.
    """

    model: str
    sha256: str
    r: float
    stepped: bool
    state: bytes


class NoBaseline(Mismatch):
    """The baseline does not exist, or the model uses none."""


class SessionDecoder:
    """Decodes one stream with one engine; used by the compute loop.

    Parameters
    ----------
    engine
        Steps the model.
    info
        The source.
    r
        The gate at each hop's start: the checkpoint's, or 0.
    report
        Called for restarts, skipped hops and baselines.
    subject
        The person of the session: finds and keeps the baseline.
    max_wait
        Time after which a live source's hop is skipped if newer ones wait, s. With infinity what is
        predicted depends on the samples alone, and another process predicts the same.

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
        report: Report,
        subject: Subject,
        max_wait: float = MAX_WAIT,
    ) -> None:
        self.checkpoint = engine.checkpoint
        self._montage = match_montage(self.checkpoint.montage, info.ch_names)
        self.r = r
        rows = [electrode.row for electrode in self._montage]
        names = [electrode.channel for electrode in self._montage]
        self._cutter = HopCutter(self.checkpoint.signal, info, rows, names)
        self._aligner = BaselineAligner(self.checkpoint.signal)
        self.label_sets = LabelSets(self.checkpoint.outputs, self.checkpoint.set_thresholds)
        self._subject = subject
        self._report = report
        self._live, self._max_wait = info.live, max_wait
        self._stepped = False
        self._restart = True  # the next ok hop resets the memory: at the start, and after a skip
        self.stepping = engine, engine.open(r)

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
            infers_emotion(card.outputs),
        )
        outputs = {output: list(labels) for output, labels in card.outputs.items()}
        return ActiveModel(0, model, outputs, self._montage, self._cutter.delay)

    def cuts(self, signal: SignalConfig, montage: Sequence[Electrode]) -> bool:
        """Return whether its hops are those that a cutter of these settings would give."""
        return self.checkpoint.signal == signal and self._montage == [*montage]

    @property
    def period(self) -> float:
        """Seconds from hop to hop of a live source; inf for a recording, as its hops can wait."""
        signal = self.checkpoint.signal
        return signal.hop / signal.sfreq if self._live else math.inf

    def cut(self, chunk: Chunk) -> HopWork:
        """Return the work of cutting the hops that a chunk completes."""
        return self._cutter.work_on(chunk)

    def keep(self, chunk: Chunk) -> bool:
        """Keep a chunk that completes no hop; return False for any other, which is left to cut."""
        return self._cutter.keep(chunk)

    def is_due(self, end: int) -> bool:
        """Return whether a hop is complete with the samples before this index; any thread."""
        return self._cutter.is_due(end)

    def accept(self, hops: Sequence[DueHop]) -> list[DueHop]:
        """Align hops; return those to be stepped.

        A live source whose oldest hop has waited too long skips to its newest one, and the next ok
        hop resets the memory. A source that itself is late, and catches up, has not waited here.
        """
        aligned = [DueHop(self._next(each.hop), each.received) for each in hops]
        waited = local_clock() - hops[0].received if len(hops) > 1 else 0.0
        if self._live and waited > self._max_wait:
            for each in aligned[:-1]:
                detail = (
                    "the engine is too busy: a hop was skipped, and the model's memory is reset"
                )
                self._report("hops_skipped", detail, each.hop)
            aligned, self._restart = aligned[-1:], True
        for nth, each in enumerate(aligned):
            if self._restart and each.hop.window is not None:
                aligned[nth] = replace(each, hop=replace(each.hop, restart=True))
                self._restart = False
                break
        return aligned

    def _next(self, hop: Hop) -> Hop:
        """Align a hop, and report a reset of the memory."""
        hop = self._align(hop)
        if hop.restart and self._stepped:
            self._report("restarted", "the model's memory was reset", hop)
        self._stepped = self._stepped or hop.window is not None
        return hop

    def start(self) -> None:
        """Use the person's stored baseline, or take one, if the model was trained with one.

        A replay begins with the recording's.
        """
        if not self.checkpoint.baseline:
            return
        recorded = self._subject.recorded_aligner(self.checkpoint)
        if recorded is not None:
            self._use_recorded(recorded)
            return
        kept = self._subject.find_baseline(self.checkpoint)
        if kept is None:
            self.start_baseline(self.checkpoint.baseline)
        else:
            self.set_baseline(kept)

    def _use_recorded(self, recorded: AlignerState) -> None:
        """Go on with the baseline that a recording began with."""
        self._aligner.state = replace(recorded, restart=True)
        self._subject.keep = False
        if recorded.baseline is not None:
            detail = f"{recorded.baseline.seconds:g} s of rest, from the recording"
            self._report("baseline_used", detail, None)
        if recorded.target:
            self._report("baseline_begun", format_baseline_seconds(recorded.target), None)

    def start_baseline(self, seconds: float) -> None:
        """Take the person's baseline on the next ``seconds`` of good signal."""
        self._subject.keep = True
        self._aligner.start(seconds)
        self._report("baseline_begun", format_baseline_seconds(seconds), None)

    def set_baseline(self, kept: StoredBaseline) -> None:
        """Use a baseline of the person that was taken before."""
        self._aligner.set_baseline(kept.baseline)
        self._subject.baseline_person = self._subject.person
        self._report("baseline_used", f"{kept.seconds:g} s of rest, taken {kept.taken}", None)

    def use_stored(self, person: str) -> None:
        """Use the stored baseline of a person, who is the session's person from now on.

        Raises
        ------
        NoPerson, DamagedPerson, PersonRefused
            As ``People.get``.
        NoBaseline
            If there is none that the model can use.
        """
        kept = self._subject.stored(person).baseline_for(self.checkpoint)
        if kept is None:
            montage = ", ".join(self.checkpoint.montage)
            wanted = f"a baseline of {person} for {self.checkpoint.name} ({montage})"
            raise NoBaseline(wanted, "none", "record one first")
        self._subject.person = person
        self.set_baseline(kept)

    def cancel_baseline(self) -> None:
        """Stop taking a baseline, and use the one before, with its person; raises NoBaseline."""
        if not self.aligner.target:
            raise NoBaseline("a baseline in progress", "none", "start one before you cancel it")
        if self.aligner.baseline is None:
            raise NoBaseline(
                "a previous baseline to return to",
                "none, and the model needs one",
                "finish this baseline, use a stored one, or choose another model",
            )
        self._aligner.cancel()
        self._subject.person = self._subject.baseline_person
        self._report(
            "baseline_stopped",
            "the new baseline is discarded; the previous one is used again",
            None,
        )

    def withdraw_rest(self) -> None:
        """Undo that a rest was asked for; one that is complete stays.

        The baseline before is used again. Without one, the usual rest of the person before is taken
        from the next sample on, as the model needs one.
        """
        if not self.aligner.target:
            return
        if self.aligner.baseline is not None:
            self.cancel_baseline()
            return
        self._subject.person = self._subject.person_before
        self.start_baseline(self.checkpoint.baseline)

    @property
    def aligner(self) -> AlignerState:
        """The baseline that windows are aligned by, and the one being taken."""
        return self._aligner.state

    @property
    def baseline(self) -> SessionBaseline:
        """The baseline, as people are shown it."""
        signal, state = self.checkpoint.signal, self._aligner.state
        return SessionBaseline(
            state.target,
            state.n_hops * signal.hop / signal.sfreq,
            state.baseline.seconds if state.baseline else 0.0,
            self.checkpoint.baseline,
            self._subject.person,
        )

    def begin_epoch(self) -> None:
        """Note that another epoch begins."""
        self._stepped = False
        self.label_sets.begin_epoch()

    def state(self) -> DecoderState:
        """Return the state that later predictions depend on, between two rounds of the loop."""
        engine, slot = self.stepping
        states, failed = engine.snapshot(slot)
        restart = self._restart or failed
        sets = self.label_sets.state
        return DecoderState(self._cutter.state, states, restart, self._aligner.state, sets)

    def save(self) -> SavedDecoder:
        """Return the state with which another process continues, between two rounds of the loop."""
        card = self.checkpoint
        return SavedDecoder(card.name, card.sha256, self.r, self._stepped, pack_state(self.state()))

    def restore(self, saved: SavedDecoder, sfreq: float) -> None:
        """Continue from a state of this model and a source of ``sfreq``, Hz.

        Raises
        ------
        SnapshotError
            If the state is damaged or of another model.
        """
        if saved.sha256 != self.checkpoint.sha256:
            raise SnapshotError(
                f"Expected a state of the model {self.checkpoint.name} "
                f"{self.checkpoint.sha256[:12]}, but found one of {saved.model} "
                f"{saved.sha256[:12]}. Give all workers the same models."
            )
        state = unpack_state(saved.state, self.checkpoint, sfreq)
        engine, slot = self.stepping
        self._cutter.state, self._aligner.state = state.cutter, state.aligner
        if state.sets:
            self.label_sets.state = state.sets
        engine.restore(slot, state.states)
        self._restart, self._stepped = state.failed, saved.stepped

    def with_set(self, prediction: Prediction) -> Prediction:
        """Add the prediction sets of a hop; report the true labels that hold from it on."""
        for label in self.label_sets.use_due(prediction):
            self._report("labelled", str(label), prediction)
        return self.label_sets.add_to(prediction)

    def close(self) -> None:
        """Give the slot back."""
        engine, slot = self.stepping
        engine.close(slot)

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


def require_baselines(decoder: SessionDecoder | None) -> SessionDecoder:
    """Return a session's decoder; raise NoBaseline if it has no model that uses baselines."""
    if decoder is None:
        raise NoBaseline("a model", "a session that shows the signal only", "choose a model")
    if not decoder.checkpoint.baseline:
        raise NoBaseline(
            "a model trained with baselines",
            f"{decoder.checkpoint.name}, which was trained without",
            "choose another model",
        )
    return decoder


def labels_of_rating(rating: RatingEntry) -> list[str]:
    """Return the true labels that a rating tells of the hop at its sample."""
    return [
        f"{output}={'high' if value > MIDDLE else 'low'}{ONCE}"
        for output, value in (("valence", rating.valence), ("arousal", rating.arousal))
        if value != MIDDLE
    ]


def format_baseline_seconds(seconds: float) -> str:
    """Write the detail of ``baseline_begun``, its seconds to the last digit."""
    return f"{np.format_float_positional(seconds, trim='-')} s of rest are being taken"


def parse_baseline_seconds(text: str) -> float:
    """Read the seconds in such a detail; raises ValueError if there are none."""
    seconds = float(text.split(" ", maxsplit=1)[0])
    if not 0 < seconds <= MAX_BASELINE:
        raise ValueError(f"Expected up to {MAX_BASELINE:g} s of rest, but found {text!r}.")
    return seconds
