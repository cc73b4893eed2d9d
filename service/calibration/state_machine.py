"""The state machine of a calibration. Its time is the signal's: it steps with each hop.

So the same signal with the same ratings gives the same blocks, live, replayed and offline.
Positions are in samples of the sitting, which count lost ones.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from mimamba.drivers.errors import UserError
from mimamba.models.personal.blocks import Block, find_doubtful
from mimamba.models.personal.features import SIGNAL
from mimamba.models.personal.verdict import LEAST_BLOCKS
from mimamba.models.prediction import Status
from mimamba.service.calibration.plan import MOST_EXTRA, DrawnPlan
from mimamba.service.protocol.personal import CalibrationPhase, CalibrationProgress

LEAST_GOOD_SHARE = 0.75
"""Share of a block's hops that must be good; with fewer it is done again."""
WINDOW, HOP = SIGNAL.window / SIGNAL.sfreq, SIGNAL.hop / SIGNAL.sfreq
"""Length and distance of windows, s."""


class NotNow(UserError):
    """The request does not fit the calibration's phase."""


class RatedBlock(Struct, frozen=True):
    """A block that was done, with its rating once it is given.

    Parameters
    ----------
    kind
        The state.
    start, stop
        Positions of its first sample and of the sample after its last one.
    good
        Share of its hops with good signal.
    valence, arousal
        The rating, 0 to 100; None before it is given.
    answer
        Last number of a subtraction, if it was given.
    rated
        Position of the newest hop when the rating was given.
    """

    kind: str
    start: int
    stop: int
    good: float
    valence: float | None = None
    arousal: float | None = None
    answer: int | None = None
    rated: int | None = None


class MachineState(Struct, frozen=True):
    """Complete state between two hops, as it is kept on the disk.

    Parameters
    ----------
    phase
        The phase.
    number
        Number of the block that it is about, from 1; 0 during the rest.
    since
        Position at which the phase began.
    good
        Good hops of the block that is going on.
    blocks
        Blocks that are done, in order.
    repeated
        Number of blocks that were done again.
    again
        True if this block is done again.
    extra
        Further pairs so far.
    """

    phase: CalibrationPhase = "rest"
    number: int = 0
    since: int = 0
    good: int = 0
    blocks: tuple[RatedBlock, ...] = ()
    repeated: int = 0
    again: bool = False
    extra: int = 0


@dataclass(frozen=True)
class MachineEvent:
    """An event for the recording: a marker's label, and the position of its sample."""

    position: int
    label: str


class CalibrationMachine:
    """Steps through a plan.

    Parameters
    ----------
    drawn
        The plan, with its order.
    sfreq
        Sampling frequency of the source, Hz.
    state
        State to go on from.

    Attributes
    ----------
    state
        The present state.
    """

    def __init__(self, drawn: DrawnPlan, sfreq: float, state: MachineState | None = None) -> None:
        self.drawn, self.plan = drawn, drawn.plan
        self.state = state or MachineState()
        self._sfreq = sfreq
        self._newest = -1
        self._status: Status = "warming_up"
        self._reason: str | None = None
        self._rested = 0.0

    @property
    def planned(self) -> int:
        """Number of blocks, those of further pairs so far included."""
        return 2 * (self.plan.pairs + self.state.extra)

    @property
    def over(self) -> bool:
        """True once no hop changes anything any more."""
        return self.state.phase in ("judging", "done", "stopped", "failed")

    def step(
        self, position: int, status: Status, reason: str | None, rested: float, rest_done: bool
    ) -> list[MachineEvent]:
        """Take the next hop.

        Parameters
        ----------
        position
            Position of its newest sample.
        status, reason
            As in ``Hop``; during the rest all hops are without features.
        rested
            Seconds of good signal at rest so far.
        rest_done
            True once the rest is measured.

        Returns
        -------
        The events at this hop, oldest first.
        """
        self._newest, self._status, self._reason, self._rested = position, status, reason, rested
        state = self.state
        if state.phase == "rest":
            return self._cue(1) if rest_done else []
        if state.phase == "cue" and self._passed(self.plan.cue):
            kind = self._kind(state.number)
            self.state = replace(state, phase="block", since=position + 1, good=0)
            return [self._event(position + 1, f"block {state.number} begin {kind}")]
        if state.phase == "block":
            return self._step_block(state)
        if state.phase == "pause" and self._passed(self.plan.pause):
            return self._go_on()
        return []

    def rate(self, valence: float, arousal: float, answer: int | None) -> list[MachineEvent]:
        """Take the rating of the last block; raises NotNow if none is due."""
        state = self.state
        if state.phase != "rating":
            raise NotNow(
                f"Expected a block to rate, but found the phase {state.phase!r}. "
                "Rate each block after its end."
            )
        last = replace(
            state.blocks[-1], valence=valence, arousal=arousal, answer=answer, rated=self._newest
        )
        self.state = replace(
            state,
            phase="pause",
            since=self._newest + 1,
            blocks=(*state.blocks[:-1], last),
            again=False,
        )
        given = "" if answer is None else f" answer {answer}"
        text = f"rating block {state.number} valence {valence:g} arousal {arousal:g}{given}"
        return [self._event(self._newest, text)]

    def finish(self) -> list[MachineEvent]:
        """End now, to be judged by the blocks that are there; raises NotNow with too few."""
        counts = Counter(block.kind for block in self.rated)
        assert self.plan.kinds is not None
        if self.over or min(counts[kind] for kind in self.plan.kinds) < LEAST_BLOCKS:
            found = " and ".join(f"{counts[kind]} of {kind}" for kind in self.plan.kinds)
            raise NotNow(
                f"Expected {LEAST_BLOCKS} rated blocks of each state, but found {found}. "
                "Go on, or stop."
            )
        return self._end()

    def stop(self) -> None:
        """Stop; ``resume`` goes on."""
        self.state = replace(self.state, phase="stopped")

    def resume(self, position: int) -> list[MachineEvent]:
        """Go on at the same block, with a signal that begins at this position."""
        state, self._newest = self.state, position - 1
        done = len(state.blocks)
        if done and state.blocks[-1].valence is None:
            self.state = replace(state, phase="rating", number=done)
        elif state.number == 0:
            self.state = replace(state, phase="rest", since=position)
        elif done == self.planned:
            self.state = replace(state, phase="pause", number=done, since=position)
        else:
            self.state = replace(state, again=False)
            return self._cue(done + 1)
        return []

    @property
    def rated(self) -> tuple[RatedBlock, ...]:
        """The blocks with a rating."""
        return tuple(block for block in self.state.blocks if block.valence is not None)

    @property
    def progress(self) -> CalibrationProgress:
        """The progress, as people are shown it."""
        state, phase = self.state, self.state.phase
        shown = phase in ("cue", "block", "rating")
        task = self.drawn.tasks[state.number - 1] if shown else None
        total = {
            "rest": self.plan.rest,
            "cue": self.plan.cue,
            "block": self.plan.seconds,
            "pause": self.plan.pause,
        }.get(phase)
        passed = self._rested if phase == "rest" else (self._newest + 1 - state.since) / self._sfreq
        left = None if total is None else min(total, max(0.0, total - passed))
        counts = task is not None and phase != "rating"
        return CalibrationProgress(
            phase,
            state.number,
            self.planned,
            task.kind if task else None,
            left,
            total,
            phase == "rating",
            "signal" if state.again and phase in ("cue", "block") else None,
            state.extra,
            self._status,
            self._reason,
            task.number if task and counts else None,
            task.step if task and counts else None,
        )

    def _passed(self, seconds: float) -> bool:
        return self._newest + 1 - self.state.since >= round(seconds * self._sfreq)

    def _kind(self, number: int) -> str:
        return self.drawn.tasks[number - 1].kind

    def _cue(self, number: int) -> list[MachineEvent]:
        self.state = replace(self.state, phase="cue", number=number, since=self._newest + 1)
        return [self._event(self._newest + 1, f"block {number} cue {self._kind(number)}")]

    def _step_block(self, state: MachineState) -> list[MachineEvent]:
        inside = self._newest - round(WINDOW * self._sfreq) + 1 >= state.since
        stop = state.since + round(self.plan.seconds * self._sfreq)
        if self._newest < stop and inside and self._status == "ok":
            state = self.state = replace(state, good=state.good + 1)
        if self._newest < stop - 1:
            return []
        expected = max(1, math.floor((self.plan.seconds - WINDOW) / HOP) + 1)
        share = min(1.0, state.good / expected)
        events = [self._event(stop, f"block {state.number} end")]
        if share < LEAST_GOOD_SHARE:
            self.state = replace(
                state,
                phase="pause",
                since=self._newest + 1,
                again=True,
                repeated=state.repeated + 1,
            )
            return [*events, self._event(stop, f"block {state.number} again: poor signal")]
        block = RatedBlock(self._kind(state.number), state.since, stop, share)
        self.state = replace(state, phase="rating", since=stop, blocks=(*state.blocks, block))
        return events

    def _go_on(self) -> list[MachineEvent]:
        """Begin the next block, or end."""
        done = len(self.state.blocks)
        if self.state.again or done < self.planned:
            return self._cue(done + 1)
        if self.state.extra < MOST_EXTRA and self._lacks_clear_blocks():
            self.state = replace(self.state, extra=self.state.extra + 1)
            return self._cue(done + 1)
        return self._end()

    def _end(self) -> list[MachineEvent]:
        self.state = replace(self.state, phase="judging", since=self._newest + 1)
        return [self._event(self._newest, "end")]

    def _lacks_clear_blocks(self) -> bool:
        """Return whether fewer blocks of a kind than planned are rated as their kind."""
        assert self.plan.kinds is not None
        blocks = label_blocks(self.rated, self.plan.dimension)
        doubts = find_doubtful(blocks, self.plan.kinds[1]).tolist()
        clear = Counter(b.kind for b, doubt in zip(blocks, doubts, strict=True) if not doubt)
        return min(clear[kind] for kind in self.plan.kinds) < self.plan.pairs

    def _event(self, position: int, text: str) -> MachineEvent:
        return MachineEvent(max(0, position), text)


def label_blocks(
    blocks: tuple[RatedBlock, ...], dimension: Literal["valence", "arousal"] | None
) -> tuple[Block, ...]:
    """Return blocks with the rating that labels them; without one, the task does."""
    return tuple(
        Block(
            each.kind,
            each.start,
            each.stop,
            None if dimension is None else each.valence if dimension == "valence" else each.arousal,
        )
        for each in blocks
    )
