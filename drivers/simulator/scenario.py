"""Scenarios of the simulator: scripted valence and arousal, artefacts, and faulty electrodes.

Scenarios
---------
tour        the four corners of the valence-arousal plane in order, 12 to 20 s each
calm        one pleasant, calm state without end
random      the corners in random order, 8 to 30 s each, for training
artefacts   the tour with many blinks, muscle bursts and electrode pops
poor        the tour with faults: a flat or a railed electrode, or heavy noise, every 10 to 16 s
wearer      a neutral state, changed by the cues of a calibration: see ``drivers.simulator.wearer``
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

NOTICE = "These signals are simulated: they do not come from a brain."

Corner: TypeAlias = tuple[float, float]
"""Valence and arousal, each from -1 to 1."""

TOUR: tuple[Corner, ...] = ((0.8, -0.8), (0.8, 0.8), (-0.8, 0.8), (-0.8, -0.8))
RAMP = 2.0
"""Time in which the state moves from one target to the next, s."""
GOOD_SECONDS, FAULT_SECONDS = (10.0, 16.0), (4.0, 8.0)

FaultKind: TypeAlias = Literal["flat", "railed", "noise"]
FAULT_KINDS: tuple[FaultKind, ...] = ("flat", "railed", "noise")


@dataclass(frozen=True)
class Scenario:
    """A script, and rates of artefacts.

    Parameters
    ----------
    summary
        Description in one line.
    corners
        Targets, visited in this order again and again.
    shuffled
        True to draw each next corner at random among the others.
    hold
        Shortest and longest time at a corner, s, its ramp included.
    blinks, bursts, pops
        Mean number per minute of blinks, muscle bursts and electrode pops.
    faulty
        True if good signal alternates with faults.
    """

    summary: str
    corners: tuple[Corner, ...] = TOUR
    shuffled: bool = False
    hold: tuple[float, float] = (12.0, 20.0)
    blinks: float = 12.0
    bursts: float = 2.0
    pops: float = 0.2
    faulty: bool = False


SCENARIOS = {
    "tour": Scenario("the four corners of the valence-arousal plane in order"),
    "calm": Scenario("one pleasant, calm state without end", corners=((0.8, -0.8),), blinks=8.0),
    "random": Scenario("the corners in random order", shuffled=True, hold=(8.0, 30.0)),
    "artefacts": Scenario("many blinks, bursts and pops", blinks=40.0, bursts=15.0, pops=8.0),
    "poor": Scenario("flat and railed electrodes, heavy noise", faulty=True),
    "wearer": Scenario(
        "a person who follows the cues of a calibration",
        corners=((0.0, 0.0),),
        blinks=8.0,
        bursts=0.0,
        pops=0.0,
    ),
}


@dataclass(frozen=True, eq=False)
class ScriptedState:
    """The scripted state per sample: both (n_times,), from -1 to 1; at or above 0 is high."""

    valence: NDArray[np.float64]
    arousal: NDArray[np.float64]


@dataclass(frozen=True)
class ScriptEvent:
    """A change of the script at sample ``index``; ``label`` is its marker's."""

    index: int
    label: str


class ScenarioScript:
    """Targets of a scenario, drawn when they are needed; they depend only on the seed."""

    def __init__(self, scenario: Scenario, seed: int, sfreq: float) -> None:
        self._scenario = scenario
        self._sfreq = sfreq
        self._rng = np.random.default_rng([seed, 1])
        self._starts: list[int] = []
        self._targets: list[Corner] = []

    def truth(self, index: ArrayLike) -> ScriptedState:
        """Return the state at samples; it changes for ``RAMP`` seconds after each new target."""
        at = np.asarray(index, np.int64)
        if at.size == 0:
            return ScriptedState(np.zeros(0), np.zeros(0))
        low, high = self._span(int(at.min()), int(at.max()) + 1)
        low = max(low - 1, 0)  # the first ramp starts at the target before
        starts = np.array(self._starts[low:high])
        targets = np.array(self._targets[low:high])
        hold = np.searchsorted(starts, at, side="right") - 1
        before = targets[np.maximum(hold - 1, 0)]
        passed = np.clip((at - starts[hold]) / (RAMP * self._sfreq), 0.0, 1.0)
        ramp = passed**2 * (3.0 - 2.0 * passed)
        state = before + (targets[hold] - before) * ramp[..., None]
        return ScriptedState(state[..., 0], state[..., 1])

    def events(self, first: int, stop: int) -> list[ScriptEvent]:
        """Return the targets that start in samples [first, stop) with a new label."""
        low, high = self._span(first, stop)
        return [
            ScriptEvent(self._starts[hold], _label(self._targets[hold]))
            for hold in range(low, high)
            if first <= self._starts[hold] < stop
            and (hold == 0 or _label(self._targets[hold]) != _label(self._targets[hold - 1]))
        ]

    def _span(self, first: int, stop: int) -> tuple[int, int]:
        """Return the range of targets that reach into samples [first, stop); draw missing ones."""
        while not self._starts or self._starts[-1] < stop:
            self._draw()
        return bisect_right(self._starts, first) - 1, bisect_right(self._starts, stop - 1)

    def _draw(self) -> None:
        corners = self._scenario.corners
        if not self._starts:
            at = int(self._rng.integers(len(corners))) if self._scenario.shuffled else 0
            self._starts.append(0)
            self._targets.append(corners[at])
            return
        if self._scenario.shuffled:
            others = [corner for corner in corners if corner != self._targets[-1]]
            target = others[int(self._rng.integers(len(others)))]
        else:
            target = corners[len(self._targets) % len(corners)]
        held = round(self._rng.uniform(*self._scenario.hold) * self._sfreq)
        self._starts.append(self._starts[-1] + held)
        self._targets.append(target)


def _label(target: Corner) -> str:
    valence, arousal = ("high" if value >= 0 else "low" for value in target)
    return f"valence={valence} arousal={arousal}"


@dataclass(frozen=True)
class SimulatedFault:
    """A fault in samples [start, stop): ``channel`` is a row, or None for all channels."""

    start: int
    stop: int
    kind: FaultKind
    channel: int | None

    @property
    def rows(self) -> slice:
        """Rows of the faulty channels."""
        return slice(None) if self.channel is None else slice(self.channel, self.channel + 1)


class FaultSchedule:
    """Faults of a scenario, drawn when they are needed; they depend only on the seed."""

    def __init__(
        self, scenario: Scenario, seed: int, sfreq: float, ch_names: tuple[str, ...]
    ) -> None:
        self._sfreq = sfreq
        self._ch_names = ch_names
        self._rng = np.random.default_rng([seed, 2])
        self._faulty = scenario.faulty
        self._drawn: list[SimulatedFault] = []

    def within(self, first: int, stop: int) -> list[SimulatedFault]:
        """Return the faults that reach into samples [first, stop)."""
        while self._faulty and (not self._drawn or self._drawn[-1].stop < stop):
            self._draw()
        low = bisect_right(self._drawn, first, key=lambda fault: fault.stop)
        high = bisect_right(self._drawn, stop - 1, key=lambda fault: fault.start)
        return self._drawn[low:high]

    def events(self, first: int, stop: int) -> list[ScriptEvent]:
        """Return the starts and stops of faults in samples [first, stop)."""
        events: list[ScriptEvent] = []
        for fault in self.within(first - 1, stop):
            electrode = "all" if fault.channel is None else self._ch_names[fault.channel]
            events.append(ScriptEvent(fault.start, f"fault={fault.kind} electrode={electrode}"))
            events.append(ScriptEvent(fault.stop, "fault=none"))
        return [event for event in events if first <= event.index < stop]

    def _draw(self) -> None:
        good = round(self._rng.uniform(*GOOD_SECONDS) * self._sfreq)
        bad = round(self._rng.uniform(*FAULT_SECONDS) * self._sfreq)
        start = good + (self._drawn[-1].stop if self._drawn else 0)
        # All kinds in turn, so that a short run has each of them.
        kind = FAULT_KINDS[len(self._drawn) % len(FAULT_KINDS)]
        channel = int(self._rng.integers(len(self._ch_names)))
        self._drawn.append(
            SimulatedFault(start, start + bad, kind, None if kind == "noise" else channel)
        )
